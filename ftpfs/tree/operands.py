"""What `SOURCE... TARGET` means: which source becomes what. As cp and mv have it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ftpfs.errors import (
    AbsentError,
    FtpfsError,
    NameTooLongError,
    NotDirectoryError,
    RefusedError,
)
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.events import Failed, File, Noted, quoted
from ftpfs.tree.place import Place, Spot, below
from ftpfs.tree.stage import Stage
from ftpfs.tree.walk import missing_of

_UNNAMED = ("", ".", "..")
"""A source that has no name of its own gives what is in it to the target."""


class Pair(NamedTuple):
    """A source, known to be there, and what it is to become."""

    source: Spot
    target: Spot
    file: File

    @property
    def directory(self) -> bool:
        return self.file.entry.kind is Kind.DIRECTORY


class Operands:
    """For one command; what cannot be is told on the stage.

    With `merging` a directory may become one that another source becomes as well: it is left for
    `later`, when that is there. `copying`: a source that is named twice is still there. Without
    `into` a directory as the target does not take the source into it.
    """

    def __init__(
        self,
        stage: Stage,
        sources: Sequence[Spot],
        target: Spot,
        *,
        merging: bool = False,
        copying: bool = False,
        into: bool = True,
    ) -> None:
        self._stage = stage
        self._sources = sources
        self._target = target
        self._merging = merging
        self._copying = copying
        self._into = into
        self._made: dict[object, Pair] = {}  # by what is to be there
        self.later: list[Spot] = []

    def pairs(self) -> Iterator[Pair]:
        """Each source that can be copied or moved."""
        target, several = self._target, len(self._sources) > 1
        try:
            there = self._there(target)
            into = self._into and there is not None and there.kind is Kind.DIRECTORY
            if several and not into:
                raise NotDirectoryError("") if there else AbsentError("")
        except FtpfsError as error:
            action = "target" if several else "cannot stat"
            self._stage.emit(Failed(f"{action} {quoted(target.shown)}", error))
            return
        names = self._names() if into and several else None
        for source in self._sources:
            self._stage.check()
            pair = self._pair(source, there, names, into=into)
            if pair is not None and self._possible(pair):
                yield pair

    def _there(self, spot: Spot) -> Entry | None:
        try:
            return spot.stat()
        except (AbsentError, NameTooLongError):
            return None

    def _names(self) -> dict[str, Entry] | None:
        """What is in the target, where one listing saves a look for each source."""
        try:
            names = self._target.place.list(self._target.path)
        except FtpfsError:
            return None
        return None if missing_of(names) else names

    def _listed(self, spot: Spot, names: dict[str, Entry] | None) -> Entry | None:
        """What is there. A listing of its directory tells, but for two kinds of names, which are
        looked at: a link, which is shown in place of what it leads to; and one with a dot, which
        is not shown at all by servers without LIST -a, or told to hide it (vsftpd hide_file)."""
        if names is None:
            return self._there(spot)
        entry = names.get(spot.name)
        doubtful = spot.name.startswith(".") if entry is None else entry.kind is Kind.SYMLINK
        return self._there(spot) if doubtful else entry

    def _pair(
        self, source: Spot, there: Entry | None, names: dict[str, Entry] | None, *, into: bool
    ) -> Pair | None:
        try:
            entry = source.entry
            if entry is None or entry.kind is Kind.SYMLINK:
                entry = look_at(source)
        except FtpfsError as error:
            self._stage.emit(Failed(f"cannot stat {quoted(source.shown)}", error))
            return None
        target = self._target
        try:
            if into and source.name not in _UNNAMED:
                target = inside(target, source.name)
                there = self._listed(target, names)
        except RefusedError:
            there = None  # it cannot be looked at; whether it can be written is seen then
        except FtpfsError as error:
            self._stage.emit(Failed(f"cannot stat {quoted(target.shown)}", error))
            return None
        there = self._with_mode(target, there)
        return Pair(source, target, File(source.path, target.path, entry, there))

    def _with_mode(self, spot: Spot, there: Entry | None) -> Entry | None:
        """What is to be replaced, with the permission bits that its copy is to keep."""
        if there is None or there.kind is not Kind.FILE or there.mode is not None:
            return there
        try:
            return spot.place.describe(spot.path)
        except FtpfsError:
            return there

    def _possible(self, pair: Pair) -> bool:
        source, target = pair.source, pair.target
        ours, theirs = source.place.key(source.path), target.place.key(target.path)
        if ours == theirs:
            self._fail(f"{quoted(source.shown)} and {quoted(target.shown)} are the same file")
        elif self._copying and self._is_twice(ours, theirs):
            kind = "directory" if pair.directory else "file"
            text = f"warning: source {kind} {quoted(source.shown)} specified more than once"
            self._stage.emit(Noted(text))
        elif self._merging and pair.directory and self._makes_directory(theirs):
            self.later.append(source)
        elif theirs in self._made:
            self._fail(
                f"will not overwrite just-created {quoted(target.shown)}"
                f" with {quoted(source.shown)}"
            )
        elif target.as_directory and not pair.directory and pair.file.there is None:
            verb = "create regular file" if self._copying else f"move {quoted(source.shown)} to"
            text = f"cannot {verb} {quoted(target.shown)}"
            self._stage.emit(Failed(text, NotDirectoryError("")))
        else:
            self._made[theirs] = pair
            return True
        return False

    def _is_twice(self, ours: object, theirs: object) -> bool:
        """Whether a source was named before, to become the same."""
        made = self._made.get(theirs)
        return made is not None and made.source.place.key(made.source.path) == ours

    def _makes_directory(self, theirs: object) -> bool:
        made = self._made.get(theirs)
        return made is not None and made.directory

    def _fail(self, text: str) -> None:
        self._stage.emit(Failed(text))


def look_at(spot: Spot) -> Entry:
    """What is there, with its time where there is any way to know it. Raises what `stat` does.

    Without MLST a directory has neither a time nor permission bits, but in a listing.
    """
    entry = spot.stat()
    if entry.told_ns is not None or spot.path == "/":
        return entry
    try:
        listed = spot.place.describe(spot.path)
    except FtpfsError:
        return entry
    return listed if listed.kind is entry.kind else entry


def inside(directory: Spot, name: str) -> Spot:
    """A name in a directory that the user named."""
    place, path = directory.place, below(directory.path, name)
    return Spot(place, path, place.shown(path))


def within(pair: Pair) -> bool:
    """Whether a directory would become a part of itself."""
    if pair.source.place is not pair.target.place or not pair.directory:
        return False
    return leads_to(pair.source.place, pair.source.path, pair.target.path)


def leads_to(place: Place, top: str, path: str) -> bool:
    """Whether `path` is below `top`."""
    above = place.key(top)
    path = "/" + os.path.abspath(path).lstrip("/")  # only a local one may be relative
    while path != "/":
        path = os.path.dirname(path)
        if place.key(path) == above:
            return True
    return False
