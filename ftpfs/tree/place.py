"""A place that holds a tree of files: the local disk, or one server for one user.

Both raise the same errors: what a server refuses and what the local disk refuses have one meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from ftpfs.errors import FtpfsError, NotDirectoryError
from ftpfs.remote.api import Entry, Kind

Failures = dict[str, FtpfsError]
"""What went wrong, by path."""


class Place(Protocol):
    """Any thread may call; paths are the place's own, `/` between names."""

    @property
    def near(self) -> bool:
        """Whether waiting for it takes no longer than changing threads."""
        ...

    @property
    def hides_links(self) -> bool:
        """Whether a listing may show a link to a directory as a directory."""
        ...

    def shown(self, path: str) -> str:
        """The path as the user knows it: a local path, or a URL without its password."""
        ...

    def key(self, path: str) -> object:
        """Equal for two paths that name the same file, as far as the names tell."""
        ...

    def list(self, path: str) -> dict[str, Entry]: ...

    def stat(self, path: str) -> Entry:
        """What is there, or where a link there leads. Raises AbsentError."""
        ...

    def describe(self, path: str) -> Entry:
        """What is there, a link as the link; as much as a listing tells. Raises AbsentError."""
        ...

    def mkdir_all(self, paths: Sequence[str]) -> Failures: ...

    def rmdir_all(self, paths: Sequence[str]) -> Failures: ...

    def unlink_all(self, paths: Sequence[str]) -> Failures: ...

    def rename(self, old: str, new: str) -> None: ...

    def symlink(self, target: str, path: str) -> None: ...

    def set_mtime(self, path: str, mtime_ns: int) -> None: ...

    def chmod(self, path: str, mode: int) -> None: ...


class Spot(NamedTuple):
    """A path in a place. `entry` is what is known to be there, from a listing made just now."""

    place: Place
    path: str
    shown: str  # as the user wrote it, the password left out
    as_directory: bool = False  # written with a slash at its end
    entry: Entry | None = None
    top: str = ""  # where the user's path begins: the login directory, or the root

    @property
    def at_top(self) -> bool:
        return self.path.rstrip("/") == self.top.rstrip("/")

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2]

    def stat(self) -> Entry:
        """What is there, or where a link there leads. Raises AbsentError, and NotDirectoryError
        where what was written with a slash is no directory."""
        entry = self.place.stat(self.path)
        if self.as_directory and entry.kind is not Kind.DIRECTORY:
            raise NotDirectoryError(self.shown)
        return entry


def below(directory: str, name: str) -> str:
    """The path of a name in a directory."""
    return f"{directory}{name}" if directory.endswith("/") else f"{directory}/{name}"


def above(path: str) -> Iterator[str]:
    """The directories that a path goes through, the nearest first."""
    while path.rstrip("/"):
        path = path.rstrip("/").rpartition("/")[0] or "/"
        yield path
