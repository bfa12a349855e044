"""What every Remote does: one suite on the fake in memory and on real servers."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pytest
import servers
from fakes.memory import Directory, MemoryRemote

from ftpfs.errors import (
    AbsentError,
    DeniedError,
    ExistsError,
    IsDirectoryError,
    NameRefusedError,
    NotDirectoryError,
    NotEmptyError,
    RefusedError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.api import Download, Entry, Fingerprint, Kind, Remote, Stored
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Login, Session
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.transport import connect_tcp

SECOND_NS = 1_000_000_000
JOIN_S = 60.0


@dataclass(frozen=True)
class Can:
    """What a server is able to do, and how exact it is; what it cannot, a test asserts too."""

    lists_to_s: int = 1  # exactness of times in listings
    describes: bool = True
    any_bytes: bool = True  # names that are not UTF-8


SERVERS: dict[str, Can] = {
    "memory": Can(),
    "pyftpdlib": Can(),
    "pyftpdlib-list": Can(lists_to_s=60, describes=False),
    "vsftpd": Can(lists_to_s=60, describes=False),
    "proftpd": Can(),
    "pureftpd": Can(),
}


@dataclass
class Served:
    """A Remote on an empty directory of a server."""

    remote: Remote
    can: Can
    sent: Callable[[], int]  # how many commands, or calls, so far
    logins: Callable[[], int]
    reconnected: Callable[[int], contextlib.AbstractContextManager[Remote]]
    directory: str = ""  # on this machine

    def files(self) -> set[str]:
        """All names on the server, as its administrator sees them."""
        if isinstance(self.remote, MemoryRemote):
            return set(_names(self.remote.root))
        top = self.directory
        walk = [(os.path.relpath(d, top), names + more) for d, names, more in os.walk(top)]
        return {os.path.normpath(os.path.join(d, name)) for d, names in walk for name in names}

    def data(self, name: str) -> bytes:
        """A file's content, without FTP."""
        if isinstance(self.remote, MemoryRemote):
            return self.remote.data(f"/{name}")
        with open(os.path.join(self.directory, name), "rb") as file:
            return file.read()

    def store(self, path: str, data: bytes) -> Stored:
        with sent_from(data) as source:
            return self.remote.store(path, source, len(data))

    def replace(self, path: str, data: bytes, mode: int | None = None) -> Stored:
        with sent_from(data) as source:
            return self.remote.replace(path, source, len(data), mode)

    def append(self, path: str, data: bytes, start: int) -> Stored:
        with sent_from(data) as source:
            return self.remote.append(path, source, start, len(data))

    def patch(self, path: str, data: bytes, *ranges: tuple[int, int]) -> Stored:
        with sent_from(data) as source:
            return self.remote.patch(path, source, ranges, len(data))

    def read(self, path: str, offset: int = 0) -> bytes:
        return content(self.remote.open_read(path, offset))


def _names(place: Directory, prefix: str = "") -> Iterator[str]:
    for name, node in place.children.items():
        yield prefix + name
        if isinstance(node, Directory):
            yield from _names(node, f"{prefix}{name}/")


@contextlib.contextmanager
def sent_from(data: bytes) -> Iterator[BinaryIO]:
    """An upload's source: a file without a buffer, which the kernel sends, as a spool is."""
    with tempfile.TemporaryFile(buffering=0) as source:
        source.write(data)
        yield source


def content(download: Download, chunk: int = 1 << 16) -> bytes:
    found, buffer = bytearray(), memoryview(bytearray(chunk))
    try:
        while count := download.readinto(buffer):
            found += buffer[:count]
    finally:
        download.close()
    return bytes(found)


_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=list(SERVERS))
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, servers.Server | None]]:
    name: str = request.param
    root = str(tmp_path_factory.mktemp(name))
    if name == "memory":
        yield name, None
    elif name in ("vsftpd", "proftpd", "pureftpd"):
        with getattr(servers, name + "_server")(root) as running:
            yield name, running
    else:
        with servers.pyftpdlib_server(root, mlsd=name == "pyftpdlib") as running:
            yield name, running


@contextlib.contextmanager
def connected(server: servers.Server, path: str, max_conns: int) -> Iterator[FtpRemote]:
    login = Login("127.0.0.1", server.port, server.user, server.password)
    profile = Profile()
    pool = Pool(lambda: Session.open(login, profile, connect_tcp), max_conns, 30.0)
    remote = FtpRemote(pool, profile)
    try:
        remote.enter(path)
        yield remote
        assert not pool._leased, "a lease was not given back"
    finally:
        pool.close()


@pytest.fixture
def served(server: tuple[str, servers.Server | None]) -> Iterator[Served]:
    name, running = server
    if running is None:
        remote = MemoryRemote()
        yield Served(
            remote,
            SERVERS[name],
            sent=lambda: len(remote.calls),
            logins=lambda: 0,
            reconnected=lambda _: contextlib.nullcontext(remote),
        )
        return
    directory = f"test {next(_numbers)}"
    os.mkdir(os.path.join(running.root, directory))
    running.own(os.path.join(running.root, directory))
    with connected(running, directory, max_conns=3) as remote:
        yield Served(
            remote,
            SERVERS[name],
            sent=lambda: 0 if name == "pureftpd" else len(servers.commands(running)),
            logins=lambda: 0 if name == "pureftpd" else servers.connections(running),
            reconnected=lambda n: connected(running, directory, n),
            directory=os.path.join(running.root, directory),
        )


# -- looking --------------------------------------------------------------------------------------


def test_an_empty_directory(served: Served) -> None:
    assert served.remote.list("/") == {}


def test_list(served: Served) -> None:
    served.store("/file", b"12345")
    served.store("/.hidden", b"")
    served.remote.mkdir("/dir")
    served.store("/dir/inside", b"")
    found = served.remote.list("/")
    assert sorted(found) == [".hidden", "dir", "file"]
    assert (found["file"].kind, found["file"].size) == (Kind.FILE, 5)
    assert found["dir"].kind is Kind.DIRECTORY
    assert all(entry.name == name for name, entry in found.items())
    assert list(served.remote.list("/dir")) == ["inside"]


def test_times_of_a_listing(served: Served) -> None:
    before = time.time_ns()
    served.store("/file", b"x")
    entry = served.remote.list("/")["file"]
    assert entry.precision_s == served.can.lists_to_s
    slack = (served.can.lists_to_s + 1) * SECOND_NS
    assert before - slack <= entry.mtime_ns <= time.time_ns() + slack


def test_stat(served: Served) -> None:
    before = time.time_ns() // SECOND_NS * SECOND_NS
    served.store("/file", b"12345")
    served.remote.mkdir("/dir")
    file, directory = served.remote.stat("/file"), served.remote.stat("/dir")
    assert (file.name, file.kind, file.size) == ("file", Kind.FILE, 5)
    assert (directory.name, directory.kind) == ("dir", Kind.DIRECTORY)
    assert before - SECOND_NS <= file.mtime_ns <= time.time_ns() + SECOND_NS
    assert served.remote.stat("/").kind is Kind.DIRECTORY


def test_stat_of_a_name_in_a_directory(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/dir/inside", b"1")
    assert served.remote.stat("/dir/inside").name == "inside"


def test_describes(served: Served) -> None:
    served.remote.list("/")
    assert served.remote.describes is served.can.describes


def test_what_is_absent(served: Served) -> None:
    served.remote.mkdir("/dir")
    remote = served.remote
    for path in ("/absent", "/absent/too", "/dir/absent"):
        with pytest.raises(AbsentError):
            remote.stat(path)
        with pytest.raises(AbsentError):
            remote.list(path)
        with pytest.raises(AbsentError):
            remote.open_read(path, 0)
        with pytest.raises(AbsentError):
            remote.unlink(path)
        with pytest.raises(AbsentError):
            remote.rmdir(path)
        with pytest.raises(AbsentError):
            remote.rename(path, "/new")
        with pytest.raises(AbsentError):
            remote.chmod(path, 0o600)
        with pytest.raises(AbsentError):
            remote.set_mtime(path, 0)
    assert list(remote.list("/")) == ["dir"]


def test_the_error_of_one_call_does_not_change_the_next(served: Served) -> None:
    """What a server can do is not concluded from a call that failed for another reason."""
    remote = served.remote
    for call in (remote.stat, remote.list, lambda p: remote.set_mtime(p, 0)):
        with pytest.raises(AbsentError):
            call("/absent")
    served.store("/file", b"x")
    remote.set_mtime("/file", 1_000_000_000 * SECOND_NS)
    remote.chmod("/file", 0o600)
    assert remote.stat("/file").mtime_ns == 1_000_000_000 * SECOND_NS
    assert remote.describes is served.can.describes


def test_a_file_is_no_directory(served: Served) -> None:
    served.store("/file", b"x")
    with pytest.raises(NotDirectoryError):
        served.remote.list("/file")
    with pytest.raises(NotDirectoryError):
        served.remote.rmdir("/file")
    assert served.read("/file") == b"x"


def test_a_directory_is_no_file(served: Served) -> None:
    served.remote.mkdir("/dir")
    with pytest.raises(IsDirectoryError):
        served.read("/dir")
    with pytest.raises(IsDirectoryError):
        served.remote.unlink("/dir")
    with pytest.raises(IsDirectoryError):
        served.store("/dir", b"x")
    assert served.remote.list("/dir") == {}


# -- directories ----------------------------------------------------------------------------------


def test_mkdir_and_rmdir(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.remote.mkdir("/dir/sub")
    assert served.remote.list("/dir")["sub"].kind is Kind.DIRECTORY
    with pytest.raises(NotEmptyError):
        served.remote.rmdir("/dir")
    served.remote.rmdir("/dir/sub")
    served.remote.rmdir("/dir")
    assert served.remote.list("/") == {}


def test_mkdir_of_what_exists(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/file", b"x")
    for path in ("/dir", "/file"):
        with pytest.raises(ExistsError):
            served.remote.mkdir(path)
    assert served.read("/file") == b"x"


def test_an_absent_parent(served: Served) -> None:
    served.store("/file", b"x")
    with pytest.raises(AbsentError):
        served.remote.mkdir("/absent/dir")
    with pytest.raises(AbsentError):
        served.store("/absent/file", b"x")
    with pytest.raises(AbsentError):
        served.remote.rename("/file", "/absent/file")
    assert list(served.remote.list("/")) == ["file"]


# -- bytes ----------------------------------------------------------------------------------------

BYTES = bytes(range(256)) * 4000  # about 1 MB, CR and LF in it: shows a transfer made as text


def test_store_and_read(served: Served) -> None:
    served.store("/file", BYTES)
    assert served.read("/file") == BYTES
    assert served.remote.list("/")["file"].size == len(BYTES)


@pytest.mark.parametrize("offset", [1, 100_000, len(BYTES) - 1, len(BYTES)])
def test_read_from_an_offset(served: Served, offset: int) -> None:
    served.store("/file", BYTES)
    assert served.read("/file", offset) == BYTES[offset:]


def test_what_store_tells(served: Served) -> None:
    before = time.time_ns() // SECOND_NS * SECOND_NS
    stored = served.store("/file", b"12345")
    assert stored.size == 5
    assert stored.mtime_ns is not None
    assert before - SECOND_NS <= stored.mtime_ns <= time.time_ns() + SECOND_NS
    assert served.remote.stat("/file").mtime_ns == stored.mtime_ns


def test_store_replaces(served: Served) -> None:
    served.store("/file", b"long content")
    served.store("/file", b"short")
    assert served.read("/file") == b"short"


def test_an_empty_file(served: Served) -> None:
    served.store("/file", b"")
    assert served.read("/file") == b""
    assert served.remote.stat("/file").size == 0


def test_store_sends_the_first_bytes_of_the_source(served: Served) -> None:
    with tempfile.TemporaryFile(buffering=0) as source:
        source.write(b"0123456789")
        source.seek(7)
        served.remote.store("/file", source, 4)
    assert served.read("/file") == b"0123"


def test_an_early_closed_download_leaves_the_connection_usable(served: Served) -> None:
    served.store("/file", BYTES * 20)
    buffer = memoryview(bytearray(1000))
    logins = served.logins()
    for _ in range(5):
        download = served.remote.open_read("/file", 0)
        assert download.readinto(buffer) > 0
        download.close()
        assert list(served.remote.list("/")) == ["file"]
    download = served.remote.open_read("/file", 5)
    download.close()
    download.close()
    assert served.read("/file", 20 * len(BYTES) - 9) == BYTES[-9:]
    assert served.logins() == logins


def test_the_end_is_told_again(served: Served) -> None:
    served.store("/file", b"abc")
    download = served.remote.open_read("/file", 0)
    buffer = memoryview(bytearray(10))
    while download.readinto(buffer):
        pass
    assert download.readinto(buffer) == 0
    download.close()


# -- parts of files and replacements --------------------------------------------------------------


def test_fingerprint(served: Served) -> None:
    assert served.remote.fingerprint("/file") is None
    assert served.remote.fingerprint("/absent/file") is None
    stored = served.store("/file", b"12345")
    assert served.remote.fingerprint("/file") == Fingerprint(5, stored.mtime_ns)
    served.remote.set_mtime("/file", 1_000_000_000 * SECOND_NS)
    assert served.remote.fingerprint("/file") == Fingerprint(5, 1_000_000_000 * SECOND_NS)
    served.remote.unlink("/file")
    assert served.remote.fingerprint("/file") is None


def test_append_sends_the_end(served: Served) -> None:
    served.store("/file", b"0123")
    stored = served.append("/file", b"####456789", 4)
    assert stored.size == 10
    assert stored.mtime_ns is not None
    assert served.read("/file") == b"0123456789"


def test_append_goes_on_after_a_part_that_arrived(served: Served) -> None:
    served.store("/file", BYTES[:1000])
    served.append("/file", BYTES[:300_000], 1000)
    served.append("/file", BYTES, 300_000)
    assert served.read("/file") == BYTES


def test_append_of_nothing(served: Served) -> None:
    served.store("/file", b"0123")
    assert served.append("/file", b"0123", 4).size == 4
    assert served.read("/file") == b"0123"


def test_append_to_a_file_that_is_longer_is_told(served: Served) -> None:
    served.store("/file", b"0123 and another's")
    with pytest.raises(TransferError):
        served.append("/file", b"012345", 4)


PATCHES = {
    "the middle": [(400_000, 404_096)],
    "one byte": [(1, 2)],
    "the last byte": [(len(BYTES) - 1, len(BYTES))],
    "several": [(10, 20), (300_000, 300_001), (900_000, 950_000)],
    "beyond the end": [(len(BYTES), len(BYTES) + 5000)],
    "over the end": [(7, 8), (len(BYTES) - 10, len(BYTES) + 10)],
}


@pytest.mark.parametrize("ranges", PATCHES.values(), ids=PATCHES)
def test_patch(served: Served, ranges: list[tuple[int, int]]) -> None:
    served.store("/file", BYTES)
    size = max(len(BYTES), ranges[-1][1])
    changed = bytearray(BYTES.ljust(size, b"-"))
    for start, end in ranges:
        changed[start:end] = os.urandom(end - start)
    for _ in range(2):  # it may be repeated
        assert served.patch("/file", bytes(changed), *ranges).size == size
        assert served.read("/file") == changed
    assert list(served.remote.list("/")) == ["file"]


def test_can_patch_is_tried_once_and_leaves_nothing(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/dir/file", b"x")
    assert served.remote.can_patch("/dir/file")
    before = served.sent()
    assert served.remote.can_patch("/dir/file")
    assert served.remote.can_patch("/other")
    assert served.sent() == before or isinstance(served.remote, MemoryRemote)
    assert list(served.remote.list("/dir")) == ["file"]
    assert list(served.remote.list("/")) == ["dir"]
    assert served.files() == {"dir", "dir/file"}


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_replace_keeps_the_mode_and_leaves_no_temporary_file(served: Served, mode: int) -> None:
    served.store("/file", b"old")
    served.remote.chmod("/file", mode)
    stored = served.replace("/file", BYTES, mode)
    assert served.read("/file") == BYTES
    entry = served.remote.list("/")["file"]
    assert (entry.size, entry.mode) == (len(BYTES), mode)
    assert served.remote.fingerprint("/file") == Fingerprint(stored.size, stored.mtime_ns)
    assert served.files() == {"file"}


def test_replace_where_there_was_none(served: Served) -> None:
    served.replace("/file", b"new")
    assert served.read("/file") == b"new"


def test_replace_of_a_directory_destroys_nothing(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/dir/inside", b"precious")
    with pytest.raises(IsDirectoryError):
        served.replace("/dir", b"x")
    assert served.files() == {"dir", "dir/inside"}
    served.store("/file", b"old")
    served.replace("/file", b"new")
    assert served.read("/file") == b"new"


def test_replace_in_a_directory_that_is_gone(served: Served) -> None:
    with pytest.raises(AbsentError):
        served.replace("/absent/file", b"x")
    served.store("/file", b"old")
    served.replace("/file", b"new")  # nothing was concluded from it
    assert served.read("/file") == b"new"


def test_a_reader_of_the_servers_file_sees_the_old_or_the_new_content(served: Served) -> None:
    versions = [bytes([number]) * (400_000 + number) for number in range(6)]
    served.store("/file", versions[0])
    found: list[bytes] = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            found.append(served.data("file"))

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for version in versions[1:]:
            served.replace("/file", version)
    finally:
        stop.set()
        reader.join(JOIN_S)
    assert len(found) > len(versions)
    assert set(found) <= set(versions)
    assert served.data("file") == versions[-1]


# -- changes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 1, 951_827_696, 1_900_000_000])
def test_set_mtime_is_exact_to_a_second(served: Served, seconds: int) -> None:
    served.store("/file", b"x")
    served.remote.set_mtime("/file", seconds * SECOND_NS + 999_999_999)
    assert served.remote.stat("/file").mtime_ns == seconds * SECOND_NS
    assert served.read("/file") == b"x"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o400])
def test_chmod(served: Served, mode: int) -> None:
    served.store("/file", b"x")
    served.remote.chmod("/file", mode)
    assert served.remote.list("/")["file"].mode == mode


def test_chmod_of_a_directory(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.remote.chmod("/dir", 0o700)
    assert served.remote.list("/")["dir"].mode == 0o700


def test_unlink(served: Served) -> None:
    served.store("/file", b"x")
    served.store("/other", b"y")
    served.remote.unlink("/file")
    assert list(served.remote.list("/")) == ["other"]


def test_rename(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/file", b"content")
    served.remote.rename("/file", "/dir/new name")
    assert list(served.remote.list("/")) == ["dir"]
    assert served.read("/dir/new name") == b"content"


def test_rename_onto_a_file_replaces_it(served: Served) -> None:
    served.store("/old", b"new content")
    served.store("/new", b"old")
    served.remote.rename("/old", "/new")
    assert list(served.remote.list("/")) == ["new"]
    assert served.read("/new") == b"new content"


def test_rename_of_a_directory(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.remote.mkdir("/dir/sub")
    served.store("/dir/sub/file", b"content")
    served.remote.rename("/dir", "/moved")
    assert list(served.remote.list("/")) == ["moved"]
    assert served.read("/moved/sub/file") == b"content"


def test_a_directory_does_not_replace_a_file(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/file", b"precious")
    with pytest.raises(RefusedError) as caught:
        served.remote.rename("/dir", "/file")
    assert not isinstance(caught.value, AbsentError | UnsupportedError)
    assert sorted(served.remote.list("/")) == ["dir", "file"]
    assert served.read("/file") == b"precious"


def test_a_file_does_not_replace_a_directory(served: Served) -> None:
    served.store("/file", b"content")
    served.remote.mkdir("/dir")
    served.store("/dir/inside", b"precious")
    with pytest.raises(IsDirectoryError):
        served.remote.rename("/file", "/dir")
    assert served.read("/dir/inside") == b"precious"
    assert served.read("/file") == b"content"


# -- names ----------------------------------------------------------------------------------------

NAMES = [
    "a b",
    " leading",
    "trailing ",
    "  two  each  ",
    'quo"ted',
    '""',
    "it's",
    "[brackets]",
    "(round) {curly}",
    "star*",
    "*",
    "quest?ion",
    "~x",
    "~",
    "-la",
    "-",
    "back\\slash",
    "$HOME `x` %41 100%",
    "a=1;b=2",
    "type=dir; x",
    "semi;colon",
    "tab\there",
    "...",
    ".dot",
    "Grüße aus Köln",
    "Gru\u0308ße",
    "日本語",
    "\N{PILE OF POO}",
    "x" * 255,
    "a -> b",
    "Jan 1 00:00 x",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name(served: Served, name: str) -> None:
    round_trip(served, name)


@pytest.mark.parametrize("name", ["caf\udce9", "\udcff\udcfe", "ok\udc80ü"])
def test_a_name_that_is_not_utf8(served: Served, name: str) -> None:
    if served.can.any_bytes:
        round_trip(served, name)
        return
    with contextlib.suppress(RefusedError):
        served.store(f"/{name}", b"content")
    assert name not in served.remote.list("/"), "it can: the table is out of date"


def round_trip(served: Served, name: str) -> None:
    """The name as that of a file, of a directory with a file in it, and renamed to and from."""
    remote = served.remote
    served.store(f"/{name}", b"content")
    assert list(remote.list("/")) == [name]
    assert remote.stat(f"/{name}").name == name
    assert remote.stat(f"/{name}").size == 7
    assert served.read(f"/{name}") == b"content"
    remote.set_mtime(f"/{name}", 1_000_000_000 * SECOND_NS)
    remote.chmod(f"/{name}", 0o600)
    remote.rename(f"/{name}", "/plain")
    remote.mkdir(f"/{name}")
    remote.rename("/plain", f"/{name}/{name}")
    entry: Entry = remote.list(f"/{name}")[name]
    assert (entry.kind, entry.size) == (Kind.FILE, 7)
    assert (
        entry.mtime_ns // SECOND_NS // served.can.lists_to_s
        == (1_000_000_000 // served.can.lists_to_s)
        or entry.precision_s > 60
    )
    remote.unlink(f"/{name}/{name}")
    remote.rmdir(f"/{name}")
    assert remote.list("/") == {}


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a\0b", "\r\nDELE precious", "end\n"])
def test_a_name_that_cannot_be_sent(served: Served, name: str) -> None:
    served.store("/precious", b"x")
    remote, path = served.remote, f"/{name}"
    calls: list[Callable[[], object]] = [
        lambda: remote.list(path),
        lambda: remote.stat(path),
        lambda: remote.open_read(path, 0),
        lambda: served.store(path, b""),
        lambda: remote.mkdir(path),
        lambda: remote.rmdir(path),
        lambda: remote.unlink(path),
        lambda: remote.rename(path, "/new"),
        lambda: remote.rename("/precious", path),
        lambda: remote.set_mtime(path, 0),
        lambda: remote.chmod(path, 0o600),
    ]
    before = served.sent()
    for call in calls:
        with pytest.raises(NameRefusedError):
            call()
    assert served.sent() == before
    assert list(remote.list("/")) == ["precious"]
    assert served.sent() > before, "what is counted counts"


def test_a_link_that_leads_to_another_name(served: Served) -> None:
    """No server of these makes one by FTP; but a name that looks like one is a name."""
    with contextlib.suppress(DeniedError):
        served.store("/a -> b", b"12")
    assert served.remote.list("/")["a -> b"].target is None


# -- threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_conns", [1, 2])
def test_downloads_and_listings_at_once(served: Served, max_conns: int) -> None:
    for number in range(4):
        served.store(f"/{number}", BYTES[number:])
    problems: list[BaseException] = []

    with served.reconnected(max_conns) as remote:

        def read(number: int) -> None:
            try:
                for _ in range(3):
                    assert content(remote.open_read(f"/{number}", 0)) == BYTES[number:]
            except BaseException as error:
                problems.append(error)

        def look() -> None:
            try:
                for _ in range(6):
                    assert sorted(remote.list("/")) == ["0", "1", "2", "3"]
                    assert remote.stat("/0").size == len(BYTES)
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
        threads += [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(JOIN_S)
        assert not any(thread.is_alive() for thread in threads), "not finished"
        assert problems == []
