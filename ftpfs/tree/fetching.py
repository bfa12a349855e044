"""From a server to the local disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ftpfs.config import SMALL_BYTES
from ftpfs.errors import FtpfsError, NetworkError, TransferError
from ftpfs.remote.api import Kind
from ftpfs.remote.bulk import fetch
from ftpfs.remote.line import Line
from ftpfs.tree.choices import Choices
from ftpfs.tree.events import Failed, File, quoted
from ftpfs.tree.hands import over_lines
from ftpfs.tree.jobs import Jobs
from ftpfs.tree.large import LargeDownloads
from ftpfs.tree.local import LocalPlace, local_errors
from ftpfs.tree.place import Spot
from ftpfs.tree.saving import save
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage, StoppedError
from ftpfs.tree.streams import pour_out


class Fetching:
    """Downloads of one command; `copy` is for one thread."""

    def __init__(
        self, source: ServerPlace, target: LocalPlace, stage: Stage, choices: Choices
    ) -> None:
        self.source = source
        self.target = target
        self.stage = stage
        self.choices = choices
        self.jobs = Jobs(stage, (), self.fail)
        self.large: list[File] = []

    def copy(self, files: Iterable[File]) -> None:
        """Small files first; each is told as an event."""
        small: list[File] = []
        self.large = []
        for file in files:
            if file.there is not None and file.there.kind is Kind.OTHER:
                self._pour(file)
            else:
                (small if self._is_small(file) else self.large).append(file)
        self.jobs = Jobs(self.stage, small, self.fail)
        while self.jobs:
            over_lines(self.source, len(small), self.stage, self._carry)
        LargeDownloads(self.source, self.target, self.stage, self.choices, self.fail).copy(
            self.large
        )

    def _is_small(self, file: File) -> bool:
        if file.entry.size > SMALL_BYTES or self.choices.checksum:
            return False
        return self.source.server.is_plain(file.source)

    def _pour(self, file: File) -> None:
        """Into a device or a pipe, which is never replaced."""
        self.stage.check()
        try:
            with local_errors(file.target), open(file.target, "wb") as out:
                pour_out(Spot(self.source, file.source, ""), out.write, self.stage)
        except StoppedError:
            raise
        except FtpfsError as error:
            self.fail_writing(file, error)
        else:
            self.stage.copied(file, self.source, self.target)

    def _carry(self, line: Line) -> Iterator[None]:
        buffer = memoryview(bytearray(SMALL_BYTES + 1))
        return fetch(line, (_Wanted(self, file) for file in self.jobs), buffer)

    def fail(self, file: File, error: FtpfsError) -> None:
        text = f"cannot copy {quoted(self.source.shown(file.source))}"
        self.stage.emit(Failed(text, error, file))

    def fail_writing(self, file: File, error: FtpfsError) -> None:
        verb = "create regular file" if file.there is None else "write to"
        self.stage.emit(Failed(f"cannot {verb} {quoted(file.target)}", error, file))


class _Wanted:
    """A small file that is wanted: see remote/bulk.py."""

    __slots__ = ("_fetching", "_file", "source_path", "wants_time")

    def __init__(self, fetching: Fetching, file: File) -> None:
        self._fetching = fetching
        self._file = file
        self.source_path = file.source
        self.wants_time = fetching.choices.times and file.entry.precision_s > 1

    def delivered(self, content: memoryview, mtime_ns: int | None) -> None:
        fetching, file = self._fetching, self._file
        fetching.jobs.progressed()
        if len(content) != file.entry.size:  # it has changed since it was listed, or the listing
            fetching.large.append(file)  # was wrong: this is found out with more care
            return
        exact = file.entry.told_ns if mtime_ns is None else mtime_ns
        try:
            save(file, content, exact, fetching.choices)
        except FtpfsError as error:
            fetching.fail_writing(file, error)
        else:
            fetching.stage.copied(file, fetching.source, fetching.target)

    def failed(self, error: FtpfsError) -> None:
        if isinstance(error, NetworkError | TransferError):
            self._fetching.jobs.lost(self._file, error)
        else:
            self._fetching.fail(self._file, error)
