"""A Remote in memory: a tree of dicts that honours `remote/api.py`, counts, fails and stalls."""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ftpfs.errors import (
    AbsentError,
    DeniedError,
    ExistsError,
    FtpfsError,
    IsDirectoryError,
    NotDirectoryError,
    NotEmptyError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.api import Entry, Fingerprint, Kind, Ranges, Stored
from ftpfs.wire.pathname import check_path, split

SECOND_NS = 1_000_000_000
_CHUNK = 64 * 1024
_UPLOADS = frozenset({"store", "replace", "append", "patch"})


@dataclass
class File:
    data: bytes = b""
    mtime_ns: int = 0
    mode: int | None = 0o644


@dataclass
class Directory:
    children: dict[str, Node] = field(default_factory=dict)
    mtime_ns: int = 0
    mode: int | None = 0o755


@dataclass
class Link:
    target: str
    mtime_ns: int = 0
    mode: int | None = 0o777


Node = File | Directory | Link
_KINDS = {File: Kind.FILE, Directory: Kind.DIRECTORY, Link: Kind.SYMLINK}


class Stall:
    """A call that does not come back until `go` is set; `reached` is set once it is in there."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()


class MemoryRemote:
    """A server of one's own. Any thread; `_lock` guards the tree, and is not held in a stall.

    `precision_s` is how exact a listing's times are (60: a LIST server), `describes` whether
    `stat` tells all at once (MLST), as in the Protocol.
    """

    def __init__(self, *, describes: bool = True, precision_s: int = 1) -> None:
        self.base = "/"
        self.describes = describes
        self.root = Directory()
        self.calls: list[tuple[str, ...]] = []  # (method, path) as they came
        self.moved = 0  # bytes given out by downloads
        self.received = 0  # bytes taken by uploads
        self.sets_time = True
        self.sets_mode = True
        self.replaces = True
        self.spares = 0  # connections for what may be asked for soon
        self.ahead: list[str] = []  # what was asked for over them
        self.patches = True
        self.round_trip_s = 1.0
        self.seeks = True  # downloads may begin elsewhere than at 0
        self.free: int | None = None
        self._precision_s = precision_s
        self._lock = threading.RLock()
        self._failures: dict[str, deque[FtpfsError]] = {}
        self._stalls: dict[str, deque[Stall]] = {}
        self._breaks: dict[str, deque[tuple[int, FtpfsError]]] = {}

    # -- for tests ----------------------------------------------------------------------------

    def count(self, method: str, path: str | None = None) -> int:
        return sum(call[0] == method and path in (None, call[1]) for call in self.calls)

    def uploads(self, path: str | None = None) -> list[str]:
        """The methods that sent something, in order."""
        return [c[0] for c in self.calls if c[0] in _UPLOADS and path in (None, c[1])]

    def fail_next(self, method: str, error: FtpfsError) -> None:
        """The next call of `method` raises `error`, and does nothing else."""
        self._failures.setdefault(method, deque()).append(error)

    def works_again(self) -> None:
        """Forget what was still to fail."""
        self._failures.clear()
        self._breaks.clear()

    def break_next(self, method: str, after: int, error: FtpfsError) -> None:
        """The next upload by `method` takes `after` bytes, which stay, and raises `error`."""
        self._breaks.setdefault(method, deque()).append((after, error))

    def stall_next(self, method: str) -> Stall:
        """The next call of `method` waits before it does anything."""
        stall = Stall()
        self._stalls.setdefault(method, deque()).append(stall)
        return stall

    def put(self, path: str, data: bytes, mtime_ns: int = 1_000 * SECOND_NS) -> None:
        """What another client does: a file with this content, in directories made for it."""
        parent, name = split(path)
        self.make_directory(parent)
        self._directory(parent).children[name] = File(data, mtime_ns)

    def make_directory(self, path: str) -> None:
        place = self.root
        for part in filter(None, path.split("/")):
            child = place.children.setdefault(part, Directory())
            assert isinstance(child, Directory)
            place = child

    def put_link(self, path: str, target: str) -> None:
        parent, name = split(path)
        self._directory(parent).children[name] = Link(target)

    def data(self, path: str) -> bytes:
        node = self._node(path)
        assert isinstance(node, File)
        return node.data

    def mtime_ns(self, path: str) -> int:
        return self._node(path).mtime_ns

    def mode(self, path: str) -> int | None:
        return self._node(path).mode

    def exists(self, path: str) -> bool:
        try:
            self._node(path)
        except (AbsentError, NotDirectoryError):
            return False
        return True

    def _called(self, method: str, *paths: str) -> None:
        for path in paths:
            check_path(path)
        with self._lock:
            self.calls.append((method, *paths))
            stall = _next(self._stalls.get(method))
        if stall is not None:
            stall.reached.set()
            assert stall.go.wait(60), f"{method} was never let go on"
        error = _next(self._failures.get(method))
        if error is not None:
            raise error

    # -- the Protocol -------------------------------------------------------------------------

    def list(self, path: str) -> dict[str, Entry]:
        self._called("list", path)
        with self._lock:
            children = self._directory(path).children
            return {name: self._listed(name, node) for name, node in children.items()}

    def _listed(self, name: str, node: Node) -> Entry:
        unit = self._precision_s * SECOND_NS
        return self._entry(name, node, node.mtime_ns - node.mtime_ns % unit, self._precision_s)

    def _entry(self, name: str, node: Node, mtime_ns: int, precision_s: int) -> Entry:
        size = len(node.data) if isinstance(node, File) else 0
        target = node.target if isinstance(node, Link) else None
        return Entry(name, _KINDS[type(node)], size, mtime_ns, precision_s, node.mode, target)

    def stat(self, path: str) -> Entry:
        self._called("stat", path)
        with self._lock:
            node = self._node(path)
            return self._entry(split(path)[1], node, node.mtime_ns, 1)

    def open_read(self, path: str, offset: int, *, identify: bool = False) -> MemoryDownload:
        self._called("open_read", path)
        with self._lock:
            file = self._file(path)
            found = Fingerprint(len(file.data), file.mtime_ns) if identify else None
            return MemoryDownload(self, file.data[offset:], found)

    def spare(self) -> MemorySpare | None:
        with self._lock:
            if self.spares == 0:
                return None
            self.spares -= 1
        return MemorySpare(self)

    def fingerprint(self, path: str) -> Fingerprint | None:
        self._called("fingerprint", path)
        with self._lock:
            try:
                file = self._file(path)
            except AbsentError:
                return None
            return Fingerprint(len(file.data), file.mtime_ns)

    def store(self, path: str, source: BinaryIO, size: int) -> Stored:
        self._called("store", path)
        with self._lock:
            parent, name = split(path)
            file = self._directory(parent).children.get(name, File())
            if not isinstance(file, File):
                raise IsDirectoryError(f"{path}: is a directory")
            self._directory(parent).children[name] = file
            file.data = b""
            return self._taken("store", file, source, [(0, size)], size)

    def replace(self, path: str, source: BinaryIO, size: int, mode: int | None) -> Stored:
        self._called("replace", path)
        if not self.replaces:
            raise UnsupportedError(f"{path}: no replacement by a temporary name")
        with self._lock:
            parent, name = split(path)
            children = self._directory(parent).children
            if isinstance(children.get(name), Directory):
                raise IsDirectoryError(f"{path}: is a directory")
            file = File()
            if mode is not None and self.sets_mode:
                file.mode = mode
            stored = self._taken("replace", file, source, [(0, size)], size)
            children[name] = file
            return stored

    def append(self, path: str, source: BinaryIO, start: int, size: int) -> Stored:
        self._called("append", path)
        with self._lock:
            file = self._file(path)
            source.seek(start)
            there = len(file.data)
            tail = io.BytesIO(bytes(there) + (source.read(size - start) or b""))
            return self._taken("append", file, tail, [(there, there + size - start)], size)

    def patch(self, path: str, source: BinaryIO, ranges: Ranges, size: int) -> Stored:
        self._called("patch", path)
        assert all(start > 0 for start, _ in ranges)
        with self._lock:
            return self._taken("patch", self._file(path), source, ranges, size)

    def can_patch(self, path: str) -> bool:
        self._called("can_patch", path)
        return self.patches

    def _taken(
        self, method: str, file: File, source: BinaryIO, ranges: Ranges, size: int
    ) -> Stored:
        """Put ranges of `source` into a file; what arrived before a break stays."""
        room, error = _next(self._breaks.get(method)) or (None, None)
        held = bytearray(file.data)
        for start, end in ranges:
            source.seek(start)
            data = source.read(end - start) or b""
            if len(data) < end - start:
                raise TransferError(f"the local copy ended at {start + len(data)} of {end} bytes")
            if room is not None:
                data = data[:room]
                room -= len(data)
            held += bytes(max(0, start - len(held)))
            held[start : start + len(data)] = data
            self.received += len(data)
        file.data = bytes(held)
        file.mtime_ns = time.time_ns() // SECOND_NS * SECOND_NS
        if error is not None:
            raise error
        if len(file.data) != size:
            raise TransferError(f"confirmed {size} bytes but holds {len(file.data)}")
        return Stored(size, file.mtime_ns)

    def mkdir(self, path: str) -> None:
        self._called("mkdir", path)
        with self._lock:
            parent, name = split(path)
            children = self._directory(parent).children
            if name in children:
                raise ExistsError(f"{path}: exists")
            children[name] = Directory(mtime_ns=time.time_ns() // SECOND_NS * SECOND_NS)

    def rmdir(self, path: str) -> None:
        self._called("rmdir", path)
        with self._lock:
            if self._directory(path).children:
                raise NotEmptyError(f"{path}: not empty")
            self._remove(path)

    def unlink(self, path: str) -> None:
        self._called("unlink", path)
        with self._lock:
            if isinstance(self._node(path), Directory):
                raise IsDirectoryError(f"{path}: is a directory")
            self._remove(path)

    def _remove(self, path: str) -> None:
        parent, name = split(path)
        del self._directory(parent).children[name]

    def rename(self, old: str, new: str) -> None:
        self._called("rename", old, new)
        with self._lock:
            node = self._node(old)
            parent, name = split(new)
            there = self._directory(parent).children
            target = there.get(name)
            if isinstance(node, Directory) and isinstance(target, File | Link):
                raise NotDirectoryError(f"{new}: not a directory")
            if isinstance(target, Directory):
                if not isinstance(node, Directory):
                    raise IsDirectoryError(f"{new}: is a directory")
                if target.children:
                    raise NotEmptyError(f"{new}: not empty")
            if new.startswith(old + "/"):
                raise DeniedError(f"{new}: below {old}")
            self._remove(old)
            there[name] = node

    def set_mtime(self, path: str, mtime_ns: int) -> None:
        self._called("set_mtime", path)
        with self._lock:
            node = self._node(path)
            if not self.sets_time:
                raise UnsupportedError(f"{path}: no way to set a time")
            node.mtime_ns = mtime_ns // SECOND_NS * SECOND_NS

    def chmod(self, path: str, mode: int) -> None:
        self._called("chmod", path)
        with self._lock:
            node = self._node(path)
            if not self.sets_mode:
                raise UnsupportedError(f"{path}: no way to set permissions")
            node.mode = mode

    def free_bytes(self) -> int | None:
        return self.free

    # -- the tree -----------------------------------------------------------------------------

    def _node(self, path: str) -> Node:
        node: Node = self.root
        for part in filter(None, path.split("/")):
            if not isinstance(node, Directory):
                raise NotDirectoryError(f"{path}: not a directory")
            if part not in node.children:
                raise AbsentError(f"{path}: no such file or directory")
            node = node.children[part]
        return node

    def _directory(self, path: str) -> Directory:
        node = self._node(path)
        if not isinstance(node, Directory):
            raise NotDirectoryError(f"{path}: not a directory")
        return node

    def _file(self, path: str) -> File:
        node = self._node(path)
        if not isinstance(node, File):
            raise IsDirectoryError(f"{path}: is a directory")
        return node


class MemoryDownload:
    """The bytes as they were when it was opened."""

    def __init__(self, remote: MemoryRemote, data: bytes, found: Fingerprint | None) -> None:
        self.found = found
        self._remote = remote
        self._data = memoryview(data)
        self._at = 0
        self.wanted = False
        self.wide = True

    def narrow(self) -> None:
        self.wide = False

    def widen(self) -> None:
        self.wide = True

    def skip(self) -> bool:
        return False

    def readinto(self, buffer: memoryview) -> int:
        self._remote._called("readinto")
        count = min(len(buffer), len(self._data) - self._at, _CHUNK)
        buffer[:count] = self._data[self._at : self._at + count]
        self._at += count
        self._remote.moved += count
        return count

    def close(self) -> None:
        self._data = memoryview(b"")
        self._at = 0


class MemorySpare:
    """One of `remote.spares` connections."""

    def __init__(self, remote: MemoryRemote) -> None:
        self._remote = remote
        self.wanted = False

    def connect(self) -> None:
        pass

    def list(self, path: str) -> dict[str, Entry]:
        self._remote.ahead.append(path)
        return self._remote.list(path)

    def open_read(self, path: str, offset: int, *, identify: bool = False) -> MemoryDownload:
        self._remote.ahead.append(path)
        return self._remote.open_read(path, offset, identify=identify)

    def close(self) -> None:
        with self._remote._lock:
            self._remote.spares += 1


def _next(queue: deque[Any] | None) -> Any:
    return queue.popleft() if queue else None
