"""Progress on the terminal: a line for each large file under way, and one for all.

What draws it is loaded and started only when the work has lasted for a while.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from ftpfs.cli.conduct import Screen
from ftpfs.cli.report import safe, to_nobody_if_gone
from ftpfs.tree.events import Advanced, Began, Copied, Event, Failed, File, Planned

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S = 0.5
"""Work that is over by then shows no progress: it would only flicker."""


def screen_for(*, verbose: bool, quiet: bool) -> Screen:
    """Progress where stderr is a terminal, unless it is to be quiet."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return Screen(verbose=verbose)
    return Bars(verbose=verbose)


class Bars(Screen):
    """For the main thread."""

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        self._began_at = time.monotonic()
        self._planned_bytes = 0
        self._done_bytes = 0
        self._active: dict[int, tuple[File, int]] = {}  # file and how much of it is there
        self._progress: Progress | None = None
        self._total: TaskID | None = None
        self._tasks: dict[int, TaskID] = {}

    def show(self, event: Event) -> None:
        match event:
            case Planned(_, size):
                self._planned_bytes += size
            case Began(file, size):
                self._active[id(file)] = file, size
                self._done_bytes += size
            case Advanced(file, size):
                known, done = self._active.get(id(file), (file, 0))
                self._active[id(file)] = known, done + size
                self._done_bytes += size
            case Copied(file=file) if id(file) not in self._active:
                self._done_bytes += file.entry.size
            case Copied(file=file) | Failed(file=File() as file):
                self._active.pop(id(file), None)
        super().show(event)

    def say(self, line: str) -> None:
        if self._progress is not None and sys.stdout is not None and sys.stdout.isatty():
            with to_nobody_if_gone():
                self._progress.console.out(line, highlight=False)
        else:
            super().say(line)

    def complain(self, line: str) -> None:
        if self._progress is not None:
            with to_nobody_if_gone():
                self._progress.console.out(f"ftpfs: {safe(line)}", highlight=False)
        else:
            super().complain(line)

    # -- drawing ------------------------------------------------------------------------------

    def draw(self) -> None:
        early = not self.tally.planned or time.monotonic() - self._began_at < PATIENCE_S
        if self._progress is None and early:
            return
        with to_nobody_if_gone():
            self._progress = self._progress or self._started()
            self._drawn(self._progress)

    def _drawn(self, progress: Progress) -> None:
        assert self._total is not None
        counted = f"{self.tally.copied}/{self.tally.planned} files"
        progress.update(
            self._total,
            description=counted,
            completed=self._done_bytes,
            total=self._planned_bytes,
        )
        for key in self._tasks.keys() - self._active.keys():
            progress.remove_task(self._tasks.pop(key))
        for key, (file, done) in self._active.items():
            if key not in self._tasks:
                name = file.source.rpartition("/")[2]
                self._tasks[key] = progress.add_task(shortened(name), total=file.entry.size)
            progress.update(self._tasks[key], completed=done)
        progress.refresh()

    def _started(self) -> Progress:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout is not None,
        )
        progress.start()
        self._total = progress.add_task("", total=None)
        return progress

    def close(self) -> None:
        if self._progress is not None:
            with to_nobody_if_gone():
                self._progress.stop()
            self._progress = None


def shortened(name: str, width: int = 30) -> str:
    """A name that fits before a bar, and cannot talk to the terminal."""
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return shown if len(shown) <= width else shown[: width - 1] + "…"
