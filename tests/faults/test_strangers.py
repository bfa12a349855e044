"""Servers that cannot be started here, and broken ones: what the user of a mount sees."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Certificates
from fakes.ftpserver import FtpServer, Talk, ftp_server
from fakes.strangers import (
    AlwaysBreaking,
    Breaking,
    Crowded,
    CrowdedAtLogin,
    CrowdedInOtherWords,
    Filtered,
    Iis,
    Late,
    Lost,
    Mute,
    MuteAfter150,
    Natted,
    OldFileZilla,
    Ragged,
    Router,
    Short,
    Speechless,
    Straggler,
)
from mounts import mounted
from remotes import connected

from ftpfs.config import PASSING_PAUSES_S
from ftpfs.errors import AbsentError
from ftpfs.remote.api import Kind, Stored
from ftpfs.remote.ftp import FtpRemote

PLAIN = (Talk, Iis, OldFileZilla, Router, Natted)


@pytest.fixture(params=PLAIN, ids=lambda talk: talk.__name__)
def mount(request: pytest.FixtureRequest) -> Iterator[tuple[str, FtpServer]]:
    with ftp_server(request.param) as server, mounted(server.url) as made:
        yield made.path, server


def write(path: str, text: str, mode: str = "w") -> None:
    with open(path, mode, encoding="utf-8") as out:
        out.write(text)


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


# -- other people's servers -----------------------------------------------------------------------


@pytest.mark.mounted
def test_a_tree_goes_in_and_out(mount: tuple[str, FtpServer], tmp_path: Path) -> None:
    path, server = mount
    os.makedirs(tmp_path / "tree/sub/empty")
    for number in range(5):
        write(f"{tmp_path}/tree/sub/file {number}", "x" * number)
    for command in (
        ["cp", "-r", f"{tmp_path}/tree", f"{path}/tree"],
        ["diff", "-r", f"{tmp_path}/tree", f"{path}/tree"],
        ["cp", "-r", f"{path}/tree", f"{tmp_path}/back"],
        ["diff", "-r", f"{tmp_path}/tree", f"{tmp_path}/back"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.tree["/tree/sub/file 3"] == b"xxx"
    shutil.rmtree(f"{path}/tree")
    assert list(server.tree) == ["/"]


@pytest.mark.mounted
def test_what_is_refused_has_its_errno(mount: tuple[str, FtpServer]) -> None:
    path, server = mount
    os.makedirs(f"{path}/full/inner")
    write(f"{path}/file", "x")
    expected: dict[int, Callable[[], object]] = {
        errno.EEXIST: lambda: os.mkdir(f"{path}/full"),
        errno.ENOTEMPTY: lambda: os.rmdir(f"{path}/full"),
        errno.ENOTDIR: lambda: os.listdir(f"{path}/file"),
        errno.EISDIR: lambda: read(f"{path}/full"),
        errno.ENOENT: lambda: os.unlink(f"{path}/absent"),
    }
    for number, call in expected.items():
        with pytest.raises(OSError, match=rf"^\[Errno {number}\] "):
            call()
    assert set(server.tree) == {"/", "/full", "/full/inner", "/file"}


@pytest.mark.mounted
def test_a_file_is_replaced_appended_to_and_cut(mount: tuple[str, FtpServer]) -> None:
    path, server = mount
    write(f"{path}/file", "old")
    write(f"{path}/new", "new content")
    os.rename(f"{path}/new", f"{path}/file")  # as an editor saves
    assert read(f"{path}/file") == "new content"
    write(f"{path}/file", " and more", "a")
    assert server.tree["/file"] == b"new content and more"
    os.truncate(f"{path}/file", 3)
    write(f"{path}/file", "now", "r+")
    assert server.tree == {"/": None, "/file": b"now"}
    assert os.listdir(path) == ["file"]


@pytest.mark.mounted
def test_what_another_program_has_put_there_is_seen(mount: tuple[str, FtpServer]) -> None:
    path, server = mount
    server.tree |= {"/dir": None, "/dir/a b": b"12345", "/dir/sub": None}
    assert sorted(os.listdir(f"{path}/dir")) == ["a b", "sub"]
    assert os.stat(f"{path}/dir/a b").st_size == 5
    assert read(f"{path}/dir/a b") == "12345"


@pytest.mark.parametrize("talk", PLAIN, ids=lambda talk: talk.__name__)
def test_a_single_name_is_looked_up(talk: type[Talk]) -> None:
    with ftp_server(talk) as server, connected(server.url) as remote:
        server.tree |= {"/dir": None, "/dir/file": b"12345"}
        assert remote.stat("/dir/file").kind is Kind.FILE
        assert remote.stat("/dir").kind is Kind.DIRECTORY
        with pytest.raises(AbsentError):
            remote.stat("/dir/absent")


# -- few connections ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "talk", [Crowded, CrowdedAtLogin, CrowdedInOtherWords], ids=lambda talk: talk.__name__
)
def test_a_limit_of_connections_is_kept_to_and_nobody_fails(
    talk: type[Crowded] | type[CrowdedAtLogin],
) -> None:
    content = os.urandom(3_000_000)
    failures: list[BaseException] = []
    with ftp_server(talk) as server, connected(server.url, "max_conns=5") as remote:
        server.tree |= {f"/{number}": content for number in range(6)}

        def work(number: int) -> None:
            try:
                for _ in range(3):
                    assert downloaded(remote, f"/{number}") == content
                    assert len(remote.list("/")) == 6
            except BaseException as error:
                failures.append(error)

        in_threads(*[functools.partial(work, number) for number in range(6)])
        assert failures == []
        refused = len(server.talks) - talk.limit
        assert 1 <= refused <= 3, "the limit is learnt once, not found again for each file"


@pytest.mark.mounted
def test_a_copy_beside_others_waits_its_turn() -> None:
    with ftp_server(Crowded) as server, mounted(server.url, "max_conns=5") as mount:
        server.tree |= {f"/{number}": bytes(2_000_000) for number in range(4)}
        names = [f"{mount.path}/{number}" for number in range(4)]
        running = [subprocess.Popen(["cmp", name, names[0]]) for name in names[1:]]
        assert [each.wait(60) for each in running] == [0, 0, 0]


@pytest.mark.mounted
def test_a_refused_password_that_was_accepted_before_is_not_tried_for_each_file() -> None:
    """Small files are fetched ahead, over connections that the server does not give."""
    with ftp_server(CrowdedInOtherWords) as server, mounted(server.url, "max_conns=5") as mount:
        server.tree |= {f"/{number:02}": b"%d" % number for number in range(60)}
        assert [read(f"{mount.path}/{n:02}") for n in range(60)] == [str(n) for n in range(60)]
        assert server.verbs().count("PASS") <= CrowdedInOtherWords.limit + 3


# -- data connections that do not come about ------------------------------------------------------


def test_the_address_in_a_227_is_not_used() -> None:
    with ftp_server(Natted) as server, connected(server.url) as remote:
        server.tree["/file"] = b"content"
        assert list(remote.list("/")) == ["file"]
        assert downloaded(remote, "/file") == b"content"


@pytest.mark.parametrize("talk", [Filtered, Mute, MuteAfter150], ids=lambda talk: talk.__name__)
def test_pasv_is_behind_an_epsv_that_never_connects(talk: type[Talk]) -> None:
    with ftp_server(talk) as server, connected(server.url, "timeout=2") as remote:
        server.tree["/file"] = b"content"
        assert list(remote.list("/")) == ["file"]
        assert downloaded(remote, "/file") == b"content"
        assert server.verbs().count("EPSV") <= 2, "it is remembered"


@pytest.mark.mounted
def test_a_file_is_read_where_nothing_comes_by_epsv(
    spoken: tuple[ssl.SSLContext | None, str],
) -> None:
    """As the very first transfer of a mount."""
    talk = type("Spoken", (MuteAfter150,), {"context": spoken[0]})
    with ftp_server(talk) as server, mounted(server.url, "timeout=2", spoken[1]) as mount:
        server.tree["/file"] = b"content"
        assert read(f"{mount.path}/file") == "content"
        assert "PASV from now on" in mount.log()


# -- final replies --------------------------------------------------------------------------------


def test_a_late_226_is_waited_for() -> None:
    with ftp_server(Late) as server, connected(server.url, "timeout=1") as remote:
        assert uploaded(remote, "/file", b"content").size == 7
        assert server.tree["/file"] == b"content"
        assert len(server.talks) == 1


def test_a_226_that_was_lost_is_not_a_lost_file() -> None:
    """All had arrived: the size on another connection says so, and nothing is sent twice."""
    with ftp_server(Lost) as server, connected(server.url) as remote:
        assert uploaded(remote, "/file", b"content").size == 7
        assert server.verbs().count("STOR") == 1


@pytest.mark.mounted
def test_a_226_that_was_lost_behind_a_download_changes_nothing() -> None:
    with ftp_server(Lost) as server, mounted(server.url) as mount:
        server.tree["/file"] = os.urandom(2_000_000)
        with open(f"{mount.path}/file", "rb") as file:
            assert file.read() == server.tree["/file"]


def test_a_reply_left_over_from_a_cut_transfer_answers_nothing_else() -> None:
    with ftp_server(Straggler) as server, connected(server.url) as remote:
        server.tree |= {"/large": bytes(20_000_000), "/small": b"content"}
        for _ in range(3):
            download = remote.open_read("/large", 0)
            assert download.readinto(memoryview(bytearray(1000))) > 0
            download.close()
            assert remote.stat("/small").size == 7
            remote.mkdir("/new")
            assert "/new" in server.tree
            remote.rmdir("/new")
            assert "/new" not in server.tree


# -- ends of data connections ---------------------------------------------------------------------


@pytest.fixture(params=["clear text", "TLS"])
def spoken(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ssl.SSLContext | None, str]:
    """What a server needs to speak so, and the option that makes a mount trust it."""
    if request.param == "clear text":
        return None, "rw"
    certificates = Certificates(str(tmp_path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.good)
    return context, f"cafile={certificates.cafile}"


@pytest.mark.mounted
def test_an_end_without_close_notify_is_an_end(spoken: tuple[ssl.SSLContext | None, str]) -> None:
    talk = type("Spoken", (Ragged,), {"context": spoken[0]})
    with ftp_server(talk) as server, mounted(server.url, spoken[1]) as mount:
        server.tree["/file"] = os.urandom(3_000_000)
        with open(f"{mount.path}/file", "rb") as file:
            assert file.read() == server.tree["/file"]
        shutil.copy(f"{mount.path}/file", f"{mount.path}/copy")
        write(f"{mount.path}/empty", "")
        assert server.tree["/copy"] == server.tree["/file"]
        assert server.tree["/empty"] == b""
        assert sorted(os.listdir(mount.path)) == ["copy", "empty", "file"]


@pytest.mark.mounted
def test_a_file_that_ends_too_early_is_an_error(spoken: tuple[ssl.SSLContext | None, str]) -> None:
    """226 or not: half a file is not taken for the whole."""
    talk = type("Spoken", (Short,), {"context": spoken[0]})
    with ftp_server(talk) as server, mounted(server.url, spoken[1]) as mount:
        server.tree["/file"] = os.urandom(3_000_000)
        with (
            open(f"{mount.path}/file", "rb") as file,
            pytest.raises(OSError, match="Errno") as caught,
        ):
            file.read()
        assert caught.value.errno == errno.EIO
        assert "/file" in mount.log()


@pytest.mark.mounted
def test_a_download_that_breaks_off_before_the_first_byte_is_tried_again() -> None:
    with ftp_server(Breaking) as server, mounted(server.url) as mount:
        server.tree["/file"] = b"content"
        assert read(f"{mount.path}/file") == "content"
        assert server.verbs().count("RETR") == Breaking.times + 1


@pytest.mark.mounted
def test_a_download_that_always_breaks_off_is_an_error_in_the_end() -> None:
    with ftp_server(AlwaysBreaking) as server, mounted(server.url) as mount:
        server.tree["/file"] = b"content"
        file = os.open(f"{mount.path}/file", os.O_RDONLY)
        with pytest.raises(OSError, match="Errno") as caught:
            os.pread(file, 4, 0)
        os.close(file)
        assert caught.value.errno == errno.EIO
        # The kernel may read a second time, when its first request was for more than the program's.
        assert server.verbs().count("RETR") % (1 + len(PASSING_PAUSES_S)) == 0


# -- listings -------------------------------------------------------------------------------------


def test_an_mlsd_that_hangs_is_replaced_by_list() -> None:
    with ftp_server(Speechless) as server, connected(server.url, "timeout=1") as remote:
        server.tree["/file"] = b"content"
        assert list(remote.list("/")) == ["file"]
        assert list(remote.list("/")) == ["file"]
        assert server.verbs().count("MLSD") == 2, "once more by PASV, which was not the reason"
        before = len(server.commands)
        assert downloaded(remote, "/file") == b"content"
        assert "PASV" not in server.verbs()[before:]


# -- helpers --------------------------------------------------------------------------------------


def downloaded(remote: FtpRemote, path: str) -> bytes:
    found, buffer = bytearray(), memoryview(bytearray(1 << 16))
    with contextlib.closing(remote.open_read(path, 0)) as download:
        while count := download.readinto(buffer):
            found += buffer[:count]
    return bytes(found)


def uploaded(remote: FtpRemote, path: str, data: bytes) -> Stored:
    with tempfile.TemporaryFile(buffering=0) as source:
        source.write(data)
        return remote.store(path, source, len(data))


def in_threads(*calls: Callable[[], None]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
        assert not thread.is_alive(), "not finished"
