"""The Remote that speaks FTP.

Shared by all threads; holds no lock of its own. What it knows of the server is in the Profile,
connections come from the Pool, one for each call.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, TypeVar

from ftpfs.config import MIB
from ftpfs.errors import (
    AbsentError,
    DeniedError,
    FtpfsError,
    NetworkError,
    NotDirectoryError,
    RefusedError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.api import Download, Entry, Kind, Stored
from ftpfs.remote.diagnose import State, diagnose
from ftpfs.remote.listing import Lister
from ftpfs.session.connection import ReplyError, Session, Transfer
from ftpfs.session.pool import Lease, Pool, Purpose
from ftpfs.session.profile import Profile
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.pathname import check_path, join, parse_257, split
from ftpfs.wire.reply import Reply
from ftpfs.wire.timeval import format_time, parse_time

log = logging.getLogger(__name__)

T = TypeVar("T")

UPLOAD_STEP_BYTES = 8 * MIB
_UNKNOWN_COMMAND = (500, 501, 502, 504)
_SKIP_BUFFER = 256 * 1024


class FtpRemote:
    """The tree below one directory of an FTP server."""

    def __init__(
        self, pool: Pool, profile: Profile, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.base = "/"
        self._pool = pool
        self._profile = profile
        self._lister = Lister(profile, now_ns)
        self._free_bytes: int | None = None

    def enter(self, path: str) -> None:
        """Make `path` ("" = login directory, relative to it, or absolute) the root.

        Raises AbsentError, NotDirectoryError, DeniedError, NetworkError.
        """
        check_path(path)
        with self._pool.lease(Purpose.METADATA) as lease:
            login_directory = self._profile.login_directory
            self.base = path if path.startswith("/") else join(login_directory, path)
            try:
                lease.session.change_directory(self.base)
            except ReplyError as error:
                meaning = type(self._explain(lease.session, "/", error))
                raise meaning(
                    f"{self.base}: the server has no such directory for you: {error.reply}"
                ) from error
            here = lease.session.command("PWD")
            if here.ok:
                self.base = parse_257(here)  # without the `..` that the URL may hold
                lease.session.change_directory(self.base)
        self.refresh_free_bytes()

    # -- asking -------------------------------------------------------------------------------

    @property
    def describes(self) -> bool:
        return self._profile.mlst is not False and self._offers("MLST", "MLSD")

    def _offers(self, *verbs: str) -> bool:
        """Whether a verb is worth trying: listed by FEAT, or FEAT told nothing."""
        features = self._profile.features
        return not features.names or any(verb in features for verb in verbs)

    def list(self, path: str) -> dict[str, Entry]:
        return self._repeating(lambda session: self._list(session, path))

    def _list(self, session: Session, path: str) -> dict[str, Entry]:
        try:
            return self._lister.list(session, self._server_path(path))
        except ReplyError as error:
            raise self._explain(session, path, error) from error

    def stat(self, path: str) -> Entry:
        return self._repeating(lambda session: self._stat(session, path))

    def _stat(self, session: Session, path: str) -> Entry:
        entry = self._described(session, path) if self.describes else None
        entry = entry or self._probed(session, path)
        if entry is None:
            raise AbsentError(f"{path}: no such file or directory")
        return entry

    def _described(self, session: Session, path: str) -> Entry | None:
        """What MLST says; None where the server has no MLST. RFC 3659 7.2."""
        reply = session.command("MLST", self._server_path(path))
        if reply.code in _UNKNOWN_COMMAND:
            self._profile.mlst = False
            return None
        if not reply.ok:
            raise diagnose("MLST", path, reply, lambda: State(None, parent_exists=True))
        self._profile.mlst = True
        name = split(path)[1]  # the server may repeat the whole path instead
        for line in reply.lines[1:-1]:
            with suppress(ValueError):
                entry = parse_facts(line)
                return entry and replace(entry, name=name)
        return None

    def _probed(self, session: Session, path: str) -> Entry | None:
        """What SIZE, MDTM and CWD together tell of a path; None where nothing is there."""
        server_path = self._server_path(path)
        size, mtime, cwd = session.exchange(
            ("SIZE", server_path), ("MDTM", server_path), ("CWD", server_path)
        )
        name = split(path)[1]
        if cwd.ok:
            session.forget_directory()
            return Entry(name, Kind.DIRECTORY, mtime_ns=_time_of(mtime) or 0)
        if size.code == 213:
            return Entry(name, Kind.FILE, _number_of(size), _time_of(mtime) or 0)
        if mtime.code == 213:
            return Entry(name, Kind.FILE, 0, _time_of(mtime) or 0)
        return None

    def free_bytes(self) -> int | None:
        return self._free_bytes

    def refresh_free_bytes(self) -> None:
        """Ask for the free space where the server can tell (AVBL); called off the hot path."""
        if self._profile.avbl is False or "AVBL" not in self._profile.features:
            return
        reply = self._repeating(lambda session: session.command("AVBL", self.base))
        self._profile.avbl = reply.code == 213
        self._free_bytes = _number_of(reply) if self._profile.avbl else None

    # -- bytes --------------------------------------------------------------------------------

    def open_read(self, path: str, offset: int) -> Download:
        while True:
            lease = self._pool.lease(Purpose.TRANSFER)
            try:
                return self._retrieve(lease, path, offset)
            except NetworkError as error:
                lease.release()
                if lease.fresh:
                    raise
                log.debug("RETR again on a new connection: %s", error)
            except BaseException:
                lease.release()
                raise

    def _retrieve(self, lease: Lease, path: str, offset: int) -> Download:
        start = offset if self._profile.rest is not False else 0
        try:
            transfer = lease.session.transfer("RETR", self._server_path(path), offset=start)
        except ReplyError as error:
            if error.verb != "REST":
                raise self._explain(lease.session, path, error) from error
            log.warning("the server refuses REST: files are read from the start")
            self._profile.rest = False
            return self._retrieve(lease, path, offset)
        download = FtpDownload(lease, transfer, path)
        if start != offset:
            download.skip(offset)
        return download

    def store(self, path: str, source: BinaryIO, size: int) -> Stored:
        return self._repeating(
            lambda session: self._store(session, path, source, size), Purpose.TRANSFER
        )

    def _store(self, session: Session, path: str, source: BinaryIO, size: int) -> Stored:
        server_path = self._server_path(path)
        try:
            transfer = session.transfer("STOR", server_path)
            _upload(transfer, source, size)
        except ReplyError as error:
            raise self._explain(session, path, error) from error
        replies = session.exchange(("SIZE", server_path), ("MDTM", server_path))
        if replies[0].code == 213 and _number_of(replies[0]) != size:
            raise TransferError(
                f"{path}: the server confirmed {size} bytes but holds {_number_of(replies[0])}"
            )
        return Stored(size, _time_of(replies[1]))

    # -- changes ------------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        self._change("MKD", path, done=lambda: self._exists(path))

    def rmdir(self, path: str) -> None:
        self._change("RMD", path, done=lambda: not self._exists(path))

    def unlink(self, path: str) -> None:
        self._change("DELE", path, done=lambda: not self._exists(path))

    def _change(self, verb: str, path: str, done: Callable[[], bool]) -> None:
        """Run a command that must not run twice: where its reply is lost, `done` decides."""
        server_path = self._server_path(path)

        def once(session: Session) -> None:
            reply = session.command(verb, server_path)
            if not reply.ok:
                raise self._explain(session, path, ReplyError(verb, reply))

        self._deciding(once, done)

    def rename(self, old: str, new: str) -> None:
        try:
            self._rename(old, new)
        except (AbsentError, UnsupportedError, NotDirectoryError):
            raise
        except RefusedError as error:
            if not (self._is_file(old) and self._is_file(new)):
                raise
            log.debug("RNTO onto an existing name refused, moving it aside: %s", error)
            self._replace_aside(old, new)

    def _rename(self, old: str, new: str) -> None:
        commands = (("RNFR", self._server_path(old)), ("RNTO", self._server_path(new)))

        def once(session: Session) -> None:
            first, second = session.exchange(*commands)
            if not first.intermediate:
                raise self._explain(session, old, ReplyError("RNFR", first))
            if not second.ok:
                raise self._explain(session, new, ReplyError("RNTO", second))

        self._deciding(once, done=lambda: not self._exists(old) and self._exists(new))

    def _replace_aside(self, old: str, new: str) -> None:
        """Replace a file on a server that will not rename onto it (IIS, old FileZilla)."""
        parent, name = split(new)
        aside = join(parent, f".{name}.ftpfs-{secrets.token_hex(4)}")
        self._rename(new, aside)
        try:
            self._rename(old, new)
        except FtpfsError:
            self._rename(aside, new)
            raise
        self.unlink(aside)

    def set_mtime(self, path: str, mtime_ns: int) -> None:
        """Set a file's time. Raises UnsupportedError where no way works."""
        self._repeating(lambda session: self._set_mtime(session, path, mtime_ns))

    def _set_mtime(self, session: Session, path: str, mtime_ns: int) -> None:
        argument = f"{format_time(mtime_ns)} {self._server_path(path)}"
        profile = self._profile
        if profile.mfmt is not False:
            reply = session.command("MFMT", argument)  # draft-somers-ftp-mfxx 3
            profile.mfmt = reply.code not in _UNKNOWN_COMMAND
            if profile.mfmt:
                return self._accept(session, "MFMT", path, reply)
        if profile.mdtm_sets is not False:
            reply = session.command("MDTM", argument)  # vsftpd, Serv-U
            # Refused for a file that is there: taken for its name, or not allowed to anybody.
            if reply.ok or session.command("MDTM", self._server_path(path)).code == 213:
                profile.mdtm_sets = profile.mdtm_sets or reply.ok
            if profile.mdtm_sets is not False:
                return self._accept(session, "MDTM", path, reply)
        raise UnsupportedError(f"{path}: the server has no way to set a file's time")

    def chmod(self, path: str, mode: int) -> None:
        """Set permission bits. Raises UnsupportedError where SITE CHMOD is unknown."""
        self._repeating(lambda session: self._chmod(session, path, mode))

    def _chmod(self, session: Session, path: str, mode: int) -> None:
        if self._profile.site_chmod is not False:
            reply = session.command("SITE", f"CHMOD {mode & 0o7777:03o} {self._server_path(path)}")
            self._profile.site_chmod = reply.code not in _UNKNOWN_COMMAND
            if self._profile.site_chmod:
                return self._accept(session, "SITE CHMOD", path, reply)
        raise UnsupportedError(f"{path}: the server has no way to set permissions")

    def _accept(self, session: Session, verb: str, path: str, reply: Reply) -> None:
        if not reply.ok:
            raise self._explain(session, path, ReplyError(verb, reply))

    # -- common -------------------------------------------------------------------------------

    def _server_path(self, path: str) -> str:
        check_path(path)
        return join(self.base, path) if path != "/" else self.base

    def _repeating(self, action: Callable[[Session], T], purpose: Purpose = Purpose.METADATA) -> T:
        """Run something that may run twice; again when a kept connection turns out dead."""
        while True:
            with self._pool.lease(purpose) as lease:
                try:
                    return action(lease.session)
                except NetworkError as error:
                    if lease.fresh:
                        raise
                    log.debug("again on a new connection: %s", error)

    def _deciding(self, once: Callable[[Session], None], done: Callable[[], bool]) -> None:
        """Run something that must not run twice; `done` tells whether a lost one took effect."""
        for last in (False, True):
            with self._pool.lease(Purpose.METADATA) as lease:
                try:
                    return once(lease.session)
                except NetworkError as error:
                    if last:
                        raise
                    log.debug("reply lost, looking whether it was done: %s", error)
            if done():
                return None
        return None

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

    def _explain(self, session: Session, path: str, error: ReplyError) -> RefusedError:
        """The typed error for a refused command, looked into on the same connection."""
        return diagnose(error.verb, path, error.reply, lambda: self._look(session, error, path))

    def _look(self, session: Session, error: ReplyError, path: str) -> State:
        parent, name = split(path)
        if not name:
            return State(None, parent_exists=True)
        siblings = self._quietly(session, parent)
        target = (siblings or {}).get(name) or self._probed(session, path)
        children = error.verb == "RMD" and target is not None and self._quietly(session, path)
        return State(target, siblings is not None, bool(children))

    def _quietly(self, session: Session, path: str) -> dict[str, Entry] | None:
        """A listing, or None where there is none to be had."""
        try:
            return self._lister.list(session, self._server_path(path))
        except (ReplyError, DeniedError, NotDirectoryError):
            return None


class FtpDownload:
    """A RETR in progress and the lease it holds."""

    def __init__(self, lease: Lease, transfer: Transfer, path: str) -> None:
        self._lease = lease
        self._transfer = transfer
        self._path = path
        self._ended = False

    @property
    def wanted(self) -> bool:
        return self._lease.wanted

    def readinto(self, buffer: memoryview) -> int:
        count = 0 if self._ended else self._transfer.readinto(buffer)
        if count == 0 and not self._ended:
            self._ended = True
            self._finish()
        return count

    def _finish(self) -> None:
        """The final reply decides whether the end of the stream is the end of the file."""
        try:
            self._transfer.finish()
        except ReplyError as error:
            raise TransferError(f"{self._path}: the transfer broke off: {error}") from error
        finally:
            self._lease.release()

    def skip(self, count: int) -> None:
        """Read `count` bytes and drop them."""
        buffer = memoryview(bytearray(_SKIP_BUFFER))
        while count and (got := self.readinto(buffer[: min(count, _SKIP_BUFFER)])):
            count -= got

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            self._transfer.abort()
        self._lease.release()


def _upload(transfer: Transfer, source: BinaryIO, size: int) -> None:
    offset = 0
    try:
        while offset < size:
            sent = transfer.send_file(source, offset, min(UPLOAD_STEP_BYTES, size - offset))
            if sent == 0:
                break
            offset += sent
    except BaseException:
        transfer.abort()
        raise
    if offset < size:
        transfer.abort()
        raise TransferError(f"the local copy ended at {offset} of {size} bytes")
    transfer.finish(upload=True)


def _number_of(reply: Reply) -> int:
    digits = reply.text.split(" ", 1)[0]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _time_of(reply: Reply) -> int | None:
    """The time in a reply to MDTM, ns; None where it has none. RFC 3659 3."""
    if reply.code != 213:
        return None
    try:
        return parse_time(reply.text.split(" ", 1)[0])
    except ValueError:
        return None
