"""From the local disk to a server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

from ftpfs.config import SMALL_BYTES, TOLD_BYTES
from ftpfs.errors import ChangedError, FtpfsError, NetworkError, TransferError
from ftpfs.remote.bulk import send
from ftpfs.remote.line import Line
from ftpfs.tree.choices import Choices
from ftpfs.tree.events import File
from ftpfs.tree.hands import over_lines
from ftpfs.tree.jobs import Jobs
from ftpfs.tree.local import LocalPlace, local_errors
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage
from ftpfs.tree.storing import Storing
from ftpfs.tree.uploads import NO_TEMPORARY, LargeUploads, Outflow

USUAL_MODES = frozenset({0o644, 0o664, 0o666})
"""Permission bits that a new file is not given: the server's umask decides. As in a mount."""


class Sending(Storing[LocalPlace]):
    """Uploads of one command; `copy` is for one thread."""

    def __init__(
        self, source: LocalPlace, target: ServerPlace, stage: Stage, choices: Choices
    ) -> None:
        super().__init__(source, target, stage, choices)
        self.jobs = Jobs(stage, (), self.fail)
        self.large: list[File] = []
        self.cut: list[File] = []  # when the command was interrupted

    def copy(self, files: Iterable[File]) -> None:
        """Small files first; each is told as an event."""
        small: list[File] = []
        self.large = []
        for file in files:
            (small if self._is_small(file) else self.large).append(file)
        self.jobs = Jobs(self.stage, small, self.fail)
        while self.jobs:
            over_lines(self.target, len(small), self.stage, self._carry)
        self._remove_cut()
        LargeUploads(self.target, self.stage, self, self.target.hands).copy(self.large)

    def _is_small(self, file: File) -> bool:
        if file.entry.size > SMALL_BYTES or self.choices.checksum:
            return False
        return self.target.server.is_plain(file.target)

    def _remove_cut(self) -> None:
        """Remove what an interruption left of files that had their own names from the start."""
        server = self.target.server
        for file in self.cut:
            with contextlib.suppress(FtpfsError):  # a server that does not answer keeps it
                held = server.fingerprint(file.target)
                if held is not None and held.size < file.entry.size:
                    server.unlink(file.target)

    def _carry(self, line: Line) -> Iterator[None]:
        return send(line, (_Offered(self, file) for file in self.jobs))

    def mode_of_new(self, file: File) -> int | None:
        mode = file.entry.mode
        return None if mode is None or mode & 0o777 in USUAL_MODES else mode & 0o777

    def outflow(self, file: File) -> Outflow:
        return _LocalOutflow(file.source)

    def verify(self, file: File, place: str) -> None:
        self.verifier.server_and_disk(self.target.server, place, file.source)


class _LocalOutflow:
    """A local file: see uploads.py."""

    def __init__(self, path: str) -> None:
        self._path = path
        with local_errors(path):
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
            self._status = os.fstat(self._file.fileno())
        self.size = self._status.st_size
        self.mtime_ns = self._status.st_mtime_ns
        self.version = (self.size, self.mtime_ns)

    def ready(self, line: Line) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def pour(self, line: Line, offset: int, step: Callable[[int], None]) -> None:
        while offset < self.size:
            count = line.send_file(self._file, offset, min(TOLD_BYTES, self.size - offset))
            if not count:
                raise ChangedError(f"{self._path}: ended at {offset} of {self.size} bytes")
            offset += count
            step(count)

    def range(self, start: int, end: int) -> bytes:
        with local_errors(self._path):
            return os.pread(self._file.fileno(), end - start, start)

    def check(self) -> None:
        now = os.fstat(self._file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns):
            raise ChangedError(f"{self._path}: was changed while it was copied")

    def close(self) -> None:
        self._file.close()


class _Offered:
    """A small file to be sent: see remote/bulk.py."""

    __slots__ = ("_file", "_sending", "mode", "mtime_ns", "replaces", "target_path")

    def __init__(self, sending: Sending, file: File) -> None:
        self._sending = sending
        self._file = file
        self.target_path = file.target
        self.replaces = file.there is not None
        self.mtime_ns = file.entry.mtime_ns if sending.choices.times else None
        self.mode = sending.mode(file)

    def content(self) -> bytes | None:
        sending, file = self._sending, self._file
        try:
            with local_errors(file.source):
                content = _whole(file.source, file.entry.size)
        except FtpfsError as error:
            sending.fail_reading(file, error)
            return None
        if len(content) > SMALL_BYTES:  # it has grown since it was listed
            sending.large.append(file)
            return None
        return content

    def stored(self, undressed: FtpfsError | None) -> None:
        self._sending.jobs.progressed()
        self._sending.stored(self._file, undressed)

    def failed(self, error: FtpfsError) -> None:
        sending, file = self._sending, self._file
        if isinstance(error, NetworkError | TransferError):
            if sending.stage.stopping and not self.replaces:
                sending.cut.append(file)
            sending.jobs.lost(file, error)
        elif self.replaces and isinstance(error, NO_TEMPORARY):
            sending.large.append(file)  # where other ways are tried
        else:
            sending.fail(file, error)


def _whole(path: str, expected: int) -> bytes:
    """The content of a small file; no more than a byte beyond SMALL_BYTES."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(descriptor, expected + 1)
        while content and len(content) != expected and len(content) <= SMALL_BYTES:
            more = os.read(descriptor, SMALL_BYTES + 1 - len(content))
            if not more:
                break
            content += more
        return content
    finally:
        os.close(descriptor)
