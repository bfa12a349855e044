"""What the system calls of a program do in a mount: docs/SEMANTICS.md, sentence by sentence."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mounted.places import OVER_TLS, SERVERS, Work, vsftpd_with
from mounts import (
    assert_ended,
    assert_healthy,
    home_directory,
    is_mounted,
    mount_at,
    mounted,
    watched,
)
from servers import Server, connections
from waiting import eventually

from ftpfs.demo import server as demo_server

pytestmark = pytest.mark.mounted

MIB = 1 << 20


def put(path: str, content: bytes | bytearray, flags: int = os.O_CREAT | os.O_TRUNC) -> None:
    """Write as one open, write, close; the close is what may fail."""
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        os.write(fd, content)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)


def get(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    fd = os.open(path, flags, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def fails(call: Callable[..., object], *arguments: object) -> int:
    """The errno of a call that must fail."""
    with pytest.raises(OSError, match="Errno") as caught:
        call(*arguments)
    assert caught.value.errno is not None
    return caught.value.errno


# -- writing --------------------------------------------------------------------------------------


def test_append(work: Work) -> None:
    put(f"{work.path}/log", b"one ")
    with opened(f"{work.path}/log", os.O_RDWR | os.O_APPEND) as fd:
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"two ")
        os.write(fd, b"three")
        assert os.pread(fd, 100, 0) == b"one two three"
    assert get(f"{work.root}/log") == get(f"{work.path}/log") == b"one two three"


def test_two_descriptors_append_in_turn(work: Work) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with opened(f"{work.path}/log", flags) as one, opened(f"{work.path}/log", flags) as two:
        for n in range(20):
            os.write((one, two)[n % 2], b"%02d" % n)
    assert get(f"{work.root}/log") == b"".join(b"%02d" % n for n in range(20))


def test_exclusive_creation(work: Work) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with opened(f"{work.path}/lock", flags):
        assert fails(os.open, f"{work.path}/lock", flags) == errno.EEXIST
    assert fails(os.open, f"{work.path}/lock", flags) == errno.EEXIST
    assert os.listdir(work.root) == ["lock"]  # an empty file is sent, too


def test_read_and_write_through_one_descriptor(work: Work) -> None:
    put(f"{work.path}/file", b"0123456789" * 100)
    with opened(f"{work.path}/file", os.O_RDWR) as fd:
        assert os.read(fd, 10) == b"0123456789"
        os.write(fd, b"XY")
        assert os.read(fd, 3) == b"234"
        assert os.pread(fd, 4, 9) == b"9XY2"
        os.pwrite(fd, b"Z", 999)
    expected = b"0123456789XY" + (b"0123456789" * 100)[12:999] + b"Z"
    assert get(f"{work.root}/file") == get(f"{work.path}/file") == expected


def test_write_only_and_read_only_descriptors(work: Work) -> None:
    with opened(f"{work.path}/file", os.O_WRONLY | os.O_CREAT) as fd:
        assert fails(os.read, fd, 1) == errno.EBADF
    with opened(f"{work.path}/file", os.O_RDONLY) as fd:
        assert fails(os.write, fd, b"x") == errno.EBADF


def test_writing_in_the_middle_of_a_large_file(work: Work) -> None:
    content = bytearray(os.urandom(3 * MIB))
    put(f"{work.path}/file", content)
    with opened(f"{work.path}/file", os.O_WRONLY) as fd:
        for offset in (2 * MIB + 7, 100, MIB - 3):
            os.pwrite(fd, b"patched", offset)
            content[offset : offset + 7] = b"patched"
    assert get(f"{work.root}/file") == get(f"{work.path}/file") == content


def test_holes_read_as_zeros(work: Work) -> None:
    with opened(f"{work.path}/sparse", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"end", 1_000_000)
        assert os.pread(fd, 10, 500_000) == bytes(10)
        assert os.fstat(fd).st_size == 1_000_003
    expected = bytes(1_000_000) + b"end"
    assert get(f"{work.root}/sparse") == get(f"{work.path}/sparse") == expected


def test_truncate_by_path(work: Work) -> None:
    put(f"{work.path}/file", b"0123456789")
    os.truncate(f"{work.path}/file", 4)
    assert get(f"{work.root}/file") == get(f"{work.path}/file") == b"0123"
    os.truncate(f"{work.path}/file", 8)
    assert get(f"{work.root}/file") == get(f"{work.path}/file") == b"0123\0\0\0\0"
    os.truncate(f"{work.path}/file", 0)
    assert get(f"{work.root}/file") == get(f"{work.path}/file") == b""


def test_truncate_by_descriptor(work: Work) -> None:
    put(f"{work.path}/file", b"0123456789")
    with opened(f"{work.path}/file", os.O_RDWR) as fd:
        os.ftruncate(fd, 4)
        os.ftruncate(fd, 6)
        assert os.pread(fd, 100, 0) == b"0123\0\0"
        assert os.fstat(fd).st_size == os.stat(f"{work.path}/file").st_size == 6
    assert get(f"{work.root}/file") == get(f"{work.path}/file") == b"0123\0\0"
    put(f"{work.path}/file", b"new")  # O_TRUNC
    assert get(f"{work.root}/file") == b"new"


def test_unsent_bytes_are_read_through_a_second_descriptor(work: Work) -> None:
    with opened(f"{work.path}/file", os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, b"unsent")
        assert not os.path.exists(f"{work.root}/file")
        assert get(f"{work.path}/file") == b"unsent"
        assert os.stat(f"{work.path}/file").st_size == 6
        assert os.listdir(work.path) == ["file"]
    assert get(f"{work.root}/file") == b"unsent"


def test_fsync_sends(work: Work) -> None:
    with opened(f"{work.path}/file", os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, b"one")
        os.fsync(fd)
        assert get(f"{work.root}/file") == b"one"
        os.write(fd, b"two")
        os.fdatasync(fd)
        assert get(f"{work.root}/file") == b"onetwo"


def test_closing_a_duplicate_sends_once_for_what_was_written(work: Work) -> None:
    with watched(work.server) as seen, opened(f"{work.path}/f", os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, b"one")
        os.close(os.dup(fd))
        assert get(f"{work.root}/f") == b"one"
    assert seen.verbs().count("STOR") == 1


def test_mapped_reading(work: Work) -> None:
    content = os.urandom(2 * MIB + 77)
    put(f"{work.path}/file", content)
    with (
        opened(f"{work.path}/file", os.O_RDONLY) as fd,
        mmap.mmap(fd, 0, prot=mmap.PROT_READ) as area,
    ):
        assert area[-100:] == content[-100:]
        assert area[:] == content


def test_mapped_writing(work: Work) -> None:
    put(f"{work.path}/file", b"." * 10_000)
    with opened(f"{work.path}/file", os.O_RDWR) as fd, mmap.mmap(fd, 10_000) as area:
        area[5000:5003] = b"XYZ"
    expected = b"." * 5000 + b"XYZ" + b"." * 4997
    assert get(f"{work.root}/file") == get(f"{work.path}/file") == expected


def test_mapped_writing_after_the_descriptor_is_closed(work: Work) -> None:
    """No flush comes after it, only the release, which the kernel does not wait for."""
    put(f"{work.path}/file", b"." * 10_000)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    with opened(f"{work.path}/file", os.O_RDWR) as fd:
        rights = mmap.PROT_READ | mmap.PROT_WRITE
        area = libc.mmap(None, 10_000, rights, mmap.MAP_SHARED, fd, 0)
    assert area not in (None, ctypes.c_void_p(-1).value)
    ctypes.memmove(area + 5000, b"XYZ", 3)
    assert libc.munmap(area, 10_000) == 0
    expected = b"." * 5000 + b"XYZ" + b"." * 4997
    eventually(lambda: get(f"{work.root}/file") == expected, "the mapping's bytes are sent")
    assert get(f"{work.path}/file") == expected


# -- names while open -----------------------------------------------------------------------------


def test_an_unlinked_file_stays_readable(work: Work) -> None:
    content = os.urandom(MIB)
    put(f"{work.path}/file", content)
    with opened(f"{work.path}/file", os.O_RDONLY) as fd:
        assert os.read(fd, 10) == content[:10]
        os.unlink(f"{work.path}/file")
        assert os.listdir(work.root) == os.listdir(work.path) == []
        assert os.pread(fd, 2 * MIB, 0) == content


def test_an_unlinked_file_is_never_sent(work: Work) -> None:
    with watched(work.server) as seen:
        with opened(f"{work.path}/file", os.O_RDWR | os.O_CREAT) as fd:
            os.write(fd, b"gone")
            os.unlink(f"{work.path}/file")
            os.write(fd, b" soon")
            assert os.pread(fd, 100, 0) == b"gone soon"
        assert os.listdir(work.path) == []
    assert "STOR" not in seen.verbs()
    assert os.listdir(work.root) == []


def test_a_file_renamed_while_open_is_sent_to_its_new_name(work: Work) -> None:
    with opened(f"{work.path}/old", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"one ")
        os.rename(f"{work.path}/old", f"{work.path}/new")
        os.write(fd, b"two")
        assert os.pread(fd, 100, 0) == b"one two"
    assert os.listdir(work.root) == os.listdir(work.path) == ["new"]
    assert get(f"{work.root}/new") == get(f"{work.path}/new") == b"one two"


def test_a_directory_renamed_around_an_open_file(work: Work) -> None:
    os.mkdir(f"{work.path}/old")
    with opened(f"{work.path}/old/file", os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, b"content")
        os.rename(f"{work.path}/old", f"{work.path}/new")
    assert get(f"{work.root}/new/file") == get(f"{work.path}/new/file") == b"content"
    assert os.listdir(work.root) == os.listdir(work.path) == ["new"]


def test_a_file_replaced_while_open_stays_readable(work: Work) -> None:
    put(f"{work.path}/old", b"old content")
    put(f"{work.path}/new", b"new")
    with opened(f"{work.path}/old", os.O_RDONLY) as fd:
        os.rename(f"{work.path}/new", f"{work.path}/old")
        assert os.pread(fd, 100, 0) == b"old content"
    assert get(f"{work.root}/old") == get(f"{work.path}/old") == b"new"


# -- errors ---------------------------------------------------------------------------------------


def test_errors_of_names(work: Work) -> None:
    at = work.path
    os.mkdir(f"{at}/full")
    put(f"{at}/full/file", b"x")
    os.mkdir(f"{at}/empty")
    assert fails(os.stat, f"{at}/absent") == errno.ENOENT
    assert fails(os.open, f"{at}/absent", os.O_RDONLY) == errno.ENOENT
    assert fails(os.unlink, f"{at}/absent") == errno.ENOENT
    assert fails(os.rmdir, f"{at}/absent") == errno.ENOENT
    assert fails(os.rename, f"{at}/absent", f"{at}/other") == errno.ENOENT
    assert fails(os.mkdir, f"{at}/absent/new") == errno.ENOENT
    assert fails(put, f"{at}/absent/new", b"x") == errno.ENOENT
    assert fails(os.listdir, f"{at}/absent") == errno.ENOENT
    assert fails(os.rmdir, f"{at}/full") == errno.ENOTEMPTY
    assert fails(os.rename, f"{at}/empty", f"{at}/full") == errno.ENOTEMPTY
    assert fails(os.unlink, f"{at}/full") == errno.EISDIR
    assert fails(put, f"{at}/full", b"x") == errno.EISDIR
    assert fails(os.rename, f"{at}/full/file", f"{at}/empty") == errno.EISDIR
    assert fails(os.mkdir, f"{at}/full") == errno.EEXIST
    assert fails(os.mkdir, f"{at}/full/file") == errno.EEXIST
    assert fails(os.rmdir, f"{at}/full/file") == errno.ENOTDIR
    assert fails(os.listdir, f"{at}/full/file") == errno.ENOTDIR
    assert fails(os.stat, f"{at}/full/file/below") == errno.ENOTDIR
    assert fails(os.symlink, "file", f"{at}/link") == errno.EPERM
    assert fails(os.link, f"{at}/full/file", f"{at}/link") == errno.EPERM
    assert fails(os.mkfifo, f"{at}/pipe") == errno.EPERM
    assert fails(os.chown, f"{at}/full/file", 1234, 1234) == errno.EPERM
    assert sorted(os.listdir(work.root)) == sorted(os.listdir(at)) == ["empty", "full"]
    os.rename(f"{at}/full", f"{at}/empty")
    assert os.listdir(work.root) == os.listdir(at) == ["empty"]


def test_errors_of_the_server_behind_a_stale_listing(work: Work) -> None:
    """What others removed is still in the cache: the server's answer decides, and is the truth."""
    os.mkdir(f"{work.path}/folder")
    put(f"{work.path}/file", b"x")
    assert sorted(os.listdir(work.path)) == ["file", "folder"]
    os.unlink(f"{work.root}/file")
    os.rmdir(f"{work.root}/folder")
    assert fails(os.unlink, f"{work.path}/file") == errno.ENOENT
    assert fails(os.rmdir, f"{work.path}/folder") == errno.ENOENT
    assert os.listdir(work.path) == []


def test_close_says_that_the_directory_is_gone(work: Work) -> None:
    os.mkdir(f"{work.path}/folder")
    fd = os.open(f"{work.path}/folder/file", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"lost")
    os.rmdir(f"{work.root}/folder")
    assert fails(os.fsync, fd) == errno.ENOENT
    assert fails(os.close, fd) == errno.ENOENT


@pytest.fixture(scope="module")
def strict_vsftpd(spoken: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its guest is not root, so that it may be denied things."""
    root = tmp_path_factory.mktemp("denied")
    with vsftpd_with(spoken, str(root), guest_username="ftp") as server:
        yield server


def test_close_says_that_the_server_denied_it(strict_vsftpd: Server) -> None:
    folder = f"{strict_vsftpd.root}/roots"
    os.mkdir(folder, 0o755)
    put(f"{folder}/old", b"old")
    with mounted(strict_vsftpd.url, *strict_vsftpd.options) as mount:
        at = f"{mount.path}/roots"
        fd = os.open(f"{at}/new", os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"refused")
        assert fails(os.fsync, fd) == errno.EACCES
        assert fails(os.close, fd) == errno.EACCES
        assert fails(put, f"{at}/old", b"new") == errno.EACCES
        assert fails(os.truncate, f"{at}/old", 1) == errno.EACCES
        assert fails(os.mkdir, f"{at}/folder") == errno.EACCES
        assert fails(os.unlink, f"{at}/old") == errno.EACCES
        assert fails(os.rename, f"{at}/old", f"{at}/other") == errno.EACCES
        # Until their release, which the kernel does not wait for, what was refused is read.
        eventually(lambda: get(f"{at}/old") == b"old", "what the server has is read")
        assert os.listdir(at) == os.listdir(folder) == ["old"]


def test_reading_says_that_the_server_denied_it(strict_vsftpd: Server) -> None:
    put(f"{strict_vsftpd.root}/secret", b"secret")
    os.chmod(f"{strict_vsftpd.root}/secret", 0o600)
    os.mkdir(f"{strict_vsftpd.root}/closed", 0o700)
    with mounted(strict_vsftpd.url, *strict_vsftpd.options) as mount:
        assert fails(get, f"{mount.path}/secret") == errno.EACCES
        assert fails(os.listdir, f"{mount.path}/closed") == errno.EACCES


# -- names ----------------------------------------------------------------------------------------

NAMES = [
    b"a blank",
    b" leading and trailing ",
    b"'single' and \"double\"",
    b"-rf",
    b"*?[a]",
    b"back\\slash",
    b"semi;colon=x",
    b"~tilde",
    b"#hash%20percent",
    b".hidden",
    b"tab\there",
    "Grüße aus Köln".encode(),
    b"n" * 200,
]
BYTES = [b"latin-1 gr\xfc\xdfe", b"\xff\xfe\xfd", b"telnet \xff\xff\xf4"]
"""No UTF-8; pyftpdlib puts question marks in their place, so these are for vsftpd."""


@pytest.mark.parametrize("name", NAMES)
def test_names_survive(work: Work, name: bytes) -> None:
    if work.server.name == "proftpd" and b"*" in name:
        assert fails(os.mkdir, os.fsencode(work.path) + b"/" + name) == errno.EINVAL
    else:
        name_survives(work, name)


@pytest.mark.parametrize("server", ["vsftpd", *OVER_TLS], indirect=True)
@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_utf_8_survive(work: Work, name: bytes) -> None:
    name_survives(work, name)


def name_survives(work: Work, name: bytes) -> None:
    """Each operation on a directory and a file of that name, seen from both sides."""
    at, root = os.fsencode(work.path), os.fsencode(work.root)
    os.mkdir(at + b"/" + name)
    with open(at + b"/" + name + b"/" + name, "wb") as out:
        out.write(name)
    assert os.listdir(root) == os.listdir(root + b"/" + name) == [name]
    assert os.listdir(at) == os.listdir(at + b"/" + name) == [name]
    with open(root + b"/" + name + b"/" + name, "rb") as file:
        assert file.read() == name
    os.rename(at + b"/" + name + b"/" + name, at + b"/file")
    os.rename(at + b"/file", at + b"/" + name + b"2")
    os.rmdir(at + b"/" + name)
    assert os.listdir(root) == os.listdir(at) == [name + b"2"]
    os.unlink(at + b"/" + name + b"2")
    assert os.listdir(root) == os.listdir(at) == []


def test_names_of_the_server_are_shown(work: Work) -> None:
    names = NAMES + (BYTES if work.server.name == "vsftpd" else [])
    root = os.fsencode(work.root)
    for name in names:
        with open(root + b"/" + name, "wb") as out:
            out.write(name)
    with mounted(work.url, *work.options) as mount:
        at = os.fsencode(mount.path)
        assert sorted(os.listdir(at)) == sorted(names)
        for name in names:
            with open(at + b"/" + name, "rb") as file:
                assert file.read() == name


@pytest.mark.parametrize("name", ["cr\rhere", "lf\nhere", "x\r\nDELE file"])
def test_names_that_ftp_cannot_carry(work: Work, name: str) -> None:
    put(f"{work.path}/file", b"x")
    with watched(work.server) as seen:
        path = f"{work.path}/{name}"
        assert fails(os.stat, path) == errno.EINVAL
        assert fails(put, path, b"x") == errno.EINVAL
        assert fails(os.mkdir, path) == errno.EINVAL
        assert fails(os.unlink, path) == errno.EINVAL
        assert fails(os.rename, f"{work.path}/file", path) == errno.EINVAL
        assert fails(os.listdir, path) == errno.EINVAL
    assert seen.commands == []
    assert os.listdir(work.root) == ["file"]


def test_rename_flags(work: Work) -> None:
    no_replace, exchange = 1, 2
    put(f"{work.path}/a", b"a")
    put(f"{work.path}/b", b"b")
    assert renameat2(f"{work.path}/a", f"{work.path}/b", no_replace) == errno.EEXIST
    assert renameat2(f"{work.path}/a", f"{work.path}/b", exchange) == errno.EINVAL
    assert (get(f"{work.root}/a"), get(f"{work.root}/b")) == (b"a", b"b")
    assert renameat2(f"{work.path}/a", f"{work.path}/c", no_replace) == 0
    assert sorted(os.listdir(work.root)) == ["b", "c"]


def renameat2(old: str, new: str, flags: int) -> int:
    """The errno, 0 for success."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = -100  # AT_FDCWD
    done = libc.renameat2(here, os.fsencode(old), here, os.fsencode(new), flags)
    return ctypes.get_errno() if done else 0


# -- attributes -----------------------------------------------------------------------------------


def test_chmod_and_utime(work: Work) -> None:
    put(f"{work.path}/file", b"x")
    os.mkdir(f"{work.path}/folder")
    for name, mode in (("file", 0o751), ("folder", 0o711)):
        os.chmod(f"{work.path}/{name}", mode)
        assert stat.S_IMODE(os.stat(f"{work.path}/{name}").st_mode) == mode
        assert stat.S_IMODE(os.stat(f"{work.root}/{name}").st_mode) == mode
    os.utime(f"{work.path}/file", ns=(0, 1_234_567_890_123_456_789))
    assert os.stat(f"{work.path}/file").st_mtime_ns // 10**9 == 1_234_567_890
    assert os.stat(f"{work.root}/file").st_mtime == 1_234_567_890
    os.utime(f"{work.path}/file")  # now
    assert os.stat(f"{work.path}/file").st_mtime > 1_600_000_000
    os.chown(f"{work.path}/file", os.getuid(), os.getgid())  # the owner shown: nothing to do


def test_a_change_in_a_directory_gives_it_a_new_time(work: Work) -> None:
    at = f"{work.path}/folder"
    os.mkdir(at)
    changes: list[Callable[[], object]] = [
        lambda: put(f"{at}/file", b"x"),
        lambda: os.mkdir(f"{at}/inner"),
        lambda: os.rename(f"{at}/file", f"{at}/moved"),
        lambda: os.unlink(f"{at}/moved"),
        lambda: os.rmdir(f"{at}/inner"),
    ]
    for change in changes:
        os.utime(at, (1_000_000_000, 1_000_000_000))
        assert os.stat(at).st_mtime == 1_000_000_000
        change()
        assert os.stat(at).st_mtime > 1_000_000_000
        assert os.listdir(work.path) == ["folder"]  # and kept in the listing that has it


def test_times_and_modes_of_an_open_file(work: Work) -> None:
    with opened(f"{work.path}/file", os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, b"content")
        os.fchmod(fd, 0o600)
        os.utime(fd, (1_300_000_000, 1_300_000_000))
        assert os.fstat(fd).st_mtime == 1_300_000_000
    for path in (f"{work.root}/file", f"{work.path}/file"):
        status = os.stat(path)
        assert (status.st_mtime, stat.S_IMODE(status.st_mode)) == (1_300_000_000, 0o600)


def test_statfs_and_the_root_do_not_ask_the_server(server: Server) -> None:
    forgetful = "dir_cache=0"  # the kernel remembers nothing
    with mounted(server.url, *server.options, forgetful) as mount:
        with watched(server, mount) as seen:
            space = os.statvfs(mount.path)
            for _ in range(3):
                assert stat.S_ISDIR(os.stat(mount.path).st_mode)
        assert ("getattr", "b'/'") in seen.callbacks
        assert ("statfs", "b'/'") in seen.callbacks
        assert seen.commands == []
        assert min(space.f_blocks, space.f_bfree, space.f_bavail, space.f_bsize) > 0
        assert space.f_namemax > 0


# -- others ---------------------------------------------------------------------------------------


def test_changes_of_others_are_seen_after_the_cache_time(server: Server) -> None:
    folder = f"{server.root}/others"
    os.mkdir(folder)
    put(f"{folder}/file", b"old")
    with mounted(f"{server.url}others", *server.options, "dir_cache=1") as mount:
        assert os.listdir(mount.path) == ["file"]
        assert get(f"{mount.path}/file") == b"old"
        put(f"{folder}/file", b"changed")
        put(f"{folder}/another", b"x")
        eventually(lambda: get(f"{mount.path}/file") == b"changed", "the new content is read")
        eventually(lambda: len(os.listdir(mount.path)) == 2, "the new name is listed")
        os.unlink(f"{folder}/file")
        eventually(lambda: not os.path.exists(f"{mount.path}/file"), "the name is gone")
        assert os.listdir(mount.path) == ["another"]
    shutil.rmtree(folder)


def test_own_changes_are_seen_at_once(work: Work) -> None:
    with watched(work.server) as seen:
        assert os.listdir(work.path) == []
        put(f"{work.path}/file", b"x")
        assert os.listdir(work.path) == ["file"]
        assert os.stat(f"{work.path}/file").st_size == 1
        put(f"{work.path}/file", b"longer")
        assert os.stat(f"{work.path}/file").st_size == 6
        os.mkdir(f"{work.path}/folder")
        assert sorted(os.listdir(work.path)) == ["file", "folder"]
        os.rename(f"{work.path}/file", f"{work.path}/folder/moved")
        assert os.listdir(work.path) == ["folder"]
        assert os.listdir(f"{work.path}/folder") == ["moved"]
        os.unlink(f"{work.path}/folder/moved")
        os.rmdir(f"{work.path}/folder")
        assert os.listdir(work.path) == []
    assert not {"LIST", "MLSD"} & set(seen.verbs())  # known without asking


# -- a listing that cannot be read in part --------------------------------------------------------

SPOILT = (
    b"this is no line of any listing\r\n",
    b"type=file;size=3;modify=20260101000000; up/../../etc/passwd\r\n",
    b"-rw-r--r--   1 owner group 3 Jan  1 00:00 nul\0byte\r\n",
)


@contextlib.contextmanager
def spoilt_server(root: str, *, mlsd: bool) -> Iterator[str]:
    """The URL of a server whose listings hold lines that nobody can read, in between."""
    demo_server.check_available()
    import pyftpdlib.authorizers
    import pyftpdlib.filesystems
    import pyftpdlib.handlers
    import pyftpdlib.ioloop
    import pyftpdlib.servers

    class Filesystem(pyftpdlib.filesystems.AbstractedFS):  # type: ignore[misc]  # it is untyped
        def format_list(self, *arguments: object, **keywords: object) -> Iterator[bytes]:
            yield from SPOILT
            yield from super().format_list(*arguments, **keywords)
            yield from SPOILT

        def format_mlsx(self, *arguments: object, **keywords: object) -> Iterator[bytes]:
            yield from SPOILT
            yield from super().format_mlsx(*arguments, **keywords)

    class Handler(pyftpdlib.handlers.FTPHandler):  # type: ignore[misc]  # it is untyped
        abstracted_fs = Filesystem
        authorizer = pyftpdlib.authorizers.DummyAuthorizer()
        proto_cmds = {  # noqa: RUF012 - read only, as in the base class
            name: what
            for name, what in pyftpdlib.handlers.FTPHandler.proto_cmds.items()
            if mlsd or not name.startswith("MLS")
        }

    Handler.authorizer.add_user("demo", "demo", root)
    loop = pyftpdlib.ioloop.IOLoop.factory()
    server = pyftpdlib.servers.FTPServer(("127.0.0.1", 0), Handler, ioloop=loop)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            loop.loop(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve, name="spoilt-server")
    thread.start()
    try:
        yield f"ftp://demo:demo@127.0.0.1:{server.address[1]}/"
    finally:
        stop.set()
        thread.join()
        server.close_all()


@pytest.mark.parametrize("mlsd", [True, False], ids=["MLSD", "LIST"])
def test_a_line_that_cannot_be_read_is_logged_and_skipped(tmp_path: Path, mlsd: bool) -> None:
    put(f"{tmp_path}/one", b"1")
    put(f"{tmp_path}/two", b"22")
    with spoilt_server(str(tmp_path), mlsd=mlsd) as url, mounted(url) as mount:
        assert sorted(os.listdir(mount.path)) == ["one", "two"]
        assert get(f"{mount.path}/two") == b"22"
        assert "lines of the listing skipped, such as" in mount.log()
        assert "this is no line of any listing" in mount.log()


# -- connections ----------------------------------------------------------------------------------


def comparing(path: str, original: str) -> subprocess.Popen[bytes]:
    """A program that reads a file of the mount to its end, beside others; 0 if it is the same."""
    return subprocess.Popen(["cmp", path, original])


def large_files(root: str, count: int, size: int) -> list[str]:
    names = [f"large{n}" for n in range(count)]
    for name in names:
        put(f"{root}/{name}", os.urandom(size))
    return names


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_two_readers_and_ls_share_one_connection(work: Work) -> None:
    names = large_files(work.root, 2, 60 * MIB)
    os.mkdir(f"{work.root}/folder")
    put(f"{work.root}/folder/file", b"x")
    before = connections(work.server)
    with mounted(work.url, *work.options, "max_conns=1") as mount:
        readers = [comparing(f"{mount.path}/{name}", f"{work.root}/{name}") for name in names]
        assert sorted(os.listdir(mount.path)) == ["folder", *names]
        assert os.listdir(f"{mount.path}/folder") == ["file"]
        assert [reader.wait() for reader in readers] == [0, 0]
    assert connections(work.server) - before == 1


def test_five_readers_where_the_server_allows_two_connections(tmp_path: Path, spoken: str) -> None:
    root = f"{tmp_path}/root"
    os.mkdir(root)
    names = large_files(root, 5, 20 * MIB)
    with (
        vsftpd_with(spoken, root, max_per_ip=2) as server,
        mounted(server.url, *server.options) as mount,
    ):
        readers = [comparing(f"{mount.path}/{name}", f"{root}/{name}") for name in names]
        assert [reader.wait() for reader in readers] == [0] * 5
        assert sorted(os.listdir(mount.path)) == names
        assert "the server allows 2 connections" in mount.log()
    shutil.rmtree(root)


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_mount_and_sends_what_is_open(server: Server, sign: int) -> None:
    name = f"dirty-{sign}"
    with home_directory() as (home, path):
        mount = mount_at(home, path, server.url, *server.options)
        fd = os.open(f"{path}/{name}", os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"not closed yet")
        assert not os.path.exists(f"{server.root}/{name}")
        os.kill(mount.pid, sign)
        assert_ended(mount.pid)
        assert not is_mounted(path)
        assert get(f"{server.root}/{name}") == b"not closed yet"
        assert fails(os.close, fd) == errno.ENOTCONN
        assert_healthy(mount)
