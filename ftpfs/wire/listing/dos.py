"""LIST lines in the shape of `dir`: IIS, Windows CE, and other servers on Windows."""

from __future__ import annotations

import re

from ftpfs.wire import lazily
from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.listing.clock import MINUTE_S, UNKNOWN, Clock, Time, full_year
from ftpfs.wire.timeval import SECOND_NS

_line = lazily.fullmatch(
    r"(?P<date>[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{2,4}) {1,9}"
    r"(?P<clock>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)(?: ?(?P<half>[AaPp])\.?[Mm]?\.?)?"
    r"(?P<gap> {1,40})(?:<(?P<tag>[A-Za-z]{3,9})>(?P<pad> {1,40})|(?P<size>[0-9][0-9,.]{0,24}) )"
    r"(?P<name>.+)",
    re.DOTALL,
)

# A junction is a mount point, entered like any directory. A symbolic link stays a link, so
# that removing a tree never follows it.
_TAGS = {
    "DIR": Kind.DIRECTORY,
    "JUNCTION": Kind.DIRECTORY,
    "SYMLINKD": Kind.SYMLINK,
    "SYMLINK": Kind.SYMLINK,
}

# Windows writes the tag 7 (IIS) or 4 (cmd) blanks after the time, in a column of 15: blanks
# beyond it belong to the name. Other servers pad as they like.
_WINDOWS_GAPS = (4, 7)
_TAG_COLUMN = 15

_MINUTE_NS = MINUTE_S * SECOND_NS
_MAX_KNOWN_DAYS = 10_000


class DosParser:
    """Lines of one `dir` to entries; for one thread. Times are precise to a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._midnights: dict[str, Time] = {}  # by the date's text

    def __call__(self, line: str) -> Entry:
        """The entry of one line. Raises ValueError."""
        found = _line(line)
        if found is None:
            raise ValueError("not a line of dir")
        date, clock, half, tag, size, name = found.group(
            "date", "clock", "half", "tag", "size", "name"
        )
        time = self._time(date, clock, half)
        if tag is None:
            return Entry(name, Kind.FILE, int(size.translate(_SEPARATORS)), time[0], time[1])
        return _tagged(found, time)

    def _time(self, date: str, clock: str, half: str | None) -> Time:
        midnight = self._midnights.get(date) or self._midnight(date)
        words = clock.split(":")
        hour, minute = int(words[0]), int(words[1])
        if half:
            hour = hour % 12 + (12 if half in "Pp" else 0)
        if midnight == UNKNOWN or hour > 23 or minute > 59:
            return UNKNOWN
        return midnight[0] + (hour * 60 + minute) * _MINUTE_NS, MINUTE_S

    def _midnight(self, date: str) -> Time:
        time = self._clock.minute(*_read_date(date), 0, 0)
        if len(self._midnights) < _MAX_KNOWN_DAYS:
            self._midnights[date] = time
        return time


_SEPARATORS = str.maketrans("", "", ",.")


def _tagged(found: re.Match[str], time: Time) -> Entry:
    tag = found["tag"].upper()
    name, target = _tagged_name(found), None
    if tag != "DIR" and name.endswith("]") and " [" in name:
        name, _, target = name[:-1].partition(" [")
    return Entry(name, _TAGS.get(tag, Kind.OTHER), 0, *time, None, target)


def _tagged_name(found: re.Match[str]) -> str:
    blanks = len(found["pad"])
    if len(found["gap"]) in _WINDOWS_GAPS:
        blanks -= max(0, _TAG_COLUMN - len(found["tag"]) - 2)
        return " " * blanks + found["name"]
    return found["name"]


def _read_date(text: str) -> tuple[int, int, int]:
    """Year, month and day; the month stands first unless the numbers or dots say otherwise."""
    first, second, third = re.split("[-/.]", text)
    if len(first) > 2:
        return int(first), int(second), int(third)
    month, day = int(first), int(second)
    if month > 12 or "." in text:
        month, day = day, month
    return full_year(int(third)), month, day
