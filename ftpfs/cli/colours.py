"""Colours of names on a terminal, as LS_COLORS has them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ftpfs.remote.api import Entry, Kind

_DEFAULTS = {"di": "01;34", "ln": "01;36", "ex": "01;32"}


@dataclass(frozen=True)
class Colours:
    """Codes by LS_COLORS' words: `di`, `ln`, `ex`, and `*.EXT`. dir_colors(5)"""

    codes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_environment(cls) -> Colours:
        """Those that the user has set, or usual ones; none with NO_COLOR or on a dumb terminal."""
        if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
            return cls()
        codes = dict(_DEFAULTS)
        for word in os.environ.get("LS_COLORS", "").split(":"):
            name, equals, code = word.partition("=")
            if equals and set(code) <= set("0123456789;"):
                codes[name] = code
        return cls(codes)

    def paint(self, text: str, entry: Entry) -> str:
        code = self._code(entry) if self.codes else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code.strip("0;") else text

    def _code(self, entry: Entry) -> str:
        if entry.kind is Kind.DIRECTORY:
            return self.codes["di"]
        if entry.kind is Kind.SYMLINK:
            return self.codes["ln"]
        if entry.mode is not None and entry.mode & 0o111:
            return self.codes["ex"]
        _, dot, extension = entry.name.rpartition(".")
        return self.codes.get(f"*.{extension}", "") if dot else ""
