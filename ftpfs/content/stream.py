"""One RETR after another that run ahead of their reader, on a thread of their own.

Why a thread: requests of one sequential reader arrive out of order on several FUSE threads; if
these took turns at the socket, all of them could end up waiting for one another.

State, guarded by the reader's condition:

    OPENING --> RUNNING <--> PAUSED        the window is full: nobody reads
       ^           |            |
       |           +------------+--> ENDED end of file, error, asked to stop, or the connection
       +--- the span is done, and           was wanted by others
            the reader has another one
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from ftpfs.cache.blocks import Block, BlockCache
from ftpfs.config import (
    BLOCK_BYTES,
    SKIP_TURN_S,
    STREAM_IDLE_S,
    STREAM_POLL_S,
    STREAM_QUANTUM_S,
)
from ftpfs.content import window
from ftpfs.content.segments import Span
from ftpfs.content.threads import Threads
from ftpfs.errors import ChangedError, FtpfsError
from ftpfs.remote.api import Download, Spare

log = logging.getLogger(__name__)

OpenRead = Callable[[int], Download]
"""offset -> the bytes from there on."""

THREADS = Threads("stream")
"""Those of all streams of this process: as many as there are connections."""


class State(enum.Enum):
    OPENING = "opening"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class Source(NamedTuple):
    """One version of a file, and where its blocks go."""

    file: int  # number of the version
    size: int
    blocks: BlockCache
    outgrown: Callable[[], None]  # to be told that there are more bytes than that


class Stream:
    """Fills blocks of one file version from `start` to `end`.

    `changed` is the reader's condition; it guards every field that is not set once, and is held
    when a span is done: while `next_end` says how far it reaches by now, and `next_span` where else
    to go on. `spare`: a connection that nobody asked for. When somebody waits for the connection of
    a stream, it ends `turn_s` after it began.
    """

    def __init__(
        self,
        source: Source,
        open_read: OpenRead,
        span: Span,
        changed: threading.Condition,
        next_span: Callable[[Stream], Span | None],
        next_end: Callable[[Stream], int],
        *,
        spare: Spare | None = None,
        turn_s: float = STREAM_QUANTUM_S,
    ) -> None:
        # set once
        self._source = source
        self._open_read = open_read
        self._changed = changed
        self._next_span = next_span
        self._next_end = next_end
        self._spare = spare
        self._turn_s = turn_s
        self.ahead = spare is not None
        # guarded by changed
        self.state = State.OPENING
        self.start, self.end = span
        self.position = self.start
        self.error: BaseException | None = None
        self.last_use = time.monotonic()
        self.moved_at = self.last_use  # when something came last, be it what is skipped
        self.began: float | None = None  # when the first byte of this span came
        # Offset and time since which the reader was never further back than the window.
        self.awaited_since: tuple[int, float] | None = None
        self.refill_at = self.start  # a read that ends beyond this offset moves the window on
        self.largest = 0  # bytes of a read
        self._window = 0
        self._narrow = True  # so far it was a single read
        self._limit = self.start
        self._stopping = False
        self.waiting: list[int] = []  # the offsets that readers wait for this stream to reach

    def __repr__(self) -> str:
        return f"<Stream {self.state.value} {self.start}-{self.position}-{self.end}>"

    @property
    def progressed(self) -> bool:
        return self.position > self.start

    def launch(self) -> None:
        """Begin, on a thread that is free at the latest STREAM_IDLE_S after the last read."""
        THREADS.run(self._run_alone)

    def wants_locked(self, offset: int, size: int) -> None:
        """A read of `size` bytes at `offset` goes on, or waits for, this stream."""
        self.last_use = time.monotonic()
        self.largest = max(self.largest, size)
        end = offset + size
        if self._window == 0:
            self._window = window.first(self.start, size)
        elif end > self.refill_at:
            self._window = window.grown(self._window, self._source.blocks.max_bytes)
            self._narrow = False
        else:
            return
        self._limit = max(self._limit, end + self._window)
        # Not at every read: waking the thread for each would cost more than the reading.
        self.refill_at = self._limit - self._window // 2
        if self.state is State.PAUSED:
            self._changed.notify_all()

    def wants_all_locked(self) -> None:
        """The whole span is wanted, whether somebody reads it yet or not."""
        self._narrow = False
        self._limit = self.refill_at = self._source.size

    def stop_locked(self) -> None:
        self._stopping = True
        self._changed.notify_all()

    # -- the thread ---------------------------------------------------------------------------

    def run(self) -> None:
        """Receive span after span until there is no more, on the caller's thread."""
        error: BaseException | None = None
        try:
            while self._span_received():
                pass
        except FtpfsError as caught:
            error = caught
        except BaseException as caught:
            log.exception("stream failed")
            error = caught
        with self._changed:
            self.error = error
            self.state = State.ENDED
            self._changed.notify_all()

    def _run_alone(self) -> None:
        try:
            self.run()
        finally:
            if self._spare is not None:
                self._spare.close()

    def _span_received(self) -> bool:
        """Whether all of the span is here, and there is another one.

        That one is chosen before the transfer is ended, which may take a round trip: who reads on
        there meanwhile waits for it.
        """
        with self._changed:
            if self._stopping:  # before there is a connection: nobody wants it any more
                return False
        download = self._open_read(self.start)
        try:
            if not self._reached(download):
                return False
            if self._narrow:
                download.narrow()
            return self._receive(download) and self._moved_on()
        finally:
            download.close()

    def _reached(self, download: Download) -> bool:
        """Whether the transfer has come to where the span begins. False when the stream should
        end."""
        yield_at = time.monotonic() + max(self._turn_s, SKIP_TURN_S)
        while download.skip():
            with self._changed:
                self.moved_at = time.monotonic()
            if not self._may_go_on(download, yield_at):
                return False
        return True

    def _moved_on(self) -> bool:
        with self._changed:
            wanted = self._spare is not None and self._spare.wanted
            span = None if self._stopping or wanted else self._next_span(self)
            if span is None:
                return False
            self.start, self.end = span
            self.position, self.state = self.start, State.OPENING
            self.began, self.last_use = None, time.monotonic()
            self.wants_all_locked()
            return True

    def _receive(self, download: Download) -> bool:
        yield_at = time.monotonic() + self._turn_s
        while self.position < self.end or self._goes_on():
            index, at = divmod(self.position, BLOCK_BYTES)
            source = self._source
            block = source.blocks.new(source.file, index, at, source.size - index * BLOCK_BYTES)
            try:
                if not self._fill(block, download, yield_at):
                    return False
            finally:
                source.blocks.leave(block)
        if self.position == self._source.size:
            self._confirm_end(download)
        return True

    def _goes_on(self) -> bool:
        """Whether what follows is to be fetched by nobody else: then by the same transfer."""
        with self._changed:
            if not self._stopping:
                self.end = self._next_end(self)
            return self.position < self.end

    def _fill(self, block: Block, download: Download, yield_at: float) -> bool:
        """Receive until the block, or the span, is complete. False when the stream should end."""
        end = min(BLOCK_BYTES, block.end + self.end - self.position)
        while block.end < end:
            if not self._may_go_on(download, yield_at):
                return False
            if not self._narrow:
                download.widen()
            most = max(self._limit - self.position, 1) if self._narrow else BLOCK_BYTES
            count = download.readinto(block.data[block.end : min(end, block.end + most)])
            if count == 0:
                raise ChangedError(
                    f"the file ended at {self.position} bytes; the listing said {self._source.size}"
                )
            with self._changed:
                self.moved_at = time.monotonic()
                if self.began is None:
                    self.began = self.moved_at
                    self.awaited_since = self.start, self.began
                block.end += count
                self.position += count
                if self.waiting and self.position >= min(self.waiting):
                    self._changed.notify_all()
        return True

    def _confirm_end(self, download: Download) -> None:
        if download.readinto(memoryview(bytearray(1))):
            log.info("the file is longer by now than the %d bytes that are read", self._source.size)
            self._source.outgrown()

    def _may_go_on(self, download: Download, yield_at: float) -> bool:
        """Wait while the window is full. False when the stream should end."""
        with self._changed:
            while self.position >= self._limit and not self._stopping:
                self.state, self.awaited_since = State.PAUSED, None
                idle = time.monotonic() - self.last_use
                if idle > STREAM_IDLE_S or (idle > STREAM_POLL_S and download.wanted):
                    return False
                self._changed.wait(STREAM_POLL_S)
            self.state = State.RUNNING
            if self._stopping:
                return False
        return not (time.monotonic() > yield_at and download.wanted)
