"""LIST lines of servers that are met so seldom that one expression each does."""

from __future__ import annotations

import re

from ftpfs.wire import lazily
from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.listing.clock import Clock
from ftpfs.wire.listing.dates import time_of

_SIZE = r"(?P<size>[0-9]{1,18})"
_CLOCK = r"(?P<clock>[0-9]{1,2}:[0-9]{2})"
_SECONDS = _CLOCK + r":[0-9]{2}"
_WORD = r"(?P<word>[A-Za-z]{3})"
_MONTH = r"(?P<month>[0-9]{2})"
_DAY = r"(?P<day>[0-9]{1,2})"
_YEAR = r"(?P<year>[0-9]{2,4})"

_FORMATS = (
    # OS/2: `587823    RSA    DIR   01-08-97   13:58  OS2KRNL`; the year 2003 can be 103.
    rf" {{0,20}}{_SIZE} {{1,20}}(?:[ARSH]{{1,4}} {{1,12}})?(?:(?P<folder>DIR) {{1,12}})?"
    rf"(?:[ARSH]{{1,4}} {{1,12}})?{_MONTH}-{_DAY}-{_YEAR} {{1,9}}{_CLOCK} {{1,9}}(?P<name>[^ ].*)",
    # VxWorks, the system of many routers and machines: `512  FEB-11-1980  12:34:56  SRC  <DIR>`.
    rf" {{0,20}}{_SIZE} {{1,20}}{_WORD}-{_DAY}-{_YEAR} {{1,9}}{_SECONDS} {{1,9}}"
    r"(?P<name>[^ ].*?) {0,40}(?P<folder><DIR>)? {0,9}",
    # VShell, before it listed as Unix does: `206876  Apr 04, 2000 21:06 notes.txt`, `src/`.
    rf"{_SIZE} {{1,20}}{_WORD} {_DAY}, {_YEAR} {_CLOCK} (?P<name>[^ ].*)",
    # HP NonStop: `ACCTDAT  101   16354  14-Mar-14 15:09:12 244, 10 "oooo"`.
    rf"(?P<name>[^ ]{{1,40}}) {{1,20}}[0-9]{{1,5}}[+-]? {{1,20}}{_SIZE} {{1,9}}"
    rf"{_DAY}-{_WORD}-{_YEAR} {{1,9}}{_SECONDS} {{1,9}}[0-9]{{1,3}}, {{0,3}}[0-9]{{1,3}}"
    r' {1,9}"[^ "]{4}"',
    # Nortel's wfFtp: `config       1014196  06/03/04  Thur.   10:20:03`.
    rf"(?P<name>[^ ]{{1,80}}) {{1,40}}{_SIZE} {{1,9}}{_MONTH}/{_DAY}/{_YEAR} {{1,9}}"
    rf"[A-Z][a-z]{{2,4}}\. {{1,9}}{_SECONDS}",
    # z/VM, with the length of a record and their number:
    # `PROFILE  EXEC     V         65        107          2 2005-10-04 15:28:42 060191`.
    r"(?P<name>[^ ]{1,8}) {1,9}(?P<type>[^ ]{1,8}) {1,9}"
    r"(?:[FV] {1,12}(?P<length>[0-9]{1,9}) {1,12}(?P<records>[0-9]{1,9}) {1,12}[0-9]{1,9}"
    r"|-(?: {1,12}-){2,3}) {1,9}"
    rf"{_YEAR}-{_MONTH}-{_DAY} {{1,9}}{_SECONDS}(?: {{1,9}}[^ ]{{1,8}})?",
)
_MATCHES = [lazily.fullmatch(form, re.DOTALL) for form in _FORMATS]

_headings = lazily.fullmatch(
    r" {0,20}(?:size {1,20}date {1,20}time {1,20}name|-{4,12}(?: {1,20}-{4,12}){3}"
    r"|File {1,20}Code {1,20}EOF {1,9}Last Modification {1,9}Owner {1,9}RWEP) {0,20}"
)


class OtherParser:
    """Lines of one listing to entries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, line: str) -> Entry | None:
        """The entry of one line, None for a heading. Raises ValueError."""
        for match in _MATCHES:
            if found := match(line):
                return _entry(found.groupdict(), self._clock)
        if _headings(line):
            return None
        raise ValueError("not a line of any server known")


def _entry(fields: dict[str, str | None], clock: Clock) -> Entry:
    time = time_of(fields, clock)
    name, type_ = fields["name"] or "", fields.get("type")
    if fields.get("folder") or type_ == "DIR" or name.endswith("/"):
        return Entry(name.rstrip("/"), Kind.DIRECTORY, 0, *time)
    if type_ is None:
        return Entry(name, Kind.FILE, int(fields["size"] or 0), *time)
    size = rough(int(fields["length"] or 0) * int(fields["records"] or 0))  # of padded records
    return Entry(f"{name}.{type_}", Kind.FILE, size, *time)
