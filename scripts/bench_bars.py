"""What ftpfs is to reach in scripts/bench, and whether it did. To add a bar, add a line to BARS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench_results import Results, Run, Value, done, returned
from bench_tables import moved, peak, wide

AT_MOST, LESS_THAN, AT_LEAST = "at most", "less than", "at least"
NOT_MEASURED = "not measured"
_STYLES = {"met": "green", "missed": "red", NOT_MEASURED: "yellow"}


@dataclass(frozen=True)
class Figure:
    """How a figure is found, given results, workload and program, and its unit."""

    unit: str
    find: Callable[[Results, str, str], float | None]
    rival: str = ""


@dataclass(frozen=True)
class Bar:
    rtt_ms: int
    workload: str  # "" for all but `without`
    client: str
    figure: Figure
    word: str  # AT_MOST, LESS_THAN, AT_LEAST
    limit: float
    remark: str = ""

    def met(self, measured: float) -> bool:
        if self.word == AT_LEAST:
            return measured >= self.limit
        return measured < self.limit if self.word == LESS_THAN else measured <= self.limit


@dataclass(frozen=True)
class Verdict:
    verdict: str  # met, missed, not measured
    bar: str  # in words, without the figure
    measured: float | None
    limit: float


# -- figures --------------------------------------------------------------------------------------


def times(rival: str, value: Value = done) -> Figure:
    until = " until the closes returned," if value is returned else ""
    return Figure(
        f"x {rival}'s time{until}",
        lambda results, workload, client: results.ratio(workload, client, rival, value),
        rival,
    )


def rate(rival: str) -> Figure:
    def find(results: Results, workload: str, client: str) -> float | None:
        ratio = results.ratio(workload, client, rival)
        return 1 / ratio if ratio else None

    return Figure(f"of {rival}'s rate", find, rival)


def median(unit: str, value: Value) -> Figure:
    return Figure(unit, lambda results, workload, client: results.median(workload, client, value))


def per_name(unit: str, value: Callable[[Run], int | None]) -> Figure:
    def find(results: Results, workload: str, client: str) -> float | None:
        total = results.median(workload, client, value)
        return None if total is None else total / results.units[workload]

    return Figure(unit, find)


MOVED = median("MB moved", moved)
COMMANDS = median("commands", lambda run: run.commands)
ANSWERS = per_name("answers to the kernel for each name", lambda run: run.answers)
LISTING_PEAK = median("MB of memory", peak)
PEAK = Figure(
    "MB of memory",
    lambda results, _, client: results.most(client, peak, without=("ls-huge",)),
)


# -- bars -----------------------------------------------------------------------------------------

CURLFTPFS = "0.7 of the 0.53 s that curlftpfs took when it could still be installed"

BARS = (
    Bar(0, "read", "ftpfs", rate("curl"), AT_LEAST, 0.7),
    Bar(0, "read", "ftpfs", times("rclone"), LESS_THAN, 1.0),
    Bar(0, "read", "ftpfs", times("rclone-off"), LESS_THAN, 1.0),
    Bar(0, "read-tls", "ftpfs", rate("curl"), AT_LEAST, 0.7),
    Bar(20, "read", "ftpfs", rate("curl"), AT_LEAST, 0.95),
    Bar(20, "read-line", "ftpfs", rate("curl"), AT_LEAST, 3.0),
    Bar(20, "readers", "ftpfs", rate("curl"), AT_LEAST, 0.9),
    Bar(0, "out", "ftpfs", times("curl"), AT_MOST, 1.0),
    Bar(20, "out", "ftpfs", times("lftp-4"), AT_MOST, 0.5),
    Bar(0, "heads", "ftpfs", times("curl"), AT_MOST, 0.5),
    Bar(20, "heads", "ftpfs", times("curl"), AT_MOST, 1 / 3),
    Bar(20, "heads", "ftpfs", times("rclone"), AT_MOST, 1 / 3),
    Bar(0, "preads", "ftpfs", times("curl"), AT_MOST, 0.5),
    Bar(0, "preads", "ftpfs", MOVED, LESS_THAN, 40),
    Bar(20, "preads", "ftpfs", times("curl"), AT_MOST, 0.25),
    Bar(20, "preads", "ftpfs", MOVED, LESS_THAN, 16),
    Bar(0, "ls-cold", "ftpfs", median("s", done), AT_MOST, 0.7 * 0.53, CURLFTPFS),
    Bar(0, "ls-cold", "ftpfs", times("rclone"), AT_MOST, 0.2),
    Bar(20, "ls-cold", "ftpfs", times("curl"), AT_MOST, 2.0),
    *(
        Bar(rtt_ms, "ls-warm", "ftpfs", figure, word, limit)
        for rtt_ms in (0, 20)
        # The kernel asks for a directory page by page, not name by name.
        for figure, word, limit in ((COMMANDS, AT_MOST, 0), (ANSWERS, LESS_THAN, 0.1))
    ),
    Bar(0, "find", "ftpfs", times("lftp"), AT_MOST, 1.0),
    Bar(20, "find", "ftpfs", times("rclone"), AT_MOST, 1 / 3),
    Bar(0, "rm", "ftpfs", times("lftp"), AT_MOST, 1.5),
    Bar(20, "rm", "ftpfs", times("lftp"), AT_MOST, 1.0),
    Bar(0, "", "ftpfs", PEAK, AT_MOST, 150),
    Bar(20, "", "ftpfs", PEAK, AT_MOST, 150),
    Bar(0, "ls-huge", "ftpfs", LISTING_PEAK, AT_MOST, 200),
    Bar(0, "ls-huge", "ftpfs", times("rclone"), AT_MOST, 1 / 3),
    Bar(0, "write", "ftpfs", times("rclone"), AT_MOST, 0.2),
    Bar(0, "write-4k", "ftpfs", times("rclone-off"), LESS_THAN, 1.0),
    Bar(0, "in", "ftpfs", times("lftp"), AT_MOST, 2.0),
    Bar(20, "in", "ftpfs", times("curl"), LESS_THAN, 1.0),
    Bar(20, "in", "ftpfs-wb", median("s until the closes returned", returned), AT_MOST, 0.3),
    Bar(20, "in", "ftpfs-wb", times("lftp-4"), AT_MOST, 1.0),
    *(
        Bar(rtt_ms, workload, "ftpfs-url", times(rival), LESS_THAN, 1.0)
        for workload in ("tree-out", "tree-in", "large-out")
        for rtt_ms in (0, 20)
        for rival in ("lftp-4", "rclone-copy")
    ),
)


def compared(rtt_ms: int, workload: str) -> set[str]:
    """The programs of which a bar needs the time."""
    bars = [bar for bar in BARS if (bar.rtt_ms, bar.workload) == (rtt_ms, workload)]
    return {bar.client for bar in bars} | {bar.figure.rival for bar in bars if bar.figure.rival}


def judge(results: Results) -> list[Verdict]:
    """One verdict for each bar of this network."""
    return [_verdict(bar, results) for bar in BARS if bar.rtt_ms == results.rtt_ms]


def _verdict(bar: Bar, results: Results) -> Verdict:
    measured = bar.figure.find(results, bar.workload, bar.client)
    what = results.titles.get(bar.workload, bar.workload) or "peak of all others"
    words = f"RTT {bar.rtt_ms:2} ms, {what}, {bar.client}: {bar.word} {bar.limit:.3g}"
    remark = f" ({bar.remark})" if bar.remark else ""
    verdict = NOT_MEASURED if measured is None else "met" if bar.met(measured) else "missed"
    return Verdict(verdict, f"{words} {bar.figure.unit}{remark}", measured, bar.limit)


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    console = wide()
    for verdict in verdicts:
        figure = "-" if verdict.measured is None else f"{verdict.measured:.3g}"
        line = f"{verdict.verdict:12} {figure:>7}  {verdict.bar}"
        style = _STYLES[verdict.verdict]
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
    counts = Counter(verdict.verdict for verdict in verdicts)
    console.print(", ".join(f"{counts[word]} {word}" for word in _STYLES), highlight=False)


def verdict_report(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [asdict(verdict) for verdict in verdicts]
