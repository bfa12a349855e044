"""LIST lines in the shape of `ls -l`.

Where a column is missing or a group holds blanks, the date is the anchor: the size stands left
of it, the name one blank right of it. All repeats are bounded, so that no line takes more than
linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.listing.months import MONTHS
from ftpfs.wire.timeval import UNKNOWN_S, guess_year_ns, utc_ns

_MINUTE_S = 60
_DAY_S = 86_400

_KINDS = {"-": Kind.FILE, "d": Kind.DIRECTORY, "l": Kind.SYMLINK}

# Type, permissions and the mark of an ACL (+), SELinux (.) or macOS (@).
_HEAD = r"(?P<type>[-a-zA-Z])(?P<permissions>[-rwxsStTlL]{9})[.+@]?"
_LINKS_OWNER_GROUP = r" {0,20}[0-9]{1,10} {1,40}[^ ]{1,64} {1,40}[^ ]{1,64} {1,40}"
_ANYTHING = r".*?(?<= )"
# A device has its two numbers in the place of the size.
_SIZE = r"(?:(?P<size>[0-9]{1,18})|[0-9]{1,10}, {0,9}[0-9]{1,10}) {1,40}"
_CLOCK_OR_YEAR = r"(?:(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})|(?P<year>[0-9]{4}))"
_ISO = r"(?P<iso>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2})"
_NAME = r" (?P<name>.+)"


def _date(month: str) -> str:
    """`Nov 22`, `22. Nov` or ISO. Servers in Chinese and Japanese put a sign behind numbers."""
    month_first = rf"(?P<month>{month})\.? {{0,4}}(?P<day>[0-9]{{1,2}})[日.]?"
    day_first = rf"(?P<first_day>[0-9]{{1,2}})\.? {{1,4}}(?P<second_month>{month})\.?"
    return rf"(?:(?:{month_first}|{day_first}) {{1,4}}{_CLOCK_OR_YEAR}|{_ISO})"


# With complete columns any word can pass for a month, also one of an unknown language or in a
# wrong encoding: a file without its time is better than no file.
_ANY_MONTH = r"[^ 0-9.]{2,12}|1?[0-9]月"
_complete = re.compile(
    _HEAD + _LINKS_OWNER_GROUP + _SIZE + _date(_ANY_MONTH) + _NAME, re.DOTALL
).fullmatch

# Without them it must be a known one, or `1 root 12 2048` would be a date. All forms of a date
# are in one expression, so that the leftmost counts and none is found in a name.
_KNOWN_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_anchored = re.compile(
    _HEAD + _ANYTHING + _SIZE + _date(_KNOWN_MONTH) + _NAME, re.DOTALL | re.IGNORECASE
).fullmatch

_total = re.compile(r"(?:total|insgesamt|totale|итого|总用量|總計|合計|合计):? {0,20}[0-9]").match


def parse_unix_line(line: str, now_ns: int) -> Entry | None:
    """The entry of one line, None for `total 12`. Times are read as UTC.

    Precise to a minute with a clock time, to a day with a year only, and UNKNOWN_S where the
    date makes no sense: a console without a clock lists `Jan 00`. Raises ValueError.
    """
    found = _complete(line) or _anchored(line)
    if found:
        return _entry(found, *_time(found, now_ns))
    if _total(line):
        return None
    raise ValueError("not a line of ls -l")


def _entry(found: re.Match[str], mtime_ns: int, precision_s: int) -> Entry:
    letter, permissions, size = found.group("type", "permissions", "size")
    kind = _KINDS.get(letter, Kind.OTHER)
    name, target = found["name"], None
    if kind is Kind.SYMLINK:
        name, _, pointed = name.partition(" -> ")
        target = pointed or None
    return Entry(name, kind, int(size or 0), mtime_ns, precision_s, _mode(permissions), target)


def _time(found: re.Match[str], now_ns: int) -> tuple[int, int]:
    if found["iso"]:
        fields = map(int, re.split("[- :]", found["iso"]))
        return _checked(utc_ns, _MINUTE_S, *fields)
    month, day, hour, minute, year = found.group("month", "day", "hour", "minute", "year")
    if month is None:
        day, month = found.group("first_day", "second_month")
    return _yearless_or_year(month, day, hour, minute, year, now_ns)


@lru_cache(maxsize=4096)  # the files of one directory share their dates
def _yearless_or_year(
    month: str, day: str, hour: str | None, minute: str | None, year: str | None, now_ns: int
) -> tuple[int, int]:
    number = MONTHS.get(month.lower(), 0)
    if year:
        return _checked(utc_ns, _DAY_S, int(year), number, int(day))
    clock = int(hour or 0), int(minute or 0)
    return _checked(guess_year_ns, _MINUTE_S, number, int(day), *clock, now_ns)


def _checked(time_ns: Callable[..., int], precision_s: int, *fields: int) -> tuple[int, int]:
    try:
        return time_ns(*fields), precision_s
    except ValueError:
        return 0, UNKNOWN_S


@lru_cache(maxsize=1024)
def _mode(permissions: str) -> int:
    """The nine letters as mode bits, with setuid, setgid and sticky."""
    mode = 0
    for place, letter in enumerate(permissions):
        bit = 0o400 >> place
        if letter in "rwxst":
            mode |= bit
        if letter in "sStTlL":  # l and L: Solaris' setgid without group execution
            mode |= 0o4000 >> (place // 3)
    return mode
