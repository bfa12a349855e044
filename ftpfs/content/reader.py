"""Reads one version of a file from the server: blocks in memory, filled by streams.

Shared by all handles of an open file. `_changed` (a Condition) guards the list of streams and
their fields; nothing is fetched while it is held.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable

from ftpfs.cache.blocks import BlockCache
from ftpfs.config import READ_WAIT_S, SKIP_GAP_BYTES, STREAMS_PER_FILE
from ftpfs.content import window
from ftpfs.content.stream import State, Stream
from ftpfs.errors import DeadlineError, NetworkError
from ftpfs.remote.api import Download

log = logging.getLogger(__name__)

_numbers = itertools.count(1)


class Reader:
    """Random access to `size` bytes that `open_read(offset)` gives in order."""

    def __init__(self, open_read: Callable[[int], Download], size: int, blocks: BlockCache) -> None:
        # set once
        self._open_read = open_read
        self.size = size
        self._blocks = blocks
        self._file = next(_numbers)
        self._changed = threading.Condition()
        # guarded by _changed
        self._streams: list[Stream] = []
        self._untouched = True

    def read_into(self, target: memoryview, offset: int) -> int:
        """Bytes put into `target`; fewer than asked only at the end of the file.

        Raises ChangedError when the server's file is shorter than it was, NetworkError when it
        cannot be reached, RefusedError when it may not be read.
        """
        wanted = max(0, min(len(target), self.size - offset))
        done = 0
        while done < wanted:
            got = self._blocks.copy(self._file, offset + done, target[done:wanted])
            if got == 0:
                self._wait_for(offset + done, wanted - done)
            done += got
        if any(offset + done > stream.refill_at for stream in self._streams):
            self._tell_streams(offset, done)
        return done

    def _tell_streams(self, offset: int, size: int) -> None:
        """A read that was served from memory still moves its stream's window on."""
        with self._changed:
            for stream in self._streams:
                if stream.state is not State.ENDED and offset <= stream.position:
                    stream.wants_locked(offset, size)

    def _wait_for(self, offset: int, size: int) -> None:
        """Return once the bytes at `offset` may be in memory."""
        with self._changed:
            stream = self._stream_for_locked(offset, size)
            end = offset + size
            stream.waiting.append(end)
            try:
                arrived = self._changed.wait_for(
                    lambda: stream.position >= end or stream.state is State.ENDED, READ_WAIT_S
                )
            finally:
                stream.waiting.remove(end)
            if not arrived:
                raise DeadlineError(f"no data at {offset} within {READ_WAIT_S:g} s")
            if stream.state is State.ENDED and stream.position <= offset:
                self._judge_locked(stream)

    def _judge_locked(self, stream: Stream) -> None:
        """Raise the error of an ended stream, unless another one may go on from where it broke."""
        if stream.error is None:
            return
        if isinstance(stream.error, NetworkError) and stream.progressed:
            log.info("reading goes on over a new connection: %s", stream.error)
            return
        raise stream.error

    def _stream_for_locked(self, offset: int, size: int) -> Stream:
        self._streams = [s for s in self._streams if s.state is not State.ENDED]
        for stream in self._streams:
            if window.serves(stream.position, offset):
                stream.wants_locked(offset, size)
                return stream
        if len(self._streams) >= STREAMS_PER_FILE:
            oldest = min(self._streams, key=lambda s: s.last_use)
            oldest.stop_locked()
            self._streams.remove(oldest)
        # The first requests of a sequential reader come out of order: begin at the beginning.
        start = 0 if self._untouched and offset < SKIP_GAP_BYTES else offset
        self._untouched = False
        stream = Stream(self._open_read, start, self.size, self._file, self._blocks, self._changed)
        stream.wants_locked(offset, size)
        self._streams.append(stream)
        stream.start()
        return stream

    def stop_streams(self) -> None:
        """End the transfers; what was read stays, and what is read next gets a new one."""
        with self._changed:
            for stream in self._streams:
                stream.stop_locked()
            self._streams.clear()

    def close(self) -> None:
        """Stop the streams and forget the blocks."""
        self.stop_streams()
        self._blocks.drop(self._file)
