"""LIST lines of IBM z/OS (MVS): data sets, and the members of a partitioned one.

The files of its Unix side are listed as `ls -l` does. No line tells a size in bytes: `Used` counts
tracks, a member's `Size` lines; only a load module has one. IBM, z/OS Communications Server: IP
User's Guide, "DIr subcommand" and "FTP with the LIST subcommand".
"""

from __future__ import annotations

import re

from ftpfs.wire import lazily
from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.listing.clock import UNKNOWN, Clock, Time

_DATE = r"(?P<year>[0-9]{4})/(?P<month>[0-9]{2})/(?P<day>[0-9]{2})"
_NAME = r"(?P<name>[^ ]{1,56})"

# Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname
_data_set = lazily.fullmatch(
    rf"[^ ]{{1,6}} {{1,9}}[^ ]{{1,8}} {{1,9}}(?:{_DATE}|\*\*NONE\*\*)"
    rf" .{{0,60}}? (?P<organisation>PS|PO|DA|VS|IS|PS-[EL]|PO-E) {{1,9}}{_NAME}"
)
_elsewhere = lazily.fullmatch(
    r"(?:[^ ]{1,6} {1,9}[^ ]{1,8} {1,9}VSAM|[^ ]{1,6} {1,9}Tape"
    rf"|Migrated|ARCIVE Not Direct Access Device)[ \t]{{1,80}}{_NAME}"
)
_pseudo_directory = lazily.fullmatch(rf"Pseudo Directory {{1,80}}{_NAME}")

# Name     VV.MM   Created       Changed      Size  Init   Mod   Id
_member = lazily.fullmatch(
    rf"{_NAME} {{1,9}}[0-9]{{2}}\.[0-9]{{2}} {{1,9}}[0-9/]{{10}} {{1,9}}{_DATE}"
    r" {1,9}(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}) {1,9}[0-9]{1,9} .{0,40}"
)
# Name      Size     TTR   Alias-of AC --------- Attributes --------- Amode Rmode
_module = lazily.fullmatch(
    rf"{_NAME} {{1,9}}(?P<size>[0-9A-F]{{6,8}}) {{1,9}}[0-9A-F]{{6}} {{1,20}}.{{1,80}}"
)
_bare_member = lazily.fullmatch(r"(?P<name>[A-Z0-9$#@]{1,8}) {0,80}")

_HEADINGS = ("Volume Unit", "Name VV.MM", "Name Size TTR")


class ZosParser:
    """Lines of one listing to entries; for one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._members = False  # a heading has said so: then a bare name is a member too

    def __call__(self, line: str) -> Entry | None:
        """The entry of one line, None for a heading. Raises ValueError."""
        if " ".join(line.split(None, 3)[:3]).startswith(_HEADINGS):
            self._members = "Name" in line[:10]
            return None
        if found := _data_set(line):
            return self._data_set(found)
        if found := _elsewhere(line):
            return Entry(found["name"], Kind.FILE, rough(0), *UNKNOWN)
        if found := _pseudo_directory(line):
            return Entry(found["name"], Kind.DIRECTORY, 0, *UNKNOWN)
        return self._member(line)

    def _data_set(self, found: re.Match[str]) -> Entry:
        partitioned = found["organisation"].startswith("PO")
        kind, size = (Kind.DIRECTORY, 0) if partitioned else (Kind.FILE, rough(0))
        return Entry(found["name"], kind, size, *self._time(found))

    def _member(self, line: str) -> Entry:
        if found := _member(line):
            time = self._time(found, int(found["hour"]), int(found["minute"]))
            return Entry(found["name"], Kind.FILE, rough(0), *time)
        if found := _module(line):
            return Entry(found["name"], Kind.FILE, rough(int(found["size"], 16)), *UNKNOWN)
        if self._members and (found := _bare_member(line)):
            return Entry(found["name"], Kind.FILE, rough(0), *UNKNOWN)
        raise ValueError("not a line of z/OS")

    def _time(self, found: re.Match[str], hour: int | None = None, minute: int = 0) -> Time:
        """A data set has only the day of its last use; the day of a change is no later."""
        if found["year"] is None:
            return UNKNOWN
        date = int(found["year"]), int(found["month"]), int(found["day"])
        return self._clock.day(*date) if hour is None else self._clock.minute(*date, hour, minute)
