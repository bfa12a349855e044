"""From a server to another, or to the same: streamed, no temporary file on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from ftpfs.config import COPY_STEP_BYTES, PAIRING_LOOK_S, PAIRING_S, SMALL_BYTES
from ftpfs.errors import (
    AbsentError,
    ChangedError,
    ConnectionLimitError,
    DeadlineError,
    RefusedError,
    TransferError,
)
from ftpfs.remote.api import Fingerprint
from ftpfs.remote.line import Line
from ftpfs.tree.choices import Choices
from ftpfs.tree.events import File
from ftpfs.tree.resume import server_range
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage
from ftpfs.tree.storing import Storing
from ftpfs.tree.uploads import BusyError, LargeUploads, Outflow


class Relaying(Storing[ServerPlace]):
    """Copies of one command between servers; `copy` is for one thread.

    A file within one server takes two connections. `pairing` is the turn to take them: two workers
    that have one each would wait for each other. `under_way` are the files that have had both, to
    the end of all that is done for them; add and discard are one step.
    """

    def __init__(
        self, source: ServerPlace, target: ServerPlace, stage: Stage, choices: Choices
    ) -> None:
        super().__init__(source, target, stage, choices)
        self.pairing = threading.Semaphore(1)
        self.under_way: set[object] = set()

    def copy(self, files: Iterable[File]) -> None:
        """Each file is told as an event."""
        hands = min(self.source.hands, self.target.hands)
        if self.source.server is self.target.server:
            hands = max(1, min(hands, self.source.server.limit) // 2)
        LargeUploads(self.target, self.stage, self, hands).copy(list(files))

    def outflow(self, file: File) -> Outflow:
        try:
            version = self.source.server.fingerprint(file.source)
            if version is None:
                raise AbsentError(f"{file.source}: no such file or directory")
            return _ServerOutflow(self, file, version)
        except (ConnectionLimitError, DeadlineError) as error:
            if self.under_way:
                raise BusyError("the other files have all connections") from error
            raise

    def verify(self, file: File, place: str) -> None:
        self.verifier.servers(self.source.server, file.source, self.target.server, place)


class _ServerOutflow:
    """A file on a server: see uploads.py. Read over a line of its own, in bounded pieces."""

    def __init__(self, relaying: Relaying, file: File, version: Fingerprint) -> None:
        self._relaying = relaying
        self._stage = relaying.stage
        self._server = relaying.source.server
        self._path = file.source
        self._version = version
        self._same = relaying.source.server is relaying.target.server
        # A small one is in memory before the target's connection is taken: one will do for both.
        small = version.size <= SMALL_BYTES
        self._content = server_range(self._server, self._path, 0, version.size) if small else None
        self.size = version.size
        known = version.mtime_ns
        self.mtime_ns = file.entry.told_ns if known is None else known
        self.version = (self.size, self.mtime_ns)

    @contextmanager
    def ready(self, line: Line) -> Iterator[None]:
        if self._content is not None:
            yield
            return
        with self._stage.line(self._server) as self._reading:
            if self._same:
                self._take_both(line, self._reading)
            yield

    def _take_both(self, line: Line, reading: Line) -> None:
        """Have both connections. Raises BusyError where they are not to be had beside those of
        another file, which needs a third now and then."""
        with self._relaying.pairing:
            patient_until = time.monotonic() + PAIRING_S
            self._server.make_room(2)  # -j says how many files, and one is enough to need both
            while True:
                self._stage.check()
                if self._server.limit == 1:
                    raise RefusedError("the server allows one connection, and this takes two")
                try:
                    line.open(PAIRING_LOOK_S)
                    reading.open(PAIRING_LOOK_S)
                    break
                except (ConnectionLimitError, DeadlineError):
                    if self._relaying.under_way - {self}:
                        raise BusyError("the server allows no more connections") from None
                    if time.monotonic() > patient_until:
                        raise
            self._relaying.under_way.add(self)

    def pour(self, line: Line, offset: int, step: Callable[[int], None]) -> None:
        if self._content is not None:
            line.send(self._content[offset:])
            step(self.size - offset)
        else:
            self._stream(self._reading, line, offset, step)

    def _stream(self, reading: Line, line: Line, offset: int, step: Callable[[int], None]) -> None:
        buffer = memoryview(bytearray(COPY_STEP_BYTES))
        reading.retrieve(self._path, offset)
        while count := reading.receive(buffer):
            offset += count
            if offset > self.size:
                raise ChangedError(f"{self._path}: has grown beyond {self.size} bytes")
            line.send(buffer[:count])
            step(count)
        if offset < self.size:
            raise TransferError(f"{self._path}: ended at {offset} of {self.size} bytes")

    def range(self, start: int, end: int) -> bytes:
        return server_range(self._server, self._path, start, end)

    def check(self) -> None:
        now = self._server.fingerprint(self._path)
        if now is None or not now.matches(self._version):
            raise ChangedError(f"{self._path}: was changed while it was copied")

    def close(self) -> None:
        self._relaying.under_way.discard(self)
