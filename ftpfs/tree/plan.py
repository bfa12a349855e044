"""What has to be done so that one tree becomes a copy of another: a pure comparison.

source        at the target           what is done
------------  ----------------------  ---------------------------------------------------------
file          nothing                 copied
              a file                  by `choose`: copied over it, or kept
              a directory             failure, or what is there is cleared away
directory     nothing                 made, and all in it
              a directory             compared
              anything else           failure, or what is there is cleared away
link          local target            made anew, by `choose` too, if it stays within the tree
              a server                failure: FTP has no way
other         anything                failure
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, fields, replace

from ftpfs.errors import FtpfsError, NotPermittedError
from ftpfs.remote.api import SECOND_NS, Entry, Kind
from ftpfs.tree.choices import Existing
from ftpfs.tree.events import Failed, File, Kept, quoted
from ftpfs.tree.local import LocalPlace
from ftpfs.tree.place import Place, below
from ftpfs.tree.walk import Tree
from ftpfs.wire.pathname import relative_target


@dataclass(slots=True, eq=False)
class Plan:
    directories: list[File] = field(default_factory=list)  # to be made, those above first
    kept: list[File] = field(default_factory=list)  # directories that are there, likewise
    links: list[File] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    cleared: list[tuple[str, Entry]] = field(default_factory=list)  # in the way, to be removed
    surplus: list[tuple[str, Entry]] = field(default_factory=list)  # at the target alone
    said: list[Failed | Kept] = field(default_factory=list)

    @property
    def carried_out(self) -> bool:
        """Whether all of it was done, and nothing was left out."""
        return not self.said and all(
            file.copied for file in itertools.chain(self.directories, self.links, self.files)
        )

    def add(self, other: Plan) -> None:
        """Do what the other plan says as well."""
        for each in fields(self):
            getattr(self, each.name).extend(getattr(other, each.name))


_Compared = tuple[File, Tree, Tree | None]
"""A directory of the source, what is in it, and what is in its copy, if that is there."""


class Planner:
    """Compares trees of one source with those of one target; `plan` is what came of it so far.

    What is of one of the kinds that are `clearing`, where something of another kind is to be, makes
    way for it.
    """

    def __init__(
        self,
        source: Place,
        target: Place,
        existing: Existing,
        *,
        clearing: Container[Kind] = (),
    ) -> None:
        self.plan = Plan()
        self._source = source
        self._target = target
        self._existing = existing
        self._clearing = clearing

    def file(self, file: File) -> None:
        """One file, or whatever it turns out to be."""
        if file.entry.kind is Kind.FILE:
            file = self._cleared(file, Kind.DIRECTORY, Kind.OTHER)
        there = file.there
        if file.entry.kind is not Kind.FILE:
            self._fail(file, f"{self._from(file)} is not a regular file: not copied")
        elif there is not None and there.kind is Kind.DIRECTORY:
            self._fail(file, f"cannot overwrite directory {self._to(file)} with non-directory")
        elif there is not None and not chosen(self._existing, file.entry, there):
            self.plan.said.append(Kept(file))
        else:
            self.plan.files.append(file)

    def directory(self, top: File, source: Tree, target: Tree | None) -> None:
        """A directory with all in it; `target` is what is there now, None where nothing is."""
        waiting: list[_Compared] = [(top, source, target)]
        while waiting:
            waiting += self._directory(*waiting.pop(), top.source)[::-1]

    def _directory(
        self, into: File, source: Tree, target: Tree | None, top: str
    ) -> list[_Compared]:
        """What is in one directory; those in it are still to be compared."""
        inner: list[_Compared] = []
        (self.plan.directories if target is None else self.plan.kept).append(into)
        there = target.entries if target is not None else {}
        for name, entry in source.entries.items():
            paths = below(into.source, name), below(into.target, name)
            file = File(*paths, entry, there.get(name))
            if entry.kind is Kind.DIRECTORY:
                file = self._cleared(file, Kind.FILE, Kind.SYMLINK, Kind.OTHER)
            if entry.kind is Kind.SYMLINK:
                self._link(file, top)
            elif entry.kind is not Kind.DIRECTORY:
                self.file(file)
            elif file.there is None or file.there.kind is Kind.DIRECTORY:
                inside = target.children.get(name) if target is not None else None
                inner.append((file, source.children[name], inside))
            else:
                what = f"non-directory {self._to(file)} with directory {self._from(file)}"
                self._fail(file, f"cannot overwrite {what}")
        if source.complete:
            self._surplus(into.target, there.keys() - source.entries.keys(), there)
        return inner

    def _cleared(self, file: File, *kinds: Kind) -> File:
        """The same without what is there, if that is of one of these kinds, and makes way."""
        there = file.there
        if there is None or there.kind not in kinds or there.kind not in self._clearing:
            return file
        self.plan.cleared.append((file.target, there))
        return replace(file, there=None)

    def _surplus(self, directory: str, names: Iterable[str], there: dict[str, Entry]) -> None:
        self.plan.surplus += ((below(directory, name), there[name]) for name in sorted(names))

    def _link(self, file: File, top: str) -> None:
        """A link is copied as it is, where the target can have it. One that a server shows must
        not lead out of what is copied: it could point local programs at any local file."""
        text = file.entry.target
        if not isinstance(self._target, LocalPlace):
            why = NotPermittedError("FTP has no symbolic links")
            self._fail(file, f"cannot create symbolic link {self._to(file)}", why)
            return
        if text is not None and not isinstance(self._source, LocalPlace):
            text = relative_target(file.source[len(top.rstrip("/")) :], text, top)
        there = file.there
        if there is not None and not self._replaces_link(file.entry, text, there):
            self.plan.said.append(Kept(file))
        elif text is None:
            self._fail(file, f"{self._from(file)} leads out of what is copied: not created")
        else:
            file = self._cleared(file, Kind.DIRECTORY)
            self.plan.links.append(replace(file, entry=file.entry._replace(target=text)))

    def _replaces_link(self, link: Entry, text: str | None, there: Entry) -> bool:
        if self._existing is Existing.REPLACE:
            return True
        if self._existing is Existing.KEEP or (there.kind, there.target) == (Kind.SYMLINK, text):
            return False
        return self._existing is not Existing.OLDER or later(link, there)

    def _fail(self, file: File, text: str, error: FtpfsError | None = None) -> None:
        self.plan.said.append(Failed(text, error, file))

    def _from(self, file: File) -> str:
        return quoted(self._source.shown(file.source))

    def _to(self, file: File) -> str:
        return quoted(self._target.shown(file.target))


def chosen(existing: Existing, source: Entry, there: Entry) -> bool:
    """Whether a file is copied over the one that is there."""
    if existing is Existing.KEEP:
        return False
    if existing is Existing.REPLACE or there.kind is not Kind.FILE:
        return True
    if existing is Existing.OLDER:
        return later(source, there)
    if source.size != there.size:
        return True
    if existing is Existing.PARTIAL:
        return later(source, there)
    return later(source, there) or later(there, source)


def later(one: Entry, other: Entry) -> bool:
    """Whether one was changed after the other, as far as both times are exact."""
    tolerance_ns = max(one.precision_s, other.precision_s) * SECOND_NS
    return one.mtime_ns >= other.mtime_ns + tolerance_ns
