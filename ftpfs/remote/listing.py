"""Directory listings: MLSD where it works, LIST where it does not.

Shared by all threads; state only in the Profile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ftpfs.config import KIB
from ftpfs.session.connection import Session
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.entry import Entry
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.features import Features
from ftpfs.wire.listing import ListingReader, parse_list_line

log = logging.getLogger(__name__)

_BUFFER_BYTES = 64 * KIB
_UNKNOWN_COMMAND = (500, 501, 502, 504)
_EMPTY_PHRASES = ("no files", "not found", "no such file", "empty")


class Lister:
    """Lists directories of one server, learning on the way how that is done there."""

    def __init__(self, profile: Profile, now_ns: Callable[[], int]) -> None:
        self._profile = profile
        self._now_ns = now_ns

    def list(self, session: Session, directory: str) -> dict[str, Entry]:
        """Entries by name. `directory` is a server path. Raises ReplyError, NetworkError."""
        if self._profile.mlsd is None:
            features = self._profile.features
            self._profile.mlsd = False if features.names and not _lists_facts(features) else None
        if self._profile.mlsd is not False:
            entries = self._by_facts(session, directory)
            if entries is not None:
                return entries
        return self._by_list(session, directory)

    def _by_facts(self, session: Session, directory: str) -> dict[str, Entry] | None:
        """The listing by MLSD; None where the server has none that works. RFC 3659 7.2."""
        reader = ListingReader(parse_facts, self._profile.encoding)
        try:
            self._run(session, "MLSD", None, directory, reader)
        except ReplyError as error:
            if error.verb != "MLSD" or error.reply.code not in _UNKNOWN_COMMAND:
                raise
            self._profile.mlsd = False
            return None
        if reader.skipped and not reader.entries and self._profile.mlsd is None:
            log.warning("the server's MLSD cannot be read; using LIST")
            self._profile.mlsd = False
            return None
        self._profile.mlsd = True
        return reader.entries

    def _by_list(self, session: Session, directory: str) -> dict[str, Entry]:
        if self._profile.list_all is False:
            return self._list(session, None, directory).entries
        every = self._try_all(session, directory)
        if every is not None and (every.saw_dot or self._profile.list_all):
            self._profile.list_all = True
            return every.entries
        plain = self._list(session, None, directory)
        if plain.entries:
            # `-a` showed no `.`: it was ignored, refused, or taken for a name.
            self._profile.list_all = False
        return plain.entries

    def _try_all(self, session: Session, directory: str) -> ListingReader | None:
        try:
            return self._list(session, "-a", directory)
        except ReplyError as error:
            if error.verb != "LIST":
                raise
            return None

    def _list(self, session: Session, option: str | None, directory: str) -> ListingReader:
        now_ns = self._now_ns()
        reader = ListingReader(lambda line: parse_list_line(line, now_ns), self._profile.encoding)
        try:
            self._run(session, "LIST", option, directory, reader)
        except ReplyError as error:
            if error.verb != "LIST" or not _means_empty(error):
                raise
        return reader

    def _run(
        self,
        session: Session,
        verb: str,
        argument: str | None,
        directory: str,
        reader: ListingReader,
    ) -> None:
        transfer = session.transfer(verb, argument, directory=directory)
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        try:
            while count := transfer.readinto(buffer):
                reader.feed(buffer[:count])
            reader.finish()
        except BaseException:
            transfer.abort()
            raise
        transfer.finish()
        if reader.skipped:
            log.warning(
                "%s: %d lines of the listing skipped, such as %s",
                directory,
                reader.skipped,
                "; ".join(reader.skipped_samples),
            )


def _lists_facts(features: Features) -> bool:
    """FEAT's MLST stands for both; some servers list MLSD only (pyftpdlib issue 163)."""
    return "MLST" in features or "MLSD" in features


def _means_empty(error: ReplyError) -> bool:
    """Some servers refuse to list an empty directory; the CWD before it went well."""
    text = error.reply.text.lower()
    return error.reply.code in (450, 550) and any(p in text for p in _EMPTY_PHRASES)
