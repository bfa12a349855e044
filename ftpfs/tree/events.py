"""What happens while a command works, as values: for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Entry
from ftpfs.tree.place import Place


@dataclass(slots=True, eq=False)
class File:
    """A file to be copied: paths at its source and its target, what is at the source, and what
    was at the target, if anything was."""

    source: str
    target: str
    entry: Entry
    there: Entry | None = None
    copied: bool = False  # by now


class Planned(NamedTuple):
    """So much is to be copied; comes once for each operand, as soon as it is known."""

    files: int
    size: int


class Began(NamedTuple):
    """A large file is being copied; `size` bytes of it were there before."""

    file: File
    size: int


class Advanced(NamedTuple):
    """So many bytes more of a large file were copied; fewer than none: it began again."""

    file: File
    size: int


class Copied(NamedTuple):
    """A file is at its target, whole, under its final name."""

    file: File
    source: Place
    target: Place


class Made(NamedTuple):
    """A directory was made for the one at `source`, if there is one; both as the user knows
    them."""

    source: str
    target: str


class Moved(NamedTuple):
    """Renamed; both as the user knows them."""

    source: str
    target: str


class Removed(NamedTuple):
    shown: str
    directory: bool


class Kept(NamedTuple):
    """A file was not copied, as what is at the target is to stay, or is the same."""

    file: File


class Failed(NamedTuple):
    """Something could not be done: `text` says what, `error` why where that is not all."""

    text: str
    error: FtpfsError | None = None
    file: File | None = None


class Noted(NamedTuple):
    """Something that the user should know, and that is no failure."""

    text: str


Event: TypeAlias = (
    Planned | Began | Advanced | Copied | Made | Moved | Removed | Kept | Failed | Noted
)
Sink: TypeAlias = Callable[[Event], None]
"""Takes events from any thread, at once."""


def quoted(name: str) -> str:
    """A name in a message, as coreutils write it; nothing in it can talk to the terminal."""
    safe = "".join(c if c.isprintable() else escaped(c) for c in name)
    return "'" + safe.replace("'", "'\\''") + "'"


def escaped(character: str) -> str:
    """A character that cannot be shown, as the octal numbers of its bytes."""
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))
