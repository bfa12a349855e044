"""Times on the wire. Inside ftpfs a time is whole nanoseconds since the epoch, UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

SECOND_NS = 1_000_000_000

# The precision of a time that is not known, and stands as 0: any other is as likely.
UNKNOWN_S = 1_000 * 366 * 86_400

_DAY_NS = 86_400 * SECOND_NS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()

# 1896 to 1904 and 2096 to 2104 are the longest ways back to a 29th of February.
_LOOK_BACK_YEARS = 8

# Servers that print "19" and the years since 1900 write 2026 as 19126: one digit more.
_TIME_VAL = re.compile(
    r"(?:(?P<year>[0-9]{4})|19(?P<since_1900>1[0-9]{2}))"
    r"([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(?:\.(?P<fraction>[0-9]+))?"
)


def utc_ns(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """The time in nanoseconds since the epoch. Second 60 is the next minute's first.

    Raises ValueError for a date or clock time that there is not.
    """
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 60):
        raise ValueError(f"no such clock time: {hour}:{minute}:{second}")
    days = date(year, month, day).toordinal() - _EPOCH_DAY
    return (days * 86_400 + hour * 3_600 + minute * 60 + second) * SECOND_NS


def parse_time(text: str) -> int:
    """YYYYMMDDHHMMSS[.sss] in nanoseconds since the epoch. RFC 3659 2.3.

    Raises ValueError.
    """
    if len(text) == 14 and text.isascii() and text.isdigit():  # a listing has thousands of these
        hour, minute, second = int(text[8:10]), int(text[10:12]), int(text[12:])
        if hour < 24 and minute < 60 and second < 60:
            return _midnight_ns(text[:8]) + (hour * 3_600 + minute * 60 + second) * SECOND_NS
    return _parse_unusual_time(text)


@lru_cache(maxsize=4096)
def _midnight_ns(date_digits: str) -> int:
    return utc_ns(int(date_digits[:4]), int(date_digits[4:6]), int(date_digits[6:]))


def _parse_unusual_time(text: str) -> int:
    found = _TIME_VAL.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"not a time: {text[:40]!r}")
    year = int(found["year"] or 1900 + int(found["since_1900"]))
    month, day, hour, minute, second = (int(found[group]) for group in range(3, 8))
    fraction_ns = int((found["fraction"] or "")[:9].ljust(9, "0"))
    return utc_ns(year, month, day, hour, minute, second) + fraction_ns


def format_time(ns: int) -> str:
    """YYYYMMDDHHMMSS, the fraction of a second cut off downwards. RFC 3659 2.3.

    Raises ValueError outside the years 1 to 9999.
    """
    try:
        moment = _EPOCH + timedelta(seconds=ns // SECOND_NS)
    except OverflowError as error:
        raise ValueError(f"no year of four digits: {ns} ns") from error
    return re.sub(r"[^0-9]", "", moment.replace(tzinfo=None).isoformat())


def guess_year_ns(month: int, day: int, hour: int, minute: int, now_ns: int) -> int:
    """A listing's time without a year, in nanoseconds since the epoch.

    The latest year that puts it no more than a day ahead of `now_ns`: a day covers servers that
    list local time, and their clocks. 29 February looks back to a leap year. Raises ValueError
    for a date that no year has.
    """
    latest_ns = now_ns + _DAY_NS
    this_year = (_EPOCH + timedelta(seconds=latest_ns // SECOND_NS)).year
    for year in range(this_year, this_year - _LOOK_BACK_YEARS - 1, -1):
        if (month, day) == (2, 29) and not _is_leap(year):
            continue
        ns = utc_ns(year, month, day, hour, minute)
        if ns <= latest_ns:
            return ns
    raise ValueError(f"no year has {month}-{day}")


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
