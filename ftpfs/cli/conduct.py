"""Runs the work of a URL command on a thread, shows what happens, and takes the interruptions.

The main thread waits, prints and draws; it alone touches the terminal while the work goes on,
unless the work itself is to print (`ls`, `cat`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType

from ftpfs.cli.report import OutputError, abandon_output, complain, failure, flush, put
from ftpfs.cli.signals import INTERRUPT, handled
from ftpfs.tree.events import (
    Copied,
    Event,
    Failed,
    Kept,
    Made,
    Moved,
    Noted,
    Planned,
    Removed,
    quoted,
)
from ftpfs.tree.stage import Stage, StoppedError

EXIT_FAILURES = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT

LOOK_S = 0.1
"""How often events are looked for: as often as a progress bar is drawn."""

GRACE_S = 3.0
"""How long after an interruption the transfers that are about to end may take, then they are cut;
and so long again until the process ends anyhow. An answer alone is not waited for."""

Work = Callable[[Stage], None]


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: as an interruption, with an exit code of its own."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def _terminated(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGHUP:  # comes from the terminal, and once more from its shell
        signal.signal(number, signal.SIG_IGN)
    raise Terminated(number)


INTERRUPTIONS = {**INTERRUPT, signal.SIGTERM: _terminated, signal.SIGHUP: _terminated}
"""The signals that `conduct` takes."""


class Tally:
    """What was done so far, for a summary."""

    copied: int = 0
    copied_bytes: int = 0
    removed: int = 0
    made: int = 0
    kept: int = 0
    failed: int = 0
    planned: int = 0


class Screen:
    """Shows events: failures always, what was done with `verbose`. Subclassed by what draws."""

    def __init__(self, *, verbose: bool = False) -> None:
        self.tally = Tally()
        self._verbose = verbose

    def show(self, event: Event) -> None:
        match event:
            case Failed():
                self.tally.failed += 1
                self.complain(failure(event))
            case Copied(file=file):
                self.tally.copied += 1
                self.tally.copied_bytes += file.entry.size
            case Planned(files, _):
                self.tally.planned += files
            case Removed():
                self.tally.removed += 1
            case Noted(text):
                self.complain(text)
            case Kept():
                self.tally.kept += 1
            case Made():
                self.tally.made += 1
        if self._verbose and (line := self.line(event)):
            self.say(line)

    def line(self, event: Event) -> str | None:
        """What `-v` prints for an event."""
        match event:
            case Copied(file, source, target):
                shown = source.shown(file.source), target.shown(file.target)
                return f"{quoted(shown[0])} -> {quoted(shown[1])}"
            case Made("", target):
                return f"created directory {quoted(target)}"
            case Made(made_for, target):
                return f"{quoted(made_for)} -> {quoted(target)}"
            case Moved(old, new):
                return f"renamed {quoted(old)} -> {quoted(new)}"
            case Removed(shown, directory):
                return f"removed {'directory ' if directory else ''}{quoted(shown)}"
        return None

    def say(self, line: str) -> None:
        put(line + "\n")

    def complain(self, line: str) -> None:
        complain(line)

    def interrupted(self) -> str:
        """What was done by then."""
        tally = self.tally
        if tally.planned:
            return f"interrupted: {tally.copied} of {tally.planned} files copied"
        return f"interrupted: {tally.removed} removed" if tally.removed else "interrupted"

    def draw(self) -> None:
        """Called after each look at the events."""

    def close(self) -> None:
        """Called once, at the end."""


def conduct(work: Work, screen: Screen) -> int:
    """Run `work` to its end; the exit code. What it raises is raised here."""
    events: deque[Event] = deque()
    stage = Stage(events.append)
    raised: list[BaseException] = []
    # Not `join`, which an interruption makes believe that the thread has ended (Python 3.11).
    over = threading.Event()

    def run() -> None:
        try:
            work(stage)
        except StoppedError:
            pass
        except BaseException as error:
            raised.append(error)
        finally:
            over.set()

    with handled(INTERRUPTIONS):
        signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)  # until there is who takes them
        try:
            threading.Thread(target=run, name="work", daemon=True).start()
            code = _wait(over, events, stage, screen)
        except OutputError:
            abandon_output()
            stage.stop()
            with contextlib.suppress(KeyboardInterrupt):
                over.wait(GRACE_S)
            if not over.is_set():
                stage.cut()
                over.wait(GRACE_S)
            raise
        finally:
            _drain(events, screen)
            screen.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)
    if code:
        complain(screen.interrupted())
    if raised:
        raise raised[0]
    return code or (EXIT_FAILURES if screen.tally.failed else 0)


def _wait(over: threading.Event, events: deque[Event], stage: Stage, screen: Screen) -> int:
    """The exit code, if there was an interruption, else 0."""
    code, grace_s = 0, LOOK_S
    while not over.is_set():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)
            ended = over.wait(grace_s)
            _drain(events, screen)
            if code and not ended:
                _end(over, stage, screen, code, grace_s)
        except KeyboardInterrupt as stop:
            if code:  # the second one: at once
                _end(over, stage, screen, code, grace_s)
            code = stop.code if isinstance(stop, Terminated) else EXIT_INTERRUPTED
            grace_s = GRACE_S if stage.transferring else LOOK_S
            stage.stop()
        except OutputError:
            if not code:
                raise
            abandon_output()  # as of a terminal that was closed
    return code


def _end(over: threading.Event, stage: Stage, screen: Screen, code: int, grace_s: float) -> None:
    """Cut what is under way; end the process, if the work does not end with it."""
    left = "; a transfer did not end, its part may be left" if grace_s == GRACE_S else ""
    stage.cut()
    if not over.wait(grace_s):
        screen.close()
        complain(screen.interrupted() + left)
        with contextlib.suppress(OutputError):
            flush()
        os._exit(code)


def _drain(events: deque[Event], screen: Screen) -> None:
    while events:
        screen.show(events.popleft())
    screen.draw()
