"""One call to the server: with a connection of its own, again where that is safe, and with its
refusal explained.

Shared by all threads; holds no lock of its own.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from typing import TypeVar

from ftpfs.config import LONG_PATH_BYTES, PASSING_PAUSES_S
from ftpfs.errors import (
    ClosingError,
    DeniedError,
    LearntError,
    NameRefusedError,
    NetworkError,
    NotDirectoryError,
    PassingError,
    RefusedError,
)
from ftpfs.remote.answers import number_of, time_of
from ftpfs.remote.api import Entry, Kind
from ftpfs.remote.diagnose import State, diagnose
from ftpfs.remote.listing import Lister
from ftpfs.remote.spelling import Spelling
from ftpfs.session.connection import Session
from ftpfs.session.pool import Pool, Purpose
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.pathname import check_path, join, length, oddities, split
from ftpfs.wire.reply import Reply
from ftpfs.wire.timeval import UNKNOWN_S

log = logging.getLogger(__name__)

UNKNOWN_COMMAND = (202, 500, 501, 502, 504)  # 202: "superfluous at this site", not done

TEMPORARY_PREFIX = ".ftpfs-"
"""Names of our own on the server begin so. Shown only if a crash left them behind."""

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
        self.spelling = Spelling(profile, self.lister.list)
        self.temporary: set[str] = set()  # paths on the server now; add and discard are one step

    def server_path(self, path: str) -> str:
        check_path(path)
        return join(self.base, path) if path != "/" else self.base

    def reach(self, session: Session, path: str) -> str:
        """How a command on this connection names `path`: from the root, or, where that is too
        long for some servers, from its parent, which becomes the working directory."""
        server_path = self.direct(path)
        if server_path is not None:
            return server_path
        parent, name = split(self.server_path(path))
        self._enter(session, parent, split(path)[0])
        return f"./{name}"

    def direct(self, path: str) -> str | None:
        """How a command on any connection names `path`; None where that is too long."""
        server_path = self.server_path(path)
        return server_path if self._fits(server_path) else None

    def reach_both(self, session: Session, old: str, new: str) -> tuple[str, str]:
        """Like `reach`, for the two names of a rename: from the directory that they share."""
        paths = self.server_path(old), self.server_path(new)
        if all(map(self._fits, paths)):
            return paths
        common = os.path.commonpath([split(path)[0] for path in paths])
        self._enter(session, common, split(old)[0])
        first, second = (f"./{path[len(common) :].lstrip('/')}" for path in paths)
        return first, second

    def is_plain(self, path: str) -> bool:
        """Whether commands may name it from any directory, and the server keeps its name as it
        is: nothing has to be done before."""
        try:
            return self.direct(path) is not None and not oddities(split(path)[1])
        except NameRefusedError:
            return False

    def _fits(self, server_path: str) -> bool:
        return length(server_path, self.profile.encoding) <= LONG_PATH_BYTES

    def _enter(self, session: Session, directory: str, path: str) -> None:
        try:
            session.enter(directory)
        except ReplyError as error:
            raise self.explain(session, path, error) from error

    def check_name(self, path: str) -> None:
        """Raises InvalidNameError where the server would make something of another name."""
        check_path(path)
        directory, name = split(path)
        if self.spelling.unknown(name):
            self._learn_spelling(directory, name)
        self.spelling.check(path, name)

    def _learn_spelling(self, directory: str, name: str) -> None:
        scratch = self.new_temporary(directory)
        place = self.server_path(scratch)
        try:
            self.repeating(lambda session: self.spelling.learn(session, place, name))
        finally:
            self.temporary.discard(scratch)

    def new_temporary(self, directory: str) -> str:
        """A name of our own in `directory`, not shown while it is in `temporary`."""
        path = join(directory, TEMPORARY_PREFIX + os.urandom(6).hex())
        self.temporary.add(path)
        return path

    def without_temporary(self, directory: str, entries: dict[str, Entry]) -> dict[str, Entry]:
        """A listing without what is ours and on its way."""
        for path in list(self.temporary):
            if split(path)[0] == directory:
                entries.pop(split(path)[1], None)
        return entries

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

    def set_mode(self, session: Session, path: str, mode: int) -> tuple[str, Reply] | None:
        """The verb that sets permission bits here and the reply to it; None where there is none.

        MFF where it is offered: ProFTPD takes two blanks in an argument of SITE for one.
        draft-somers-ftp-mfxx 5.
        """
        server_path = self.reach(session, path)
        bits = f"{mode & 0o7777:03o}"
        if "MFF" in self.profile.features.names and self.profile.mff is not False:
            reply = session.command("MFF", f"UNIX.mode=0{bits}; {server_path}")
            if self.knows("mff", reply):
                return "MFF", reply
        if self.profile.site_chmod is not False:
            reply = session.command("SITE", f"CHMOD {bits} {server_path}")
            if self.knows("site_chmod", reply):
                return "SITE CHMOD", reply
        return None

    def knows(self, verdict: str, reply: Reply) -> bool:
        """Whether the server has the command that it gave this reply to; it is remembered.

        One that did its work on another file is there, whatever the code (500 and 501 come for a
        single file, too); a 501 by itself, about the argument, tells nothing of the next one.
        """
        if reply.code in UNKNOWN_COMMAND:
            if self.profile.unproven(verdict):
                if reply.code != 501:
                    setattr(self.profile, verdict, False)
                return False
        elif reply.ok:
            setattr(self.profile, verdict, True)
        return True

    def explain(self, session: Session, path: str, error: ReplyError) -> RefusedError:
        """The typed error for a refused command, looked into on the same connection."""
        names = self.server_path(path)
        look = functools.partial(self._look, session, error.verb, path)
        return diagnose(error.verb, path, error.reply, look, names)

    def _look(self, session: Session, verb: str, path: str, *, briefly: bool) -> State:
        parent, name = split(path)
        if not name:
            return State(None, parent_exists=True)
        if briefly:
            return State(self.probed(session, path), parent_exists=True)
        siblings = self._quietly(session, parent)
        target = (siblings or {}).get(name) or self.probed(session, path)
        children = verb == "RMD" and target is not None and self._quietly(session, path)
        closed = siblings is None and self._is_listed(session, parent)
        return State(target, siblings is not None or closed, bool(children), closed)

    def _is_listed(self, session: Session, directory: str) -> bool:
        """Whether a directory that cannot be entered is there all the same."""
        parent, name = split(directory)
        entry = (self._quietly(session, parent) or {}).get(name)
        return entry is not None and entry.kind is Kind.DIRECTORY

    def _quietly(self, session: Session, path: str) -> dict[str, Entry] | None:
        """A listing, or None where there is none to be had."""
        try:
            return self.lister.list(session, self.server_path(path))
        except (ReplyError, DeniedError, NotDirectoryError):
            return None

    def probed(self, session: Session, path: str) -> Entry | None:
        """What SIZE, MDTM and CWD together tell of a path, or, on servers without SIZE, the
        listing of its parent; None where nothing is there."""
        server_path = self.reach(session, path)
        size, mtime, cwd = session.exchange(
            ("SIZE", server_path), ("MDTM", server_path), ("CWD", server_path)
        )
        name = split(path)[1]
        if cwd.ok:
            session.forget_directory()
            return Entry(name, Kind.DIRECTORY, 0, *_time(mtime))
        if size.code == 213:
            return Entry(name, Kind.FILE, number_of(size), *_time(mtime))
        if mtime.code == 213:
            return Entry(name, Kind.FILE, 0, *_time(mtime))
        if size.code in UNKNOWN_COMMAND:
            return (self._quietly(session, split(path)[0]) or {}).get(name)
        return None


def _time(mdtm: Reply) -> tuple[int, int]:
    """The time in a reply to MDTM and its precision, as in Entry."""
    mtime_ns = time_of(mdtm)
    return (0, UNKNOWN_S) if mtime_ns is None else (mtime_ns, 1)
