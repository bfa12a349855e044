"""Who fetches which part of which large file."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from ftpfs.config import MIB, STEAL_LOOK_S, STEAL_MIN_BYTES
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.events import File
from ftpfs.tree.shares import Segment, Shares, Whole


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def shares(
    *sizes: int, hands: int = 4, there: Sequence[tuple[int, int]] = ()
) -> tuple[Shares[Whole], Clock]:
    """Of files of these sizes; `there` are the ranges that are still missing of each."""
    clock = Clock()
    files = [File("/f", "f", Entry("f", Kind.FILE, size), None) for size in sizes]

    def begin(file: File) -> Whole:
        size = file.entry.size
        return Whole(size, [Segment(*gap) for gap in there] or [Segment(0, size)])

    return Shares(files, begin, hands, clock=clock), clock


def taken(given: Shares[Whole]) -> tuple[Whole, Segment]:
    found = given.take()
    assert found is not None
    return found


def test_the_last_file_is_divided_evenly() -> None:
    given, _ = shares(400 * MIB)
    parts = [taken(given)[1] for _ in range(4)]
    assert [(s.position // MIB, s.end // MIB) for s in parts] == [
        (0, 100), (100, 200), (200, 300), (300, 400)
    ]  # fmt: skip


def test_no_part_is_too_small_to_be_worth_a_beginning() -> None:
    given, _ = shares(2 * STEAL_MIN_BYTES + 1)
    parts = [taken(given)[1] for _ in range(2)]
    assert [s.end for s in parts] == [STEAL_MIN_BYTES, 2 * STEAL_MIN_BYTES + 1]


def test_while_others_wait_a_file_stays_whole() -> None:
    given, _ = shares(400 * MIB, 400 * MIB, hands=2)
    assert taken(given)[1].end == taken(given)[1].end == 400 * MIB


def test_what_is_there_in_part_keeps_its_gaps() -> None:
    given, _ = shares(400 * MIB, there=[(200 * MIB, 300 * MIB), (0, 100 * MIB)])
    assert [taken(given)[1].position for _ in range(2)] == [0, 200 * MIB]


def test_half_of_what_another_has_left_is_taken_over() -> None:
    given, clock = shares(400 * MIB, hands=1)
    _, first = taken(given)
    clock.now_s = 2 * STEAL_LOOK_S
    first.position = MIB
    _, second = taken(given)
    assert second.end == 400 * MIB
    assert first.end == second.position == 400 * MIB - 399 * MIB // 2


def test_the_file_is_complete_with_its_last_part() -> None:
    given, _ = shares(400 * MIB, hands=2)
    (whole, first), (_, second) = taken(given), taken(given)
    second.position = second.end
    assert not given.done(whole, second)
    assert whole.there() == [(200 * MIB, 400 * MIB)]
    assert given.done(whole, first)
    assert given.take() is None


@pytest.mark.parametrize("ending", ["done", "drop"])
def test_who_waits_for_work_hears_at_once_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    looked = threading.Event()

    class Waiting(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            looked.set()
            return super().wait(60.0)

    monkeypatch.setattr("ftpfs.tree.shares.threading.Condition", Waiting)
    given, _ = shares(1000)
    whole, segment = taken(given)
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(given.take()))
    waiting.start()
    assert looked.wait(20.0)
    if ending == "done":
        assert given.done(whole, segment)
    else:
        assert given.drop(whole)
    waiting.join(20.0)
    assert found == [None]


def test_a_server_that_only_begins_at_the_beginning_gets_one_reader() -> None:
    given, _ = shares(400 * MIB)
    parts = [taken(given) for _ in range(3)]  # the fourth waits
    for whole, segment in reversed(parts[1:]):
        given.undivided(whole, segment)
    whole, first = parts[0]
    assert whole.segments == [first]
    given.undivided(*taken(given))
    assert (first.position, first.end) == (0, 400 * MIB)
    assert not whole.waiting


def test_nothing_is_given_out_once_it_is_to_stop() -> None:
    assert Shares([File("/f", "f", Entry("f", Kind.FILE), None)], lambda f: None, 1,
                  stopping=lambda: True).take() is None  # fmt: skip
