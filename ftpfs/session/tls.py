"""TLS around TCP connections: RFC 4217, RFC 8446. The only module that knows ssl.

An error of ssl never leaves this module: it becomes a TlsError, a CertificateError or, once the
connection was protected, a NetworkError.

Data connections resume the session of their control connection, as vsftpd, ProFTPD and FileZilla
demand: it proves that both have the same owner. Under TLS 1.3 what can be resumed comes after the
handshake, with the first bytes that are received (RFC 8446 4.6.1), and may be replaced later: it is
read at the time of each transfer.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from ftpfs.config import TLS_CLOSE_S, TLS_SEND_BYTES
from ftpfs.errors import (
    CertificateError,
    ClosingError,
    DeadlineError,
    NetworkError,
    TlsError,
    UsageError,
)
from ftpfs.session.transport import Protected, TcpTransport, Transport

log = logging.getLogger(__name__)

_WOULD_WAIT = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

# TCP ended, TLS did not. OpenSSL tells the server so, which resets a connection that is gone there:
# whether the socket is still connected says nothing.
_RAGGED = "UNEXPECTED_EOF_WHILE_READING"

# What came is no TLS: the last words of a vsftpd process, which another one says past it.
_IN_CLEAR = "WRONG_VERSION_NUMBER"

# openssl-verification-options(1), "X509_V_ERR_..."
_UNKNOWN_ISSUER = {
    18: "it is self-signed",
    19: "it ends in a self-signed certificate that is not known here",
    20: "its issuer is not known here",
    21: "its issuer is not known here",
}
_REFUSED = {
    9: "it is not valid yet (is the clock of this machine right?)",
    10: "it has expired",
    62: "it is for another host",
    64: "it is for another host, and not for this address",
}

_REASONS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server demands a client certificate (-o cert=FILE)",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not know the issuer of the client certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "no version of TLS in common (ftpfs speaks 1.2 and 1.3)",
    "UNSUPPORTED_PROTOCOL": "no version of TLS in common (ftpfs speaks 1.2 and 1.3)",
}


@dataclass(frozen=True)
class Trust:
    """Whom to believe, and who we are. Paths are those of PEM files, "" where there is none."""

    cafile: str = ""  # "": the system's authorities
    fingerprint: str = ""  # SHA-256 of the one certificate to believe, 64 hex digits
    insecure: bool = False  # believe every certificate
    cert: str = ""
    key: str = ""

    @property
    def by_issuer(self) -> bool:
        """Whether the certificate's issuer and host name decide."""
        return not (self.insecure or self.fingerprint)


class Tls:
    """Makes connections protected. Shared by all threads; sets no field but once."""

    def __init__(self, trust: Trust) -> None:
        """Raises UsageError for a file that cannot be used."""
        self._trust = trust
        self._newest = _context(trust)

    @functools.cached_property
    def _tls12(self) -> ssl.SSLContext:
        # Two threads may make two of them: a data connection takes that of its control connection.
        context = _context(self._trust)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    def control(self, plain: Transport, host: str, *, tls13: bool) -> TlsTransport:
        """A control connection, protected; `host` is whom the certificate must name.

        Raises CertificateError, TlsError, NetworkError.
        """
        return self._wrapped(plain, host, self._newest if tls13 else self._tls12, None)

    def data(self, plain: Transport, control: Protected) -> TlsTransport:
        """A data connection, protected, with the session that `control` has by now."""
        assert isinstance(control, TlsTransport)
        secured = control.secured
        assert secured.server_hostname is not None
        return self._wrapped(plain, secured.server_hostname, secured.context, secured.session)

    def trusting(self) -> Tls:
        """The same without a client certificate and believing every server."""
        return Tls(Trust(insecure=True))

    def _wrapped(
        self,
        plain: Transport,
        host: str,
        context: ssl.SSLContext,
        session: ssl.SSLSession | None,
    ) -> TlsTransport:
        assert isinstance(plain, TcpTransport)
        with _shaking_hands(host):
            plain.socket.getpeername()  # ssl makes no handshake where the connection was reset
            secured = context.wrap_socket(
                plain.socket, server_hostname=host, session=session, suppress_ragged_eofs=False
            )
            if secured.version() is None:
                secured.close()
                raise NetworkError(f"{host}: connection lost before the TLS handshake")
        transport = TlsTransport(secured, plain.timeout_s, plain.named_peer)
        pin = self._trust.fingerprint
        if pin and pin != (found := transport.fingerprint):
            transport.close()
            raise CertificateError(
                f"{host}: the server's certificate is not that of -o fingerprint=SHA256:{pin}",
                found,
            )
        return transport


class TlsTransport(TcpTransport):
    """A protected connection, past its handshake."""

    def __init__(self, secured: ssl.SSLSocket, timeout_s: float, peer_host: str = "") -> None:
        super().__init__(secured, timeout_s, peer_host)
        self.secured = secured
        self._held = b""  # received to see whether there is anything
        self._ended = False  # the server has closed without close_notify
        self.resumed = bool(secured.session_reused)
        self.tls13 = secured.version() == "TLSv1.3"

    @property
    def version(self) -> str:
        return self.secured.version() or ""

    @property
    def cipher(self) -> str:
        suite = self.secured.cipher()
        return suite[0] if suite else ""

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.secured.getpeercert(binary_form=True) or b"").hexdigest()

    def send(self, data: bytes | memoryview) -> None:
        with _translated("sending"):
            self.secured.settimeout(self._timeout_s)
            try:
                self.secured.sendall(data)
            except TimeoutError:
                raise
            except OSError:
                self._hear_why()
                raise

    def _hear_why(self) -> None:
        """Raise the alert that the server sent before it hung up, if there is one: what it finds
        wrong with a client certificate comes after the handshake. RFC 8446 6.2."""
        self.secured.settimeout(0)
        with suppress(ssl.SSLEOFError, *_WOULD_WAIT):
            self.secured.recv(1)

    def send_file(self, source: BinaryIO, offset: int, count: int) -> int:
        """Bytes sent of `count` from `offset`; fewer at end of file."""
        sent = 0
        while sent < count:
            chunk = _read_at(source, offset + sent, min(count - sent, TLS_SEND_BYTES))
            if not chunk:
                break
            self.send(chunk)
            sent += len(chunk)
        return sent

    def recv_into(self, buffer: memoryview | bytearray, timeout_s: float) -> int:
        """Bytes received: what has arrived, as far as it fits; 0 at end of stream.

        An end without close_notify is an end as well: many servers leave it out, and it is for
        the final reply and the size to say whether all has come.
        """
        with _translated("receiving"):
            if self._held:
                count = len(self._held)
                buffer[:count], self._held = self._held, b""
            else:
                self.secured.settimeout(timeout_s)
                count = self._recv(buffer)
            if 0 < count < len(buffer):
                count += self._recv_more(memoryview(buffer)[count:])
            return count

    def _recv(self, buffer: memoryview | bytearray) -> int:
        if self._ended:
            return 0
        try:
            return self.secured.recv_into(buffer)
        except ssl.SSLEOFError as error:
            if error.reason != _RAGGED:  # a reset, which ssl takes for an end as well
                raise
            self._ended = True
            return 0

    def _recv_more(self, rest: memoryview) -> int:
        """What has arrived already: ssl gives out one record, 16 KiB at most, at a time."""
        self.secured.settimeout(0)
        done = 0
        with suppress(*_WOULD_WAIT):
            while done < len(rest) and (count := self._recv(rest[done:])):
                done += count
        return done

    def has_input(self) -> bool:
        """Whether bytes, or the end of the stream, wait to be read.

        What waits may be a new session ticket (RFC 8446 4.6.1), which is neither: only reading
        tells.
        """
        if self._held or not super().has_input():
            return bool(self._held or self.secured.pending())
        self.secured.settimeout(0)
        try:
            self._held = self.secured.recv(1)
        except _WOULD_WAIT:
            return False
        except OSError as error:
            log.debug("an idle connection broke: %s", error)
        return True

    def end_output(self) -> None:
        """Say that no more bytes come: close_notify, which the server answers with its own, then
        TCP's end of stream.

        RFC 8446 6.1. Without the wait vsftpd cuts the file: what it has sent by then (tickets) was
        not read, and closing a connection with something unread resets it. ProFTPD now and then
        waits for TCP's end. Where no answer comes, the final reply tells whether all has arrived.
        """
        self.secured.settimeout(TLS_CLOSE_S)
        try:
            self.secured.unwrap()
        except OSError as error:
            log.debug("no TLS shutdown by the server: %s", error)
        try:
            super().end_output()
        except NetworkError as error:
            log.debug("closed by the server: %s", error)


def _context(trust: Trust) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    if not trust.by_issuer:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.cafile:
        with _usable(trust.cafile):
            context.load_verify_locations(trust.cafile)
    else:
        context.load_default_certs()
    if trust.cert:
        with _usable(trust.key or trust.cert):
            # Without a password function OpenSSL would ask for one on the terminal.
            context.load_cert_chain(trust.cert, trust.key or None, lambda: "")
    return context


@contextmanager
def _usable(path: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        why = (error.reason or "no PEM in it").lower().replace("_", " ")
        raise UsageError(
            f"{path}: cannot be used ({why}): it must be PEM, and a key without a password"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _read_at(source: BinaryIO, offset: int, count: int) -> bytes:
    try:
        return os.pread(source.fileno(), count, offset)
    except io.UnsupportedOperation:  # in memory
        source.seek(offset)
        return source.read(count)


@contextmanager
def _shaking_hands(host: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        code = error.verify_code
        why = _UNKNOWN_ISSUER.get(code) or _REFUSED.get(code) or error.verify_message
        raise CertificateError(
            f"{host}: the server's certificate is refused: {why}",
            unknown_issuer=code in _UNKNOWN_ISSUER,
        ) from error
    except TimeoutError as error:
        raise DeadlineError(
            f"{host}: the server was silent too long in the TLS handshake"
        ) from error
    except ssl.SSLError as error:
        raise TlsError(f"{host}: the TLS handshake failed: {_reason(error)}") from error
    except OSError as error:
        why = error.strerror or "connection lost"
        raise NetworkError(f"{host}: the TLS handshake failed: {why}") from error


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise DeadlineError(f"the server was silent too long while {doing}") from error
    except ssl.SSLError as error:
        kind = ClosingError if error.reason == _IN_CLEAR else NetworkError
        raise kind(f"connection lost while {doing}: TLS: {_reason(error)}") from error
    except OSError as error:
        raise NetworkError(f"connection lost while {doing}: {error.strerror or error}") from error


def _reason(error: ssl.SSLError) -> str:
    """What happened, in OpenSSL's words where there are no better ones: "wrong version number"."""
    if isinstance(error, ssl.SSLEOFError):
        return "the server hung up"
    reason = error.reason or str(error)
    return _REASONS.get(reason) or reason.lower().replace("_", " ")
