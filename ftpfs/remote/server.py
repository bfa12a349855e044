"""What the URL commands ask of a server, beyond what a mount does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Remote
from ftpfs.remote.line import Line


class Server(Remote, Protocol):
    """A server whose root is "/" of the server itself: paths are the server's."""

    @property
    def round_trip_s(self) -> float:
        """The shortest answer so far; unknown, and thus far away, before the first login."""
        ...

    @property
    def limit(self) -> int:
        """How many connections it is known, or configured, to allow."""
        ...

    def make_room(self, connections: int) -> None:
        """Allow at least so many where fewer were configured; not where it has refused that."""
        ...

    @property
    def hides_links(self) -> bool:
        """Whether its listings may show a link to a directory as a directory (pyftpdlib's MLSD)."""
        ...

    @property
    def replaces(self) -> bool:
        """Whether a file may have a temporary name first and be renamed then."""
        ...

    def home(self) -> str:
        """The login directory. Logs in, where nobody has yet."""
        ...

    def is_plain(self, path: str) -> bool:
        """Whether commands can name it at once, and its name is kept as it is."""
        ...

    def check_name(self, path: str) -> None:
        """Raises InvalidNameError where the server would make something of another name."""
        ...

    def line(self) -> Line:
        """A connection for one worker's transfers; opened with its first use."""
        ...

    def hash_kinds(self) -> Iterator[str]:
        """The kinds of hashes that it says it can compute, the best first."""
        ...

    def hash_of(self, path: str, kind: str) -> str | None:
        """The hash of a file, hex digits; None where it does not give that kind after all."""
        ...

    def times_of(self, paths: Sequence[str]) -> dict[str, int]:
        """The exact times of files, ns since the epoch; of those that it tells."""
        ...

    def mkdir_all(self, paths: Sequence[str]) -> dict[str, FtpfsError]:
        """Make directories, those above before those below; what went wrong, by path."""
        ...

    def rmdir_all(self, paths: Sequence[str]) -> dict[str, FtpfsError]: ...

    def unlink_all(self, paths: Sequence[str]) -> dict[str, FtpfsError]: ...
