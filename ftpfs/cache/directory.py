"""The LIST cache: listings, single entries and absences, for a time and within a bound of bytes.

Shared by all threads. `_lock` guards every field; it is never held across the network: one
thread fetches, the others wait for that fetch. A change made through this mount is put into what
is cached, and what was being fetched meanwhile is not cached (its generation is over).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

from cachetools import TLRUCache, TTLCache

from ftpfs.config import DIRECTORY_CACHE_BYTES, ENTRY_COST_BYTES, RELIST_NAMES, RELIST_S
from ftpfs.errors import DeadlineError
from ftpfs.wire.entry import Entries, Entry
from ftpfs.wire.pathname import split

T = TypeVar("T")

ASKED_DIRECTORIES = 1024
"""Directories of which a single name was asked: more than any program walks at once."""


@dataclass(eq=False)
class Listing:
    """A directory's entries by name, as of `fetched_at` on the cache's clock (seconds).

    The dict changes only under the cache's lock; take `DirectoryCache.snapshot` to walk it.
    """

    entries: dict[str, Entry]
    fetched_at: float
    whole: bool = True  # a name that is not in it is not there

    @property
    def cost(self) -> int:
        return ENTRY_COST_BYTES * (len(self.entries) + 1)


class Known(NamedTuple):
    """One name's fate: its entry or None where it is absent, as of `fetched_at`."""

    entry: Entry | None
    fetched_at: float


@dataclass(eq=False)
class _Fetch:
    """A fetch on its way; `valid` until a change makes its answer stale."""

    ahead: bool = False  # nobody asked for it yet: who does so meanwhile tries again if it fails
    done: threading.Event = field(default_factory=threading.Event)
    valid: bool = True
    result: object = None
    error: BaseException | None = None


class DirectoryCache:
    """What the server said of names, kept `ttl_s` seconds from the moment it was asked."""

    def __init__(
        self,
        ttl_s: float,
        clock: Callable[[], float],
        wait_s: float,
        max_bytes: int = DIRECTORY_CACHE_BYTES,
    ) -> None:
        # set once
        self._ttl_s = ttl_s
        self._clock = clock
        self._wait_s = wait_s
        # guarded by _lock
        self._lock = threading.Lock()
        # The time to live counts from the fetch, not from the last change put into a listing.
        self._listings: TLRUCache[str, Listing] = TLRUCache(
            max_bytes, self._expiry, timer=clock, getsizeof=lambda listing: listing.cost
        )
        self._singles: TLRUCache[str, Known] = TLRUCache(
            max_bytes // 4, self._expiry, timer=clock, getsizeof=lambda _: ENTRY_COST_BYTES
        )
        self._asked: TTLCache[str, str] = TTLCache(ASKED_DIRECTORIES, max(ttl_s, 1e-3), timer=clock)
        self._looked: TTLCache[str, bool] = TTLCache(ASKED_DIRECTORIES, RELIST_S, timer=clock)
        self._fetches: dict[tuple[str, str], _Fetch] = {}

    def _expiry(self, _key: str, value: Listing | Known, _now: float) -> float:
        return value.fetched_at + self._ttl_s

    # -- asking -------------------------------------------------------------------------------

    def lookup(self, path: str) -> Known | None:
        """What is cached of one path; None where nothing is."""
        parent, name = split(path)
        with self._lock:
            listing = self._listing_locked(parent)
            single = self._singles.get(path) if path in self._singles else None  # mostly not
            if listing is None or (single and single.fetched_at > listing.fetched_at):
                return single
            entry = listing.entries.get(name)
            if entry is None and not listing.whole:
                return single
            return Known(entry, listing.fetched_at)

    def asked_first(self, path: str) -> bool:
        """Whether `path` is the only name of its directory that is looked up of late.

        For the first one it is cheaper to ask for the name alone, from the second on to list.
        """
        parent, name = split(path)
        with self._lock:
            return self._asked.setdefault(parent, name) == name

    def snapshot(self, directory: str, fetch: Callable[[], dict[str, Entry]]) -> dict[str, Entry]:
        """A copy of a directory's entries, from the cache or fetched. Raises what `fetch` does."""
        with self._lock:
            listing = self._listing_locked(directory)
            if listing is not None:
                return dict(listing.entries)
        entries: dict[str, Entry] = self._fetched("list", directory, fetch, self._store_listing)
        return dict(entries)

    def listed(self, directory: str) -> dict[str, Entry] | None:
        """A copy of a directory's entries if they are cached."""
        with self._lock:
            listing = self._listing_locked(directory)
            return None if listing is None else dict(listing.entries)

    def relisted(self, directory: str, fetch: Callable[[], dict[str, Entry]]) -> dict[str, Entry]:
        """A directory's entries as `fetch` finds them now; kept. Not for changing."""
        return self._fetched("list", directory, fetch, self._store_listing)

    def looked_again(self, directory: str) -> bool:
        """Whether names that are not there are looked for one after the other in a directory that
        is small enough to be listed for that."""
        with self._lock:
            again = directory in self._looked
            self._looked[directory] = True
            listing = self._listing_locked(directory)
            small = listing is not None and len(listing.entries) <= RELIST_NAMES
            return again and small and not self._cut_locked(directory)

    def is_cut(self, directory: str) -> bool:
        """Whether the listing of a directory is cached and lacks names that are there."""
        with self._lock:
            return self._cut_locked(directory)

    def _cut_locked(self, directory: str) -> bool:
        listing = self._listing_locked(directory)
        return listing is not None and not listing.whole

    def has_listing(self, directory: str) -> bool:
        with self._lock:
            return directory in self._listings

    def ahead(
        self, directory: str, fetch: Callable[[], dict[str, Entry]]
    ) -> dict[str, Entry] | None:
        """Fetch and keep a listing that nobody asked for yet; None where it is there already, or
        on its way. Raises what `fetch` does."""
        key = ("list", directory)
        with self._lock:
            if directory in self._listings or key in self._fetches:
                return None
            mine = self._fetches[key] = _Fetch(ahead=True)
        entries: dict[str, Entry] = self._run(key, mine, fetch, self._store_listing)
        return dict(entries)

    def child(
        self, directory: str, name: str, fetch: Callable[[], dict[str, Entry]]
    ) -> Entry | None:
        """One entry of a directory, whose whole listing is fetched and kept if need be."""
        with self._lock:
            listing = self._listing_locked(directory)
            if listing is not None:
                return listing.entries.get(name)
        entries: dict[str, Entry] = self._fetched("list", directory, fetch, self._store_listing)
        return entries.get(name)

    def entry(self, path: str, fetch: Callable[[], Entry | None]) -> Entry | None:
        """One path's entry as `fetch` finds it now, None where it is absent; cached."""
        return self._fetched("stat", path, fetch, self._store_single)

    def _store_listing(self, path: str, entries: dict[str, Entry], at: float) -> None:
        listing = Listing(entries, at, whole=not (isinstance(entries, Entries) and entries.cut))
        if listing.cost <= self._listings.maxsize:
            self._listings[path] = listing

    def _store_single(self, path: str, entry: Entry | None, at: float) -> None:
        parent, name = split(path)
        listing = self._listing_locked(parent)
        known = listing is not None and (name in listing.entries or listing.whole)
        if listing is not None and known and (name in listing.entries) != (entry is not None):
            self._listings.pop(parent, None)  # the directory changed since it was listed
        self._singles[path] = Known(entry, at)

    def _fetched(
        self,
        kind: str,
        path: str,
        fetch: Callable[[], T],
        store_locked: Callable[[str, T, float], None],
    ) -> T:
        """One fetch for all who ask for the same at the same time."""
        key = (kind, path)
        while True:
            with self._lock:
                running = self._fetches.get(key)
                mine = running or self._fetches.setdefault(key, _Fetch())
            if running is None:
                return self._run(key, mine, fetch, store_locked)
            result = self._await(running)
            if not running.ahead or running.error is None:
                return cast(T, result)

    def _run(
        self,
        key: tuple[str, str],
        mine: _Fetch,
        fetch: Callable[[], T],
        store_locked: Callable[[str, T, float], None],
    ) -> T:
        started = self._clock()
        try:
            result = mine.result = fetch()
            with self._lock:
                if mine.valid:
                    store_locked(key[1], result, started)
            return result
        except BaseException as error:
            mine.error = error
            raise
        finally:
            with self._lock:
                if self._fetches.get(key) is mine:
                    del self._fetches[key]
            mine.done.set()

    def _await(self, fetch: _Fetch) -> Any:
        if not fetch.done.wait(self._wait_s):
            raise DeadlineError("no answer from the server in time")
        if fetch.error is not None and not fetch.ahead:
            raise fetch.error
        return fetch.result

    # -- changes ------------------------------------------------------------------------------

    def put(self, path: str, entry: Entry) -> None:
        """This mount made or changed `path`."""
        parent, name = split(path)
        with self._lock:
            self._outdate_locked(path)
            listing = self._listing_locked(parent)
            if listing is None:
                self._singles[path] = Known(entry, self._clock())
                return
            is_new = name not in listing.entries
            listing.entries[name] = entry
            if is_new and not self._resized_locked(parent, listing):
                self._singles[path] = Known(entry, self._clock())
            else:
                self._drop_locked(self._singles, path)

    def put_empty_directory(self, path: str, entry: Entry) -> None:
        """This mount made the directory `path`: its listing is known without asking."""
        self.put(path, entry)
        with self._lock:
            self._store_listing(path, {}, self._clock())

    def remove(self, path: str) -> None:
        """This mount removed `path`: a file, or a directory with nothing in it.

        The bytes of a listing that shrinks are not counted again: `rm -r` would do so for each
        name, and the next one that is put in does.
        """
        parent, name = split(path)
        with self._lock:
            self._outdate_locked(path)
            self._drop_locked(self._listings, path)
            listing = self._listing_locked(parent)
            if listing is not None:
                listing.entries.pop(name, None)
            if listing is None or not listing.whole:
                self._singles[path] = Known(None, self._clock())
            else:
                self._drop_locked(self._singles, path)

    def forget(self, path: str) -> None:
        """Whatever is cached of `path`, its directory and all below it is in doubt."""
        with self._lock:
            self._outdate_locked(path)
            self._listings.pop(split(path)[0], None)
        self.forget_below(path)

    def forget_below(self, path: str) -> None:
        """A directory was renamed or is in doubt; walks all that is cached."""
        below = path.rstrip("/") + "/"
        with self._lock:
            # pop, not del: a key may expire between the two looks at the clock.
            for key in [k for k in self._listings if k == path or k.startswith(below)]:
                self._listings.pop(key, None)
            for key in [k for k in self._singles if k == path or k.startswith(below)]:
                self._singles.pop(key, None)

    def _listing_locked(self, directory: str) -> Listing | None:
        try:
            return self._listings[directory]  # a third of what `get` costs
        except KeyError:
            return None

    def _drop_locked(self, cache: TLRUCache[str, Any], key: str) -> None:
        if key in cache:  # mostly not, and `pop` would expire others first
            cache.pop(key, None)

    def _outdate_locked(self, path: str) -> None:
        """Fetches on their way that may have missed a change of `path` are not cached, and
        later callers start their own."""
        if not self._fetches:
            return
        parent = split(path)[0]
        below = path.rstrip("/") + "/"
        for (kind, at), fetch in list(self._fetches.items()):
            if at in (path, parent) or at.startswith(below):
                fetch.valid = False
                del self._fetches[kind, at]

    def _resized_locked(self, directory: str, listing: Listing) -> bool:
        """Let the cache count the listing's bytes again; it keeps its age. False: it is too big."""
        if listing.cost > self._listings.maxsize:
            self._listings.pop(directory, None)
            return False
        self._listings[directory] = listing
        return True
