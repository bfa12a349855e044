"""What docs/SEMANTICS.md promises of writing, on real mounts: what fails is told to the program
that wrote it, what was acknowledged survives, and each way of sending sends what it should."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounted.places import OVER_TLS, PROFTPD, SERVERS, Work
from mounts import (
    CHECKOUT,
    Mount,
    assert_ended,
    ftpfs,
    home_directory,
    log_of,
    mount_at,
    mounted,
    watched,
)
from servers import Server, paused
from waiting import eventually

pytestmark = pytest.mark.mounted

MIB = 1 << 20


def put(path: str, content: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(content)


def get(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def opened_by_hand(path: str) -> io.FileIO:
    """To be closed by the test itself: when, is what it is about."""
    return open(path, "wb", buffering=0)


def patch(path: str, offset: int, content: bytes) -> None:
    """One change in the middle of a file that is there."""
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        file.write(content)


def put_on_server(work: Work, name: str, content: bytes, size: int = 0) -> None:
    """A file made behind the mount's back, of at least `size` bytes, once the mount shows it."""
    put(f"{work.root}/{name}", content)
    os.truncate(f"{work.root}/{name}", max(size, len(content)))
    eventually(lambda: os.path.exists(f"{work.path}/{name}"), "the mount shows it")


@pytest.fixture(params=["pyftpdlib", *OVER_TLS])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, which may be paused."""
    root = tmp_path / "root"
    root.mkdir()
    with SERVERS[request.param](str(root)) as server:
        yield server


def recover(server: Server, home: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return ftpfs("recover", server.url, *server.words, *arguments, home=home)


def kill(mount: Mount) -> None:
    os.kill(mount.pid, signal.SIGKILL)
    assert_ended(mount.pid)


# -- each way of sending --------------------------------------------------------------------------


def test_only_appended_bytes_go_out_as_appe(work: Work) -> None:
    put(f"{work.path}/log", b"a" * 100_000)
    with watched(work.server, work.mount) as seen, open(f"{work.path}/log", "ab") as file:
        file.write(b"more")
    assert "APPE" in seen.verbs()
    assert "STOR" not in seen.verbs()
    assert "RETR" not in seen.verbs()
    assert get(f"{work.root}/log") == b"a" * 100_000 + b"more"


def test_a_small_change_in_a_big_file_sends_the_change(work: Work) -> None:
    put_on_server(work, "big", b"", 64 * MIB)
    with watched(work.server, work.mount) as seen:
        patch(f"{work.path}/big", 10 * MIB, b"x" * 4096)
    assert f"REST {10 * MIB}" in seen.commands
    content = get(f"{work.root}/big")
    assert len(content) == 64 * MIB
    assert content[10 * MIB : 10 * MIB + 4096] == b"x" * 4096
    assert content.count(0) == 64 * MIB - 4096
    assert [name for name in os.listdir(work.root) if name != "big"] == []


def test_inplace_never_sends_the_whole_file(work: Work) -> None:
    with open(f"{work.root}/big", "wb") as file:
        file.truncate(20 * MIB)
    with mounted(work.url, *work.options, "inplace=never") as mount, watched(work.server) as seen:
        patch(f"{mount.path}/big", MIB, b"x")
    assert "RNTO" in seen.verbs()
    assert get(f"{work.root}/big")[MIB - 1 : MIB + 2] == b"\0x\0"


def test_a_replaced_file_is_old_or_new_for_who_reads_it_on_the_server(work: Work) -> None:
    versions = [bytes([65 + n]) * 3 * MIB for n in range(4)]
    put(f"{work.path}/page", versions[0])
    stop, seen = threading.Event(), set()

    def look() -> None:
        while not stop.is_set():
            seen.add(get(f"{work.root}/page"))

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for version in versions[1:]:
            put(f"{work.path}/new", version)
            os.replace(f"{work.path}/new", f"{work.path}/page")
            patch(f"{work.path}/page", 0, version[:1])
    finally:
        stop.set()
        looker.join()
    assert seen <= set(versions)
    assert versions[-1] == get(f"{work.root}/page")


def test_the_mode_of_a_replaced_file_stays(work: Work) -> None:
    put_on_server(work, "script", b"#!/bin/sh\nexit 0\n")
    os.chmod(f"{work.path}/script", 0o750)
    patch(f"{work.path}/script", 15, b"1")
    assert os.stat(f"{work.root}/script").st_mode & 0o777 == 0o750
    assert get(f"{work.root}/script") == b"#!/bin/sh\nexit 1\n"


def test_nothing_is_sent_for_a_file_that_was_not_changed(work: Work) -> None:
    put(f"{work.path}/file", b"content")
    with watched(work.server, work.mount) as seen, open(f"{work.path}/file", "r+b"):
        pass
    assert set(seen.verbs()) <= {"SIZE", "MDTM", "CWD", "MLST"}


# -- what fails is told ---------------------------------------------------------------------------


KEEPS_LESS = """
import sys
from ftpfs.demo import server
server.check_available()
import os, pyftpdlib.handlers
class Forgetful(pyftpdlib.handlers.DTPHandler):
    def close(self):
        name = getattr(self.file_obj, "name", None) if self.receive else None
        super().close()
        if name and os.path.getsize(name) > 10:
            os.truncate(name, 10)
pyftpdlib.handlers.FTPHandler.dtp_handler = Forgetful
server.main(sys.argv[1:])
"""


@contextlib.contextmanager
def forgetful_server(root: str) -> Iterator[str]:
    """The URL of a server that confirms every upload and keeps ten bytes of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", KEEPS_LESS, root],
        env={**os.environ, "PYTHONPATH": CHECKOUT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        try:
            yield f"ftp://demo:demo@127.0.0.1:{port}/"
        finally:
            process.terminate()


def test_a_server_that_keeps_fewer_bytes_is_an_error_of_close(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with forgetful_server(str(root)) as url, home_directory() as (home, path):
        mount = mount_at(home, path, url)
        with pytest.raises(OSError, match="Input/output") as caught:
            put(f"{path}/file", b"x" * 1000)
        assert caught.value.errno == errno.EIO
        assert ftpfs("umount", path, home=home).returncode == 0
        assert_ended(mount.pid)
        listed = ftpfs("recover", url, "--list", home=home).stdout
        assert "failed" in listed
        assert "holds 10" in listed
        entry = listed.splitlines()[1].split()[0]
        kept = f"{home}/kept"
        assert ftpfs("recover", url, "--export", entry, kept, home=home).returncode == 0
        assert get(kept) == b"x" * 1000
        assert ftpfs("recover", url, "--discard", entry, home=home).returncode == 0
        assert "nothing" in ftpfs("recover", url, "--list", home=home).stdout


def test_a_full_spool_is_enospc_and_the_server_untouched(work: Work) -> None:
    put(f"{work.root}/file", b"old")
    with mounted(work.url, *work.options, "spool_limit=1M") as mount:
        with pytest.raises(OSError, match="No space") as caught:
            put(f"{mount.path}/new", b"x" * 2 * MIB)
        assert caught.value.errno == errno.ENOSPC

        def fits() -> bool:
            with contextlib.suppress(OSError):
                put(f"{mount.path}/small", b"fits")
                return True
            return False

        # What the file held is free after its release, which the kernel does not wait for.
        eventually(fits, "there is room again")
    assert get(f"{work.root}/file") == b"old"
    assert get(f"{work.root}/small") == b"fits"


def test_a_full_local_disk_is_enospc_and_the_mount_goes_on(pyftpdlib: Server) -> None:
    with home_directory() as (home, path):
        spool = f"{home}/spool"
        os.mkdir(spool, 0o700)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", spool], check=True
        )
        mount = mount_at(
            home, path, pyftpdlib.url, *pyftpdlib.options, f"spool={spool},spool_limit=1G"
        )
        with pytest.raises(OSError, match="No space") as caught:
            put(f"{path}/big", b"x" * 4 * MIB)
        assert caught.value.errno == errno.ENOSPC
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}/big")
        put(f"{path}/small", b"fits")
        assert ftpfs("umount", path, home=home).returncode == 0
        assert_ended(mount.pid)
        subprocess.run(["umount", spool], check=True)
    assert get(f"{pyftpdlib.root}/small") == b"fits"


def test_a_spool_that_cannot_be_used(pyftpdlib: Server) -> None:
    with home_directory() as (home, path):
        put(f"{home}/file", b"")
        os.mkdir(f"{home}/open")
        os.chmod(f"{home}/open", 0o777)
        for spool in ("file", "file/below", "open"):
            done = ftpfs(
                "mount",
                pyftpdlib.url,
                path,
                *pyftpdlib.words,
                "-o",
                f"spool={home}/{spool}",
                home=home,
            )
            assert done.returncode == 1
            assert f"{home}/{spool}" in done.stderr
            assert done.stderr.count("\n") == 1


# -- write-back -----------------------------------------------------------------------------------


# A session of vsftpd that was stopped does not go on: it takes the signal for the end of a child.
@pytest.mark.parametrize("own", ["pyftpdlib", *PROFTPD], indirect=True)
def test_close_returns_while_the_server_is_away(own: Server) -> None:
    with mounted(own.url, *own.options, "writeback") as mount:
        files = [opened_by_hand(f"{mount.path}/{n}") for n in range(3)]
        for file in files:
            file.write(b"content")
        with paused(own):
            for file in files:
                file.close()
            listed = ftpfs("pending", mount.path, home=mount.home).stdout
            assert listed.count("pending") == 3
            assert get(f"{mount.path}/1") == b"content"
    assert [get(f"{own.root}/{n}") for n in range(3)] == [b"content"] * 3


def test_fsync_waits_for_the_server(own: Server) -> None:
    with (
        mounted(own.url, *own.options, "writeback") as mount,
        open(f"{mount.path}/file", "wb") as file,
    ):
        file.write(b"content")
        file.flush()
        os.fsync(file.fileno())
        assert get(f"{own.root}/file") == b"content"


def test_unmount_waits_and_the_next_mount_sends_what_is_left(own: Server) -> None:
    with home_directory() as (home, path):
        mount = mount_at(home, path, own.url, *own.options, "writeback,unmount_wait=1,timeout=1")
        file = opened_by_hand(f"{path}/file")
        file.write(b"content")
        with paused(own):
            file.close()
            done = ftpfs("umount", path, home=home)
            assert done.returncode == 0
            assert "1 files are not sent" in done.stderr
            assert_ended(mount.pid)
        assert not os.path.exists(f"{own.root}/file") or get(f"{own.root}/file") != b"content"
        again = mount_at(home, path, own.url, *own.options)
        eventually(lambda: os.path.exists(f"{own.root}/file"), "the next mount sends it")
        eventually(lambda: get(f"{own.root}/file") == b"content", "all of it")
        assert ftpfs("umount", path, home=home).returncode == 0
        assert_ended(again.pid)


# -- after a crash --------------------------------------------------------------------------------


def crashed(home: str, path: str, server: Server, contents: dict[str, bytes]) -> None:
    """A mount that was killed after it acknowledged these files, and before it sent them."""
    mount = mount_at(home, path, server.url, *server.options, "writeback")
    files = {name: opened_by_hand(f"{path}/{name}") for name in contents}
    for name, file in files.items():
        file.write(contents[name])
    with paused(server):
        for file in files.values():
            file.close()
        kill(mount)
    subprocess.run(["fusermount3", "-u", "-z", path], check=True)


def test_recover_sends_what_a_killed_mount_acknowledged(own: Server) -> None:
    contents = {"a": b"1" * 100_000, "b": b""}
    with home_directory() as (home, path):
        crashed(home, path, own, contents)
        done = recover(own, home)
        assert (done.returncode, done.stderr) == (0, "")
        assert {name: get(f"{own.root}/{name}") for name in contents} == contents
        assert "nothing" in ftpfs("pending", own.url, home=home).stdout


def test_a_file_changed_meanwhile_is_kept_beside_it(own: Server) -> None:
    with home_directory() as (home, path):
        crashed(home, path, own, {"file": b"mine, and longer"})
        put(f"{own.root}/file", b"theirs")
        mount = mount_at(home, path, own.url, *own.options)
        eventually(lambda: len(os.listdir(own.root)) == 2, "both are there")
        assert ftpfs("umount", path, home=home).returncode == 0
        assert_ended(mount.pid)
        names = sorted(os.listdir(own.root))
        assert [get(f"{own.root}/{n}") for n in names] == [b"theirs", b"mine, and longer"]
        assert names[1].startswith("file.conflict-")
        assert names[1] in log_of(home)


def test_what_was_not_closed_is_listed_and_not_sent(own: Server) -> None:
    with home_directory() as (home, path):
        mount = mount_at(home, path, own.url, *own.options, "writeback")
        file = opened_by_hand(f"{path}/file")
        file.write(b"ha")
        file.write(b"lf")  # from the second write on it has a record
        kill(mount)
        with contextlib.suppress(OSError):
            file.close()
        subprocess.run(["fusermount3", "-u", "-z", path], check=True)
        assert recover(own, home).returncode == 0
        assert os.listdir(own.root) == []
        assert "before the file was closed" in recover(own, home, "--list").stdout
        assert recover(own, home, "--retry").returncode == 0
        assert get(f"{own.root}/file") == b"half"


def test_two_mounts_of_one_url_do_not_share_their_entries(own: Server) -> None:
    with mounted(own.url, *own.options, "writeback") as first:
        file = opened_by_hand(f"{first.path}/first")
        file.write(b"1")
        with mounted(
            own.url, *own.options, "writeback", f"spool={first.home}/.cache/ftpfs/spool"
        ) as second:
            put(f"{second.path}/second", b"2")
        file.close()
    assert get(f"{own.root}/first") == b"1"
    assert get(f"{own.root}/second") == b"2"


def test_a_damaged_journal_is_moved_aside_and_said(own: Server) -> None:
    with home_directory() as (home, path):
        content = b"content" * 10_000  # in a file of its own; small ones are in the journal
        crashed(home, path, own, {"file": content})
        journals = subprocess.run(
            ["find", home, "-name", "journal.db*"], capture_output=True, text=True, check=True
        ).stdout.split()
        for journal in journals:
            put(journal, b"this is no database, whatever its name says" * 100)
        mount = mount_at(home, path, own.url, *own.options)
        assert "moved to" in log_of(home)
        put(f"{path}/other", b"works")
        assert ftpfs("umount", path, home=home).returncode == 0
        assert_ended(mount.pid)
        kept = subprocess.run(
            ["find", home, "-path", "*damaged*", "-name", "spool-*"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert [get(path) for path in kept] == [content]
    assert get(f"{own.root}/other") == b"works"


def test_umount_returns_when_all_is_sent(own: Server) -> None:
    contents = {str(n): os.urandom(200_000) for n in range(40)}
    with mounted(own.url, *own.options, "writeback") as mount:
        for name, content in contents.items():
            put(f"{mount.path}/{name}", content)
    assert {name: get(f"{own.root}/{name}") for name in contents} == contents
