"""Listings: bytes of a data connection to entries.

LIST has no standard. Each dialect is a module with one function from a line to an entry, and
`parse_list_line` chooses by the line's first character.
"""

from __future__ import annotations

from collections.abc import Callable

from ftpfs.errors import ProtocolError
from ftpfs.wire.entry import Entry
from ftpfs.wire.listing.dos import parse_dos_line
from ftpfs.wire.listing.unix import parse_unix_line
from ftpfs.wire.pathname import is_listed_name

# Room for a name and a link target of 4 KiB each, in any encoding; a server that never ends a
# line costs no more memory than this.
MAX_LIST_LINE = 64 * 1024

# At some 400 bytes an entry this is 2 GB: a listing beyond it is an attack or a loop.
MAX_ENTRIES = 5_000_000

_MAX_SAMPLES = 5
_SAMPLE_CHARACTERS = 200


def parse_list_line(line: str, now_ns: int) -> Entry | None:
    """The entry of one LIST line without its line end; None for a blank or a "total" line.

    `now_ns` decides the year where the line has none. `.` and `..` are entries too. Raises
    ValueError for a line of no known dialect.
    """
    if not line or line.isspace():
        return None
    if line[0].isdigit():
        return parse_dos_line(line)
    return parse_unix_line(line, now_ns)


class ListingReader:
    """Collects the entries of one listing as its bytes arrive, in any pieces.

    A line that cannot be read, a name that cannot stand in a directory and a second line of the
    same name are counted in `skipped`, and the first few are kept, escaped, in
    `skipped_samples`: one odd file never hides the others. `saw_dot` tells that `.` or `..` was
    listed, as servers do that know `LIST -a`.
    """

    def __init__(self, parse: Callable[[str], Entry | None], encoding: str = "utf-8") -> None:
        self.entries: dict[str, Entry] = {}
        self.saw_dot = False
        self.skipped = 0
        self.skipped_samples: list[str] = []
        self._parse = parse
        self._encoding = encoding
        self._tail = bytearray()  # a line without its end yet; one byte over the bound: too long

    def feed(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes. Raises ProtocolError beyond MAX_ENTRIES."""
        lines = bytes(chunk).split(b"\n")
        tail = lines.pop()
        if lines:
            lines[0] = bytes(self._tail) + lines[0]
            self._tail.clear()
        for line in lines:
            self._take(line)
        self._tail += tail
        del self._tail[MAX_LIST_LINE + 1 :]

    def finish(self) -> None:
        """Take the last line, should the server have left out its end."""
        line = bytes(self._tail)
        self._tail.clear()
        self._take(line)

    def _take(self, raw: bytes) -> None:
        # One CR only: "a\r\r\n" is a file named "a\r", which must not be shown as "a".
        line = raw.removesuffix(b"\r")
        if not line:
            return
        if len(raw) > MAX_LIST_LINE:
            self._skip(line)
            return
        try:
            entry = self._parse(line.decode(self._encoding, "surrogateescape"))
        except ValueError:
            self._skip(line)
            return
        if entry is not None:
            self._enter(entry, line)

    def _enter(self, entry: Entry, line: bytes) -> None:
        name = entry.name
        if name in (".", ".."):
            self.saw_dot = True
        elif name in self.entries or not is_listed_name(name):
            self._skip(line)
        elif len(self.entries) >= MAX_ENTRIES:
            raise ProtocolError(f"the server listed more than {MAX_ENTRIES} names")
        else:
            self.entries[name] = entry

    def _skip(self, line: bytes) -> None:
        self.skipped += 1
        if len(self.skipped_samples) < _MAX_SAMPLES:
            text = line[:_SAMPLE_CHARACTERS].decode(self._encoding, "backslashreplace")
            self.skipped_samples.append(repr(text)[1:-1][:_SAMPLE_CHARACTERS])
