"""One call to the server: with a connection of its own, again where that is safe, and with its
refusal explained.

Shared by all threads; holds no lock of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from ftpfs.config import PASSING_PAUSES_S
from ftpfs.errors import (
    ClosingError,
    DeniedError,
    LearntError,
    NetworkError,
    NotDirectoryError,
    PassingError,
    RefusedError,
)
from ftpfs.remote.answers import number_of, time_of
from ftpfs.remote.api import Entry, Kind
from ftpfs.remote.diagnose import State, diagnose
from ftpfs.remote.listing import Lister
from ftpfs.session.connection import Session
from ftpfs.session.pool import Pool, Purpose
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.pathname import check_path, join, split

log = logging.getLogger(__name__)

T = TypeVar("T")


class Calls:
    """What all commands of a Remote share. `base` is set once, before the first other thread."""

    def __init__(
        self,
        pool: Pool,
        profile: Profile,
        now_ns: Callable[[], int],
        pause: Callable[[float], None],
    ) -> None:
        self.base = "/"
        self.pool = pool
        self.profile = profile
        self._pause = pause
        self.lister = Lister(profile, now_ns)

    def server_path(self, path: str) -> str:
        check_path(path)
        return join(self.base, path) if path != "/" else self.base

    def repeating(self, action: Callable[[Session], T], purpose: Purpose = Purpose.METADATA) -> T:
        """Run something that may run twice: again when a kept connection turns out dead, and
        after a pause when the server cannot do it now."""
        return self.patiently(lambda: self._repeated(action, purpose))

    def patiently(self, attempt: Callable[[], T]) -> T:
        """Try until the server no longer says that it cannot at the moment; PASSING_PAUSES_S.

        `attempt` must hold no connection when it raises, and be safe to repeat.
        """
        for pause_s in PASSING_PAUSES_S:
            try:
                return attempt()
            except (PassingError, ClosingError) as error:
                log.info("again in %g s: %s", pause_s, error)
            self._pause(pause_s)
        return attempt()

    def _repeated(self, action: Callable[[Session], T], purpose: Purpose) -> T:
        while True:
            with self.pool.lease(purpose) as lease:
                try:
                    return action(lease.session)
                except NetworkError as error:
                    if lease.fresh and not isinstance(error, LearntError):
                        raise
                    log.debug("again on a new connection: %s", error)

    def deciding(self, once: Callable[[Session], None], done: Callable[[], bool]) -> None:
        """Run something that must not run twice; `done` tells whether a lost one took effect."""
        for last in (False, True):
            with self.pool.lease(Purpose.METADATA) as lease:
                try:
                    return once(lease.session)
                except NetworkError as error:
                    if last:
                        raise
                    log.debug("reply lost, looking whether it was done: %s", error)
            if done():
                return None
        return None

    def explain(self, session: Session, path: str, error: ReplyError) -> RefusedError:
        """The typed error for a refused command, looked into on the same connection."""
        return diagnose(error.verb, path, error.reply, lambda: self._look(session, error, path))

    def _look(self, session: Session, error: ReplyError, path: str) -> State:
        parent, name = split(path)
        if not name:
            return State(None, parent_exists=True)
        siblings = self._quietly(session, parent)
        target = (siblings or {}).get(name) or self.probed(session, path)
        children = error.verb == "RMD" and target is not None and self._quietly(session, path)
        return State(target, siblings is not None, bool(children))

    def _quietly(self, session: Session, path: str) -> dict[str, Entry] | None:
        """A listing, or None where there is none to be had."""
        try:
            return self.lister.list(session, self.server_path(path))
        except (ReplyError, DeniedError, NotDirectoryError):
            return None

    def probed(self, session: Session, path: str) -> Entry | None:
        """What SIZE, MDTM and CWD together tell of a path; None where nothing is there."""
        server_path = self.server_path(path)
        size, mtime, cwd = session.exchange(
            ("SIZE", server_path), ("MDTM", server_path), ("CWD", server_path)
        )
        name = split(path)[1]
        if cwd.ok:
            session.forget_directory()
            return Entry(name, Kind.DIRECTORY, mtime_ns=time_of(mtime) or 0)
        if size.code == 213:
            return Entry(name, Kind.FILE, number_of(size), time_of(mtime) or 0)
        if mtime.code == 213:
            return Entry(name, Kind.FILE, 0, time_of(mtime) or 0)
        return None
