"""Ways of connecting, on real servers: active mode, IPv6, proxies, limits."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from servers import Server, commands, pyftpdlib_server, vsftpd_server

from ftpfs.config import TlsMode
from ftpfs.demo.server import serve
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.tls import Tls, Trust
from ftpfs.session.transport import Connect, connect_tcp

SERVERS: dict[str, Callable[..., contextlib.AbstractContextManager[Server]]] = {
    "vsftpd": vsftpd_server,
    "pyftpdlib": pyftpdlib_server,
}


@contextlib.contextmanager
def connected(
    server: Server, connect: Connect = connect_tcp, host: str = "127.0.0.1", **how: object
) -> Iterator[FtpRemote]:
    login = Login(host, server.port, server.user, server.password, timeout_s=10.0)
    security = None
    if server.certificates is not None:
        login = replace(login, tls=TlsMode.EXPLICIT)
        security = Tls(Trust(cafile=server.certificates.cafile))
    login, profile = replace(login, **how), Profile()  # type: ignore[arg-type]
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
    return {command.partition(" ")[0] for command in commands(server)}


@pytest.mark.parametrize("tls", ["no", "explicit"])
@pytest.mark.parametrize("kind", SERVERS)
def test_active_mode(tmp_path, kind: str, tls: str) -> None:
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
def test_vsftpd_over_ipv6(tmp_path, tls: str, active: bool) -> None:
    with vsftpd_over_ipv6(str(tmp_path), tls) as server:
        with connected(server, host="::1", active=active) as remote:
            assert_works(remote)
        assert ("EPRT" if active else "EPSV") in verbs(server)
        assert not verbs(server) & {"PASV", "PORT"}


def test_pyftpdlib_over_ipv6(tmp_path) -> None:
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
