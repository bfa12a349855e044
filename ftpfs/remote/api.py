"""What the layers above may ask of a server. Paths are absolute within the mount ("/a/b").

Every method may be called from any thread. All raise NetworkError when the server cannot be
reached and a RefusedError of the fitting kind when it says no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from ftpfs.wire.entry import Entry, Kind

__all__ = ["Download", "Entry", "Kind", "Remote", "Stored"]


@dataclass(frozen=True)
class Stored:
    """What the server holds after an upload: size in bytes, time in ns (None: it did not say)."""

    size: int
    mtime_ns: int | None


class Download(Protocol):
    """A file's bytes from one offset on. One thread at a time; `close` ends it, always."""

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the connection that this download holds."""
        ...

    def readinto(self, buffer: memoryview) -> int:
        """Bytes put into `buffer`; 0 at the end of the file, once the server has confirmed it."""
        ...

    def close(self) -> None: ...


class Remote(Protocol):
    """A server's directory tree below the directory that was mounted."""

    base: str  # the server path that "/" stands for

    @property
    def describes(self) -> bool:
        """Whether `stat` tells as much as a listing does (MLST), for one round trip."""
        ...

    def list(self, path: str) -> dict[str, Entry]: ...

    def stat(self, path: str) -> Entry: ...

    def open_read(self, path: str, offset: int) -> Download: ...

    def store(self, path: str, source: BinaryIO, size: int) -> Stored:
        """Replace or create a file with the first `size` bytes of `source`; checks the size."""
        ...

    def mkdir(self, path: str) -> None: ...

    def rmdir(self, path: str) -> None: ...

    def unlink(self, path: str) -> None: ...

    def rename(self, old: str, new: str) -> None:
        """Rename; a file at `new` is replaced."""
        ...

    def set_mtime(self, path: str, mtime_ns: int) -> None: ...

    def chmod(self, path: str, mode: int) -> None: ...

    def free_bytes(self) -> int | None:
        """Free space in bytes as last learnt, without asking; None where it is not known."""
        ...
