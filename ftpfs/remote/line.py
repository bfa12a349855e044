"""A connection that one worker keeps for many transfers in turn.

Belongs to one thread, but for `interrupt`. Between two calls it may be given back (`release`), and
must be before the same thread asks the Remote for something: that takes a connection of its own.
After a NetworkError the next call works on a new connection.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from ftpfs.errors import FtpfsError, NetworkError, TransferError, UnsupportedError
from ftpfs.remote.calls import TEMPORARY_PREFIX, Calls
from ftpfs.session.connection import Session
from ftpfs.session.login import Command
from ftpfs.session.pool import Lease, Purpose
from ftpfs.session.transfer import ReplyError, Transfer
from ftpfs.wire.pathname import join, split
from ftpfs.wire.reply import Reply
from ftpfs.wire.timeval import format_time

log = logging.getLogger(__name__)

_ABOUT_THE_TRANSFER = (425, 426)
"""No data connection, data connection lost: says nothing of the file. RFC 959 4.2"""

SetMtime = Callable[[Session, str, int], None]


class Line:
    """Transfers one after the other, at most one at a time."""

    def __init__(self, calls: Calls, set_mtime: SetMtime) -> None:
        self._calls = calls
        self._set_mtime = set_mtime
        self._lease: Lease | None = None
        self._transfer: Transfer | None = None
        self._asked_for: str | None = None  # the download that `ask` was given
        self._path = ""
        self.accepted = False  # the last transfer: the server had begun when it broke off

    # -- the connection -----------------------------------------------------------------------

    def open(self, wait_s: float | None = None) -> None:
        """Have a connection now. Raises DeadlineError where none comes free within `wait_s`
        seconds (default: as long as for a reply), and what connecting raises."""
        if self._lease is not None and self._lease.session.broken:
            self.release()
        if self._lease is None:
            # The one that the pool keeps for metadata would be used by nobody.
            self._lease = self._calls.pool.lease(Purpose.METADATA, wait_s)

    def release(self) -> None:
        """Give the connection back, after a transfer that has not ended was cut short."""
        self.abort()
        if self._lease is not None:
            if self._asked_for is not None:  # it may have begun
                self._lease.session.broken = True
            self._lease.release()
            self._lease = self._asked_for = None

    def interrupt(self) -> None:
        """From any thread: whatever this line waits for ends with a NetworkError."""
        lease, transfer = self._lease, self._transfer
        if lease is not None:
            lease.session.interrupt()
        if transfer is not None:
            transfer.interrupt()

    @property
    def session(self) -> Session:
        self.open()
        assert self._lease is not None
        return self._lease.session

    # -- commands -----------------------------------------------------------------------------

    def ask(self, *commands: Command, download: str | None = None) -> None:
        """Send commands without waiting; `answers` comes next. The port for the next transfer is
        asked for along with them; `download`, if that is a RETR of this path, may begin by itself.
        """
        session, self._asked_for = self.session, None
        session.ask(*commands, download=self._calls.direct(download) if download else None)
        self._asked_for = download

    def answers(self) -> list[Reply]:
        return self._kept().answers()

    @property
    def heard(self) -> bool:
        """Whether something of what is waited for is there, or nothing is waited for. Never
        waits."""
        if self._lease is None or self._lease.session.broken:
            return True
        session = self._lease.session
        return (self._transfer is None and not session.asked) or session.heard

    def server_path(self, path: str) -> str:
        return self._calls.server_path(path)

    def temporary(self, path: str) -> str:
        """A name beside `path` for a file that is to become it; `path` itself where files are to be
        overwritten where they lie (`-o without=replace`)."""
        if self._calls.profile.replaces is False:
            return path
        return join(split(path)[0], TEMPORARY_PREFIX + os.urandom(6).hex())

    def renaming(self, old: str, new: str) -> list[Command]:
        return [("RNFR", self.server_path(old)), ("RNTO", self.server_path(new))]

    def dressing(self, path: str, mtime_ns: int | None, mode: int | None) -> list[Command]:
        """The commands that give a file its time and permission bits.

        As long as it is not known how that is done there, it is tried and done at once. Raises
        UnsupportedError where there is no way to set the time, and what a refusal means.
        """
        return [*self._mode_command(path, mode), *self._time_command(path, mtime_ns)]

    def _mode_command(self, path: str, mode: int | None) -> list[Command]:
        profile = self._calls.profile
        if mode is None:
            return []
        bits = f"{mode & 0o7777:03o}"
        if profile.mff:
            return [("MFF", f"UNIX.mode=0{bits}; {self.server_path(path)}")]
        if profile.site_chmod:
            return [("SITE", f"CHMOD {bits} {self.server_path(path)}")]
        self._calls.set_mode(self.session, path, mode)
        return []

    def _time_command(self, path: str, mtime_ns: int | None) -> list[Command]:
        profile = self._calls.profile
        if mtime_ns is None:
            return []
        if profile.mfmt or (profile.mfmt is False and profile.mdtm_sets):
            verb = "MFMT" if profile.mfmt else "MDTM"
            return [(verb, f"{format_time(mtime_ns)} {self.server_path(path)}")]
        self._set_mtime(self.session, path, mtime_ns)
        return []

    def _kept(self) -> Session:
        """The session that has something under way; a new one would know nothing of it."""
        if self._lease is None or self._lease.session.broken:
            raise NetworkError("the connection was lost")
        return self._lease.session

    # -- transfers ----------------------------------------------------------------------------

    def retrieve(self, path: str, offset: int = 0) -> None:
        """Begin a download at `offset`; a refusal may come only with the first `receive`.

        Raises UnsupportedError for an offset where the server has no REST.
        """
        if offset and self._calls.profile.rest is False:
            raise UnsupportedError(f"{path}: the server cannot begin in the middle of a file")
        self._begin("RETR", path, offset)

    def store(self, path: str, *, append: bool = False, offset: int = 0) -> None:
        """Begin an upload; a refusal may come only with a later call."""
        self._begin("APPE" if append else "STOR", path, offset)

    def _begin(self, verb: str, path: str, offset: int) -> None:
        self.abort()
        self._path, self.accepted = path, False
        try:
            self._transfer = self._begun(verb, path)
            if self._transfer is None:
                session = self.session
                server_path = self._calls.reach(session, path)
                self._transfer = session.transfer(verb, server_path, offset=offset, early=True)
        except ReplyError as error:
            if error.verb == "REST":
                self._calls.profile.rest = False
                raise UnsupportedError(f"{path}: REST refused: {error.reply}") from error
            raise self._explained(error) from error

    def _begun(self, verb: str, path: str) -> Transfer | None:
        """The download that `ask` was given, if that was sent and the connection still works."""
        asked_for, self._asked_for = self._asked_for, None
        if asked_for is None or self._lease is None or self._lease.session.broken:
            return None
        assert (verb, path) == ("RETR", asked_for)
        return self._lease.session.begun()

    def receive(self, buffer: memoryview) -> int:
        """Bytes put into `buffer`; 0 at the end of the file, once the server has confirmed it."""
        transfer = self._running()
        try:
            count = transfer.readinto(buffer)
        except ReplyError as error:
            raise self._refused(error) from error
        if count == 0:
            self._finish(upload=False)
        return count

    def receive_to_end(self, buffer: memoryview) -> int:
        """The bytes of a whole file, put into `buffer`; `confirm` comes next, or `ask` and then
        `confirm`. A full buffer: there may be more, the download was cut short and is over."""
        transfer, end = self._running(), 0
        try:
            while end < len(buffer):
                count = transfer.readinto(buffer[end:])
                if not count:
                    transfer.leave()
                    return end
                end += count
        except ReplyError as error:
            raise self._refused(error) from error
        self.abort()
        return end

    def confirm(self) -> None:
        """Wait until the server has confirmed that what was received is the whole file."""
        self._finish(upload=False)

    def send(self, data: bytes | memoryview) -> None:
        transfer = self._running()
        try:
            transfer.send(data)
        except ReplyError as error:
            raise self._refused(error) from error

    def send_file(self, source: BinaryIO, offset: int, count: int) -> int:
        """Bytes of `source` sent; fewer than `count` where the file ends."""
        transfer = self._running()
        try:
            return transfer.send_file(source, offset, count)
        except ReplyError as error:
            raise self._refused(error) from error

    def end(self) -> None:
        """Say that no more bytes of the upload come, and do not wait; `stored` comes next."""
        try:
            self._running().end()
        except ReplyError as error:
            raise self._refused(error) from error

    def stored(self) -> None:
        """Wait until the server has confirmed the upload."""
        self._finish(upload=True)

    def _finish(self, *, upload: bool) -> None:
        transfer, self._transfer = self._running(), None
        try:
            transfer.finish(upload=upload)
        except ReplyError as error:
            self.accepted = transfer.accepted
            if upload or not transfer.begun:
                raise self._explained(error) from error
            raise TransferError(f"{self._path}: the transfer broke off: {error}") from error

    def abort(self) -> None:
        """Cut short the transfer that is running, if one is."""
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            with suppress(FtpfsError):
                transfer.abort()

    def _running(self) -> Transfer:
        if self._transfer is None:
            raise NetworkError("the transfer was lost")
        return self._transfer

    def _refused(self, error: ReplyError) -> FtpfsError:
        transfer, self._transfer = self._running(), None
        self.accepted = transfer.accepted
        return self._explained(error)

    def _explained(self, error: ReplyError) -> FtpfsError:
        if error.reply.code in _ABOUT_THE_TRANSFER:
            return TransferError(f"{self._path}: the transfer broke off: {error}")
        return self._calls.explain(self._kept(), self._path, error)
