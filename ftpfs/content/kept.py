"""Readers of files that nobody has open: what was read stays for the next open of the same version,
and what a program will read next is fetched before it asks.

Shared by all threads; `_lock` guards the table. Lock order: this one, then those of the readers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ftpfs.config import KEPT_READERS, RACY_S
from ftpfs.content.reader import Reader
from ftpfs.remote.api import SECOND_NS, Entry


class Version(NamedTuple):
    """What tells one version of a file from another: as it was listed when it was `age_s` old."""

    size: int
    mtime_ns: int
    precision_s: int
    age_s: float

    @classmethod
    def of(cls, entry: Entry, now_ns: int) -> Version:
        age_s = (now_ns - entry.mtime_ns) / SECOND_NS
        return cls(entry.size, entry.mtime_ns, entry.precision_s, age_s)

    def settled(self, precision_s: int) -> bool:
        """Whether a later version has another time, where times are listed as exact as that. What
        this mount wrote has an exact time itself, what another client then writes may not."""
        return self.age_s > max(self.precision_s, precision_s) + RACY_S

    def same(self, other: Version) -> bool:
        return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


class Kept(NamedTuple):
    """A reader and the version that it reads, as of `since` (seconds on the table's clock);
    `opened`: a program has read it, so the kernel may hold pages of it; `before`: what a program
    read last, where that is another one."""

    reader: Reader
    version: Version
    since: float
    opened: bool
    before: Version | None = None

    @property
    def seen(self) -> Version | None:
        """The version that a program read last."""
        return self.version if self.opened else self.before


class KeptReaders:
    """Readers by path, least recently used first out."""

    def __init__(self, trust_s: float, clock: Callable[[], float]) -> None:
        # set once
        self._trust_s = trust_s
        self._clock = clock
        # guarded by _lock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def take(self, path: str, version: Version) -> Kept | None:
        """What is kept of this version of a file, for the caller to own; None where nothing is."""
        with self._lock:
            kept = self._kept.pop(path, None)
        if kept is None:
            return None
        if self._usable(kept, version):
            return kept
        kept.reader.close()
        return None

    def was_read(self, path: str, version: Version) -> bool:
        """Whether a program has read this version of a file, and no other one since."""
        with self._lock:
            kept = self._kept.get(path)
        return kept is not None and kept.opened and self._usable(kept, version)

    def was_other(self, path: str, version: Version) -> bool:
        """Whether a program has read another version of the file before this one."""
        with self._lock:
            kept = self._kept.get(path)
        seen = None if kept is None else kept.seen
        return seen is not None and not seen.same(version)

    def _usable(self, kept: Kept, version: Version) -> bool:
        fresh = self._clock() - kept.since < self._trust_s
        settled = kept.version.settled(version.precision_s)
        return kept.version.same(version) and (settled or fresh) and not kept.reader.outgrown

    def put(self, path: str, version: Version, reader: Reader, since: float) -> None:
        """Keep a reader whose file was closed."""
        self._put(path, Kept(reader, version, since, opened=True))

    def to_fetch(self, path: str, version: Version, new: Callable[[], Reader]) -> Reader | None:
        """The reader of a file that is about to be fetched; None where that was done, or will be.

        It is one that is kept and has nothing in memory any more, or a new one.
        """
        with self._lock:
            known = self._kept.get(path)
            if known is not None and self._usable(known, version):
                return known.reader if known.reader.expect() else None
        reader = new()
        reader.expect()
        before = None if known is None else known.seen
        self._put(path, Kept(reader, version, self._clock(), opened=False, before=before))
        return reader

    def _put(self, path: str, kept: Kept) -> None:
        with self._lock:
            gone = [self._kept.pop(path, None)]
            self._kept[path] = kept
            while len(self._kept) > KEPT_READERS:
                gone.append(self._kept.popitem(last=False)[1])
        self._close(gone)

    def now(self) -> float:
        return self._clock()

    def forget(self, path: str) -> None:
        """The file at `path` is another one by now, or none."""
        with self._lock:
            gone = [self._kept.pop(path, None)]
        self._close(gone)

    def forget_below(self, path: str) -> None:
        """A directory has another name by now."""
        below = path.rstrip("/") + "/"
        with self._lock:
            gone = [self._kept.pop(key) for key in list(self._kept) if key.startswith(below)]
        self._close(gone)

    def close(self) -> None:
        with self._lock:
            gone = list(self._kept.values())
            self._kept.clear()
        self._close(gone)

    def _close(self, gone: Iterable[Kept | None]) -> None:
        for kept in gone:
            if kept is not None:
                kept.reader.close()
