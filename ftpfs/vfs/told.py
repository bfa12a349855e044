"""What the kernel was told of the sizes of files, as long as it may go by that.

Called from many threads; `_lock` guards both tables. Each is in the order of its times: what is too
old, or too much, is at the beginning. (A TTLCache takes ten times as long, for each name that is
looked at or removed.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ftpfs.config import KEPT_READERS, TOLD_LISTINGS, TOLD_MARGIN_S, TOLD_NAMES
from ftpfs.remote.api import Entry
from ftpfs.wire.pathname import split


class Told:
    """Sizes by path, told by themselves or with the listing of a directory."""

    def __init__(self, kernel_s: float, clock: Callable[[], float]) -> None:
        self._ttl_s = kernel_s + TOLD_MARGIN_S if kernel_s else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._sizes: dict[str, tuple[int, float]] = {}  # and when the kernel was told
        self._listings: dict[str, tuple[dict[str, int], float]] = {}

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
            self._listings.pop(directory, None)
            self._listings[directory] = sizes, now
            while len(self._listings) > 1 and self._full_locked(now):
                del self._listings[next(iter(self._listings))]

    def _full_locked(self, now: float) -> bool:
        _, oldest = next(iter(self._listings.values()))
        if len(self._listings) > TOLD_LISTINGS or now - oldest > self._ttl_s:
            return True
        return sum(len(listing) for listing, _ in self._listings.values()) > TOLD_NAMES

    def changed(self, path: str) -> None:
        """It was changed from here: the kernel knows."""
        directory, name = split(path)
        with self._lock:
            self._sizes.pop(path, None)
            if directory in self._listings:
                self._listings[directory][0].pop(name, None)

    def other(self, path: str, size: int) -> bool:
        """Whether the kernel may go by another size."""
        directory, name = split(path)
        earliest = self._clock() - self._ttl_s
        with self._lock:
            alone, alone_at = self._sizes.get(path, (size, earliest))
            listing, listed_at = self._listings.get(directory, ({}, earliest))
            listed = listing.get(name, size)
        return (alone != size and alone_at > earliest) or (listed != size and listed_at > earliest)
