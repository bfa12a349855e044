"""How a session and its server find each other for a data connection.

Passive: the server listens and names its port (EPSV, RFC 2428 3; PASV, RFC 959 4.1.2). Active: we
listen and name ours (EPRT, RFC 2428 2; PORT, RFC 959 4.1.2). Used by the one thread that has the
session.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from typing import Protocol

from ftpfs.config import CONNECT_TIMEOUT_S, EPSV_CONNECT_S, EPSV_SILENT_S
from ftpfs.errors import (
    DeadlineError,
    FtpfsError,
    LearntError,
    NetworkError,
    ProtocolError,
    SilentError,
)
from ftpfs.session.login import Command, Login
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.session.transport import Connect, Listener, Transport
from ftpfs.wire.endpoint import format_eprt, format_port, parse_endpoint
from ftpfs.wire.reply import Reply

log = logging.getLogger(__name__)


class Control(Protocol):
    """What is needed of the control connection."""

    @property
    def peer_host(self) -> str: ...
    def command(self, verb: str, argument: str | None = None) -> Reply: ...
    def listen(self) -> Listener: ...


class Opening(Protocol):
    """A data connection that both sides have agreed on."""

    def before_reply(self) -> Transport | None:
        """The connection, while the command travels; None where the server will open it."""

    def after_reply(self) -> Transport:
        """The connection that the server has opened by its 1xx reply, or is about to."""

    def close(self) -> None:
        """It will not come about. May be called at any time."""


class Way(Protocol):
    """Passive or active; one for each session."""

    @property
    def verb(self) -> str: ...
    @property
    def in_advance(self) -> bool: ...  # a transfer's request may be sent before there is one
    @property
    def patience_s(self) -> float: ...  # how long to wait for the first word of a transfer
    def carried(self) -> None: ...  # something has come over a data connection
    def silent(self, error: DeadlineError) -> NetworkError: ...  # nothing has: what that means
    def request(self) -> Command: ...
    def agreed(self, reply: Reply) -> Opening: ...
    def close(self) -> None: ...


def way_of(login: Login, profile: Profile, connect: Connect, control: Control) -> Way:
    """The way that the user has chosen."""
    if login.active:
        return Active(login, profile, control)
    return Passive(login, profile, connect, control)


def _is_ipv6(host: str) -> bool:
    return ":" in host


# -- the server listens ---------------------------------------------------------------------------


class Passive:
    """EPSV and, where that does not work over IPv4, PASV."""

    def __init__(self, login: Login, profile: Profile, connect: Connect, control: Control) -> None:
        self._login = login
        self._profile = profile
        self._connect = connect
        self._control = control
        self._asked = ""  # what the last data connection was asked for with

    @functools.cached_property
    def _ipv4(self) -> bool:
        return not _is_ipv6(self._control.peer_host)

    @property
    def verb(self) -> str:
        return "PASV" if self._profile.epsv is False and self._ipv4 else "EPSV"

    @property
    def in_advance(self) -> bool:
        proven = self.verb == "PASV" or not self._profile.unproven("epsv")
        return proven and not self._profile.few_ports

    def request(self) -> Command:
        self._asked = self.verb
        return (self._asked, None)

    def agreed(self, reply: Reply) -> Opening:
        """What the reply to `request` leads to. Raises ReplyError, ProtocolError, NetworkError."""
        if self._asked == "PASV" and reply.refused and self._profile.epsv_on_trial:
            self._acquit()
            raise LearntError(f"nothing comes over data connections by EPSV, and no PASV: {reply}")
        doubtful = not self._profile.epsv or self._profile.unproven("epsv")
        if self.verb == "EPSV" and doubtful:
            return self._tried(reply)
        return Port(self._dial(self.verb, reply, CONNECT_TIMEOUT_S))

    def _tried(self, reply: Reply) -> Opening:
        """The first data connection of a mount is opened before the command is sent: where it
        cannot be, as behind a NAT that does not know EPSV, the session can still ask for PASV."""
        try:
            data = self._dial("EPSV", reply, EPSV_CONNECT_S)()
        except (ReplyError, ProtocolError, NetworkError) as error:
            return self._by_pasv(error)
        if self._profile.epsv is None and self._ipv4:
            self._profile.epsv_on_trial = True
        self._profile.epsv = True
        return Port(lambda: data, data)

    # What comes over it: boxes between take connections that the server does not get.

    @property
    def patience_s(self) -> float:
        on_trial = self._profile.epsv_on_trial and self._asked == "EPSV"
        return EPSV_SILENT_S if on_trial else math.inf

    def carried(self) -> None:
        """End the trial of EPSV, or of PASV in its place."""
        if self._profile.epsv_on_trial:
            self._profile.epsv_on_trial = False
            if self._asked == "PASV":
                log.warning("nothing came over data connections by EPSV: PASV from now on")

    def silent(self, error: DeadlineError) -> NetworkError:
        """PASV is next, where EPSV is on trial; where it was as silent, EPSV is not to blame."""
        if not self._profile.epsv_on_trial:
            return error
        if self._asked == "EPSV":
            self._profile.epsv = False
            return SilentError(f"nothing comes over a data connection by EPSV: {error}")
        self._acquit()
        return error

    def _acquit(self) -> None:
        self._profile.epsv, self._profile.epsv_on_trial = True, False

    def _by_pasv(self, why: FtpfsError) -> Opening:
        if not self._ipv4:
            raise ProtocolError(
                f"no data connection over IPv6, where PASV is not possible"
                f" (-o active is another way): {why}"
            ) from why
        reply = self._control.command("PASV")
        try:
            data = self._dial("PASV", reply, CONNECT_TIMEOUT_S)()
        except ReplyError as error:
            raise (why if isinstance(why, NetworkError) else error) from error
        except NetworkError as error:
            raise type(error)(f"{error}; EPSV before: {why} (-o active is another way)") from error
        log.info("no EPSV (%s); PASV from now on", why)
        self._profile.epsv = False
        return Port(lambda: data, data)

    def _dial(self, verb: str, reply: Reply, connect_s: float) -> Callable[[], Transport]:
        """What opens the connection. The host in a 227 is not used: behind NAT it is often wrong,
        and a hostile one would make us connect to a third party (CVE-2021-4189).

        Raises ReplyError, ProtocolError.
        """
        if reply.refused:
            raise ReplyError(verb, reply)
        host, port = parse_endpoint(reply)
        if host is None or not self._login.obey_pasv:
            host = self._control.peer_host
        return functools.partial(
            self._connect, host, port, self._login.timeout_s, connect_s=connect_s
        )

    def close(self) -> None:
        """Nothing is held between transfers."""


class Port:
    """The server's port: `dial` connects to it, unless it is `connected` already."""

    def __init__(self, dial: Callable[[], Transport], connected: Transport | None = None) -> None:
        self._dial = dial
        self._connected = connected

    def before_reply(self) -> Transport:
        return self._dial()

    def after_reply(self) -> Transport:
        raise AssertionError("passive connections are opened before the reply")

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()


# -- we listen ------------------------------------------------------------------------------------


class Active:
    """EPRT and, where that does not work over IPv4, PORT; a new port for each transfer, as the
    last one's addresses are still taken on the server's side."""

    def __init__(self, login: Login, profile: Profile, control: Control) -> None:
        self._login = login
        self._profile = profile
        self._control = control
        self._listener: Listener | None = None

    in_advance = False
    patience_s = math.inf

    def carried(self) -> None:
        """Nothing is learnt from that."""

    def silent(self, error: DeadlineError) -> NetworkError:
        return error

    @property
    def verb(self) -> str:
        ipv4 = not _is_ipv6(self._control.peer_host)
        return "PORT" if self._profile.eprt is False and ipv4 else "EPRT"

    def request(self) -> Command:
        self.close()
        self._listener = self._control.listen()
        return self._announcement()

    def _announcement(self) -> Command:
        assert self._listener is not None
        formatted = format_port if self.verb == "PORT" else format_eprt
        return (self.verb, formatted(*self._listener.address))

    def agreed(self, reply: Reply) -> Opening:
        """Our port, which the server knows by now. Raises ReplyError."""
        if reply.refused and self._profile.unproven("eprt") and self.verb == "EPRT":
            self._profile.eprt = False
            if self.verb == "PORT":
                reply = self._control.command(*self._announcement())
        if not reply.ok:
            self.close()
            raise ReplyError(self.verb, reply)
        if self.verb == "EPRT":
            self._profile.eprt = True
        assert self._listener is not None
        listener, self._listener = self._listener, None
        return OurPort(listener, self._login.timeout_s)

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None


class OurPort:
    """A port of ours that the server is to connect to."""

    def __init__(self, listener: Listener, timeout_s: float) -> None:
        self._listener = listener
        self._timeout_s = timeout_s

    def before_reply(self) -> None:
        return None

    def after_reply(self) -> Transport:
        try:
            return self._listener.accept(self._timeout_s)
        finally:
            self._listener.close()

    def close(self) -> None:
        self._listener.close()
