"""Servers of each kind, and a fresh directory on one and on this machine for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server
from urls.commands import KINDS, Place, made_place


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of each kind in turn."""
    with KINDS[request.param](str(tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture(scope="module")
def vsftpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For tests that one server is enough for."""
    with KINDS["vsftpd"](str(tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture(scope="module")
def pyftpdlib(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with KINDS["pyftpdlib"](str(tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture
def place(server: Server, tmp_path: Path) -> Iterator[Place]:
    """Of the server of each kind."""
    yield from made_place(server, tmp_path)


@pytest.fixture
def vs(vsftpd: Server, tmp_path: Path) -> Iterator[Place]:
    yield from made_place(vsftpd, tmp_path)


@pytest.fixture
def py(pyftpdlib: Server, tmp_path: Path) -> Iterator[Place]:
    yield from made_place(pyftpdlib, tmp_path)
