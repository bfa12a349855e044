"""Lines that one thread serves in turn, on a server of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from ftpfs.config import FILES_PER_LINE_NEAR
from ftpfs.errors import ConnectionLimitError, DeadlineError, FtpfsError, NetworkError
from ftpfs.tree.hands import over_lines
from ftpfs.tree.stage import Stage

WAIT_S = 20.0


class Near:
    """A server near by, and the place on it: four lines, of which all but the first are opened."""

    near = True
    hands = 4

    def __init__(self, *refused: FtpfsError | None) -> None:
        self.lines: list[Line] = []
        self.may_open = threading.Event()
        self.refused = list(refused)

    @property
    def server(self) -> Near:
        return self

    def line(self) -> Line:
        self.lines.append(Line(self))
        return self.lines[-1]


class Line:
    def __init__(self, server: Near) -> None:
        self._server = server
        self.asked = False
        self.is_open = threading.Event()
        self.heard = True
        self.released = False

    def open(self, wait_s: float | None = None) -> None:
        self.asked = True
        first = self._server.lines[0]
        if self is first:
            assert wait_s is None
            self.is_open.set()
            return
        assert wait_s == 0, "nobody waits for one more connection to come free"
        assert first.is_open.is_set(), "the first one might get none, and copy nothing"
        assert self._server.may_open.wait(WAIT_S)
        error = self._server.refused.pop(0) if self._server.refused else None
        if error is not None:
            raise error
        self.is_open.set()

    def release(self) -> None:
        self.released = True


class Work:
    """Files that are carried over whichever line has its turn."""

    def __init__(self, server: Near, files: int) -> None:
        self.server = server
        self.left = files
        self.carried: dict[Line, int] = {}

    def carry(self, line: Line) -> Iterator[None]:
        while self.left:
            self.left -= 1
            self.carried[line] = self.carried.get(line, 0) + 1
            yield

    def run(self, carry: Callable[[Line], Iterator[None]] | None = None) -> list[int]:
        """How many files each line has carried."""
        files, stage = self.server.hands * FILES_PER_LINE_NEAR, Stage(lambda event: None)
        carry = carry or self.carry
        over_lines(self.server, files, stage, carry)  # type: ignore[arg-type]  # fakes of both
        assert all(line.released for line in self.server.lines)
        return [self.carried.get(line, 0) for line in self.server.lines]


def test_the_first_line_works_while_the_others_log_in() -> None:
    server = Near()
    work = Work(server, 10)

    def carry(line: Line) -> Iterator[None]:
        for step in work.carry(line):
            if work.left == 5:
                server.may_open.set()
            yield step

    assert work.run(carry)[0] >= 5


def test_all_that_are_open_have_their_turns() -> None:
    server = Near()
    server.may_open.set()
    work = Work(server, 400)

    def carry(line: Line) -> Iterator[None]:
        for step in work.carry(line):
            if line is work.server.lines[0] and work.carried[line] < 4:
                assert server.lines[work.carried[line]].is_open.wait(WAIT_S)
            yield step

    counts = work.run(carry)
    assert sum(counts) == 400
    assert min(counts) > 90


@pytest.mark.parametrize(
    "error", [ConnectionLimitError("421"), DeadlineError("none free"), NetworkError("refused")]
)
def test_a_line_that_cannot_be_had_leaves_its_files_to_the_others(error: FtpfsError) -> None:
    server = Near(None, error)
    server.may_open.set()
    work = Work(server, 100)

    def carry(line: Line) -> Iterator[None]:
        for step in work.carry(line):
            if work.carried == {line: 1}:
                assert server.lines[1].is_open.wait(WAIT_S)
            yield step

    counts = work.run(carry)
    assert sum(counts) == 100
    assert counts[2:] == [0, 0]
    assert not server.lines[3].asked, "nor would the next one be had"


def test_no_line_is_opened_for_what_is_done() -> None:
    server = Near()
    work = Work(server, 3)

    def carry(line: Line) -> Iterator[None]:
        yield from work.carry(line)
        threading.Timer(0.2, server.may_open.set).start()  # by then, the end is waited for

    assert work.run(carry) == [3, 0, 0, 0]
    assert not server.lines[3].asked


def test_a_line_that_waits_for_its_answer_holds_up_no_other() -> None:
    server = Near()
    server.may_open.set()
    work = Work(server, 100)

    def carry(line: Line) -> Iterator[None]:
        for step in work.carry(line):
            if line is server.lines[0]:
                assert server.lines[1].is_open.wait(WAIT_S)
                line.heard = False
            elif work.carried[line] == 1:
                line.heard = True
            yield step

    assert work.run(carry)[0] == 1


def test_where_no_answer_is_there_the_longest_wait_ends_first() -> None:
    server = Near()
    server.may_open.set()
    work, turns = Work(server, 40), []

    def carry(line: Line) -> Iterator[None]:
        line.heard = False
        for step in work.carry(line):
            if work.carried == {line: 1}:
                assert all(other.is_open.wait(WAIT_S) for other in server.lines)
            turns.append(line)
            yield step

    work.run(carry)
    assert turns[20:24] == turns[24:28] == turns[28:32]
    assert len(set(turns[20:24])) == 4
