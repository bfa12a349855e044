"""Connections through a proxy: SOCKS5 (RFC 1928) or HTTP CONNECT (RFC 9110 9.3.6).

SOCKS5 is python-socks', which is imported here alone, and for mounts that use it. Its CONNECT is
not used: it takes whatever comes with the proxy's answer for a part of that, and an FTP server
speaks first - a greeting would be lost, or the beginning of a file.
"""

from __future__ import annotations

import base64
import time
from typing import Any

from ftpfs.config import CONNECT_TIMEOUT_S, PROXY_HEAD_BYTES
from ftpfs.errors import DeadlineError, NetworkError, UnreachableError, UsageError
from ftpfs.options import ProxyServer
from ftpfs.session.transport import Connect, TcpTransport, connect_tcp, tuned


def through(server: ProxyServer) -> Connect:
    """What connects by way of `server`. Raises UsageError where python-socks is missing.

    A server's name is for the proxy to look up: this machine may not be able to.
    """
    return ThroughSocks(server) if server.kind == "socks5" else ThroughHttp(server)


class ThroughSocks:
    """SOCKS5; shared by all threads, sets no field but once."""

    def __init__(self, server: ProxyServer) -> None:
        try:
            import python_socks
            import python_socks.sync
        except ImportError:
            raise UsageError(
                "-o proxy=socks5:// needs python-socks: pip install 'ftpfs[proxy]'"
            ) from None
        self._server = server
        self._errors: Any = python_socks
        self._proxy = python_socks.sync.Proxy(
            python_socks.ProxyType.SOCKS5,
            server.host,
            server.port,
            server.user or None,
            server.password or None,
        )

    def __call__(
        self, host: str, port: int, timeout_s: float, *, connect_s: float = CONNECT_TIMEOUT_S
    ) -> TcpTransport:
        """Raises UnreachableError, DeadlineError after `connect_s` for a step of it."""
        try:
            sock = self._proxy.connect(host, port, timeout=min(timeout_s, connect_s))
        except (self._errors.ProxyTimeoutError, TimeoutError) as error:
            raise _silent(host, port, self._server) from error
        except self._errors.ProxyConnectionError as error:
            raise UnreachableError(f"the proxy {self._server}: {error.strerror}") from error
        except (self._errors.ProxyError, OSError, ValueError) as error:
            raise UnreachableError(f"{host}:{port}: {_refusal(self._server, error)}") from error
        return tuned(sock, timeout_s, host)


class ThroughHttp:
    """HTTP CONNECT; shared by all threads, sets no field but once."""

    def __init__(self, server: ProxyServer) -> None:
        self._server = server

    def __call__(
        self, host: str, port: int, timeout_s: float, *, connect_s: float = CONNECT_TIMEOUT_S
    ) -> TcpTransport:
        """Raises UnreachableError, DeadlineError after `connect_s`."""
        deadline = time.monotonic() + min(timeout_s, connect_s)
        transport = self._connected(timeout_s, connect_s)
        try:
            transport.send(_request(host, port, self._server))
            status = _status(transport, deadline)
        except DeadlineError as error:
            transport.close()
            raise _silent(host, port, self._server) from error
        except NetworkError as error:
            transport.close()
            raise UnreachableError(f"{host}:{port}: {_refusal(self._server, error)}") from error
        if not _is_success(status):
            transport.close()
            raise UnreachableError(f"{host}:{port}: {_refusal(self._server, status)}")
        transport.named_peer = host
        return transport

    def _connected(self, timeout_s: float, connect_s: float) -> TcpTransport:
        try:
            return connect_tcp(self._server.host, self._server.port, timeout_s, connect_s=connect_s)
        except NetworkError as error:
            raise type(error)(f"the proxy {error}") from error


def _request(host: str, port: int, server: ProxyServer) -> bytes:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if server.user:  # RFC 7617
        login = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {login}")
    return "\r\n".join([*lines, "", ""]).encode()


def _status(transport: TcpTransport, deadline: float) -> str:
    """The first line of the proxy's answer, which is read to its end and not one byte further: the
    next one is the server's. Raises DeadlineError, NetworkError."""
    head, byte = bytearray(), bytearray(1)
    while not head.endswith(b"\r\n\r\n"):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise DeadlineError("no whole answer")
        if transport.recv_into(byte, left_s) == 0 or len(head) >= PROXY_HEAD_BYTES:
            raise NetworkError("no answer that is HTTP")
        head += byte
    return head.split(b"\r\n", 1)[0].decode("ascii", "replace")


def _is_success(status: str) -> bool:
    version, _, rest = status.partition(" ")
    return version.startswith("HTTP/1.") and rest.startswith("2")


def _refusal(server: ProxyServer, why: object) -> str:
    return f"the proxy {server} says: {why}"


def _silent(host: str, port: int, server: ProxyServer) -> DeadlineError:
    return DeadlineError(
        f"{host}:{port}: no answer within the time to connect through the proxy {server}"
    )
