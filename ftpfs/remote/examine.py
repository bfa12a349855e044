"""Finds out what a server can do, by trying, and how long it takes: `ftpfs doctor`.

Nothing is changed on the server unless a scratch directory is allowed (`examine_writing`). Used by
one thread; the Profile has the verdicts in the end, as after a long mount.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from ftpfs.config import (
    CONNECT_TIMEOUT_S,
)
from ftpfs.errors import ConnectionLimitError, LoginError, NetworkError
from ftpfs.remote.examine_listing import Listings
from ftpfs.remote.examine_reading import Sample, largest_near, not_read
from ftpfs.remote.examine_writing import Scratch, not_tried
from ftpfs.remote.ftp import FtpRemote
from ftpfs.remote.limits import limits_of
from ftpfs.remote.report import Protection, Report, Timing
from ftpfs.remote.trials import SWITCHED_OFF, Outcome, Trials
from ftpfs.session.connection import OpenSession, Session
from ftpfs.session.pool import Pool, Purpose
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.session.transport import Connect, Transport

_ROUND_TRIPS = 5


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
        listings = Listings(self._remote.base, self._profile, self._trials)
        if listings.connect(active=self._active):
            self._timings.append(listings.list())
            sample = largest_near(self._remote)
            if sample or not write:
                self._reading(sample)
            if write:
                self._writing(read=sample is None)
        if not write:
            not_tried(self._trials, self._profile.features)
        if protection is not None:
            protection = Protection(
                protection.version, protection.cipher, protection.fingerprint, listings.resumed
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
            limits_of(findings, protection, offers_tls="AUTH" in features.names),
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
            self._trials.note("grouping", None, SWITCHED_OFF)
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

    # -- single names -------------------------------------------------------------------------

    def _single_names(self) -> None:
        mlst = self._trials.ask("MLST", lambda s: _accepted(s, "MLST", self._remote.base))
        self._profile.mlst = mlst.verdict
        self._trials.ask("UTF8", self._utf8)
        avbl = self._trials.ask("AVBL", lambda s: _accepted(s, "AVBL", self._remote.base))
        self._profile.avbl = avbl.verdict

    def _utf8(self, session: Session) -> Outcome:
        if "UTF8" in self._profile.features.names:
            return True, "in FEAT"
        return _accepted(session, "OPTS", "UTF8 ON")

    # -- files --------------------------------------------------------------------------------

    def _reading(self, sample: tuple[str, int] | None) -> None:
        if sample is None:
            not_read(self._trials)
        elif timing := Sample(*sample, self._remote, self._profile, self._trials).read():
            self._timings.append(timing)

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


def _accepted(session: Session, verb: str, argument: str) -> Outcome:
    reply = session.command(verb, argument)
    if not reply.ok:
        raise ReplyError(verb, reply)
    return True, ""
