"""The contract suite runs on the fake in memory and on every server of the matrix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selection import LONG, chosen, leave_out
from servers import Server
from servers.matrix import PAIRS, running
from serving import Served, on_memory, on_server

Place = tuple[Server, tuple[str, ...]]

MEMORY = ("memory", "plain")
SOME_NAMES = ("a b", "trailing ", 'quo"ted', "*", "~x", "-la", "back\\slash", "日本語", "яя я")


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """TLS changes nothing about names: there a few of them will do."""

    def one_name_more(item: pytest.Item) -> bool:
        parameters = chosen(item)
        mode = parameters.get("pair", MEMORY)[1]
        return mode != "plain" and parameters.get("name", SOME_NAMES[0]) not in SOME_NAMES

    if not LONG:
        why = "names that are tried in clear text: scripts/test --long tries them over TLS, too"
        leave_out(config, items, why, one_name_more)
