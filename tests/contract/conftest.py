"""The contract suite runs on the fake in memory and on every server of the matrix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from certificates import Certificates
from servers import Server
from servers.matrix import PAIRS, running
from serving import Served, on_memory, on_server

MEMORY = ("memory", "plain")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(str(tmp_path_factory.mktemp("certificates")))


@pytest.fixture(scope="session", params=[MEMORY, *PAIRS], ids="-".join)
def pair(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificates: Certificates,
) -> Iterator[tuple[str, Server | None]]:
    """A kind of server, and one of it that runs."""
    kind, mode = request.param
    if kind == "memory":
        yield kind, None
        return
    root = str(tmp_path_factory.mktemp(kind))
    with running(kind, mode, root, certificates) as server:
        yield kind, server


@pytest.fixture
def served(pair: tuple[str, Server | None], request: pytest.FixtureRequest) -> Iterator[Served]:
    kind, server = pair
    with on_memory() if server is None else on_server(kind, server) as made:
        yield made
        request.node.user_properties += [("limit", limit) for limit in made.limits]
