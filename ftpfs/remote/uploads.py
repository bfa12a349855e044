"""Everything that writes a file's content: STOR, APPE, REST + STOR, and the replacement by a
temporary name. Any thread; holds no lock, and no state but the names of its temporary files and of
directories that take none.
"""

from __future__ import annotations

import functools
import io
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from ftpfs.config import MIB, REFUSALS_KEPT, REFUSING_DIRECTORIES
from ftpfs.errors import (
    AbsentError,
    ClosingError,
    DeniedError,
    FtpfsError,
    InvalidNameError,
    IsDirectoryError,
    LearntError,
    NetworkError,
    NoSpaceError,
    PassingError,
    QuotaError,
    RefusedError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.answers import number_of, time_of
from ftpfs.remote.api import Fingerprint, Ranges, Stored
from ftpfs.remote.calls import UNKNOWN_COMMAND, Calls
from ftpfs.session.connection import Session
from ftpfs.session.pool import Purpose
from ftpfs.session.transfer import ReplyError, Transfer
from ftpfs.wire.pathname import split

log = logging.getLogger(__name__)

UPLOAD_STEP_BYTES = 8 * MIB

_NOT_ABOUT_REPLACING = (
    AbsentError,
    PassingError,
    InvalidNameError,
    IsDirectoryError,
    NoSpaceError,
    QuotaError,
)
"""Refusals that storing to the name itself would meet as well."""

_PROBE = b"ftpfs probe."
_PROBE_PATCH = (4, b"PATCH")


class LostReplyError(NetworkError):
    """Every byte was sent; the server's final reply did not come."""


class Uploads:
    """Uploads to one server."""

    def __init__(self, calls: Calls, rename: Callable[[str, str], None]) -> None:
        self._calls = calls
        self._rename = rename
        self._not_replacing: set[str] = set()  # directories that refuse it
        self._mode_refused = False

    # -- asking -------------------------------------------------------------------------------

    def fingerprint(self, path: str) -> Fingerprint | None:
        """Size and exact time of a file; None where there is none. One round trip."""
        return self._calls.repeating(lambda session: self._fingerprint(session, path))

    def _fingerprint(self, session: Session, path: str) -> Fingerprint | None:
        server_path = self._calls.reach(session, path)
        size, mtime = session.exchange(("SIZE", server_path), ("MDTM", server_path))
        if size.code == 213:
            return Fingerprint(number_of(size), time_of(mtime))
        if size.code in UNKNOWN_COMMAND:
            entry = self._calls.probed(session, path)
            return Fingerprint(entry.size, time_of(mtime)) if entry else None
        try:
            raise self._calls.explain(session, path, ReplyError("SIZE", size))
        except AbsentError:
            return None

    # -- whole files --------------------------------------------------------------------------

    def store(self, path: str, source: BinaryIO, size: int) -> Stored:
        """STOR to the name itself; by a temporary name where it is there and the server does not
        let anybody write over a file (ProFTPD without AllowOverwrite)."""
        self._calls.check_name(path)
        try:
            return self._put("STOR", path, source, 0, size)
        except DeniedError as error:
            if self.fingerprint(path) is None:
                raise
            with suppress(UnsupportedError):
                return self.replace(path, source, size, None)
            raise error from None

    def replace(self, path: str, source: BinaryIO, size: int, mode: int | None) -> Stored:
        """STOR to a temporary name beside it, then rename: who reads the file on the server at
        any moment has the old content or the new, whole.

        Raises UnsupportedError, with the old file untouched, where the server does not let us;
        that is remembered of the directory.
        """
        directory = split(path)[0]
        if self._calls.profile.replaces is False or directory in self._not_replacing:
            raise UnsupportedError("the server does not take a temporary file and a rename")
        self._calls.check_name(path)
        temporary = self._calls.new_temporary(directory)
        try:
            stored = self._put("STOR", temporary, source, 0, size)
            if mode is not None:
                self._carry_mode(temporary, mode)
            self._rename(temporary, path)
        except _NOT_ABOUT_REPLACING:
            self._discard(temporary)
            raise
        except RefusedError as error:
            self._discard(temporary)
            self._replaces_not(directory)
            raise UnsupportedError(f"no replacement by a temporary name: {error}") from error
        except FtpfsError:
            self._discard(temporary)
            raise
        finally:
            self._calls.temporary.discard(temporary)
        self._calls.profile.replaces = True
        return stored

    def _replaces_not(self, directory: str) -> None:
        """A directory refuses the temporary file, or its rename: so may all, or this one only."""
        if len(self._not_replacing) >= REFUSALS_KEPT:
            self._not_replacing.clear()
        self._not_replacing.add(directory)
        profile = self._calls.profile
        if not profile.replaces and len(self._not_replacing) >= REFUSING_DIRECTORIES:
            profile.replaces = False

    def _carry_mode(self, path: str, mode: int) -> None:
        """Give the new file the permission bits of the one that it replaces, where possible."""
        done = self._calls.repeating(lambda session: self._calls.set_mode(session, path, mode))
        if done is not None and not done[1].ok:
            level = logging.DEBUG if self._mode_refused else logging.WARNING
            self._mode_refused = True  # once said, it may be so for all
            log.log(level, "%s: not given the mode %03o of the old file: %s", path, mode, done[1])

    def _discard(self, path: str) -> None:
        reach = self._calls.reach
        try:
            self._calls.repeating(lambda session: session.command("DELE", reach(session, path)))
        except FtpfsError as error:
            log.warning("%s: a temporary file may be left on the server: %s", path, error)

    # -- parts of files -----------------------------------------------------------------------

    def append(self, path: str, source: BinaryIO, start: int, size: int) -> Stored:
        """APPE of source[start:size] to a file of `start` bytes.

        Raises UnsupportedError where the server has no APPE; that is remembered.
        """
        profile = self._calls.profile
        if profile.appends is False:
            raise UnsupportedError("the server has no APPE")
        try:
            stored = self._put("APPE", path, source, start, size)
        except UnsupportedError:
            if profile.unproven("appends"):
                profile.appends = False
            raise
        except DeniedError as error:  # ProFTPD without AllowStoreRestart
            raise UnsupportedError(str(error)) from error
        profile.appends = True
        return stored

    def patch(self, path: str, source: BinaryIO, ranges: Ranges, size: int) -> Stored:
        """REST + STOR of each range, in place. Safe to repeat; not safe to leave half done.
        None may begin at 0: without a REST, STOR cuts the file."""
        assert all(start > 0 for start, _ in ranges)
        for each in ranges:
            send = functools.partial(self._patch_range, path, source, each)
            self._calls.repeating(send, Purpose.TRANSFER)
        return self._checked(path, size)

    def _patch_range(
        self, path: str, source: BinaryIO, span: tuple[int, int], session: Session
    ) -> None:
        start, end = span
        server_path = self._calls.reach(session, path)
        try:
            _upload(session.transfer("STOR", server_path, offset=start), source, start, end)
        except ReplyError as error:
            raise self._calls.explain(session, path, error) from error

    def can_patch(self, path: str) -> bool:
        """Whether REST + STOR replaces in place and cuts nothing off; found out once a mount, on a
        file of our own beside `path`."""
        profile = self._calls.profile
        if profile.patches is None:
            profile.patches = self._probe(split(path)[0])
        return profile.patches

    def _probe(self, directory: str) -> bool:
        path = self._calls.new_temporary(directory)
        offset, data = _PROBE_PATCH
        wanted = _PROBE[:offset] + data + _PROBE[offset + len(data) :]
        try:
            with io.BytesIO(_PROBE) as source:
                self.store(path, source, len(_PROBE))
            with io.BytesIO(wanted) as source:
                self.patch(path, source, [(offset, offset + len(data))], len(_PROBE))
            found = self._calls.repeating(
                lambda session: _content(session, self._calls.reach(session, path)),
                Purpose.TRANSFER,
            )
        except (RefusedError, TransferError, ReplyError) as error:
            log.info("the server does not change files in place: %s", error)
            return False
        finally:
            self._discard(path)
            self._calls.temporary.discard(path)
        return found == wanted

    # -- common -------------------------------------------------------------------------------

    def _put(self, verb: str, path: str, source: BinaryIO, start: int, size: int) -> Stored:
        """Send source[start:size] by STOR or APPE; after a pause again where the server cannot
        now, an APPE only from where the file ends by then."""

        def attempt() -> Stored:
            nonlocal start
            try:
                return self._put_through(verb, path, source, start, size)
            except (PassingError, ClosingError) as error:
                if verb == "APPE":
                    start = self._end_of(path, start, size, error)
                raise

        return self._calls.patiently(attempt)

    def _end_of(self, path: str, start: int, size: int, error: FtpfsError) -> int:
        there = self.fingerprint(path)
        if there is None or not start <= there.size <= size:
            raise TransferError(f"{path}: not appended a second time: {error}") from error
        return there.size

    def _put_through(self, verb: str, path: str, source: BinaryIO, start: int, size: int) -> Stored:
        """Send source[start:size], until the server holds `size` bytes.

        Where the connection is lost, what the server holds by then decides: all is there and only
        the reply was lost; or a part, from where APPE goes on; or it is sent again.
        """
        fresh = False
        while True:
            with self._calls.pool.lease(Purpose.TRANSFER) as lease:
                fresh = fresh or lease.fresh
                try:
                    return self._put_once(lease.session, verb, path, source, start, size)
                except NetworkError as error:
                    lost = error
            log.debug("%s: upload lost, looking what arrived: %s", path, lost)
            there = self.fingerprint(path)
            if there is not None and there.size == size and self._arrived(verb, lost):
                return Stored(size, there.mtime_ns)
            if fresh and not isinstance(lost, LearntError):
                raise lost
            if verb == "APPE" and there is not None and start <= there.size <= size:
                start = there.size

    def _arrived(self, verb: str, lost: NetworkError) -> bool:
        """Whether the right size proves that all arrived: the last byte had been sent."""
        return verb == "APPE" or isinstance(lost, LostReplyError)

    def _put_once(
        self, session: Session, verb: str, path: str, source: BinaryIO, start: int, size: int
    ) -> Stored:
        server_path = self._calls.reach(session, path)
        try:
            _upload(session.transfer(verb, server_path, early=True), source, start, size)
        except ReplyError as error:
            raise self._calls.explain(session, path, error) from error
        return self._check(session, path, size)

    def _checked(self, path: str, size: int) -> Stored:
        return self._calls.repeating(lambda session: self._check(session, path, size))

    def _check(self, session: Session, path: str, size: int) -> Stored:
        """What the server holds now. Raises TransferError where that is not `size` bytes."""
        server_path = self._calls.reach(session, path)
        held, mtime = session.exchange_and_arm(("SIZE", server_path), ("MDTM", server_path))
        if held.code == 213 and number_of(held) != size:
            raise TransferError(
                f"{path}: the server confirmed {size} bytes but holds {number_of(held)}"
            )
        return Stored(size, time_of(mtime))


def _upload(transfer: Transfer, source: BinaryIO, start: int, end: int) -> None:
    """Send source[start:end] and read the final reply."""
    offset = start
    try:
        while offset < end:
            sent = transfer.send_file(source, offset, min(UPLOAD_STEP_BYTES, end - offset))
            if sent == 0:
                break
            offset += sent
    except BaseException:
        transfer.abort()
        raise
    if offset < end:
        transfer.abort()
        raise TransferError(f"the local copy ended at {offset} of {end} bytes")
    try:
        transfer.finish(upload=True)
    except NetworkError as error:
        if not transfer.begun or isinstance(error, LearntError):
            raise  # nothing says that the server took any of it
        raise LostReplyError(f"no final reply: {error}") from error


def _content(session: Session, server_path: str) -> bytes:
    """A small file, whole."""
    transfer = session.transfer("RETR", server_path)
    found = bytearray()
    buffer = memoryview(bytearray(len(_PROBE) + 1))
    try:
        while count := transfer.readinto(buffer):
            found += buffer[:count]
    except BaseException:
        transfer.abort()
        raise
    transfer.finish()
    return bytes(found)
