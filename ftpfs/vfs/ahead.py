"""What a program will ask for next: the files of a directory in order, the directories of a tree.

`FileWalk` and `upcoming` are policy, without threads or network; `Ahead` watches the file system
and hands jobs to the fetchers. `_lock` guards its tables and is held for arithmetic only.
"""

from __future__ import annotations

import bisect
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from ftpfs.config import (
    AHEAD_BYTES,
    AHEAD_FILE_BYTES,
    AHEAD_FILES,
    AHEAD_FIRST_LISTINGS,
    AHEAD_LISTINGS,
    DIRECTORIES_KNOWN,
    WALKS,
    WALKS_NAMES,
)
from ftpfs.content.reader import Reader
from ftpfs.remote.api import Entry, Kind, Spare
from ftpfs.vfs.fetchers import Fetchers
from ftpfs.vfs.files import Files
from ftpfs.vfs.namespace import Namespace
from ftpfs.wire.pathname import join, split

_LISTINGS = ""  # the kind of jobs that list; those that read a file go by their directory


class FileWalk:
    """Where a program is among the files of one directory.

    `files`: (name, size) in the order of the listing; `most_bytes` are fetched ahead.
    """

    def __init__(self, files: Sequence[tuple[str, int]], most_bytes: int = AHEAD_BYTES) -> None:
        self._files = files
        self._most_bytes = most_bytes
        self._places = {name: place for place, (name, _) in enumerate(files)}
        self._last: int | None = None
        self._ahead = 0  # everything before this place was read or is being fetched

    @property
    def count(self) -> int:
        return len(self._files)

    def knows(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str) -> list[str] | None:
        """The names to fetch now that a program reads `name`; None where it reads out of order."""
        place = self._places[name]
        last, self._last = self._last, place
        if place == last:
            return []
        if last is None or place != last + 1:
            self._ahead = place + 1
            return None
        self._ahead = max(self._ahead, place + 1)
        return list(self._fetched(place))

    def _fetched(self, place: int) -> Iterator[str]:
        """The next names, up to the bounds; none for files too large to be worth it. Not for each
        file that is read, but some at once when half of the others are left: threads that fetch
        are woken less often, which is what costs most on a fast network."""
        if self._ahead - place - 1 > AHEAD_FILES // 2:
            return
        room = self._most_bytes - sum(map(self._cost, range(place + 1, self._ahead)))
        if room < self._most_bytes // 2:
            return
        while self._ahead < len(self._files) and self._ahead - place <= AHEAD_FILES and room > 0:
            name, _ = self._files[self._ahead]
            cost = self._cost(self._ahead)
            self._ahead += 1
            if cost:
                room -= cost
                yield name

    def _cost(self, place: int) -> int:
        size = self._files[place][1]
        return size if size <= AHEAD_FILE_BYTES else 0


def _share(walk: FileWalk | str) -> int:
    """Of WALKS_NAMES: that many names, or a place among WALKS; no more than all of it."""
    count = 1 if isinstance(walk, str) else walk.count
    return min(WALKS_NAMES, max(count, WALKS_NAMES // WALKS))


def upcoming(path: str, known: Callable[[str], Sequence[str] | None]) -> Iterator[str]:
    """The directories that a walk of the tree comes to after `path`, as far as they are known.

    `known`: the sub-directories (paths, sorted) of a directory that was listed, None for others.
    """
    for child in known(path) or ():
        yield child
        yield from _below(child, known)
    while path != "/":
        parent = split(path)[0]
        siblings = known(parent) or ()
        place = bisect.bisect_right(siblings, path)
        if place and siblings[place - 1] == path:
            for sibling in itertools.islice(siblings, place, None):
                yield sibling
                yield from _below(sibling, known)
        path = parent


def _below(path: str, known: Callable[[str], Sequence[str] | None]) -> Iterator[str]:
    for child in known(path) or ():
        yield child
        yield from _below(child, known)


@dataclass(frozen=True)
class FileJob:
    """A small file to be brought into memory."""

    reader: Reader

    def run(self, spare: Spare) -> None:
        self.reader.fetch(spare)

    def drop(self) -> None:
        self.reader.unexpected()


@dataclass(frozen=True)
class ListingJob:
    """A directory to be listed."""

    path: str
    fetch: Callable[[str, Spare], None]
    forget: Callable[[str], None]

    def run(self, spare: Spare) -> None:
        self.fetch(self.path, spare)

    def drop(self) -> None:
        self.forget(self.path)


class Ahead:
    """Watches what is read and listed."""

    def __init__(self, namespace: Namespace, files: Files, fetchers: Fetchers) -> None:
        # set once
        self._namespace = namespace
        self._files = files
        self._fetchers = fetchers
        # guarded by _lock
        self._lock = threading.Lock()
        self._walks: LRUCache[str, FileWalk | str] = LRUCache(WALKS_NAMES, _share)
        self._directories: LRUCache[str, list[str]] = LRUCache(DIRECTORIES_KNOWN)
        self._asked: set[str] = set()  # to be listed ahead
        self._listed: str | None = None
        self._walking = False

    # -- files --------------------------------------------------------------------------------

    def read(self, path: str) -> None:
        """A program reads the beginning of a file."""
        directory, name = split(path)
        with self._lock:
            walk = self._walks.get(directory)
            if walk is None:
                self._walks[directory] = name  # one file is no walk
                return
        if walk == name:
            return
        if isinstance(walk, str) or not walk.knows(name):
            walk = self._begun(directory, walk if isinstance(walk, str) else None)
            if walk is None or not walk.knows(name):
                return
            with self._lock:
                self._walks[directory] = walk
        with self._lock:
            names = walk.read(name)
        if names is None:
            self._fetchers.cancel(directory)
        else:
            jobs = (self._file_job(join(directory, name)) for name in names)
            self._fetchers.submit(directory, [job for job in jobs if job is not None])

    def _begun(self, directory: str, first: str | None) -> FileWalk | None:
        """A walk of a directory as it was last listed; None where it was not."""
        entries = self._namespace.listed(directory)
        if entries is None:
            return None
        files = sorted((n, e.size) for n, e in entries.items() if e.kind is Kind.FILE)
        walk = FileWalk(files, self._files.ahead_bytes)
        if first is not None and walk.knows(first):
            walk.read(first)
        return walk

    def _file_job(self, path: str) -> FileJob | None:
        entry = self._namespace.known(path)
        if entry is None or entry.kind is not Kind.FILE or not 0 < entry.size <= AHEAD_FILE_BYTES:
            return None
        reader = self._files.expected(path, entry)
        return None if reader is None else FileJob(reader)

    # -- directories --------------------------------------------------------------------------

    def listed(self, path: str, entries: Mapping[str, Entry]) -> None:
        """A program lists a directory; `entries` is what it gets."""
        with self._lock:
            self._remember_locked(path, entries)
            before, self._listed = self._listed, path
            follows = before is not None and path in self._followers_locked(before)
            going, self._walking = self._walking and follows, follows
            count = AHEAD_LISTINGS if going else AHEAD_FIRST_LISTINGS if follows else 0
            wanted = self._wanted_locked(path, count)
            self._asked.update(wanted)
        if not follows:
            self._fetchers.cancel(_LISTINGS)
        jobs = [ListingJob(each, self._list, self._forget_asked) for each in wanted]
        self._fetchers.submit(_LISTINGS, jobs)

    def _remember_locked(self, path: str, entries: Mapping[str, Entry]) -> None:
        names = sorted(name for name, e in entries.items() if e.kind is Kind.DIRECTORY)
        self._directories[path] = [join(path, name) for name in names]

    def _followers_locked(self, path: str) -> Iterator[str]:
        """Where a walk goes on from `path`: depth first, or breadth first."""
        known = self._directories.get
        deep = upcoming(path, known)
        broad = upcoming(path, lambda each: None if each == path else known(each))
        return itertools.chain(itertools.islice(deep, 1), itertools.islice(broad, 1))

    def _wanted_locked(self, path: str, count: int) -> list[str]:
        """Of the next `count` directories those to be listed: as with files, some at once."""
        after = list(itertools.islice(upcoming(path, self._directories.get), count))
        if after and len(after) == count and not self._unknown_locked(after[count // 2]):
            return []  # those before it are known, too
        return [each for each in after if self._unknown_locked(each)]

    def _unknown_locked(self, path: str) -> bool:
        return path not in self._asked and not self._namespace.has_listing(path)

    def _list(self, path: str, spare: Spare) -> None:
        try:
            entries = self._namespace.list_ahead(path, spare)
        finally:
            self._forget_asked(path)
        if entries is not None:
            with self._lock:
                self._remember_locked(path, entries)

    def _forget_asked(self, path: str) -> None:
        with self._lock:
            self._asked.discard(path)
