"""Ways of connecting, on real servers: active mode, IPv6, proxies, limits."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from proxies import proxy_server
from servers import Running, Server, commands, pyftpdlib_server, vsftpd_server

from ftpfs.cli.link import connect_of
from ftpfs.demo.server import serve
from ftpfs.errors import DeadlineError, UnreachableError, UsageError
from ftpfs.options import MountOptions, ProxyServer, TlsMode
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.proxy import through
from ftpfs.session.tls import Tls, Trust
from ftpfs.session.transport import Connect, connect_tcp

SERVERS: dict[str, Callable[..., Running]] = {
    "vsftpd": vsftpd_server,
    "pyftpdlib": pyftpdlib_server,
}


@contextlib.contextmanager
def connected(
    server: Server, connect: Connect = connect_tcp, host: str = "127.0.0.1", **how: Any
) -> Iterator[FtpRemote]:
    login = Login(host, server.port, server.user, server.password, timeout_s=10.0)
    security = None
    if server.certificates is not None:
        login = login._replace(tls=TlsMode.EXPLICIT)
        security = Tls(Trust(cafile=server.certificates.cafile))
    login, profile = login._replace(**how), Profile()
    pool = Pool(lambda: Session.open(login, profile, connect, security), 3, 10.0)
    remote = FtpRemote(pool, profile)
    try:
        remote.enter("")
        yield remote
    finally:
        pool.close()


def content(remote: FtpRemote, path: str, offset: int = 0) -> bytes:
    download = remote.open_read(path, offset)
    found, buffer = bytearray(), memoryview(bytearray(1 << 18))
    try:
        while count := download.readinto(buffer):
            found += buffer[:count]
    finally:
        download.close()
    return bytes(found)


def assert_works(remote: FtpRemote) -> None:
    """Uploads of several sizes, whole and partial downloads, one cut short, a listing."""
    big = os.urandom(3_000_001)
    for size in (0, 1, 70_000, len(big)):
        remote.store(f"/{size}", io.BytesIO(big[:size]), size)
        assert content(remote, f"/{size}") == big[:size]
    assert content(remote, f"/{len(big)}", 2_000_000) == big[2_000_000:]
    download = remote.open_read(f"/{len(big)}", 0)
    download.readinto(memoryview(bytearray(100)))
    download.close()
    assert len(remote.list("/")) == 4


def verbs(server: Server) -> set[str]:
    return set(map(verb_of, commands(server)))


def verb_of(command: str) -> str:
    return command.partition(" ")[0]


@pytest.mark.parametrize("tls", ["no", "explicit"])
@pytest.mark.parametrize("kind", SERVERS)
def test_active_mode(tmp_path: Path, kind: str, tls: str) -> None:
    with SERVERS[kind](str(tmp_path), tls=tls) as server:
        with connected(server, active=True) as remote:
            assert_works(remote)
        assert "EPRT" in verbs(server)
        assert not verbs(server) & {"EPSV", "PASV"}


# -- IPv6 -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def vsftpd_over_ipv6(root: str, tls: str) -> Iterator[Server]:
    """On every address: with TLS this vsftpd fails to bind to one that it is given."""
    with vsftpd_server(root, tls, listen=False, listen_ipv6=True) as server:
        yield server


@pytest.mark.parametrize("active", [False, True])
@pytest.mark.parametrize("tls", ["no", "explicit"])
def test_vsftpd_over_ipv6(tmp_path: Path, tls: str, active: bool) -> None:
    with vsftpd_over_ipv6(str(tmp_path), tls) as server:
        with connected(server, host="::1", active=active) as remote:
            assert_works(remote)
        assert ("EPRT" if active else "EPSV") in verbs(server)
        assert not verbs(server) & {"PASV", "PORT"}


def test_pyftpdlib_over_ipv6(tmp_path: Path) -> None:
    stop, ports = threading.Event(), queue.Queue[int]()
    log = str(tmp_path / "log")
    root = tmp_path / "root"
    root.mkdir()
    serving = threading.Thread(
        target=lambda: serve(
            str(root), host="::1", ready=ports.put, stop=stop.is_set, command_log=log
        )
    )
    serving.start()
    try:
        server = Server("pyftpdlib", "", str(root), "demo", "demo", ports.get(timeout=20), 0, log)
        with connected(server, host="::1") as remote:
            assert_works(remote)
        with connected(server, host="::1", active=True) as remote:
            assert len(remote.list("/")) == 4
        assert verbs(server) >= {"EPSV", "EPRT"}
        assert not verbs(server) & {"PASV", "PORT"}
    finally:
        stop.set()
        serving.join(20)


# -- proxies --------------------------------------------------------------------------------------

KINDS = ("socks5", "http")


@pytest.mark.parametrize("tls", ["no", "explicit"])
@pytest.mark.parametrize("kind", KINDS)
def test_everything_goes_through_the_proxy(tmp_path: Path, kind: str, tls: str) -> None:
    """Control and data, by a name that only the proxy can look up."""
    with vsftpd_server(str(tmp_path), tls=tls) as server, proxy_server(kind, "joe", "pw") as proxy:
        proxy.names["localhost"] = "127.0.0.1"
        connect = through(ProxyServer(kind, "127.0.0.1", proxy.port, "joe", "pw"))
        with connected(server, connect, "localhost") as remote:
            assert_works(remote)
        data = sum(verb in ("EPSV", "PASV") for verb in map(verb_of, commands(server)))
    assert proxy.targets[0] == f"localhost:{server.port}"
    assert 1 < len(proxy.targets) <= 1 + data
    assert all(target.startswith("localhost:") for target in proxy.targets)


@pytest.mark.parametrize("password", ["wrong secret", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_refuses_us(kind: str, password: str) -> None:
    with proxy_server(kind, "joe", "right") as proxy:
        user = "joe" if password else ""
        server = ProxyServer(kind, "127.0.0.1", proxy.port, user, password)
        with pytest.raises(UnreachableError, match=f"proxy 127.0.0.1:{proxy.port} says") as caught:
            through(server)("server.example", 21, 5.0)
        assert proxy.targets == []
    assert "secret" not in str(caught.value) + repr(server)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_the_proxy_cannot_reach(kind: str) -> None:
    with proxy_server(kind) as proxy, socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
        closed.close()
        connect = through(ProxyServer(kind, "127.0.0.1", proxy.port))
        with pytest.raises(UnreachableError, match=f"127.0.0.1:{port}: the proxy"):
            connect("127.0.0.1", port, 5.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_is_not_there(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UnreachableError, match=f"^the proxy 127.0.0.1:{port}: "):
        through(ProxyServer(kind, "127.0.0.1", port))("server.example", 21, 5.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_says_nothing(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connect = through(ProxyServer(kind, "127.0.0.1", silent.getsockname()[1]))
        with pytest.raises(DeadlineError, match="through the proxy"):
            connect("server.example", 21, 5.0, connect_s=0.05)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n220 hello\r\n", None),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", UnreachableError),
        (b"220 an FTP server\r\n\r\n", UnreachableError),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 20_000, UnreachableError),
    ],
)
def test_what_comes_with_the_answer_of_a_proxy(answer: bytes, kind: type[Exception] | None) -> None:
    """The server may have greeted by then: not a byte of it is lost."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve_one() -> None:
            client, _ = listener.accept()
            with client, contextlib.suppress(ConnectionError):  # hung up on
                client.recv(1000)
                client.sendall(answer)
                client.recv(1)

        serving = threading.Thread(target=serve_one)
        serving.start()
        connect = through(ProxyServer("http", "127.0.0.1", listener.getsockname()[1]))
        if kind is None:
            transport = connect("server.example", 21, 5.0)
            buffer = bytearray(100)
            assert buffer[: transport.recv_into(buffer, 5.0)] == b"220 hello\r\n"
            assert transport.peer_host == "server.example"
            transport.close()
        else:
            with pytest.raises(kind, match="the proxy"):
                connect("server.example", 21, 5.0)
        serving.join(20)


def test_without_python_socks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(UsageError, match="pip install"):
        through(ProxyServer("socks5", "127.0.0.1", 1080))


def test_no_active_mode_through_a_proxy() -> None:
    with pytest.raises(UsageError, match="active"):
        connect_of(MountOptions(active=True, proxy=ProxyServer("http", "proxy", 3128)))
