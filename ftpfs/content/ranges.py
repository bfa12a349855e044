"""Sets of byte ranges, as arithmetic."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class RangeSet:
    """Disjoint half-open ranges [start, end) of offsets in bytes, sorted, none touching another.

    Not shared: the owner's lock guards it. Costs O(log n) to find and O(n) to change.
    """

    def __init__(self, *ranges: tuple[int, int]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and list(self) == list(other)

    def __hash__(self) -> int:
        raise TypeError("a RangeSet changes")

    def __repr__(self) -> str:
        return f"RangeSet({', '.join(f'{a}-{b}' for a, b in self)})"

    @property
    def size(self) -> int:
        """Bytes in all ranges together."""
        return sum(end - start for start, end in self)

    def add(self, start: int, end: int) -> None:
        """Join [start, end) to the set."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def copy(self) -> RangeSet:
        return RangeSet(*self)

    def cut(self, size: int) -> None:
        """Drop everything at `size` and beyond."""
        keep = bisect_left(self._starts, size)
        del self._starts[keep:], self._ends[keep:]
        if self._ends and self._ends[-1] > size:
            self._ends[-1] = size

    def covers(self, start: int, end: int) -> bool:
        """Whether every byte of [start, end) is in the set."""
        if start >= end:
            return True
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and self._ends[at] >= end

    def gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of [start, end) that are not in the set, in order."""
        missing = []
        at = bisect_right(self._ends, start)
        while start < end and at < len(self._starts) and self._starts[at] < end:
            if start < self._starts[at]:
                missing.append((start, self._starts[at]))
            start = self._ends[at]
            at += 1
        if start < end:
            missing.append((start, end))
        return missing
