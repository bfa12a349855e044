"""What the kernel was told of the sizes of files, as long as it may go by that.

Called from many threads; `_lock` guards both tables. Each is in the order of its times: what is too
old, or too much, is at the beginning. (A TTLCache takes ten times as long, for each name that is
looked at or removed.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from ftpfs.config import KEPT_READERS, TOLD_LISTINGS, TOLD_MARGIN_S, TOLD_NAMES
from ftpfs.remote.api import Entry
from ftpfs.wire.pathname import split


class _Listing(NamedTuple):
    sizes: dict[str, int]
    names: int  # when it was told
    at: float


class Told:
    """Sizes by path, told by themselves or with the listing of a directory."""

    def __init__(self, kernel_s: float, clock: Callable[[], float]) -> None:
        self._ttl_s = kernel_s + TOLD_MARGIN_S if kernel_s else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._sizes: dict[str, tuple[int, float]] = {}  # and when the kernel was told
        self._listings: dict[str, _Listing] = {}
        self._names = 0  # of all of these, when they were told

    def entry(self, path: str, entry: Entry) -> None:
        now = self._clock()
        with self._lock:
            self._sizes.pop(path, None)
            self._sizes[path] = entry.size, now
            if len(self._sizes) > KEPT_READERS:
                del self._sizes[next(iter(self._sizes))]

    def listing(self, directory: str, sizes: dict[str, int]) -> None:
        """`sizes`, by name, may lose names yet: those of files that are changed from here."""
        now = self._clock()
        with self._lock:
            self._drop_locked(directory)
            self._listings[directory] = listing = _Listing(sizes, len(sizes), now)
            self._names += listing.names
            while len(self._listings) > 1 and self._full_locked(now):
                self._drop_locked(next(iter(self._listings)))

    def _drop_locked(self, directory: str) -> None:
        if (gone := self._listings.pop(directory, None)) is not None:
            self._names -= gone.names

    def _full_locked(self, now: float) -> bool:
        oldest = next(iter(self._listings.values()))
        old = now - oldest.at > self._ttl_s
        return old or len(self._listings) > TOLD_LISTINGS or self._names > TOLD_NAMES

    def changed(self, path: str) -> None:
        """It was changed from here: the kernel knows."""
        directory, name = split(path)
        with self._lock:
            self._sizes.pop(path, None)
            if directory in self._listings:
                self._listings[directory].sizes.pop(name, None)

    def other(self, path: str, size: int) -> bool:
        """Whether the kernel may go by another size."""
        directory, name = split(path)
        earliest = self._clock() - self._ttl_s
        with self._lock:
            alone, alone_at = self._sizes.get(path, (size, earliest))
            listing = self._listings.get(directory, _Listing({}, 0, earliest))
            listed, listed_at = listing.sizes.get(name, size), listing.at
        return (alone != size and alone_at > earliest) or (listed != size and listed_at > earliest)
