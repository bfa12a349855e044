"""Patterns in URLs: `*`, `?` and `[...]`, as a shell expands them in local paths."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.place import Place, below
from ftpfs.tree.walk import missing_of

_SPECIAL = re.compile(r"[*?\[]")
_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_BRACKETS = re.compile(r"\[([!^]?)(\]?(?:\[:[a-z]+:\]|[^\]])*)\]")
_CLASS = re.compile(r"\[:([a-z]+):\]")

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": ":-@[-`{-~!-/",  # an exclamation mark at the beginning would mean "none of"
    "space": " \t-\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
"""Of characters, as ranges. IEEE 1003.1, 9.3.5, in the C locale."""

Match = Callable[[str], object]

Cut = Callable[[str, str], None]
"""Told of a directory that was not listed whole, and why: names that fit may be missing."""


def has_pattern(path: str) -> bool:
    """Whether the path of a URL, still percent-encoded, is to be expanded."""
    return bool(_SPECIAL.search(path))


def expand(place: Place, start: str, path: str, cut: Cut) -> Iterator[tuple[str, Entry | None]]:
    """The names that the path of a URL stands for, in order; what is there where it is known.

    `path` is still percent-encoded: `%2A` is a star that stands for itself. It begins at the
    directory `start`. As in a shell, a dot at a name's beginning must be written. Raises what
    listing a directory raises that has no pattern before it.
    """
    names = [name for name in path.split("/") if name]
    yield from _below(place, start, names, cut, sure=True)


def _below(
    place: Place, directory: str, names: Sequence[str], cut: Cut, *, sure: bool
) -> Iterator[tuple[str, Entry | None]]:
    literal = 0
    while literal < len(names) and not has_pattern(names[literal]):
        directory = below(directory, _decoded(names[literal]))
        literal += 1
    rest = names[literal:]
    if not rest:
        if entry := _look(place, directory):
            yield directory, entry
        return
    try:
        entries = place.list(directory)
    except FtpfsError:
        if sure:
            raise
        return  # one of many, and no directory, or closed to us
    if missing := missing_of(entries):
        cut(directory, missing)
    wanted = matcher(rest[0])
    for name in sorted(filter(wanted, entries)):
        if not rest[1:]:
            yield below(directory, name), entries[name]
        elif entries[name].kind in (Kind.DIRECTORY, Kind.SYMLINK):
            yield from _below(place, below(directory, name), rest[1:], cut, sure=False)


def _look(place: Place, path: str) -> Entry | None:
    try:
        return place.stat(path)
    except FtpfsError:
        return None


def matcher(pattern: str) -> Match:
    """Whether a name fits a pattern with percent-encoded characters, which stand for themselves."""
    encoded = "".join(_pieces(pattern))
    match = re.compile(fnmatch.translate(_BRACKETS.sub(_plain, encoded))).match
    if encoded.startswith("."):
        return match
    return lambda name: not name.startswith(".") and match(name)


def _plain(brackets: re.Match[str]) -> str:
    """What a shell has and fnmatch has not: `[^...]`, and classes in brackets."""
    without, what = brackets.groups()
    what = _CLASS.sub(lambda found: _CLASSES.get(found[1], found[0]), what)
    return f"[{'!' if without else ''}{what}]"


def _pieces(pattern: str) -> Iterator[str]:
    position = 0
    for found in _ENCODED.finditer(pattern):
        yield pattern[position : found.start()]
        yield _SPECIAL.sub(r"[\g<0>]", _decoded(found[0]))
        position = found.end()
    yield pattern[position:]


def _decoded(text: str) -> str:
    return unquote(text, errors="surrogateescape")
