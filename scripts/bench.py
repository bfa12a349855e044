"""Side by side: curl, lftp, an ftpfs mount and an rclone mount, on vsftpd.

Run it by way of scripts/bench, which installs what it needs. Each run of a workload has a fresh
mount with empty caches; mounting and unmounting are not timed. The programs take turns, so that
a machine that changes its pace does so for all. A write counts when the server's directory holds
the whole file; what was copied is compared byte by byte afterwards, outside the time. A program
that takes long gets fewer turns, which is said.

Once over loopback, and once more with a delay in between (netsim.py). What is timed is in
bench_workloads.py, who takes part in bench_programs.py, where in bench_stage.py, what is to be
reached in bench_bars.py.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

from bench_bars import Verdict, compared, judge, show_verdicts, verdict_report
from bench_base import Workload, remove
from bench_commands import TooSlow, wait_until
from bench_markdown import markdown
from bench_plot import plot
from bench_programs import CLIENTS, Client, version
from bench_results import OURS, Results, Run, from_report, report, surroundings
from bench_stage import Scene, Stage, memory, network_of_our_own, peak_memory, stage, writes
from bench_tables import show
from bench_workloads import WORKLOADS
from rich.console import Console

RTTS_MS = (0, 20)
TURNS_S = 45.0  # no further turn of a program in a workload that would end later than that,
ASIDE_S = 9.0  # or than this, where no bar needs its time

console = Console(stderr=True)


def say(line: str, style: str = "") -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


# -- running --------------------------------------------------------------------------------------


def run_once(workload: Workload, client: Client, scene: Scene) -> Run:
    """One run, on a mount of its own."""
    place = scene.place
    remove(place.caches)
    os.makedirs(place.caches)
    workload.prepare(place)
    pairs = workload.pairs(place)
    body = workload.bodies[client.kind]
    moved = scene.moved()
    with client.start(place) as pid:
        if workload.warm:
            body(place)
        commands, answers = scene.commands(), pid and writes(pid)
        begin = time.perf_counter()
        body(place)
        returned = time.perf_counter() - begin
        wait_until(lambda: same_size(pairs) and workload.arrived(place))
        done = time.perf_counter() - begin
        counted = since(commands, scene.commands()), since(answers, pid and writes(pid))
        peak = pid and peak_memory(pid)
    different = [copy for source, copy in pairs if not filecmp.cmp(source, copy, shallow=False)]
    if different:
        raise RuntimeError(f"{len(different)} copies differ, {different[0]} for one")
    return Run(returned, done, peak, since(moved, scene.moved()), *counted)


def same_size(pairs: list[tuple[str, str]]) -> bool:
    try:
        return all(os.path.getsize(a) == os.path.getsize(b) for a, b in pairs)
    except FileNotFoundError:
        return False


def since(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None else now - before


class Turns:
    """Who takes part in a workload, and who has had enough of it."""

    def __init__(
        self, workload: Workload, clients: Sequence[Client], results: Results, runs: int
    ) -> None:
        able = [client for client in clients if takes_part(client, workload)]
        slow = [c for c in able if c.name in too_slow_for(workload.after, results)]
        self._workload = workload
        self._results = results
        self._runs = runs
        self._able = [client for client in able if client not in slow]
        self._compared = compared(results.rtt_ms, workload.name) | set(OURS)
        self._seconds: dict[str, list[float]] = {}
        for client in slow:
            self._leave_out(client, f"not tried, {workload.after} was too slow")

    def order(self, turn: int) -> list[Client]:
        """Each is first in turn."""
        first = turn % len(self._able) if self._able else 0
        return self._able[first:] + self._able[:first]

    def took(self, client: Client, seconds: float) -> None:
        """After each turn. Says so when there is no time for another."""
        spent = self._seconds.setdefault(client.name, [])
        spent.append(seconds)
        limit = TURNS_S if client.name in self._compared else ASIDE_S
        if len(spent) < self._runs and sum(spent) + max(spent) > limit:
            self._able = [other for other in self._able if other is not client]
            self._leave_out(client, f"no more turns, {len(spent)} took {sum(spent):.0f} s")

    def _leave_out(self, client: Client, why: str) -> None:
        self._results.left_out.append(f"{self._workload.name}, {client.name}: {why}")
        say(self._results.left_out[-1], "yellow")


def takes_part(client: Client, workload: Workload) -> bool:
    return client.kind in workload.bodies and (not client.only or workload.name in client.only)


def too_slow_for(workload: str, results: Results) -> list[str]:
    """The programs of which no run of this workload was good."""
    clients = results.runs.get(workload, {})
    return [name for name, runs in clients.items() if not any(runs)]


def run_all(
    workloads: Sequence[Workload], clients: Sequence[Client], place: Stage, runs: int
) -> Results:
    results = Results(place.place.rtt_ms)
    for workload in workloads:
        scene = place.scene(workload)
        results.begin(workload, scene.place)
        turns = Turns(workload, clients, results, runs)
        for turn in range(runs):
            for client in turns.order(turn):
                began = time.monotonic()
                results.add(workload.name, client.name, attempt(workload, client, scene, results))
                turns.took(client, time.monotonic() - began)
    return results


def attempt(workload: Workload, client: Client, scene: Scene, results: Results) -> Run | None:
    """One run; None when it failed, which is said and kept in the results."""
    try:
        run = run_once(workload, client, scene)
    except (RuntimeError, OSError) as error:
        results.errors.append(f"{workload.name}, {client.name}: {error}")
        say(results.errors[-1], "red")
        if not isinstance(error, TooSlow):
            say(traceback.format_exc(), "dim")
        return None
    closes = f", closes {run.returned:.3f} s" if workload.writes else ""
    say(f"{workload.name:10} {client.name:10} {run.done:8.3f} s{closes}")
    return run


# -- command line ---------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    names = [workload.name for workload in WORKLOADS]
    programs = [client.name for client in CLIENTS]
    parser.add_argument("--runs", type=int, default=3, help="of each workload, default 3")
    parser.add_argument("--only", action="append", choices=names, help="may be given repeatedly")
    parser.add_argument("--client", action="append", choices=programs, help="likewise")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of all sizes")
    parser.add_argument(
        "--rtt", type=int, action="append", metavar="MS", help="likewise; default 0 and 20"
    )
    parser.add_argument("--rate", type=float, metavar="BYTES", help="a second and connection")
    parser.add_argument(
        "--work", metavar="DIR", help="for all files; default memory, where a sync costs nothing"
    )
    parser.add_argument("--json", metavar="FILE", help="write all values there")
    parser.add_argument("--plot", metavar="FILE", help="draw them there, as SVG")
    parser.add_argument("--markdown", action="store_true", help="print tables for a document")
    parser.add_argument(
        "--from", dest="given", metavar="FILE", help="measure nothing: show what --json wrote"
    )
    return parser.parse_args()


def chosen_clients(names: Sequence[str] | None) -> list[Client]:
    chosen = []
    for client in CLIENTS:
        if names and client.name not in names:
            continue
        if version(client) is None:
            say(f"{client.name} does not run here: left out")
            continue
        chosen.append(client)
    return chosen


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run all that was asked for; the report."""
    alone = network_of_our_own()
    if not alone:
        say("no network of our own here: bytes moved are counted with a delay only")
    clients = chosen_clients(options.client)
    where = options.work or memory(options.scale)
    networks = []
    for rtt_ms in options.rtt or RTTS_MS:
        wanted = [w for w in WORKLOADS if w.belongs(rtt_ms)]
        wanted = [w for w in wanted if not options.only or w.name in options.only]
        with stage(rtt_ms, options.rate, options.scale, where, alone=alone) as place:
            networks.append(report(run_all(wanted, clients, place, options.runs)))
    given = {name: getattr(options, name) for name in ("runs", "scale", "rate", "work")}
    return {**surroundings(clients), "options": given, "networks": networks}


def tell(
    options: argparse.Namespace,
    found: dict[str, Any],
    all_results: Sequence[Results],
    verdicts: Sequence[Verdict],
) -> None:
    """Print, and write the files that were asked for."""
    programs = [client.name for client in CLIENTS if client.name in found["versions"]]
    if options.markdown:
        print(markdown(all_results, verdicts, programs))
    else:
        for results in all_results:
            show(results, programs)
        wanted = [v for v in verdicts if v.measured is not None or not options.only]
        show_verdicts(wanted)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({**found, "bars": verdict_report(verdicts)}, out, indent=1)
            out.write("\n")
    if options.plot:
        with open(options.plot, "w", encoding="utf-8") as out:
            out.write(plot(all_results))


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and mounts and servers end
    if options.given:
        with open(options.given, encoding="utf-8") as file:
            found = json.load(file)
    else:
        found = measure(options)
    all_results = [from_report(network) for network in found["networks"]]
    verdicts = [verdict for results in all_results for verdict in judge(results)]
    tell(options, found, all_results, verdicts)
    # What others cannot do (rclone appends only with a cache) is told, and is no failure.
    return int(any(results.failed(name) for results in all_results for name in OURS))


if __name__ == "__main__":
    sys.exit(main())
