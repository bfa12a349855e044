"""From an open connection to a session that is logged in: TLS, greeting, user, settings.

Used by the thread that opens a session, before anybody else knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ftpfs.config import IDLE_LIMIT_MIN_S
from ftpfs.errors import (
    CertificateError,
    ClosingError,
    ConnectionLimitError,
    DeadlineError,
    FtpfsError,
    LoginError,
    NetworkError,
    ProtocolError,
    TlsError,
)
from ftpfs.options import TlsMode
from ftpfs.session.profile import Profile
from ftpfs.wire.features import parse_features
from ftpfs.wire.pathname import parse_257
from ftpfs.wire.reply import Reply

_seconds = re.compile(r"([0-9]{1,6}) ?s(?:ec|\b)").search

Command = tuple[str, str | None]

WANTED_FACTS = ("type", "size", "modify", "perm", "unix.mode", "unix.uid", "unix.gid")


class Login(NamedTuple):
    """Where to connect, how, and as whom."""

    host: str
    port: int
    user: str
    password: str
    timeout_s: float = 30.0
    tls: TlsMode = TlsMode.NONE
    active: bool = False  # the server opens the data connections
    obey_pasv: bool = False  # go where a 227 says, not where the control connection goes

    def __repr__(self) -> str:
        """Without the password."""
        return f"{self.user}@{self.host}:{self.port}"


class Control(Protocol):
    """What a login needs of its control connection."""

    @property
    def protected(self) -> bool: ...
    def start_tls(self) -> None: ...
    def read_reply(self, timeout_s: float) -> Reply: ...
    def command(self, verb: str, argument: str | None = None) -> Reply: ...
    def exchange(self, *commands: Command) -> list[Reply]: ...


def secure(session: Control, login: Login) -> None:
    """Greeted, and protected where `login` wants that: ready for USER. RFC 4217 4.

    Raises TlsError, CertificateError, LoginError, NetworkError; no credential was sent then.
    """
    if login.tls is TlsMode.IMPLICIT:
        _start_implicitly(session, login)
    greeting = _greeting(session, login)
    if not greeting.ok:
        raise _refusal(greeting, session)
    if login.tls is TlsMode.EXPLICIT:
        reply = session.command("AUTH", "TLS")
        if reply.code != 234:
            raise TlsError(
                f"the server refuses AUTH TLS, and nothing is sent in clear text: {reply}"
                " (some servers speak TLS on a port of their own: ftps://)"
            )
        session.start_tls()


def _start_implicitly(session: Control, login: Login) -> None:
    try:
        session.start_tls()
    except CertificateError:
        raise
    except TlsError as error:
        raise TlsError(
            f"{error} (where port {login.port} begins in clear text, the URL is ftpes://)"
        ) from error


def _greeting(session: Control, login: Login) -> Reply:
    try:
        reply = session.read_reply(login.timeout_s)
        while reply.preliminary:  # 120: "ready in n minutes"
            reply = session.read_reply(login.timeout_s)
    except (DeadlineError, ProtocolError) as error:
        raise type(error)(
            f"{login.host}:{login.port} does not greet as an FTP server does: is it the right"
            " port, or a server that speaks TLS from the first byte (ftps://)?"
        ) from error
    return reply


def authenticate(session: Control, login: Login) -> None:
    """USER and PASS. Raises LoginError, ConnectionLimitError, NetworkError."""
    reply = session.command("USER", login.user)
    if reply.code == 331:
        reply = session.command("PASS", login.password)
    if reply.code == 332:
        raise LoginError("the server wants an account (ACCT), which ftpfs does not support")
    if not reply.ok:
        raise _refusal(reply, session)


def settle(session: Control, profile: Profile) -> bool:
    """FEAT after the login (some answer only then), and what each session must set anew.

    Whether TYPE I was accepted. Raises TlsError where data connections cannot be protected.
    """
    if not profile.features_asked:
        features, directory = session.exchange(("FEAT", None), ("PWD", None))
        profile.meet(parse_features(features))
        if directory.ok:
            profile.login_directory = parse_257(directory)
    protection: list[Command] = [("PBSZ", "0"), ("PROT", "P")] if session.protected else []
    replies = session.exchange(*protection, *_settings(profile))
    if protection and not replies[1].ok:  # RFC 2228 3, RFC 4217 9: C, clear, is the default
        raise TlsError(f"the server will not protect data connections (PROT P): {replies[1]}")
    return replies[len(protection)].ok


def _settings(profile: Profile) -> list[Command]:
    settings: list[Command] = [("TYPE", "I")]
    if "UTF8" in profile.features.names:
        if "CLNT" in profile.features.names:  # some take OPTS UTF8 only from a client they know
            settings.append(("CLNT", "ftpfs"))
        settings.append(("OPTS", f"UTF8 {'ON' if profile.encoding == 'utf-8' else 'OFF'}"))
    facts = [f for f in WANTED_FACTS if f in profile.features.mlst_facts]
    if facts and not set(facts) <= set(profile.features.enabled_facts):
        settings.append(("OPTS", "MLST " + "".join(f + ";" for f in facts)))
    return settings


# -- refusals -------------------------------------------------------------------------------------


def with_remedy(error: CertificateError, look: Callable[[], str]) -> CertificateError:
    """The refusal of a certificate with the options that help.

    `look` gives the certificate's fingerprint, where the error has none.
    """
    try:
        fingerprint = error.fingerprint or look()
    except FtpfsError:
        fingerprint = "..."
    issuer = ", -o cafile=FILE for its issuer" if error.unknown_issuer else ""
    remedy = f"-o fingerprint=SHA256:{fingerprint}{issuer}, or -o insecure for any"
    return CertificateError(f"{error}; to trust it: {remedy}", fingerprint)


def closing(reply: Reply, session: Control) -> FtpfsError:
    """What a 421 means: RFC 959 5.4, at any time."""
    if speaks_of_limit(reply):
        return ConnectionLimitError(f"the server takes no more connections: {reply}")
    if _demands_tls(reply, session):  # Pure-FTPd
        return _tls_demanded(reply)
    return ClosingError(f"the server closed the connection: {reply}")


def speaks_of_limit(reply: Reply) -> bool:
    """Whether a 421 means that there are too many connections."""
    text = reply.text.lower()
    return "too many" in text or "connections" in text or ("limit" in text and "time" not in text)


def idle_limit(reply: Reply, idle_s: float) -> float | None:
    """For how long the server lets a connection idle, in seconds; None where a 421 is about
    something else. `idle_s`: for how long this one was, if the text does not tell.

    vsftpd "Timeout.", ProFTPD "Idle timeout (600 seconds)", IIS "Timeout (120 seconds)",
    Pure-FTPd "Timeout - try typing a little faster", pyftpdlib "Control connection timed out."
    """
    text = reply.text.lower()
    if not any(word in text for word in ("timeout", "timed out", "idle", "inactiv")):
        return None
    if "data" in text:  # vsftpd "Data timeout", pyftpdlib "Passive data channel timed out"
        return None
    told = _seconds(text)
    limit_s = float(told[1]) if told else idle_s
    return limit_s if limit_s >= IDLE_LIMIT_MIN_S else None


def _refusal(reply: Reply, session: Control) -> FtpfsError:
    """Why a login failed, as an exception."""
    text = reply.text.lower()
    if "too many" in text or "maximum" in text or "limit" in text or reply.code == 421:
        return ConnectionLimitError(f"the server takes no more connections: {reply}")
    if _demands_tls(reply, session):
        return _tls_demanded(reply)
    if reply.transient:
        return NetworkError(f"the server cannot log us in now: {reply}")
    return LoginError(f"login refused, check user and password: {reply}")


def _demands_tls(reply: Reply, session: Control) -> bool:
    """vsftpd 530 "must use encryption", ProFTPD 550 "SSL/TLS required", IIS 534 "requires SSL",
    FileZilla 503 "Use AUTH first", Pure-FTPd 421 "cleartext sessions are not accepted"."""
    words = ("encrypt", "tls", "ssl", "cleartext", "use auth")
    return not session.protected and any(word in reply.text.lower() for word in words)


def _tls_demanded(reply: Reply) -> LoginError:
    return LoginError(f"the server demands TLS, use ftpes:// or -o tls=explicit: {reply}")
