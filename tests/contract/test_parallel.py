"""Several threads, few connections."""

from __future__ import annotations

import threading

import pytest
from contract.serving import BYTES, JOIN_S, Served, content

pytestmark = pytest.mark.operation("in parallel")


@pytest.mark.parametrize("max_conns", [1, 2])
def test_downloads_and_listings_at_once(served: Served, max_conns: int) -> None:
    for number in range(4):
        served.store(f"/{number}", BYTES[number:])
    problems: list[BaseException] = []

    with served.reconnected(f"max_conns={max_conns}") as remote:

        def read(number: int) -> None:
            try:
                for _ in range(3):
                    assert content(remote.open_read(f"/{number}", 0)) == BYTES[number:]
            except BaseException as error:
                problems.append(error)

        def look() -> None:
            try:
                for _ in range(6):
                    assert sorted(remote.list("/")) == ["0", "1", "2", "3"]
                    assert remote.stat("/0").size == len(BYTES)
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
        threads += [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(JOIN_S)
        assert not any(thread.is_alive() for thread in threads), "not finished"
        assert problems == []
