"""What the threads of one command share: where events go, and whether to stop.

The thread that was interrupted calls `stop`; workers look at `stopping` between two files and
between two pieces of a large one. `cut` ends what they wait for, should that last too long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ftpfs.errors import FtpfsError
from ftpfs.remote.line import Line
from ftpfs.remote.server import Server
from ftpfs.tree.events import Copied, File, Sink
from ftpfs.tree.place import Place


class StoppedError(FtpfsError):
    """The command was interrupted."""


class Stage:
    """Any thread. `_lock` guards the set of lines, and the count of files being written."""

    def __init__(self, emit: Sink) -> None:
        self.emit = emit
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._lines: set[Line] = set()
        self._written = 0

    def copied(self, file: File, source: Place, target: Place) -> None:
        """A file is at its target, whole."""
        file.copied = True
        self.emit(Copied(file, source, target))

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def transferring(self) -> bool:
        """Whether there are lines, which may have begun something, or files to be removed."""
        with self._lock:
            return bool(self._lines or self._written)

    def check(self) -> None:
        """Raises StoppedError once `stop` was called."""
        if self._stop.is_set():
            raise StoppedError("interrupted")

    def pause(self, seconds: float) -> None:
        """Wait, but not on once `stop` is called: that raises StoppedError."""
        self._stop.wait(seconds)
        self.check()

    def stop(self) -> None:
        self._stop.set()

    def cut(self) -> None:
        """End what the workers wait for."""
        self._stop.set()
        with self._lock:
            for line in self._lines:
                line.interrupt()

    @contextmanager
    def line(self, server: Server) -> Iterator[Line]:
        """A line that `cut` knows of; given back at the end."""
        line = server.line()
        with self._lock:
            self._lines.add(line)
        try:
            yield line
        finally:
            with self._lock:
                self._lines.discard(line)
            line.release()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A local file is written, and removed where it does not get whole: that takes a moment."""
        with self._lock:
            self._written += 1
        try:
            yield
        finally:
            with self._lock:
                self._written -= 1


def crew(hands: int, work: Callable[[], None], name: str) -> None:
    """Run `work` on so many threads, or in this one if that is enough, to the end of all.

    Raises what the first of them raised.
    """
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [
        threading.Thread(target=guarded, name=f"{name}-{n}", daemon=True) for n in range(1, hands)
    ]
    for thread in threads:
        thread.start()
    guarded()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
