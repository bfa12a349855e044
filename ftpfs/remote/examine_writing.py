"""The part of an examination that writes: in a scratch directory, which it removes in the end."""

from __future__ import annotations

import functools
import io
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress

from ftpfs.config import EXAMINED_WRITE_BYTES, KIB
from ftpfs.errors import AbsentError, FtpfsError
from ftpfs.remote.api import Kind
from ftpfs.remote.ftp import FtpRemote
from ftpfs.remote.report import Finding, Timing
from ftpfs.remote.settime import WAYS
from ftpfs.remote.trials import SWITCHED_OFF, Outcome, Trials
from ftpfs.session.profile import Profile
from ftpfs.wire.features import Features
from ftpfs.wire.pathname import join

log = logging.getLogger(__name__)

SCRATCH_PREFIX = ".ftpfs-doctor-"

_BIG = "big"
_OLD, _NEW = b"old", b"new, and longer"
_TIME_NS = 1_000_000_000 * 10**9  # 2001-09-09: no server takes it for now
_MODE = 0o640

_NAMES = {
    "not ASCII": "é文.txt",
    "a blank first": " x",
    "a blank last": "x ",
    "a dash first": "-x",
    "a tilde first": "~x",
    "brackets and stars": "a[1]*?.txt",
    "quotes": "a'b\"c",
    "a backslash": "a\\b",
    "255 bytes": "n" * 255,
}
"""Names that one server or another refuses, or stores as another name."""

_OFFERED_BY = {  # finding: what FEAT has, if it has anything
    "writing": None,
    "STOR": None,
    "APPE": None,
    "RNTO replaces": None,
    "replacing": None,
    "REST + STOR": "REST",
    "MFMT": "MFMT",
    "MDTM sets": None,
    "SITE UTIME": "SITE UTIME",
    "SITE CHMOD": "SITE CHMOD",
    "names": None,
}


def not_tried(trials: Trials, features: Features) -> None:
    """What only writing can tell."""
    for name, feature in _OFFERED_BY.items():
        offered = "; FEAT lists it" if feature and feature in features.names else ""
        trials.note(name, None, f"not tried: needs --write{offered}")


class Scratch:
    """A directory of our own on the server, for as long as `run` runs.

    `on_file` gets path and size of a large file, while that is there. `left_behind`: the server
    path of the directory where it could not be removed, else "".
    """

    def __init__(
        self,
        remote: FtpRemote,
        profile: Profile,
        trials: Trials,
        on_file: Callable[[str, int], None] | None = None,
    ) -> None:
        self._remote = remote
        self._profile = profile
        self._trials = trials
        self._path = "/" + SCRATCH_PREFIX + secrets.token_hex(6)
        self._on_file = on_file
        self._timing: Timing | None = None
        self.left_behind = ""

    def run(self) -> Timing | None:
        """Try everything; how fast an upload is, where there was one."""
        made = False
        try:
            made = bool(self._trials.run("writing", self._make).verdict)
            if made:
                self._try_all()
        finally:
            # Also where the reply to MKD was lost: the directory may be there.
            self._remove(silently=not made)
        return self._timing

    def _make(self) -> Outcome:
        self._remote.mkdir(self._path)
        return True, ""

    def _try_all(self) -> None:
        trials = self._trials
        if trials.run("STOR", self._upload).verdict and self._on_file is not None:
            self._on_file(join(self._path, _BIG), EXAMINED_WRITE_BYTES)
        self._try("APPE", "appends", self._append)
        trials.run("RNTO replaces", self._rename_onto)
        self._try("replacing", "replaces", self._replace)
        trials.run("REST + STOR", self._patch)
        for name, way in zip(("MFMT", "MDTM sets", "SITE UTIME"), WAYS, strict=True):
            self._try(name, way, functools.partial(self._set_time, way))
        chmod = self._try("SITE CHMOD", "site_chmod", self._chmod)
        self._profile.site_chmod = bool(chmod.verdict)
        trials.run("names", self._store_names)

    def _try(self, name: str, verdict: str, trial: Callable[[], Outcome]) -> Finding:
        """The finding of one trial, unless an option has decided that it is never used."""
        if verdict in self._profile.fixed:
            return self._trials.note(name, None, SWITCHED_OFF)
        return self._trials.run(name, trial)

    def _store(self, name: str, content: bytes) -> str:
        path = join(self._path, name)
        self._remote.store(path, io.BytesIO(content), len(content))
        return path

    def _upload(self) -> Outcome:
        block = secrets.token_bytes(64 * KIB)
        content = block * (EXAMINED_WRITE_BYTES // len(block))
        start_s = self._trials.clock()
        self._store(_BIG, content)
        seconds = self._trials.clock() - start_s
        self._timing = Timing("writing", seconds, len(content) / seconds if seconds else None)
        return True, f"{len(content)} bytes"

    def _append(self) -> Outcome:
        path = self._store("appended", _OLD)
        whole = _OLD + _NEW
        self._remote.append(path, io.BytesIO(whole), len(_OLD), len(whole))
        return self._holds(path, whole)

    def _rename_onto(self) -> Outcome:
        old, new = self._store("to be renamed", _NEW), self._store("there already", _OLD)
        self._remote.rename_onto(old, new)
        return self._holds(new, _NEW)

    def _replace(self) -> Outcome:
        """As a mount does it: where RNTO does not replace, the old file steps aside."""
        path = self._store("replaced", _OLD)
        self._remote.replace(path, io.BytesIO(_NEW), len(_NEW), None)
        return self._holds(path, _NEW)

    def _patch(self) -> Outcome:
        return self._remote.can_patch(join(self._path, "patched")), ""

    def _holds(self, path: str, content: bytes) -> Outcome:
        found, buffer = bytearray(), memoryview(bytearray(KIB))
        download = self._remote.open_read(path, 0)
        try:
            while count := download.readinto(buffer):
                found += buffer[:count]
        finally:
            download.close()
        return bytes(found) == content, "" if found == content else "other bytes are there"

    # -- attributes ---------------------------------------------------------------------------

    def _set_time(self, way: str) -> Outcome:
        """Whether one way alone is known, and the time there afterwards."""
        path = self._store(way, _OLD)
        if not self._remote.set_mtime_by(way, path, _TIME_NS):
            return False, "unknown there"
        found = self._remote.fingerprint(path)
        if found is None or found.mtime_ns not in (None, _TIME_NS):
            setattr(self._profile, way, False)
            return False, "accepted, but the time is another one"
        return True, ""

    def _chmod(self) -> Outcome:
        path = self._store("mode", _OLD)
        self._remote.chmod(path, _MODE)
        mode = self._remote.list(self._path)["mode"].mode
        if mode not in (None, _MODE):
            return False, f"{_MODE:o} was asked for, {mode:o} is there"
        return True, ""

    # -- names --------------------------------------------------------------------------------

    def _store_names(self) -> Outcome:
        wrong = [what for what, name in _NAMES.items() if not self._keeps(name)]
        return not wrong, ", ".join(wrong)

    def _keeps(self, name: str) -> bool:
        """Whether a file of that name is there under that name afterwards."""
        try:
            self._store(name, _OLD)
            kept = name in self._remote.list(self._path)
            self._remote.unlink(join(self._path, name))
        except FtpfsError as error:
            log.debug("%s: %s", name, error)
            return False
        return kept

    # -- removing -----------------------------------------------------------------------------

    def _remove(self, *, silently: bool) -> None:
        """Remove the directory with what is in it, also what was stored under another name."""
        for last in (False, True):
            try:
                self._empty()
                self._remote.rmdir(self._path)
            except AbsentError:
                return
            except FtpfsError as error:
                if last and not silently:
                    self.left_behind = join(self._remote.base, self._path.lstrip("/"))
                    log.warning("%s could not be removed: %s", self.left_behind, error)
            else:
                return

    def _empty(self) -> None:
        for name, entry in self._remote.list(self._path).items():
            if entry.kind is not Kind.DIRECTORY:
                with suppress(AbsentError):
                    self._remote.unlink(join(self._path, name))
