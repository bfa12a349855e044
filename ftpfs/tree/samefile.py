"""Whether what two places show under a name is one and the same: a server by two of its names, or
a directory of this machine that a server shows too."""

from __future__ import annotations

import os
from typing import Protocol

from ftpfs.errors import AbsentError, ChangedError, RefusedError
from ftpfs.remote.api import SECOND_NS, Fingerprint, Remote
from ftpfs.remote.calls import TEMPORARY_PREFIX
from ftpfs.tree.operands import Pair
from ftpfs.tree.place import Place, below
from ftpfs.tree.resume import Content, ends_alike
from ftpfs.wire.pathname import split


class SameFileError(RefusedError):
    """A file would be overwritten by itself."""


class Checkable(Content, Protocol):
    def check(self) -> None: ...  # raises ChangedError where the source is another version by now


def is_itself(server: Remote, path: str, there: Fingerprint, source: Checkable) -> bool:
    """Whether the file at `path` is the source, by another name: overwritten where it lies it would
    be empty before it is read.

    Size and time agree then. They do with a copy that was given its source's time, too: what tells
    is whether a new time of the one is the other's, or, where times cannot be set, the last bytes.
    """
    if not source.size or there.size != source.size:
        return False
    if there.mtime_ns is not None and source.mtime_ns is not None:
        if there.mtime_ns // SECOND_NS != source.mtime_ns // SECOND_NS:
            return False
        try:
            if _told_by_time(server, path, there.mtime_ns, source):
                return False
        except ChangedError:
            return True
    return ends_alike(server, path, there.size, source)


def _told_by_time(server: Remote, path: str, mtime_ns: int, source: Checkable) -> bool:
    """Whether the file took another time for a moment. Raises ChangedError where the source has
    that, too."""
    try:
        server.set_mtime(path, mtime_ns + SECOND_NS)
        try:
            now = server.fingerprint(path)
            source.check()
        finally:
            server.set_mtime(path, mtime_ns)
    except RefusedError:
        return False
    return now is not None and now.mtime_ns != mtime_ns


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
