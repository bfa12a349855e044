"""`cp SOURCE... TARGET`, from places to places."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ftpfs.remote.api import Kind
from ftpfs.tree.choices import Choices
from ftpfs.tree.copying import carry_out
from ftpfs.tree.events import Failed, quoted
from ftpfs.tree.exact import look_closely
from ftpfs.tree.local import LocalPlace
from ftpfs.tree.operands import Operands, Pair, within
from ftpfs.tree.place import Place, Spot
from ftpfs.tree.plan import Planner
from ftpfs.tree.pouring import is_stream, pour
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage
from ftpfs.tree.walk import Tree, walk


def copy(
    sources: Sequence[Spot],
    target: Spot,
    stage: Stage,
    choices: Choices,
    *,
    recursive: bool,
    into: bool = True,
) -> None:
    """Copy each source; all that happens is told on the stage. Pipes and devices are read, as cp
    does without -r. Raises StoppedError."""
    while sources:
        operands = Operands(stage, sources, target, merging=recursive, copying=True, into=into)
        pairs = [
            _through_link(pair)
            for pair in operands.pairs()
            if _copyable(pair, stage, recursive=recursive)
        ]
        streams = [] if recursive else [pair for pair in pairs if is_stream(pair)]
        _copy_pairs([pair for pair in pairs if pair not in streams], target, stage, choices)
        for pair in streams:
            pour(pair, stage, choices)
        sources = operands.later


def _copy_pairs(pairs: Sequence[Pair], target: Spot, stage: Stage, choices: Choices) -> None:
    for place in places(pairs):
        planner = Planner(place, target.place, choices.existing)
        for pair in pairs:
            if pair.source.place is place:
                add(planner, pair, stage)
        look_closely(planner.plan, place, target.place, stage, choices.existing)
        carry_out(planner.plan, place, target.place, stage, choices)


def _copyable(pair: Pair, stage: Stage, *, recursive: bool) -> bool:
    source, target = quoted(pair.source.shown), quoted(pair.target.shown)
    there = pair.file.there
    if not pair.directory:
        if there is None and _is_local_link(pair.target):
            stage.emit(Failed(f"not writing through dangling symlink {target}"))
            return False
        return True
    if not recursive:
        stage.emit(Failed(f"-r not specified; omitting directory {source}"))
    elif within(pair):
        stage.emit(Failed(f"cannot copy a directory, {source}, into itself, {target}"))
    elif there is not None and there.kind is not Kind.DIRECTORY:
        stage.emit(Failed(f"cannot overwrite non-directory {target} with directory {source}"))
    else:
        return True
    return False


def _through_link(pair: Pair) -> Pair:
    """A copy onto a local link replaces what the link leads to, and not the link."""
    if pair.directory or not _is_local_link(pair.target):
        return pair
    return pair._replace(file=replace(pair.file, target=os.path.realpath(pair.target.path)))


def _is_local_link(spot: Spot) -> bool:
    return isinstance(spot.place, LocalPlace) and os.path.islink(spot.path)


def add(planner: Planner, pair: Pair, stage: Stage) -> Tree | None:
    """Add to a plan what a source takes; the tree below it, where it is a directory."""
    if not pair.directory:
        planner.file(pair.file)
        return None
    source, target = pair.source, pair.target
    tree = walk(source.place, source.path, stage, hands_of(source.place))
    there = None
    if pair.file.there is not None:
        there = walk(target.place, target.path, stage, hands_of(target.place), within=tree)
    planner.directory(pair.file, tree, there)
    return tree


def hands_of(place: Place) -> int:
    """How many may ask it side by side."""
    return place.hands if isinstance(place, ServerPlace) else 1


def places(pairs: Iterable[Pair]) -> list[Place]:
    """The sources' places, each once."""
    return list({id(pair.source.place): pair.source.place for pair in pairs}.values())
