"""The floor: how many round trips of the control connection each operation takes.

A transport that counts: whatever is sent in one piece is waited for once, so each send on a
control connection is a round trip. Real servers answer, on a connection that is warm: logged in,
and used before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import servers

from ftpfs.content.space import Space
from ftpfs.content.store import Store
from ftpfs.options import MountOptions
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.transport import TcpTransport, connect_tcp
from ftpfs.vfs.filesystem import FileSystem
from ftpfs.vfs.namespace import Namespace

CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY


class Counted:
    """Counts what is sent on the control connections."""

    def __init__(self, control_port: int) -> None:
        self.port = control_port
        self.round_trips = 0

    def connect(self, host: str, port: int, timeout_s: float, **more: float) -> TcpTransport:
        transport = connect_tcp(host, port, timeout_s, **more)
        if port == self.port:
            send = transport.send

            def counting(data: bytes | memoryview) -> None:
                self.round_trips += bytes(data) != b"QUIT\r\n"  # its answer is not waited for
                send(data)

            transport.send = counting  # type: ignore[method-assign]  # of this one object
        return transport


class Warm:
    """A file system without FUSE on a real server, over one connection that has been used."""

    def __init__(self, server: servers.Server, spool: str) -> None:
        self.server = server
        self.counted = Counted(server.port)
        profile = Profile()
        login = Login("127.0.0.1", server.port, server.user, server.password)
        self.pool = Pool(lambda: Session.open(login, profile, self.counted.connect), 1, 30.0)
        self.remote = FtpRemote(self.pool, profile)
        self.remote.enter("")
        options = MountOptions(max_conns=1)
        self.store = Store.create(spool, Space(1 << 30))
        self.fs = FileSystem(self.remote, options, self.store, Namespace(self.remote, options))
        self.write("/warm", b"a first transfer, by which the session learns EPSV")
        self.read("/warm")
        self.fs.getattr("/warm")
        self.remote.list("/")  # a first listing, by which the zone of the others is learnt

    def write(self, path: str, data: bytes) -> None:
        handle = self.fs.create(path, CREATE, 0o644)
        self.fs.write(handle, data, 0)
        self.fs.flush(handle)
        self.fs.release(handle)

    def read(self, path: str) -> bytes:
        handle = self.fs.open(path, os.O_RDONLY)
        target = bytearray(1 << 16)
        count = self.fs.read_into(handle, memoryview(target), 0)
        self.fs.release(handle)
        return bytes(target[:count])

    @contextmanager
    def costs(self, round_trips: int) -> Iterator[None]:
        before = self.counted.round_trips
        yield
        assert self.counted.round_trips - before == round_trips

    def close(self) -> None:
        self.fs.close()
        self.pool.close()
        self.store.close()


@pytest.fixture(params=["pyftpdlib", "pyftpdlib-list", "vsftpd"])
def warm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warm]:
    root = str(tmp_path_factory.mktemp("server"))
    if request.param == "vsftpd":
        running = servers.vsftpd_server(root)
    else:
        running = servers.pyftpdlib_server(root, mlsd=request.param == "pyftpdlib")
    with running as server:
        yield from _warm(server, str(tmp_path_factory.mktemp("spool")))


def _warm(server: servers.Server, spool: str) -> Iterator[Warm]:
    os.makedirs(f"{server.root}/dir/below")
    with open(f"{server.root}/dir/file", "wb") as out:
        out.write(b"content")
    os.chmod(f"{server.root}/dir", 0o777)
    warm = Warm(server, spool)
    yield warm
    warm.close()


def test_stat_of_a_path_in_a_fresh_listing_takes_none(warm: Warm) -> None:
    warm.fs.releasedir(warm.fs.opendir("/dir"))
    with warm.costs(0):
        assert warm.fs.getattr("/dir/file").size == 7
        assert warm.fs.getattr("/dir/below").name == "below"


def test_stat_of_a_path_in_an_unlisted_directory_takes_one_with_mlst(warm: Warm) -> None:
    with warm.costs(1 if warm.remote.describes else 2):  # without: the parent's listing
        assert warm.fs.getattr("/dir/file").size == 7


def test_a_listing_takes_two(warm: Warm) -> None:
    warm.fs.releasedir(warm.fs.opendir("/"))
    with warm.costs(2):
        assert len(warm.fs.readdir(warm.fs.opendir("/dir"))) == 2


def test_open_and_read_of_a_small_file_takes_two(warm: Warm) -> None:
    warm.fs.releasedir(warm.fs.opendir("/dir"))
    with warm.costs(2):
        assert warm.read("/dir/file") == b"content"


def test_write_and_close_of_a_new_small_file_takes_two(warm: Warm) -> None:
    """STOR, and SIZE to be sure. Its port was asked for with the SIZE of the one before."""
    warm.fs.releasedir(warm.fs.opendir("/dir"))
    warm.write("/dir/one", b"1")
    for name in ("two", "three"):
        with warm.costs(2):
            warm.write(f"/dir/{name}", b"content")
    assert os.path.getsize(f"{warm.server.root}/dir/two") == 7


@pytest.mark.parametrize("operation", ["unlink", "mkdir", "rmdir"])
def test_a_change_of_names_takes_one(warm: Warm, operation: str) -> None:
    warm.fs.releasedir(warm.fs.opendir("/dir"))
    path = {"unlink": "/dir/file", "mkdir": "/dir/new", "rmdir": "/dir/below"}[operation]
    with warm.costs(1):
        warm.fs.mkdir(path, 0o755) if operation == "mkdir" else getattr(warm.fs, operation)(path)


def test_rename_takes_one(warm: Warm) -> None:
    """RNFR and RNTO together."""
    warm.fs.releasedir(warm.fs.opendir("/dir"))
    with warm.costs(1):
        warm.fs.rename("/dir/file", "/dir/renamed")
