from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.content.ranges import RangeSet

END = 40
offsets = st.integers(0, END)
pairs = st.tuples(offsets, offsets)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("add"), pairs), st.tuples(st.just("cut"), st.tuples(offsets, st.just(0)))
    ),
    max_size=20,
)


def built(changes: list[tuple[str, tuple[int, int]]]) -> tuple[RangeSet, set[int]]:
    """The same changes made to a RangeSet and to a set of ints."""
    ranges, model = RangeSet(), set()
    for what, (a, b) in changes:
        if what == "add":
            ranges.add(a, b)
            model |= set(range(a, b))
        else:
            ranges.cut(a)
            model &= set(range(a))
    return ranges, model


@given(changes)
def test_holds_what_was_added(changes: list[tuple[str, tuple[int, int]]]) -> None:
    ranges, model = built(changes)
    assert {n for start, end in ranges for n in range(start, end)} == model
    assert ranges.size == len(model)
    assert bool(ranges) == bool(model)


@given(changes)
def test_ranges_are_sorted_and_none_touches_another(
    changes: list[tuple[str, tuple[int, int]]],
) -> None:
    edges = [edge for pair in built(changes)[0] for edge in pair]
    assert edges == sorted(set(edges))


@given(changes, pairs)
def test_covers(changes: list[tuple[str, tuple[int, int]]], asked: tuple[int, int]) -> None:
    ranges, model = built(changes)
    assert ranges.covers(*asked) == (set(range(*asked)) <= model)


@given(changes, pairs)
def test_gaps(changes: list[tuple[str, tuple[int, int]]], asked: tuple[int, int]) -> None:
    ranges, model = built(changes)
    gaps = ranges.gaps(*asked)
    assert {n for start, end in gaps for n in range(start, end)} == set(range(*asked)) - model
    edges = [edge for gap in gaps for edge in gap]
    assert edges == sorted(set(edges)), "in order, none empty, none touching another"


@given(changes)
def test_equal_when_they_hold_the_same(changes: list[tuple[str, tuple[int, int]]]) -> None:
    ranges, model = built(changes)
    assert ranges == RangeSet(*((n, n + 1) for n in model))
    assert ranges != RangeSet(*((n, n + 1) for n in model ^ {0}))


def test_repr_and_no_hash() -> None:
    assert repr(RangeSet((0, 2), (5, 9))) == "RangeSet(0-2, 5-9)"
    with pytest.raises(TypeError):
        hash(RangeSet())
