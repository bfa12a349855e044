"""The FUSE operations: one line a callback, over the file system of `vfs`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ftpfs.config import READ_AHEAD_BYTES
from ftpfs.fuse.attributes import Attributes
from ftpfs.options import MountOptions
from ftpfs.remote.api import Entry
from ftpfs.vfs.filesystem import FileSystem, Pages

_STATFS_BLOCK = 4096
_NAME_MAX = 255


_READDIRPLUS_AUTO = 1 << 14
"""FUSE_CAP_READDIRPLUS_AUTO: the kernel guesses whether attributes are wanted with the names. They
cost us nothing, and `rm -r` of 2,000 names would ask for most of them, one by one."""


class Operations:
    """What the binding calls, from any of libfuse's threads.

    `path` is None where the kernel knows only the handle. Extended attributes, locks and the
    like have no method here on purpose: the kernel learns at the first call that there are none,
    and never calls again.
    """

    use_ns = True
    flag_nullpath_ok = 1
    flag_nopath = 1
    flag_utime_omit_ok = 1

    def __init__(
        self, filesystem: FileSystem, options: MountOptions, on_ready: Callable[[], None]
    ) -> None:
        self._fs = filesystem
        self._options = options
        self._on_ready = on_ready
        self.attributes = Attributes(options)

    # -- life ---------------------------------------------------------------------------------

    def init(self, _path: str) -> None:
        self._on_ready()

    def init_with_config(self, connection: Any, config: Any) -> None:
        if config is not None:  # libfuse 3; version 2 gets the times as mount options
            connection.want &= ~_READDIRPLUS_AUTO
            connection.max_readahead = READ_AHEAD_BYTES
            config.attr_timeout = config.entry_timeout = self._options.kernel_cache_s()
            config.negative_timeout = self._options.kernel_absence_s()
        self._on_ready()

    # -- attributes ---------------------------------------------------------------------------

    def getattr(self, path: str | None, handle: int | None = None) -> Entry:
        return self._fs.getattr(path, handle)

    def access(self, path: str, mode: int) -> None:
        self._fs.access(path, write=bool(mode & os.W_OK))

    def readlink(self, path: str) -> str:
        return self._fs.readlink(path)

    def chmod(self, path: str | None, mode: int, handle: int | None = None) -> None:
        self._fs.chmod(path, mode & 0o7777, handle)

    def chown(self, path: str | None, uid: int, gid: int, handle: int | None = None) -> None:
        self._fs.chown(path, uid, gid, handle)

    def utimens(self, path: str | None, mtime_ns: int | None, handle: int | None = None) -> None:
        self._fs.utimens(path, mtime_ns, handle)

    def statfs(self, _path: str) -> dict[str, int]:
        space = self._fs.space()
        blocks, free = space.total // _STATFS_BLOCK, space.free // _STATFS_BLOCK
        return {
            "f_bsize": _STATFS_BLOCK,
            "f_frsize": _STATFS_BLOCK,
            "f_blocks": blocks,
            "f_bfree": free,
            "f_bavail": free,
            "f_namemax": _NAME_MAX,
        }

    # -- directories and names ----------------------------------------------------------------

    def opendir(self, path: str) -> int:
        return self._fs.opendir(path)

    def readdir(self, _path: str | None, handle: int) -> list[tuple[str, Entry]]:
        return self._fs.readdir(handle)

    def changed(self, handle: int) -> dict[str, bool]:
        return self._fs.changed(handle)

    def releasedir(self, _path: str | None, handle: int) -> None:
        self._fs.releasedir(handle)

    def mkdir(self, path: str, mode: int) -> None:
        self._fs.mkdir(path, mode & 0o7777)

    def rmdir(self, path: str) -> None:
        self._fs.rmdir(path)

    def unlink(self, path: str) -> None:
        self._fs.unlink(path)

    def rename(self, old: str, new: str, flags: int = 0) -> None:
        self._fs.rename(old, new, flags)

    def symlink(self, path: str, _target: str) -> None:
        self._fs.refuse_link(path)

    def link(self, path: str, _target: str) -> None:
        self._fs.refuse_link(path)

    def mknod(self, path: str, _mode: int, _device: int) -> None:
        self._fs.refuse_link(path)

    # -- content ------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        return self._fs.open(path, flags)

    def pages(self, handle: int) -> Pages:
        return self._fs.pages(handle)

    def create(self, path: str, mode: int, flags: int) -> int:
        return self._fs.create(path, flags, mode & 0o7777)

    def read(self, handle: int, target: memoryview, offset: int) -> int:
        return self._fs.read_into(handle, target, offset)

    def write(self, handle: int, data: memoryview, offset: int) -> int:
        return self._fs.write(handle, data, offset)

    def truncate(self, path: str | None, length: int, handle: int | None = None) -> None:
        self._fs.truncate(path, length, handle)

    def flush(self, _path: str | None, handle: int) -> None:
        self._fs.flush(handle)

    def fsync(self, _path: str | None, _datasync: int, handle: int) -> None:
        self._fs.fsync(handle)

    def release(self, _path: str | None, handle: int) -> None:
        self._fs.release(handle)
