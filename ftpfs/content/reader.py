"""Reads one version of a file from the server: blocks in memory, filled by streams.

Shared by all handles of an open file. `_changed` (a Condition) guards the list of streams and
their fields; nothing is fetched while it is held.

A reader in order is served by one stream. Where it waits for the network all the same, the file
ahead of it is divided into segments, and streams over connections that nobody else needs fetch
these side by side; `segments` decides.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ftpfs.cache.blocks import BlockCache
from ftpfs.config import (
    AHEAD_FILE_BYTES,
    AHEAD_WHOLE_BYTES,
    BLOCK_BYTES,
    EXPECTED_S,
    PASSING_PAUSES_S,
    READ_WAIT_S,
    SEGMENTS_AHEAD_BYTES,
    SKIP_GAP_BYTES,
    STREAM_POLL_S,
    STREAM_QUANTUM_S,
    STREAMS_PER_FILE,
)
from ftpfs.content import window
from ftpfs.content.identity import Identity
from ftpfs.content.segments import Segments, Span, Verdict
from ftpfs.content.stream import Source, State, Stream
from ftpfs.errors import (
    BrokenOffError,
    ChangedError,
    DeadlineError,
    FtpfsError,
    LearntError,
    NetworkError,
    TransferError,
)
from ftpfs.remote.api import Download, Fingerprint, Spare

log = logging.getLogger(__name__)

_numbers = itertools.count(1)


class Ways(NamedTuple):
    """How a reader gets at the server: by `open_read(None, offset)` over a connection that it
    waits for, or over one that `spare` gives, which is None where there is none. `seeks`: whether
    a transfer can begin elsewhere than at 0."""

    open_read: Callable[[Spare | None, int], Download]
    spare: Callable[[], Spare | None]
    verdict: Verdict
    seeks: Callable[[], bool] = lambda: True


class Reader:
    """Random access to `size` bytes of one version of a file."""

    def __init__(self, ways: Ways, size: int, blocks: BlockCache) -> None:
        # set once
        self.size = size
        self.identity = Identity()
        self._source = Source(next(_numbers), size, blocks)
        self._blocks = blocks
        self._changed = threading.Condition()
        # guarded by _changed
        self._ways = ways
        self._streams: list[Stream] = []
        self._line: deque[object] = deque()  # reads that wait until they may begin a stream
        self._untouched = True
        self._listed: Fingerprint | None = None
        self._segments = Segments(size, ways.verdict)
        self._fruitless: list[Stream] = []  # broken off before the first byte, one after the other
        self._expected = False  # somebody will `fetch` it soon
        self._arriving = False  # somebody does
        self._closed = False

    # -- reading ------------------------------------------------------------------------------

    def read_into(self, target: memoryview, offset: int, *, again: bool = False) -> int:
        """Bytes put into `target`; fewer than asked only at the end of the file. `again`: they are
        in no page cache, and may be read again.

        Raises ChangedError when the server's file is shorter than it was, NetworkError when it
        cannot be reached, RefusedError when it may not be read.
        """
        wanted = max(0, min(len(target), self.size - offset))
        done = 0
        while done < wanted:
            rest = target[done:wanted]
            got = self._blocks.copy(self._source.file, offset + done, rest, again=again)
            if got == 0:
                self._wait_for(offset + done, wanted - done)
            done += got
        if any(offset + done > stream.refill_at for stream in self._streams) or self._segments.on:
            self._tell_streams(offset, done)
        return done

    def _tell_streams(self, offset: int, size: int) -> None:
        """A read that was served from memory still moves its stream's window on."""
        with self._changed:
            for stream in self._streams:
                if stream.state is not State.ENDED and offset <= stream.position:
                    stream.wants_locked(offset, size)
            self._segments.read(offset + size)
            self._add_streams_locked()

    def _wait_for(self, offset: int, size: int) -> None:
        """Return once the bytes at `offset` may be in memory."""
        with self._changed:
            self._await_expected_locked()
            if self._closed:
                raise ChangedError("changed on the server while it was open")
            if self._blocks.holds(self._source.file, offset):
                return  # it has come just now
            stream = self._stream_for_locked(offset, size)
            if stream is None:
                return
            # No further than the block: in a small cache it falls out while the next one comes.
            end = min(offset + size, stream.end, offset - offset % BLOCK_BYTES + BLOCK_BYTES)
            stream.waiting.append(end)
            self._segments.read(offset + size)
            self._divide_locked(stream)
            start = stream.start  # it goes on to another span when this one is done
            try:
                arrived = self._changed.wait_for(
                    lambda: (
                        stream.position >= end
                        or stream.start != start
                        or stream.state is State.ENDED
                    ),
                    READ_WAIT_S,
                )
            finally:
                stream.waiting.remove(end)
            if not arrived:
                raise DeadlineError(f"no data at {offset} within {READ_WAIT_S:g} s")
            if stream.state is State.ENDED and stream.position <= offset:
                self._judge_locked(stream)

    def _await_expected_locked(self) -> None:
        if not self._expected:
            return
        self._changed.wait_for(lambda: self._arriving or not self._expected, EXPECTED_S)
        if self._arriving and not self._changed.wait_for(lambda: not self._arriving, READ_WAIT_S):
            raise DeadlineError(f"not fetched within {READ_WAIT_S:g} s")
        self._expected = False

    def _judge_locked(self, stream: Stream) -> None:
        """Raise the error of an ended stream, unless another one may go on from where it broke:
        that one finds out whether it is still the same file."""
        if stream.error is None:
            return
        broken = isinstance(stream.error, NetworkError | TransferError)
        useful = stream.progressed or isinstance(stream.error, LearntError)
        if stream.ahead or (broken and useful):
            log.info("reading goes on over another connection: %s", stream.error)
            self._fruitless.clear()
            return
        if not (isinstance(stream.error, BrokenOffError) and self._pause_locked(stream)):
            raise stream.error

    def _pause_locked(self, stream: Stream) -> bool:
        """Wait, as the server broke a transfer off before its first byte: it may be able to do it
        soon. False where that was tried often enough; several reads may wait for one stream."""
        if stream not in self._fruitless:
            self._fruitless.append(stream)
        tries = self._fruitless.index(stream)
        if tries >= len(PASSING_PAUSES_S):
            self._fruitless.clear()  # who reads it later tries as often
            return False
        log.info("read again in %g s: %s", PASSING_PAUSES_S[tries], stream.error)
        self._changed.wait_for(lambda: self._closed, PASSING_PAUSES_S[tries])
        return True

    def _stream_for_locked(self, offset: int, size: int) -> Stream | None:
        """The stream that brings the byte at `offset`; None where it has come meanwhile."""
        stream = self._serving_locked(offset, size)
        if stream is None and not self._has_room_locked():
            self._await_room_locked()
            if self._blocks.holds(self._source.file, offset):
                return None
            stream = self._serving_locked(offset, size)
        if stream is not None:
            stream.wants_locked(offset, size)
            return stream
        # The first requests of a sequential reader come out of order: begin at the beginning.
        start = 0 if self._untouched and offset < SKIP_GAP_BYTES else offset
        self._untouched = False
        stream = self._begin_locked(self._span_locked(start), None)
        stream.wants_locked(offset, size)
        if start == 0 and self.size <= BLOCK_BYTES:
            stream.wants_all_locked()  # a small file in one go is of one version
        stream.launch()
        return stream

    def _serving_locked(self, offset: int, size: int) -> Stream | None:
        """The running stream that should be waited for by a read of `size` bytes at `offset`."""
        self._streams = [s for s in self._streams if s.state is not State.ENDED]
        seeks = self._ways.seeks()
        for stream in sorted(self._streams, key=lambda s: s.position, reverse=True):
            if not seeks and not stream.ahead:
                stream.end = self.size  # the others could not begin
            # The last part of a file is shorter than those that are asked for with it.
            part = stream.largest if offset + size == self.size else size
            near = window.serves(stream.position, offset, part)
            if near and stream.position < stream.end == self._segments.next <= offset:
                # It would go on there anyhow: one more stream would only begin at the same place.
                stream.end = self._segments.claim()[1]
            if offset < stream.end and (near or not (seeks or offset < stream.position)):
                return stream
        return None

    def _has_room_locked(self) -> bool:
        """Whether one more stream may begin; where too many run, one is ended for it that nobody
        waits for, or that has had its turn: else several readers would end each other's streams
        before these have brought a byte."""
        if self._line:
            return False
        return self._make_room_locked()

    def _make_room_locked(self) -> bool:
        own = [s for s in self._streams if not s.ahead and s.state is not State.ENDED]
        if len(own) < STREAMS_PER_FILE:
            return True
        turn_over = time.monotonic() - STREAM_QUANTUM_S
        endable = [s for s in own if not s.waiting or (s.began and s.began < turn_over)]
        if not endable:
            return False
        oldest = min(endable, key=lambda s: (bool(s.waiting), s.last_use))
        oldest.stop_locked()
        self._streams.remove(oldest)
        return True

    def _await_room_locked(self) -> None:
        """Wait, first come first served, until one more stream may begin."""
        ticket, deadline = object(), time.monotonic() + READ_WAIT_S
        self._line.append(ticket)
        try:
            while self._line[0] is not ticket or not self._make_room_locked():
                if time.monotonic() > deadline:
                    raise DeadlineError(f"no place for one more stream in {READ_WAIT_S:g} s")
                self._changed.wait(STREAM_POLL_S)
        finally:
            self._line.remove(ticket)

    def _span_locked(self, start: int) -> Span:
        """What a new stream is to fetch for a read that waits at `start`: up to where the next
        stream begins, or the segments that nobody fetches yet; or to the end of the file."""
        if self._segments.left_by(start):
            self._leave_segments_locked(start)
        if self._segments.on and start >= self._segments.next:
            start, _ = self._segments.claim()
        beyond = self._segments.end
        return start, min((s.start for s in self._streams if s.start > start), default=beyond)

    def _begin_locked(
        self, span: Span, spare: Spare | None, turn_s: float = STREAM_QUANTUM_S
    ) -> Stream:
        stream = Stream(
            self._source,
            lambda offset: self._ways.open_read(spare, offset),
            span,
            self._changed,
            self._next_span_locked,
            self._next_end_locked,
            spare=spare,
            turn_s=turn_s,
        )
        self._streams.append(stream)
        return stream

    # -- side by side -------------------------------------------------------------------------

    def _divide_locked(self, stream: Stream) -> None:
        """A read waits for `stream`: fetch what lies behind it at the same time, if that helps."""
        now = time.monotonic()
        if stream.began is None or stream.ahead:
            return
        if stream.end < self.size or not self._ways.seeks():
            return
        if self._blocks.max_bytes < 2 * SEGMENTS_AHEAD_BYTES:
            return
        if stream.awaited_since is None:  # it was further back, and has caught up
            stream.awaited_since = stream.position, now
        start, since = stream.awaited_since
        if not self._segments.promising((start, stream.position), since, now):
            return
        spare = self._ways.spare()
        if spare is None:
            return
        stream.end = self._segments.begin(stream.position, now)
        stream.wants_all_locked()
        self._add_stream_locked(spare)
        self._add_streams_locked()

    def _add_streams_locked(self) -> None:
        while self._claimable_locked() and (spare := self._ways.spare()) is not None:
            self._add_stream_locked(spare)

    def _add_stream_locked(self, spare: Spare) -> None:
        stream = self._begin_locked(self._segments.claim(), spare, turn_s=0)
        stream.wants_all_locked()
        stream.launch()

    def _leave_segments_locked(self, start: int) -> None:
        self._segments = Segments(self.size, self._ways.verdict, start)
        for stream in self._streams:
            if stream.ahead:
                stream.stop_locked()

    def _claimable_locked(self) -> bool:
        return self._segments.claimable and self._ways.seeks()

    def _next_end_locked(self, stream: Stream) -> int:
        """How far a stream goes on with the transfer that it has."""
        if not stream.ahead and not self._ways.seeks():
            return self.size  # the others could not begin
        if stream.position == self._segments.next and self._claimable_locked():
            return self._segments.claim()[1]
        return stream.end

    def _next_span_locked(self, stream: Stream) -> Span | None:
        """What a stream goes on with that is done with its span."""
        self._segments.arrived((stream.start, stream.position), time.monotonic())
        return self._segments.claim() if self._claimable_locked() else None

    # -- whole files --------------------------------------------------------------------------

    def expect(self, listed: Fingerprint | None = None) -> bool:
        """Somebody will `fetch` this soon, or say `unexpected`: who reads it waits for that. False
        where that was said before, or done. `listed`: the version that will be fetched, without
        asking."""
        with self._changed:
            if self._expected or self._blocks.holds(self._source.file, 0):
                return False
            self._expected, self._listed = True, listed
            return True

    def unexpected(self) -> None:
        with self._changed:
            self._expected = False
            self._changed.notify_all()

    def fetch(self, spare: Spare) -> None:
        """Bring the whole of a small file into memory, on the caller's thread, who keeps the spare.

        Raises NetworkError where that is of no use any more; other errors are for who reads the
        file to find.
        """
        with self._changed:
            if not self._expected or self._closed:  # nobody waits any more, or lost patience
                self._expected = False
                self._changed.notify_all()
                return
            self._untouched = False
            self.identity.assume(self._listed)
            self._arriving = self.size <= AHEAD_WHOLE_BYTES
            self._changed.notify_all()
        if self._arriving:
            self._fetch_whole(spare)
        else:
            self._fetch_by_stream(spare)

    def _fetch_by_stream(self, spare: Spare) -> None:
        with self._changed:
            stream = self._begin_locked((0, self.size), spare)
            stream.wants_all_locked()
            self._expected = False
            self._changed.notify_all()
        stream.run()
        if isinstance(stream.error, NetworkError):
            raise stream.error

    def _fetch_whole(self, spare: Spare) -> None:
        """Without a stream: to keep one, and tell of its progress, takes longer than to receive so
        little."""
        arrived = False
        try:
            with contextlib.closing(self._ways.open_read(spare, 0)) as download:
                data, end = memoryview(bytearray(self.size)), 0
                while end < self.size and (count := download.readinto(data[end:])):
                    end += count
                if end == self.size:  # else it is shorter by now
                    arrived = True
                    self._arrived(data)
                    # Its end, and the final reply a round trip later, for which nobody waits.
                    download.readinto(memoryview(bytearray(1)))
        except NetworkError:
            raise
        except FtpfsError as error:
            log.debug("not fetched ahead: %s", error)
        finally:
            if not arrived:  # once only: by now, somebody else may be about to fetch it again
                self._arrived(None)

    def _arrived(self, data: memoryview | None) -> None:
        """Who waits for the file that is fetched finds it in memory, or has to fetch it."""
        with self._changed:
            if data is not None and not self._closed:
                self._blocks.put(self._source.file, data)
            self._expected = self._arriving = False
            self._changed.notify_all()

    # -- life ---------------------------------------------------------------------------------

    def use(self, ways: Ways) -> None:
        """From now on, get at the server in these ways."""
        with self._changed:
            self._ways = ways

    def stop_streams(self) -> None:
        """End the transfers; what was read stays, and what is read next gets a new one."""
        with self._changed:
            for stream in self._streams:
                stream.stop_locked()
            self._streams.clear()
            self._segments = Segments(self.size, self._ways.verdict)

    def rest(self) -> None:
        """Nobody has the file open any more: end the transfers. What was read of a file that is too
        large to be fetched ahead is, most of it, in the kernel's page cache; its memory here serves
        the next file."""
        self.stop_streams()
        if self.size > AHEAD_FILE_BYTES:
            self._blocks.drop(self._source.file, self.size)
            with self._changed:
                self._untouched = True

    def close(self) -> None:
        """Stop the streams and forget the blocks."""
        with self._changed:
            self._closed = True
        self.stop_streams()
        self._blocks.drop(self._source.file, self.size)
