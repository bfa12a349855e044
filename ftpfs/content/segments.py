"""Which parts of one file to read over several connections: arithmetic; time is an argument.

Guarded by the lock of the reader that owns it; `Verdict` is shared by the readers of a mount and
written without a lock: one reference, and the last one counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftpfs.config import (
    BLOCK_BYTES,
    SEGMENT_BYTES,
    SEGMENTS_AFTER_BYTES,
    SEGMENTS_AHEAD_BYTES,
    SEGMENTS_BELOW_BPS,
    SEGMENTS_GAIN,
    SEGMENTS_JUDGED_BYTES,
    SEGMENTS_PAUSE_S,
    SKIP_GAP_BYTES,
)

Span = tuple[int, int]
"""Offsets [start, end) in bytes."""


@dataclass
class Verdict:
    """What was last found out about the line to the server: not tried before `not_before` (s)."""

    not_before: float = 0.0


class Segments:
    """One file of `size` bytes: `on` while further connections fetch further segments of it.

    What lies before `next` is fetched by somebody, or has been; what lies behind is claimed segment
    by segment, not too far ahead of the `furthest` byte that was read.
    """

    def __init__(self, size: int, verdict: Verdict, furthest: int = 0) -> None:
        self.on = False
        self.next = 0
        self._size = size
        self._verdict = verdict
        self._furthest = furthest
        self._divided_at = 0  # what came before came over one connection
        self._alone_bps = 0.0
        self._began = 0.0
        self._received = 0
        self._judged = False

    @property
    def end(self) -> int:
        """Where a stream ends that has claimed nothing."""
        return self.next if self.on else self._size

    def read(self, end: int) -> None:
        """Somebody reads up to `end`."""
        self._furthest = max(self._furthest, end)

    def left_by(self, offset: int) -> bool:
        """Whether a read at `offset` is elsewhere: then nobody wants what lies between."""
        first, last = self._furthest - SEGMENTS_AHEAD_BYTES, self.next + SKIP_GAP_BYTES
        return self.on and not first <= offset <= last

    # -- whether ------------------------------------------------------------------------------

    def promising(self, brought: Span, began: float, now: float) -> bool:
        """Whether to go side by side, for a reader that waits for a single transfer which has
        brought this much since it `began`, without ever being ahead of its reader."""
        start, position = brought
        if self.on or now < self._verdict.not_before or self._size - position < 2 * SEGMENT_BYTES:
            return False
        if position - start < SEGMENTS_AFTER_BYTES:
            return False
        self._alone_bps = (position - start) / max(now - began, 1e-6)
        return self._alone_bps <= SEGMENTS_BELOW_BPS

    def begin(self, position: int, now: float) -> int:
        """There is another connection for it. Where the single transfer, now at `position`, ends
        from now on: the first segment begins there."""
        self.on, self._began, self._received, self._judged = True, now, 0, False
        boundary = position + SEGMENT_BYTES
        self._divided_at, self.next = position, boundary - boundary % BLOCK_BYTES
        return self.next

    def arrived(self, span: Span, now: float) -> None:
        """These bytes, of any of the connections; turns itself off where they do not help."""
        if not self.on or self._judged:
            return
        start, end = span
        self._received += end - max(start, self._divided_at)
        if self._received >= SEGMENTS_JUDGED_BYTES:
            self._judged = True
            together_bps = self._received / max(now - self._began, 1e-6)
            if together_bps < SEGMENTS_GAIN * self._alone_bps:
                self.on = False
                self._verdict.not_before = now + SEGMENTS_PAUSE_S

    # -- which --------------------------------------------------------------------------------

    @property
    def claimable(self) -> bool:
        """Whether there is a segment to be fetched that is not too far ahead of the reader."""
        return self.on and self.next < min(self._size, self._furthest + SEGMENTS_AHEAD_BYTES)

    def claim(self) -> Span:
        """The next segment, for the caller to fetch, however far ahead it is."""
        start = self.next
        self.next = min(self._size, start + SEGMENT_BYTES)
        return start, self.next
