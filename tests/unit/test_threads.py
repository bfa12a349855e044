"""Threads that are kept: each job has one at once, and they end when told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ftpfs.content.threads import Threads

WAIT_S = 20.0
NAME = "kept"


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(NAME)
    yield made
    until(lambda: not alive() or made.end_idle())


def alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def until(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not check():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def ran_on(threads: Threads) -> int:
    """The thread that a job is given to."""
    found: list[int] = []
    done = threading.Event()

    def job() -> None:
        found.append(threading.get_ident())
        done.set()

    threads.run(job)
    assert done.wait(WAIT_S)
    return found[0]


def test_a_thread_that_is_free_is_used_again(threads: Threads) -> None:
    first = ran_on(threads)
    until(lambda: threads._idle == 1)
    assert ran_on(threads) == first
    assert len(alive()) == 1


def test_jobs_do_not_wait_for_one_another(threads: Threads) -> None:
    ran_on(threads)
    until(lambda: threads._idle == 1)  # one of four
    meet = threading.Barrier(5)
    for _ in range(4):
        threads.run(lambda: meet.wait(WAIT_S) and None)
    meet.wait(WAIT_S)  # broken if one of them waited


def test_threads_without_work_end_when_told(threads: Threads) -> None:
    ran_on(threads)
    until(lambda: threads._idle == 1)
    threads.end_idle()
    until(lambda: not alive())
    ran_on(threads)


def test_no_job_is_lost_to_a_thread_that_is_told_to_end(threads: Threads) -> None:
    done = threading.Semaphore(0)
    for n in range(2_000):
        threads.run(done.release)
        if n % 3 == 0:
            threads.end_idle()
    for _ in range(2_000):
        assert done.acquire(timeout=WAIT_S)
