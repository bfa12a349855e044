"""Large files from a server to the local disk: in ranges, over several connections.

A file is copied as one version: its size and time are asked for before the first byte and behind
the last one. What is there when the copying breaks off stays beside the target (see `part`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable

from ftpfs.config import (
    COPY_STEP_BYTES,
    COPY_TRIES,
    RESUME_MIN_BYTES,
    RETRY_COPY_S,
    SAVE_S,
    STEAL_MIN_BYTES,
    TOLD_BYTES,
)
from ftpfs.errors import (
    AbsentError,
    ChangedError,
    FtpfsError,
    NetworkError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.api import Fingerprint
from ftpfs.remote.line import Line
from ftpfs.tree.choices import Choices
from ftpfs.tree.events import Advanced, Began, File
from ftpfs.tree.hands import side_by_side
from ftpfs.tree.local import LocalPlace, local_errors
from ftpfs.tree.part import OWN_MODE, Part, missing
from ftpfs.tree.resume import part_of
from ftpfs.tree.saving import dress, new_mode
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.shares import Segment, Shares, Whole
from ftpfs.tree.stage import Stage, StoppedError
from ftpfs.tree.verifying import Verifier

log = logging.getLogger(__name__)

Fail = Callable[[File, FtpfsError], None]


class Download(Whole):
    """A large file under way. What workers set here they set in one step."""

    def __init__(self, file: File, version: Fingerprint, part: Part) -> None:
        gaps = [Segment(*gap) for gap in missing(part.there, version.size)]
        # The last one is taken first; an empty file is fetched too: it must be there.
        super().__init__(version.size, gaps[::-1] or [Segment(version.size, version.size)])
        self.file = file
        self.version = version
        self.part = part
        self.saved_at = time.monotonic()
        self.worth_keeping = version.size >= RESUME_MIN_BYTES
        self.given_up = False


class LargeDownloads:
    """All large files of one command; `copy` is for one thread."""

    def __init__(
        self,
        source: ServerPlace,
        target: LocalPlace,
        stage: Stage,
        choices: Choices,
        fail: Fail,
    ) -> None:
        self._source = source
        self._target = target
        self._server = source.server
        self._stage = stage
        self._choices = choices
        self._fail = fail
        self._verifier = Verifier(stage)
        self._open: set[Download] = set()  # each add and discard is one step
        self._shares: Shares[Download] = Shares((), lambda file: None)

    def copy(self, files: list[File]) -> None:
        """Each file is told as an event; what is there of one that is not copied is kept."""
        if not files:
            return
        pieces = sum(1 + file.entry.size // (2 * STEAL_MIN_BYTES) for file in files)
        hands = min(self._source.hands, pieces)
        self._shares = Shares(files, self._begin, hands, lambda: self._stage.stopping)
        try:
            side_by_side(self._source, hands, self._stage, self._work)
        finally:
            for download in self._open:
                self._leave(download)

    def _leave(self, download: Download) -> None:
        """Close what is not complete, for `--continue` where that is worth it."""
        there = self._shares.there(download)
        if not (download.worth_keeping and there):
            download.part.discard()
            return
        with contextlib.suppress(FtpfsError):  # why there is no room was said, or is seen again
            download.part.save(there)
        download.part.close()

    # -- beginning ----------------------------------------------------------------------------

    def _begin(self, file: File) -> Download | None:
        """Find out the version, open the part. What fails is told."""
        try:
            self._stage.check()
            version = self._server.fingerprint(file.source)
            if version is None:
                raise AbsentError(f"{file.source}: no such file or directory")
            part = part_of(file, version, self._server, self._choices)
            download = Download(file, version, part)
        except StoppedError:
            return None
        except FtpfsError as error:
            self._fail(file, error)
            return None
        self._open.add(download)
        there = sum(end - start for start, end in download.part.there)
        self._stage.emit(Began(file, there))
        return download

    # -- workers ------------------------------------------------------------------------------

    def _work(self, line: Line) -> None:
        buffer = memoryview(bytearray(COPY_STEP_BYTES))
        while True:
            line.release()
            task = self._shares.take()
            if task is None:
                return
            try:
                self._fetch(line, *task, buffer)
            except StoppedError:
                return
            except FtpfsError as error:
                self._give_up(task[0], error)

    def _give_up(self, download: Download, error: FtpfsError) -> None:
        if self._shares.drop(download):
            self._failed(download, error)

    def _failed(self, download: Download, error: FtpfsError) -> None:
        download.given_up = True
        download.worth_keeping &= not isinstance(error, ChangedError)
        self._fail(download.file, error)

    def _fetch(self, line: Line, download: Download, segment: Segment, buffer: memoryview) -> None:
        """Fetch a segment, over several connections if need be; the last one completes the file."""
        barren = 0
        while not download.given_up:
            before = segment.position
            try:
                self._receive(line, download, segment, buffer)
            except UnsupportedError:
                self._shares.undivided(download, segment)
                return
            except ChangedError:
                raise
            except (NetworkError, TransferError) as error:
                barren = barren + 1 if segment.position == before else 0
                if barren == COPY_TRIES:
                    raise
                log.debug("%s: again from %d: %s", download.file.source, segment.position, error)
                self._stage.pause(RETRY_COPY_S * 2 ** (barren - 2) if barren > 1 else 0)
            else:
                break
        line.release()
        if self._shares.done(download, segment) and not download.given_up:
            try:
                self._complete(download)
            except FtpfsError as error:
                self._failed(download, error)

    def _receive(
        self, line: Line, download: Download, segment: Segment, buffer: memoryview
    ) -> None:
        path, told = download.file.source, segment.position
        line.retrieve(path, segment.position)
        while (left := segment.end - segment.position) > 0:
            self._stage.check()
            if download.given_up:
                return
            count = line.receive(buffer[: min(left, COPY_STEP_BYTES)])
            if not count:
                raise TransferError(f"{path}: ended at {segment.position} of {download.size} bytes")
            download.part.write(buffer[:count], segment.position)
            segment.position += count
            if segment.position - told >= TOLD_BYTES or left == count:
                self._stage.emit(Advanced(download.file, segment.position - told))
                told = segment.position
                self._save(download)
        if segment.end == download.size and line.receive(buffer[:1]):
            raise ChangedError(f"{path}: has grown beyond {download.size} bytes")

    def _save(self, download: Download) -> None:
        now = time.monotonic()
        if download.worth_keeping and now - download.saved_at > SAVE_S:
            download.saved_at = now  # before the sync: the others need not wait for it
            download.part.save(self._shares.there(download))

    def _complete(self, download: Download) -> None:
        """All bytes are there: give the file its name, if they are all of one version."""
        file, part = download.file, download.part
        now = self._server.fingerprint(file.source)
        if now is None or not now.matches(download.version):
            raise ChangedError(f"{file.source}: was changed while it was copied")
        part.cut()
        if self._choices.checksum:
            self._verifier.server_and_disk(self._server, file.source, part.path)
        mtime_ns = download.version.mtime_ns
        with local_errors(file.target):
            if ~new_mode(file.entry) & OWN_MODE:
                os.fchmod(part.descriptor, new_mode(file.entry) & ~self._target.umask)
            dress(
                part.descriptor,
                file,
                file.entry.told_ns if mtime_ns is None else mtime_ns,
                self._choices,
            )
            os.rename(part.path, file.target)
        self._open.discard(download)
        part.close()
        self._stage.copied(file, self._source, self._target)
