"""One RETR that runs ahead of its reader, on a thread of its own.

Why a thread: requests of one sequential reader arrive out of order on several FUSE threads; if
these took turns at the socket, all of them could end up waiting for one another.

State, guarded by the reader's condition:

    OPENING --> RUNNING <--> PAUSED        the window is full: nobody reads
       |           |            |
       +-----------+------------+--> ENDED end of file, error, asked to stop, or the connection
                                           was wanted by others
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable

from ftpfs.cache.blocks import Block, BlockCache
from ftpfs.config import (
    BLOCK_BYTES,
    STREAM_IDLE_S,
    STREAM_POLL_S,
    STREAM_QUANTUM_S,
)
from ftpfs.content import window
from ftpfs.errors import ChangedError, FtpfsError
from ftpfs.remote.api import Download

log = logging.getLogger(__name__)


class State(enum.Enum):
    OPENING = "opening"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class Stream:
    """Fills blocks of one file version from `start` on.

    `changed` is the reader's condition; it guards every field that is not set once.
    """

    def __init__(
        self,
        open_read: Callable[[int], Download],
        start: int,
        size: int,
        file: int,
        blocks: BlockCache,
        changed: threading.Condition,
    ) -> None:
        # set once
        self._open_read = open_read
        self._start = start
        self._size = size
        self._file = file
        self._blocks = blocks
        self._changed = changed
        # guarded by changed
        self.state = State.OPENING
        self.position = start
        self.error: BaseException | None = None
        self.last_use = time.monotonic()
        self.refill_at = start  # a read that ends beyond this offset moves the window on
        self._window = 0
        self._limit = start
        self._stopping = False
        self.waiting: list[int] = []  # the offsets that readers wait for this stream to reach

    def __repr__(self) -> str:
        return f"<Stream {self.state.value} {self._start}-{self.position}/{self._size}>"

    @property
    def progressed(self) -> bool:
        return self.position > self._start

    def start(self) -> None:
        """Begin; the thread ends by itself at the latest STREAM_IDLE_S after the last read."""
        threading.Thread(target=self._run, name=f"stream-{self._file}", daemon=True).start()

    def wants_locked(self, offset: int, size: int) -> None:
        """A read of `size` bytes at `offset` goes on, or waits for, this stream."""
        self.last_use = time.monotonic()
        end = offset + size
        if self._window == 0:
            self._window = window.first(size)
        elif end > self.refill_at:
            self._window = window.grown(self._window)
        else:
            return
        self._limit = max(self._limit, end + self._window)
        # Not at every read: waking the thread for each would cost more than the reading.
        self.refill_at = self._limit - self._window // 2
        if self.state is State.PAUSED:
            self._changed.notify_all()

    def stop_locked(self) -> None:
        self._stopping = True
        self._changed.notify_all()

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            download = self._open_read(self._start)
            try:
                self._receive(download)
            finally:
                download.close()
        except FtpfsError as caught:
            error = caught
        except BaseException as caught:
            log.exception("stream failed")
            error = caught
        with self._changed:
            self.error = error
            self.state = State.ENDED
            self._changed.notify_all()

    def _receive(self, download: Download) -> None:
        yield_at = time.monotonic() + STREAM_QUANTUM_S
        while self.position < self._size:
            index, at = divmod(self.position, BLOCK_BYTES)
            block = self._blocks.new(self._file, index, at)
            try:
                if not self._fill(block, download, yield_at):
                    return
            finally:
                self._blocks.filled(block)
        self._confirm_end(download)

    def _fill(self, block: Block, download: Download, yield_at: float) -> bool:
        """Receive until the block, or the file, is complete. False when the stream should end."""
        end = min(BLOCK_BYTES, block.end + self._size - self.position)
        while block.end < end:
            if not self._may_go_on(download, yield_at):
                return False
            count = download.readinto(block.data[block.end : end])
            if count == 0:
                raise ChangedError(
                    f"the file ended at {self.position} bytes; the listing said {self._size}"
                )
            with self._changed:
                block.end += count
                self.position += count
                if self.waiting and self.position >= min(self.waiting):
                    self._changed.notify_all()
        return True

    def _confirm_end(self, download: Download) -> None:
        if download.readinto(memoryview(bytearray(1))):
            log.info("the file is longer by now than the %d bytes that are read", self._size)

    def _may_go_on(self, download: Download, yield_at: float) -> bool:
        """Wait while the window is full. False when the stream should end."""
        with self._changed:
            while self.position >= self._limit and not self._stopping:
                self.state = State.PAUSED
                idle = time.monotonic() - self.last_use
                if idle > STREAM_IDLE_S or (idle > STREAM_POLL_S and download.wanted):
                    return False
                self._changed.wait(STREAM_POLL_S)
            self.state = State.RUNNING
            if self._stopping:
                return False
        return not (time.monotonic() > yield_at and download.wanted)
