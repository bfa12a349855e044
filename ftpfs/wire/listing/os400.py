"""LIST lines of IBM i (OS/400, AS/400): owner, size, date, time, the object's type, its name.

QSYS            77824 02/23/00 15:09:55 *DIR       home/
QPGMR                                   *MEM       SOURCE.FILE/MAIN.MBR
"""

from __future__ import annotations

import re

from ftpfs.wire import lazily
from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.listing.clock import UNKNOWN, Clock, Time, full_year

_line = lazily.fullmatch(
    r"[^ ]{1,12} {1,40}(?:(?P<size>[0-9]{1,18}) {1,9}"
    r"(?P<date>[0-9]{1,4}[-/.,][0-9]{1,2}[-/.,][0-9]{1,4}) {1,9}"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):[0-9]{2} {1,9})?"
    r"\*(?P<type>[A-Z]{2,10}) {1,20}(?P<name>[^ ].*)",
    re.DOTALL,
)

# A physical file is entered like a directory, its members are the files; a save file is one.
_DIRECTORIES = ("DIR", "DDIR", "LIB", "FLR", "FILE")
_SAVE_FILE = ".SAVF"


class Os400Parser:
    """Lines of one listing to entries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, line: str) -> Entry | None:
        """The entry of one line; None for a member that a library lists besides its file.

        Raises ValueError.
        """
        found = _line(line)
        if found is None:
            raise ValueError("not a line of OS/400")
        kind = _kind(found["type"], found["name"])
        name = found["name"].rstrip("/") if kind is Kind.DIRECTORY else found["name"]
        if name.startswith("/"):
            name = name.rpartition("/")[2]
        if "/" in name and found["type"] == "MEM":
            return None
        size = rough(0) if found["size"] is None else int(found["size"])
        return Entry(
            name, kind, max(0, size) if kind is not Kind.FILE else size, *self._time(found)
        )

    def _time(self, found: re.Match[str]) -> Time:
        """The date has the order of the job that serves us: the first that is a date and not to
        come. That is a guess for the first days of a month; days after the 12th decide."""
        if found["date"] is None:
            return UNKNOWN
        clock = int(found["hour"]), int(found["minute"])
        for year, month, day in _readings(found["date"]):
            time = self._clock.minute(year, month, day, *clock)
            if time != UNKNOWN and time[0] <= self._clock.tomorrow_ns:
                return time
        return UNKNOWN


def _kind(type_: str, name: str) -> Kind:
    if type_ in _DIRECTORIES and not name.endswith(_SAVE_FILE):
        return Kind.DIRECTORY
    return Kind.FILE


def _readings(date: str) -> list[tuple[int, int, int]]:
    """Year, month and day in the orders of *MDY, *DMY and *YMD; with dots *DMY is the usual."""
    one, two, three = (int(field) for field in re.split(r"[-/.,]", date))
    if one > 99:
        return [(one, two, three)]
    orders = [(three, one, two), (three, two, one), (one, two, three)]
    if "." in date:
        orders.insert(0, orders.pop(1))
    return [(full_year(year), month, day) for year, month, day in orders]
