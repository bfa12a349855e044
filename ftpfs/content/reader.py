"""Reads one version of a file from the server: blocks in memory, filled by streams.

Shared by all handles of an open file. `_changed` (a Condition) guards the streams and what is
known of a fetch of the whole file; nothing is fetched while it is held.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time

from ftpfs.cache.blocks import BlockCache
from ftpfs.config import (
    AHEAD_FILE_BYTES,
    AHEAD_WHOLE_BYTES,
    BLOCK_BYTES,
    EXPECTED_S,
    PASSING_PAUSES_S,
    READ_WAIT_S,
)
from ftpfs.content.identity import Identity
from ftpfs.content.stream import Source, State, Stream
from ftpfs.content.streams import Streams, Ways
from ftpfs.errors import (
    BrokenOffError,
    ChangedError,
    DeadlineError,
    FtpfsError,
    LearntError,
    NetworkError,
    TransferError,
)
from ftpfs.remote.api import Spare

log = logging.getLogger(__name__)

_numbers = itertools.count(1)


class Reader:
    """Random access to `size` bytes of one version of a file."""

    def __init__(self, ways: Ways, size: int, blocks: BlockCache) -> None:
        # set once
        self.size = size
        self.identity = Identity()
        self._source = Source(next(_numbers), size, blocks, self._outgrew)
        self._blocks = blocks
        self._changed = threading.Condition()
        # guarded by _changed
        self._streams = Streams(self._source, ways, self._changed)
        self._fruitless: list[Stream] = []  # broken off before the first byte, one after the other
        self._expected = False  # somebody will `fetch` it soon
        self._arriving = False  # somebody does
        self._closed = False
        self.outgrown = False  # the server's file is longer by now; also read without the lock

    # -- reading ------------------------------------------------------------------------------

    def read_into(self, target: memoryview, offset: int, *, again: bool = False) -> int:
        """Bytes put into `target`; fewer than asked only at the end of the file. `again`: they are
        in no page cache, and may be read again.

        Raises ChangedError when the server's file is another than it was, NetworkError when it
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
        if self._streams.moved_by(offset + done):
            with self._changed:
                self._streams.read(offset, done)
        return done

    def _wait_for(self, offset: int, size: int) -> None:
        """Return once the bytes at `offset` may be in memory."""
        with self._changed:
            self._await_expected_locked()
            if self._closed:
                raise ChangedError("changed on the server while it was open")
            if self._blocks.holds(self._source.file, offset):
                return  # it has come just now
            stream = self._streams.bringing(offset, size)
            if stream is None:
                return
            # No further than the block: in a small cache it falls out while the next one comes.
            end = min(offset + size, stream.end, offset - offset % BLOCK_BYTES + BLOCK_BYTES)
            stream.waiting.append(end)
            self._streams.await_read(stream, offset + size)
            start = stream.start  # it goes on to another span when this one is done
            try:
                while not self._changed.wait_for(
                    lambda: (
                        stream.position >= end
                        or stream.start != start
                        or stream.state is State.ENDED
                    ),
                    READ_WAIT_S,
                ):
                    if time.monotonic() - stream.moved_at >= READ_WAIT_S:
                        raise DeadlineError(f"no data at {offset} within {READ_WAIT_S:g} s")
            finally:
                stream.waiting.remove(end)
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

    # -- whole files --------------------------------------------------------------------------

    def expect(self) -> bool:
        """Somebody will `fetch` this soon, or say `unexpected`: who reads it waits for that. False
        where that was said before, or done."""
        with self._changed:
            if self._expected or self._blocks.holds(self._source.file, 0):
                return False
            self._expected = True
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
            self._streams.untouched = False
            self._arriving = self.size <= AHEAD_WHOLE_BYTES
            self._changed.notify_all()
        if self._arriving:
            self._fetch_whole(spare)
        else:
            self._fetch_by_stream(spare)

    def _fetch_by_stream(self, spare: Spare) -> None:
        with self._changed:
            stream = self._streams.begin((0, self.size), spare)
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
            with contextlib.closing(self._streams.ways.open_read(spare, 0)) as download:
                data, end = memoryview(bytearray(self.size)), 0
                while end < self.size and (count := download.readinto(data[end:])):
                    end += count
                if end == self.size:  # else it is shorter by now
                    arrived = True
                    self._arrived(data)
                    # Its end, and the final reply a round trip later, for which nobody waits.
                    if download.readinto(memoryview(bytearray(1))):
                        self._outgrew()
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

    def _outgrew(self) -> None:
        """There is more on the server, which did not say so when it was asked, or could not."""
        with self._changed:
            self.outgrown = True

    # -- life ---------------------------------------------------------------------------------

    def use(self, ways: Ways) -> None:
        """From now on, get at the server in these ways."""
        with self._changed:
            self._streams.ways = ways

    def stop_streams(self) -> None:
        """End the transfers; what was read stays, and what is read next gets a new one."""
        with self._changed:
            self._streams.stop()

    def rest(self) -> None:
        """Nobody has the file open any more: end the transfers. What was read of a file that is too
        large to be fetched ahead is, most of it, in the kernel's page cache; its memory here serves
        the next file."""
        self.stop_streams()
        if self.size > AHEAD_FILE_BYTES:
            self._blocks.drop(self._source.file, self.size)
            with self._changed:
                self._streams.untouched = True

    def close(self) -> None:
        """Stop the streams and forget the blocks."""
        with self._changed:
            self._closed = True
            self._streams.close()
        self._blocks.drop(self._source.file, self.size)
