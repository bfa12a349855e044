"""How far to read ahead, and whether a running stream will do: pure functions."""

from __future__ import annotations

from ftpfs.config import SKIP_GAP_BYTES, WINDOW_FIRST_BYTES, WINDOW_MAX_BYTES


def grown(window: int) -> int:
    """The next window, in bytes, of a stream that is still read in order."""
    return min(window * 2, WINDOW_MAX_BYTES)


def first(size: int) -> int:
    """The window that a stream begins with, for a read of `size` bytes."""
    return max(WINDOW_FIRST_BYTES, size)


def serves(position: int, offset: int) -> bool:
    """Whether a stream that has come to `position` should be waited for by a read at `offset`.

    Reads of one sequential reader arrive out of order on several threads, so one that is a
    little ahead waits; a gap small enough is read through, for less than a new RETR costs.
    """
    return position <= offset <= position + max(SKIP_GAP_BYTES, WINDOW_FIRST_BYTES)
