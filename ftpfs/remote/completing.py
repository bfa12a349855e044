"""What a listing leaves out, asked for: the zone of its times, and sizes.

Shared by all threads; what is learnt goes from unknown to known, each write is one reference.
"""

from __future__ import annotations

import logging

from ftpfs.config import GROUP_COMMANDS, LONG_PATH_BYTES, SIZES_ASKED, UNANSWERED
from ftpfs.remote.answers import number_of, time_of
from ftpfs.session.connection import Session
from ftpfs.session.profile import Profile
from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.listing import ListingReader
from ftpfs.wire.listing.clock import MINUTE_S, zone_between
from ftpfs.wire.pathname import join, length
from ftpfs.wire.timeval import SECOND_NS, UNKNOWN_S

log = logging.getLogger(__name__)

_UNKNOWN_COMMAND = (500, 501, 502, 504)


class Completion:
    """Completes the listings of one server."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._zone_questions = 0
        self._sizes_unanswered = 0

    def correct_times(self, session: Session, directory: str, reader: ListingReader) -> None:
        """Put the times of a listing right that was read before the server's zone was known.

        LIST shows the server's local time, MDTM tells UTC (RFC 3659 3): one file that has both
        decides once a mount, for one round trip. The zone is the present one, for all files:
        those of the other half of the year are an hour off where clocks are changed.
        """
        if self._profile.zone_s is None:
            self._learn_zone(session, directory, reader)
        if self._profile.zone_s:
            _shift(reader, self._profile.zone_s)

    def _learn_zone(self, session: Session, directory: str, reader: ListingReader) -> None:
        listed = _newest_with_clock_time(reader)
        if listed is None:
            return
        self._zone_questions += 1  # before it is asked: a server may hang up, or say nothing
        if self._zone_questions > UNANSWERED:
            self._profile.zone_s = 0
            return
        reply = session.command("MDTM", self._named(directory, listed.name))
        exact_ns = time_of(reply)
        zone_s = None if exact_ns is None else zone_between(listed.mtime_ns, exact_ns)
        if zone_s is not None:
            log.info("the server lists times %+d min from UTC", zone_s // 60)
            self._profile.zone_s = zone_s
        elif reply.code in _UNKNOWN_COMMAND:
            self._profile.zone_s = 0

    def _named(self, directory: str, name: str) -> str:
        """How a command names a file of the directory that was listed, which the connection is in:
        by its path, unless that is too long for some servers."""
        path = join(directory, name)
        fits = length(path, self._profile.encoding) <= LONG_PATH_BYTES
        return path if fits else f"./{name}"

    def ask_sizes(self, session: Session, directory: str, reader: ListingReader) -> None:
        """Ask for the sizes that the listing told roughly or not at all.

        A file that is shown too small would be cut when it is read.
        """
        names = reader.unsized
        if not names:
            return
        asked = names[:SIZES_ASKED] if self._sizes_unanswered < UNANSWERED else []
        told = 0
        for start in range(0, len(asked), GROUP_COMMANDS):
            found = self._sizes(session, directory, asked[start : start + GROUP_COMMANDS])
            if not found:
                break
            told += len(found)
            for name, size in found.items():
                reader.entries[name] = reader.entries[name]._replace(size=size)
        if told < len(names):
            log.warning(
                "%s: the server does not tell the size of %d files: what is read of them may be"
                " cut, or empty",
                directory,
                len(names) - told,
            )

    def _sizes(self, session: Session, directory: str, names: list[str]) -> dict[str, int]:
        self._sizes_unanswered += 1
        replies = session.exchange(*(("SIZE", self._named(directory, name)) for name in names))
        unknown = all(reply.code in _UNKNOWN_COMMAND for reply in replies)
        self._sizes_unanswered = UNANSWERED if unknown else 0
        pairs = zip(names, replies, strict=True)
        return {name: number_of(reply) for name, reply in pairs if reply.code == 213}


def _newest_with_clock_time(reader: ListingReader) -> Entry | None:
    """New, because the present zone is that of its date too."""
    files = (e for e in reader.entries.values() if _has_clock_time(e) and e.kind is Kind.FILE)
    return max(files, key=lambda entry: entry.mtime_ns, default=None)


def _has_clock_time(entry: Entry) -> bool:
    return entry.precision_s == MINUTE_S


def _shift(reader: ListingReader, zone_s: int) -> None:
    for name, entry in reader.entries.items():
        if entry.precision_s != UNKNOWN_S:
            mtime_ns = entry.mtime_ns - zone_s * SECOND_NS
            reader.entries[name] = entry._replace(mtime_ns=mtime_ns)
