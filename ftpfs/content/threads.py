"""Threads that are kept: to start one takes longer than to read a small file."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Threads:
    """Runs each job on a thread of its own, at once; there are as many as there were jobs at a
    time, which is for those to bound who have them.

    `_lock` guards the count of idle threads. One that a job was promised to is not idle any more,
    so that no job waits behind another.
    """

    def __init__(self, name: str) -> None:
        # set once
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()  # None: end
        # guarded by _lock
        self._lock = threading.Lock()
        self._idle = 0

    def run(self, job: Job) -> None:
        """Run `job`, which must not raise, on a thread that waits or a new one. Any thread; does
        not wait for the job."""
        with self._lock:
            promised = self._idle > 0
            self._idle -= promised
        self._jobs.put(job)
        if not promised:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def end_idle(self) -> None:
        """Let the threads that have nothing to do end now."""
        with self._lock:
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # what it holds is not kept while this waits
            with self._lock:
                self._idle += 1
