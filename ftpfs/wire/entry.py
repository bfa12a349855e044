"""One name in a directory, as a listing or MLST describes it."""

from __future__ import annotations

import enum
from typing import NamedTuple

from ftpfs.wire.timeval import UNKNOWN_S


class Kind(enum.Enum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"  # device, socket, fifo: shown, never opened


class Entry(NamedTuple):
    """What the server says of one name. (A tuple: made in half the time, and there are many.)

    `size` in bytes; between a parser and `remote` also a rough one, see `rough`. `mtime_ns` in
    nanoseconds since the epoch, UTC. `precision_s` says how far the time can be trusted: 1 from
    MLSx, 60 from a LIST line with a clock time, 86,400 from one with a year only. `mode` are the
    permission bits, None where the server does not say.
    """

    name: str
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    precision_s: int = 1
    mode: int | None = None
    target: str | None = None

    @property
    def told_ns(self) -> int | None:
        """The time, None where the server told none."""
        return None if self.precision_s == UNKNOWN_S else self.mtime_ns


class Entries(dict[str, Entry]):
    """What is in a directory, by name. `missing` says why names are left out, "" where none is;
    `cut`: because the server says that there are more than it lists."""

    missing = ""
    cut = False


def rough(size: int) -> int:
    """How an Entry carries a size that was rounded (VMS lists blocks), 0 where none was listed.

    Below zero, so that it is never taken for an exact one: a file that is shown too small is cut
    when it is read. `remote` asks for the true size and lets none of these out.
    """
    return ~size


def rounded(size: int) -> int | None:
    """What was given to `rough`; None for an exact size."""
    return ~size if size < 0 else None
