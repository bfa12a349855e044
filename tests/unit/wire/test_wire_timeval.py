from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.wire.timeval import SECOND_NS, format_time, guess_year_ns, parse_time, utc_ns


def ns(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return int(moment.timestamp()) * SECOND_NS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19700101000000", 0),
        ("20261122173712", ns(2026, 11, 22, 17, 37, 12)),
        (" 20261122173712\r", ns(2026, 11, 22, 17, 37, 12)),
        ("20261122173712.5", ns(2026, 11, 22, 17, 37, 12) + 500_000_000),
        ("20261122173712.0000000019", ns(2026, 11, 22, 17, 37, 12) + 1),
        ("19691231235959.250", -750_000_000),
        ("20161231235960", ns(2017, 1, 1)),
        ("191261122173712", ns(2026, 11, 22, 17, 37, 12)),
        ("191000229000000", ns(2000, 2, 29)),
    ],
    ids=[
        "epoch",
        "plain",
        "padded",
        "tenths",
        "picoseconds",
        "before the epoch",
        "leap second",
        "years since 1900",
        "leap day since 1900",
    ],
)
def test_parse(text: str, expected: int) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "2026", "20261322000000", "20260230000000", "20260101240000", "20260101000000.",
     "20260101000061", "00000101000000", "٢٠٢٦٠١٠١٠٠٠٠٠٠",
     "2026-01-01", "202601010000000"],
)  # fmt: skip
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month|day|year"):
        parse_time(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "19700101000000"),
        (-1, "19691231235959"),
        (1_999_999_999, "19700101000001"),
        (ns(2261, 12, 31, 23, 59, 59), "22611231235959"),
        (ns(2038, 1, 19, 3, 14, 8), "20380119031408"),
        (ns(999, 1, 1), "09990101000000"),
    ],
)
def test_format(value: int, expected: str) -> None:
    assert format_time(value) == expected


def test_format_refuses_the_year_ten_thousand() -> None:
    with pytest.raises(ValueError, match="year"):
        format_time(ns(9999, 12, 31) + 86_400 * SECOND_NS)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_round_trip(value: int) -> None:
    assert parse_time(format_time(value)) == value // SECOND_NS * SECOND_NS


NOW = ns(2026, 11, 22, 18)


@pytest.mark.parametrize(
    ("fields", "now", "expected"),
    [
        ((11, 22, 17, 37), NOW, ns(2026, 11, 22, 17, 37)),
        ((11, 23, 18, 0), NOW, ns(2026, 11, 23, 18)),
        ((11, 23, 18, 1), NOW, ns(2025, 11, 23, 18, 1)),
        ((12, 31, 23, 0), NOW, ns(2025, 12, 31, 23)),
        ((12, 31, 23, 0), ns(2027, 1, 1), ns(2026, 12, 31, 23)),
        ((1, 1, 0, 30), ns(2026, 12, 31, 22), ns(2027, 1, 1, 0, 30)),
        ((2, 29, 12, 0), NOW, ns(2024, 2, 29, 12)),
        ((2, 29, 12, 0), ns(2028, 2, 28, 13), ns(2028, 2, 29, 12)),
        ((2, 29, 12, 0), ns(2104, 1, 1), ns(2096, 2, 29, 12)),
    ],
)
def test_guess_year(fields: tuple[int, int, int, int], now: int, expected: int) -> None:
    assert guess_year_ns(*fields, now_ns=now) == expected


@pytest.mark.parametrize(
    "fields", [(2, 30, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0), (1, 1, 24, 0), (13, 1, 0, 0)]
)
def test_guess_year_refuses(fields: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"time|month|day|year"):
        guess_year_ns(*fields, now_ns=NOW)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)), st.integers(0, 364 * 1440 - 1))
def test_a_time_of_the_last_year_is_found_again(moment: datetime, age_minutes: int) -> None:
    now_ns = utc_ns(*moment.timetuple()[:5])
    then_ns = now_ns - age_minutes * 60 * SECOND_NS
    text = format_time(then_ns)
    month, day, hour, minute = (int(text[at : at + 2]) for at in (4, 6, 8, 10))
    assert guess_year_ns(month, day, hour, minute, now_ns) == then_ns
