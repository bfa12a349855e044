"""How many bytes the spool files of a mount may take together."""

from __future__ import annotations

import threading

from ftpfs.errors import NoSpaceError


class Space:
    """A budget in bytes. Any thread; `_lock` guards `_used`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._used = 0

    def take(self, count: int) -> None:
        """Reserve bytes; a negative count gives them back. Raises NoSpaceError."""
        with self._lock:
            if count > 0 and self._used + count > self.limit:
                raise NoSpaceError(
                    f"the spool is full ({self.limit} bytes): wait until more is sent, or raise"
                    " -o spool_limit"
                )
            self._used += count
