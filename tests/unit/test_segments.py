from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.config import (
    MIB,
    SEGMENTS_AFTER_BYTES,
    SEGMENTS_BELOW_BPS,
    SEGMENTS_GAIN,
    SEGMENTS_JUDGED_BYTES,
    SEGMENTS_PAUSE_S,
)
from ftpfs.content.segments import Segments, Verdict

ALONE_BPS = 10 * MIB
RECEIVED = 4 * MIB
ELAPSED_S = RECEIVED / ALONE_BPS


def begun(verdict: Verdict | None = None, now: float = 100.0) -> Segments:
    """Side by side, after a single transfer at ALONE_BPS."""
    segments = Segments(verdict or Verdict())
    assert segments.begin(RECEIVED, ELAPSED_S, now)
    assert segments.on
    return segments


def test_a_slow_transfer_gets_company() -> None:
    begun()


def test_not_before_there_is_something_to_judge_by() -> None:
    segments = Segments(Verdict())
    assert not segments.begin(SEGMENTS_AFTER_BYTES - 1, 10.0, 100.0)
    assert segments.begin(SEGMENTS_AFTER_BYTES, 10.0, 100.0)


def test_a_transfer_that_copying_limits_is_left_alone() -> None:
    fast_s = RECEIVED / SEGMENTS_BELOW_BPS
    assert not Segments(Verdict()).begin(RECEIVED, fast_s * 0.99, 100.0)
    assert Segments(Verdict()).begin(RECEIVED, fast_s * 1.01, 100.0)


def test_bytes_that_came_in_no_time_at_all() -> None:
    assert not Segments(Verdict()).begin(RECEIVED, 0.0, 100.0)


def test_it_begins_once() -> None:
    assert not begun().begin(RECEIVED, ELAPSED_S, 101.0)


@pytest.mark.parametrize(("gain", "goes_on"), [(0.9, False), (1.2, False), (1.3, True), (4, True)])
def test_it_goes_on_only_where_it_helps(gain: float, goes_on: bool) -> None:
    verdict = Verdict()
    segments = begun(verdict)
    took_s = SEGMENTS_JUDGED_BYTES / (gain * ALONE_BPS)
    segments.arrived(SEGMENTS_JUDGED_BYTES // 2, 100.0 + took_s / 2)
    assert segments.on, "judged too early"
    segments.arrived(SEGMENTS_JUDGED_BYTES // 2, 100.0 + took_s)
    assert segments.on is goes_on
    assert (verdict.not_before > 0) is not goes_on


def test_where_it_does_not_help_it_is_tried_again_after_a_while() -> None:
    verdict = Verdict()
    begun(verdict).arrived(SEGMENTS_JUDGED_BYTES, 200.0)
    later = 200.0 + SEGMENTS_PAUSE_S
    other_file = Segments(verdict)
    assert not other_file.begin(RECEIVED, ELAPSED_S, later - 0.1)
    assert other_file.begin(RECEIVED, ELAPSED_S, later)


def test_it_is_judged_once() -> None:
    segments = begun()
    segments.arrived(SEGMENTS_JUDGED_BYTES, 100.1)
    segments.arrived(1, 10_000.0)  # the reader went to sleep
    assert segments.on


def test_what_arrives_while_it_is_off_is_not_counted() -> None:
    segments = Segments(Verdict())
    segments.arrived(SEGMENTS_JUDGED_BYTES, 100.0)
    assert segments.begin(RECEIVED, ELAPSED_S, 100.0)
    segments.arrived(1, 1000.0)
    assert segments.on


@given(
    pieces=st.lists(st.integers(1, 8 * MIB), min_size=1, max_size=20),
    gain=st.floats(0.1, 10.0).filter(lambda g: abs(g - SEGMENTS_GAIN) > 0.01),
)
def test_how_the_bytes_are_cut_does_not_matter(pieces: list[int], gain: float) -> None:
    segments = begun(now=0.0)
    total = 0
    for piece in pieces:
        total += piece
        segments.arrived(piece, total / (gain * ALONE_BPS))
    assert segments.on is (total < SEGMENTS_JUDGED_BYTES or gain > SEGMENTS_GAIN)
