"""Directory listings: MLSD where it works, LIST where it does not.

Shared by all threads; state only in the Profile.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from ftpfs.config import KIB
from ftpfs.errors import DeadlineError, DeniedError, DirectoryTooLargeError
from ftpfs.remote.completing import Completion
from ftpfs.session.connection import Session
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError, Transfer
from ftpfs.wire.entry import Entries
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.features import Features
from ftpfs.wire.listing import Clock, ListingReader, ListParser
from ftpfs.wire.reply import Reply
from ftpfs.wire.timeval import SECOND_NS

log = logging.getLogger(__name__)

_BUFFER_BYTES = 64 * KIB
_MINUTE_NS = 60 * SECOND_NS
_UNKNOWN_COMMAND = (500, 501, 502, 504)
_EMPTY_PHRASES = ("no files", "not found", "no such file", "empty")

_NOT_OPENED = "failed to open directory"
"""How vsftpd ends the empty listing of a directory that it may enter and not read: with 226."""

# Pure-FTPd ends a listing at its LimitRecursion, 10,000 names by default, and says so.
_cut_at = re.compile(r"truncated to ([0-9]{1,9})", re.IGNORECASE).search


class MlsdSilentError(DeadlineError):
    """The server does not answer MLSD. LIST will be used: ask again, on another connection."""


class Lister:
    """Lists directories of one server, learning on the way how that is done there."""

    def __init__(self, profile: Profile, now_ns: Callable[[], int]) -> None:
        self._profile = profile
        self._mlsd_was_silent = False
        self._now_ns = now_ns
        self._completion = Completion(profile)

    def list(self, session: Session, directory: str) -> Entries:
        """Entries by name; `directory` is a server path.

        Raises ReplyError, NetworkError, DirectoryTooLargeError; MlsdSilentError once at most.
        """
        if self._profile.mlsd is None:
            features = self._profile.features
            self._profile.mlsd = False if features.names and not _lists_facts(features) else None
        reader = None
        if self._profile.mlsd is not False:
            reader = self._by_facts(session, directory)
        if reader is None:
            reader = self._by_list_at_last(session, directory)
        self._completion.ask_sizes(session, directory, reader)
        return reader.entries

    def _by_facts(self, session: Session, directory: str) -> ListingReader | None:
        """The listing by MLSD; None where the server has none that works. RFC 3659 7.2."""
        reader = ListingReader(parse_facts, self._profile.encoding)
        try:
            self._run(session, "MLSD", None, directory, reader)
        except ReplyError as error:
            if error.verb != "MLSD" or error.reply.code not in _UNKNOWN_COMMAND:
                raise
            self._profile.mlsd = False
            return None
        except DeadlineError as error:
            if not self._profile.unproven("mlsd"):
                raise
            self._profile.mlsd = False
            self._mlsd_was_silent = True
            raise MlsdSilentError(f"the server does not answer MLSD: {error}") from error
        if reader.skipped and not reader.entries and self._profile.unproven("mlsd"):
            log.warning("the server's MLSD cannot be read; using LIST")
            self._profile.mlsd = False
            return None
        self._profile.mlsd = True
        return reader

    def _by_list_at_last(self, session: Session, directory: str) -> ListingReader:
        try:
            reader = self._by_list(session, directory)
        except DeadlineError:
            if self._mlsd_was_silent:  # so is LIST: this tells nothing of either
                self._mlsd_was_silent = False
                self._profile.mlsd = None
            raise
        if self._mlsd_was_silent:
            self._mlsd_was_silent = False
            log.warning("the server does not answer MLSD; using LIST from now on")
        return reader

    def _by_list(self, session: Session, directory: str) -> ListingReader:
        if self._profile.list_all is False:
            return self._list(session, None, directory)
        every = self._try_all(session, directory)
        proven = self._profile.list_all and not self._profile.unproven("list_all")
        if every is not None and (every.saw_dot or proven):
            self._profile.list_all = True
            return every
        plain = self._list(session, None, directory)
        if plain.entries:
            # `-a` showed no `.`: it was ignored, refused, or taken for a name.
            self._profile.list_all = False
        return plain

    def _try_all(self, session: Session, directory: str) -> ListingReader | None:
        try:
            return self._list(session, "-a", directory)
        except ReplyError as error:
            if error.verb != "LIST":
                raise
            return None

    def _list(self, session: Session, option: str | None, directory: str) -> ListingReader:
        zone_s = self._profile.zone_s
        now_ns = self._now_ns()  # to the minute: dates that were read are known to the next listing
        parser = ListParser(Clock(now_ns - now_ns % _MINUTE_NS, zone_s or 0))
        reader = ListingReader(parser, self._profile.encoding)
        try:
            self._run(session, "LIST", option, directory, reader)
        except ReplyError as error:
            if error.verb != "LIST" or not _means_empty(error):
                raise
        if zone_s is None and parser.local:
            self._completion.correct_times(session, directory, reader)
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
        try:
            read_all(transfer, reader)
        except DirectoryTooLargeError as error:
            transfer.abort()
            raise DirectoryTooLargeError(f"{directory}: {error}") from error
        except BaseException:
            transfer.abort()
            raise
        reply = transfer.finish()
        if _NOT_OPENED in reply.text.lower():
            raise DeniedError(f"{directory}: {reply.text}")
        _report(directory, reader, reply)


def read_all(transfer: Transfer, reader: ListingReader) -> None:
    """Feed a whole listing to `reader`; the transfer is still to be finished, or aborted."""
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    while count := transfer.readinto(buffer):
        reader.feed(buffer[:count])
    reader.finish()


def _report(directory: str, reader: ListingReader, reply: Reply) -> None:
    """Say once a listing what is missing from it."""
    if reader.lost:
        reader.entries.missing = f"{reader.lost} lines of the listing cannot be read"
    if reader.skipped:
        log.warning(
            "%s: %d lines of the listing skipped, such as %s",
            directory,
            reader.skipped,
            "; ".join(reader.skipped_samples),
        )
    if cut := _cut_at(reply.text):
        reader.entries.cut = True
        reader.entries.missing = f"the server cut the listing at {cut[1]} names"
        log.warning(
            "%s: the server cut the listing at %s names; files beyond are found by their name"
            " only (Pure-FTPd: LimitRecursion)",
            directory,
            cut[1],
        )


def _lists_facts(features: Features) -> bool:
    """FEAT's MLST stands for both; some servers list MLSD only (pyftpdlib issue 163)."""
    return "MLST" in features.names or "MLSD" in features.names


def _means_empty(error: ReplyError) -> bool:
    """Some servers refuse to list an empty directory; the CWD before it went well."""
    text = error.reply.text.lower()
    return error.reply.code in (450, 550) and any(p in text for p in _EMPTY_PHRASES)
