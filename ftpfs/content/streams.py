"""The streams of one reader: which of them brings a byte, and where one more begins.

A reader in order is served by one stream. Where it waits for the network all the same, the file
ahead of it is divided into segments, and streams over connections that nobody else needs fetch
these side by side; `segments` decides.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ftpfs.config import (
    BLOCK_BYTES,
    READ_WAIT_S,
    SEGMENTS_AHEAD_BYTES,
    SKIP_GAP_BYTES,
    STREAM_POLL_S,
    STREAM_QUANTUM_S,
    STREAMS_PER_FILE,
)
from ftpfs.content import window
from ftpfs.content.segments import Segments, Span, Verdict
from ftpfs.content.stream import Source, State, Stream
from ftpfs.errors import ChangedError, DeadlineError
from ftpfs.remote.api import Download, Spare


class Ways(NamedTuple):
    """How a reader gets at the server: by `open_read(None, offset)` over a connection that it
    waits for, or over one that `spare` gives, which is None where there is none. `seeks`: whether
    a transfer can begin elsewhere than at 0."""

    open_read: Callable[[Spare | None, int], Download]
    spare: Callable[[], Spare | None]
    verdict: Verdict
    seeks: Callable[[], bool] = lambda: True


class Streams:
    """The streams of one reader.

    `changed` is the reader's condition: it guards every field, and is held by who calls a method,
    all but `moved_by`; nothing is fetched while it is held.
    """

    def __init__(self, source: Source, ways: Ways, changed: threading.Condition) -> None:
        self.ways = ways
        self.untouched = True  # nothing was read yet
        self._source = source
        self._changed = changed
        self._running: list[Stream] = []
        self._line: deque[object] = deque()  # reads that wait until they may begin a stream
        self._segments = Segments(source.size, ways.verdict)
        self._closed = False

    # -- reads --------------------------------------------------------------------------------

    def moved_by(self, end: int) -> bool:
        """Whether a read up to `end` moves a window on, or others than its own stream. Without the
        lock, for each read: one that is missed is followed by more."""
        return any(end > stream.refill_at for stream in self._running) or self._segments.on

    def read(self, offset: int, size: int) -> None:
        """A read that was served from memory still moves its stream's window on."""
        for stream in self._running:
            if stream.state is not State.ENDED and offset <= stream.position:
                stream.wants_locked(offset, size)
        self._segments.read(offset + size)
        self._add_all()

    def await_read(self, stream: Stream, end: int) -> None:
        """A read up to `end` is about to wait for `stream`."""
        self._segments.read(end)
        self._divide(stream)

    # -- one stream, or one more --------------------------------------------------------------

    def bringing(self, offset: int, size: int) -> Stream | None:
        """The stream that brings the byte at `offset`, to a read of `size` bytes; None where it
        has come meanwhile. Raises DeadlineError where too many others run."""
        stream = self._serving(offset, size)
        if stream is None and not self._has_room():
            self._await_room()
            if self._source.blocks.holds(self._source.file, offset):
                return None
            stream = self._serving(offset, size)
        if stream is not None:
            stream.wants_locked(offset, size)
            return stream
        # The first requests of a sequential reader come out of order: begin at the beginning.
        start = 0 if self.untouched and offset < SKIP_GAP_BYTES else offset
        stream = self.begin(self._span(start), None)
        stream.wants_locked(offset, size)
        if start == 0 and self._source.size <= BLOCK_BYTES:
            stream.wants_all_locked()  # a small file in one go is of one version
        stream.launch()
        return stream

    def begin(self, span: Span, spare: Spare | None, turn_s: float = STREAM_QUANTUM_S) -> Stream:
        """A new stream, for the caller to launch or run."""
        self.untouched = False
        stream = Stream(
            self._source,
            lambda offset: self.ways.open_read(spare, offset),
            span,
            self._changed,
            self._next_span,
            self._next_end,
            spare=spare,
            turn_s=turn_s,
        )
        self._running.append(stream)
        return stream

    def close(self) -> None:
        """End the transfers; reads that wait until they may begin one get ChangedError."""
        self._closed = True
        self.stop()

    def stop(self) -> None:
        """End the transfers."""
        for stream in self._running:
            stream.stop_locked()
        self._running.clear()
        self._segments = Segments(self._source.size, self.ways.verdict)

    def _serving(self, offset: int, size: int) -> Stream | None:
        """The running stream that should be waited for by a read of `size` bytes at `offset`."""
        self._running = [s for s in self._running if s.state is not State.ENDED]
        seeks, whole = self.ways.seeks(), self._source.size
        for stream in sorted(self._running, key=lambda s: s.position, reverse=True):
            if not seeks and not stream.ahead:
                stream.end = whole  # the others could not begin
            # The last part of a file is shorter than those that are asked for with it.
            part = stream.largest if offset + size == whole else size
            near = window.serves(stream.position, offset, part)
            if near and stream.position < stream.end == self._segments.next <= offset:
                # It would go on there anyhow: one more stream would only begin at the same place.
                stream.end = self._segments.claim()[1]
            if offset < stream.end and (near or not (seeks or offset < stream.position)):
                return stream
        return None

    def _has_room(self) -> bool:
        """Whether one more stream may begin; where too many run, one is ended for it that nobody
        waits for, or that has had its turn: else several readers would end each other's streams
        before these have brought a byte."""
        if self._line:
            return False
        return self._make_room()

    def _make_room(self) -> bool:
        own = [s for s in self._running if not s.ahead and s.state is not State.ENDED]
        if len(own) < STREAMS_PER_FILE:
            return True
        turn_over = time.monotonic() - STREAM_QUANTUM_S
        endable = [s for s in own if not s.waiting or (s.began and s.began < turn_over)]
        if not endable:
            return False
        oldest = min(endable, key=lambda s: (bool(s.waiting), s.last_use))
        oldest.stop_locked()
        self._running.remove(oldest)
        return True

    def _await_room(self) -> None:
        """Wait, first come first served, until one more stream may begin."""
        ticket, deadline = object(), time.monotonic() + READ_WAIT_S
        self._line.append(ticket)
        try:
            while self._line[0] is not ticket or not self._make_room():
                if time.monotonic() > deadline:
                    raise DeadlineError(f"no place for one more stream in {READ_WAIT_S:g} s")
                self._changed.wait(STREAM_POLL_S)
        finally:
            self._line.remove(ticket)
        if self._closed:
            raise ChangedError("changed on the server while it was open")

    def _span(self, start: int) -> Span:
        """What a new stream is to fetch for a read that waits at `start`: up to where the next
        stream begins, or the segments that nobody fetches yet; or to the end of the file."""
        if self._segments.left_by(start):
            self._leave_segments(start)
        if self._segments.on and start >= self._segments.next:
            start, _ = self._segments.claim()
        beyond = self._segments.end
        return start, min((s.start for s in self._running if s.start > start), default=beyond)

    # -- side by side -------------------------------------------------------------------------

    def _divide(self, stream: Stream) -> None:
        """A read waits for `stream`: fetch what lies behind it at the same time, if that helps."""
        now = time.monotonic()
        if stream.began is None or stream.ahead:
            return
        if stream.end < self._source.size or not self.ways.seeks():
            return
        if self._source.blocks.max_bytes < 2 * SEGMENTS_AHEAD_BYTES:
            return
        if stream.awaited_since is None:  # it was further back, and has caught up
            stream.awaited_since = stream.position, now
        start, since = stream.awaited_since
        if not self._segments.promising((start, stream.position), since, now):
            return
        spare = self.ways.spare()
        if spare is None:
            return
        stream.end = self._segments.begin(stream.position, now)
        stream.wants_all_locked()
        self._add(spare)
        self._add_all()

    def _add_all(self) -> None:
        while self._claimable() and (spare := self.ways.spare()) is not None:
            self._add(spare)

    def _add(self, spare: Spare) -> None:
        stream = self.begin(self._segments.claim(), spare, turn_s=0)
        stream.wants_all_locked()
        stream.launch()

    def _leave_segments(self, start: int) -> None:
        self._segments = Segments(self._source.size, self.ways.verdict, start)
        for stream in self._running:
            if stream.ahead:
                stream.stop_locked()

    def _claimable(self) -> bool:
        return self._segments.claimable and self.ways.seeks()

    def _next_end(self, stream: Stream) -> int:
        """How far a stream goes on with the transfer that it has."""
        if not stream.ahead and not self.ways.seeks():
            return self._source.size  # the others could not begin
        if stream.position == self._segments.next and self._claimable():
            return self._segments.claim()[1]
        return stream.end

    def _next_span(self, stream: Stream) -> Span | None:
        """What a stream goes on with that is done with its span."""
        self._segments.arrived((stream.start, stream.position), time.monotonic())
        return self._segments.claim() if self._claimable() else None
