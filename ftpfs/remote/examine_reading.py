"""The part of an examination that reads: a file near by, as large as there is one."""

from __future__ import annotations

import time

from ftpfs.config import BLOCK_BYTES, EXAMINED_DIRECTORIES, EXAMINED_READ_BYTES, EXAMINED_READ_S
from ftpfs.errors import FtpfsError
from ftpfs.remote.answers import number_of, time_of
from ftpfs.remote.api import Entry, Kind
from ftpfs.remote.ftp import FtpRemote
from ftpfs.remote.report import Timing
from ftpfs.remote.trials import Outcome, Trials
from ftpfs.session.connection import Session
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.pathname import join
from ftpfs.wire.timeval import SECOND_NS


class Sample:
    """A file to be read: path and size."""

    def __init__(
        self, path: str, size: int, remote: FtpRemote, profile: Profile, trials: Trials
    ) -> None:
        self._path = path
        self._size = size
        self._remote = remote
        self._profile = profile
        self._trials = trials
        self._timing: Timing | None = None

    def read(self) -> Timing | None:
        """How fast it is read, in bytes a second; None where it is not."""
        server_path = join(self._remote.base, self._path.lstrip("/"))
        self._trials.ask("SIZE", lambda s: _size(s, server_path))
        self._trials.ask("MDTM", lambda s: _time(s, server_path))
        rest = self._trials.run("REST", self._rest)
        self._profile.rest = bool(rest.verdict)
        self._trials.run("RETR", self._throughput)
        return self._timing

    def _rest(self) -> Outcome:
        """One that is ignored is worse than one that is refused: the whole file comes."""
        count, _ = self._read(self._size - 1, limit=BLOCK_BYTES)
        if self._profile.rest is False:
            return False, "refused"
        return count == 1, "" if count == 1 else f"{count} bytes came in place of 1"

    def _throughput(self) -> Outcome:
        count, seconds = self._read(0)
        self._timing = Timing("reading", seconds, count / seconds if seconds else None)
        return True, f"{count} bytes of {self._path}"

    def _read(self, offset: int, limit: int = EXAMINED_READ_BYTES) -> tuple[int, float]:
        """Bytes read and the seconds that took, within the bounds of an examination."""
        clock = self._trials.clock
        start_s = clock()
        buffer = memoryview(bytearray(BLOCK_BYTES))
        done = 0
        download = self._remote.open_read(self._path, offset)
        try:
            while done < limit and clock() - start_s < EXAMINED_READ_S:
                count = download.readinto(buffer)
                if not count:
                    break
                done += count
            return done, clock() - start_s
        finally:
            download.close()


def largest_near(remote: FtpRemote) -> tuple[str, int] | None:
    """The largest file near by, path and size, to be read."""
    found: list[tuple[int, str]] = []
    directories = ["/"]
    for directory in directories:
        entries = _entries(remote, directory)
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


def _entries(remote: FtpRemote, directory: str) -> dict[str, Entry]:
    try:
        return remote.list(directory)
    except FtpfsError:
        return {}


def not_read(trials: Trials) -> None:
    """There is nothing to read."""
    for name in ("SIZE", "MDTM", "REST", "RETR"):
        trials.note(name, None, "not tried: no file near by to read")


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
