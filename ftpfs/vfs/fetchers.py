"""Threads that fetch what may be asked for soon, over connections that nobody waits for.

`_changed` (a Condition) guards every field below it. A thread begins when there is work and a
connection to spare, and ends when the work is done for a while, or the connection is wanted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable

from ftpfs.config import FETCHER_IDLE_S, STREAM_POLL_S
from ftpfs.errors import FtpfsError, NetworkError
from ftpfs.remote.api import Spare

log = logging.getLogger(__name__)

Job = Callable[[Spare], None]


class Fetchers:
    """A queue of jobs, and the threads that do them."""

    def __init__(self, spare: Callable[[], Spare | None]) -> None:
        # set once
        self._spare = spare
        # guarded by _changed
        self._changed = threading.Condition()
        self._jobs: deque[tuple[str, Job]] = deque()
        self._idle = 0
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def submit(self, kind: str, jobs: Iterable[Job]) -> None:
        """Do these when there is a connection to spare. Never waits."""
        with self._changed:
            before = len(self._jobs)
            self._jobs.extend((kind, job) for job in jobs)
            if len(self._jobs) == before:
                return
            self._changed.notify(len(self._jobs))
            for _ in range(len(self._jobs) - self._idle):
                if self._closed or (spare := self._spare()) is None:
                    return
                thread = threading.Thread(
                    target=self._run, args=(spare,), name="fetcher", daemon=True
                )
                self._threads.add(thread)
                thread.start()

    def cancel(self, kind: str) -> None:
        """Drop the jobs of one kind that have not begun."""
        with self._changed:
            self._jobs = deque(entry for entry in self._jobs if entry[0] != kind)

    def close(self) -> None:
        """Drop all jobs and wait for the threads."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    # -- the threads --------------------------------------------------------------------------

    def _run(self, spare: Spare) -> None:
        try:
            while (job := self._next(spare)) is not None:
                try:
                    job(spare)
                except NetworkError:
                    raise
                except FtpfsError as error:
                    log.debug("not fetched ahead: %s", error)
        except FtpfsError as error:
            log.debug("nothing is fetched ahead over this connection: %s", error)
        finally:
            spare.close()
            with self._changed:
                self._threads.discard(threading.current_thread())

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
