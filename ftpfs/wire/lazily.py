"""Regular expressions that are compiled when they are first asked.

A command meets one server, and one of its ways to list; to compile the expressions for all of them
takes longer than all else that it does until it connects (60 ms).
"""

from __future__ import annotations

import re


class Lazy:
    """One method of an expression. Any thread: two may compile the same, one of the two is kept."""

    __slots__ = ("_arguments", "_match", "_method")

    def __init__(self, pattern: str, flags: int, method: str) -> None:
        self._arguments = pattern, flags
        self._method = method
        self._match = self._first

    def __call__(self, text: str) -> re.Match[str] | None:
        return self._match(text)

    def _first(self, text: str) -> re.Match[str] | None:
        self._match = getattr(self.expression, self._method)
        return self._match(text)

    @property
    def expression(self) -> re.Pattern[str]:
        return re.compile(*self._arguments)


def fullmatch(pattern: str, flags: int = 0) -> Lazy:
    """What `re.compile(pattern, flags).fullmatch` would be."""
    return Lazy(pattern, flags, "fullmatch")


def match(pattern: str, flags: int = 0) -> Lazy:
    """What `re.compile(pattern, flags).match` would be."""
    return Lazy(pattern, flags, "match")
