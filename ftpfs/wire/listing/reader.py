"""The bytes of a listing's data connection to entries by name."""

from __future__ import annotations

from collections.abc import Callable

from ftpfs.config import LISTING_BYTES, LISTING_LINE_BYTES, LISTING_LINES, NAME_BYTES
from ftpfs.errors import DirectoryTooLargeError
from ftpfs.wire.entry import Entries, Entry, Kind, rounded
from ftpfs.wire.pathname import is_listed_name

_MAX_SAMPLES = 5
_SAMPLE_CHARACTERS = 200


class ListingReader:
    """Collects the entries of one listing as its bytes arrive, in any pieces.

    A line that cannot be read, a name that cannot stand in a directory and a second line of the
    same name are counted in `skipped`, and the first few are kept, escaped, in
    `skipped_samples`: one odd file never hides the others. `unsized` are the files whose size
    the listing told roughly or not at all. `saw_dot` tells that `.` or `..` was listed, as
    servers do that know `LIST -a`.
    """

    def __init__(self, parse: Callable[[str], Entry | None], encoding: str = "utf-8") -> None:
        self.entries = Entries()
        self.unsized: list[str] = []
        self.saw_dot = False
        self.skipped = 0
        self.lost = 0  # of these: all but repeated names
        self.skipped_samples: list[str] = []
        self._parse = parse
        self._encoding = encoding
        self._bytes = self._lines = 0
        self._tail = bytearray()  # a line without its end yet; one byte over the bound: too long

    def feed(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes. Raises DirectoryTooLargeError."""
        lines = bytes(chunk).split(b"\n")
        tail = lines.pop()
        self._count(len(chunk), len(lines))
        if lines:
            lines[0] = bytes(self._tail) + lines[0]
            self._tail.clear()
        for line in lines:
            self._take(line)
        self._tail += tail
        del self._tail[LISTING_LINE_BYTES + 1 :]

    def _count(self, count: int, lines: int) -> None:
        self._bytes += count
        self._lines += lines
        if self._lines > LISTING_LINES:
            raise DirectoryTooLargeError(f"too large: more than {LISTING_LINES:,} lines to list")
        if self._bytes > LISTING_BYTES:
            raise DirectoryTooLargeError(f"too large: more than {LISTING_BYTES:,} bytes to list")

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
        if len(raw) > LISTING_LINE_BYTES:
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
        elif (
            name in self.entries
            or not is_listed_name(name)
            or (len(line) > NAME_BYTES and self._is_too_long(name))
        ):
            self._skip(line, repeated=name in self.entries)
        else:
            if entry.size < 0:
                entry = self._rounded(entry)
            self.entries[name] = entry

    def _is_too_long(self, name: str) -> bool:
        return len(name.encode(self._encoding, "surrogateescape")) > NAME_BYTES

    def _rounded(self, entry: Entry) -> Entry:
        if entry.kind is Kind.FILE:
            self.unsized.append(entry.name)
        return entry._replace(size=rounded(entry.size) or 0)

    def _skip(self, line: bytes, *, repeated: bool = False) -> None:
        self.skipped += 1
        self.lost += not repeated
        if len(self.skipped_samples) < _MAX_SAMPLES:
            text = line[:_SAMPLE_CHARACTERS].decode(self._encoding, "backslashreplace")
            self.skipped_samples.append(repr(text)[1:-1][:_SAMPLE_CHARACTERS])
