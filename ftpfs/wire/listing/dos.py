"""LIST lines in the shape of `dir`: IIS, and other servers on Windows."""

from __future__ import annotations

import re

from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.timeval import UNKNOWN_S, utc_ns

_LINE = re.compile(
    r"(?P<date>[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{2,4}) {1,9}"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?: ?(?P<half>[AaPp])[Mm]?)?"
    r"(?P<gap> {1,40})(?:<(?P<tag>[A-Za-z]{3,9})>(?P<pad> {1,40})|(?P<size>[0-9][0-9,]{0,17}) )"
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


def parse_dos_line(line: str) -> Entry:
    """The entry of one line. Times are read as UTC, to the minute. Raises ValueError."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError("not a line of dir")
    mtime_ns, precision_s = _time(found)
    if found["tag"] is None:
        size = int(found["size"].replace(",", ""))
        return Entry(found["name"], Kind.FILE, size, mtime_ns, precision_s)
    kind = _TAGS.get(found["tag"].upper(), Kind.OTHER)
    name, target = _tagged_name(found), None
    if found["tag"].upper() != "DIR" and name.endswith("]") and " [" in name:
        name, _, target = name[:-1].partition(" [")
    return Entry(name, kind, 0, mtime_ns, precision_s, None, target)


def _tagged_name(found: re.Match[str]) -> str:
    blanks = len(found["pad"])
    if len(found["gap"]) in _WINDOWS_GAPS:
        blanks -= max(0, _TAG_COLUMN - len(found["tag"]) - 2)
        return " " * blanks + found["name"]
    return found["name"]


def _time(found: re.Match[str]) -> tuple[int, int]:
    year, month, day = _date(found["date"])
    hour = int(found["hour"])
    if found["half"]:
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    try:
        return utc_ns(year, month, day, hour, int(found["minute"])), 60
    except ValueError:
        return 0, UNKNOWN_S


def _date(text: str) -> tuple[int, int, int]:
    """Year, month and day; the month stands first unless the numbers or dots say otherwise."""
    first, second, third = re.split("[-/.]", text)
    if len(first) == 4:
        return int(first), int(second), int(third)
    month, day = int(first), int(second)
    if month > 12 or "." in text:
        month, day = day, month
    return _full_year(int(third)), month, day


def _full_year(year: int) -> int:
    """Two digits: 1970 to 2069. Three are the years since 1900 of a server never mended."""
    if year < 70:
        return 2000 + year
    return 1900 + year if year < 1000 else year
