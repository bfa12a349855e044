"""EPLF, "easily parsed LIST format": publicfile and other servers of its author's school.

`+i8388621.48594,m825718503,r,s280,<tab>name`: facts, of which unknown ones are skipped, and a name
behind a tab. https://cr.yp.to/ftp/list/eplf.html
"""

from __future__ import annotations

from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.listing.clock import UNKNOWN, Time
from ftpfs.wire.timeval import SECOND_NS

_MAX_DIGITS = 18


def parse_eplf_line(line: str) -> Entry:
    """The entry of one line; its time is UTC and exact. Raises ValueError."""
    facts, tab, name = line.partition("\t")
    if not (facts.startswith("+") and tab and name):
        raise ValueError("not a line of EPLF")
    kind, size, time, mode = Kind.OTHER, rough(0), UNKNOWN, None
    for fact in facts[1:].split(","):
        if fact == "/":
            kind = Kind.DIRECTORY
        elif fact == "r" and kind is Kind.OTHER:
            kind = Kind.FILE
        elif fact[:1] == "s":
            size = _number(fact[1:], size)
        elif fact[:1] == "m":
            time = _time(fact[1:])
        elif fact[:2] == "up":
            mode = _mode(fact[2:])
    return Entry(name, kind, size if kind is Kind.FILE else max(0, size), *time, mode)


def _number(digits: str, otherwise: int) -> int:
    usable = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
    return int(digits) if usable else otherwise


def _time(digits: str) -> Time:
    seconds = _number(digits, -1)
    return UNKNOWN if seconds < 0 else (seconds * SECOND_NS, 1)


def _mode(digits: str) -> int | None:
    try:
        return int(digits[:8], 8) & 0o7777
    except ValueError:
        return None
