"""LIST lines in the shape of `ls -l`, of every vintage.

Nearly all lines have all their columns and an English date, and are read by one expression. The
others are tried in turn: other dates; columns missing, where the date is the anchor with the size
left of it and the name one blank right of it; a size that touches the group; no date at all. All
repeats are bounded, so that no line takes more than linear time.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ftpfs.wire import lazily
from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.listing.clock import DAY_S, MINUTE_S, UNKNOWN, Clock, Time
from ftpfs.wire.listing.dates import ANY_DATE, CERTAIN_DATE, read_date, without_padding
from ftpfs.wire.timeval import SECOND_NS

_KINDS = {"-": Kind.FILE, "f": Kind.FILE, "d": Kind.DIRECTORY, "l": Kind.SYMLINK}

_PERMISSIONS = r"[-rwxsStTlL]{9}"
# Type, permissions and the mark of an ACL (+), SELinux (.) or macOS (@).
_HEAD = rf"(?P<type>[-a-zA-Z])(?P<permissions>{_PERMISSIONS})[.+@]?"
_LINKS_OWNER_GROUP = r" {0,20}[0-9]{1,10} {1,40}[^ ]{1,64} {1,40}[^ ]{1,64} {1,40}"
_ANYTHING = r".*?(?<= )"
# A device has its two numbers in the place of the size; `ls -h` rounds.
_SIZE = (
    r"(?:(?P<size>[0-9]{1,18})|[0-9]{1,10}, {0,9}(?:0x[0-9a-f]{1,16}|[0-9]{1,10})"
    r"|(?P<rounded>[0-9]{1,4}(?:\.[0-9])?)(?P<unit>[kKMGT])) {1,40}"
)
_NAME = r" (?P<name>.+)"

_usual = lazily.fullmatch(
    rf"([-a-zA-Z])({_PERMISSIONS})[.+@]?"
    + _LINKS_OWNER_GROUP
    + r"([0-9]{1,18}) {1,40}([A-Z][a-z]{2} [ 0-3][0-9]) "
    r"(?:((?:[01][0-9]|2[0-3]):[0-5][0-9])| ([0-9]{4})) (.+)",
    re.DOTALL,
)

_COLUMNS = (
    lazily.fullmatch(_HEAD + _LINKS_OWNER_GROUP + _SIZE + ANY_DATE + _NAME, re.DOTALL),
    lazily.fullmatch(_HEAD + _ANYTHING + _SIZE + CERTAIN_DATE + _NAME, re.DOTALL | re.IGNORECASE),
)

# Tru64: a group of nine letters leaves no blank before the size. One that ends in digits would
# make the size too large: it is a rough one.
_stuck = lazily.fullmatch(
    _HEAD
    + _LINKS_OWNER_GROUP.removesuffix(" {1,40}").replace("[^ ]{1,64}", "[^ ]{0,63}[^ 0-9]")
    + r"(?P<stuck>[0-9]{1,18}) {1,40}"
    + CERTAIN_DATE
    + _NAME,
    re.DOTALL | re.IGNORECASE,
)

# Android's toolbox: no links, and no size but a file's.
_sizeless = lazily.fullmatch(
    _HEAD
    + r"(?: {1,40}[^ ]{1,64}){2} {1,40}(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2})"
    + _NAME,
    re.DOTALL,
)

# A name of one word only: what follows the size may be a date that nobody can read.
_dateless = lazily.fullmatch(
    _HEAD + _LINKS_OWNER_GROUP + _SIZE.removesuffix(" {1,40}") + r" (?P<name>[^ ]+)", re.DOTALL
)

# `ls -is`: inode and blocks stand before all the rest.
_numbers_ahead = lazily.match(
    rf" {{0,20}}(?:[0-9]{{1,20}} {{1,20}}){{0,2}}(?=[-a-zA-Z]{_PERMISSIONS})"
)

# `total 12`, in any language.
is_total = lazily.fullmatch(r"[^ 0-9]{2,20}(?: [^ 0-9]{1,12})?:? {1,20}[0-9.,]{1,20}[kKMGT]?")

_CLOCK_NS = {
    f"{hour:02}:{minute:02}": (hour * 60 + minute) * MINUTE_S * SECOND_NS
    for hour in range(24)
    for minute in range(60)
}

_MAX_KNOWN_DAYS = 10_000


class UnixParser:
    """Lines of one `ls -l` to entries; for one thread.

    Times are precise to a minute with a clock time, to a day with a year only, and unknown where
    the date makes no sense.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._usual = _usual.expression.fullmatch
        self._days: dict[str, int] = {}  # what _day_ns found

    def __call__(self, line: str) -> Entry:
        """The entry of one line. Raises ValueError."""
        found = self._usual(line)
        if found is None:
            return self._unusual(line)
        letter, permissions, size, day, clock, year, name = found.groups()
        if clock and day in self._days:
            time: Time = self._days[day] + _CLOCK_NS[clock], MINUTE_S
        else:
            time = self._time(day, clock, year)
        return _entry(letter, permissions, int(size), time, name)

    def _time(self, day: str, clock: str | None, year: str | None) -> Time:
        if clock is None:
            key = f"{day}  {year}"
            time_ns = self._days.get(key)
            return self._remember(key) if time_ns is None else (time_ns, DAY_S)
        first, last = (read_date(f"{day} {at}", self._clock) for at in ("00:00", "23:59"))
        if first != UNKNOWN and last[0] - first[0] == _CLOCK_NS["23:59"]:
            # The whole day lies in one year. It does not where the day a year ago ends and the
            # one tomorrow begins.
            self._keep(day, first[0])
        return read_date(f"{day} {clock}", self._clock)

    def _remember(self, date: str) -> Time:
        time = read_date(date, self._clock)
        if time != UNKNOWN:
            self._keep(date, time[0])
        return time

    def _keep(self, key: str, time_ns: int) -> None:
        if len(self._days) < _MAX_KNOWN_DAYS:
            self._days[key] = time_ns

    def _unusual(self, line: str) -> Entry:
        ahead = _numbers_ahead(line)
        line = line[ahead.end() :] if ahead else line
        for match in (*_COLUMNS, _stuck, _sizeless):
            if found := match(line):
                name = without_padding(found["date"], found["name"])
                return _described(found, name, read_date(found["date"], self._clock))
        if found := _dateless(line):
            return _described(found, found["name"], UNKNOWN)
        raise ValueError("not a line of ls -l")


def _described(found: re.Match[str], name: str, time: Time) -> Entry:
    return _entry(found["type"], found["permissions"], _size(found.groupdict()), time, name)


def _entry(letter: str, permissions: str, size: int, time: Time, name: str) -> Entry:
    kind = _KINDS.get(letter, Kind.OTHER)
    target = None
    if kind is Kind.SYMLINK:
        name, target = _link(name, size)
    elif kind is Kind.DIRECTORY and name[-1] == "/":  # `ls -F`, `ls -p`
        name = name[:-1]
    return Entry(name, kind, size, time[0], time[1], mode_of(permissions), target)


def _link(text: str, size: int) -> tuple[str, str | None]:
    """Name and target. Of several arrows the one that leaves a target of the link's size."""
    name, _, target = text.partition(" -> ")
    if " -> " in target:
        raw = text.encode("utf-8", "surrogateescape")
        if raw[-size - 4 : -size] == b" -> " and len(raw) > size + 4:
            name = raw[: -size - 4].decode("utf-8", "surrogateescape")
            target = raw[-size:].decode("utf-8", "surrogateescape")
    return name, target or None


def _size(fields: dict[str, str | None]) -> int:
    if stuck := fields.get("stuck"):
        return rough(int(stuck))
    if rounded := fields.get("rounded"):
        return rough(
            int(float(rounded) * 1024 ** (1 + "KMGT".index((fields["unit"] or "").upper())))
        )
    return int(fields.get("size") or 0)


@lru_cache(maxsize=1024)
def mode_of(permissions: str) -> int:
    """The nine letters as mode bits, with setuid, setgid and sticky."""
    mode = 0
    for place, letter in enumerate(permissions):
        bit = 0o400 >> place
        if letter in "rwxst":
            mode |= bit
        if letter in "sStTlL":  # l and L: Solaris' setgid without group execution
            mode |= 0o4000 >> (place // 3)
    return mode
