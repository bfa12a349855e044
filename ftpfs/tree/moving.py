"""`mv SOURCE... TARGET`: a rename within one place; else a copy, and the source is removed when
the copy is whole and the source still is what was copied."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ftpfs.errors import AbsentError, FtpfsError, IsDirectoryError, LocalError, NotEmptyError
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.choices import Choices, Existing
from ftpfs.tree.copy import add, hands_of, places
from ftpfs.tree.copying import carry_out
from ftpfs.tree.events import Failed, Kept, Moved, quoted
from ftpfs.tree.operands import Operands, Pair, within
from ftpfs.tree.part import is_part
from ftpfs.tree.place import Place, Spot, below
from ftpfs.tree.plan import Plan, Planner, later
from ftpfs.tree.samefile import SameFiles
from ftpfs.tree.stage import Stage
from ftpfs.tree.walk import Tree, walk

_FEW = 3
"""Up to so many files are looked at one by one; for more their directory is listed."""


def move(sources: Sequence[Spot], target: Spot, stage: Stage, choices: Choices) -> None:
    """Move each source; all that happens is told on the stage. Raises StoppedError."""
    far: list[Pair] = []
    for pair in Operands(stage, sources, target).pairs():
        if _movable(pair, stage, choices) and not _renamed(pair, stage):
            far.append(pair)
    for place in places(far):
        _copy_and_remove([p for p in far if p.source.place is place], place, stage, choices)


def _movable(pair: Pair, stage: Stage, choices: Choices) -> bool:
    source, target = quoted(pair.source.shown), quoted(pair.target.shown)
    there = pair.file.there
    if within(pair):
        stage.emit(Failed(f"cannot move {source} to a subdirectory of itself, {target}"))
    elif there is None:
        return True
    elif choices.existing is Existing.KEEP:
        stage.emit(Kept(pair.file))
    elif there.kind is Kind.DIRECTORY and not pair.directory:
        stage.emit(Failed(f"cannot overwrite directory {target} with non-directory"))
    elif there.kind is not Kind.DIRECTORY and pair.directory:
        stage.emit(Failed(f"cannot overwrite non-directory {target} with directory {source}"))
    else:
        return True
    return False


def _renamed(pair: Pair, stage: Stage) -> bool:
    """Whether this was settled by a rename, or by its failure; False where it must be copied."""
    source, target = pair.source, pair.target
    if source.place is not target.place:
        return False
    try:
        source.place.rename(source.path, target.path)
    except LocalError:  # another file system
        return False
    except FtpfsError as error:
        both = pair.directory and isinstance(error, IsDirectoryError)
        _fail(pair, NotEmptyError(target.path) if both else error, stage)
    else:
        stage.emit(Moved(source.shown, target.shown))
    return True


def _fail(pair: Pair, error: FtpfsError, stage: Stage) -> None:
    source, target = quoted(pair.source.shown), quoted(pair.target.shown)
    stage.emit(Failed(f"cannot move {source} to {target}", error))


# -- from place to place --------------------------------------------------------------------------


def _copy_and_remove(pairs: list[Pair], place: Place, stage: Stage, choices: Choices) -> None:
    target = pairs[0].target.place
    same = SameFiles()
    pairs = [pair for pair in pairs if _is_other(pair, same, stage)]
    planned: list[tuple[Pair, Plan, Tree | None]] = []
    everything = Plan()
    for pair in pairs:
        planner = Planner(place, target, choices.existing)
        tree = add(planner, pair, stage)
        if tree is not None and _merges(planner.plan):
            _fail(pair, NotEmptyError(pair.target.path), stage)
            continue
        planned.append((pair, planner.plan, tree))
        everything.add(planner.plan)
    carry_out(everything, place, target, stage, choices)
    copied = [(pair, tree) for pair, plan, tree in planned if plan.carried_out]
    _remove_files(place, [pair for pair, tree in copied if tree is None], stage)
    for pair, tree in copied:
        if tree is not None and tree.whole:
            _remove_tree(place, pair.source.path, tree, stage)


def _merges(plan: Plan) -> bool:
    """Whether the target has something that is no copy of what is in the source: as a rename, a
    move mixes no directories. What a move that was broken off has left is gone on with."""
    if any(not is_part(path) for path, _ in plan.surplus):
        return True
    refused = (said.file for said in plan.said if said.file is not None)
    return any(
        file.there is not None and not _alike(file.entry, file.there)
        for file in itertools.chain(plan.files, plan.links, refused)
    )


def _alike(one: Entry, other: Entry) -> bool:
    if (one.kind, one.size, one.target) != (other.kind, other.size, other.target):
        return False
    return one.kind is Kind.SYMLINK or not (later(one, other) or later(other, one))


def _is_other(pair: Pair, same: SameFiles, stage: Stage) -> bool:
    """Whether the target is no other name of the source: what was copied is removed."""
    stage.check()
    try:
        if not same.same(pair):
            return True
        source, target = quoted(pair.source.shown), quoted(pair.target.shown)
        stage.emit(Failed(f"{source} and {target} are the same file"))
    except FtpfsError as error:
        _fail(pair, error, stage)
    return False


def _remove_files(place: Place, pairs: list[Pair], stage: Stage) -> None:
    """Remove files that were copied, each if it is still the same."""
    found: dict[str, dict[str, Entry]] = {}
    unchanged = []
    for pair in pairs:
        stage.check()
        directory, _, name = pair.source.path.rpartition("/")
        try:
            if len(pairs) <= _FEW:
                now = place.stat(pair.source.path)
            else:
                if directory not in found:
                    found[directory] = place.list(directory or "/")
                now = found[directory][name]
        except (FtpfsError, KeyError):
            continue
        unchanged += _unchanged(pair.source.shown, pair.source.path, pair.file.entry, now, stage)
    _unlink(place, unchanged, stage)


def _remove_tree(place: Place, path: str, tree: Tree, stage: Stage) -> None:
    """Remove what was copied of a directory. What has come since stays, and the directory too."""
    link = path.rstrip("/")
    if link not in place.unlink_all([link]):
        return  # it was a link: what it leads to is not ours to remove
    now = walk(place, path, stage, hands_of(place), within=tree, unlink_first=place.hides_links)
    files: list[str] = []
    directories: list[str] = []
    waiting = [(path, tree, now)]
    while waiting:
        inside = waiting.pop()
        directories.append(inside[0])
        files += _files(place, *inside, stage)
        waiting += _directories(*inside)
    _unlink(place, files, stage)
    for directory, error in place.rmdir_all(directories[::-1]).items():
        stage.emit(Failed(f"cannot remove {quoted(place.shown(directory))}", error))


def _files(place: Place, path: str, tree: Tree, now: Tree, stage: Stage) -> list[str]:
    """What in one directory is no directory, and still is what was copied."""
    unchanged = []
    for name, entry in tree.entries.items():
        if name in now.entries and entry.kind is not Kind.DIRECTORY:
            inner = below(path, name)
            unchanged += _unchanged(place.shown(inner), inner, entry, now.entries[name], stage)
    return unchanged


def _directories(path: str, tree: Tree, now: Tree) -> list[tuple[str, Tree, Tree]]:
    """The directories in one that were copied and are still there."""
    return [
        (below(path, name), child, now.children.get(name, Tree()))
        for name, child in tree.children.items()
        if name in now.entries
    ]


def _unchanged(shown: str, path: str, copied: Entry, now: Entry, stage: Stage) -> list[str]:
    """The path, if what is there is what was copied."""
    if (copied.kind, copied.size) == (now.kind, now.size) and not later(now, copied):
        return [path]
    stage.emit(Failed(f"{quoted(shown)} was changed while it was copied: not removed"))
    return []


def _unlink(place: Place, paths: Sequence[str], stage: Stage) -> None:
    for path, error in place.unlink_all(paths).items():
        if not isinstance(error, AbsentError):
            stage.emit(Failed(f"cannot remove {quoted(place.shown(path))}", error))
