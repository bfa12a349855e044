"""The exact times of files of which a listing tells the minute or the day only, where what is to be
done depends on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ftpfs.config import GROUP_COMMANDS
from ftpfs.errors import RefusedError
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.choices import Existing
from ftpfs.tree.events import File, Kept
from ftpfs.tree.place import Place
from ftpfs.tree.plan import Plan, chosen, later
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage, crew

Times = dict[str, int]
"""Nanoseconds since the epoch, by path."""


def look_closely(
    plan: Plan, source: Place, target: Place, stage: Stage, existing: Existing
) -> None:
    """Copy also what a plan keeps because the listed times are too rough to tell it from its copy:
    a file that was sent, changed and sent again within a minute. Raises NetworkError."""
    doubtful = [kept.file for kept in plan.said if isinstance(kept, Kept) and _doubtful(kept.file)]
    if not doubtful or existing in (Existing.KEEP, Existing.REPLACE):
        return
    ours = _times((f.source for f in doubtful if f.entry.precision_s > 1), source, stage)
    theirs = _times((f.target for f in doubtful if _there(f).precision_s > 1), target, stage)
    wanted = set()
    for file in doubtful:
        entry = _exact(file.entry, ours.get(file.source))
        there = _exact(_there(file), theirs.get(file.target))
        if chosen(existing, entry, there):
            file.entry, file.there = entry, there
            plan.files.append(file)
            wanted.add(id(file))
    plan.said = [
        each for each in plan.said if not (isinstance(each, Kept) and id(each.file) in wanted)
    ]


def _there(file: File) -> Entry:
    assert file.there is not None
    return file.there


def _doubtful(file: File) -> bool:
    one, other = file.entry, _there(file)
    rough = max(one.precision_s, other.precision_s) > 1
    kinds = one.kind is other.kind is Kind.FILE
    return rough and kinds and not later(one, other) and not later(other, one)


def _exact(entry: Entry, mtime_ns: int | None) -> Entry:
    return entry if mtime_ns is None else entry._replace(mtime_ns=mtime_ns, precision_s=1)


def _times(paths: Iterable[str], place: Place, stage: Stage) -> Times:
    """Those that the server tells, asked for over as many connections as there are."""
    found: Times = {}
    wanted = list(paths)
    if not wanted or not isinstance(place, ServerPlace):
        return found
    server = place.server
    starts = range(0, len(wanted), GROUP_COMMANDS)
    groups = deque(wanted[start : start + GROUP_COMMANDS] for start in starts)

    def work() -> None:
        while groups and not stage.stopping:
            try:
                group = groups.popleft()
            except IndexError:
                return
            try:
                found.update(server.times_of(group))
            except RefusedError:
                return  # it will not tell any of them

    crew(1 if place.near else min(place.hands, len(groups)), work, "times")
    stage.check()
    return found
