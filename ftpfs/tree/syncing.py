"""`sync SOURCE TARGET`: makes one directory a copy of another, by size and time."""

from __future__ import annotations

from collections.abc import Sequence

from ftpfs.errors import AbsentError, FtpfsError, NotDirectoryError, RefusedError
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.choices import Choices
from ftpfs.tree.copy import hands_of
from ftpfs.tree.copying import carry_out
from ftpfs.tree.events import Failed, File, quoted
from ftpfs.tree.exact import look_closely
from ftpfs.tree.operands import leads_to, look_at
from ftpfs.tree.place import Place, Spot
from ftpfs.tree.plan import Plan, Planner, later
from ftpfs.tree.removing import remove_tree, unlink
from ftpfs.tree.stage import Stage
from ftpfs.tree.walk import walk


def plan_sync(
    source: Spot, target: Spot, stage: Stage, choices: Choices, *, delete: bool
) -> Plan | None:
    """What has to be done; None where the two cannot be compared, which was told. With `delete`
    a directory may make way for a file."""
    try:
        entry = _directory(source)
    except FtpfsError as error:
        stage.emit(Failed(f"cannot access {quoted(source.shown)}", error))
        return None
    there: Entry | None = None
    try:
        there = _directory(target)
    except AbsentError:
        pass  # it is made
    except FtpfsError as error:
        stage.emit(Failed(f"target {quoted(target.shown)}", error))
        return None
    if _overlap(source, target):
        text = f"cannot synchronize {quoted(source.shown)} with a part of itself"
        stage.emit(Failed(f"{text}, {quoted(target.shown)}"))
        return None
    tree = walk(source.place, source.path, stage, hands_of(source.place))
    if not tree.complete and not tree.entries:
        return None
    now = None
    if there is not None:
        now = walk(target.place, target.path, stage, hands_of(target.place), within=tree)
    clearing = set(Kind) if delete else set(Kind) - {Kind.DIRECTORY}
    planner = Planner(source.place, target.place, choices.existing, clearing=clearing)
    planner.directory(File(source.path, target.path, entry, there), tree, now)
    look_closely(planner.plan, source.place, target.place, stage, choices.existing)
    _without_vain(planner.plan, target.place)
    return planner.plan


def _overlap(source: Spot, target: Spot) -> bool:
    """Whether one is in the other: what is copied would be copied again by the next run, or the
    source be removed as what only the target has."""
    return source.place is target.place and (
        leads_to(target.place, target.path, source.path)
        or leads_to(target.place, source.path, target.path)
    )


def _directory(spot: Spot) -> Entry:
    entry = look_at(spot)
    if entry.kind is not Kind.DIRECTORY:
        raise NotDirectoryError(f"{spot.path}: not a directory")
    return entry


def _without_vain(plan: Plan, target: Place) -> None:
    """Take out files that are copied only because the target's time is the later one, where the
    target cannot be given the source's time: they would be copied again and again."""
    vain = [
        file
        for file in plan.files
        if file.there is not None
        and file.there.size == file.entry.size
        and later(file.there, file.entry)
    ]
    if not vain or _sets_times(vain[0], target):
        return
    ids = {id(file) for file in vain}
    plan.files = [file for file in plan.files if id(file) not in ids]


def _sets_times(file: File, target: Place) -> bool:
    """Whether the target can set times: tried with the one that a file has."""
    assert file.there is not None
    try:
        target.set_mtime(file.target, file.there.mtime_ns)
    except RefusedError:
        return False
    return True


def carry_out_sync(
    plan: Plan, source: Spot, target: Spot, stage: Stage, choices: Choices, *, delete: bool
) -> None:
    """Copy what is to be copied; then, with `delete`, remove what only the target has."""
    _remove(plan.cleared, target.place, stage)
    carry_out(plan, source.place, target.place, stage, choices)
    if delete:
        _remove(plan.surplus, target.place, stage)


def _remove(names: Sequence[tuple[str, Entry]], target: Place, stage: Stage) -> None:
    files = [path for path, entry in names if entry.kind is not Kind.DIRECTORY]
    unlink(target, files, stage)
    for path, entry in names:
        stage.check()
        if entry.kind is Kind.DIRECTORY and not _was_link(target, path):
            remove_tree(target, path, stage)


def _was_link(target: Place, path: str) -> bool:
    """Unlink a directory that may be a link in disguise; whether it was one."""
    return target.hides_links and path not in target.unlink_all([path])
