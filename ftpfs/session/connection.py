"""One control connection: login, commands, transfers.

A Session is used by one thread at a time; the pool sees to that. After any NetworkError or
ProtocolError it is `broken` and must not be lent again: replies that are still on their way
would answer the wrong command.
"""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ftpfs.config import (
    ABORT_TIMEOUT_S,
    ARMED_S,
    GROUP_TIMEOUT_S,
    IDLE_SESSION_S,
    IDLE_SHARE,
    KIB,
    LONG_PATH_BYTES,
)
from ftpfs.errors import (
    CertificateError,
    ClosingError,
    DeadlineError,
    FtpfsError,
    NetworkError,
    OutOfStepError,
    ProtocolError,
    TlsVersionError,
)
from ftpfs.session.data import Opening, way_of
from ftpfs.session.login import (
    Command,
    Login,
    authenticate,
    closing,
    idle_limit,
    secure,
    settle,
    speaks_of_limit,
    with_remedy,
)
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError, Transfer, breaking
from ftpfs.session.transport import Connect, Listener, Protected, Security, Transport
from ftpfs.wire.command import (
    TELNET_IAC,
    TELNET_PROBE,
    answers,
    encode_command,
    masked,
    telnet_escaped,
)
from ftpfs.wire.pathname import steps
from ftpfs.wire.reply import Reply, ReplyParser

log = logging.getLogger(__name__)

OF_TRANSFERS = (225, 226, 425, 426)
"""Codes of replies that end transfers."""

_CONTROL_BUFFER = 16 * KIB


class Session:
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
        self._transport = transport
        self._security = security
        self._protected: Protected | None = None  # the transport, once it speaks TLS
        self._login = login
        self._profile = profile
        self._way = way_of(login, profile, connect, self)
        self._parser = ReplyParser(profile.encoding)
        self._buffer = bytearray(_CONTROL_BUFFER)
        self._working_directory: str | None = None
        self._binary = False
        self._armed: tuple[Opening, float] | None = None  # a port, and until when to use it
        self._owed = False  # the reply to an EPSV of `arm` is not read yet
        self._clock = clock
        self._last = clock()  # when something was sent or heard
        self._logged_in = False
        self.over_limit = False  # closed by a server that has too many connections
        self.broken = False
        self._asked: tuple[Command, ...] = ()  # by `ask`, not answered yet
        self._asked_grouped = False
        self.more_to_come = False  # transfers follow one another: ask for ports in advance
        self.cut = False

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

    @property
    def protected(self) -> bool:
        """Whether commands and data go over TLS."""
        return self._protected is not None

    @property
    def protection(self) -> Protected | None:
        """The control connection, where it speaks TLS."""
        return self._protected

    @property
    def peer_host(self) -> str:
        """The address where data connections go, too."""
        return self._transport.peer_host

    def listen(self) -> Listener:
        """A port of ours for a data connection that the server opens."""
        return self._transport.listen()

    def start_tls(self) -> None:
        """Protect the control connection, from the next byte on; for the login only."""
        assert self._security is not None
        if self._parser.pending:  # whoever put it there could answer commands in our name
            raise ProtocolError("the server said something in clear text before the TLS handshake")
        with breaking(self):
            tls13 = self._profile.tls13 is not False
            self._protected = self._security.control(self._transport, self._login.host, tls13=tls13)
        self._transport = self._protected

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

    # -- commands -----------------------------------------------------------------------------

    def command(self, verb: str, argument: str | None = None) -> Reply:
        """The reply to one command; one round trip."""
        return self.exchange((verb, argument))[0]

    def exchange(self, *commands: Command) -> list[Reply]:
        """The replies to several commands, in order; one round trip where the server allows.

        Only for commands without a transfer. Raises NameRefusedError before anything is sent,
        OutOfStepError where the replies are not those to the commands.
        """
        if len(commands) == 1 or self._profile.grouping is False:
            self._encoded(*commands)  # all can be sent, or none is
            return [self._one(command) for command in commands]
        self._send(*commands)
        replies = [self._answer()]
        with self._in_step():
            replies += [self.read_reply(self._group_timeout_s) for _ in commands[1:]]
            self._check_step(commands, replies)
        self._profile.grouping = True
        return replies

    @property
    def _group_timeout_s(self) -> float:
        timeout_s = self._login.timeout_s
        proven = self._profile.grouping and not self._profile.unproven("grouping")
        return timeout_s if proven else min(timeout_s, GROUP_TIMEOUT_S)

    @contextmanager
    def _in_step(self) -> Iterator[None]:
        """For the second reply of a group and later ones: silence may mean that the server has
        thrown the commands away that came together with the first."""
        try:
            yield
        except DeadlineError as error:
            if self._profile.grouping and not self._profile.unproven("grouping"):
                raise
            raise self._out_of_step("commands sent together are not all answered") from error

    def _check_step(self, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        for (verb, _), reply in zip(commands, replies, strict=True):
            if not answers(verb, reply.code):
                raise self._out_of_step(f"{verb} was answered by {reply}")

    def _out_of_step(self, what: str) -> OutOfStepError:
        self.broken = True
        self._profile.grouping = False
        log.warning("the server answers out of step: one command at a time from now on (%s)", what)
        return OutOfStepError(f"the server answers out of step: {what}")

    def _one(self, command: Command) -> Reply:
        self._send(command)
        return self._answer()

    def _answer(self) -> Reply:
        """The reply to a command, or to the first of several, that is no transfer.

        Some servers reply twice to a transfer that was cut short: what is left over is dropped.
        """
        sent_at = self._last
        reply = self.read_reply(self._login.timeout_s)
        self._profile.round_trip_s = min(self._profile.round_trip_s, self._last - sent_at)
        if self.cut and reply.code in OF_TRANSFERS:
            log.debug("left over from the transfer before: %s", reply)
            with suppress(DeadlineError):  # it was the answer after all: now the session is broken
                reply = self.read_reply(ABORT_TIMEOUT_S)
        self.cut = False
        return reply

    def _send(self, *commands: Command) -> None:
        self._collect()
        packet = self._encoded(*commands)
        if TELNET_IAC in packet and commands[0][0] not in ("USER", "PASS") and self._telnet():
            packet = telnet_escaped(packet)
        if log.isEnabledFor(logging.DEBUG):
            for verb, argument in commands:
                log.debug("> %s", masked(verb if argument is None else f"{verb} {argument}"))
        with breaking(self):
            self._transport.send(packet)
        self._last = self._clock()

    def _encoded(self, *commands: Command) -> bytes:
        encoding = self._profile.encoding
        return b"".join(encode_command(*command, encoding) for command in commands)

    def _telnet(self) -> bool:
        """Whether the server takes telnet commands out of what we send; tried at first need.

        It is asked about the directory where the connection is, which others may have removed:
        then about the one it has logged in to, which the connection is left in.
        """
        if self._profile.telnet is None:
            taken = self._at_once(TELNET_PROBE)
            if not taken and not self._at_once(self._encoded(("CWD", "."))):
                self._working_directory = None
                self._at_once(self._encoded(("CWD", self._profile.login_directory)))
                taken = self._at_once(TELNET_PROBE)
            self._profile.telnet = taken
        return self._profile.telnet

    def _at_once(self, line: bytes) -> bool:
        """Send a line as it is, ahead of commands that are about to go."""
        with breaking(self):
            self._transport.send(line)
        return self.read_reply(self._login.timeout_s).ok

    def read_reply(self, timeout_s: float) -> Reply:
        """The next reply; for the login and for Transfer."""
        with breaking(self):
            deadline = None  # for the reply as a whole: it may come a byte at a time
            while (reply := self._parser.next_reply()) is None:
                left_s = timeout_s if deadline is None else deadline - self._clock()
                if left_s <= 0:
                    raise DeadlineError(f"no whole reply from the server within {timeout_s:g} s")
                deadline = deadline or self._clock() + timeout_s
                count = self._transport.recv_into(self._buffer, left_s)
                if count == 0:
                    raise NetworkError("the server closed the connection")
                self._parser.feed(bytes(self._buffer[:count]))
        if log.isEnabledFor(logging.DEBUG):
            log.debug("< %s", reply)
        if reply.code == 421:  # closing: RFC 959 5.4, at any time
            raise self._closed_by(reply)
        self._last = self._clock()
        return reply

    def _closed_by(self, reply: Reply) -> FtpfsError:
        """Learn why the server says 421."""
        self.broken = True
        idle_s = idle_limit(reply, self._clock() - self._last)
        if idle_s is not None and idle_s < (self._profile.idle_s or math.inf):
            log.info("the server closes connections that are idle for %.0f s", idle_s)
            self._profile.idle_s = idle_s
        if self._logged_in and speaks_of_limit(reply):
            self.over_limit = True
            return ClosingError(f"the server has too many connections: {reply}")
        return closing(reply, self)

    @property
    def idle_s(self) -> float:
        """For how long it may lie idle before it is better closed, in seconds."""
        return min(IDLE_SESSION_S, IDLE_SHARE * (self._profile.idle_s or math.inf))

    def usable(self) -> bool:
        """Whether the connection is still in step: no end of stream, no reply left over.

        Never waits: what is read is there.
        """
        if self.broken or self.outdated:
            return False
        try:
            return self._in_step_so_far()
        except (NetworkError, ProtocolError) as error:
            log.debug("a kept connection is of no use: %s", error)
            self.broken = True
            return False

    def _in_step_so_far(self) -> bool:
        if self._parser.pending and not self._expected_replies():
            return False
        while self._transport.has_input():
            count = self._transport.recv_into(self._buffer, self._login.timeout_s)
            self._parser.feed(bytes(self._buffer[:count]))
            if count == 0 or not self._expected_replies():
                return False
        return True

    def _expected_replies(self) -> bool:
        """Whether what was received is the answer to `arm`, what is left over from a transfer that
        was cut, or that a port was not used in time (pyftpdlib says 421 for that, after 30 s, and
        does not close). A server that closes the connection says why: that is learnt."""
        while (reply := self._parser.next_reply()) is not None:
            if self.cut and reply.code in OF_TRANSFERS:
                self.cut = False
            elif self._owed and answers(self._way.verb, reply.code) and reply.code != 421:
                self._owed = self.cut = False
                self._arm_with(reply)
            elif self._armed is None or not _port_timed_out(reply):
                if reply.code == 421:
                    self._closed_by(reply)
                return False
        return not self._parser.pending

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

    def close(self) -> None:
        """Say QUIT without waiting for the answer, and close. Never raises for the network."""
        if not self.broken:
            self.broken = True
            try:
                self._transport.send(encode_command("QUIT"))
            except NetworkError as error:
                log.debug("QUIT not sent: %s", error)
        self._transport.close()
        self._way.close()

    def interrupt(self) -> None:
        """From any thread: what another one waits for on this connection raises NetworkError."""
        self.broken = True
        self._transport.interrupt()

    def abandon(self) -> None:
        """Close this process's copy without a word to the server (the parent, after a fork)."""
        self.broken = True
        self._transport.close()
        self._way.close()

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
        opening = None if prelude else self._take_armed()
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

    def exchange_and_arm(self, *commands: Command) -> list[Reply]:
        """Like `exchange`; the port for the next transfer is asked for in the same packet, which
        saves that one a round trip. For when another transfer is likely to follow soon."""
        if self._profile.grouping is False or not self._way.in_advance:
            return self.exchange(*commands)
        *replies, agreement = self.exchange(*commands, self._way.request())
        self._arm_with(agreement)
        return replies

    def arm(self) -> None:
        """Ask for the port of the next transfer and leave the answer for later: the transfer then
        takes one round trip. For when it will begin at once, or almost."""
        if self._profile.grouping and self._way.in_advance and not self.broken:
            self._send(self._way.request())
            self._owed = True

    def _collect(self) -> None:
        """Read the answer to `arm`, if there is one to come."""
        if self._owed:
            self._owed = False
            reply = self._answer()
            self._check_step([(self._way.verb, None)], [reply])
            self._arm_with(reply)

    def _arm_with(self, reply: Reply) -> None:
        if reply.ok:
            self._armed = (self._way.agreed(reply), self._clock() + ARMED_S)

    def ask(self, *commands: Command) -> None:
        """Send commands and the question for the next transfer's port, and do not wait: the
        caller has other things to do meanwhile. `answers` comes next, before anything else but
        the final reply of a download that has come to its end."""
        self._asked = commands
        self._asked_grouped = bool(self._profile.grouping) and self._way.in_advance
        if self._asked_grouped:
            self._send(*commands, self._way.request())

    def answers(self) -> list[Reply]:
        """The replies to what `ask` was given; the port is kept for the next transfer."""
        commands, self._asked = self._asked, ()
        if not self._asked_grouped:
            return self.exchange(*commands) if commands else []
        asked = [*commands, (self._way.verb, None)]
        replies = [self._answer(), *(self.read_reply(self._login.timeout_s) for _ in commands)]
        self._check_step(asked, replies)
        self._arm_with(replies.pop())
        return replies

    def _take_armed(self) -> Opening | None:
        """What waits for a data connection, unless it has waited too long."""
        self._collect()
        armed, self._armed = None if self.cut else self._armed, None
        return armed[0] if armed is not None and self._clock() < armed[1] else None

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
        data: Transport | None = None
        try:
            self._send(*commands)
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
        reply = self.read_reply(self._login.timeout_s)
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

    def protect(self, data: Transport) -> Protected | None:
        """A data connection with TLS, where the control connection has it: its session is resumed.
        None in clear text. RFC 4217 9, 10.2."""
        if self._security is None or self._protected is None:
            return None
        return self._security.data(data, self._protected)

    @property
    def tls13(self) -> bool:
        return self._protected is not None and self._protected.tls13

    @property
    def outdated(self) -> bool:
        """Whether a new session would speak another TLS, after what was learnt."""
        return self.tls13 and self._profile.tls13 is False

    @property
    def tls13_unproven(self) -> bool:
        """Whether no data connection without a resumed session was taken yet under TLS 1.3."""
        return self.tls13 and self._profile.unproven("tls13")

    def take_tls13(self) -> None:
        """The server takes data connections under TLS 1.3 as they come. For Transfer only."""
        if self._profile.unproven("tls13"):
            self._profile.tls13 = True

    def give_up_tls13(self, why: str) -> NetworkError:
        """TLS 1.2 for the rest of the mount; this session is not used again. For Transfer only."""
        if self._profile.tls13 is not False:
            log.warning("no data connections under TLS 1.3, TLS 1.2 from now on: %s", why)
        self._profile.tls13 = False
        self.broken = True
        return TlsVersionError(f"the server refuses data connections under TLS 1.3: {why}")

    def final_reply(self, timeout_s: float) -> Reply:
        """The reply that ends a transfer; for Transfer only."""
        reply = self.read_reply(timeout_s)
        if self._owed and answers(self._way.verb, reply.code) and reply.ok:
            raise self._out_of_step(f"the end of a transfer was answered by {reply}")
        return reply

    @property
    def timeout_s(self) -> float:
        return self._login.timeout_s


def _port_timed_out(reply: Reply) -> bool:
    return reply.code == 421 and "data channel" in reply.text.lower()


OpenSession = Callable[[], Session]
