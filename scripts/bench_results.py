"""What scripts/bench found: medians, what ftpfs takes beside each other program, and the bars.

To add a bar, add a line to BARS.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from bench_programs import Client, Place, version, vsftpd_version
from bench_workloads import Workload
from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH = 120  # of tables, where the output is no terminal
OURS = ("ftpfs", "ftpfs-wb")


@dataclass(frozen=True)
class Timing:
    """Seconds of one run. Reading, and writing into a mount that lies, the two differ."""

    returned: float  # the program has ended: all its files are closed
    done: float  # and all is where it belongs


Value = Callable[[Timing], float]


def returned(timing: Timing) -> float:
    return timing.returned


def done(timing: Timing) -> float:
    return timing.done


@dataclass
class Results:
    """All runs on one network, by workload and program; None for a run that failed."""

    rtt_ms: int
    runs: dict[str, dict[str, list[Timing | None]]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, workload: str, client: str, timing: Timing | None) -> None:
        self.runs.setdefault(workload, {}).setdefault(client, []).append(timing)

    def tried(self, workload: str, client: str) -> bool:
        return bool(self.runs.get(workload, {}).get(client))

    def failed(self, client: str) -> bool:
        """Whether a run of the program failed, in any workload."""
        return any(None in clients.get(client, []) for clients in self.runs.values())

    def values(self, workload: str, client: str, value: Value = done) -> list[float]:
        return [value(t) for t in self.runs.get(workload, {}).get(client, []) if t]

    def median(self, workload: str, client: str, value: Value = done) -> float | None:
        return statistics.median(self.values(workload, client, value) or [0.0]) or None

    def ratio(self, workload: str, client: str, rival: str, value: Value = done) -> float | None:
        """Times what the rival takes: the median over the turns, as a machine that changes its
        pace does so for all of a turn.

        Curl's quickest run stands for all of its: 7.88 sleeps a whole second now and then between
        the reply to EPSV and its connect, in a run of 500 files between twice and 16 times.
        """
        ours = self.runs.get(workload, {}).get(client, [])
        theirs = self.runs.get(workload, {}).get(rival, [])
        if rival == "curl" and (quickest := self.values(workload, rival)):
            theirs = [Timing(min(quickest), min(quickest))] * len(ours)
        turns = [value(a) / b.done for a, b in zip(ours, theirs, strict=False) if a and b]
        return statistics.median(turns) if turns else None


# -- tables ---------------------------------------------------------------------------------------


def show(
    results: Results, workloads: Sequence[Workload], clients: Sequence[Client], place: Place
) -> None:
    console = Console(width=max(Console().width, WIDTH))
    console.print(_medians(results, workloads, clients, place))
    if any(client.name in OURS for client in clients):
        console.print(_ratios(results, workloads, clients, place))


def _medians(
    results: Results, workloads: Sequence[Workload], clients: Sequence[Client], place: Place
) -> Table:
    table = _table(f"RTT {results.rtt_ms} ms: median seconds", [c.name for c in clients])
    table.caption = "rclone begins to send 5 s after a close, as shipped"
    for workload in workloads:
        _row(table, workload.title(place), results, workload, clients, done)
        if workload.writes:
            _row(table, "  until the closes returned", results, workload, clients, returned)
    return table


def _row(
    table: Table,
    title: str,
    results: Results,
    workload: Workload,
    clients: Sequence[Client],
    value: Value,
) -> None:
    cells = []
    for client in clients:
        seconds = results.median(workload.name, client.name, value)
        failed = "failed" if results.tried(workload.name, client.name) else "-"
        cells.append(failed if seconds is None else f"{seconds:.3f}")
    table.add_row(title, *cells)


def _ratios(
    results: Results, workloads: Sequence[Workload], clients: Sequence[Client], place: Place
) -> Table:
    rivals = [client.name for client in clients if client.name not in OURS]
    title = f"RTT {results.rtt_ms} ms: what {' / '.join(OURS)} take, 1 = as long as"
    table = _table(title, rivals)
    for workload in workloads:
        cells = []
        for rival in rivals:
            ratios = [results.ratio(workload.name, ours, rival) for ours in OURS]
            cells.append(" / ".join("-" if r is None else f"{r:.2f}" for r in ratios))
        table.add_row(workload.title(place), *cells)
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title)
    table.add_column("workload", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


# -- bars -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """What ftpfs is to reach: no more than `most` times what the rival takes, or seconds."""

    rtt_ms: int
    workload: str
    client: str
    most: float
    rival: str | None = None
    value: Value = done
    even: bool = True  # exactly `most` is enough

    def measured(self, results: Results) -> float | None:
        if self.rival is None:
            return results.median(self.workload, self.client, self.value)
        return results.ratio(self.workload, self.client, self.rival, self.value)

    def met(self, measured: float) -> bool:
        return measured <= self.most if self.even else measured < self.most

    def unit(self) -> str:
        return "s" if self.rival is None else f"x {self.rival}"


BARS = (
    Bar(0, "in", "ftpfs", 2.0, "lftp"),
    Bar(20, "in", "ftpfs", 1.0, "curl", even=False),
    Bar(0, "write", "ftpfs", 0.2, "rclone"),
    Bar(0, "write-4k", "ftpfs", 1.0, "rclone-off", even=False),
    Bar(20, "in", "ftpfs-wb", 0.3, value=returned),
    Bar(20, "in", "ftpfs-wb", 1.0, "lftp-4"),
)


def judge(results: Results, workloads: Sequence[Workload], place: Place) -> list[dict[str, object]]:
    """Say of each bar that was measured whether it was met; the same for a report."""
    console = Console(width=max(Console().width, WIDTH))
    titles = {workload.name: workload.title(place) for workload in workloads}
    verdicts: list[dict[str, object]] = []
    for bar in BARS:
        measured = bar.measured(results) if bar.rtt_ms == results.rtt_ms else None
        if measured is None or bar.workload not in titles:
            continue
        word = "met" if bar.met(measured) else "missed"
        what = f"{titles[bar.workload]}, {bar.client}, RTT {bar.rtt_ms} ms"
        until = ", until the closes returned" if bar.value is returned else ""
        limit = f"{'at most' if bar.even else 'less than'} {bar.most:g} {bar.unit()}"
        line = f"{word:6} {what}{until}: {measured:.2f} {bar.unit()}, {limit}"
        console.print(escape(line), style="green" if word == "met" else "red", highlight=False)
        verdicts.append({"bar": line[7:], "measured": measured, "most": bar.most, "verdict": word})
    return verdicts


# -- report ---------------------------------------------------------------------------------------


def report(results: Results, verdicts: list[dict[str, object]]) -> dict[str, object]:
    return {
        "rtt_ms": results.rtt_ms,
        "seconds": {
            workload: {name: [t and asdict(t) for t in runs] for name, runs in clients.items()}
            for workload, clients in results.runs.items()
        },
        "bars": verdicts,
        "errors": results.errors,
    }


def surroundings(clients: Sequence[Client]) -> dict[str, object]:
    return {
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
        },
        "versions": {
            **{client.name: version(client) for client in clients},
            "vsftpd": vsftpd_version(),
        },
    }
