"""One control connection: login, commands, transfers.

A Session is used by one thread at a time; the pool sees to that. After any NetworkError or
ProtocolError it is `broken` and must not be lent again: replies that are still on their way
would answer the wrong command.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ftpfs.config import ARMED_S, GROUP_TIMEOUT_S, KIB
from ftpfs.errors import (
    CertificateError,
    DeadlineError,
    NetworkError,
    OutOfStepError,
    ProtocolError,
    TlsVersionError,
)
from ftpfs.session.login import (
    Command,
    Login,
    authenticate,
    closing,
    secure,
    settle,
    with_remedy,
)
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError, Transfer, breaking
from ftpfs.session.transport import Connect, Protected, Security, Transport
from ftpfs.wire.command import answers, encode_command, masked
from ftpfs.wire.endpoint import parse_endpoint
from ftpfs.wire.reply import Reply, ReplyParser

log = logging.getLogger(__name__)

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
        self._connect = connect
        self._parser = ReplyParser()
        self._buffer = bytearray(_CONTROL_BUFFER)
        self._working_directory: str | None = None
        self._binary = False
        self._armed: tuple[int, float] | None = None  # a port, and until when to use it
        self._owed = False  # the reply to an EPSV of `arm` is not read yet
        self._asked: tuple[Command, ...] = ()  # by `ask`, not answered yet
        self._asked_grouped = False
        self._clock = clock
        self.broken = False
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
            for command in commands:
                encode_command(*command)  # all can be sent, or none is
            return [self._one(command) for command in commands]
        self._send(*commands)
        replies = [self._timed_reply()]
        with self._in_step():
            replies += [self.read_reply(self._group_timeout_s) for _ in commands[1:]]
            self._check_step(commands, replies)
        self._profile.grouping = True
        return replies

    @property
    def _group_timeout_s(self) -> float:
        timeout_s = self._login.timeout_s
        return timeout_s if self._profile.grouping else min(timeout_s, GROUP_TIMEOUT_S)

    @contextmanager
    def _in_step(self) -> Iterator[None]:
        """For the second reply of a group and later ones: silence may mean that the server has
        thrown the commands away that came together with the first."""
        try:
            yield
        except DeadlineError as error:
            if self._profile.grouping:
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
        return self._timed_reply()

    def _timed_reply(self) -> Reply:
        """The reply to what was just sent."""
        sent_at = self._clock()
        reply = self.read_reply(self._login.timeout_s)
        self._profile.round_trip_s = min(self._profile.round_trip_s, self._clock() - sent_at)
        return reply

    def _send(self, *commands: Command) -> None:
        self._collect()
        packet = b"".join(encode_command(verb, argument) for verb, argument in commands)
        if log.isEnabledFor(logging.DEBUG):
            for verb, argument in commands:
                log.debug("> %s", masked(verb if argument is None else f"{verb} {argument}"))
        with breaking(self):
            self._transport.send(packet)

    def read_reply(self, timeout_s: float) -> Reply:
        """The next reply; for the login and for Transfer."""
        reply = self._parser.next_reply()
        while reply is None:
            with breaking(self):
                count = self._transport.recv_into(self._buffer, timeout_s)
                if count == 0:
                    raise NetworkError("the server closed the connection")
                self._parser.feed(bytes(self._buffer[:count]))
                reply = self._parser.next_reply()
        if log.isEnabledFor(logging.DEBUG):
            log.debug("< %s", reply)
        if reply.code == 421:  # closing: RFC 959 5.4, at any time
            self.broken = True
            raise closing(reply, self)
        return reply

    def usable(self) -> bool:
        """Whether the connection is still in step: no end of stream, no reply left over.

        Never waits: what is read is there.
        """
        if self.broken or self.outdated or self._parser.pending:
            return False
        return not self._transport.has_input() or self._expected_input()

    def _expected_input(self) -> bool:
        """Whether what has arrived is the answer to `arm`, or that its port was not used in time
        (pyftpdlib says 421 for that, after 30 s, and does not close)."""
        if not self._owed and self._armed is None:
            return False
        with suppress(NetworkError, ProtocolError):
            count = self._transport.recv_into(self._buffer, self._login.timeout_s)
            self._parser.feed(bytes(self._buffer[:count]))
            while count and (reply := self._parser.next_reply()) is not None:
                if self._owed and answers(self._passive_verb, reply.code) and reply.code != 421:
                    self._owed = False
                    self._arm_with(reply)
                elif reply.code != 421 or "data channel" not in reply.text.lower():
                    return False
            return bool(count) and not self._parser.pending
        self.broken = True
        return False

    def go_to(self, directory: str) -> list[Command]:
        """The CWD command needed to be in `directory`; none where the session is there."""
        return [] if self._working_directory == directory else [("CWD", directory)]

    def change_directory(self, directory: str) -> None:
        """Make `directory` the working directory. Raises ReplyError."""
        self._working_directory = None
        reply = self.command("CWD", directory)
        if not reply.ok:
            raise ReplyError("CWD", reply)
        self._working_directory = directory

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

    def cut(self) -> None:
        """End what another thread waits for on this connection: its call raises NetworkError."""
        self.broken = True
        self._transport.cut()

    def abandon(self) -> None:
        """Close this process's copy without a word to the server (the parent, after a fork)."""
        self.broken = True
        self._transport.close()

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
        endpoint = None if prelude else self._take_armed()
        answers: list[Reply] = []
        if endpoint is None:
            endpoint, answers = self._passive(*prelude, *moves, asking=asking, directory=directory)
            asking, moves = (), []
        rest: list[Command] = [("REST", str(offset))] if offset else []
        before = [*moves, *asking, *rest]
        if before and self._profile.grouping is False:
            answers += self._accepted(before, self.exchange(*before))
            before = []
        transfer = self._begin([*before, (verb, argument)], endpoint, early=early and not before)
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
        if self._profile.grouping is False or self._profile.epsv is None:
            return self.exchange(*commands)
        *replies, passive = self.exchange(*commands, (self._passive_verb, None))
        self._arm_with(passive)
        return replies

    def arm(self) -> None:
        """Ask for the port of the next transfer and leave the answer for later: the transfer then
        takes one round trip. For when it will begin at once, or almost."""
        if self._profile.grouping and self._profile.epsv is not None and not self.broken:
            self._send((self._passive_verb, None))
            self._owed = True

    def _collect(self) -> None:
        """Read the answer to `arm`, if there is one to come."""
        if self._owed:
            self._owed = False
            reply = self.read_reply(self._login.timeout_s)
            self._check_step([(self._passive_verb, None)], [reply])
            self._arm_with(reply)

    def _arm_with(self, passive: Reply) -> None:
        if passive.ok:
            self._armed = (parse_endpoint(passive)[1], self._clock() + ARMED_S)

    def ask(self, *commands: Command) -> None:
        """Send commands and the question for the next transfer's port, and do not wait: the
        caller has other things to do meanwhile. `answers` comes next, before anything else."""
        self._asked = commands
        self._asked_grouped = bool(self._profile.grouping) and self._profile.epsv is not None
        if self._asked_grouped:
            self._send(*commands, (self._passive_verb, None))

    def answers(self) -> list[Reply]:
        """The replies to what `ask` was given; the port is kept for the next transfer."""
        commands, self._asked = self._asked, ()
        if not self._asked_grouped:
            return self.exchange(*commands) if commands else []
        asked = [*commands, (self._passive_verb, None)]
        replies = [self.read_reply(self._login.timeout_s) for _ in asked]
        self._check_step(asked, replies)
        self._arm_with(replies.pop())
        return replies

    def _take_armed(self) -> int | None:
        """The port that waits for a data connection, unless it has waited too long."""
        self._collect()
        armed, self._armed = self._armed, None
        return armed[0] if armed is not None and self._clock() < armed[1] else None

    @property
    def _passive_verb(self) -> str:
        return "PASV" if self._profile.epsv is False else "EPSV"

    def _passive(
        self, *before: Command, asking: Sequence[Command], directory: str
    ) -> tuple[int, list[Reply]]:
        """The port of a data connection that the server listens on for us, and the answers."""
        verb = self._passive_verb
        replies = self.exchange(*before, *asking, (verb, None))
        answers = replies[len(before) : -1]
        for (name, _), reply in zip(before, replies, strict=False):
            if not reply.ok:
                raise ReplyError(name, reply)
            if name == "TYPE":
                self._binary = True
            else:
                self._working_directory = directory
        reply = replies[-1]
        if verb == "EPSV" and reply.refused and self._profile.epsv is None:
            self._profile.epsv = False
            verb = "PASV"
            reply = self.command(verb)
        if not reply.ok:
            raise ReplyError(verb, reply)
        if self._profile.epsv is None:
            self._profile.epsv = True
        # The host in a 227 is not used: behind NAT it is often wrong, and a hostile one would
        # make us connect to a third party (CVE-2021-4189).
        return parse_endpoint(reply)[1], answers

    def _begin(self, commands: list[Command], port: int, *, early: bool = False) -> Transfer:
        """Send the commands, open the data connection while they travel, read the replies."""
        self._send(*commands)
        with breaking(self):
            data = self._connect(self._transport.peer_host, port, self._login.timeout_s)
        if early and self._profile.grouping is not False and not self.protected:
            return Transfer(self, commands[-1][0], data, None)
        try:
            return self._started(commands, data)
        except BaseException:
            data.close()
            raise

    def _started(self, commands: list[Command], data: Transport) -> Transfer:
        *before, (verb, _) = commands
        replies = [self.read_reply(self._login.timeout_s) for _ in before]
        self._check_step(before, replies)
        try:
            answers = self._accepted(before, replies)
        except ReplyError:
            # The transfer starts at 0, or elsewhere, all the same: nothing of it may be used.
            with suppress(ReplyError):
                Transfer(self, verb, data, self.read_reply(self._login.timeout_s)).abort()
            raise
        transfer = Transfer(self, verb, data, self.read_reply(self._login.timeout_s))
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
        return self.tls13 and self._profile.tls13 is None

    def take_tls13(self) -> None:
        """The server takes data connections under TLS 1.3 as they come. For Transfer only."""
        if self._profile.tls13 is None:
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
        if self._owed and answers(self._passive_verb, reply.code) and reply.ok:
            raise self._out_of_step(f"the end of a transfer was answered by {reply}")
        return reply

    @property
    def timeout_s(self) -> float:
        return self._login.timeout_s


OpenSession = Callable[[], Session]
