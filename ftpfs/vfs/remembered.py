"""What this mount knows of a file's time and mode better than the server tells.

Two cases. A LIST line has minutes or days only: the exact time learnt after an upload, or set by
a program, is shown as long as the listing agrees with it as far as it goes (without this rsync
would send every file again). And where the server has no way to set a time or mode, what a
program set is kept for the life of the mount.

Shared by all threads; `_lock` guards the table, which forgets the least recently used.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from cachetools import LRUCache

from ftpfs.config import REMEMBERED_ATTRIBUTES
from ftpfs.wire.entry import Entry

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Attributes:
    """`mtime_ns` holds for a file of `size` bytes; `local`: the server does not know it."""

    size: int = 0
    mtime_ns: int | None = None
    local: bool = False
    mode: int | None = None


class Remembered:
    """Attributes by path, for the life of a mount."""

    def __init__(self, limit: int = REMEMBERED_ATTRIBUTES) -> None:
        self._lock = threading.Lock()
        self._table: LRUCache[str, Attributes] = LRUCache(limit)

    def time(self, path: str, size: int, mtime_ns: int, *, local: bool = False) -> None:
        with self._lock:
            before = self._table.get(path)
            mode = None if before is None else before.mode
            self._table[path] = Attributes(size, mtime_ns, local, mode)

    def mode(self, path: str, mode: int | None) -> None:
        """Show `mode` whatever the server says; None: the server knows it."""
        with self._lock:
            if mode is not None or path in self._table:
                self._table[path] = replace(self._table.get(path, Attributes()), mode=mode)

    def move(self, old: str, new: str, *, tree: bool) -> None:
        """`old` was renamed: what is known of it, and of a tree below it, holds for `new`."""
        with self._lock:
            moved = [old] if old in self._table else []
            if tree:
                moved += [p for p in self._table if p.startswith(old + "/")]
            for path in moved:
                self._table[new + path[len(old) :]] = self._table.pop(path)

    def forget(self, path: str) -> None:
        with self._lock:
            self._table.pop(path, None)

    def is_local(self, path: str) -> bool:
        """Whether the time shown is one that the server does not know."""
        with self._lock:
            return self._table.get(path, Attributes()).local

    def apply(self, path: str, entry: Entry) -> Entry:
        """The entry with what is known better."""
        with self._lock:
            known = self._table.get(path)
        return entry if known is None else _applied(known, entry)

    def apply_all(self, directory: str, entries: dict[str, Entry]) -> dict[str, Entry]:
        """The same for all entries of a directory, in a new dict."""
        prefix = directory.rstrip("/") + "/"
        with self._lock:
            table = self._table
            known = {n: table[prefix + n] for n in entries if prefix + n in table} if table else {}
        return entries | {name: _applied(known[name], entries[name]) for name in known}


def _applied(known: Attributes, entry: Entry) -> Entry:
    if known.mode is not None:
        entry = entry._replace(mode=known.mode)
    if known.mtime_ns is not None and known.size == entry.size:
        ahead_ns = known.mtime_ns - entry.mtime_ns
        if known.local or 0 <= ahead_ns < entry.precision_s * _SECOND_NS:
            entry = entry._replace(mtime_ns=known.mtime_ns)
    return entry
