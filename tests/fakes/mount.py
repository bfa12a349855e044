"""A file system on a server in memory, with the calls that programs make of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

from fakes.memory import MemoryRemote
from ftpfs.content.journal import read_records
from ftpfs.content.space import Space
from ftpfs.content.store import Store, abandoned, directories
from ftpfs.errors import AbsentError
from ftpfs.options import MountOptions
from ftpfs.vfs.filesystem import FileSystem
from ftpfs.vfs.namespace import Namespace

DIR_CACHE_S = 20.0
CREATE = os.O_CREAT | os.O_WRONLY


class Mount:
    """A file system, its server and its clock, with the calls that programs make of it."""

    def __init__(self, spool: str, remote: MemoryRemote, options: MountOptions) -> None:
        self.remote = remote
        self.options = options
        self.now = 1000.0
        self.spool = spool
        space = Space(options.spool_limit or 1 << 40)
        self.found = abandoned(spool, space)  # what mounts before this one left
        self.store = Store.create(spool, space)
        self.namespace = Namespace(remote, options, clock=lambda: self.now)
        self.fs = FileSystem(remote, options, self.store, self.namespace)
        self.keeps: list[str] = []  # paths that are in journals when all is closed
        self.next: Mount | None = None

    def shut(self) -> None:
        """Unmount."""
        self.fs.close()
        for store in (*self.found, self.store):
            store.close()

    def remounted(self, place: str | None = None, **changes: Any) -> Mount:
        """Unmount, and mount the same URL again; the server works by then."""
        self.shut()
        self.remote.works_again()
        options = self.options._replace(**{"unmount_wait": 60.0, **changes})
        self.next = Mount(place or self.spool, self.remote, options)
        return self.next

    def copied(self) -> str:
        """A copy of the spools as they are now: what is left if the process is killed."""
        return shutil.copytree(self.spool, self.spool + "-copy")

    def assert_left(self) -> None:
        """Unmount for good; in the spools is what the test expects, and no other file."""
        if self.next is not None:
            self.next.assert_left()
            return
        self.shut()
        left = [r.path for d in directories(self.spool) for r in read_records(d)]
        assert sorted(left) == sorted(self.keeps)
        assert bool(left) or not os.path.exists(self.spool) or os.listdir(self.spool) == []

    def create(self, path: str, flags: int = CREATE, mode: int = 0o644) -> int:
        return self.fs.create(path, flags, mode)

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        return self.fs.open(path, flags)

    def read(self, handle: int, size: int = 1 << 16, offset: int = 0) -> bytes:
        target = bytearray(size)
        return bytes(target[: self.fs.read_into(handle, memoryview(target), offset)])

    def write(self, handle: int, data: bytes, offset: int = 0) -> None:
        assert self.fs.write(handle, data, offset) == len(data)

    def close(self, handle: int) -> None:
        """What close(2) does: its error is that of flush."""
        try:
            self.fs.flush(handle)
        finally:
            self.fs.release(handle)

    def save(self, path: str, data: bytes, flags: int = CREATE, mode: int = 0o644) -> None:
        handle = self.create(path, flags, mode)
        if data:
            self.write(handle, data)
        self.close(handle)

    def content(self, path: str) -> bytes:
        handle = self.open(path)
        try:
            return self.read(handle, 1 << 20)
        finally:
            self.close(handle)

    def names(self, path: str = "/") -> list[str]:
        handle = self.fs.opendir(path)
        try:
            return [name for name, _ in self.fs.readdir(handle)]
        finally:
            self.fs.releasedir(handle)

    def absent(self, path: str) -> bool:
        try:
            self.fs.getattr(path)
        except AbsentError:
            return True
        return False


MakeMount = Callable[..., Mount]
