"""What scripts/bench found, as tables for docs/PERFORMANCE.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench_bars import Verdict
from bench_results import OURS, Results
from bench_tables import moved, peak


def markdown(networks: Sequence[Results], verdicts: Sequence[Verdict], names: Sequence[str]) -> str:
    """One table for each network, and one of the bars."""
    parts = [_network(results, names) for results in networks]
    return "\n\n".join("\n".join(lines) for lines in (*parts, _bars(verdicts)))


def _network(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Seconds, then memory and traffic of ftpfs."""
    yield from _head([f"RTT {results.rtt_ms} ms", *names, "memory", "moved"])
    for workload, title in results.titles.items():
        seconds = [_number(results.median(workload, name), "{:.2f}") for name in names]
        counts = [_number(results.median(workload, OURS[0], v), "{:.0f} MB") for v in (peak, moved)]
        yield _line([title, *seconds, *counts])


def _bars(verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield from _head(["bar", "measured", ""])
    for verdict in verdicts:
        yield _line([verdict.bar, _number(verdict.measured, "{:.3g}"), verdict.verdict])


def _head(cells: Sequence[str]) -> Iterator[str]:
    yield _line(cells)
    yield _line(["---"] + ["---:"] * (len(cells) - 1))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(figure: float | None, form: str) -> str:
    return "-" if figure is None else form.format(figure)
