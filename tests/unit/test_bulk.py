"""Many small files over one connection: what goes in which packet, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from fakes.script import DataTransport, Network

from ftpfs.errors import (
    AbsentError,
    FtpfsError,
    NameRefusedError,
    NetworkError,
    NoSpaceError,
    TransferError,
)
from ftpfs.remote.bulk import fetch, send
from ftpfs.remote.ftp import FtpRemote
from ftpfs.remote.line import Line
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.wire.features import Features

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
IN = "< 220 hi\n> USER joe\n< 230 in\n> TYPE I\n< 200 ok\n"
OUT = "> QUIT\n< 221 bye\n"
DONE = "< 150 go on\n< 226 done\n"
TEMPORARY = "/.ftpfs-000000000000"


class TakingTransport(DataTransport):
    """Takes what is sent from memory, too."""

    def send(self, data: bytes | memoryview) -> None:
        self.received += data


@dataclass
class Wanted:
    """A file to be fetched."""

    source_path: str
    wants_time: bool = False
    content: bytes | None = None
    mtime_ns: int | None = None
    error: FtpfsError | None = None

    def delivered(self, content: memoryview, mtime_ns: int | None) -> None:
        self.content, self.mtime_ns = bytes(content), mtime_ns

    def failed(self, error: FtpfsError) -> None:
        self.error = error


@dataclass
class Offered:
    """A file to be sent."""

    target_path: str
    text: bytes | None = b"12345"
    replaces: bool = False
    mtime_ns: int | None = None
    mode: int | None = None
    ended: list[FtpfsError | None] = field(default_factory=list)

    def content(self) -> bytes | None:
        return self.text

    def stored(self, undressed: FtpfsError | None) -> None:
        self.ended.append(undressed)

    def failed(self, error: FtpfsError) -> None:
        self.ended.append(error)


def ports(*data: DataTransport) -> dict[int, DataTransport]:
    return {5000 + n: each for n, each in enumerate(data)}


@contextmanager
def line_to(
    network: Network, encoding: str = "utf-8", *, replaces: bool | None = None
) -> Iterator[Line]:
    """A line to a server of which all is known; at the end the script must have been followed."""
    profile = Profile(
        encoding=encoding,
        features_asked=True,
        features=Features(frozenset({"SIZE"})),
        epsv=True,
        grouping=True,
        mfmt=True,
        site_chmod=True,
        replaces=replaces,
    )
    pool = Pool(lambda: Session.open(LOGIN, profile, network.connect), 2, 1.0)
    line = FtpRemote(pool, profile).line()
    yield line
    line.release()
    pool.close()
    network.assert_finished()


def run(
    script: str, data: dict[int, DataTransport], *files: Wanted | Offered, ends: str = OUT
) -> None:
    """Fetch, or send, files over a line to a server that follows the script."""
    with line_to(Network(IN + script + ends, data=data)) as line:
        carry(line, files)


def carry(line: Line, files: Sequence[Wanted | Offered]) -> None:
    wanted = [file for file in files if isinstance(file, Wanted)]
    offered = [file for file in files if isinstance(file, Offered)]
    for _ in fetch(line, iter(wanted), memoryview(bytearray(10))) if wanted else ():
        pass
    for _ in send(line, iter(offered)) if offered else ():
        pass


def test_a_line_tells_whether_its_answer_is_there() -> None:
    script = "> EPSV\n< 229 (|||5000|)\n> STOR /a\n"
    with line_to(Network(IN + script, data=ports(TakingTransport()))) as line:
        assert line.heard, "nothing is waited for"
        line.open()
        assert line.heard, "nothing is waited for"
        line.ask()
        assert line.heard
        line.answers()
        line.store("/a")
        assert not line.heard, "the end of a transfer is waited for"


# -- fetching -------------------------------------------------------------------------------------


def test_a_file_fetched_costs_two_packets() -> None:
    script = (
        "> EPSV\n>+ RETR /a\n< 229 (|||5000|)\n"
        + DONE
        + "> EPSV\n>+ RETR /b\n< 229 (|||5001|)\n"
        + DONE
    )
    one, two = Wanted("/a"), Wanted("/b")
    run(script, ports(DataTransport(b"first"), DataTransport(b"second")), one, two)
    assert (one.content, two.content) == (b"first", b"second")


def test_the_time_comes_with_the_port() -> None:
    script = "> MDTM /a\n>+ EPSV\n>+ RETR /a\n< 213 19700101000007\n< 229 (|||5000|)\n" + DONE
    file = Wanted("/a", wants_time=True)
    run(script, ports(DataTransport(b"x")), file)
    assert (file.content, file.mtime_ns) == (b"x", 7_000_000_000)


def test_what_is_not_confirmed_is_not_delivered() -> None:
    broken = "< 150 go on\n< 426 no\n"
    script = "> EPSV\n>+ RETR /a\n< 229 (|||5000|)\n" + broken
    file = Wanted("/a")
    run(script, ports(DataTransport(b"half")), file)
    assert file.content is None
    assert isinstance(file.error, TransferError)


def test_a_file_that_has_grown_is_delivered_as_far_as_there_is_room() -> None:
    script = (
        "> EPSV\n>+ RETR /a\n< 229 (|||5000|)\n< 150 go on\n< 426 cut\n> EPSV\n< 229 (|||5001|)\n"
    )
    file = Wanted("/a")
    run(script, ports(DataTransport(b"0123456789abc")), file)
    assert file.content == b"0123456789"


def test_a_file_that_is_refused_fails_alone() -> None:
    """The server has closed the port by the time that it is called."""
    script = (
        "> EPSV\n>+ RETR /a\n< 229 (|||5009|)\n< 550 No such file\n"
        + "> EPSV\n>+ RETR /b\n< 229 (|||5000|)\n"
        + DONE
    )
    one, two = Wanted("/a"), Wanted("/b")
    run(script, ports(DataTransport(b"there")), one, two)
    assert isinstance(one.error, AbsentError)
    assert two.content == b"there"


def test_a_refused_port_costs_the_connection_and_not_the_file() -> None:
    """What the server makes of a RETR without one is not waited for."""
    first = "> EPSV\n>+ RETR /a\n< 425 no port\n< 425 use EPSV first\n"
    second = "> EPSV\n< 229 (|||5000|)\n> RETR /a\n" + DONE
    network = Network(IN + first, IN + second + OUT, data=ports(DataTransport(b"there")))
    file = Wanted("/a")
    with line_to(network) as line:
        carry(line, [file])
    assert file.content == b"there"


def test_a_name_that_the_encoding_lacks_fails_alone() -> None:
    script = (
        "> EPSV\n>+ RETR /a\n< 229 (|||5000|)\n"
        + DONE
        + "> EPSV\n< 229 (|||5001|)\n> EPSV\n>+ RETR /c\n< 229 (|||5002|)\n"
        + DONE
    )
    files = [Wanted("/a"), Wanted("/\u65e5"), Wanted("/c")]
    data = {5000: DataTransport(b"first"), 5002: DataTransport(b"last")}
    with line_to(Network(IN + script + OUT, data=data), "latin-1") as line:
        carry(line, files)
    assert [file.content for file in files] == [b"first", None, b"last"]
    assert isinstance(files[1].error, NameRefusedError)


def test_a_name_with_a_byte_of_telnet_waits_until_no_reply_is_under_way() -> None:
    """How the server takes it is asked first, and the end of the download before is no answer."""
    asked = "> CWD .\udcff\udcf2\n< 550 Failed\n> CWD .\n< 250 ok\n"
    script = (
        "> EPSV\n>+ RETR /a\n< 229 (|||5000|)\n"
        + "< 150 go on\n< 226 done\n> EPSV\n< 229 (|||5001|)\n"
        + asked
        + "> RETR /\udcff\n"
        + DONE
    )
    files = [Wanted("/a"), Wanted("/\u044f")]
    data = ports(DataTransport(b"first"), DataTransport(b"second"))
    with line_to(Network(IN + script + OUT, data=data), "cp1251") as line:
        carry(line, files)
    assert [file.content for file in files] == [b"first", b"second"]


def test_without_binary_type_the_port_alone_is_asked_for() -> None:
    refused = IN.replace("< 200 ok", "< 451 not now")
    script = "> EPSV\n< 229 (|||5000|)\n> TYPE I\n>+ EPSV\n< 200 ok\n< 229 (|||5001|)\n> RETR /a\n"
    file = Wanted("/a")
    data = {5001: DataTransport(b"there")}
    with line_to(Network(refused + script + DONE + OUT, data=data)) as line:
        carry(line, [file])
    assert file.content == b"there"


def test_after_a_loss_the_next_file_is_asked_for_once() -> None:
    first = "> EPSV\n>+ RETR /a\n< EOF\n"
    second = "> EPSV\n>+ RETR /b\n< 229 (|||5000|)\n" + DONE
    network = Network(IN + first, IN + second + OUT, data=ports(DataTransport(b"there")))
    one, two = Wanted("/a"), Wanted("/b")
    with line_to(network) as line:
        carry(line, [one, two])
    assert isinstance(one.error, NetworkError)
    assert two.content == b"there"


def test_a_line_given_back_with_a_transfer_on_its_way_is_not_used_again() -> None:
    first = "> EPSV\n>+ RETR /a\n< 229 (|||5000|)\n"
    second = "> EPSV\n>+ RETR /a\n< 229 (|||5001|)\n" + DONE
    data = {5001: DataTransport(b"there")}
    file = Wanted("/a")
    with line_to(Network(IN + first, IN + second + OUT, data=data)) as line:
        line.ask(download="/a")
        line.release()
        carry(line, [file])
    assert file.content == b"there"


# -- sending --------------------------------------------------------------------------------------


def test_what_is_left_to_do_goes_with_the_next_port() -> None:
    script = (
        "> EPSV\n< 229 (|||5000|)\n> STOR /a\n"
        + DONE
        + "> SIZE /a\n>+ EPSV\n< 213 5\n< 229 (|||5001|)\n> STOR /b\n"
        + DONE
        + "> SIZE /b\n>+ EPSV\n< 213 5\n< 229 (|||5002|)\n"
    )
    one, two = Offered("/a"), Offered("/b")
    data = ports(TakingTransport(), TakingTransport())
    run(script, data, one, two)
    assert one.ended == two.ended == [None]
    assert [bytes(each.received) for each in data.values()] == [b"12345"] * 2


def test_time_and_mode_are_set_under_the_temporary_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", bytes)
    script = (
        f"> EPSV\n< 229 (|||5000|)\n> STOR {TEMPORARY}\n"
        + DONE
        + f"> SIZE {TEMPORARY}\n>+ SITE CHMOD 755 {TEMPORARY}\n"
        + f">+ MFMT 19700101000007 {TEMPORARY}\n>+ EPSV\n< 213 5\n< 200 ok\n< 213 ok\n"
        + "< 229 (|||5001|)\n"
        + f"> RNFR {TEMPORARY}\n>+ RNTO /a\n>+ EPSV\n< 350 to?\n< 250 ok\n< 229 (|||5002|)\n"
    )
    file = Offered("/a", replaces=True, mtime_ns=7_000_000_000, mode=0o755)
    run(script, ports(TakingTransport()), file)
    assert file.ended == [None]


@pytest.mark.parametrize("reply", ["425 no data connection", "150 go on\n< 426 cut"])
def test_what_is_to_be_overwritten_where_it_lies_is_not_removed(reply: str) -> None:
    script = (
        f"> EPSV\n< 229 (|||5000|)\n> STOR /a\n< {reply}\n"
        + "> EPSV\n< 229 (|||5001|)\n> STOR /b\n"
        + DONE
        + "> SIZE /b\n>+ EPSV\n< 213 5\n< 229 (|||5002|)\n"
    )
    cut, whole = Offered("/a", replaces=True), Offered("/b", replaces=True)
    network = Network(IN + script + OUT, data=ports(TakingTransport(), TakingTransport()))
    with line_to(network, replaces=False) as line:
        carry(line, [cut, whole])
    assert [type(error) for error in cut.ended] == [TransferError]
    assert whole.ended == [None]


def test_a_size_that_differs_is_a_failure() -> None:
    script = (
        "> EPSV\n< 229 (|||5000|)\n> STOR /a\n"
        + DONE
        + "> SIZE /a\n>+ EPSV\n< 213 4\n< 229 (|||5001|)\n"
    )
    file = Offered("/a")
    run(script, ports(TakingTransport()), file)
    (error,) = file.ended
    assert isinstance(error, TransferError)
    assert "holds 4" in str(error)


def test_what_a_failed_upload_left_is_removed() -> None:
    full = "< 150 go on\n< 452 disk full\n"
    script = (
        "> EPSV\n< 229 (|||5000|)\n> STOR /a\n"
        + full
        + "> DELE /a\n>+ EPSV\n< 250 ok\n< 229 (|||5001|)\n"
    )
    file = Offered("/a")
    run(script, ports(TakingTransport()), file)
    assert [type(error) for error in file.ended] == [NoSpaceError]


def test_a_file_that_turns_out_not_to_be_sent_costs_nothing() -> None:
    script = (
        "> EPSV\n< 229 (|||5000|)\n> EPSV\n< 229 (|||5001|)\n> STOR /b\n"
        + DONE
        + "> SIZE /b\n>+ EPSV\n< 213 5\n< 229 (|||5002|)\n"
    )
    file = Offered("/b")
    run(script, {5001: TakingTransport()}, Offered("/a", None), file)
    assert file.ended == [None]


def test_a_lost_connection_loses_what_was_not_confirmed() -> None:
    script = "> EPSV\n< 229 (|||5000|)\n> STOR /a\n" + DONE + "> SIZE /a\n>+ EPSV\n< EOF\n"
    file = Offered("/a")
    run(script, ports(TakingTransport()), file, ends="")
    assert [isinstance(error, NetworkError) for error in file.ended] == [True]
