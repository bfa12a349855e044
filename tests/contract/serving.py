"""What the contract suite works on: a Remote on an empty directory, and what its server can do."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from fakes.memory import Directory, MemoryRemote
from remotes import Traffic, connected
from servers import Server

from ftpfs.remote.api import Download, Remote, Stored

SECOND_NS = 1_000_000_000
JOIN_S = 60.0
BYTES = bytes(range(256)) * 4000  # about 1 MB, CR and LF in it: shows a transfer made as text


@dataclass(frozen=True)
class Can:
    """What a server is able to do, and how exact it is; what it cannot, a test asserts too."""

    lists_to_s: int = 1  # exactness of times in listings
    describes: bool = True
    patches: bool = True  # REST + STOR overwrites in place
    appends: bool = True
    overwrites: bool = True  # STOR and RNTO onto a file
    changes: frozenset[str] = frozenset()  # names that it would store as others
    refuses: frozenset[str] = frozenset()  # names that it does not take
    refuses_directories: frozenset[str] = frozenset()  # the same, but only for directories
    longest_path: int = 4000  # bytes
    survives_cuts: bool = True  # under TLS: a download cut short does not cost the connection


CAN: dict[str, Can] = {
    "memory": Can(),
    "pyftpdlib": Can(),
    "pyftpdlib-list": Can(lists_to_s=60, describes=False),
    "vsftpd": Can(lists_to_s=60, describes=False),
    "proftpd": Can(
        refuses_directories=frozenset({"*", "star*"}), longest_path=2000, survives_cuts=False
    ),
    "proftpd-bare": Can(
        patches=False,
        appends=False,
        overwrites=False,
        refuses_directories=frozenset({"*", "star*"}),
        longest_path=2000,
    ),
    "pureftpd": Can(
        patches=False,
        survives_cuts=False,
        changes=frozenset({"trailing ", "  two  each  ", "tab\there"}),
        refuses=frozenset({"back\\slash"}),
    ),
}


@dataclass
class Served:
    """A Remote on an empty directory of a server."""

    remote: Remote
    can: Can
    traffic: Traffic
    reconnected: Callable[..., contextlib.AbstractContextManager[Remote]]
    directory: str = ""  # on this machine
    tls: bool = False
    own: Callable[[str], None] = lambda _: None  # hand what is in it to the server's user
    limits: list[str] = field(default_factory=list)  # for the table of docs/SERVERS.md

    def sent(self) -> int:
        """How many commands, or calls, so far."""
        remote = self.remote
        return len(remote.calls) if isinstance(remote, MemoryRemote) else self.traffic.commands

    def lacks(self, what: str) -> None:
        """Say in docs/SERVERS.md what this server cannot do; the test asserts that it cannot."""
        self.limits.append(what)

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


# -- on a server ----------------------------------------------------------------------------------

_numbers = itertools.count(1)


@contextlib.contextmanager
def on_memory() -> Iterator[Served]:
    remote = MemoryRemote()
    yield Served(remote, CAN["memory"], Traffic(), lambda *_, **__: contextlib.nullcontext(remote))


@contextlib.contextmanager
def on_server(kind: str, server: Server, options: tuple[str, ...]) -> Iterator[Served]:
    """A Remote on a fresh directory."""
    name = f"test {next(_numbers)}"
    directory = os.path.join(server.root, name)
    os.mkdir(directory)
    server.own(directory)
    traffic = Traffic()

    def again(*more: str) -> contextlib.AbstractContextManager[Remote]:
        return connected(server.url, *options, *more, path=name)

    with connected(server.url, *options, "max_conns=3", path=name, traffic=traffic) as remote:
        tls = server.certificates is not None
        yield Served(remote, CAN[kind], traffic, again, directory, tls, server.own)
