"""What the kernel was told of the sizes of files, as long as it may go by that.

Called from many threads; `_lock` guards both tables.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from cachetools import TTLCache

from ftpfs.config import KEPT_READERS
from ftpfs.remote.api import Entry
from ftpfs.wire.pathname import split

DIRECTORIES = 64
"""Listings that the kernel may have at a time; more are read within its few seconds by programs
that do not open what they find."""

MARGIN_S = 1.0
"""The kernel's time begins when it has the answer."""


class Told:
    """Sizes by path, told by themselves or with the listing of a directory."""

    def __init__(self, kernel_s: float, clock: Callable[[], float]) -> None:
        ttl_s = kernel_s + MARGIN_S if kernel_s else 1e-3
        self._lock = threading.Lock()
        self._sizes: TTLCache[str, int] = TTLCache(KEPT_READERS, ttl_s, timer=clock)
        self._listings: TTLCache[str, dict[str, int]] = TTLCache(DIRECTORIES, ttl_s, timer=clock)

    def entry(self, path: str, entry: Entry) -> None:
        with self._lock:
            self._sizes[path] = entry.size

    def listing(self, directory: str, sizes: dict[str, int]) -> None:
        """`sizes`, by name, may lose names yet: those of files that are changed from here."""
        with self._lock:
            self._listings[directory] = sizes

    def changed(self, path: str) -> None:
        """It was changed from here: the kernel knows."""
        directory, name = split(path)
        with self._lock:
            self._sizes.pop(path, None)
            listing = self._listings.get(directory)
            if listing is not None:
                listing.pop(name, None)

    def other(self, path: str, size: int) -> bool:
        """Whether the kernel may go by another size."""
        directory, name = split(path)
        with self._lock:
            told = self._sizes.get(path, size)
            listed = self._listings.get(directory, {}).get(name, size)
        return told != size or listed != size
