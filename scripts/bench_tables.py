"""The tables that scripts/bench prints."""

from __future__ import annotations

from collections.abc import Sequence

from bench_results import OURS, Results, Run, Value, done, returned
from bench_workloads import WORKLOADS
from rich.console import Console
from rich.table import Table

WIDTH = 130  # of tables, where the output is no terminal
MILLION = 1e6
MOVERS = ("curl", "rclone", "ftpfs")  # whose bytes are worth a column
MOUNTS = ("rclone", "ftpfs", "ftpfs-wb")


def peak(run: Run) -> float | None:
    return run.peak and run.peak / MILLION


def moved(run: Run) -> float | None:
    return run.moved and run.moved / MILLION


def wide() -> Console:
    return Console(width=max(Console().width, WIDTH))


def show(results: Results, clients: Sequence[str]) -> None:
    console = wide()
    clients = [c for c in clients if any(results.tried(name, c) for name in results.titles)]
    console.print(_medians(results, clients))
    if any(name in OURS for name in clients):
        console.print(_ratios(results, [name for name in clients if name not in OURS]))
        console.print(_counts(results, clients))
    for line in (*results.errors, *results.left_out):
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _medians(results: Results, clients: Sequence[str]) -> Table:
    table = _table(f"RTT {results.rtt_ms} ms: median seconds", clients)
    table.caption = "rclone begins to send 5 s after a close, as shipped"
    writing = [workload.name for workload in WORKLOADS if workload.writes]
    for name, title in results.titles.items():
        _row(table, title, results, name, clients, done)
        if name in writing:
            _row(table, "  until the closes returned", results, name, clients, returned)
    return table


def _row(
    table: Table, title: str, results: Results, workload: str, clients: Sequence[str], value: Value
) -> None:
    cells = []
    for client in clients:
        seconds = results.median(workload, client, value)
        failed = "failed" if results.tried(workload, client) else "-"
        cells.append(failed if seconds is None else f"{seconds:.3f}")
    table.add_row(title, *cells)


def _ratios(results: Results, rivals: Sequence[str]) -> Table:
    title = f"RTT {results.rtt_ms} ms: what {' / '.join(OURS)} take, 1 = as long as"
    table = _table(title, rivals)
    for name, row in results.titles.items():
        cells = []
        for rival in rivals:
            ratios = [results.ratio(name, ours, rival) for ours in OURS]
            cells.append(" / ".join(f"{ratio:.2f}" for ratio in ratios if ratio is not None) or "-")
        table.add_row(row, *cells)
    return table


def _counts(results: Results, clients: Sequence[str]) -> Table:
    """Memory of the mounts, and what passed the network."""
    figures = [(f"{client}, held", client, peak) for client in clients if client in MOUNTS]
    figures += [(f"{client}, moved", client, moved) for client in clients if client in MOVERS]
    title = f"RTT {results.rtt_ms} ms: most memory held, and bytes moved, medians in MB"
    table = _table(title, [words for words, _, _ in figures])
    for name, row in results.titles.items():
        counts = [results.median(name, client, value) for _, client, value in figures]
        if any(count is not None for count in counts):
            table.add_row(row, *("-" if count is None else f"{count:.0f}" for count in counts))
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title)
    table.add_column("workload", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table
