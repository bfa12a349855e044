"""Servers that send what no server should: it is refused, skipped or survived, in bounded time."""

from __future__ import annotations

import contextlib
import errno
import logging
import os

import pytest
from fakes.ftpserver import Talk, ftp_server
from mounts import mounted, peak_memory
from remotes import connected

from ftpfs.config import LISTING_LINE_BYTES, LISTING_LINES
from ftpfs.errors import DeadlineError, ProtocolError

MEGABYTE = 1 << 20


class Verbose(Talk):
    """Answers SIZE with a line of a megabyte."""

    def do_size(self, _argument: str) -> None:
        self.say("213 " + "1" * MEGABYTE)


class Endless(Talk):
    """Begins a reply of many lines and never ends it."""

    def do_mlst(self, _argument: str) -> None:
        while not self.server.stopping.is_set():
            self.say("250-and another thing", *["and another thing"] * 100)


class Hesitant(Talk):
    """Begins a reply of many lines and then thinks."""

    def do_mlst(self, _argument: str) -> None:
        self.say("250-well")
        self.server.stopping.wait(20.0)


@pytest.mark.parametrize(
    ("talk", "error"),
    [(Verbose, ProtocolError), (Endless, ProtocolError), (Hesitant, DeadlineError)],
    ids=lambda thing: thing.__name__,
)
def test_a_reply_without_end_is_an_error_and_costs_the_connection(
    talk: type[Talk], error: type[Exception]
) -> None:
    with ftp_server(talk) as server, connected(server.url, "timeout=1") as remote:
        server.tree["/file"] = b"content"
        with pytest.raises(error):
            remote.fingerprint("/file") if talk is Verbose else remote.stat("/file")
        assert list(remote.list("/")) == ["file"]
        assert len(server.talks) > 1


class Nul(Talk):
    """A C program that sends its strings with their end."""

    def say(self, *lines: str) -> None:
        super().say(*(f"{line}\0" for line in lines))


def test_nul_bytes_in_replies_are_dropped() -> None:
    with ftp_server(Nul) as server, connected(server.url) as remote:
        server.tree["/file"] = b"content"
        assert remote.stat("/file").size == 7
        assert list(remote.list("/")) == ["file"]


class Chatty(Talk):
    """Says something more after each listing."""

    def sent(self) -> None:
        self.say("226 that is all", "213 4711")


def test_a_reply_to_a_command_never_sent_answers_nothing() -> None:
    with ftp_server(Chatty) as server, connected(server.url) as remote:
        server.tree["/file"] = b"content"
        for _ in range(3):
            assert list(remote.list("/")) == ["file"]
            fingerprint = remote.fingerprint("/file")
            assert fingerprint is not None
            assert fingerprint.size == 7


class Liar(Talk):
    """Lists names that cannot be, beside one that can."""

    odd = ("", ".", "..", "../up", "a/b", "/etc/passwd", "good", "x" * (LISTING_LINE_BYTES + 1))

    def do_mlsd(self, _argument: str) -> None:
        lines = [f"type=file;size=1; {name}" for name in ("good", *self.odd)]
        self.send("".join(f"{line}\r\n" for line in lines).encode())


class ListingLiar(Liar):
    """The same by LIST."""

    features = ("SIZE", "MDTM", "EPSV")
    lacks = ("MLSD", "MLST")

    def do_list(self, _argument: str) -> None:
        lines = [self.list_line(name, b"x") for name in ("good", *self.odd)]
        self.send("".join(f"{line}\r\n" for line in lines).encode())


@pytest.mark.parametrize("talk", [Liar, ListingLiar], ids=lambda talk: talk.__name__)
def test_names_that_cannot_be_are_skipped_and_said(
    talk: type[Talk], caplog: pytest.LogCaptureFixture
) -> None:
    with ftp_server(talk) as server, connected(server.url) as remote:
        caplog.set_level(logging.WARNING)
        assert list(remote.list("/")) == ["good"]
        assert "skipped" in caplog.text
        assert max(map(len, caplog.text.splitlines())) < 3000


class Torrent(Talk):
    """Sends one line of a listing that never ends."""

    def do_mlsd(self, _argument: str) -> None:
        self.send(b"type=file;size=1; good\r\n" + b"x" * (50 * MEGABYTE))


def test_a_line_without_end_costs_no_memory() -> None:
    with ftp_server(Torrent) as server, connected(server.url) as remote:
        assert list(remote.list("/")) == ["good"]


class Flood(Talk):
    """Lists ten million names."""

    def do_mlsd(self, _argument: str) -> None:
        self.say(self.texts["starting"])
        with contextlib.suppress(OSError), self.data_connection() as data:
            for thousand in range(10_000):
                lines = (f"type=file;size=1; {thousand}-{n}\r\n" for n in range(1000))
                data.sendall("".join(lines).encode())
        self.sent()


@pytest.mark.mounted
def test_ten_million_names_are_an_error_and_the_mount_goes_on() -> None:
    with ftp_server(Flood) as server, mounted(server.url) as mount:
        server.tree["/file"] = b"content"
        with pytest.raises(OSError, match="Errno") as caught:
            os.listdir(mount.path)
        assert caught.value.errno == errno.EFBIG
        assert f"more than {LISTING_LINES:,} lines" in mount.log()
        with open(f"{mount.path}/file", "rb") as file:
            assert file.read() == b"content"
        assert 0 < peak_memory(mount) < 600 * MEGABYTE


@pytest.mark.mounted
def test_a_line_without_end_costs_a_mount_no_memory() -> None:
    with ftp_server(Torrent) as server, mounted(server.url) as mount:
        assert os.listdir(mount.path) == ["good"]
        assert 0 < peak_memory(mount) < 60 * MEGABYTE
