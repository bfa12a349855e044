"""What the layers above may ask of a server. Paths are absolute within the mount ("/a/b").

Every method may be called from any thread. All raise NetworkError when the server cannot be
reached and a RefusedError of the fitting kind when it says no.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, NamedTuple, Protocol

from ftpfs.wire.entry import Entries, Entry, Kind

Ranges = Sequence[tuple[int, int]]
"""Half-open ranges [start, end) of offsets in bytes."""

SECOND_NS = 1_000_000_000

__all__ = ["Download", "Entries", "Entry", "Fingerprint", "Kind", "Ranges", "Remote", "Stored"]


class Fingerprint(NamedTuple):
    """A file on the server as it was: size in bytes, time in ns (None: not known)."""

    size: int
    mtime_ns: int | None

    def matches(self, other: Fingerprint) -> bool:
        """Whether it is the same version, to the second that FTP's times have."""
        if self.size != other.size:
            return False
        if self.mtime_ns is None or other.mtime_ns is None:
            return True
        return self.mtime_ns // SECOND_NS == other.mtime_ns // SECOND_NS


class Stored(NamedTuple):
    """What the server holds after an upload: size in bytes, time in ns (None: it did not say)."""

    size: int
    mtime_ns: int | None


class Download(Protocol):
    """A file's bytes from one offset on. One thread at a time; `close` ends it, always.

    `found`: what the server said of the file as this began; None where it was not asked.
    """

    @property
    def found(self) -> Fingerprint | None: ...

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the connection that this download holds."""
        ...

    def narrow(self) -> None:
        """Little of it will be read: the server is to send hardly more than what is taken."""
        ...

    def widen(self) -> None:
        """More of it will be read, after all. Cheap to call again."""
        ...

    def skip(self) -> bool:
        """Receive and drop some of what comes before that offset, where a transfer cannot begin
        there; False where nothing does, or not any more. For who wants to end it meanwhile:
        `readinto` skips as well."""
        ...

    def readinto(self, buffer: memoryview) -> int:
        """Bytes put into `buffer`; 0 at the end of the file, once the server has confirmed it."""
        ...

    def close(self) -> None: ...


class Spare(Protocol):
    """A connection that nobody waits for, to fetch what may be asked for soon. For one thread.

    It is opened by `connect`, or the first call; every call raises what those of a Remote raise,
    but nothing is tried again, and a login that fails is a NetworkError. `close` gives it back,
    always.
    """

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a connection: `close` this one."""
        ...

    def connect(self) -> None: ...

    def list(self, path: str) -> dict[str, Entry]: ...

    def open_read(self, path: str, offset: int, *, identify: bool = False) -> Download: ...

    def close(self) -> None: ...


class Remote(Protocol):
    """A server's directory tree below the directory that was mounted."""

    @property
    def base(self) -> str:
        """The server path that "/" stands for."""
        ...

    @property
    def describes(self) -> bool:
        """Whether `stat` tells as much as a listing does (MLST), for one round trip."""
        ...

    @property
    def seeks(self) -> bool:
        """Whether a download may begin elsewhere than at 0 without reading all before it (REST),
        as far as that is known."""
        ...

    @property
    def round_trip_s(self) -> float:
        """The shortest time that an answer has taken so far; infinite where there was none."""
        ...

    def list(self, path: str) -> dict[str, Entry]: ...

    def stat(self, path: str) -> Entry: ...

    def open_read(self, path: str, offset: int, *, identify: bool = False) -> Download:
        """The content from `offset` on. `identify`: ask, at no cost of its own, which version of
        the file that is (`Download.found`)."""
        ...

    def spare(self) -> Spare | None:
        """A connection for what may be asked for soon; None where there is none to spare. Does
        not wait."""
        ...

    def fingerprint(self, path: str) -> Fingerprint | None:
        """Size and exact time of a file, asked for now; None where there is none."""
        ...

    def store(self, path: str, source: BinaryIO, size: int) -> Stored:
        """Create or overwrite a file with the first `size` bytes of `source`; checks the size."""
        ...

    def replace(self, path: str, source: BinaryIO, size: int, mode: int | None) -> Stored:
        """Like `store`, but nobody ever sees a part: by a temporary name and a rename.

        The new file gets the permission bits `mode` where that is possible. Raises
        UnsupportedError, with the old file untouched, where the server does not let us.
        """
        ...

    def append(self, path: str, source: BinaryIO, start: int, size: int) -> Stored:
        """Add source[start:size] to a file of `start` bytes.

        Raises UnsupportedError, with the file untouched, where the server has no way.
        """
        ...

    def patch(self, path: str, source: BinaryIO, ranges: Ranges, size: int) -> Stored:
        """Overwrite ranges [start, end), none at 0, in place. Safe to repeat, not safe to leave
        half done."""
        ...

    def can_patch(self, path: str) -> bool:
        """Whether `patch` works there; tried once, on a file of our own beside `path`."""
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
