from __future__ import annotations

from itertools import pairwise

import pytest

from ftpfs.config import (
    MIB,
    READ_CACHE_BYTES,
    READ_CACHE_LEAST_BYTES,
    SKIP_GAP_BYTES,
    WINDOW_ELSEWHERE_BYTES,
    WINDOW_FIRST_BYTES,
    WINDOW_MAX_BYTES,
)
from ftpfs.content import window

ROOM = READ_CACHE_BYTES


def test_a_window_doubles_up_to_its_bound() -> None:
    sizes = [window.first(0, 4096)]
    while sizes[-1] < WINDOW_MAX_BYTES:
        sizes.append(window.grown(sizes[-1], ROOM))
    assert sizes[0] == WINDOW_FIRST_BYTES
    assert all(later == 2 * sooner for sooner, later in pairwise(sizes))
    assert window.grown(WINDOW_MAX_BYTES, ROOM) == WINDOW_MAX_BYTES
    assert window.grown(WINDOW_MAX_BYTES - 1, ROOM) == WINDOW_MAX_BYTES


def test_a_window_is_a_part_of_the_memory_there_is() -> None:
    assert window.grown(WINDOW_FIRST_BYTES, READ_CACHE_LEAST_BYTES) <= READ_CACHE_LEAST_BYTES // 8
    assert window.grown(WINDOW_FIRST_BYTES, 1) == WINDOW_FIRST_BYTES


def test_the_first_window_holds_the_first_read() -> None:
    assert window.first(0, 2 * WINDOW_FIRST_BYTES) == 2 * WINDOW_FIRST_BYTES


def test_a_read_elsewhere_begins_with_less() -> None:
    assert window.first(1, 4096) == WINDOW_ELSEWHERE_BYTES < WINDOW_FIRST_BYTES


AHEAD = {0: True, 1: True, SKIP_GAP_BYTES: True, SKIP_GAP_BYTES + 1: False, -1: False}


@pytest.mark.parametrize(("ahead", "serves"), AHEAD.items())
def test_a_stream_serves_reads_a_little_ahead(ahead: int, serves: bool) -> None:
    assert window.serves(10_000_000, 10_000_000 + ahead, 4096) is serves


@pytest.mark.parametrize(("parts", "serves"), {0: True, 2: True, 3: False}.items())
def test_a_stream_serves_all_that_the_kernel_asks_for_at_once(parts: int, serves: bool) -> None:
    assert window.serves(10_000_000, 10_000_000 + parts * MIB, MIB) is serves
