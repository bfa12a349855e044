"""What the kernel was told of sizes, and for how long that counts."""

from __future__ import annotations

import pytest

from ftpfs.config import TOLD_LISTINGS, TOLD_MARGIN_S, TOLD_NAMES
from ftpfs.remote.api import Entry, Kind
from ftpfs.vfs.told import Told

KERNEL_S = 10.0


class Times:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Times:
    return Times()


@pytest.fixture
def told(clock: Times) -> Told:
    return Told(KERNEL_S, clock)


def test_another_size_counts_until_the_kernel_asks_again(told: Told, clock: Times) -> None:
    told.listing("/d", {"listed": 1})
    told.entry("/d/alone", Entry("alone", Kind.FILE, 1))
    for path in ("/d/listed", "/d/alone"):
        assert told.other(path, 2)
        assert not told.other(path, 1)
    clock.now += KERNEL_S + TOLD_MARGIN_S
    for path in ("/d/listed", "/d/alone"):
        assert not told.other(path, 2)


def test_what_is_changed_from_here_the_kernel_knows(told: Told) -> None:
    told.listing("/d", {"a": 1, "b": 1})
    told.changed("/d/a")
    assert not told.other("/d/a", 2)
    assert told.other("/d/b", 2)


def test_of_many_listings_the_last_ones_are_known(told: Told) -> None:
    for number in range(TOLD_LISTINGS + 1):
        told.listing(f"/{number}", {"a": 1})
    assert not told.other("/0/a", 2)
    assert told.other("/1/a", 2)


def test_names_are_bounded_and_those_of_one_listing_count_once(told: Told) -> None:
    half = {str(number): 1 for number in range(TOLD_NAMES // 2)}
    for _ in range(3):
        told.listing("/twice", dict(half))
    told.listing("/other", dict(half))
    assert told.other("/twice/0", 2), "no more than the bound in all"
    told.changed("/twice/0")
    told.listing("/one", {"more": 1})
    assert not told.other("/twice/1", 2), "the first one made room"
    assert told.other("/other/0", 2)
    told.listing("/again", dict(half))
    assert told.other("/again/0", 2)
    assert told.other("/one/more", 2)
