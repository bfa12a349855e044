"""The Remote that speaks FTP.

Shared by all threads; holds no lock of its own. What it knows of the server is in the Profile,
connections come from the Pool, one for each call.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO

from ftpfs.errors import (
    AbsentError,
    CrossDeviceError,
    ExistsError,
    FtpfsError,
    InvalidNameError,
    NotDirectoryError,
    RefusedError,
    UnsupportedError,
)
from ftpfs.remote.answers import number_of
from ftpfs.remote.api import Download, Entry, Fingerprint, Kind, Ranges, Spare, Stored
from ftpfs.remote.calls import UNKNOWN_COMMAND, Calls
from ftpfs.remote.diagnose import State, diagnose
from ftpfs.remote.downloads import Downloads, FtpSpare
from ftpfs.remote.groups import Failures, Groups
from ftpfs.remote.hashes import Hashes
from ftpfs.remote.line import Line
from ftpfs.remote.listing import MlsdSilentError
from ftpfs.remote.settime import SetTime
from ftpfs.remote.uploads import Uploads
from ftpfs.session.connection import Session
from ftpfs.session.pool import Pool, Purpose
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.pathname import check_path, join, parse_257, split
from ftpfs.wire.reply import Reply

log = logging.getLogger(__name__)

_NOT_ABOUT_THE_TARGET = (
    AbsentError,
    CrossDeviceError,
    InvalidNameError,
    NotDirectoryError,
    UnsupportedError,
)
ASIDE_CHARACTERS = 50  # of a name, at most 4 bytes each: what is added must not make it too long


class FtpRemote:
    """The tree below one directory of an FTP server."""

    def __init__(
        self,
        pool: Pool,
        profile: Profile,
        now_ns: Callable[[], int] = time.time_ns,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._profile = profile
        self._calls = Calls(pool, profile, now_ns, pause)
        self._downloads = Downloads(self._calls)
        self._uploads = Uploads(self._calls, self.rename)
        self._set_time = SetTime(self._calls)
        self._groups = Groups(self._calls)
        self._hashes = Hashes(self._calls)
        self._free_bytes: int | None = None

    def enter(self, path: str) -> None:
        """Make `path` ("" = login directory, relative to it, or absolute) the root.

        Raises AbsentError, NotDirectoryError, DeniedError, NetworkError.
        """
        check_path(path)
        with self._calls.pool.lease(Purpose.METADATA) as lease:
            login_directory = self._profile.login_directory
            self._calls.base = path if path.startswith("/") else join(login_directory, path)
            try:
                lease.session.change_directory(self._calls.base)
            except ReplyError as error:
                meaning = type(self._calls.explain(lease.session, "/", error))
                raise meaning(
                    f"{self._calls.base}: the server has no such directory for you: {error.reply}"
                ) from error
            here = lease.session.command("PWD")
            if here.ok:
                self._calls.base = parse_257(here)  # without the `..` that the URL may hold
                lease.session.change_directory(self._calls.base)
        self.refresh_free_bytes()

    @property
    def base(self) -> str:
        return self._calls.base

    @property
    def round_trip_s(self) -> float:
        return self._profile.round_trip_s

    @property
    def limit(self) -> int:
        return self._calls.pool.limit

    def make_room(self, connections: int) -> None:
        self._calls.pool.make_room(connections)

    @property
    def hides_links(self) -> bool:
        return self._profile.mlsd is not False

    @property
    def replaces(self) -> bool:
        return self._profile.replaces is not False

    def home(self) -> str:
        """The login directory, a server path. Logs in, where nobody has yet."""
        self._calls.pool.lease(Purpose.METADATA).release()
        return self._profile.login_directory

    def is_plain(self, path: str) -> bool:
        """Whether commands can name it at once, and its name is kept as it is."""
        return self._calls.is_plain(path)

    def check_name(self, path: str) -> None:
        """Raises InvalidNameError where the server would make something of another name."""
        self._calls.check_name(path)

    def line(self) -> Line:
        """A connection for one worker's transfers; opened with its first use."""
        return Line(self._calls, self._set_time.set)

    # -- asking -------------------------------------------------------------------------------

    @property
    def describes(self) -> bool:
        return self._profile.mlst is not False and self._offers("MLST", "MLSD")

    @property
    def seeks(self) -> bool:
        return self._profile.rest is not False

    def _offers(self, *verbs: str) -> bool:
        """Whether a verb is worth trying: listed by FEAT, or FEAT told nothing."""
        features = self._profile.features
        return not features.names or any(verb in features.names for verb in verbs)

    def list(self, path: str) -> dict[str, Entry]:
        try:
            return self._calls.repeating(lambda session: self._listed(session, path))
        except MlsdSilentError:
            return self._calls.repeating(lambda session: self._listed(session, path))

    def _listed(self, session: Session, path: str) -> dict[str, Entry]:
        try:
            entries = self._calls.lister.list(session, self._calls.server_path(path))
        except ReplyError as error:
            raise self._calls.explain(session, path, error) from error
        return self._calls.without_temporary(path, entries)

    def stat(self, path: str) -> Entry:
        return self._calls.repeating(lambda session: self._stat(session, path))

    def _stat(self, session: Session, path: str) -> Entry:
        entry = self._described(session, path) if self.describes else None
        entry = entry or self._calls.probed(session, path)
        if entry is None:
            raise AbsentError(f"{path}: no such file or directory")
        return entry

    def _described(self, session: Session, path: str) -> Entry | None:
        """What MLST says; None where the server has no MLST. RFC 3659 7.2."""
        reply = session.command("MLST", self._calls.reach(session, path))
        if reply.code in UNKNOWN_COMMAND:
            self._profile.mlst = False
            return None
        if not reply.ok:
            raise diagnose("MLST", path, reply, _nothing_there)
        self._profile.mlst = True
        name = split(path)[1]  # the server may repeat the whole path instead
        for line in reply.lines[1:-1]:
            with suppress(ValueError):
                entry = parse_facts(line)
                if entry is None or entry.size < 0:  # without a size: SIZE may tell it
                    return None
                return entry._replace(name=name)
        return None

    def free_bytes(self) -> int | None:
        return self._free_bytes

    def refresh_free_bytes(self) -> None:
        """Ask for the free space where the server can tell (AVBL); called off the hot path."""
        if self._profile.avbl is False or "AVBL" not in self._profile.features.names:
            return
        reply = self._calls.repeating(lambda session: session.command("AVBL", self._calls.base))
        self._profile.avbl = reply.code == 213
        self._free_bytes = number_of(reply) if self._profile.avbl else None

    # -- bytes --------------------------------------------------------------------------------

    def open_read(self, path: str, offset: int, *, identify: bool = False) -> Download:
        return self._downloads.open_read(path, offset, identify=identify)

    def spare(self) -> Spare | None:
        if not self._calls.pool.reserve():
            return None
        return FtpSpare(self._calls, self._downloads, self._listed)

    def store(self, path: str, source: BinaryIO, size: int) -> Stored:
        return self._uploads.store(path, source, size)

    def replace(self, path: str, source: BinaryIO, size: int, mode: int | None) -> Stored:
        return self._uploads.replace(path, source, size, mode)

    def append(self, path: str, source: BinaryIO, start: int, size: int) -> Stored:
        return self._uploads.append(path, source, start, size)

    def patch(self, path: str, source: BinaryIO, ranges: Ranges, size: int) -> Stored:
        return self._uploads.patch(path, source, ranges, size)

    def can_patch(self, path: str) -> bool:
        return self._uploads.can_patch(path)

    def fingerprint(self, path: str) -> Fingerprint | None:
        return self._uploads.fingerprint(path)

    # -- changes ------------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        self._calls.check_name(path)
        self._change("MKD", path, done=lambda: self._exists(path))

    def rmdir(self, path: str) -> None:
        self._change("RMD", path, done=lambda: not self._exists(path))

    def unlink(self, path: str) -> None:
        self._change("DELE", path, done=lambda: not self._exists(path))

    def hash_kinds(self) -> Iterator[str]:
        """The kinds of hashes that the server says it can compute, the best first."""
        return self._hashes.kinds()

    def hash_of(self, path: str, kind: str) -> str | None:
        """The hash of a file, hex digits; None where the server does not give that kind."""
        return self._hashes.of(path, kind)

    def times_of(self, paths: Sequence[str]) -> dict[str, int]:
        """The exact times of files, ns since the epoch; of those that the server tells."""
        return self._groups.times(paths)

    def mkdir_all(self, paths: Sequence[str]) -> Failures:
        """Make directories, those above before those below; what went wrong, by path."""
        return self._groups.change("MKD", paths, self.mkdir, done=ExistsError)

    def rmdir_all(self, paths: Sequence[str]) -> Failures:
        return self._groups.change("RMD", paths, self.rmdir, done=AbsentError)

    def unlink_all(self, paths: Sequence[str]) -> Failures:
        return self._groups.change("DELE", paths, self.unlink, done=AbsentError)

    def _change(self, verb: str, path: str, done: Callable[[], bool]) -> None:
        """Run a command that must not run twice: where its reply is lost, `done` decides."""

        def once(session: Session) -> None:
            reply = session.command(verb, self._calls.reach(session, path))
            if not reply.ok:
                raise self._calls.explain(session, path, ReplyError(verb, reply))

        self._calls.deciding(once, done)

    def rename(self, old: str, new: str) -> None:
        self._calls.check_name(new)
        try:
            self.rename_onto(old, new)
        except _NOT_ABOUT_THE_TARGET:
            raise
        except RefusedError as error:
            if not (self._is_file(old) and self._is_file(new)):
                raise
            log.debug("RNTO onto an existing name refused, moving it aside: %s", error)
            self._replace_aside(old, new)

    def rename_onto(self, old: str, new: str) -> None:
        """RNFR and RNTO, and nothing else where the server refuses that."""

        def once(session: Session) -> None:
            source, target = self._calls.reach_both(session, old, new)
            first, second = session.exchange(("RNFR", source), ("RNTO", target))
            if not first.intermediate:
                raise self._calls.explain(session, old, ReplyError("RNFR", first))
            if not second.ok:
                raise self._calls.explain(session, new, ReplyError("RNTO", second))

        self._calls.deciding(once, done=lambda: not self._exists(old) and self._exists(new))

    def _replace_aside(self, old: str, new: str) -> None:
        """Replace a file on a server that will not rename onto it (IIS, old FileZilla)."""
        parent, name = split(new)
        aside = join(parent, f".{name[:ASIDE_CHARACTERS]}.ftpfs-{os.urandom(4).hex()}")
        self.rename_onto(new, aside)
        try:
            self.rename_onto(old, new)
        except FtpfsError:
            self.rename_onto(aside, new)
            raise
        self.unlink(aside)

    def set_mtime(self, path: str, mtime_ns: int) -> None:
        """Set a file's time. Raises UnsupportedError where no way works."""
        self._calls.repeating(lambda session: self._set_time.set(session, path, mtime_ns))

    def set_mtime_by(self, way: str, path: str, mtime_ns: int) -> bool:
        """Set a file's time in one way alone (settime.WAYS); False where there is none such."""
        return self._calls.repeating(
            lambda session: self._set_time.set_by(way, session, path, mtime_ns)
        )

    def chmod(self, path: str, mode: int) -> None:
        """Set permission bits. Raises UnsupportedError where the server has no way."""
        self._calls.repeating(lambda session: self._chmod(session, path, mode))

    def _chmod(self, session: Session, path: str, mode: int) -> None:
        done = self._calls.set_mode(session, path, mode)
        if done is not None:
            return self._accept(session, done[0], path, done[1])
        raise UnsupportedError(f"{path}: the server has no way to set permissions")

    def _accept(self, session: Session, verb: str, path: str, reply: Reply) -> None:
        if not reply.ok:
            raise self._calls.explain(session, path, ReplyError(verb, reply))

    # -- common -------------------------------------------------------------------------------

    def _exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except AbsentError:
            return False
        return True

    def _is_file(self, path: str) -> bool:
        try:
            return self.stat(path).kind is Kind.FILE
        except AbsentError:
            return False


def _nothing_there(*, briefly: bool) -> State:
    """What MLST's refusal means where its text says nothing."""
    return State(None, parent_exists=True)
