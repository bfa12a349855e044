"""A session: a control connection that is logged in, its working directory and its transfers.

Used by one thread at a time, as the control connection is.
"""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from ftpfs.config import ABORT_TIMEOUT_S, IDLE_SESSION_S, IDLE_SHARE, LONG_PATH_BYTES
from ftpfs.errors import (
    CertificateError,
    DeadlineError,
    FtpfsError,
    NetworkError,
    OutOfStepError,
    ProtocolError,
)
from ftpfs.session.advance import Advance
from ftpfs.session.control import OF_TRANSFERS, ControlConnection
from ftpfs.session.data import Opening, way_of
from ftpfs.session.login import Command, Login, authenticate, secure, settle, with_remedy
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError, Transfer, breaking
from ftpfs.session.transport import Connect, Security, Transport
from ftpfs.wire.command import is_plain
from ftpfs.wire.pathname import steps
from ftpfs.wire.reply import Reply

log = logging.getLogger(__name__)


class _Asked(NamedTuple):
    """What `ask` was given and what became of it."""

    commands: Sequence[Command]
    sent: bool  # with the question for a port; else they are to be, one by one
    begun: Command | None  # the download, where that was sent behind it


NOTHING_ASKED = _Asked((), sent=False, begun=None)


class Session(ControlConnection):
    """A logged-in control connection."""

    def __init__(
        self,
        transport: Transport,
        login: Login,
        profile: Profile,
        connect: Connect,
        clock: Callable[[], float] = time.monotonic,
        security: Security | None = None,
    ) -> None:
        super().__init__(transport, login, profile, clock, security)
        self._way = way_of(login, profile, connect, self)
        self._advance = Advance(self._way, profile, lambda: self._clock())
        self._binary = False
        self._asked = NOTHING_ASKED
        self.more_to_come = False  # transfers follow one another: ask for ports in advance

    @classmethod
    def open(
        cls, login: Login, profile: Profile, connect: Connect, security: Security | None = None
    ) -> Session:
        """A session that is connected and logged in.

        `security` is needed where `login.tls` wants TLS. Raises LoginError, ConnectionLimitError
        (421, 530 "too many"), TlsError, CertificateError, NetworkError.
        """
        transport = connect(login.host, login.port, login.timeout_s)
        session = cls(transport, login, profile, connect, security=security)
        try:
            secure(session, login)
            authenticate(session, login)
            session._binary = settle(session, profile)
            session._logged_in = True
        except OutOfStepError:
            session.close()
            return cls.open(login, profile, connect, security)  # it will not happen again
        except CertificateError as error:
            session.close()
            assert security is not None
            look = functools.partial(cls._fingerprint, login, profile, connect, security)
            raise with_remedy(error, look) from error
        except BaseException:
            session.close()
            raise
        return session

    @classmethod
    def _fingerprint(
        cls, login: Login, profile: Profile, connect: Connect, security: Security
    ) -> str:
        """Of the server's certificate, seen on a second connection: Python tells nothing of the
        one that made a handshake fail."""
        transport = connect(login.host, login.port, login.timeout_s)
        session = cls(transport, login, profile, connect, security=security.trusting())
        try:
            secure(session, login)
            return session._protected.fingerprint if session._protected else ""
        finally:
            session.abandon()

    @property
    def idle_s(self) -> float:
        """For how long it may lie idle before it is better closed, in seconds."""
        return min(IDLE_SESSION_S, IDLE_SHARE * (self._profile.idle_s or math.inf))

    def usable(self) -> bool:
        """Whether the connection is still in step: no end of stream, no reply left over.

        Never waits.
        """
        return not self.broken and not self.outdated and self._has_only(self._expected)

    def _expected(self, reply: Reply) -> bool:
        """Whether a reply may come by itself: left over from a transfer that was cut, or the
        answer to `arm`."""
        if self.cut and reply.code in OF_TRANSFERS:
            self.cut = False
            return True
        if self._advance.is_answer(reply) and reply.code != 421:
            self._advance.answered(reply)
            self.cut = False
            return True
        return self._advance.has_timed_out(reply)

    def close(self) -> None:
        """Say QUIT without waiting for the answer, and close. Never raises for the network."""
        super().close()
        self._way.close()

    def abandon(self) -> None:
        """Close this process's copy without a word to the server (the parent, after a fork)."""
        super().abandon()
        self._way.close()

    @property
    def timeout_s(self) -> float:
        return self._login.timeout_s

    # -- directories --------------------------------------------------------------------------

    def go_to(self, directory: str) -> list[Command]:
        """The CWD commands needed to be in `directory`; none where the session is there."""
        if self._working_directory == directory:
            return []
        parts = steps(directory, LONG_PATH_BYTES, self._profile.encoding)
        return [("CWD", part) for part in parts]

    def change_directory(self, directory: str) -> None:
        """Make `directory` the working directory. Raises ReplyError."""
        self._working_directory = None
        for command in self.go_to(directory):
            reply = self.command(*command)
            if not reply.ok:
                raise ReplyError("CWD", reply)
        self._working_directory = directory

    def enter(self, directory: str) -> None:
        """Make `directory` the working directory unless it is. Raises ReplyError."""
        if self._working_directory != directory:
            self.change_directory(directory)

    def forget_directory(self) -> None:
        """The working directory was changed by a CWD sent with `exchange`."""
        self._working_directory = None

    # -- transfers ----------------------------------------------------------------------------

    def transfer(
        self,
        verb: str,
        argument: str | None = None,
        *,
        offset: int = 0,
        directory: str = "",
        early: bool = False,
        asking: Sequence[Command] = (),
    ) -> Transfer:
        """A running transfer: two round trips, the first with CWD and EPSV in one packet.

        `directory`, where given, becomes the working directory first (for MLSD and LIST, which
        never get a name as argument: servers read options and patterns in it). `early`: the reply
        to the command is left for the transfer to read, so that data may go before it. `asking`:
        commands whose replies, refusals too, are wanted as well: Transfer.answers. Raises
        ReplyError for the command that was refused.
        """
        prelude = [] if self._binary else [("TYPE", "I")]
        moves = self.go_to(directory) if directory else []
        if moves:
            self._working_directory = None  # until all of them are known to have been made
        opening = None if prelude else self._in_advance()
        answers: list[Reply] = []
        if opening is None:
            opening, answers = self._agree(*prelude, *moves, asking=asking, directory=directory)
            asking, moves = (), []
        rest: list[Command] = [("REST", str(offset))] if offset else []
        before = [*moves, *asking, *rest]
        if before and self._profile.grouping is False:
            answers += self._accepted(before, self.exchange(*before))
            before = []
        transfer = self._begin([*before, (verb, argument)], opening, early=early and not before)
        transfer.answers = answers + transfer.answers
        if moves:
            self._working_directory = directory
        return transfer

    def _accepted(self, commands: Sequence[Command], replies: Sequence[Reply]) -> list[Reply]:
        """The replies to what was only asked. Raises ReplyError where REST or CWD was refused."""
        asked = []
        for (verb, _), reply in zip(commands, replies, strict=True):
            if verb not in ("REST", "CWD"):
                asked.append(reply)
            elif reply.refused:
                raise ReplyError(verb, reply)
        return asked

    def _agree(
        self, *before: Command, asking: Sequence[Command], directory: str
    ) -> tuple[Opening, list[Reply]]:
        """How the data connection will come about, and the answers to what was asked."""
        replies = self.exchange(*before, *asking, self._way.request())
        for (name, _), reply in zip(before, replies, strict=False):
            if not reply.ok:
                raise ReplyError(name, reply)
            if name == "TYPE":
                self._binary = True
        if any(name == "CWD" for name, _ in before):
            self._working_directory = directory
        try:
            return self._way.agreed(replies[-1]), replies[len(before) : -1]
        except NetworkError:
            self.broken = True
            raise

    def _begin(self, commands: list[Command], opening: Opening, *, early: bool = False) -> Transfer:
        """Send the commands, open the data connection while they travel, read the replies."""
        try:
            self._send(*commands)
        except BaseException:
            opening.close()
            raise
        return self._connected(commands, opening, early=early)

    def _connected(self, commands: list[Command], opening: Opening, *, early: bool) -> Transfer:
        """The transfer that the last of the commands begins, which are on their way."""
        data: Transport | None = None
        try:
            try:
                data = opening.before_reply()
            except NetworkError as error:
                raise self._unconnected(commands, error) from error
            can_be_early = self._profile.grouping is not False and not self.protected
            if data is not None and early and can_be_early:
                return Transfer(self, commands[-1][0], data, None)
            return self._started(commands, opening, data)
        except BaseException:
            opening.close()
            if data is not None:
                data.close()
            raise

    def _unconnected(self, commands: list[Command], error: NetworkError) -> FtpfsError:
        """Why there is no data connection: a server that refuses the command does not listen any
        more by the time it is called (ProFTPD), and its reply says what is wrong."""
        try:
            replies = [self.read_reply(ABORT_TIMEOUT_S) for _ in commands]
        except (NetworkError, ProtocolError):
            return error
        if replies[-1].refused:
            return ReplyError(commands[-1][0], replies[-1])
        self.broken = True  # it waits for us
        return error

    def _started(
        self, commands: list[Command], opening: Opening, data: Transport | None
    ) -> Transfer:
        *before, (verb, _) = commands
        replies = [self.read_reply(self._login.timeout_s) for _ in before]
        self._check_step(before, replies)
        try:
            reply = self.read_reply(self.first_word_s)
        except DeadlineError as error:
            raise self.data_silent(error) from error
        if data is None and not reply.refused:
            with breaking(self):
                data = opening.after_reply()
        try:
            answers = self._accepted(before, replies)
        except ReplyError:
            # The transfer starts at 0, or elsewhere, all the same: nothing of it may be used.
            if data is not None:
                with suppress(ReplyError):
                    Transfer(self, verb, data, reply).abort()
            raise
        if data is None:
            opening.close()
            raise ReplyError(verb, reply)
        transfer = Transfer(self, verb, data, reply)
        transfer.answers = answers
        return transfer

    @property
    def first_word_s(self) -> float:
        """How long the server has for its 1xx, and for the first byte of a download."""
        return min(self._login.timeout_s, self._way.patience_s)

    def data_came(self) -> None:
        """Something has come over a data connection. For Transfer only."""
        self._way.carried()

    def data_silent(self, error: DeadlineError) -> NetworkError:
        """What it means that nothing comes: `error`, or what was learnt by it, and then the session
        is not used again. For Transfer only."""
        learnt = self._way.silent(error)
        self.broken = self.broken or learnt is not error
        return learnt

    def final_reply(self, timeout_s: float) -> Reply:
        """The reply that ends a transfer; for Transfer only."""
        reply = self.read_reply(timeout_s)
        if self._advance.is_answer(reply) and reply.ok:
            raise self._out_of_step(f"the end of a transfer was answered by {reply}")
        return reply

    # -- the port of the next transfer --------------------------------------------------------

    def exchange_and_arm(self, *commands: Command) -> list[Reply]:
        """Like `exchange`; the port for the next transfer is asked for in the same packet, which
        saves that one a round trip. For when another transfer is likely to follow soon."""
        if self._profile.grouping is False or not self._way.in_advance:
            return self.exchange(*commands)
        *replies, agreement = self.exchange(*commands, self._way.request())
        self._advance.answered(agreement)
        return replies

    def arm(self) -> None:
        """Ask for the port of the next transfer and leave the answer for later: the transfer then
        takes one round trip. For when it will begin at once, or almost."""
        if self._advance.possible and not self.broken:
            self._send(self._way.request())
            self._advance.owed = True

    def _send(self, *commands: Command) -> None:
        self._collect()
        super()._send(*commands)

    def _collect(self) -> None:
        """Read the answer to `arm`, if there is one to come."""
        if self._advance.owed:
            self._advance.owed = False
            reply = self._answer()
            self._check_step([(self._way.verb, None)], [reply])
            self._advance.answered(reply)

    def _in_advance(self) -> Opening | None:
        """What waits for a data connection, unless what is left over of a transfer that was cut
        may be taken for the reply to the next."""
        self._collect()
        opening = self._advance.take()
        return None if self.cut else opening

    def ask(self, *commands: Command, download: str | None = None) -> None:
        """Send commands and the question for the next transfer's port, and do not wait: the
        caller has other things to do meanwhile. `answers` comes next, before anything else but
        the final reply of a download that has come to its end.

        `download`: what RETR will be used for that port. It is sent as well where that is safe, and
        `begun` is next but one: near by, waking the server twice takes a tenth of the time of a
        small file. No upload is: a server that is stuck may come to it when we have given it up,
        and have sent the file again.
        """
        begun: Command | None = None
        sent = self._advance.possible
        if sent and download is not None:
            encoding = self._profile.encoding
            # The probe for telnet needs a server that has no other reply under way.
            sent = self._profile.telnet is not None or all(
                is_plain(argument, encoding) for _, argument in commands
            )
            if sent and self._binary and not self.protected and is_plain(download, encoding):
                begun = ("RETR", download)
        if sent:
            self._send(*commands, self._way.request(), *([begun] if begun else []))
        self._asked = _Asked(commands, sent, begun)

    @property
    def asked(self) -> bool:
        """Whether `ask` has sent what `answers` will read."""
        return self._asked.sent

    def answers(self) -> list[Reply]:
        """The replies to what `ask` was given, but for the download."""
        commands, sent, _ = self._asked
        if not sent:
            return self.exchange(*commands) if commands else []
        timeout_s = self._login.timeout_s
        with breaking(self):
            replies = [self._answer(), *(self.read_reply(timeout_s) for _ in commands)]
            self._check_step([*commands, (self._way.verb, None)], replies)
            self._advance.answered(replies.pop())
        return replies

    def begun(self) -> Transfer | None:
        """The download that was asked for, with its data connection; its own reply is still to be
        read. None where it was not sent, or is waited for in vain: then the session is broken."""
        begun, self._asked = self._asked.begun, NOTHING_ASKED
        if begun is None:
            return None
        opening = self._advance.take()
        if opening is None:
            self.broken = True
            return None
        return self._connected([begun], opening, early=True)


OpenSession = Callable[[], Session]
