"""Large files to a server, one connection each: a file's ranges cannot go side by side, servers
lock a file that is being stored (vsftpd) or refuse STOR behind REST (ProFTPD).

A file goes to a temporary name beside its target, which no other attempt has, and is renamed when
its size agrees. What is there when the sending breaks off is gone on with by APPE.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from ftpfs.config import COPY_TRIES, RESUME_MIN_BYTES, RETRY_COPY_S
from ftpfs.errors import (
    ChangedError,
    DeniedError,
    ExistsError,
    FtpfsError,
    NameTooLongError,
    NetworkError,
    RefusedError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.api import Fingerprint
from ftpfs.remote.line import Line
from ftpfs.tree.choices import Choices
from ftpfs.tree.events import Advanced, Began, File
from ftpfs.tree.hands import side_by_side
from ftpfs.tree.part import part_name
from ftpfs.tree.resume import Content, Leftovers, held
from ftpfs.tree.samefile import SameFileError, is_itself
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage, StoppedError

log = logging.getLogger(__name__)

NO_TEMPORARY = (DeniedError, ExistsError, NameTooLongError, UnsupportedError)
"""Refusals of a temporary name, or of the rename, that the name itself may not meet."""


class IncompleteError(TransferError):
    """The server confirmed an upload and holds something else."""


class BusyError(Exception):
    """There is no connection for one more worker: the others do what is left. No failure of the
    file, and so none of ours."""


class _NoRenameError(UnsupportedError):
    """The server takes a temporary name, and does not rename it to the final one."""


class Outflow(Content, Protocol):
    """The content of a file while it is sent. One thread at a time."""

    @property
    def version(self) -> tuple[object, ...]:
        """What tells this version of this file from all others."""
        ...

    def ready(self, line: Line) -> AbstractContextManager[None]:
        """Have what `pour` needs, from before the upload begins until it has ended. May raise
        BusyError: nothing was begun then."""
        ...

    def pour(self, line: Line, offset: int, step: Callable[[int], None]) -> None:
        """Send all from `offset` on; `step` is told how much, and may raise StoppedError."""
        ...

    def check(self) -> None:
        """Raises ChangedError where the source is another version by now."""
        ...

    def close(self) -> None: ...


class Route(Protocol):
    """Where the files come from, and what is to be made of them."""

    choices: Choices

    def outflow(self, file: File) -> Outflow: ...  # may raise BusyError
    def mode(self, file: File) -> int | None: ...
    def stored(self, file: File, undressed: FtpfsError | None) -> None: ...
    def fail(self, file: File, error: FtpfsError) -> None: ...
    def fail_reading(self, file: File, error: FtpfsError) -> None: ...
    def verify(self, file: File, place: str) -> None:
        """Compare hashes of the source and of what is at `place`. Raises ChangedError."""
        ...


class LargeUploads:
    """All large files of one command; `copy` is for one thread."""

    def __init__(self, target: ServerPlace, stage: Stage, route: Route, hands: int) -> None:
        self._target = target
        self._hands = hands
        self._server = target.server
        self._stage = stage
        self._route = route
        self._leftovers = Leftovers(target.server, route.choices)
        self._files: deque[File] = deque()
        # The server has no temporary names; set by any worker, in one step.
        self._direct = not target.server.replaces

    def copy(self, files: list[File]) -> None:
        """Each file is told as an event."""
        self._files = deque(files)
        while self._files and not self._stage.stopping:
            hands = min(self._hands, len(self._files))
            side_by_side(self._target, hands, self._stage, self._work)

    def _work(self, line: Line) -> None:
        with contextlib.suppress(IndexError):
            while not self._stage.stopping:
                file = self._files.popleft()
                try:
                    self._one(file, line)
                except BusyError:
                    self._files.appendleft(file)
                    return

    def _one(self, file: File, line: Line) -> None:
        line.release()
        try:
            source = self._route.outflow(file)
        except FtpfsError as error:
            self._route.fail_reading(file, error)
            return
        with contextlib.closing(source):
            try:
                self._server.check_name(file.target)
                undressed = self._replace(file, source, line)
            except StoppedError:
                return
            except FtpfsError as error:
                self._route.fail(file, error)
            else:
                self._route.stored(file, undressed)

    def _replace(self, file: File, source: Outflow, line: Line) -> FtpfsError | None:
        """Send a file to a temporary name and rename it, or to its own name where the server has
        it no other way. Returns why it lacks its time."""
        no_rename = self._direct
        if not no_rename:
            try:
                return self._by_rename(file, source, line)
            except NO_TEMPORARY as error:
                log.info("no replacement by a temporary name: %s", error)
                no_rename = isinstance(error, _NoRenameError)
        undressed = self._in_place(file, source, line)
        self._direct = no_rename  # a name that is refused tells nothing of other directories
        return undressed

    def _in_place(self, file: File, source: Outflow, line: Line) -> FtpfsError | None:
        line.release()
        old = self._server.fingerprint(file.target) if file.there is not None else None
        if old is not None and is_itself(self._server, file.target, old, source):
            raise SameFileError(f"{file.target}: would be overwritten by itself")
        try:
            self._send(file, file.target, source, line, 0, old)
        except DeniedError:
            raise
        except FtpfsError as error:
            lost = isinstance(error, NetworkError) and not self._stage.stopping
            if file.there is None and not lost:
                self._discard(file.target, line)
            raise
        if self._route.choices.checksum:
            self._route.verify(file, file.target)
        return self._dress(file, file.target, source)

    def _by_rename(self, file: File, source: Outflow, line: Line) -> FtpfsError | None:
        part = part_name(file.target, *source.version)
        place, start = self._leftovers.begun(file, part, source)
        try:
            self._send(file, place, source, line, start)
            undressed = self._dress(file, place, source)
            source.check()
            if self._route.choices.checksum:
                self._route.verify(file, place)
            self._publish(place, file.target)
        except (NetworkError, StoppedError):
            if source.size < RESUME_MIN_BYTES:
                self._discard(place, line)
            raise
        except FtpfsError:
            self._discard(place, line)
            raise
        return undressed

    def _publish(self, place: str, target: str) -> None:
        try:
            self._server.rename(place, target)
        except NO_TEMPORARY as error:
            raise _NoRenameError(str(error)) from error

    def _discard(self, place: str, line: Line) -> None:
        line.release()
        try:
            self._server.unlink(place)
        except RefusedError:
            log.debug("%s: was never made", place)
        except FtpfsError as error:
            log.warning("%s: an unfinished file may be left on the server: %s", place, error)

    def _dress(self, file: File, place: str, source: Outflow) -> FtpfsError | None:
        """Permission bits and time; why the time could not be set."""
        mode = self._route.mode(file)
        if mode is not None:
            with contextlib.suppress(RefusedError):
                self._server.chmod(place, mode)
        if self._route.choices.times and source.mtime_ns is not None:
            try:
                self._server.set_mtime(place, source.mtime_ns)
            except RefusedError as error:
                return error
        return None

    # -- sending ------------------------------------------------------------------------------

    def _send(
        self,
        file: File,
        path: str,
        source: Outflow,
        line: Line,
        start: int,
        old: Fingerprint | None = None,
    ) -> None:
        """Send the content from `start` on, over several connections if need be, until the server
        holds it all. `old` is what is replaced at `path`, and no beginning of it."""
        barren = 0
        self._stage.emit(Began(file, start))
        while True:
            try:
                self._pour(file, path, source, line, start)
                return
            except (ChangedError, StoppedError):
                raise
            except UnsupportedError:  # no APPE
                if not start:
                    raise
                there = 0
            except (NetworkError, TransferError) as error:
                log.debug("%s: again: %s", path, error)
                line.release()
                wrong = isinstance(error, IncompleteError)
                there = 0 if wrong else held(self._server, path, source, old)
                barren = 0 if there > start else barren + 1
                if barren == COPY_TRIES:
                    raise
                self._stage.pause(RETRY_COPY_S * 2 ** (barren - 2) if barren > 1 else 0)
            start = there

    def _pour(self, file: File, path: str, source: Outflow, line: Line, start: int) -> None:
        if start < source.size or not start:
            with source.ready(line):
                line.store(path, append=start > 0)
                source.pour(line, start, functools.partial(self._step, file))
                line.end()
                line.stored()
        line.release()
        now = self._server.fingerprint(path)
        if now is None or now.size != source.size:
            raise IncompleteError(
                f"{path}: the server confirmed {source.size} bytes but holds"
                f" {now.size if now else 'nothing'}"
            )

    def _step(self, file: File, size: int) -> None:
        self._stage.check()
        self._stage.emit(Advanced(file, size))
