"""Servers of each kind, a mount of each, and a fresh directory in it for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest
from mounted.places import OVER_TLS, RESUMED, SERVERS, SPOKEN, Work, served
from mounts import Mount, User, environment, mounted
from selection import LONG, chosen, leave_out
from servers import Server

NOBODY = 65534
FUSE_DEVICE = "/dev/fuse"

_serial = itertools.count(1)


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of each kind in turn."""
    yield from served(request.param, str(tmp_path_factory.mktemp("server")))


@pytest.fixture(scope="module", params=["vsftpd", *OVER_TLS])
def vsftpd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """For tests that one server in clear text is enough for, and want the fastest."""
    yield from served(request.param, str(tmp_path_factory.mktemp("server")))


@pytest.fixture(scope="module", params=["pyftpdlib", *OVER_TLS])
def pyftpdlib(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The same for those that want one that knows MLSD."""
    yield from served(request.param, str(tmp_path_factory.mktemp("server")))


@pytest.fixture(scope="module", params=SPOKEN)
def spoken(request: pytest.FixtureRequest) -> str:
    """How to speak to a vsftpd of a test's own: places.vsftpd_with."""
    return str(request.param)


@pytest.fixture(scope="module")
def mount(server: Server) -> Iterator[Mount]:
    """One mount of the server for all tests of a module."""
    with mounted(server.url, *server.options) as made:
        yield made


@pytest.fixture
def work(server: Server, mount: Mount) -> Iterator[Work]:
    """A directory made through the mount."""
    name = f"work-{next(_serial)}"
    made = Work(f"{mount.path}/{name}", f"{server.root}/{name}", server, mount)
    os.mkdir(made.path)
    yield made
    shutil.rmtree(made.root)


@pytest.fixture(scope="session")
def nobody() -> Iterator[User]:
    """The user nobody, who may open /dev/fuse as everywhere but in bare containers."""
    mode = stat.S_IMODE(os.stat(FUSE_DEVICE).st_mode)
    os.chmod(FUSE_DEVICE, 0o666)
    try:
        yield User(NOBODY, _python_of(NOBODY))
    finally:
        os.chmod(FUSE_DEVICE, mode)


def _python_of(uid: int) -> str:
    """A Python that this user may run: ours may be in a home directory closed to others."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [*User(uid, python).prefix, python, "-c", "import ftpfs.cli.commands"]
        done = subprocess.run(command, env=environment("/"), check=False, capture_output=True)
        if done.returncode == 0:
            return python
    pytest.fail("user nobody can run neither this Python nor /usr/bin/python3 with ftpfs")


# -- which of them run ----------------------------------------------------------------------------

SOME = ("test_semantics.py", "test_programs.py", "test_writing.py", "test_reading.py")
ABOUT_TLS = ("test_tls_mounts.py", "test_matrix.py")
"""Over TLS these run every time, and all with scripts/test --long."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def in_clear_only(item: pytest.Item) -> bool:
        return over_tls(item) and item.get_closest_marker("in_clear") is not None

    def for_later(item: pytest.Item) -> bool:
        return over_tls(item) and item.path.name not in (*SOME, *ABOUT_TLS)

    hidden = "as they look into what TLS hides, or want a line faster than it"
    leave_out(config, items, hidden, in_clear_only)
    if not LONG:
        leave_out(config, items, "the same over TLS: scripts/test --long runs them", for_later)


def over_tls(item: pytest.Item) -> bool:
    """Whether it is one of those that run in clear text as well."""
    return bool({*OVER_TLS, *RESUMED} & {str(value) for value in chosen(item).values()})
