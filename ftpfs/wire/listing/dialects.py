"""Which server's way of listing is this? One line decides, or one with its heading."""

from __future__ import annotations

from collections.abc import Callable

from ftpfs.wire.entry import Entry
from ftpfs.wire.listing.clock import Clock
from ftpfs.wire.listing.dos import DosParser
from ftpfs.wire.listing.eplf import parse_eplf_line
from ftpfs.wire.listing.mac import MacParser
from ftpfs.wire.listing.netware import NetwareParser
from ftpfs.wire.listing.os400 import Os400Parser
from ftpfs.wire.listing.others import OtherParser
from ftpfs.wire.listing.unix import UnixParser, is_total
from ftpfs.wire.listing.vms import VmsParser
from ftpfs.wire.listing.zos import ZosParser

LineParser = Callable[[str], Entry | None]


class ListParser:
    """Lines of one LIST to entries, in whatever dialect; for one thread.

    The dialect that read the last file is asked first. No two read the same line, but for a
    Macintosh's, which Unix would read with wrong sizes and so is asked after it.
    """

    def __init__(self, clock: Clock) -> None:
        self._parsers: tuple[LineParser, ...] = (
            MacParser(clock),
            UnixParser(clock),
            DosParser(clock),
            parse_eplf_line,
            NetwareParser(clock),
            VmsParser(clock),
            Os400Parser(clock),
            ZosParser(clock),
            OtherParser(clock),
        )
        self._sure: LineParser | None = None

    def __call__(self, line: str) -> Entry | None:
        """The entry of one line without its line end; None for a blank one, a heading or a total.

        `.` and `..` are entries too. Raises ValueError for a line of no known dialect.
        """
        if self._sure is not None:
            try:
                return self._sure(line)
            except ValueError:
                pass
        return self._first_that_reads(line)

    def _first_that_reads(self, line: str) -> Entry | None:
        for parse in self._parsers:
            try:
                entry = parse(line)
            except ValueError:
                continue
            if entry is not None:
                self._sure = parse
            return entry
        if not line.strip() or (self._sure is None and is_total(line)):
            return None
        raise ValueError("a line of no known dialect")

    @property
    def local(self) -> bool:
        """Whether the times are of the server's own zone: all but EPLF's, once that is known."""
        return self._sure is not parse_eplf_line
