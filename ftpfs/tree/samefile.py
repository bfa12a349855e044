"""Whether what two places show under a name is one and the same: a server by two of its names, or
a directory of this machine that a server shows too."""

from __future__ import annotations

import os

from ftpfs.errors import AbsentError
from ftpfs.remote.calls import TEMPORARY_PREFIX
from ftpfs.tree.operands import Pair
from ftpfs.tree.place import Place, below
from ftpfs.wire.pathname import split


class SameFiles:
    """For the pairs of one command, between two places; for one thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], bool] = {}

    def same(self, pair: Pair) -> bool:
        """Whether source and target are the same. Raises what finding out raises.

        No name tells, and times and sizes are alike after a copy that broke off: a mark is made
        beside the one and looked for beside the other.
        """
        source, target, there = pair.source, pair.target, pair.file.there
        if there is None:
            return False
        if pair.directory:
            return self._one_directory(source.place, source.path, target.place, target.path)
        if there.size != pair.file.entry.size or source.name != target.name:
            return False
        beside = _parent(source.path), _parent(target.path)
        return self._one_directory(source.place, beside[0], target.place, beside[1])

    def _one_directory(self, source: Place, one: str, target: Place, other: str) -> bool:
        if (one, other) not in self._known:
            self._known[one, other] = _marked(source, one, target, other)
        return self._known[one, other]


def _marked(source: Place, one: str, target: Place, other: str) -> bool:
    name = TEMPORARY_PREFIX + os.urandom(6).hex()
    mark = below(other, name)
    for error in target.mkdir_all([mark]).values():
        raise error
    try:
        source.stat(below(one, name))
    except AbsentError:
        return False
    finally:
        target.rmdir_all([mark])
    return True


def _parent(path: str) -> str:
    return split(path)[0] if path.startswith("/") else os.path.dirname(path.rstrip("/")) or "."
