"""TCP connections with deadlines. Sockets are known here and, with TLS around them, in `tls`.

An OSError of a socket never leaves these two modules: it becomes a NetworkError, so that no
network failure can be taken for a file's errno.
"""

from __future__ import annotations

import functools
import logging
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Protocol

from ftpfs.config import CONNECT_TIMEOUT_S, COPIED_BYTES, KEEPALIVE_S
from ftpfs.errors import DeadlineError, NetworkError, UnreachableError

log = logging.getLogger(__name__)


class Transport(Protocol):
    """One connection as a session sees it; used by one thread at a time."""

    @property
    def peer_host(self) -> str: ...
    def listen(self) -> Listener: ...  # where the peer reaches us
    def send(self, data: bytes | memoryview) -> None: ...
    def send_file(self, source: BinaryIO, offset: int, count: int) -> int: ...
    def recv_into(self, buffer: memoryview | bytearray, timeout_s: float) -> int: ...
    def has_input(self) -> bool: ...
    def narrow(self, window: int) -> None: ...
    def widen(self) -> None: ...
    def end_output(self) -> None: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


_WIDEST = 1 << 30  # TCP's largest window, RFC 7323 2.3


class Connect(Protocol):
    """Opens connections; `timeout_s` is for each later wait, `connect_s` for the connecting."""

    def __call__(
        self, host: str, port: int, timeout_s: float, *, connect_s: float = CONNECT_TIMEOUT_S
    ) -> Transport: ...


class Listener(Protocol):
    """A port of ours that the peer of a control connection is to connect to, once."""

    @property
    def address(self) -> tuple[str, int]: ...  # numeric host and port
    def accept(self, timeout_s: float) -> Transport: ...
    def close(self) -> None: ...


class Protected(Transport, Protocol):
    """A connection with TLS around it."""

    @property
    def resumed(self) -> bool: ...  # the session of another connection
    @property
    def tls13(self) -> bool: ...
    @property
    def version(self) -> str: ...  # TLSv1.3
    @property
    def cipher(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...  # of the server's certificate: SHA-256, 64 hex digits


class Security(Protocol):
    """Puts TLS around connections; shared by all sessions of a mount."""

    def control(self, plain: Transport, host: str, *, tls13: bool) -> Protected: ...
    def data(self, plain: Transport, control: Protected) -> Protected: ...
    def trusting(self) -> Security: ...  # the same, believing every certificate


class TcpTransport:
    """A plain TCP connection. Sends wait at most `timeout_s` without progress."""

    def __init__(self, sock: socket.socket, timeout_s: float, peer_host: str = "") -> None:
        """`peer_host`: whom it leads to, where a proxy is between."""
        self._socket = sock
        self.named_peer = peer_host
        self._timeout_s = timeout_s
        self._poller: select.poll | None = None
        sock.settimeout(timeout_s)

    @functools.cached_property
    def peer_host(self) -> str:
        """The numeric address of the other end; behind a proxy, the name that it was given.

        Raises NetworkError where the other end is gone.
        """
        if self.named_peer:
            return self.named_peer
        with _translated("looking who is there"):
            host: str = self._socket.getpeername()[0]
        return host

    def listen(self) -> TcpListener:
        """On this end's address, for the other end alone."""
        with _translated("listening"):
            return TcpListener((self._socket.getsockname()[0], 0), self.peer_host)

    @property
    def socket(self) -> socket.socket:
        """For `tls` alone, which wraps it; this transport is of no use afterwards."""
        return self._socket

    @property
    def timeout_s(self) -> float:
        return self._timeout_s

    def send(self, data: bytes | memoryview) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise _meaning(error, "sending") from error

    def send_file(self, source: BinaryIO, offset: int, count: int) -> int:
        """Bytes sent of `count` from `offset`; fewer at end of file.

        By the kernel's sendfile, unless that costs more than the copying.
        """
        with _translated("sending"):
            if count > COPIED_BYTES:
                return self._socket.sendfile(source, offset, count)
            source.seek(offset)
            data = source.read(count)
            self._socket.sendall(data)
            return len(data)

    def recv_into(self, buffer: memoryview | bytearray, timeout_s: float) -> int:
        """Bytes received; 0 at end of stream."""
        try:
            if timeout_s != self._timeout_s:  # costs a system call
                self._timeout_s = timeout_s
                self._socket.settimeout(timeout_s)
            return self._socket.recv_into(buffer)
        except OSError as error:
            raise _meaning(error, "receiving") from error

    def narrow(self, window: int) -> None:
        """Let the peer send at most `window` bytes that were not received yet. tcp(7)"""
        with _translated("receiving"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, window)

    def widen(self) -> None:
        """Undo `narrow`."""
        with _translated("receiving"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, _WIDEST)

    def has_input(self) -> bool:
        """Whether bytes, or the end of the stream, wait to be read."""
        if self._poller is None:
            self._poller = select.poll()
            self._poller.register(self._socket, select.POLLIN)
        return bool(self._poller.poll(0))

    def end_output(self) -> None:
        """Tell the peer that no more bytes come (a STOR's end of file)."""
        with _translated("sending"):
            self._socket.shutdown(socket.SHUT_WR)

    def interrupt(self) -> None:
        """End it, from any thread: who waits for it is told. To be closed by its owner."""
        with suppress(OSError):  # it is over already
            # Not the method of an SSLSocket, which would hand out what comes undecrypted.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._socket.close()


class TcpListener:
    """A listening socket that takes one connection, from one host."""

    def __init__(self, address: tuple[str, int], peer_host: str) -> None:
        """Raises OSError."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        # The zone of a link-local address is a number only the resolver can find.
        found = socket.getaddrinfo(*address, family, socket.SOCK_STREAM)[0][4]
        self._peer_host = peer_host
        self._socket = socket.create_server(found, family=family, backlog=1)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def accept(self, timeout_s: float) -> TcpTransport:
        """The connection; others than the peer are hung up on, or anybody could send or fetch the
        data. Raises DeadlineError, NetworkError."""
        deadline = time.monotonic() + timeout_s
        with _translated("waiting for the server's data connection"):
            while True:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                sock, (host, port, *_) = self._socket.accept()
                if host == self._peer_host:
                    return tuned(sock, timeout_s)
                log.warning("data connection from %s, port %d, refused: not the server", host, port)
                sock.close()

    def close(self) -> None:
        self._socket.close()


def connect_tcp(
    host: str, port: int, timeout_s: float, *, connect_s: float = CONNECT_TIMEOUT_S
) -> TcpTransport:
    """An open connection to `host`, tried over each of its addresses in turn.

    Raises UnreachableError where there is none, DeadlineError after `connect_s`.
    """
    try:
        sock = _connected(host, port, min(timeout_s, connect_s))
    except socket.gaierror as error:
        raise UnreachableError(f"{host}: host not found ({error.strerror})") from error
    except TimeoutError as error:
        raise DeadlineError(f"{host}:{port}: no answer within the time to connect") from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreachableError(f"{host}:{port}: {reason}") from error
    return tuned(sock, timeout_s)


def tuned(sock: socket.socket, timeout_s: float, peer_host: str = "") -> TcpTransport:
    """A connection that tells a peer that is gone. For this module and `proxy` alone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
    return TcpTransport(sock, timeout_s, peer_host)


def _connected(host: str, port: int, timeout_s: float) -> socket.socket:
    """A connected socket. An IPv4 address, as data connections have, needs no resolver."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return socket.create_connection((host, port), timeout_s)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _meaning(error, doing) from error


def _meaning(error: OSError, doing: str) -> NetworkError:
    if isinstance(error, TimeoutError):
        return DeadlineError(f"the server was silent too long while {doing}")
    return NetworkError(f"connection lost while {doing}: {error.strerror or error}")
