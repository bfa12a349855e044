"""Threads that fetch ahead, on jobs and connections of the test's own."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import pytest

from ftpfs.config import FETCHERS_NEAR
from ftpfs.errors import AbsentError, FtpfsError, NetworkError
from ftpfs.remote.api import Download, Entry
from ftpfs.vfs.fetchers import Fetchers

WAIT_S = 20.0


class Line:
    """One connection to spare."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.wanted = False

    def connect(self) -> None:
        assert self._lines.login.wait(WAIT_S)
        if self._lines.error is not None:
            raise self._lines.error

    def list(self, path: str) -> dict[str, Entry]:
        raise AssertionError

    def open_read(self, path: str, offset: int, *, identify: bool = False) -> Download:
        raise AssertionError

    def close(self) -> None:
        with self._lines.changed:
            self._lines.free += 1
            self._lines.changed.notify_all()


class Lines:
    """How many connections there are to spare."""

    def __init__(self, count: int) -> None:
        self.changed = threading.Condition()
        self.free = count
        self.given: list[Line] = []
        self.login = threading.Event()  # the server lets them in
        self.login.set()
        self.error: FtpfsError | None = None  # or does not

    def spare(self) -> Line | None:
        with self.changed:
            if self.free == 0:
                return None
            self.free -= 1
            self.given.append(Line(self))
            return self.given[-1]

    def all_back(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.free == count, WAIT_S), "one is kept"


class Job:
    """Runs until told to go on, and says what became of it."""

    def __init__(self, done: list[str], name: str, error: FtpfsError | None = None) -> None:
        self.began, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.line: object = None
        self.dropped = False
        self._done, self._name, self._error = done, name, error

    def run(self, spare: object) -> None:
        self.line = spare
        self.began.set()
        assert self.go.wait(WAIT_S)
        self._done.append(self._name)
        self.ended.set()
        if self._error is not None:
            raise self._error

    def drop(self) -> None:
        assert not self.began.is_set(), "dropped while it runs"
        assert not self.dropped, "dropped twice"
        self.dropped = True
        self.ended.set()


class Work:
    def __init__(self, lines: int) -> None:
        self.lines = Lines(lines)
        self.fetchers = Fetchers(self.lines.spare, lambda: False)
        self.done: list[str] = []
        self._count = lines

    def submit(self, *names: str, kind: str = "d", **errors: FtpfsError) -> list[Job]:
        jobs = [Job(self.done, name, errors.get(name)) for name in names]
        self.fetchers.submit(kind, jobs)
        return jobs

    def close(self) -> None:
        self.fetchers.close()
        self.lines.all_back(self._count)


@pytest.fixture
def one() -> Iterator[Work]:
    work = Work(1)
    yield work
    work.close()


@pytest.fixture
def two() -> Iterator[Work]:
    work = Work(2)
    yield work
    work.close()


def finished(jobs: list[Job]) -> None:
    for job in jobs:
        job.go.set()
    for job in jobs:
        assert job.ended.wait(WAIT_S)


def test_jobs_are_done_in_order_over_one_connection(one: Work) -> None:
    jobs = one.submit("a", "b", "c")
    finished(jobs)
    assert one.done == ["a", "b", "c"]
    assert len({id(job.line) for job in jobs}) == 1
    assert len(one.lines.given) == 1


@pytest.mark.parametrize(("slow_s", "threads"), [(math.inf, FETCHERS_NEAR), (0.0, 3)])
def test_a_near_server_gets_few_threads_unless_it_is_slow(
    monkeypatch: pytest.MonkeyPatch, slow_s: float, threads: int
) -> None:
    monkeypatch.setattr("ftpfs.vfs.fetchers.SLOW_JOB_S", slow_s)
    work = Work(3)
    work.fetchers = Fetchers(work.lines.spare, lambda: True)
    jobs = work.submit("a", "b", "c")
    finished(jobs)
    assert len(work.lines.given) == threads
    work.close()


def test_as_many_at_once_as_there_are_connections(two: Work) -> None:
    jobs = two.submit("a", "b", "c")
    for job in jobs[:2]:
        assert job.began.wait(WAIT_S)
    assert not jobs[2].began.is_set()
    finished(jobs)


def test_no_more_connections_than_jobs(two: Work) -> None:
    finished(two.submit("a"))
    assert len(two.lines.given) == 1


def test_without_a_connection_jobs_are_dropped() -> None:
    work = Work(0)
    (job,) = work.submit("a")
    assert job.dropped
    work.close()


def test_a_connection_is_kept_between_jobs_that_follow_soon(one: Work) -> None:
    finished(one.submit("a"))
    finished(one.submit("b"))
    assert one.done == ["a", "b"]
    assert len(one.lines.given) in (1, 2)  # the second may come late on a busy machine


def test_a_connection_goes_back_when_there_is_nothing_to_do(one: Work) -> None:
    finished(one.submit("a"))
    one.lines.all_back(1)


def test_a_wanted_connection_goes_back_and_its_jobs_are_dropped(one: Work) -> None:
    first, second, third = one.submit("a", "b", "c")
    assert first.began.wait(WAIT_S)
    one.lines.given[0].wanted = True
    first.go.set()
    one.lines.all_back(1)
    assert second.ended.wait(WAIT_S)
    assert second.dropped
    assert third.ended.wait(WAIT_S)
    assert third.dropped


def test_a_wanted_connection_leaves_its_jobs_to_the_others(two: Work) -> None:
    first, second, third = two.submit("a", "b", "c")
    for job in (first, second):
        assert job.began.wait(WAIT_S)
    assert isinstance(first.line, Line)
    first.line.wanted = True
    first.go.set()
    assert first.ended.wait(WAIT_S)
    two.lines.all_back(1)
    assert not third.dropped
    finished([second, third])
    assert third.line is second.line


def test_a_refusal_is_the_end_of_one_job_only(one: Work) -> None:
    finished(one.submit("a", "b", a=AbsentError("/a: 550")))
    assert one.done == ["a", "b"]
    assert len(one.lines.given) == 1


def test_a_lost_connection_is_given_back_and_the_rest_dropped(one: Work) -> None:
    first, second = one.submit("a", "b", a=NetworkError("lost"))
    assert first.began.wait(WAIT_S)
    first.go.set()
    one.lines.all_back(1)
    assert second.ended.wait(WAIT_S)
    assert second.dropped
    finished(one.submit("c"))
    assert one.done == ["a", "c"]


def test_no_job_is_begun_before_its_connection_is_there(one: Work) -> None:
    """Who waits for a job that has begun waits until it is done."""
    one.lines.login.clear()
    (job,) = one.submit("a")
    assert not job.began.wait(0.1)
    one.lines.login.set()
    finished([job])


def test_without_a_login_jobs_are_dropped(one: Work) -> None:
    one.lines.error = NetworkError("no greeting")
    (job,) = one.submit("a")
    assert job.ended.wait(WAIT_S)
    assert job.dropped


def test_a_login_that_takes_too_long_holds_no_jobs(
    one: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.lines.login.clear()
    (first,) = one.submit("a")
    monkeypatch.setattr("ftpfs.vfs.fetchers.EXPECTED_S", 0.0)
    (second,) = one.submit("b")
    one.lines.login.set()
    assert first.dropped
    assert second.dropped


def test_cancel_drops_what_has_not_begun_of_one_kind(one: Work) -> None:
    first, second = one.submit("a", "b", kind="d")
    (other,) = one.submit("c", kind="e")
    assert first.began.wait(WAIT_S)
    one.fetchers.cancel("d")
    assert second.dropped
    finished([first, other])
    assert one.done == ["a", "c"]


def test_close_drops_what_waits(one: Work) -> None:
    first, second = one.submit("a", "b")
    assert first.began.wait(WAIT_S)
    first.go.set()
    one.fetchers.close()
    assert second.dropped or one.done == ["a", "b"]


def test_after_close_nothing_begins() -> None:
    work = Work(2)
    work.fetchers.close()
    (job,) = work.submit("a")
    assert job.dropped
    assert work.lines.free == 2
