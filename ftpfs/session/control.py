"""Commands and their replies over one control connection.

Used by one thread at a time; the pool sees to that. After any NetworkError or ProtocolError it is
`broken` and must not be used again: replies that are still on their way would answer the wrong
command.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ftpfs.config import ABORT_TIMEOUT_S, GROUP_TIMEOUT_S, KIB
from ftpfs.errors import (
    ClosingError,
    DeadlineError,
    FtpfsError,
    NetworkError,
    OutOfStepError,
    ProtocolError,
    TlsVersionError,
)
from ftpfs.session.login import Command, Login, closing, idle_limit, speaks_of_limit
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import breaking
from ftpfs.session.transport import Listener, Protected, Security, Transport
from ftpfs.wire.command import (
    TELNET_IAC,
    TELNET_PROBE,
    answers,
    encode_command,
    masked,
    telnet_escaped,
)
from ftpfs.wire.reply import Reply, ReplyParser

log = logging.getLogger(__name__)

OF_TRANSFERS = (225, 226, 425, 426)
"""Codes of replies that end transfers."""

_LAST_WORDS = "OOPS:"
"""What a process of vsftpd says, with the code 500, when it cannot go on: it has found no free port
for a data connection, for one. It is no answer to the command."""

_BUFFER_BYTES = 16 * KIB


class ControlConnection:
    """Sends commands, one at a time or several together, and reads what comes back."""

    def __init__(
        self,
        transport: Transport,
        login: Login,
        profile: Profile,
        clock: Callable[[], float] = time.monotonic,
        security: Security | None = None,
    ) -> None:
        self._transport = transport
        self._security = security
        self._protected: Protected | None = None  # the transport, once it speaks TLS
        self._login = login
        self._profile = profile
        self._parser = ReplyParser(profile.encoding)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._clock = clock
        self._last = clock()  # when something was sent or heard
        self._logged_in = False
        self._working_directory: str | None = None
        self.over_limit = False  # closed by a server that has too many connections
        self.broken = False
        self.cut = False  # the transfer before was cut short: one more reply to it may come

    @property
    def peer_host(self) -> str:
        """The address where data connections go, too."""
        return self._transport.peer_host

    def listen(self) -> Listener:
        """A port of ours for a data connection that the server opens."""
        return self._transport.listen()

    # -- TLS ----------------------------------------------------------------------------------

    @property
    def protected(self) -> bool:
        """Whether commands and data go over TLS."""
        return self._protected is not None

    @property
    def protection(self) -> Protected | None:
        """The control connection, where it speaks TLS."""
        return self._protected

    def start_tls(self) -> None:
        """Protect the control connection, from the next byte on; for the login only."""
        assert self._security is not None
        if self._parser.pending:  # whoever put it there could answer commands in our name
            raise ProtocolError("the server said something in clear text before the TLS handshake")
        with breaking(self):
            tls13 = self._profile.tls13 is not False
            self._protected = self._security.control(self._transport, self._login.host, tls13=tls13)
        self._transport = self._protected

    def protect(self, data: Transport) -> Protected | None:
        """A data connection with TLS, where the control connection has it: its session is resumed.
        None in clear text. RFC 4217 9, 10.2."""
        if self._security is None or self._protected is None:
            return None
        secured = self._security.data(data, self._protected)
        if secured.resumed and self.tls13:
            self._profile.tls13_resumes = True
        return secured

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

    @property
    def tls13_resumes(self) -> bool:
        """Whether the server has taken a data connection that resumed the session."""
        return self._profile.tls13_resumes

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

    # -- commands -----------------------------------------------------------------------------

    def command(self, verb: str, argument: str | None = None) -> Reply:
        """The reply to one command; one round trip."""
        return self.exchange((verb, argument))[0]

    def exchange(self, *commands: Command) -> list[Reply]:
        """The replies to several commands, in order; one round trip where the server allows.

        Only for commands without a transfer. Raises NameRefusedError before anything is sent,
        OutOfStepError where the replies are not those to the commands.
        """
        if len(commands) == 1:
            return [self._one(commands[0])]
        if self._profile.grouping is False:
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
        if (took_s := self._last - sent_at) < self._profile.round_trip_s:
            self._profile.round_trip_s = took_s
        if self.cut and reply.code in OF_TRANSFERS:
            log.debug("left over from the transfer before: %s", reply)
            with suppress(DeadlineError):  # it was the answer after all: now the session is broken
                reply = self.read_reply(ABORT_TIMEOUT_S)
        self.cut = False
        return reply

    def _send(self, *commands: Command) -> None:
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
        return b"".join([encode_command(*command, encoding) for command in commands])

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
        try:  # not `breaking`: this is done three times for each small file
            reply = self._parser.next_reply() if self._parser.pending else None
            if reply is None:
                reply = self._received_reply(timeout_s)
        except BaseException as error:
            self.broken = True
            if isinstance(error, ClosingError):
                self._profile.few_ports = True  # _LAST_WORDS past TLS
            raise
        if log.isEnabledFor(logging.DEBUG):
            log.debug("< %s", reply)
        if reply.code == 421:  # closing: RFC 959 5.4, at any time
            raise self._closed_by(reply)
        if self._logged_in and reply.code == 500 and reply.text.startswith(_LAST_WORDS):
            self.broken = True
            self._profile.few_ports = True
            raise ClosingError(f"the server's process has ended: {reply}")
        self._last = self._clock()
        return reply

    def _received_reply(self, timeout_s: float) -> Reply:
        deadline = self._clock() + timeout_s  # for it as a whole: it may come a byte at a time
        left_s = timeout_s
        while left_s > 0:
            count = self._transport.recv_into(self._buffer, left_s)
            if count == 0:
                raise NetworkError("the server closed the connection")
            self._parser.feed(self._buffer[:count])
            if (reply := self._parser.next_reply()) is not None:
                return reply
            left_s = deadline - self._clock()
        raise DeadlineError(f"no whole reply from the server within {timeout_s:g} s")

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

    # -- between commands ---------------------------------------------------------------------

    @property
    def heard(self) -> bool:
        """Whether some of a reply is there, or the end of the stream."""
        return self._parser.pending or self._transport.has_input()

    def _has_only(self, expected: Callable[[Reply], bool]) -> bool:
        """Whether nothing, or only `expected` replies, came by itself, and no end of stream. A
        server that closes the connection says why: that is learnt. Never waits."""
        try:
            if self._parser.pending and not self._all_replies(expected):
                return False
            while self._transport.has_input():
                count = self._transport.recv_into(self._buffer, self._login.timeout_s)
                self._parser.feed(self._buffer[:count])
                if count == 0 or not self._all_replies(expected):
                    return False
        except (NetworkError, ProtocolError) as error:
            log.debug("a kept connection is of no use: %s", error)
            self.broken = True
            return False
        return True

    def _all_replies(self, expected: Callable[[Reply], bool]) -> bool:
        while (reply := self._parser.next_reply()) is not None:
            if not expected(reply):
                if reply.code == 421:
                    self._closed_by(reply)
                return False
        return not self._parser.pending

    def close(self) -> None:
        """Say QUIT without waiting for the answer, and close. Never raises for the network."""
        if not self.broken:
            self.broken = True
            try:
                self._transport.send(encode_command("QUIT"))
            except NetworkError as error:
                log.debug("QUIT not sent: %s", error)
        self._transport.close()

    def interrupt(self) -> None:
        """From any thread: what another one waits for on this connection raises NetworkError."""
        self.broken = True
        self._transport.interrupt()

    def abandon(self) -> None:
        """Close this process's copy without a word to the server (the parent, after a fork)."""
        self.broken = True
        self._transport.close()
