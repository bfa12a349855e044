"""Finds out what a server can do, by trying, and how long it takes: `ftpfs doctor`.

Nothing is changed on the server unless a scratch directory is allowed (`examine_writing`). Used by
one thread; the Profile has the verdicts in the end, as after a long mount.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from ftpfs.config import (
    BLOCK_BYTES,
    CONNECT_TIMEOUT_S,
    EXAMINED_DIRECTORIES,
    EXAMINED_READ_BYTES,
    EXAMINED_READ_S,
    EXAMINED_STAT_NAMES,
)
from ftpfs.errors import ConnectionLimitError, FtpfsError, LoginError, NetworkError
from ftpfs.remote.answers import number_of, time_of
from ftpfs.remote.api import Entry, Kind
from ftpfs.remote.examine_writing import Scratch, not_tried
from ftpfs.remote.ftp import FtpRemote
from ftpfs.remote.limits import limits_of
from ftpfs.remote.listing import read_all
from ftpfs.remote.report import Protection, Report, Timing
from ftpfs.remote.trials import Outcome, Trials
from ftpfs.session.connection import OpenSession, Session
from ftpfs.session.pool import Pool, Purpose
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.session.transport import Connect, Transport
from ftpfs.wire.endpoint import parse_endpoint
from ftpfs.wire.entry import Entry as ListedEntry
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.listing import Clock, ListingReader, ListParser
from ftpfs.wire.pathname import join
from ftpfs.wire.timeval import SECOND_NS

_ROUND_TRIPS = 5
_SWITCHED_OFF = "switched off (-o without)"


class TimedConnect:
    """A Connect that remembers how long its first connection took, the control connection."""

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.perf_counter) -> None:
        self._connect = connect
        self._clock = clock
        self.seconds: float | None = None

    def __call__(
        self, host: str, port: int, timeout_s: float, *, connect_s: float = CONNECT_TIMEOUT_S
    ) -> Transport:
        start_s = self._clock()
        transport = self._connect(host, port, timeout_s, connect_s=connect_s)
        if self.seconds is None:
            self.seconds = self._clock() - start_s
        return transport


class Examination:
    """One examination. `max_conns`: how many connections are tried at a time. `active`: the
    sessions have the server open the data connections.

    `left_behind`: what could not be removed from the server, also where `run` raises; else "".
    """

    def __init__(
        self,
        open_session: OpenSession,
        connect: TimedConnect,
        profile: Profile,
        *,
        max_conns: int,
        timeout_s: float,
        active: bool = False,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._open_session = open_session
        self._connect = connect
        self._profile = profile
        self._max_conns = max_conns
        self._active = active
        self._pool = Pool(open_session, max_conns, timeout_s)
        self._remote = FtpRemote(self._pool, profile)
        self._trials = Trials(self._pool, on_step)
        self._timings: list[Timing] = []
        self._resumed: bool | None = None
        self._names_listed = 0
        self.left_behind = ""

    def run(self, path: str, *, write: bool = False) -> Report:
        """Examine a directory as a mount of it would be. Raises what opening a connection and
        entering the directory raise."""
        try:
            return self._run(path, write=write)
        finally:
            self._pool.close()

    def _run(self, path: str, *, write: bool) -> Report:
        system, protection = self._log_in(path)
        self._single_names()
        self._grouping()
        self._connections()
        transfers = self._data_connections()
        if transfers:
            self._listings()
            sample = self._sample()
            if sample or not write:
                self._reading(sample)
            if write:
                self._writing(read=sample is None)
        if not write:
            not_tried(self._trials, self._profile.features)
        if protection is not None:
            protection = Protection(
                protection.version, protection.cipher, protection.fingerprint, self._resumed
            )
        features = self._profile.features
        findings = self._trials.findings
        return Report(
            system,
            tuple(sorted(features.names)),
            self._remote.base,
            protection,
            tuple(self._timings),
            tuple(findings),
            limits_of(findings, protection, offers_tls="AUTH" in features),
            self.left_behind,
        )

    # -- the control connection ---------------------------------------------------------------

    def _log_in(self, path: str) -> tuple[str, Protection | None]:
        """What the server calls itself, and the TLS of the connection."""
        clock = self._trials.clock
        start_s = clock()
        with self._pool.lease(Purpose.METADATA) as lease:
            connected_s = self._connect.seconds or 0.0
            self._timings.append(Timing("connect", connected_s))
            self._timings.append(Timing("login", max(0.0, clock() - start_s - connected_s)))
            system = lease.session.command("SYST")
            self._timings.append(Timing("round trip", self._round_trip_s(lease.session)))
            secured = lease.session.protection
            protection = secured and Protection(
                secured.version, secured.cipher, secured.fingerprint, None
            )
        self._remote.enter(path)
        return system.text if system.ok else "", protection or None

    def _round_trip_s(self, session: Session) -> float:
        clock = self._trials.clock
        taken = []
        for _ in range(_ROUND_TRIPS):
            start_s = clock()
            session.command("NOOP")
            taken.append(clock() - start_s)
        return statistics.median(taken)

    def _grouping(self) -> None:
        def together(session: Session) -> Outcome:
            session.exchange(*[("NOOP", None)] * 3)
            return self._profile.grouping, ""

        if "grouping" in self._profile.fixed:
            self._trials.note("grouping", None, _SWITCHED_OFF)
            return
        finding = self._trials.ask("grouping", together)
        if self._profile.grouping is None:
            self._profile.grouping = finding.verdict

    def _connections(self) -> None:
        """As many as a mount would open; one is open already, and idle."""

        def opened() -> Outcome:
            more: list[Session] = []
            try:
                while 1 + len(more) < self._max_conns:
                    more.append(self._open_session())
            except (ConnectionLimitError, LoginError, NetworkError) as error:
                self._profile.connection_limit = 1 + len(more)
                return False, f"{1 + len(more)} of {self._max_conns}: {error}"
            finally:
                for session in more:
                    session.close()
            return True, f"{self._max_conns} at a time"

        self._trials.run("connections", opened)

    # -- listings -----------------------------------------------------------------------------

    def _data_connections(self) -> bool:
        """EPSV and PASV, each with a listing: a firewall may let the command pass, and not the
        connection. The mount prefers EPSV. Whether either works."""
        if self._active:
            return bool(self._trials.ask("active mode", self._listed_somehow).verdict)
        if "epsv" in self._profile.fixed:
            self._trials.note("EPSV", None, _SWITCHED_OFF)
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

    def _listings(self) -> None:
        """All ways to list, whichever the mount will take."""
        facts = self._trials.ask("MLSD", lambda s: self._counted(s, "MLSD", None))
        self._profile.mlsd = bool(facts.verdict)
        plain = self._trials.ask("LIST", lambda s: self._counted(s, "LIST", None))
        every = self._trials.ask("LIST -a", lambda s: self._counted(s, "LIST", "-a"))
        self._profile.list_all = bool(every.verdict)
        best = facts if facts.verdict else every if every.verdict else plain
        self._timings.append(Timing("listing", best.seconds or 0.0))
        self._trials.ask("STAT", self._stat_listing)

    def _counted(self, session: Session, verb: str, option: str | None) -> Outcome:
        reader = self._names(session, verb, option)
        self._names_listed = max(self._names_listed, len(reader.entries))
        if option and not reader.saw_dot:
            return False, "the -a is ignored, or taken for a name"
        if reader.skipped and not reader.entries:
            return False, f"cannot be read: {reader.skipped_samples[0]}"
        skipped = f", {reader.skipped} lines skipped" if reader.skipped else ""
        return True, f"{len(reader.entries)} names{skipped}"

    def _names(self, session: Session, verb: str, option: str | None) -> ListingReader:
        reader = ListingReader(_parser(verb))
        transfer = session.transfer(verb, option, directory=self._remote.base)
        if transfer.resumed is not None:
            self._resumed = transfer.resumed
        try:
            read_all(transfer, reader)
        except BaseException:
            transfer.abort()
            raise
        transfer.finish()
        return reader

    def _stat_listing(self, session: Session) -> Outcome:
        if self._names_listed > EXAMINED_STAT_NAMES:
            return None, "not tried: a large directory"
        reply = session.command("STAT", self._remote.base)
        if not reply.ok:
            raise ReplyError("STAT", reply)
        reader = ListingReader(_parser("LIST"))
        reader.feed("".join(f"{line}\n" for line in reply.lines[1:-1]).encode("utf-8", "replace"))
        if not self._names_listed:
            return None, "an empty directory tells nothing"
        return bool(reader.entries), f"{len(reader.entries)} names"

    # -- single names -------------------------------------------------------------------------

    def _single_names(self) -> None:
        mlst = self._trials.ask("MLST", lambda s: _accepted(s, "MLST", self._remote.base))
        self._profile.mlst = mlst.verdict
        self._trials.ask("UTF8", self._utf8)
        avbl = self._trials.ask("AVBL", lambda s: _accepted(s, "AVBL", self._remote.base))
        self._profile.avbl = avbl.verdict

    def _utf8(self, session: Session) -> Outcome:
        if "UTF8" in self._profile.features:
            return True, "in FEAT"
        return _accepted(session, "OPTS", "UTF8 ON")

    # -- files --------------------------------------------------------------------------------

    def _sample(self) -> tuple[str, int] | None:
        """The largest file near by, path and size, to be read."""
        found: list[tuple[int, str]] = []
        directories = ["/"]
        for directory in directories:
            entries = self._entries(directory)
            found += [
                (entry.size, join(directory, name))
                for name, entry in entries.items()
                if entry.kind is Kind.FILE and entry.size > 1
            ]
            if found:
                size, path = max(found)
                return path, size
            inside = [name for name, entry in entries.items() if entry.kind is Kind.DIRECTORY]
            room = EXAMINED_DIRECTORIES - len(directories)
            directories += [join(directory, name) for name in inside[: max(0, room)]]
        return None

    def _entries(self, directory: str) -> dict[str, Entry]:
        try:
            return self._remote.list(directory)
        except FtpfsError:
            return {}

    def _reading(self, sample: tuple[str, int] | None) -> None:
        names = ("SIZE", "MDTM", "REST", "RETR")
        if sample is None:
            for name in names:
                self._trials.note(name, None, "not tried: no file near by to read")
            return
        path, size = sample
        server_path = join(self._remote.base, path.lstrip("/"))
        self._trials.ask("SIZE", lambda s: _size(s, server_path))
        self._trials.ask("MDTM", lambda s: _time(s, server_path))
        rest = self._trials.run("REST", lambda: self._rest(path, size))
        self._profile.rest = bool(rest.verdict)
        self._trials.run("RETR", lambda: self._throughput(path))

    def _rest(self, path: str, size: int) -> Outcome:
        """One that is ignored is worse than one that is refused: the whole file comes."""
        count, _ = self._read(path, size - 1, limit=BLOCK_BYTES)
        if self._profile.rest is False:
            return False, "refused"
        return count == 1, "" if count == 1 else f"{count} bytes came in place of 1"

    def _throughput(self, path: str) -> Outcome:
        count, seconds = self._read(path, 0)
        self._timings.append(Timing("reading", seconds, count / seconds if seconds else None))
        return True, f"{count} bytes of {path}"

    def _read(self, path: str, offset: int, limit: int = EXAMINED_READ_BYTES) -> tuple[int, float]:
        """Bytes read and the seconds that took, within the bounds of an examination."""
        clock = self._trials.clock
        start_s = clock()
        buffer = memoryview(bytearray(BLOCK_BYTES))
        done = 0
        download = self._remote.open_read(path, offset)
        try:
            while done < limit and clock() - start_s < EXAMINED_READ_S:
                count = download.readinto(buffer)
                if not count:
                    break
                done += count
            return done, clock() - start_s
        finally:
            download.close()

    def _writing(self, *, read: bool) -> None:
        """`read`: there was no file near by, so one of ours is read."""
        on_file = (lambda path, size: self._reading((path, size))) if read else None
        scratch = Scratch(self._remote, self._profile, self._trials, on_file)
        try:
            timing = scratch.run()
        finally:
            self.left_behind = scratch.left_behind
        if timing is not None:
            self._timings.append(timing)


def _parser(verb: str) -> Callable[[str], ListedEntry | None]:
    return parse_facts if verb == "MLSD" else ListParser(Clock(time.time_ns(), 0))


def _accepted(session: Session, verb: str, argument: str) -> Outcome:
    reply = session.command(verb, argument)
    if not reply.ok:
        raise ReplyError(verb, reply)
    return True, ""


def _size(session: Session, path: str) -> Outcome:
    reply = session.command("SIZE", path)
    if reply.code != 213:
        raise ReplyError("SIZE", reply)
    return True, f"{number_of(reply)} bytes"


def _time(session: Session, path: str) -> Outcome:
    reply = session.command("MDTM", path)
    found_ns = time_of(reply)
    if found_ns is None:
        raise ReplyError("MDTM", reply)
    return True, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found_ns // SECOND_NS))
