"""Who fetches which part of which large file.

The last file is divided evenly when it begins. A worker takes, in this order: a range that waits;
the next file; half of what another worker has left of its range. So all connections have something
to do to the end, whatever their pace.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ftpfs.config import STEAL_LOOK_S, STEAL_MIN_BYTES, STEAL_MIN_S
from ftpfs.tree.events import File
from ftpfs.tree.part import Range, missing


@dataclass(eq=False, slots=True)
class Segment:
    """A range that one worker fetches. It moves `position` on; its `end` may come nearer while
    it does so, but never nearer than STEAL_MIN_BYTES."""

    position: int
    end: int
    start: int = 0  # where, and at which time, the worker began
    began_at: float = 0.0


@dataclass(eq=False)
class Whole:
    """A file of `size` bytes under way. What is missing of it is `waiting` or being fetched."""

    size: int
    waiting: list[Segment]
    segments: list[Segment] = field(default_factory=list)

    def there(self) -> list[Range]:
        return missing([(s.position, s.end) for s in [*self.segments, *self.waiting]], self.size)

    @property
    def finished(self) -> bool:
        return not self.segments and not self.waiting


W = TypeVar("W", bound=Whole)


class Shares(Generic[W]):
    """Any thread. `_changed` guards all of it, the segments' ends and their lists included."""

    def __init__(
        self,
        files: Iterable[File],
        begin: Callable[[File], W | None],
        hands: int = 1,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = deque(files)
        self._begin = begin
        self._hands = hands
        self._stopping = stopping
        self._clock = clock
        self._changed = threading.Condition()
        self._wholes: list[W] = []
        self._beginning = 0
        self._divisible = True

    def take(self) -> tuple[W, Segment] | None:
        """What to fetch next; None when all is done, or the command is stopping."""
        while not self._stopping():
            with self._changed:
                if found := self._waiting_locked():
                    return self._begun(*found)
                if self._files:
                    file = self._files.popleft()
                    self._beginning += 1
                elif found := self._stolen_locked():
                    return self._begun(*found)
                elif self._wholes or self._beginning:
                    self._changed.wait(STEAL_LOOK_S)
                    continue
                else:
                    return None
            self._start(file)
        return None

    def _begun(self, whole: W, segment: Segment) -> tuple[W, Segment]:
        segment.start, segment.began_at = segment.position, self._clock()
        return whole, segment

    def _start(self, file: File) -> None:
        whole = None
        try:
            whole = self._begin(file)
        finally:
            with self._changed:
                self._beginning -= 1
                if whole is not None:
                    self._divide_locked(whole)
                    self._wholes.append(whole)
                self._changed.notify_all()

    def _divide_locked(self, whole: W) -> None:
        """Into a range for each worker, where this is the only file under way and nothing of it is
        there: their ends come at about the same time, and none is cut short."""
        if self._files or self._wholes or not self._divisible or len(whole.waiting) != 1:
            return
        (all_of_it,) = whole.waiting
        start, size = all_of_it.position, all_of_it.end - all_of_it.position
        count = max(1, min(self._hands, size // STEAL_MIN_BYTES))
        marks = [start + size * n // count for n in range(count + 1)]
        whole.waiting[:] = [Segment(*each) for each in itertools.pairwise(marks)][::-1]

    def _waiting_locked(self) -> tuple[W, Segment] | None:
        for whole in self._wholes:
            if whole.waiting:
                segment = whole.waiting.pop()
                whole.segments.append(segment)
                return whole, segment
        return None

    def _stolen_locked(self) -> tuple[W, Segment] | None:
        victims = [(w, s) for w in self._wholes for s in w.segments]
        if not victims or not self._divisible:
            return None
        whole, victim = max(victims, key=lambda each: each[1].end - each[1].position)
        left, run_s = victim.end - victim.position, self._clock() - victim.began_at
        if left < 2 * STEAL_MIN_BYTES or run_s < STEAL_LOOK_S:
            return None
        if left * run_s < STEAL_MIN_S * (victim.position - victim.start):
            return None  # it will be there soon
        segment = Segment(victim.end - left // 2, victim.end)
        victim.end = segment.position
        whole.segments.append(segment)
        return whole, segment

    def done(self, whole: W, segment: Segment) -> bool:
        """A segment is there, whole; whether that was the last of its file."""
        with self._changed:
            whole.segments.remove(segment)
            if whole.finished and whole in self._wholes:
                self._forget_locked(whole)
                return True
            return False

    def _forget_locked(self, whole: W) -> None:
        self._wholes.remove(whole)
        self._changed.notify_all()  # there may be nothing left to wait for

    def undivided(self, whole: W, segment: Segment) -> None:
        """The server cannot begin in the middle of a file: give this segment back, to be fetched
        from the file's start on, and steal no more."""
        with self._changed:
            self._divisible = False
            whole.segments.remove(segment)
            others = [*whole.segments, *whole.waiting]
            before = [s for s in others if s.end == segment.position]
            if before:
                before[0].end = segment.end
            else:
                whole.waiting.append(Segment(0, segment.end))

    def drop(self, whole: W) -> bool:
        """A file will not be fetched; whether this is the first to say so."""
        with self._changed:
            whole.waiting.clear()
            if whole in self._wholes:
                self._forget_locked(whole)
                return True
            return False

    def there(self, whole: W) -> list[Range]:
        """Which ranges of the file have been fetched by now."""
        with self._changed:
            return whole.there()
