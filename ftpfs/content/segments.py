"""Whether to read one file over several connections: pure arithmetic, time comes as an argument.

Guarded by the lock of the reader that owns it; `Verdict` is shared by the readers of a mount and
written without a lock: one reference, and the last one counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftpfs.config import (
    SEGMENTS_AFTER_BYTES,
    SEGMENTS_BELOW_BPS,
    SEGMENTS_GAIN,
    SEGMENTS_JUDGED_BYTES,
    SEGMENTS_PAUSE_S,
)


@dataclass
class Verdict:
    """What was last found out about the line to the server: not tried before `not_before` (s)."""

    not_before: float = 0.0


class Segments:
    """One file's decision: `on` while further connections fetch further segments of it."""

    def __init__(self, verdict: Verdict) -> None:
        self.on = False
        self._verdict = verdict
        self._alone_bps = 0.0
        self._began = 0.0
        self._received = 0
        self._judged = False

    def promising(self, received: int, elapsed_s: float, now: float) -> bool:
        """Whether to go side by side, for a reader that waits for a single transfer which has
        brought `received` bytes in `elapsed_s` without ever being ahead of it."""
        if self.on or now < self._verdict.not_before or received < SEGMENTS_AFTER_BYTES:
            return False
        self._alone_bps = received / max(elapsed_s, 1e-6)
        return self._alone_bps <= SEGMENTS_BELOW_BPS

    def begin(self, now: float) -> None:
        """There is another connection for it."""
        self.on, self._began, self._received, self._judged = True, now, 0, False

    def arrived(self, count: int, now: float) -> None:
        """Bytes of any of the connections; turns itself off where they do not help."""
        if not self.on or self._judged:
            return
        self._received += count
        if self._received >= SEGMENTS_JUDGED_BYTES:
            self._judged = True
            together_bps = self._received / max(now - self._began, 1e-6)
            if together_bps < SEGMENTS_GAIN * self._alone_bps:
                self.on = False
                self._verdict.not_before = now + SEGMENTS_PAUSE_S
