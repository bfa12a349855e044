"""What a mount has learnt of a server, kept in a file for the next mount of the same server.

One small JSON file a server; the caller chooses its place. Nothing depends on it: a file that is
missing, damaged, too old or another server's is as none. Used by one thread at a time.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from typing import Any
from urllib.parse import quote

from ftpfs.config import (
    LIMIT_KEPT_S,
    VERDICT_FILE_BYTES,
    VERDICT_NO_KEPT_S,
    VERDICT_YES_KEPT_S,
)
from ftpfs.session.profile import VERDICTS, Profile, Verdict

log = logging.getLogger(__name__)

_FORMAT = 1
_NAME_CHARACTERS = 200
_LIMIT = "connection_limit"
_IDLE = "idle_s"
_GRAIN_S = 600

_FOR_THIS_MOUNT = frozenset({"zone_s", "replaces", "patches"})
"""Never kept. The zone changes with the season; on the other two hangs the safety of files: a yes
must be seen before the only good copy is changed in place, and a no that was about one directory
would take the safe replacement from all others."""

KEPT = VERDICTS - _FOR_THIS_MOUNT


class VerdictFile:
    """The verdicts on one server. `server` names it, its user and how it is spoken to: a URL
    without a password."""

    def __init__(self, directory: str, server: str) -> None:
        self._server = server
        # Two with the same long beginning share a name: each takes the other's for none.
        name = quote(server, safe="", errors="surrogateescape")[:_NAME_CHARACTERS]
        self.path = os.path.join(directory, f"{name}.json")
        self._saved: dict[str, Any] | None = None

    def load(self, profile: Profile) -> None:
        """Make `profile` believe what is kept and not too old."""
        try:
            kept = self._read()
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            log.debug("%s: what was known of the server is not used: %s", self.path, error)
            return
        profile.features_before = frozenset(kept["features"])
        now_s = profile.now_s()
        for name, (value, learnt_s) in kept["verdicts"].items():
            if name in KEPT and 0 <= now_s - learnt_s < _age_s(name, value):
                profile.believe(name, value, learnt_s)
        for kind, (value, learnt_s) in kept["names"].items():
            if 0 <= now_s - learnt_s < _age_s(kind, value):
                profile.believe_name(kind, value, learnt_s)

    def _read(self) -> dict[str, Any]:
        """The file's content. Raises ValueError where that is not ours, OSError."""
        with open(self.path, encoding="utf-8") as file:
            kept = json.loads(file.read(VERDICT_FILE_BYTES))
        if not isinstance(kept, dict) or kept.get("format") != _FORMAT:
            raise ValueError("not a file of this version")
        if kept.get("server") != _plain(self._server):
            raise ValueError("another server's")
        features, verdicts = kept.get("features"), kept.get("verdicts")
        names = kept.setdefault("names", {})
        if not (isinstance(features, list) and all(isinstance(name, str) for name in features)):
            raise ValueError("damaged")
        if not (isinstance(verdicts, dict) and all(map(_sound, verdicts, verdicts.values()))):
            raise ValueError("damaged")
        if not (isinstance(names, dict) and all(map(_sound_name, names.values()))):
            raise ValueError("damaged")
        return kept

    def save(self, profile: Profile) -> None:
        """Keep what `profile` knows, if that is anything new. A disk that refuses is no error."""
        if not profile.features_asked:
            return  # nobody was logged in
        kept = self._content(profile)
        if kept == self._saved:
            return
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            _write(self.path, json.dumps(kept, indent=1))
            self._saved = kept
        except OSError as error:
            log.debug("%s: what is known of the server is not kept: %s", self.path, error)

    def _content(self, profile: Profile) -> dict[str, Any]:
        names = sorted(KEPT - profile.fixed)
        values = {name: getattr(profile, name) for name in names}

        def seen(name: str, value: object) -> list[object]:
            # Rounded: what is seen again all the time is not written again all the time.
            return [value, int(profile.learnt_s[name]) // _GRAIN_S * _GRAIN_S]

        return {
            "format": _FORMAT,
            "server": _plain(self._server),
            "features": sorted(map(_plain, profile.features.names)),
            "verdicts": {
                name: seen(name, value) for name, value in values.items() if value is not None
            },
            "names": {kind: seen(kind, value) for kind, value in profile.keeps.items()},
        }


def _age_s(name: str, value: Verdict) -> float:
    if name == _LIMIT:
        return LIMIT_KEPT_S
    return VERDICT_YES_KEPT_S if value is True else VERDICT_NO_KEPT_S


def _sound(name: str, verdict: object) -> bool:
    if not (isinstance(verdict, list) and len(verdict) == 2):
        return False
    value, learnt_s = verdict
    if not isinstance(learnt_s, int | float) or isinstance(learnt_s, bool):
        return False
    if name in (_LIMIT, _IDLE):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return (whole or (name == _IDLE and isinstance(value, float))) and value >= 1
    return isinstance(value, bool) or name not in KEPT


def _sound_name(verdict: object) -> bool:
    """What is kept of a kind of odd names is a yes or a no."""
    return _sound("mlsd", verdict) and isinstance(verdict, list) and isinstance(verdict[0], bool)


def _plain(text: str) -> str:
    """Names may hold bytes that are no text; JSON carries none."""
    return text.encode("utf-8", "backslashreplace").decode()


def _write(path: str, text: str) -> None:
    """Replace a file as a whole, readable for the user alone."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(path))
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
