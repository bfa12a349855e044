"""Sends what was acknowledged, in the background.

Used with `-o writeback`, and for what an earlier process left behind. `_changed` (a Condition)
guards the schedule. Workers are threads of this class; each takes one file at a time, so a path's
versions go in order while several paths go side by side. While the server is away the time between
tries doubles, for all files together: it is the same server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ftpfs.config import RETRY_FIRST_S, RETRY_MAX_S
from ftpfs.errors import FtpfsError, NetworkError
from ftpfs.vfs.openfile import OpenFile

log = logging.getLogger(__name__)


class Writeback:
    """A queue of files with something to send, and the threads that send it."""

    def __init__(self, workers: int, done: Callable[[OpenFile], None]) -> None:
        # set once
        self._limit = workers
        self._done = done
        # guarded by _changed
        self._changed = threading.Condition()
        self._waiting: dict[OpenFile, None] = {}  # in order of arrival
        self._active: set[OpenFile] = set()
        self._threads: list[threading.Thread] = []
        self._delay_s = 0.0
        self._not_before = 0.0
        self._stopping = False

    def submit(self, file: OpenFile) -> None:
        """Something of `file` is sealed."""
        with self._changed:
            if self._stopping:
                return
            self._waiting.setdefault(file)
            if len(self._threads) < min(self._limit, len(self._waiting) + len(self._active)):
                name = f"writeback-{len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> int:
        """How many files are still unsent after waiting at most this long for all of them."""
        with self._changed:
            self._not_before = 0.0  # try now: there may be no later
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._active, timeout_s)
            return len(self._waiting) + len(self._active)

    def stop(self) -> None:
        """End the threads, each after the file that it is sending."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (file := self._next()) is not None:
            try:
                file.send_one()
            except NetworkError as error:
                self._away(file, error)
            except FtpfsError as error:
                # Told to nobody's face: the data stays in the journal, as FAILED.
                log.error(  # noqa: TRY400 - one line
                    "%s: not sent, see `ftpfs recover`: %s", file.path, error
                )
            except Exception:
                log.exception("%s: not sent: a defect of ftpfs", file.path)
            else:
                with self._changed:
                    self._delay_s = 0.0
            self._finished(file)

    def _next(self) -> OpenFile | None:
        """The next file to send, for this thread alone; None when it is time to end."""
        with self._changed:
            while not self._stopping:
                ready = next((f for f in self._waiting if f not in self._active), None)
                pause = self._not_before - time.monotonic()
                if ready is not None and pause <= 0:
                    del self._waiting[ready]
                    self._active.add(ready)
                    return ready
                self._changed.wait(max(pause, 0.0) if ready is not None else None)
            return None

    def _away(self, file: OpenFile, error: NetworkError) -> None:
        with self._changed:
            self._delay_s = min(max(self._delay_s * 2, RETRY_FIRST_S), RETRY_MAX_S)
            self._not_before = time.monotonic() + self._delay_s
        log.warning("%s: not sent, again in %.0f s: %s", file.path, self._delay_s, error)

    def _finished(self, file: OpenFile) -> None:
        if not file.pending:
            self._done(file)
        with self._changed:
            self._active.discard(file)
            if file.pending:
                self._waiting.setdefault(file)
            self._changed.notify_all()
