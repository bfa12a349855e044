"""LIST lines of OpenVMS: UCX, MultiNet and others, in the shape of DIRECTORY.

    CII-MANUAL.TEX;1  213/216  29-JAN-1996 03:33:12  [ANONYMOU,ANONYMOUS]   (RWED,RWED,,)

A long name stands on a line of its own, the rest on the next. The columns have no fixed order.
Names are shown without their version; of several versions the first listed, which is the latest,
is the one that a name without a version means.
"""

from __future__ import annotations

import re

from ftpfs.wire import lazily
from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.listing.clock import UNKNOWN, Clock, Time
from ftpfs.wire.listing.months import month_number

_BLOCK_BYTES = 512
_DIRECTORY_END = ".DIR"

_named = lazily.fullmatch(r"(?P<name>[^ ;\[\]()]{1,255});[0-9]{1,5}(?: {1,40}(?P<rest>[^ ].*))?")
_blocks = lazily.fullmatch(r"([0-9]{1,12})(?:/[0-9]{1,12})?")
_bytes = lazily.fullmatch(r"([0-9]{1,12})([KMG]?)B")
_date = lazily.fullmatch(r"([0-9]{1,2})-([^ 0-9-]{3,4})-([0-9]{4})")
_clock = lazily.fullmatch(r"([0-9]{1,2}):([0-9]{2})(?::[0-9]{2}(?:\.[0-9]{1,2})?)?")
_around = lazily.fullmatch(
    r"(?:Directory [^ ]{1,255}[\]>]|Total (?:of )?[0-9]{1,9} files?\b.{0,80})"
)


class VmsParser:
    """Lines of one listing to entries; for one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: str | None = None  # a name whose line ended behind it
        self._last: str | None = None

    def __call__(self, line: str) -> Entry | None:
        """The entry that a line completes; None for the first line of two, for an older version
        and for the lines around a listing. Raises ValueError."""
        waiting, self._waiting = self._waiting, None
        if found := _named(line):
            if found["rest"] is None:
                self._waiting = found["name"]
                return None
            return self._entry(found["name"], found["rest"])
        if waiting is not None:
            return self._entry(waiting, line)
        if _around(line):
            return None
        raise ValueError("not a line of VMS")

    def _entry(self, name: str, columns: str) -> Entry | None:
        size, time = self._read(columns)
        if name == self._last:
            return None
        self._last = name
        if name.upper().endswith(_DIRECTORY_END):
            return Entry(name[: -len(_DIRECTORY_END)], Kind.DIRECTORY, 0, *time)
        return Entry(name, Kind.FILE, rough(size), *time)

    def _read(self, columns: str) -> tuple[int, Time]:
        """Size and time. Neither where the server was not allowed to look (`%RMS-E-PRV`).

        Raises ValueError where nothing is as VMS has it.
        """
        size: int | None = None
        day = clock = None
        words = columns.split()
        for word in words:
            if size is None and (found := _blocks(word)):
                size = int(found[1]) * _BLOCK_BYTES
            elif size is None and (found := _bytes(word)):
                size = int(found[1]) * 1024 ** " KMG".index(found[2] or " ")
            day = day or _date(word)
            clock = clock or _clock(word)
        if size is None and day is None and not words[:1] == ["%RMS-E-PRV,"]:
            raise ValueError("not the columns of VMS")
        return size or 0, self._time(day, clock)

    def _time(self, day: re.Match[str] | None, clock: re.Match[str] | None) -> Time:
        if day is None:
            return UNKNOWN
        date = int(day[3]), month_number(day[2]), int(day[1])
        return (
            self._clock.minute(*date, int(clock[1]), int(clock[2]))
            if clock
            else self._clock.day(*date)
        )
