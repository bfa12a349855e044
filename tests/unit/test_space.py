from __future__ import annotations

import threading

import pytest

from ftpfs.content.space import Space
from ftpfs.errors import NoSpaceError


def test_up_to_the_limit() -> None:
    space = Space(100)
    space.take(60)
    space.take(40)
    with pytest.raises(NoSpaceError, match=r"full \(100 bytes\).*spool_limit"):
        space.take(1)
    space.take(-1)
    space.take(1)


def test_what_was_refused_does_not_count() -> None:
    space = Space(100)
    with pytest.raises(NoSpaceError):
        space.take(101)
    space.take(100)


def test_nothing_can_be_taken_of_a_full_one() -> None:
    space = Space(0)
    space.take(0)


def test_many_threads_share_it() -> None:
    space = Space(1000)
    refused: list[int] = []

    def take(number: int) -> None:
        for _ in range(200):
            try:
                space.take(1)
            except NoSpaceError:
                refused.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 200
