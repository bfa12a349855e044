"""TLS on real servers, without a mount: sessions resumed under each version, and what is done
where a server does not resume them under TLS 1.3."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import Running, Server, commands, connections, pyftpdlib_server, vsftpd_server

from ftpfs.options import TlsMode
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.tls import Tls, Trust
from ftpfs.session.transport import connect_tcp

VERSIONS = {"TLS 1.2": False, "TLS 1.3": None}  # Profile.tls13
SERVERS: dict[str, Callable[..., Running]] = {
    "vsftpd": vsftpd_server,
    "pyftpdlib": pyftpdlib_server,
}

# What OpenSSL reads before vsftpd says anything: TLS 1.3 without tickets, so that nothing can be
# resumed. TLS 1.2 has session ids besides.
NO_TICKETS = """
openssl_conf = top
[top]
ssl_conf = ssl
[ssl]
system_default = settings
[settings]
NumTickets = 0
"""


@contextlib.contextmanager
def connected(server: Server, profile: Profile, max_conns: int = 3) -> Iterator[FtpRemote]:
    mode = TlsMode.IMPLICIT if server.url.startswith("ftps:") else TlsMode.EXPLICIT
    login = Login("127.0.0.1", server.port, server.user, server.password, tls=mode)
    assert server.certificates is not None
    tls = Tls(Trust(cafile=server.certificates.cafile))
    pool = Pool(lambda: Session.open(login, profile, connect_tcp, tls), max_conns, 30.0)
    remote = FtpRemote(pool, profile)
    try:
        remote.enter("")
        yield remote
    finally:
        pool.close()


def store(remote: FtpRemote, path: str, data: bytes) -> None:
    remote.store(path, io.BytesIO(data), len(data))


def content(remote: FtpRemote, path: str, offset: int = 0) -> bytes:
    download = remote.open_read(path, offset)
    found, buffer = bytearray(), memoryview(bytearray(1 << 18))
    try:
        while count := download.readinto(buffer):
            found += buffer[:count]
    finally:
        download.close()
    return bytes(found)


@pytest.mark.parametrize("tls13", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("mode", ["explicit", "implicit"])
@pytest.mark.parametrize("kind", SERVERS)
def test_transfers(tmp_path: Path, kind: str, mode: str, tls13: bool | None) -> None:
    """Everything arrives, every time: without a shutdown of both sides vsftpd cuts uploads."""
    big = os.urandom(3_000_001)
    with SERVERS[kind](str(tmp_path), tls=mode) as server:
        profile = Profile(tls13=tls13)
        with connected(server, profile) as remote:
            for n in range(10):
                store(remote, f"/big {n}", big)
                assert (tmp_path / f"big {n}").read_bytes() == big
            for size in (0, 1, 70_000):
                store(remote, f"/{size}", big[:size])
                assert content(remote, f"/{size}") == big[:size]
            assert content(remote, "/big 0") == big
            assert content(remote, "/big 1", 2_000_000) == big[2_000_000:]
            assert len(remote.list("/")) == 13
            download = remote.open_read("/big 2", 0)
            download.readinto(memoryview(bytearray(100)))
            download.close()
            assert len(remote.list("/")) == 13
        assert profile.tls13 is tls13
        assert connections(server) == 1  # nothing made a new login necessary


@pytest.mark.parametrize(("version", "tls13"), [("TLSv1.2", False), ("TLSv1.3", None)])
def test_every_data_connection_is_resumed(tmp_path: Path, version: str, tls13: bool | None) -> None:
    with vsftpd_server(str(tmp_path), tls="explicit", debug_ssl=True) as server:
        with connected(server, Profile(tls13=tls13)) as remote:
            store(remote, "/a", b"a")
            content(remote, "/a")
            remote.list("/")
        with open(server.log, encoding="utf-8") as log:
            seen = re.findall(
                r"SSL version: (\S+), SSL cipher: \S+, (not reused|reused)", log.read()
            )
    assert seen == [(version, "not reused"), *[(version, "reused")] * 3]


@pytest.fixture
def without_tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """vsftpd that demands resumed sessions and makes none that can be under TLS 1.3."""
    config = tmp_path / "openssl.cnf"
    config.write_text(NO_TICKETS)
    root = tmp_path / "root"
    root.mkdir()
    (root / "here").write_bytes(b"content")
    monkeypatch.setenv("OPENSSL_CONF", str(config))
    with vsftpd_server(str(root), tls="explicit") as server:
        yield server


def uploaded(remote: FtpRemote, root: str, data: bytes) -> bool:
    store(remote, "/new", data)
    return Path(root, "new").read_bytes() == data


FIRST: dict[str, Callable[[FtpRemote, str], bool]] = {
    "a listing": lambda remote, _: list(remote.list("/")) == ["here"],
    "a download": lambda remote, _: content(remote, "/here") == b"content",
    "an upload": lambda remote, root: uploaded(remote, root, b"x" * 100_000),
    "an empty upload": lambda remote, root: uploaded(remote, root, b""),
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("max_conns", [1, 3])
def test_a_server_that_does_not_resume_tls13(
    without_tickets: Server, first: Callable[[FtpRemote, str], bool], max_conns: int
) -> None:
    """Whatever comes first is done again under TLS 1.2, and nobody hears of it."""
    profile = Profile()
    with connected(without_tickets, profile, max_conns) as remote:
        assert first(remote, without_tickets.root)
        assert profile.tls13 is False
        logins = connections(without_tickets)
        store(remote, "/more", b"more")
        assert content(remote, "/more") == b"more"
        assert connections(without_tickets) == logins


def test_a_verdict_from_before_saves_the_trial(without_tickets: Server) -> None:
    with connected(without_tickets, Profile(tls13=False)) as remote:
        assert content(remote, "/here") == b"content"
    assert connections(without_tickets) == 1
    assert commands(without_tickets).count("RETR /here") == 1
