"""The contract suite runs on the fake in memory and on every server of the matrix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract.serving import Served, on_memory, on_server
from servers import Server
from servers.matrix import PAIRS, running

Place = tuple[Server, tuple[str, ...]]

MEMORY = ("memory", "plain")


@pytest.fixture(scope="session", params=[MEMORY, *PAIRS], ids="-".join)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Place | None]]:
    """A kind of server, and one of it that runs, with the options to reach it."""
    kind, mode = request.param
    if kind == "memory":
        yield kind, None
        return
    root = str(tmp_path_factory.mktemp(kind))
    with running(kind, mode, root) as place:
        yield kind, place


@pytest.fixture
def served(pair: tuple[str, Place | None], request: pytest.FixtureRequest) -> Iterator[Served]:
    kind, place = pair
    with on_memory() if place is None else on_server(kind, *place) as made:
        yield made
        request.node.user_properties += [("limit", limit) for limit in made.limits]
