"""The names below a directory, listed side by side where the server is far away."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Entries, Entry, Kind
from ftpfs.tree.events import Failed, quoted
from ftpfs.tree.place import Place, below
from ftpfs.tree.stage import Stage, crew


@dataclass(slots=True, eq=False)
class Tree:
    """A directory: what is in it, and the same for those of its directories that were walked.

    `complete` is False where it could not be listed, or not all of it; that was said.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    children: dict[str, Tree] = field(default_factory=dict)
    complete: bool = True

    @property
    def whole(self) -> bool:
        """Whether all directories below could be listed."""
        waiting = [self]
        while waiting:
            tree = waiting.pop()
            if not tree.complete:
                return False
            waiting += tree.children.values()
        return True


LEADS_BACK = "a link that leads back to a directory above it"

_REPEATS = 24
"""How often what seems to lead back is followed, to be sure of it. Linux follows up to 40 links in
one path; in no tree do so many directories that lie in each other look alike."""

Above: TypeAlias = "tuple[()] | tuple[dict[str, Entry], Above]"
"""What is in the directories above, the nearest first."""

_Job = tuple[str, Tree, Tree | None, Above]


def leads_back(place: Place, path: str, entries: dict[str, Entry], above: Above) -> bool:
    """Whether the directory at `path` is one above it: servers that show links to directories as
    directories lead in circles. It lists just what that one does, to the times, and so does what
    is reached by the same way again and again."""
    height = 0
    while above and entries:
        nearest, above = above
        height += 1
        if nearest == entries:
            break
    else:
        return False
    way = path.rstrip("/").split("/")[-height:]
    try:
        return place.list(below(path, "/".join(way * _REPEATS))) == entries
    except FtpfsError:
        return False


def missing_of(entries: dict[str, Entry]) -> str:
    """Why names are left out of a listing; "" where none is."""
    return entries.missing if isinstance(entries, Entries) else ""


def walk(
    place: Place,
    path: str,
    stage: Stage,
    hands: int,
    *,
    within: Tree | None = None,
    action: str = "cannot access",
    unlink_first: bool = False,
) -> Tree:
    """Everything below `path`; with `within` only what that tree has as well.

    A directory that cannot be listed is told as a failure of `action`. With `unlink_first` a
    directory is entered only if it could not be unlinked: it was no link in disguise.
    """
    hands = 1 if place.near else hands
    return _Walk(place, stage, action, unlink_first=unlink_first).run(path, hands, within)


class _Walk:
    """`_changed` guards the queue and the count of those that list."""

    def __init__(self, place: Place, stage: Stage, action: str, *, unlink_first: bool) -> None:
        self._place = place
        self._stage = stage
        self._action = action
        self._unlink_first = unlink_first
        self._changed = threading.Condition()
        self._queue: deque[_Job] = deque()
        self._busy = 0

    def run(self, path: str, hands: int, within: Tree | None) -> Tree:
        top = Tree()
        self._list(path, top, within, ())
        if self._queue:
            crew(hands, self._work, "walk")
        return top

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._list(*job)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._queue:
                if not self._busy:
                    return None
                self._changed.wait()
            if self._stage.stopping:
                self._queue.clear()
                return None
            self._busy += 1
            return self._queue.popleft()

    def _list(self, path: str, tree: Tree, within: Tree | None, above: Above) -> None:
        self._stage.check()
        try:
            tree.entries = self._place.list(path)
        except FtpfsError as error:
            tree.complete = False
            self._stage.emit(Failed(f"{self._action} {quoted(self._place.shown(path))}", error))
            return
        if self._place.hides_links and leads_back(self._place, path, tree.entries, above):
            tree.complete, tree.entries = False, {}
            text = f"{self._action} {quoted(self._place.shown(path))}: {LEADS_BACK}"
            self._stage.emit(Failed(text))
            return
        if missing := missing_of(tree.entries):
            tree.complete = False
            shown = quoted(self._place.shown(path))
            self._stage.emit(Failed(f"{self._action} all of {shown}: {missing}"))
        if self._unlink_first:
            self._unlink_links(path, tree, within)
        for name, entry in tree.entries.items():
            if entry.kind is Kind.DIRECTORY and (within is None or name in within.children):
                child = tree.children[name] = Tree()
                inside = within and within.children[name]
                with self._changed:
                    self._queue.append((below(path, name), child, inside, (tree.entries, above)))
                    self._changed.notify()

    def _unlink_links(self, path: str, tree: Tree, within: Tree | None) -> None:
        entries = tree.entries
        names = [
            name
            for name, entry in entries.items()
            if entry.kind is Kind.DIRECTORY and (within is None or name in within.children)
        ]
        refused = self._place.unlink_all([below(path, name) for name in names])
        for name in names:
            if below(path, name) not in refused:
                del entries[name]
