"""The data connection of one transfer, and how a transfer ends.

Used by the one thread that has the session.
"""

from __future__ import annotations

import logging
from typing import BinaryIO, Protocol

from ftpfs.config import (
    ABORT_TIMEOUT_S,
    EARLY_BYTES,
    FINAL_REPLY_TIMEOUT_S,
    NARROW_BYTES,
    TLS_RECORD_BYTES,
)
from ftpfs.errors import (
    CertificateError,
    DeadlineError,
    FtpfsError,
    LearntError,
    NetworkError,
)
from ftpfs.session.transport import Protected, Transport
from ftpfs.wire.reply import Reply

log = logging.getLogger(__name__)

_UPLOADS = ("STOR", "APPE")
_NOT_RESUMED = (425, 450, 522)
"""What servers say behind their 1xx to a data connection without the control connection's session:
ProFTPD and FileZilla, FileZilla 1.x, vsftpd."""


class Control(Protocol):
    """What a transfer needs of its control connection."""

    broken: bool
    more_to_come: bool
    cut: bool  # the transfer before was cut short: one more reply to it may come

    @property
    def timeout_s(self) -> float: ...
    @property
    def tls13(self) -> bool: ...
    @property
    def tls13_unproven(self) -> bool: ...
    @property
    def tls13_resumes(self) -> bool: ...
    @property
    def first_word_s(self) -> float: ...  # how long to wait for the first byte, or the 1xx
    def data_came(self) -> None: ...
    def data_silent(self, error: DeadlineError) -> NetworkError: ...
    def final_reply(self, timeout_s: float) -> Reply: ...
    def arm(self) -> None: ...
    def protect(self, data: Transport) -> Protected | None: ...
    def take_tls13(self) -> None: ...
    def give_up_tls13(self, why: str) -> NetworkError: ...


class ReplyError(FtpfsError):
    """A command was refused. What that means for a path is for `remote.diagnose` to say."""

    def __init__(self, verb: str, reply: Reply) -> None:
        super().__init__(f"{verb}: {reply}")
        self.verb = verb
        self.reply = reply


class Breakable(Protocol):
    broken: bool


class breaking:  # noqa: N801 - reads as a statement
    """Marks the session broken when its connection fails in the block."""

    def __init__(self, session: Breakable) -> None:
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
        self._came = False  # something has come over the data connection, or its end
        self._ahead = memoryview(b"")  # received before anybody asked for it
        self._ended = False  # and nothing comes behind it
        self._on_trial = False  # a server that demands resumed sessions may refuse the data yet
        self._output_ended = False
        self.begun = False
        self.accepted = False  # the server has begun: what it refuses later may be there in part
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
        self.accepted = True
        try:
            self._protect()
        except BaseException:
            self._data.close()
            raise

    def _protect(self) -> None:
        """TLS, where the control connection has it. Not before the 1xx: ProFTPD and Pure-FTPd do
        not listen for it earlier. RFC 4217 10.2 leaves the order open."""
        try:
            secured = self._session.protect(self._data)
        except CertificateError:
            self._session.broken = True
            raise
        except NetworkError as error:
            if isinstance(error, DeadlineError):
                learnt = self._session.data_silent(error)
                if learnt is not error:
                    raise learnt from error
            # Where others came about by resuming the session, it was not refused, but cut.
            self._on_trial = self._session.tls13_unproven and not self._session.tls13_resumes
            raise self._hung_up(error) from error
        if secured is not None:
            self._data = secured
            self._has_come()
            self._on_trial = self._session.tls13_unproven and not secured.resumed
        if self._on_trial and self._verb not in _UPLOADS:
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Wait for the first bytes of a download: under TLS 1.3 a server that does not take the
        data connection says so after the handshake, when there still is time to begin again."""
        first = memoryview(bytearray(TLS_RECORD_BYTES))
        try:
            self._ahead = first[: self._data.recv_into(first, self._session.timeout_s)]
        except NetworkError as error:
            raise self._hung_up(error) from error
        if not self._ahead:
            self._data.close()  # vsftpd waits for it
            self._ended = True
            if (reply := self._final_reply()).refused:
                raise self._refused(reply)
        self._passed()

    def _passed(self) -> None:
        if self._on_trial:
            self._on_trial = False
            self._session.take_tls13()

    def _refused(self, reply: Reply) -> FtpfsError:
        """What the server's no behind its 1xx means."""
        not_resumed = self._session.tls13 and reply.code == 522
        if not_resumed or (self._on_trial and reply.code in _NOT_RESUMED):
            return self._session.give_up_tls13(str(reply))
        return ReplyError(self._verb, reply)

    def _final_reply(self, timeout_s: float = FINAL_REPLY_TIMEOUT_S) -> Reply:
        if self._final is None:
            try:
                self._final = self._session.final_reply(timeout_s)
            except NetworkError as error:
                # vsftpd's 522 is lost now and then, as it resets the control connection with it.
                if isinstance(error, DeadlineError | LearntError) or not self._on_trial:
                    raise
                raise self._session.give_up_tls13(str(error)) from error
        return self._final

    @property
    def resumed(self) -> bool | None:
        """Whether the data connection resumed the TLS session; None in clear text."""
        return getattr(self._data, "resumed", None)

    def _has_come(self) -> None:
        self._came = True
        self._session.data_came()

    def _begin(self) -> None:
        if not self.begun:
            try:
                reply = self._session.final_reply(self._session.first_word_s)
            except DeadlineError as error:
                raise self._session.data_silent(error) from error
            self._take(reply)

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
        """Bytes received into `buffer`; 0 at the end. Raises NetworkError, DeadlineError, and
        ReplyError where the reply to the command had not been read and is a refusal."""
        self._begin()
        if self._ahead:
            count = min(len(buffer), len(self._ahead))
            buffer[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
            return count
        if self._ended:
            return 0
        if not self._came:
            return self._first_bytes(buffer)
        try:
            return self._data.recv_into(buffer, self._session.timeout_s)
        except BaseException:
            self._session.broken = True
            raise

    def _first_bytes(self, buffer: memoryview) -> int:
        try:
            with breaking(self._session):
                count = self._data.recv_into(buffer, self._session.first_word_s)
        except DeadlineError as error:
            raise self._session.data_silent(error) from error
        self._has_come()
        return count

    def send(self, data: bytes | memoryview) -> None:
        """Send bytes of an upload; fails as `send_file` does."""
        if len(data) > EARLY_BYTES:
            self._begin()
        try:
            self._data.send(data)
        except NetworkError as error:
            raise self._hung_up(error) from error

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
            reply = self._final_reply(ABORT_TIMEOUT_S)
        except (ReplyError, LearntError) as refused:
            return refused
        except FtpfsError:
            self._session.broken = True
            return error
        return self._refused(reply) if reply.refused else error

    def finish(self, *, upload: bool = False) -> Reply:
        """The final reply, once every byte is over. Raises ReplyError, NetworkError."""
        try:
            if upload:
                self.end()
            else:
                self._data.close()
            self._begin()
            if self._session.more_to_come and not upload:
                # The server has closed the data connection: the transfer is over, the next command
                # may go. vsftpd says 226 a round trip later.
                self._session.arm()
            reply = self._final_reply()
        finally:
            # An upload's not before the reply: closing one that holds something unread, such as
            # the server's end of TLS, resets it, and what is still on its way is lost.
            self._data.close()
        if not reply.ok:
            raise self._refused(reply)
        self._passed()
        if not self._came:
            self._has_come()
        return reply

    def leave(self) -> None:
        """Close the data connection of a download that has come to its end; `finish` comes later.
        The server has closed it too: another command may be sent before its final reply is read."""
        self._data.close()

    def end(self) -> None:
        """Say that no more bytes of an upload come; `finish` does so where it was not done."""
        if self._output_ended:
            return
        self._output_ended = True
        try:
            self._data.end_output()
        except NetworkError as error:
            raise self._hung_up(error) from error

    def interrupt(self) -> None:
        """From any thread: what another one waits for in this transfer raises NetworkError, or is
        the end of the stream."""
        self._data.interrupt()

    def abort(self) -> None:
        """Cut the transfer short: close the data connection and read the reply to it.

        426, 226 and 451 have all been seen; a server that says nothing soon costs the session.
        """
        self._data.close()
        self._session.cut = True
        if self._final is not None or self._session.broken:
            return
        try:
            self._begin()
            self._final_reply(ABORT_TIMEOUT_S)
            # Who cuts one short often begins the next: at another offset, or of another file.
            self._session.arm()
        except ReplyError:
            return
        except FtpfsError as error:
            self._session.broken = True
            log.debug("connection dropped after an aborted %s: %s", self._verb, error)
