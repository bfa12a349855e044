"""Which version of a file is being read: found out as transfers of it begin."""

from __future__ import annotations

import threading

from ftpfs.errors import ChangedError
from ftpfs.remote.api import Fingerprint


class Identity:
    """One version of a file; shared by its streams, `_lock` guards all fields.

    It is known once the first transfer of it has begun. This mount may itself change the server's
    file while it is read: `epoch` counts that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: Fingerprint | None = None
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """How often this mount itself has changed the server's file."""
        with self._lock:
            return self._epoch

    def confirmed(self, found: Fingerprint, size: int | None, epoch: int) -> bool:
        """The server's file is this one, as a transfer of it begins; the first one counts.

        False where that was asked in an `epoch` that is over: ask again. Raises ChangedError where
        it has not `size` bytes, or is another one than before: versions are not mixed.
        """
        with self._lock:
            if epoch != self._epoch:
                return False
            if self._known is None or self._known.mtime_ns is None:
                self._known = found
            same = found.matches(self._known)
        if not same or found.size != size:
            raise ChangedError(f"changed on the server while it was read: {found.size} bytes now")
        return True

    def changed_here(self, now: Fingerprint | None) -> None:
        """This mount changes the server's file, which is `now` by then (None: not known yet)."""
        with self._lock:
            self._known = now
            self._epoch += 1
