"""Carries out a plan: directories, links, files, and last what the directories are to look like."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Entry
from ftpfs.tree.choices import Choices, Existing
from ftpfs.tree.events import Failed, File, Made, Planned, quoted
from ftpfs.tree.local import LocalPlace
from ftpfs.tree.place import Place
from ftpfs.tree.plan import Plan
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage

USUAL_DIRECTORY_MODES = frozenset({0o755, 0o775, 0o777})
"""Permission bits that a new directory is not given: the umask of where it is decides."""


class Route(Protocol):
    def copy(self, files: Iterable[File]) -> None: ...


def route(source: Place, target: Place, stage: Stage, choices: Choices) -> Route:
    """How files get from one place to the other. Only that way is loaded."""
    match source, target:
        case ServerPlace(), ServerPlace():
            from ftpfs.tree.relaying import Relaying

            return Relaying(source, target, stage, choices)
        case ServerPlace(), LocalPlace():
            from ftpfs.tree.fetching import Fetching

            return Fetching(source, target, stage, choices)
        case LocalPlace(), ServerPlace():
            from ftpfs.tree.sending import Sending

            return Sending(source, target, stage, choices)
        case LocalPlace(), LocalPlace():
            from ftpfs.tree.duplicating import Duplicating

            return Duplicating(source, target, stage, choices)
    raise TypeError(f"no way from {source} to {target}")


def carry_out(plan: Plan, source: Place, target: Place, stage: Stage, choices: Choices) -> None:
    """Do what the plan says; all that is done and all that fails is told as events."""
    stage.emit(Planned(len(plan.files), sum(file.entry.size for file in plan.files)))
    for said in plan.said:
        stage.emit(said)
    failed = _make(plan.directories, source, target, stage, choices)
    for link in plan.links:
        _link(link, source, target, stage)
    files = plan.files
    if failed:
        files = [file for file in files if _parent(file.target) not in failed]
    route(source, target, stage, choices).copy(files)
    stage.check()
    for directory in reversed(plan.directories):
        if directory.target not in failed:
            _dress(directory, target, stage, choices)


def _make(
    directories: list[File], source: Place, target: Place, stage: Stage, choices: Choices
) -> set[str]:
    """The directories that could not be made, with all below them. Those that others may not read
    are closed to them before there is something in them."""
    failures = target.mkdir_all([each.target for each in directories])
    failed: set[str] = set()
    for each in directories:
        if _parent(each.target) in failed:
            failed.add(each.target)
        elif each.target in failures:
            failed.add(each.target)
            text = f"cannot create directory {quoted(target.shown(each.target))}"
            stage.emit(Failed(text, failures[each.target]))
        else:
            each.copied = True
            if (mode := _mode(each.entry, target, choices)) is not None and mode & 0o055 != 0o055:
                with suppress(FtpfsError):  # said at the end, where it is a failure
                    target.chmod(each.target, mode | 0o700)
            stage.emit(Made(source.shown(each.source), target.shown(each.target)))
    return failed


def _parent(path: str) -> str:
    return path.rstrip("/").rpartition("/")[0]


def _link(file: File, source: Place, target: Place, stage: Stage) -> None:
    assert file.entry.target is not None
    try:
        target.symlink(file.entry.target, file.target)
    except FtpfsError as error:
        text = f"cannot create symbolic link {quoted(target.shown(file.target))}"
        stage.emit(Failed(text, error))
    else:
        stage.copied(file, source, target)


def _dress(directory: File, target: Place, stage: Stage, choices: Choices) -> None:
    """Permission bits and, with `modes`, the time of a new directory. Servers that set the times
    of files may refuse to for directories: that is no failure."""
    entry = directory.entry
    try:
        if (mode := _mode(entry, target, choices)) is not None:
            target.chmod(directory.target, mode)
        if choices.modes and entry.told_ns is not None:
            target.set_mtime(directory.target, entry.told_ns)
    except FtpfsError as error:
        if isinstance(target, LocalPlace):
            text = f"preserving attributes of {quoted(directory.target)}"
            stage.emit(Failed(text, error))


def _mode(entry: Entry, target: Place, choices: Choices) -> int | None:
    """The permission bits of a new directory; None where they are left to its place."""
    if entry.mode is None or not (choices.modes or entry.mode not in USUAL_DIRECTORY_MODES):
        return None
    if choices.modes or not isinstance(target, LocalPlace):
        return entry.mode & 0o777
    # What `sync` has made, the next `sync` must be able to write to.
    writable = 0o700 if choices.existing is Existing.DIFFERENT else 0
    return (entry.mode & 0o777 & ~target.umask) | writable
