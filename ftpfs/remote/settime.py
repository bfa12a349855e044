"""Sets a file's time, in the first of three ways that the server knows.

MFMT (draft-somers-ftp-mfxx 3); MDTM with a time before the name (vsftpd, Serv-U); SITE UTIME in
the spellings of Pure-FTPd and of ProFTPD's mod_site_misc. Shared by all threads; state only in the
Profile.
"""

from __future__ import annotations

import logging

from ftpfs.errors import UnsupportedError
from ftpfs.remote.answers import time_of
from ftpfs.remote.calls import Calls
from ftpfs.session.connection import Session
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.reply import Reply
from ftpfs.wire.timeval import SECOND_NS, format_time

log = logging.getLogger(__name__)

WAYS = ("mfmt", "mdtm_sets", "site_utime")
"""In the order in which they are tried; names of verdicts."""

_UNKNOWN_COMMAND = (500, 501, 502, 504)


class SetTime:
    """Sets times of files on one server."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._profile = calls.profile

    def set(self, session: Session, path: str, mtime_ns: int) -> None:
        """To the second. Raises UnsupportedError where no way works, and what a refusal means."""
        if not any(self.set_by(way, session, path, mtime_ns) for way in WAYS):
            raise UnsupportedError(f"{path}: the server has no way to set a file's time")

    def set_by(self, way: str, session: Session, path: str, mtime_ns: int) -> bool:
        """By one of WAYS; False where the server does not have it. Raises what a refusal means."""
        ask = {"mfmt": self._by_mfmt, "mdtm_sets": self._by_mdtm, "site_utime": self._by_site_utime}
        verb, reply = ask[way](session, self._calls.reach(session, path), mtime_ns)
        if reply is not None and not reply.ok:
            raise self._calls.explain(session, path, ReplyError(verb, reply))
        return reply is not None

    def _by_mfmt(self, session: Session, path: str, ns: int) -> tuple[str, Reply | None]:
        """The command, and its reply; None where the server has no such command. So the others."""
        if self._profile.mfmt is not False:
            reply = session.command("MFMT", f"{format_time(ns)} {path}")
            if self._calls.knows("mfmt", reply):
                return "MFMT", reply
        return "MFMT", None

    def _by_mdtm(self, session: Session, path: str, ns: int) -> tuple[str, Reply | None]:
        if self._profile.mdtm_sets is not False:
            reply = session.command("MDTM", f"{format_time(ns)} {path}")
            # Refused for a file that is there: taken for its name, or not allowed to anybody.
            if reply.ok or session.command("MDTM", path).code == 213:
                self._profile.mdtm_sets = self._profile.mdtm_sets or reply.ok
            if self._profile.mdtm_sets is not False:
                return "MDTM", reply
        return "MDTM", None

    def _by_site_utime(self, session: Session, path: str, ns: int) -> tuple[str, Reply | None]:
        if self._profile.site_utime is not False:
            time = format_time(ns)
            for arguments in (f"{path} {time} {time} {time} UTC", f"{time} {path}"):
                reply = session.command("SITE", f"UTIME {arguments}")
                if reply.code in _UNKNOWN_COMMAND:
                    continue
                if reply.ok and self._profile.unproven("site_utime"):
                    self._profile.site_utime = _took(session, path, ns)
                return "SITE UTIME", None if self._profile.site_utime is False else reply
            self._profile.site_utime = False
        return "SITE UTIME", None


def _took(session: Session, path: str, ns: int) -> bool:
    """Whether the file has that time now: there is no standard for SITE UTIME, and servers differ
    in what they take for the name, the time and its zone."""
    found = time_of(session.command("MDTM", path))
    if found is None or found // SECOND_NS == ns // SECOND_NS:
        return True
    log.info("SITE UTIME sets another time than it was told: not used")
    return False
