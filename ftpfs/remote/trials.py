"""How trials of a server are run: one after the other, timed, each with a verdict in the end."""

from __future__ import annotations

import time
from collections.abc import Callable

from ftpfs.errors import FtpfsError, LearntError, LoginError, UnreachableError
from ftpfs.remote.report import Finding
from ftpfs.session.connection import Session
from ftpfs.session.pool import Pool, Purpose

Outcome = tuple[bool | None, str]
"""A verdict and a few words."""

SWITCHED_OFF = "switched off (-o without)"


class Trials:
    """The findings so far. Used by one thread."""

    def __init__(
        self,
        pool: Pool,
        on_step: Callable[[str], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.findings: list[Finding] = []
        self.clock = clock
        self._pool = pool
        self._on_step = on_step

    def ask(self, name: str, trial: Callable[[Session], Outcome]) -> Finding:
        """Like `run`, for a trial that needs a connection."""

        def with_connection() -> Outcome:
            with self._pool.lease(Purpose.METADATA) as lease:
                return trial(lease.session)

        return self.run(name, with_connection)

    def run(self, name: str, trial: Callable[[], Outcome]) -> Finding:
        """The finding of one trial: no if it is refused, breaks off or is not answered.

        A server that cannot be reached any more, or does not let us in, ends the examination:
        raises UnreachableError, LoginError.
        """
        self._on_step(name)
        start_s = self.clock()
        try:
            verdict, detail = self._again_if_learnt(trial)
        except (UnreachableError, LoginError):
            raise
        except FtpfsError as error:
            verdict, detail = False, str(error)
        return self.note(name, verdict, detail, self.clock() - start_s)

    def _again_if_learnt(self, trial: Callable[[], Outcome]) -> Outcome:
        try:
            return trial()
        except LearntError:
            return trial()  # spoken to in another way

    def note(
        self, name: str, verdict: bool | None, detail: str = "", seconds: float | None = None
    ) -> Finding:
        """A finding that took no trial of its own."""
        self.findings.append(Finding(name, verdict, detail, seconds))
        return self.findings[-1]
