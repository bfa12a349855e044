"""Threads that are kept: each job has one at once, and they end when told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from waiting import eventually

from ftpfs.content.threads import Threads

WAIT_S = 20.0
NAME = "kept"


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(NAME)

    def ended() -> bool:
        made.end_idle()
        return not alive()

    yield made
    eventually(ended, "the threads have ended")


def alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


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
    eventually(lambda: threads._idle == 1, "the thread is free")
    assert ran_on(threads) == first
    assert len(alive()) == 1


def test_jobs_do_not_wait_for_one_another(threads: Threads) -> None:
    ran_on(threads)
    eventually(lambda: threads._idle == 1, "the thread is free")  # one of four
    meet = threading.Barrier(5)

    def job() -> None:
        meet.wait(WAIT_S)

    for _ in range(4):
        threads.run(job)
    meet.wait(WAIT_S)  # broken if one of them waited


def test_threads_without_work_end_when_told(threads: Threads) -> None:
    ran_on(threads)
    eventually(lambda: threads._idle == 1, "the thread is free")
    threads.end_idle()
    eventually(lambda: not alive(), "the thread has ended")
    ran_on(threads)


def test_no_job_is_lost_to_a_thread_that_is_told_to_end(threads: Threads) -> None:
    done = threading.Semaphore(0)
    for n in range(2_000):
        threads.run(done.release)
        if n % 3 == 0:
            threads.end_idle()
    for _ in range(2_000):
        assert done.acquire(timeout=WAIT_S)
