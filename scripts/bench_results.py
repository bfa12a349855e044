"""What scripts/bench found: the figures of each run, their medians and ratios, and the report."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench_base import Place, Workload
from bench_programs import Client, version, vsftpd_version

OURS = ("ftpfs", "ftpfs-wb", "ftpfs-url")
SLEPT_S = 0.9  # a run of curl that lasts so much longer than its quickest


@dataclass(frozen=True)
class Run:
    """Figures of one run; None where there is nothing to count, or no way."""

    returned: float  # seconds until the program had ended: all its files are closed
    done: float  # and until all was where it belongs
    peak: int | None = None  # bytes of memory, the most that the mount's process ever held
    moved: int | None = None  # bytes on the network, both ways, until the unmount
    commands: int | None = None  # that the server received
    answers: int | None = None  # of the mount's process to the kernel


Value = Callable[[Run], float | None]


def returned(run: Run) -> float:
    return run.returned


def done(run: Run) -> float:
    return run.done


@dataclass
class Results:
    """All runs on one network, by workload and program; None for a run that failed."""

    rtt_ms: int
    runs: dict[str, dict[str, list[Run | None]]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)  # files or names of a workload
    errors: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # what was not tried again, and why

    def begin(self, workload: Workload, place: Place) -> None:
        self.runs[workload.name] = {}
        self.titles[workload.name] = workload.title(place)
        self.units[workload.name] = workload.units(place)

    def add(self, workload: str, client: str, run: Run | None) -> None:
        self.runs.setdefault(workload, {}).setdefault(client, []).append(run)

    def tried(self, workload: str, client: str) -> bool:
        return bool(self.runs.get(workload, {}).get(client))

    def failed(self, client: str) -> bool:
        """Whether a run of the program failed, in any workload."""
        return any(None in clients.get(client, []) for clients in self.runs.values())

    def good(self, workload: str, client: str) -> list[Run | None]:
        """The runs in their turns, None for one that failed, or in which curl slept.

        7.88 sleeps a whole second now and then between the reply to EPSV and its connect: of 20
        runs of 500 files, 6 took between 1 and 11 s longer than the other 14, which took 0.4 s.
        """
        runs = self.runs.get(workload, {}).get(client, [])
        if client != "curl" or not any(runs):
            return list(runs)
        quickest = min(run.done for run in runs if run)
        return [run if run and run.done < quickest + SLEPT_S else None for run in runs]

    def values(self, workload: str, client: str, value: Value = done) -> list[float]:
        found = [value(run) for run in self.good(workload, client) if run]
        return [figure for figure in found if figure is not None]

    def median(self, workload: str, client: str, value: Value = done) -> float | None:
        values = self.values(workload, client, value)
        return statistics.median(values) if values else None

    def most(self, client: str, value: Value, without: Sequence[str] = ()) -> float | None:
        """The largest figure of a program in any run of any workload but those."""
        return max(
            (
                v
                for name in self.runs
                if name not in without
                for v in self.values(name, client, value)
            ),
            default=None,
        )

    def ratio(self, workload: str, client: str, rival: str, value: Value = done) -> float | None:
        """Times what the rival takes: the median over the turns, as a machine that changes its
        pace does so for all of a turn. In a turn that failed, the rival's median stands for it.
        """
        usual = self.median(workload, rival)
        theirs = [run.done if run else usual for run in self.good(workload, rival)]
        ours = [value(run) if run else None for run in self.good(workload, client)]
        turns = [a / b for a, b in zip(ours, theirs, strict=False) if a is not None and b]
        return statistics.median(turns) if turns else None


# -- report ---------------------------------------------------------------------------------------


def report(results: Results) -> dict[str, Any]:
    return asdict(results)


def from_report(network: Mapping[str, Any]) -> Results:
    """What `report` gave, after its way through JSON."""
    runs = {
        workload: {
            client: [run and Run(**run) for run in turns] for client, turns in clients.items()
        }
        for workload, clients in network["runs"].items()
    }
    known = ("rtt_ms", "titles", "units", "errors", "left_out")
    return Results(**{name: network[name] for name in known}, runs=runs)


def surroundings(clients: Sequence[Client]) -> dict[str, Any]:
    return {
        "measured": time.strftime("%Y-%m-%d"),
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
