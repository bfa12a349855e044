"""Directories that are open, each as it was when it was opened, and what was changed in it since.

Called from many threads; `_lock` guards the table and what its directories say is changed.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ftpfs.errors import BadHandleError
from ftpfs.remote.api import Entry
from ftpfs.vfs.told import Told
from ftpfs.wire.pathname import split


@dataclass
class Directory:
    """`changed`: names that were changed from here since, and whether they are still there."""

    path: str
    entries: list[tuple[str, Entry]] = field(default_factory=list)  # sorted by name
    sizes: dict[str, int] = field(default_factory=dict)  # what the kernel is told, as long as true
    changed: dict[str, bool] = field(default_factory=dict)


class Directories:
    """Those of one mount, by handle."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._numbers = itertools.count(1)
        # guarded by _lock
        self._lock = threading.Lock()
        self._open: dict[int, Directory] = {}

    def opened(self, path: str, listed: Callable[[], dict[str, Entry]]) -> int:
        """A handle on what `listed` gives. Raises what that does."""
        directory, handle = Directory(path), next(self._numbers)
        with self._lock:
            self._open[handle] = directory  # first: nothing is changed unseen
        try:
            directory.entries = sorted(listed().items())
            directory.sizes.update((name, entry.size) for name, entry in directory.entries)
        except BaseException:
            self.release(handle)
            raise
        return handle

    def entries(self, handle: int) -> list[tuple[str, Entry]]:
        """Names and entries as they were, for the kernel to go by. Raises BadHandleError."""
        with self._lock:
            directory = self._at_locked(handle)
        self._told.listing(directory.path, directory.sizes)
        return directory.entries

    def changed_in(self, handle: int) -> dict[str, bool]:
        """Names that were changed from here since, and whether they are still there."""
        with self._lock:
            return self._at_locked(handle).changed.copy()

    def changed(self, path: str, *, there: bool) -> None:
        """Something was changed from here."""
        self._told.changed(path)
        if not self._open:  # as with most writes
            return
        parent, name = split(path)
        with self._lock:
            for directory in self._open.values():
                if directory.path == parent:
                    directory.changed[name] = there
                    directory.sizes.pop(name, None)

    def release(self, handle: int) -> None:
        with self._lock:
            self._open.pop(handle, None)

    def _at_locked(self, handle: int) -> Directory:
        if handle not in self._open:
            raise BadHandleError("not an open directory")
        return self._open[handle]
