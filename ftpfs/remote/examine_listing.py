"""The part of an examination that lists: how data connections come about, and in which ways a
server lists a directory."""

from __future__ import annotations

import time
from collections.abc import Callable

from ftpfs.config import EXAMINED_STAT_NAMES
from ftpfs.remote.listing import read_all
from ftpfs.remote.report import Timing
from ftpfs.remote.trials import SWITCHED_OFF, Outcome, Trials
from ftpfs.session.connection import Session
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.endpoint import parse_endpoint
from ftpfs.wire.entry import Entry
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.listing import Clock, ListingReader, ListParser


class Listings:
    """Of one directory, a server path. `resumed`: whether data connections resumed the TLS session;
    None in clear text."""

    def __init__(self, directory: str, profile: Profile, trials: Trials) -> None:
        self._directory = directory
        self._profile = profile
        self._trials = trials
        self._most_names = 0
        self.resumed: bool | None = None

    def connect(self, *, active: bool) -> bool:
        """EPSV and PASV, each with a listing: a firewall may let the command pass, and not the
        connection. The mount prefers EPSV. Whether either works. `active`: neither is used."""
        if active:
            return bool(self._trials.ask("active mode", self._listed_somehow).verdict)
        if "epsv" in self._profile.fixed:
            self._trials.note("EPSV", None, SWITCHED_OFF)
            return bool(self._trials.ask("PASV", self._passive).verdict)
        self._profile.epsv = True
        extended = self._trials.ask("EPSV", self._listed_somehow).verdict
        self._profile.epsv = False
        passive = self._trials.ask("PASV", self._passive).verdict
        self._profile.epsv = True if extended else False if passive else None
        return bool(extended or passive)

    def _passive(self, session: Session) -> Outcome:
        reply = session.command("PASV")
        if not reply.ok:
            raise ReplyError("PASV", reply)
        host, _ = parse_endpoint(reply)
        outcome = self._listed_somehow(session)
        if host not in (None, session.peer_host):
            return True, f"answers with {host}, the server is at {session.peer_host}"
        return outcome

    def _listed_somehow(self, session: Session) -> Outcome:
        try:
            self._names(session, "LIST", None)
        except ReplyError as error:
            if error.verb != "LIST":
                raise
        return True, ""

    def list(self) -> Timing:
        """All ways to list, whichever the mount will take."""
        facts = self._trials.ask("MLSD", lambda s: self._counted(s, "MLSD", None))
        self._profile.mlsd = bool(facts.verdict)
        plain = self._trials.ask("LIST", lambda s: self._counted(s, "LIST", None))
        every = self._trials.ask("LIST -a", lambda s: self._counted(s, "LIST", "-a"))
        self._profile.list_all = bool(every.verdict)
        best = facts if facts.verdict else every if every.verdict else plain
        self._trials.ask("STAT", self._stat_listing)
        return Timing("listing", best.seconds or 0.0)

    def _counted(self, session: Session, verb: str, option: str | None) -> Outcome:
        reader = self._names(session, verb, option)
        self._most_names = max(self._most_names, len(reader.entries))
        if option and not reader.saw_dot:
            return False, "the -a is ignored, or taken for a name"
        if reader.skipped and not reader.entries:
            return False, f"cannot be read: {reader.skipped_samples[0]}"
        skipped = f", {reader.skipped} lines skipped" if reader.skipped else ""
        return True, f"{len(reader.entries)} names{skipped}"

    def _names(self, session: Session, verb: str, option: str | None) -> ListingReader:
        reader = ListingReader(_parser(verb))
        transfer = session.transfer(verb, option, directory=self._directory)
        if transfer.resumed is not None:
            self.resumed = transfer.resumed
        try:
            read_all(transfer, reader)
        except BaseException:
            transfer.abort()
            raise
        transfer.finish()
        return reader

    def _stat_listing(self, session: Session) -> Outcome:
        if self._most_names > EXAMINED_STAT_NAMES:
            return None, "not tried: a large directory"
        reply = session.command("STAT", self._directory)
        if not reply.ok:
            raise ReplyError("STAT", reply)
        reader = ListingReader(_parser("LIST"))
        reader.feed("".join(f"{line}\n" for line in reply.lines[1:-1]).encode("utf-8", "replace"))
        if not self._most_names:
            return None, "an empty directory tells nothing"
        return bool(reader.entries), f"{len(reader.entries)} names"


def _parser(verb: str) -> Callable[[str], Entry | None]:
    return parse_facts if verb == "MLSD" else ListParser(Clock(time.time_ns(), 0))
