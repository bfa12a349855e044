"""Removes files, and trees of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ftpfs.config import GROUP_COMMANDS
from ftpfs.errors import AbsentError, FtpfsError, IsDirectoryError, NotDirectoryError
from ftpfs.remote.api import Kind
from ftpfs.tree.copy import hands_of
from ftpfs.tree.events import Failed, Removed, quoted
from ftpfs.tree.place import Place, Spot, above, below
from ftpfs.tree.stage import Stage, crew
from ftpfs.tree.walk import Tree, walk


def remove(spots: Sequence[Spot], stage: Stage, *, recursive: bool, force: bool) -> None:
    """Remove each; with `force` what is not there is no failure. Raises StoppedError."""
    for place in {id(spot.place): spot.place for spot in spots}.values():
        mine = [spot for spot in spots if spot.place is place and not _is_no_directory(spot, stage)]
        # Unlinked first, whatever it is: a link to a directory that is listed as a directory must
        # not be followed. But when its turn comes, if it is named again or may go with another one.
        named = dict.fromkeys(spot.path for spot in mine)
        early = [path for path in named if named.keys().isdisjoint(above(path))]
        tried: dict[str, FtpfsError | None] = {}
        for group in _groups(early):
            stage.check()
            failures = place.unlink_all(group)
            tried |= {path: failures.get(path) for path in group}
        for spot in mine:
            stage.check()
            path = spot.path
            error = tried.pop(path) if path in tried else place.unlink_all([path]).get(path)
            if error is None:
                stage.emit(Removed(spot.shown, directory=False))
            elif recursive and _is_directory(place, path, error):
                remove_tree(place, path, stage, shown=spot.shown)
            elif not (force and isinstance(error, AbsentError)):
                stage.emit(Failed(f"cannot remove {quoted(spot.shown)}", error))


def _is_no_directory(spot: Spot, stage: Stage) -> bool:
    """Whether something is named as a directory and is none, which is told."""
    if not spot.as_directory:
        return False
    try:
        spot.stat()
    except NotDirectoryError as error:
        stage.emit(Failed(f"cannot remove {quoted(spot.shown)}", error))
        return True
    except FtpfsError:
        pass  # removing it says why
    return False


def _is_directory(place: Place, path: str, error: FtpfsError) -> bool:
    """Whether a name that could not be unlinked is a directory. BSD says "not permitted"."""
    if isinstance(error, IsDirectoryError):
        return True
    if isinstance(error, AbsentError):
        return False
    try:
        return place.describe(path).kind is Kind.DIRECTORY
    except FtpfsError:
        return False


def remove_tree(place: Place, path: str, stage: Stage, shown: str | None = None) -> None:
    """Remove a directory and all in it; where something stays, so do the directories above."""
    tree = walk(
        place,
        path,
        stage,
        hands_of(place),
        action="cannot remove",
        unlink_first=place.hides_links,
    )
    directories, files = _paths(path, tree)
    unlink(place, files, stage)
    failures = place.rmdir_all(directories[::-1])
    for directory in directories[::-1]:
        name = shown if directory == path and shown else place.shown(directory)
        if directory in failures:
            stage.emit(Failed(f"cannot remove {quoted(name)}", failures[directory]))
        else:
            stage.emit(Removed(name, directory=True))


def _paths(top: str, tree: Tree) -> tuple[list[str], list[str]]:
    """All directories, those above first, and all other names."""
    directories, files = [], []
    queue = deque([(top, tree)])
    while queue:
        path, node = queue.popleft()
        directories.append(path)
        for name, entry in node.entries.items():
            if entry.kind is Kind.DIRECTORY:
                queue.append((below(path, name), node.children[name]))
            else:
                files.append(below(path, name))
    return directories, files


def unlink(place: Place, files: list[str], stage: Stage) -> None:
    """Unlink each that is still there, over as many connections as there are."""
    groups = deque(_groups(files))

    def work() -> None:
        while groups and not stage.stopping:
            try:
                group = groups.popleft()
            except IndexError:
                return
            failures = place.unlink_all(group)
            for path in group:
                error = failures.get(path)
                if error is not None and not isinstance(error, AbsentError):
                    stage.emit(Failed(f"cannot remove {quoted(place.shown(path))}", error))
                elif error is None:
                    stage.emit(Removed(place.shown(path), directory=False))

    hands = 1 if place.near else min(hands_of(place), len(groups))
    crew(max(1, hands), work, "remove")
    stage.check()


def _groups(files: list[str]) -> list[list[str]]:
    starts = range(0, len(files), GROUP_COMMANDS)
    return [files[start : start + GROUP_COMMANDS] for start in starts]
