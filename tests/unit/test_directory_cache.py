from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ftpfs.cache.directory import DirectoryCache
from ftpfs.config import ENTRY_COST_BYTES
from ftpfs.errors import DeadlineError, NetworkError
from ftpfs.wire.entry import Entries, Entry, Kind

TTL_S = 20.0
JOIN_S = 20.0


class Clock:
    """Seconds, moved by hand; `step` moves it on at each reading."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def file(name: str, size: int = 1) -> Entry:
    return Entry(name, Kind.FILE, size)


def listing(*names: str) -> dict[str, Entry]:
    return {name: file(name) for name in names}


class Server:
    """Counts what is fetched of it."""

    def __init__(self, *names: str) -> None:
        self.entries = listing(*names)
        self.lists = 0
        self.stats = 0

    def list(self) -> dict[str, Entry]:
        self.lists += 1
        return dict(self.entries)

    def stat(self, name: str) -> Callable[[], Entry | None]:
        def fetch() -> Entry | None:
            self.stats += 1
            return self.entries.get(name)

        return fetch


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> DirectoryCache:
    return DirectoryCache(TTL_S, clock, wait_s=JOIN_S)


def names(cache: DirectoryCache, directory: str, server: Server) -> list[str]:
    return sorted(cache.snapshot(directory, server.list))


# -- time -----------------------------------------------------------------------------------------


def test_a_listing_is_kept_for_its_time(cache: DirectoryCache, clock: Clock) -> None:
    server = Server("a", "b")
    assert names(cache, "/d", server) == ["a", "b"]
    clock.now += TTL_S - 0.1
    assert names(cache, "/d", server) == ["a", "b"]
    assert cache.child("/d", "a", server.list) == file("a")
    assert server.lists == 1
    clock.now += 0.2
    assert names(cache, "/d", server) == ["a", "b"]
    assert server.lists == 2


def test_the_time_counts_from_before_the_fetch(cache: DirectoryCache, clock: Clock) -> None:
    server = Server("a")

    def slow() -> dict[str, Entry]:
        clock.now += 15
        return server.list()

    cache.snapshot("/d", slow)
    clock.now += 6
    assert cache.lookup("/d/a") is None
    cache.snapshot("/d", server.list)
    assert server.lists == 2


@pytest.mark.parametrize("change", ["put", "remove"])
def test_a_change_keeps_the_age_of_a_listing(
    cache: DirectoryCache, clock: Clock, change: str
) -> None:
    server = Server("a", "b")
    cache.snapshot("/d", server.list)
    clock.now += TTL_S - 1
    if change == "put":
        cache.put("/d/c", file("c"))
    else:
        cache.remove("/d/b")
    assert names(cache, "/d", server) == (["a", "b", "c"] if change == "put" else ["a"])
    assert server.lists == 1
    clock.now += 2
    names(cache, "/d", server)
    assert server.lists == 2


def test_nothing_is_kept_without_a_time(clock: Clock) -> None:
    cache = DirectoryCache(0.0, clock, wait_s=JOIN_S)
    server = Server("a")
    for _ in range(2):
        cache.snapshot("/d", server.list)
        cache.put("/d/b", file("b"))
        cache.entry("/d/a", server.stat("a"))
        assert cache.lookup("/d/a") is None
        assert cache.lookup("/d/b") is None
    assert (server.lists, server.stats) == (2, 2)


CALLS: dict[str, Callable[[DirectoryCache], object]] = {
    "lookup": lambda cache: cache.lookup("/d/a"),
    "snapshot": lambda cache: cache.snapshot("/d", lambda: listing("a")),
    "child": lambda cache: cache.child("/d", "a", lambda: listing("a")),
    "entry": lambda cache: cache.entry("/d/new", lambda: file("new")),
    "put": lambda cache: cache.put("/d/b", file("b")),
    "remove": lambda cache: cache.remove("/d/a"),
    "forget": lambda cache: cache.forget("/d"),
    "forget_below": lambda cache: cache.forget_below("/d"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_expires_in_mid_call_is_no_error(call: Callable[[DirectoryCache], object]) -> None:
    """The clock goes on between two looks at it in one call."""
    for looks in range(1, 12):
        clock = Clock()
        cache = DirectoryCache(TTL_S, clock, wait_s=JOIN_S)
        cache.snapshot("/d", lambda: listing("a"))
        cache.put("/d/sub/x", file("x"))
        clock.step = TTL_S / looks + 0.001
        call(cache)


# -- bytes ----------------------------------------------------------------------------------------


def bounded(clock: Clock, entries: int) -> DirectoryCache:
    return DirectoryCache(TTL_S, clock, JOIN_S, max_bytes=entries * ENTRY_COST_BYTES)


def test_the_least_used_listing_goes_when_the_bytes_are_full(clock: Clock) -> None:
    cache = bounded(clock, 12)  # three listings of three names and their directory
    servers = {path: Server("a", "b", "c") for path in ("/1", "/2", "/3", "/4")}
    for path in ("/1", "/2", "/3"):
        cache.snapshot(path, servers[path].list)
    cache.snapshot("/1", servers["/1"].list)  # used again
    cache.snapshot("/4", servers["/4"].list)
    kept = [path for path in servers if cache.lookup(path + "/a")]
    assert kept == ["/1", "/3", "/4"]


def test_a_listing_beyond_the_bound_is_given_and_not_kept(clock: Clock) -> None:
    cache = bounded(clock, 12)
    server = Server(*"abcdefghijklmnop")
    for _ in range(2):
        assert len(cache.snapshot("/d", server.list)) == 16
    assert server.lists == 2


def test_a_listing_that_grows_beyond_the_bound(clock: Clock) -> None:
    cache = bounded(clock, 8)
    cache.snapshot("/d", Server("a").list)
    for n in range(20):
        cache.put(f"/d/{n}", file(str(n)))  # it never fails
        assert cache.lookup(f"/d/{n}") is not None
    cache.remove("/d/19")
    known = cache.lookup("/d/19")
    assert known is None or known.entry is None


def test_many_single_names_are_bounded_too(clock: Clock) -> None:
    cache = bounded(clock, 40)
    for n in range(100):
        cache.put(f"/{n}/x", file("x"))
    assert sum(cache.lookup(f"/{n}/x") is not None for n in range(100)) == 10


# -- names ----------------------------------------------------------------------------------------


def test_absences_of_a_listing(cache: DirectoryCache, clock: Clock) -> None:
    cache.snapshot("/d", Server("a").list)
    clock.now += 3
    known = cache.lookup("/d/x")
    assert known is not None
    assert (known.entry, known.fetched_at) == (None, clock.now - 3)
    assert cache.lookup("/other/x") is None


def test_a_single_absence(cache: DirectoryCache, clock: Clock) -> None:
    server = Server()
    assert cache.entry("/d/x", server.stat("x")) is None
    known = cache.lookup("/d/x")
    assert known is not None
    assert known.entry is None
    clock.now += TTL_S
    assert cache.lookup("/d/x") is None


def test_the_newer_of_entry_and_listing_counts(cache: DirectoryCache, clock: Clock) -> None:
    server = Server("a")
    cache.snapshot("/d", server.list)
    clock.now += 1
    server.entries["a"] = file("a", 99)
    cache.entry("/d/a", server.stat("a"))
    known = cache.lookup("/d/a")
    assert known is not None
    assert (known.entry, known.fetched_at) == (file("a", 99), clock.now)


@pytest.mark.parametrize("appears", [True, False])
def test_a_name_that_came_or_went_outdates_the_listing(
    cache: DirectoryCache, clock: Clock, appears: bool
) -> None:
    server = Server(*([] if appears else ["x"]))
    cache.snapshot("/d", server.list)
    clock.now += 2
    server.entries = listing("x") if appears else {}
    cache.entry("/d/x", server.stat("x"))
    assert names(cache, "/d", server) == (["x"] if appears else [])
    assert server.lists == 2


def test_an_absence_that_is_confirmed_keeps_the_listing(
    cache: DirectoryCache, clock: Clock
) -> None:
    server = Server("a")
    cache.snapshot("/d", server.list)
    clock.now += 2
    cache.entry("/d/x", server.stat("x"))
    cache.snapshot("/d", server.list)
    assert server.lists == 1


def test_asked_first(cache: DirectoryCache, clock: Clock) -> None:
    assert cache.asked_first("/d/a")
    assert cache.asked_first("/d/a")
    assert not cache.asked_first("/d/b")
    assert cache.asked_first("/e/b")
    clock.now += TTL_S + 1
    assert cache.asked_first("/d/b")


# -- changes --------------------------------------------------------------------------------------


def test_put_and_remove_without_a_listing(cache: DirectoryCache) -> None:
    cache.put("/d/a", file("a"))
    known = cache.lookup("/d/a")
    assert known is not None
    assert known.entry == file("a")
    cache.remove("/d/a")
    known = cache.lookup("/d/a")
    assert known is not None
    assert known.entry is None


def test_put_after_remove(cache: DirectoryCache, clock: Clock) -> None:
    server = Server("a")
    cache.snapshot("/d", server.list)
    for _ in range(2):
        clock.now += 1
        cache.remove("/d/a")
        assert names(cache, "/d", server) == []
        clock.now += 1
        cache.put("/d/a", file("a", 7))
        known = cache.lookup("/d/a")
        assert known is not None
        assert known.entry == file("a", 7)
    assert server.lists == 1


def test_a_snapshot_is_the_callers_own(cache: DirectoryCache) -> None:
    server = Server("a")
    for _ in range(2):
        cache.snapshot("/d", server.list).clear()
    assert names(cache, "/d", server) == ["a"]


def test_a_new_directory_is_known_to_be_empty(cache: DirectoryCache) -> None:
    cache.snapshot("/", Server().list)
    cache.put_empty_directory("/d", Entry("d", Kind.DIRECTORY))
    server = Server("never asked")
    assert names(cache, "/d", server) == []
    assert names(cache, "/", server) == ["d"]
    assert server.lists == 0


def test_a_removed_directory_leaves_no_listing(cache: DirectoryCache) -> None:
    cache.put_empty_directory("/d", Entry("d", Kind.DIRECTORY))
    cache.remove("/d")
    cache.put("/d", Entry("d", Kind.DIRECTORY))
    server = Server("a")
    assert names(cache, "/d", server) == ["a"]


def test_forget(cache: DirectoryCache) -> None:
    servers = {path: Server("x") for path in ("/", "/d", "/d/x", "/dx")}
    for path, server in servers.items():
        cache.snapshot(path, server.list)
    cache.put("/d/sub/y", file("y"))
    cache.forget("/d")
    assert cache.lookup("/d/sub/y") is None
    for path, server in servers.items():
        cache.snapshot(path, server.list)
    assert {path: server.lists for path, server in servers.items()} == {
        "/": 2,
        "/d": 2,
        "/d/x": 2,
        "/dx": 1,
    }


# -- threads --------------------------------------------------------------------------------------


class Fetch:
    """A fetch on a thread of its own that comes back when told to."""

    def __init__(self, run: Callable[[Callable[[], Any]], object]) -> None:
        self.answer: object = None
        self.result: object = None
        self.error: BaseException | None = None
        self._begun = threading.Event()
        self._go = threading.Event()
        self._run_in_cache = run
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._begun.wait(JOIN_S)

    def _run(self) -> None:
        try:
            self.result = self._run_in_cache(self._fetch)
        except BaseException as error:
            self.error = error

    def _fetch(self) -> Any:
        self._begun.set()
        assert self._go.wait(JOIN_S)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def come_back(self, answer: object) -> None:
        self.answer = answer
        self._go.set()
        self._thread.join(JOIN_S)
        assert not self._thread.is_alive()


def listing_fetch(cache: DirectoryCache, path: str = "/d") -> Fetch:
    return Fetch(lambda fetch: cache.snapshot(path, fetch))


CHANGES: dict[str, Callable[[DirectoryCache], None]] = {
    "put": lambda cache: cache.put("/d/new", file("new")),
    "remove": lambda cache: cache.remove("/d/a"),
    "forget a name in it": lambda cache: cache.forget("/d/a"),
    "forget it": lambda cache: cache.forget("/d"),
    "forget what it is in": lambda cache: cache.forget("/"),
    "remove it": lambda cache: cache.remove("/d"),
    "made anew": lambda cache: cache.put_empty_directory("/d", Entry("d", Kind.DIRECTORY)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_on_its_way_during_a_change_is_not_cached(
    cache: DirectoryCache, change: Callable[[DirectoryCache], None]
) -> None:
    fetch = listing_fetch(cache)
    change(cache)
    known = cache.lookup("/d/other")
    fetch.come_back(listing("other"))
    assert fetch.result == listing("other")
    assert cache.lookup("/d/other") == known, "as if it had never come back"


def test_a_change_elsewhere_does_not_matter(cache: DirectoryCache) -> None:
    fetch = listing_fetch(cache)
    cache.put("/e/x", file("x"))
    cache.put("/d/sub/x", file("x"))
    cache.put("/dd", file("dd"))
    fetch.come_back(listing("a"))
    server = Server()
    assert names(cache, "/d", server) == ["a"]
    assert server.lists == 0


def test_who_asks_after_a_change_gets_a_fetch_of_his_own(cache: DirectoryCache) -> None:
    old = listing_fetch(cache)
    cache.put("/d/new", file("new"))
    server = Server("a", "new")
    assert names(cache, "/d", server) == ["a", "new"]
    old.come_back(listing("a"))
    assert names(cache, "/d", server) == ["a", "new"]
    assert server.lists == 1


def test_a_single_entry_on_its_way_during_a_change(cache: DirectoryCache) -> None:
    fetch = Fetch(lambda fetch: cache.entry("/d/a", fetch))
    cache.put("/d/a", file("a", 7))
    fetch.come_back(None)
    known = cache.lookup("/d/a")
    assert known is not None
    assert known.entry == file("a", 7)


class Waiters:
    """Threads that join a fetch; known to wait by the event they wait on."""

    def __init__(
        self, cache: DirectoryCache, monkeypatch: pytest.MonkeyPatch, count: int = 5
    ) -> None:
        self.results: list[dict[str, Entry]] = []
        self.errors: list[BaseException] = []
        self._joined = threading.Semaphore(0)
        self._await = cache._await
        monkeypatch.setattr(cache, "_await", self._announced)
        self._cache = cache
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            assert self._joined.acquire(timeout=JOIN_S), "it made a fetch of its own"

    def _announced(self, fetch: Any) -> Any:
        self._joined.release()
        return self._await(fetch)

    def _run(self) -> None:
        def never() -> dict[str, Entry]:
            raise AssertionError("a second fetch")

        try:
            self.results.append(self._cache.snapshot("/d", never))
        except BaseException as error:
            self.errors.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(JOIN_S)
            assert not thread.is_alive()


def test_one_fetch_for_all_who_wait(cache: DirectoryCache, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = listing_fetch(cache)
    waiters = Waiters(cache, monkeypatch)
    fetch.come_back(listing("a", "b"))
    waiters.join()
    assert waiters.results == [listing("a", "b")] * 5
    assert waiters.errors == []
    waiters.results[0].clear()
    assert len(cache.snapshot("/d", Server().list)) == 2


def test_an_error_reaches_all_who_wait_and_is_not_kept(
    cache: DirectoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = listing_fetch(cache)
    waiters = Waiters(cache, monkeypatch)
    fetch.come_back(NetworkError("lost"))
    waiters.join()
    assert [str(error) for error in [fetch.error, *waiters.errors]] == ["lost"] * 6
    assert waiters.results == []
    server = Server("a")
    assert names(cache, "/d", server) == ["a"]
    assert server.lists == 1


def test_waiting_for_another_ones_fetch_ends(clock: Clock) -> None:
    cache = DirectoryCache(TTL_S, clock, wait_s=0.01)
    fetch = listing_fetch(cache)
    with pytest.raises(DeadlineError):
        cache.snapshot("/d", Server().list)
    fetch.come_back(listing("a"))


def test_an_entry_and_the_listing_are_two_fetches(cache: DirectoryCache) -> None:
    fetch = listing_fetch(cache)
    server = Server("a")
    assert cache.entry("/d/a", server.stat("a")) == file("a")
    fetch.come_back(listing("a"))
    assert server.stats == 1


# -- ahead of who asks ----------------------------------------------------------------------------


def ahead_fetch(cache: DirectoryCache, path: str = "/d") -> Fetch:
    return Fetch(lambda fetch: cache.ahead(path, fetch))


def test_what_was_fetched_ahead_is_there(cache: DirectoryCache) -> None:
    assert cache.ahead("/d", lambda: listing("a")) == listing("a")
    server = Server()
    assert names(cache, "/d", server) == ["a"]
    assert server.lists == 0


def test_nothing_is_fetched_ahead_that_is_there_or_on_its_way(cache: DirectoryCache) -> None:
    fetch = listing_fetch(cache)
    assert cache.ahead("/d", Server().list) is None
    fetch.come_back(listing("a"))
    assert cache.ahead("/d", Server().list) is None
    assert Server().lists == 0


def test_what_was_fetched_ahead_is_the_callers_own(cache: DirectoryCache) -> None:
    found = cache.ahead("/d", lambda: listing("a"))
    assert found is not None
    found.clear()
    assert names(cache, "/d", Server()) == ["a"]


def test_who_asks_waits_for_what_is_fetched_ahead(
    cache: DirectoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = ahead_fetch(cache)
    waiters = Waiters(cache, monkeypatch)
    fetch.come_back(listing("a"))
    waiters.join()
    assert waiters.results == [listing("a")] * 5


def test_who_waits_for_a_fetch_ahead_that_fails_tries_for_himself(
    cache: DirectoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = ahead_fetch(cache)
    server, waits = Server("a"), threading.Semaphore(0)
    found: list[dict[str, Entry]] = []
    inner = cache._await

    def announced(one: Any) -> Any:
        waits.release()
        return inner(one)

    monkeypatch.setattr(cache, "_await", announced)
    threads = [
        threading.Thread(target=lambda: found.append(cache.snapshot("/d", server.list)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert waits.acquire(timeout=JOIN_S)
    fetch.come_back(NetworkError("lost"))
    for thread in threads:
        thread.join(JOIN_S)
    assert isinstance(fetch.error, NetworkError)
    assert [sorted(each) for each in found] == [["a"]] * 3
    assert server.lists >= 1


def test_an_error_of_a_fetch_ahead_is_not_kept(cache: DirectoryCache) -> None:
    def lost() -> dict[str, Entry]:
        raise NetworkError("lost")

    with pytest.raises(NetworkError):
        cache.ahead("/d", lost)
    assert names(cache, "/d", Server("a")) == ["a"]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_fetched_ahead_during_a_change_is_not_cached(
    cache: DirectoryCache, change: Callable[[DirectoryCache], None]
) -> None:
    fetch = ahead_fetch(cache)
    change(cache)
    known = cache.lookup("/d/other")
    fetch.come_back(listing("other"))
    assert cache.lookup("/d/other") == known


# -- listings that the server cuts ----------------------------------------------------------------


def test_a_name_that_is_not_in_a_cut_listing_may_be_there(cache: DirectoryCache) -> None:
    """It is asked for by itself, and what is listed stays cached."""
    server = Server("a", "hidden")
    entries = Entries(listing("a"))
    entries.cut = True
    assert sorted(cache.snapshot("/d", lambda: entries)) == ["a"]
    assert cache.is_cut("/d")
    assert cache.lookup("/d/hidden") is None
    assert cache.entry("/d/hidden", server.stat("hidden")) == file("hidden")
    assert cache.entry("/d/absent", server.stat("absent")) is None
    for name, entry in (("hidden", file("hidden")), ("absent", None), ("a", file("a"))):
        known = cache.lookup(f"/d/{name}")
        assert known is not None
        assert known.entry == entry
    assert not cache.looked_again("/d")
    assert not cache.looked_again("/d"), "to list it again would tell no more"
    assert names(cache, "/d", server) == ["a"]
    assert server.lists == 0


def test_a_whole_listing_is_not_cut(cache: DirectoryCache) -> None:
    names(cache, "/d", Server("a"))
    assert not cache.is_cut("/d")
    known = cache.lookup("/d/absent")
    assert known is not None
    assert known.entry is None
