"""A small proxy for the tests, on loopback: SOCKS5 (RFC 1928, 1929) or HTTP CONNECT.

with proxy_server("socks5", user="joe", password="secret") as proxy:
    ... proxy.port
    assert proxy.targets == ["127.0.0.1:2121"]
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import socket
import struct
import threading
from collections.abc import Callable, Iterator

WAIT_S = 20.0


@dataclasses.dataclass
class Proxy:
    """A running proxy; `targets` are those it was asked for, in order."""

    port: int
    user: str
    password: str
    targets: list[str] = dataclasses.field(default_factory=list)
    names: dict[str, str] = dataclasses.field(default_factory=dict)  # what only the proxy knows


class RefusedError(Exception):
    """The client is not to be served."""


@contextlib.contextmanager
def proxy_server(kind: str, user: str = "", password: str = "") -> Iterator[Proxy]:
    greet = {"socks5": _socks5, "http": _connect}[kind]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener.getsockname()[1], user, password)
        accepting = threading.Thread(target=_accept, args=(listener, proxy, greet))
        accepting.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            accepting.join(WAIT_S)


def _accept(listener: socket.socket, proxy: Proxy, greet: Callable[..., None]) -> None:
    threads = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            break
        client.settimeout(WAIT_S)
        threads.append(threading.Thread(target=_serve, args=(client, proxy, greet)))
        threads[-1].start()
    for thread in threads:
        thread.join(WAIT_S)


def _serve(client: socket.socket, proxy: Proxy, greet: Callable[..., None]) -> None:
    with client, contextlib.suppress(OSError, RefusedError, struct.error):
        greet(client, proxy)


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Both ways, each until its end."""
    with server:
        back = threading.Thread(target=_pump, args=(server, client))
        back.start()
        _pump(client, server)
        back.join(WAIT_S)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _dial(proxy: Proxy, host: str, port: int) -> socket.socket:
    proxy.targets.append(f"{host}:{port}")
    return socket.create_connection((proxy.names.get(host, host), port), WAIT_S)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise RefusedError
        data += more
    return data


def _socks5(client: socket.socket, proxy: Proxy) -> None:
    _, count = _exactly(client, 2)
    offered = _exactly(client, count)
    method = 2 if proxy.user else 0
    if method not in offered:
        client.sendall(b"\x05\xff")
        raise RefusedError
    client.sendall(bytes([5, method]))
    if method:
        _exactly(client, 1)
        user = _exactly(client, _exactly(client, 1)[0]).decode()
        password = _exactly(client, _exactly(client, 1)[0]).decode()
        right = (user, password) == (proxy.user, proxy.password)
        client.sendall(b"\x01\x00" if right else b"\x01\x01")
        if not right:
            raise RefusedError
    _, _, _, kind = _exactly(client, 4)
    if kind == 3:
        host = _exactly(client, _exactly(client, 1)[0]).decode()
    else:
        family, size = {1: (socket.AF_INET, 4), 4: (socket.AF_INET6, 16)}[kind]
        host = socket.inet_ntop(family, _exactly(client, size))
    (port,) = struct.unpack("!H", _exactly(client, 2))
    try:
        server = _dial(proxy, host, port)
    except OSError:
        client.sendall(b"\x05\x05\x00\x01" + bytes(6))
        raise
    client.sendall(b"\x05\x00\x00\x01" + bytes(6))
    _relay(client, server)


def _connect(client: socket.socket, proxy: Proxy) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _exactly(client, 1)
    login = base64.b64encode(f"{proxy.user}:{proxy.password}".encode())
    if proxy.user and b"Basic " + login not in head:
        client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        raise RefusedError
    host, _, port = head.split(b" ")[1].decode().rpartition(":")
    try:
        server = _dial(proxy, host, int(port))
    except OSError:
        client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        raise
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    _relay(client, server)
