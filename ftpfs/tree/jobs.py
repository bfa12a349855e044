"""Files that wait for a worker, and those that are tried again."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from ftpfs.config import COPY_TRIES, RETRY_COPY_S
from ftpfs.errors import FtpfsError, NetworkError, TransferError
from ftpfs.tree.events import File
from ftpfs.tree.stage import Stage, StoppedError


class Jobs:
    """An iterator that workers share. Taking a file is one step; `_lock` guards the rest."""

    def __init__(
        self, stage: Stage, files: Iterable[File], fail: Callable[[File, FtpfsError], None]
    ) -> None:
        self._stage = stage
        self._fail = fail
        self._waiting = deque(files)
        self._lock = threading.Lock()
        self._losses: dict[int, tuple[int, int]] = {}  # by file: how often, and `_copied` at first
        self._copied = 0
        self._not_before = 0.0
        self._level = 0  # how often the file that was lost most often was, since the last progress

    def __bool__(self) -> bool:
        return bool(self._waiting) and not self._stage.stopping

    def __iter__(self) -> Jobs:
        return self

    def __next__(self) -> File:
        try:
            self._stage.check()
            if self._not_before and (left := self._not_before - time.monotonic()) > 0:
                self._stage.pause(left)
            return self._waiting.popleft()
        except (StoppedError, IndexError):
            raise StopIteration from None

    def progressed(self) -> None:
        """A file was copied: the server is there."""
        self._copied += 1
        self._level = 0
        self._not_before = 0.0

    def lost(self, file: File, error: NetworkError | TransferError) -> None:
        """Try a file again whose connection was lost, for a limited number of times. Where nothing
        was copied meanwhile the server is gone, and all that wait fail with it."""
        with self._lock:
            times, copied = self._losses.get(id(file), (0, self._copied))
            times += 1
            self._losses[id(file)] = times, copied
            failed = []
            if times < COPY_TRIES:
                self._waiting.append(file)
                self._put_off(times)
            elif copied == self._copied:
                failed = [file, *self._waiting]
                self._waiting.clear()
            else:
                failed = [file]
        for each in failed:
            self._fail(each, error)

    def _put_off(self, times: int) -> None:
        """Once for all files that were lost so often."""
        if times > max(1, self._level):
            self._level = times
            self._not_before = time.monotonic() + RETRY_COPY_S * 2 ** (times - 2)
