from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.config import (
    BLOCK_BYTES,
    MIB,
    SEGMENT_BYTES,
    SEGMENTS_AFTER_BYTES,
    SEGMENTS_AHEAD_BYTES,
    SEGMENTS_BELOW_BPS,
    SEGMENTS_GAIN,
    SEGMENTS_JUDGED_BYTES,
    SEGMENTS_PAUSE_S,
    SKIP_GAP_BYTES,
)
from ftpfs.content.segments import Segments, Verdict

ALONE_BPS = 10 * MIB
RECEIVED = 4 * MIB
ELAPSED_S = RECEIVED / ALONE_BPS
SIZE = 64 * MIB


def promising(
    segments: Segments, now: float, received: int = RECEIVED, elapsed_s: float = ELAPSED_S
) -> bool:
    return segments.promising((0, received), now - elapsed_s, now)


def brought(count: int) -> tuple[int, int]:
    """Bytes of a segment."""
    return RECEIVED, RECEIVED + count


def begun(verdict: Verdict | None = None, now: float = 100.0) -> Segments:
    """Side by side, after a single transfer at ALONE_BPS."""
    segments = Segments(SIZE, verdict or Verdict())
    assert promising(segments, now)
    assert not segments.on, "there may be no connection for it"
    segments.begin(RECEIVED, now)
    return segments


def test_a_slow_transfer_gets_company() -> None:
    begun()


def test_not_before_there_is_something_to_judge_by() -> None:
    segments = Segments(SIZE, Verdict())
    assert not promising(segments, 100.0, SEGMENTS_AFTER_BYTES - 1)
    assert promising(segments, 100.0, SEGMENTS_AFTER_BYTES)


def test_a_transfer_that_copying_limits_is_left_alone() -> None:
    fast_s = RECEIVED / SEGMENTS_BELOW_BPS
    assert not promising(Segments(SIZE, Verdict()), 100.0, elapsed_s=fast_s * 0.99)
    assert promising(Segments(SIZE, Verdict()), 100.0, elapsed_s=fast_s * 1.01)


def test_bytes_that_came_in_no_time_at_all() -> None:
    assert not promising(Segments(SIZE, Verdict()), 100.0, elapsed_s=0.0)


def test_it_begins_once() -> None:
    assert not promising(begun(), 101.0)


@pytest.mark.parametrize(("gain", "goes_on"), [(0.9, False), (1.2, False), (1.3, True), (4, True)])
def test_it_goes_on_only_where_it_helps(gain: float, goes_on: bool) -> None:
    verdict = Verdict()
    segments = begun(verdict)
    took_s = SEGMENTS_JUDGED_BYTES / (gain * ALONE_BPS)
    segments.arrived(brought(SEGMENTS_JUDGED_BYTES // 2), 100.0 + took_s / 2)
    assert segments.on, "judged too early"
    segments.arrived(brought(SEGMENTS_JUDGED_BYTES // 2), 100.0 + took_s)
    assert segments.on is goes_on
    assert (verdict.not_before > 0) is not goes_on


def test_where_it_does_not_help_it_is_tried_again_after_a_while() -> None:
    verdict = Verdict()
    begun(verdict).arrived(brought(SEGMENTS_JUDGED_BYTES), 200.0)
    later = 200.0 + SEGMENTS_PAUSE_S
    other_file = Segments(SIZE, verdict)
    assert not promising(other_file, later - 0.1)
    assert promising(other_file, later)


def test_it_is_judged_once() -> None:
    segments = begun()
    segments.arrived(brought(SEGMENTS_JUDGED_BYTES), 100.1)
    segments.arrived(brought(1), 10_000.0)  # the reader went to sleep
    assert segments.on


def test_what_arrives_while_it_is_off_is_not_counted() -> None:
    segments = Segments(SIZE, Verdict())
    segments.arrived(brought(SEGMENTS_JUDGED_BYTES), 100.0)
    assert promising(segments, 100.0)
    segments.begin(RECEIVED, 100.0)
    segments.arrived(brought(1), 1000.0)
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
        segments.arrived(brought(piece), total / (gain * ALONE_BPS))
    assert segments.on is (total < SEGMENTS_JUDGED_BYTES or gain > SEGMENTS_GAIN)


def test_what_one_transfer_had_brought_before_is_not_counted() -> None:
    segments = begun()
    segments.arrived((0, RECEIVED + SEGMENTS_JUDGED_BYTES - 1), 10_000.0)
    assert segments.on, "not judged yet"
    segments.arrived(brought(1), 10_000.0)
    assert not segments.on


def test_the_rest_of_a_file_must_be_worth_it() -> None:
    assert promising(Segments(RECEIVED + 2 * SEGMENT_BYTES, Verdict()), 100.0)
    assert not promising(Segments(RECEIVED + 2 * SEGMENT_BYTES - 1, Verdict()), 100.0)


def test_segments_are_claimed_one_after_the_other_close_to_the_reader() -> None:
    segments = begun()
    segments.read(RECEIVED)
    spans = []
    while segments.claimable:
        spans.append(segments.claim())
    starts, ends = [s for s, _ in spans], [e for _, e in spans]
    assert starts[1:] == ends[:-1]
    assert RECEIVED < starts[0] <= RECEIVED + SEGMENT_BYTES
    assert starts[0] % BLOCK_BYTES == 0
    assert starts[-1] < RECEIVED + SEGMENTS_AHEAD_BYTES <= ends[-1] < SIZE
    segments.read(SIZE)
    while segments.claimable:
        segments.claim()
    assert segments.end == SIZE


def test_a_reader_that_stays_close_does_not_leave() -> None:
    segments = begun()
    segments.read(RECEIVED)
    assert not segments.left_by(RECEIVED)
    assert not segments.left_by(segments.next + SKIP_GAP_BYTES)
    assert segments.left_by(segments.next + SKIP_GAP_BYTES + 1)
    segments.read(SIZE)
    assert segments.left_by(SIZE - SEGMENTS_AHEAD_BYTES - 1)
    assert not Segments(SIZE, Verdict()).left_by(SIZE), "there are none"
