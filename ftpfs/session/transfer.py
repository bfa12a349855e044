"""The data connection of one transfer, and how a transfer ends.

Used by the one thread that has the session.
"""

from __future__ import annotations

import logging
from typing import BinaryIO, Protocol

from ftpfs.config import ABORT_TIMEOUT_S, EARLY_BYTES, NARROW_BYTES
from ftpfs.errors import FtpfsError, NetworkError
from ftpfs.session.transport import Transport
from ftpfs.wire.reply import Reply

log = logging.getLogger(__name__)


class Control(Protocol):
    """What a transfer needs of its control connection."""

    broken: bool
    more_to_come: bool

    @property
    def timeout_s(self) -> float: ...
    def final_reply(self, timeout_s: float = ...) -> Reply: ...
    def arm(self) -> None: ...


class ReplyError(FtpfsError):
    """A command was refused. What that means for a path is for `remote.diagnose` to say."""

    def __init__(self, verb: str, reply: Reply) -> None:
        super().__init__(f"{verb}: {reply}")
        self.verb = verb
        self.reply = reply


class breaking:  # noqa: N801 - reads as a statement
    """Marks the session broken when its connection fails in the block."""

    def __init__(self, session: Control) -> None:
        self._session = session

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._session.broken = True


class Transfer:
    """The data connection of one RETR, STOR, APPE, LIST or MLSD.

    Ends with exactly one of `finish` (all bytes went over) and `abort`. `begun` is False as long
    as the reply to the command itself was not read: the bytes of a small upload are sent without
    waiting for it (three servers take them: one round trip less a file).
    """

    def __init__(self, session: Control, verb: str, data: Transport, reply: Reply | None) -> None:
        self._session = session
        self._verb = verb
        self._data = data
        self._final: Reply | None = None  # where it came before we asked for it
        self._narrow = False
        self.begun = False
        self.answers: list[Reply] = []  # to what was asked together with the transfer
        if reply is not None:
            self._take(reply)

    def _take(self, reply: Reply) -> None:
        """The reply to the command itself. Raises ReplyError where that was refused."""
        self.begun = True
        if not reply.preliminary:  # some servers say 226 at once
            self._final = reply
        if reply.refused:
            self._data.close()
            raise ReplyError(self._verb, reply)

    def _begin(self) -> None:
        if not self.begun:
            self._take(self._session.final_reply(self._session.timeout_s))

    def narrow(self) -> None:
        """Let the server send little more than what was received, until `widen`."""
        self._narrow = True
        self._data.narrow(NARROW_BYTES)

    def widen(self) -> None:
        """Let the server send as much as the connection carries, as it does from the start."""
        if self._narrow:
            self._narrow = False
            self._data.widen()

    def readinto(self, buffer: memoryview) -> int:
        """Bytes received into `buffer`; 0 at the end. Raises NetworkError, DeadlineError."""
        with breaking(self._session):
            return self._data.recv_into(buffer, self._session.timeout_s)

    def send_file(self, source: BinaryIO, offset: int, count: int) -> int:
        """Bytes of `source` sent; fewer than `count` where the file ends.

        When the server hangs up in the middle its reply says why (452, 552): that is raised as
        ReplyError, else NetworkError.
        """
        if count > EARLY_BYTES:
            self._begin()
        try:
            return self._data.send_file(source, offset, count)
        except NetworkError as error:
            raise self._hung_up(error) from error

    def _hung_up(self, error: NetworkError) -> FtpfsError:
        """Why the server closed an upload's data connection, as far as it says so."""
        self._data.close()
        try:
            self._begin()
            reply = self._final = self._final or self._session.final_reply(ABORT_TIMEOUT_S)
        except ReplyError as refused:
            return refused
        except FtpfsError:
            self._session.broken = True
            return error
        return ReplyError(self._verb, reply) if reply.refused else error

    def finish(self, *, upload: bool = False) -> Reply:
        """The final reply, once every byte is over. Raises ReplyError, NetworkError."""
        try:
            if upload:
                self._data.end_output()
        except NetworkError as error:
            raise self._hung_up(error) from error
        finally:
            self._data.close()
        self._begin()
        if self._session.more_to_come and not upload:
            # The server has closed the data connection: the transfer is over, the next command may
            # go. vsftpd says 226 a round trip later.
            self._session.arm()
        reply = self._final or self._session.final_reply()
        if not reply.ok:
            raise ReplyError(self._verb, reply)
        return reply

    def abort(self) -> None:
        """Cut the transfer short: close the data connection and read the reply to it.

        426, 226 and 451 have all been seen; a server that says nothing soon costs the session.
        """
        self._data.close()
        if self._final is not None or self._session.broken:
            return
        try:
            self._begin()
            self._final = self._final or self._session.final_reply(ABORT_TIMEOUT_S)
            # Who cuts one short often begins the next: at another offset, or of another file.
            self._session.arm()
        except ReplyError:
            return
        except FtpfsError as error:
            self._session.broken = True
            log.debug("connection dropped after an aborted %s: %s", self._verb, error)
