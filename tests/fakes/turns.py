"""A server of one file whose downloads move only when the test says so.

    server = Turns(data)
    reader = Reader(server.ways(), len(data), BlockCache())
    with server.reading(reader, 0, 100) as read:
        server.waiting(1)[0].give(100)
    assert read.data == data[:100]

Each `readinto` stands at the turnstile until it is given a number of bytes, an end or an error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ftpfs.content.reader import Reader
from ftpfs.content.segments import Verdict
from ftpfs.content.streams import Ways
from ftpfs.errors import FtpfsError, NetworkError
from ftpfs.remote import api
from ftpfs.remote.api import Entry, Fingerprint

WAIT_S = 20.0


class Turns:
    """`spares`: how many connections there are beside the one that is waited for."""

    def __init__(self, data: bytes, spares: int = 0) -> None:
        self.data = data
        self.spares = spares
        self.changed = threading.Condition()
        self.downloads: list[Paced] = []  # as they were opened
        self.refusals: list[FtpfsError] = []  # what the next openings raise
        self.free = False  # nobody has to wait
        self.returned = 0  # spares that were given back
        self.seeks = True
        self.behind = 0  # bytes that come before those that are wanted, in each download
        self.wanted = False  # somebody else waits for a connection

    # -- for tests ----------------------------------------------------------------------------

    def waiting(self, count: int) -> list[Paced]:
        """The downloads that stand at the turnstile, once there are `count`."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self._standing()) >= count, WAIT_S), (
                self.downloads
            )
            return self._standing()

    def _standing(self) -> list[Paced]:
        return [download for download in self.downloads if download.stands]

    def opened(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.downloads) >= count, WAIT_S)

    def until(self, check: Callable[[], bool], what: str) -> None:
        """Wait for something that a download or a spare does."""
        with self.changed:
            assert self.changed.wait_for(check, WAIT_S), what

    def let_all_go(self) -> None:
        with self.changed:
            self.free = True
            self.changed.notify_all()

    def want(self) -> None:
        self.wanted = True

    @property
    def spans(self) -> list[tuple[int, int]]:
        """What was given out, by each download that gave anything."""
        return sorted((d.offset, d.at) for d in self.downloads if d.at > d.offset)

    @property
    def moved(self) -> int:
        return sum(d.at - d.offset for d in self.downloads)

    @contextmanager
    def reading(self, reader: Reader, offset: int, size: int) -> Iterator[Read]:
        """A read on a thread of its own; it has ended when the block has."""
        read = Read(reader, offset, size, self)
        yield read
        read.join()

    # -- the server ---------------------------------------------------------------------------

    def ways(self, verdict: Verdict | None = None) -> Ways:
        return Ways(self.open_read, self.spare, verdict or Verdict(), lambda: self.seeks)

    def open_read(self, spare: api.Spare | None, offset: int) -> Paced:
        with self.changed:
            if self.refusals:
                raise self.refusals.pop(0)
            self.downloads.append(Paced(self, offset, spare))
            self.changed.notify_all()
            return self.downloads[-1]

    def spare(self) -> Spare | None:
        with self.changed:
            if self.spares <= 0:
                return None
            self.spares -= 1
            return Spare(self)


class Spare:
    def __init__(self, server: Turns) -> None:
        self._server = server

    @property
    def wanted(self) -> bool:
        return self._server.wanted

    def connect(self) -> None:
        pass

    def list(self, path: str) -> dict[str, Entry]:
        raise AssertionError("nothing to be listed")

    def open_read(self, path: str, offset: int, *, identify: bool = False) -> Paced:
        raise AssertionError("readers open by their ways")

    def close(self) -> None:
        with self._server.changed:
            self._server.spares += 1
            self._server.returned += 1
            self._server.changed.notify_all()


class Paced:
    """One download; `give`, `end` and `fail` say what its reader gets next."""

    def __init__(self, server: Turns, offset: int, spare: api.Spare | None) -> None:
        self.found: Fingerprint | None = None
        self.offset = self.at = offset
        self.spare = spare
        self.behind = server.behind
        self.stands = False
        self.closed = False
        self.wide: bool | None = None
        self.asked = 0  # bytes, by the one who stands here
        self._server = server
        self._granted = 0
        self._end: FtpfsError | bool = False

    def __repr__(self) -> str:
        return f"<Paced {self.offset}-{self.at} stands={self.stands} closed={self.closed}>"

    @property
    def wanted(self) -> bool:
        return self._server.wanted

    def give(self, count: int) -> None:
        """Let `count` bytes through, and return when they are taken, or the download is closed."""
        changed = self._server.changed
        with changed:
            self._granted += count
            changed.notify_all()
            assert changed.wait_for(lambda: self._granted == 0 or self.closed, WAIT_S), self

    def give_some(self, count: int) -> None:
        """The one `readinto` that stands here gets at most `count` bytes."""
        self.give(min(count, self.asked))

    def end(self) -> None:
        self._stop(True)

    def fail(self, error: FtpfsError | None = None) -> None:
        self._stop(error or NetworkError("connection lost while receiving"))

    def _stop(self, how: FtpfsError | bool) -> None:
        with self._server.changed:
            self._end = how
            self._server.changed.notify_all()

    def _may_pass(self) -> bool:
        return bool(self._server.free or self._granted or self._end)

    def skip(self) -> bool:
        with self._server.changed:
            if self.behind:
                self.behind -= self._let_through(self.behind)
                return True
            return False

    def readinto(self, buffer: memoryview) -> int:
        server = self._server
        with server.changed:
            if self.at >= len(server.data):
                return 0
            count = self._let_through(min(len(buffer), len(server.data) - self.at))
            buffer[:count] = server.data[self.at : self.at + count]
            self.at += count
            return count

    def _let_through(self, most: int) -> int:
        server = self._server
        self.stands, self.asked = True, most
        server.changed.notify_all()
        assert server.changed.wait_for(self._may_pass, WAIT_S), self
        self.stands = False
        if isinstance(self._end, FtpfsError):
            raise self._end
        if self._end:
            return 0
        count = most if server.free else min(most, self._granted)
        self._granted = max(0, self._granted - count)
        server.changed.notify_all()
        return count

    def narrow(self) -> None:
        self.wide = False

    def widen(self) -> None:
        self.wide = True

    def close(self) -> None:
        with self._server.changed:
            self.closed, self.stands = True, False
            self._server.changed.notify_all()


class Read:
    """One `read_into`, on a thread of its own."""

    def __init__(self, reader: Reader, offset: int, size: int, server: Turns) -> None:
        self.data: bytes | None = None
        self.error: BaseException | None = None
        self.done = False
        self._server = server
        self._thread = threading.Thread(target=self._run, args=(reader, offset, size))
        self._thread.start()

    def _run(self, reader: Reader, offset: int, size: int) -> None:
        target = bytearray(size)
        try:
            self.data = bytes(target[: reader.read_into(memoryview(target), offset)])
        except BaseException as error:
            self.error = error
        with self._server.changed:
            self.done = True
            self._server.changed.notify_all()

    def join(self) -> Read:
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the read does not end"
        return self
