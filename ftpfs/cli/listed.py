"""How `ls` shows names: in columns, one a line, with all that is known of them, or as JSON.

The layout is that of GNU ls. What FTP does not tell - how many links, whose, which group - is a
`?`, as ls has it for what it cannot find out.
"""

from __future__ import annotations

import json
import locale
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ftpfs.cli.colours import Colours
from ftpfs.cli.columns import in_columns, width_of
from ftpfs.cli.report import flush, put
from ftpfs.remote.api import SECOND_NS, Entry, Kind
from ftpfs.tree.events import quoted

RECENT_S = 365.2425 * 86_400 / 2
"""Files changed longer ago are shown with the year instead of the time of day, as ls does."""

BLOCK_BYTES = 4096
"""What `total` counts in: FTP does not tell what a file takes on the server's disk."""

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_~^#{}]")
_TYPES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
}


@dataclass(frozen=True)
class Named:
    """A name to be shown, of what, and its URL."""

    name: str
    entry: Entry
    url: Callable[[], str]


@dataclass(frozen=True)
class Layout:
    long: bool = False
    every: bool = False
    human: bool = False
    single: bool = False
    json: bool = False


class Printer:
    """Writes groups of names to standard output; a directory is a group."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._terminal = sys.stdout is not None and sys.stdout.isatty()
        self._colours = Colours.of_environment() if self._terminal else Colours()
        self._now_s = time.time()
        self._groups = 0
        self._written = 0

    def __enter__(self) -> Printer:
        if self._layout.json:
            put("[")
        return self

    def __exit__(self, *_: object) -> None:
        if self._layout.json:
            put("\n]\n")
        flush()

    def group(self, names: Sequence[Named], heading: str | None, *, total: bool) -> None:
        """Show names, sorted, under a heading; `total` as for what is in a directory."""
        ordered = sorted(names, key=lambda named: collation(named.name))
        if self._layout.json:
            self._objects(ordered)
            return
        if heading is not None:
            put(("\n" if self._groups else "") + heading + ":\n")
        self._groups += 1
        if self._layout.long:
            self._lines(ordered, total=total)
        elif self._terminal and not self._layout.single:
            shown = [(self._shown(n), width_of(self._plain(n.name))) for n in ordered]
            put(in_columns(shown, shutil.get_terminal_size().columns))
        else:
            put("".join(self._shown(n) + "\n" for n in ordered))

    def hidden(self, name: str) -> bool:
        return name.startswith(".") and not self._layout.every

    @property
    def dots(self) -> tuple[str, ...]:
        """The names that every directory has, where they are to be shown."""
        return (".", "..") if self._layout.every and not self._layout.json else ()

    # -- names --------------------------------------------------------------------------------

    def _plain(self, name: str) -> str:
        """A name as it is; on a terminal quoted where a shell would need it."""
        return name if not self._terminal or _SAFE.issuperset(name) else self._quoted(name)

    def _quoted(self, name: str) -> str:
        if all(c.isalnum() or c in _SAFE for c in name):
            return name
        return quoted(name)

    def _shown(self, named: Named) -> str:
        return self._colours.paint(self._plain(named.name), named.entry)

    # -- long lines ---------------------------------------------------------------------------

    def _lines(self, names: Sequence[Named], *, total: bool) -> None:
        if total:
            blocks = sum(-(-named.entry.size // BLOCK_BYTES) for named in names)
            put(f"total {self._size(blocks * BLOCK_BYTES, unit=1024)}\n")
        sizes = [self._size_of(named) for named in names]
        width = max(map(len, sizes), default=0)
        for named, size in zip(names, sizes, strict=True):
            fields = (mode_text(named.entry), "? ? ?", size.rjust(width), self._time(named.entry))
            put(f"{' '.join(fields)} {self._shown(named)}{self._arrow(named.entry)}\n")

    def _arrow(self, entry: Entry) -> str:
        return f" -> {self._plain(entry.target)}" if entry.target else ""

    def _size_of(self, named: Named) -> str:
        return "?" if named.name in (".", "..") else self._size(named.entry.size)

    def _size(self, size: int, unit: int = 1) -> str:
        return human(size) if self._layout.human else str(-(-size // unit))

    def _time(self, entry: Entry) -> str:
        seconds = known(entry)
        if seconds is None:
            return "?".rjust(12)
        recent = self._now_s - RECENT_S < seconds <= self._now_s
        return time.strftime("%b %e %H:%M" if recent else "%b %e  %Y", time.localtime(seconds))

    # -- JSON ---------------------------------------------------------------------------------

    def _objects(self, names: Sequence[Named]) -> None:
        for named in names:
            comma = "," if self._written else ""
            self._written += 1
            put(f"{comma}\n{json.dumps(as_object(named))}")


def as_object(named: Named) -> dict[str, object]:
    """What `--json` tells of a name. Times are UTC; null is what the server does not tell."""
    entry = named.entry
    seconds = known(entry)
    moment = "%Y-%m-%dT%H:%M:%SZ"
    return {
        "name": entry.name,
        "url": named.url(),
        "type": entry.kind.value,
        "size": entry.size if entry.kind is Kind.FILE else None,
        "mtime": None if seconds is None else time.strftime(moment, time.gmtime(seconds)),
        "mode": None if entry.mode is None else f"{entry.mode:04o}",
        "target": entry.target,
    }


def known(entry: Entry) -> int | None:
    """The time of the last change, seconds since the epoch; None where it is not known."""
    return entry.mtime_ns // SECOND_NS if entry.precision_s <= RECENT_S * 2 else None


def mode_text(entry: Entry) -> str:
    """The ten characters of `ls -l`."""
    if entry.mode is None and entry.kind is not Kind.SYMLINK:
        return stat.filemode(_TYPES.get(entry.kind, 0))[0] + "?" * 9
    bits = 0o777 if entry.mode is None else entry.mode
    return stat.filemode(_TYPES.get(entry.kind, 0) | bits)


def human(size: int) -> str:
    """A size in the largest unit that it fills, rounded up, as `ls -h` has it."""
    units = "KMGTPE"
    if size < 1024:
        return str(size)
    power = min((size.bit_length() - 1) // 10, len(units))
    scale = 1 << (10 * power)
    tenths = -(-size * 10 // scale)
    if tenths < 100:
        return f"{tenths // 10}.{tenths % 10}{units[power - 1]}"
    whole = -(-size // scale)
    if whole == 1024 and power < len(units):
        return f"1.0{units[power]}"
    return f"{whole}{units[power - 1]}"


def collation(name: str) -> tuple[str, bytes]:
    """The order of names in the user's language, as ls has it."""
    try:
        return locale.strxfrm(name), os.fsencode(name)
    except (OSError, ValueError):
        return name, os.fsencode(name)
