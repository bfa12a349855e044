"""How far to read ahead, and whether a running stream will do: pure functions."""

from __future__ import annotations

from ftpfs.config import (
    SKIP_GAP_BYTES,
    WINDOW_ELSEWHERE_BYTES,
    WINDOW_FIRST_BYTES,
    WINDOW_MAX_BYTES,
    WINDOWS,
)


def grown(window: int, room: int) -> int:
    """The next window, in bytes, of a stream that is still read in order, where `room` bytes of
    memory are shared with the other ones."""
    return max(window, min(window * 2, WINDOW_MAX_BYTES, room // WINDOWS))


def first(start: int, size: int) -> int:
    """The window that a stream begins with at `start`, for a read of `size` bytes.

    Who begins somewhere in the middle more often reads a little there and goes elsewhere.
    """
    return max(WINDOW_FIRST_BYTES if start == 0 else WINDOW_ELSEWHERE_BYTES, size)


def serves(position: int, offset: int, part: int) -> bool:
    """Whether a stream that has come to `position` should be waited for by a read at `offset`.

    The kernel asks for two parts of a file at a time, of `part` bytes each, and they arrive in any
    order on several threads, while what came before is on its way: one no further ahead than that
    waits. A gap of SKIP_GAP_BYTES is read through, for less than a new RETR costs.
    """
    return position <= offset <= position + max(SKIP_GAP_BYTES, 2 * part)
