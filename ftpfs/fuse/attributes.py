"""Entries as struct stat."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import Any

from ftpfs.config import KIB
from ftpfs.options import MountOptions
from ftpfs.remote.api import Entry, Kind

_TYPES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.OTHER: stat.S_IFIFO,
}
_DEFAULT_MODES = {Kind.FILE: 0o644, Kind.DIRECTORY: 0o755, Kind.SYMLINK: 0o777, Kind.OTHER: 0}
_BLOCK = 512  # unit of st_blocks, whatever the file system: stat(2)
_BLKSIZE = 128 * KIB
"""Preferred request size: the largest read that the kernel sends by default, and what cp uses."""
_SECOND_NS = 1_000_000_000


class Attributes:
    """Fills struct stat as the options of the mount have it. Immutable; any thread."""

    def __init__(self, options: MountOptions) -> None:
        self._uid, self._gid = options.owner()
        self._mask = None if options.umask < 0 else 0o777 & ~options.umask

    def mode(self, entry: Entry) -> int:
        """st_mode. With `-o umask` the server's permission bits are replaced, else shown."""
        bits = _DEFAULT_MODES[entry.kind] if entry.mode is None else entry.mode
        if self._mask is not None and entry.kind is not Kind.SYMLINK:
            bits = self._mask if entry.kind is Kind.DIRECTORY else self._mask & (0o666 | bits)
        return _TYPES[entry.kind] | bits

    def fill(self, st: Any, entry: Entry) -> None:
        """Fill a zeroed, or formerly filled, `struct stat` of the binding."""
        self.filler(st)(entry)

    def filler(self, st: Any) -> Callable[[Entry], None]:
        """What fills the same `struct stat` with one entry after the other: in a listing, most of
        it stays as it is, and each access through ctypes costs more than the arithmetic."""
        st.st_nlink = 1
        st.st_uid = self._uid
        st.st_gid = self._gid
        st.st_blksize = _BLKSIZE
        specs = st.st_mtimespec, st.st_ctimespec, st.st_atimespec
        looks: tuple[Kind, int | None] | None = None  # what st_mode is made of
        time_ns: int | None = None

        def fill(entry: Entry) -> None:
            nonlocal looks, time_ns
            if (entry.kind, entry.mode) != looks:
                looks = entry.kind, entry.mode
                st.st_mode = self.mode(entry)
            st.st_size = entry.size
            st.st_blocks = -(-entry.size // _BLOCK)
            if entry.mtime_ns != time_ns:
                time_ns = entry.mtime_ns
                seconds, nanoseconds = divmod(time_ns, _SECOND_NS)
                for spec in specs:
                    spec.tv_sec = seconds
                    spec.tv_nsec = nanoseconds

        return fill
