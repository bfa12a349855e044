"""Threads that fetch what may be asked for soon, over connections that nobody waits for.

`_changed` (a Condition) guards every field below it. A thread begins when there is work and a
connection to spare, logs in, and only then takes a job, for which somebody may wait; it ends when
the work is done for a while, or the connection is wanted. While none is logged in after
EXPECTED_S, no job is taken on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from ftpfs.config import (
    EXPECTED_S,
    FETCHER_IDLE_S,
    FETCHER_STOP_S,
    FETCHERS_NEAR,
    SLOW_JOB_S,
    STREAM_POLL_S,
)
from ftpfs.errors import FtpfsError, NetworkError
from ftpfs.remote.api import Spare

log = logging.getLogger(__name__)


class Job(Protocol):
    """Something to fetch: `run` once, by one of the threads, or `drop`."""

    def run(self, spare: Spare) -> None: ...
    def drop(self) -> None: ...


class Fetchers:
    """A queue of jobs, and the threads that do them."""

    def __init__(self, spare: Callable[[], Spare | None], near: Callable[[], bool]) -> None:
        """`near`: whether the server answers so fast that few threads fetch as much as many."""
        # set once
        self._spare = spare
        self._near = near
        # written in one step
        self._took_s = 0.0  # the last job
        # guarded by _changed
        self._changed = threading.Condition()
        self._jobs: deque[tuple[str, Job]] = deque()
        self._idle = 0
        self._ready = 0  # threads that are logged in
        self._began_s = 0.0  # when the first of the threads did
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def submit(self, kind: str, jobs: Iterable[Job]) -> None:
        """Do these as far as there are connections to spare, and drop them where there is none.

        Never waits. Without jobs, it gives those that wait another thread if it can.
        """
        with self._changed:
            self._jobs.extend((kind, job) for job in jobs)
            if self._jobs:
                if self._idle:
                    self._changed.notify(len(self._jobs))
                self._start_locked(len(self._jobs) - self._idle)
            dropped = self._dropped_locked()
        _drop(dropped)

    def _start_locked(self, count: int) -> None:
        for _ in range(count):
            if self._closed or self._enough_locked():
                return
            if (spare := self._spare()) is None:
                return
            if not self._threads:
                self._began_s = time.monotonic()
            thread = threading.Thread(target=self._run, args=(spare,), name="fetcher", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _enough_locked(self) -> bool:
        fast = self._near() and self._took_s < SLOW_JOB_S
        return fast and len(self._threads) >= FETCHERS_NEAR

    def cancel(self, kind: str) -> None:
        """Drop the jobs of one kind that have not begun."""
        with self._changed:
            dropped = [job for k, job in self._jobs if k == kind]
            if dropped:
                self._jobs = deque(entry for entry in self._jobs if entry[0] != kind)
        _drop(dropped)

    def close(self) -> None:
        """Drop all jobs and wait for the threads; not for long where the server is away."""
        with self._changed:
            self._closed = True
            dropped = [job for _, job in self._jobs]
            self._jobs.clear()
            self._changed.notify_all()
            threads = list(self._threads)
        _drop(dropped)
        for thread in threads:
            thread.join(FETCHER_STOP_S)

    def _dropped_locked(self) -> list[Job]:
        """All jobs, where there is no thread to do them."""
        late = not self._ready and time.monotonic() - self._began_s >= EXPECTED_S
        if self._threads and not late:
            return []
        dropped = [job for _, job in self._jobs]
        self._jobs.clear()
        return dropped

    # -- the threads --------------------------------------------------------------------------

    def _run(self, spare: Spare) -> None:
        ready = 0
        try:
            spare.connect()
            ready = 1
            with self._changed:
                self._ready += ready
            while (job := self._next(spare)) is not None:
                began = time.monotonic()
                try:
                    job.run(spare)
                except NetworkError:
                    raise
                except FtpfsError as error:
                    log.debug("not fetched ahead: %s", error)
                self._took_s = time.monotonic() - began
        except FtpfsError as error:
            log.debug("nothing is fetched ahead over this connection: %s", error)
        finally:
            spare.close()
            with self._changed:
                self._ready -= ready
                self._threads.discard(threading.current_thread())
                dropped = self._dropped_locked()
            _drop(dropped)

    def _next(self, spare: Spare) -> Job | None:
        """The next job; None after FETCHER_IDLE_S without one, or when the connection is wanted."""
        waited_s = 0.0
        with self._changed:
            self._idle += 1
            try:
                while not self._closed and not spare.wanted:
                    if self._jobs:
                        return self._jobs.popleft()[1]
                    if waited_s >= FETCHER_IDLE_S:
                        return None
                    self._changed.wait(STREAM_POLL_S)
                    waited_s += STREAM_POLL_S
            finally:
                self._idle -= 1
        return None


def _drop(jobs: Iterable[Job]) -> None:
    for job in jobs:
        job.drop()
