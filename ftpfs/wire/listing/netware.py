"""LIST lines of Novell NetWare: the rights of a trustee in brackets where Unix has its letters."""

from __future__ import annotations

import re

from ftpfs.wire import lazily
from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.listing.clock import Clock
from ftpfs.wire.listing.dates import CERTAIN_DATE, read_date

_line = lazily.fullmatch(
    r"(?P<type>[-d]) ?\[[A-Z-]{8,9}\] {1,9}(?:[0-9]{1,9} {1,9})?"
    r"[^ ]{1,64}(?: [^ ]{1,64})? {1,40}(?P<size>[0-9]{1,18}) {1,40}"
    + CERTAIN_DATE
    + r" {1,9}(?P<name>[^ ].*)",
    re.DOTALL | re.IGNORECASE,
)


class NetwareParser:
    """Lines of one listing to entries. Rights are the login's own, no permission bits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, line: str) -> Entry:
        """The entry of one line. Raises ValueError."""
        found = _line(line)
        if found is None:
            raise ValueError("not a line of NetWare")
        kind = Kind.DIRECTORY if found["type"] in "dD" else Kind.FILE
        time = read_date(found["date"], self._clock)
        return Entry(found["name"], kind, int(found["size"]), *time)
