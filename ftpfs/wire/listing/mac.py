"""LIST lines of servers on the old Macintosh: NetPresenz, WebSTAR, Rumpus, Stingray.

They look like `ls -l`, but a directory has the word `folder` and its number of items, and a file
the lengths of its resource fork, its data fork and both together:

    -rw-r--r--    54149       27826    81975 Jul 22  2010 scan.jpg
    drwxr-xr-x               folder        0 Oct 18 13:02 Prints
"""

from __future__ import annotations

import re

from ftpfs.wire import lazily
from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.listing.clock import Clock
from ftpfs.wire.listing.dates import CERTAIN_DATE, read_date
from ftpfs.wire.listing.unix import mode_of

_HEAD = r"(?P<type>[-d])(?P<permissions>[-rwx]{9})"
_folder = lazily.fullmatch(
    _HEAD + r" {1,40}folder {1,40}[0-9]{1,18} {1,40}" + CERTAIN_DATE + " (?P<name>.+)",
    re.DOTALL | re.IGNORECASE,
)
_file = lazily.fullmatch(
    _HEAD + r"(?: {1,40}[0-9]{1,18}){3} {1,40}" + CERTAIN_DATE + " (?P<name>.+)",
    re.DOTALL | re.IGNORECASE,
)

# Asked first: it is known without reading the date that nearly no line is one of these.
_begin = re.compile(
    _HEAD + r" {1,40}(?:folder"
    r"|(?P<resource>[0-9]{1,18}) {1,40}(?P<data>[0-9]{1,18}) {1,40}(?P<both>[0-9]{1,18})) ",
    re.IGNORECASE,
).match

# Header and map of an empty resource fork. A smaller number ahead of the owner's is a count of
# links: `1 0 1` is a file of one byte that belongs to root, without a group.
_RESOURCE_FORK_BYTES = 286


class MacParser:
    """Lines of one listing to entries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, line: str) -> Entry:
        """The entry of one line. Raises ValueError.

        What is sent is the data fork, as far as is known: beside a resource fork the size is a
        rough one.
        """
        begin = _begin(line)
        if begin is None:
            raise ValueError("not a line of an old Macintosh")
        if begin["both"] is None:
            return self._entry(_folder(line), Kind.DIRECTORY, 0)
        resource, data, both = (int(begin[name]) for name in ("resource", "data", "both"))
        if resource + data != both or 0 < resource < _RESOURCE_FORK_BYTES:
            raise ValueError("not the lengths of two forks and their sum")
        return self._entry(_file(line), Kind.FILE, rough(data) if resource else data)

    def _entry(self, found: re.Match[str] | None, kind: Kind, size: int) -> Entry:
        if found is None:
            raise ValueError("not a line of an old Macintosh")
        time = read_date(found["date"], self._clock)
        return Entry(found["name"], kind, size, *time, mode_of(found["permissions"]))
