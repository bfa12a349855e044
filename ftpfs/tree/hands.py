"""How many connections work side by side, and which threads drive them."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress

from ftpfs.config import FILES_PER_LINE_FAR, FILES_PER_LINE_NEAR, LOGIN_LEFT_S
from ftpfs.errors import ConnectionLimitError, DeadlineError, FtpfsError
from ftpfs.remote.line import Line
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage, crew

log = logging.getLogger(__name__)

Carry = Callable[[Line], Iterator[None]]
"""Copies small files over one line; each step of the iterator ends where an answer is awaited."""

_OVER = object()


def over_lines(server: ServerPlace, files: int, stage: Stage, carry: Carry) -> None:
    """Run `carry` for as many lines as so many files are worth and the server allows."""
    each = FILES_PER_LINE_NEAR if server.near else FILES_PER_LINE_FAR
    hands = max(1, min(server.hands, -(-files // each)))
    if server.near:
        _in_turn(server, hands, stage, carry)
    else:
        side_by_side(server, hands, stage, lambda line: _exhaust(carry(line)))


def _exhaust(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


def _in_turn(server: ServerPlace, hands: int, stage: Stage, carry: Carry) -> None:
    """All lines are served by this thread, and all but the first are opened meanwhile: to log in
    takes a near server as long as ten files."""
    with ExitStack() as stack:
        first, *others = [stack.enter_context(stage.line(server.server)) for _ in range(hands)]
        with suppress(FtpfsError):  # what fails is for `carry` to meet
            first.open()  # before the others may take what the server allows
        openings = Openings(others)
        stack.callback(openings.end)
        turns = _Turns(carry)
        turns.join(first)
        while turns.go_round():
            if openings.ready:
                turns.join(openings.ready.popleft())


class _Turns:
    """Lines that one thread serves: the next turn is theirs whose answer is there, or else that of
    the one which has waited longest."""

    def __init__(self, carry: Carry) -> None:
        self._carry = carry
        self._waiting: deque[tuple[Line, Iterator[None]]] = deque()

    def join(self, line: Line) -> None:
        self._waiting.append((line, self._carry(line)))

    def go_round(self) -> bool:
        """Whether there is a line that has not come to its end."""
        heard = [each for each in self._waiting if each[0].heard]
        for each in heard or [self._waiting[0]]:
            self._waiting.remove(each)
            if next(each[1], _OVER) is not _OVER:
                self._waiting.append(each)
        return bool(self._waiting)


class Openings:
    """Opens lines one after the other, on a thread of its own; to be ended by who began it.

    `ready`: those that are open. Each append, and each look at `_over`, is one step.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self.ready: deque[Line] = deque()
        self._lines = lines
        self._over = False
        self._thread = threading.Thread(target=self._open, name="open", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            for line in self._lines:
                if self._over or not opened(line):
                    return None
                if self._over:
                    return line.release()  # its owner has done so before it was open
                self.ready.append(line)
        except FtpfsError as error:
            log.info("no further connection: %s", error)

    def end(self) -> None:
        """Begin no more of them, and do not wait for long for the one that is under way."""
        self._over = True
        self._thread.join(LOGIN_LEFT_S)


def side_by_side(
    server: ServerPlace, hands: int, stage: Stage, work: Callable[[Line], None]
) -> None:
    """Run `work` on threads with a line each, on fewer than `hands` where the server allows only
    that; what fails to connect otherwise is for `work` to meet."""
    turn = itertools.count()

    def on_thread() -> None:
        with stage.line(server.server) as line:
            if next(turn) == 0 or opened(line):
                work(line)

    crew(hands, on_thread, "copy")


def opened(line: Line) -> bool:
    """Whether one more connection is to be had now."""
    try:
        line.open(wait_s=0)
    except (ConnectionLimitError, DeadlineError):
        return False
    return True
