"""Side by side: curl, lftp, an ftpfs mount and an rclone mount, on vsftpd.

Run it by way of scripts/bench, which installs what it needs. Each run of a workload has a fresh
mount with empty caches; mounting and unmounting are not timed. The programs take turns, so that
a machine that changes its pace does so for all. A write counts when the server's directory holds
the whole file; what was copied is compared byte by byte afterwards, outside the time.

Once over loopback, and once more with a delay in between (netsim.py). What is timed is in
bench_workloads.py, who takes part in bench_programs.py, what comes out in bench_results.py.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench_programs import CLIENTS, MB, STEP_S, Client, Place, version, wait_until
from bench_results import OURS, Results, Timing, judge, report, show, surroundings
from bench_workloads import WORKLOADS, Workload, remove
from netsim import simulated
from rich.console import Console

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(CHECKOUT, "tests"))

from servers import vsftpd_server  # noqa: E402  (found by the line above)

NEEDED = 8  # times the largest workload: server, sources, and a program's cache
RTTS_MS = (0, 20)

console = Console(stderr=True)


# -- running --------------------------------------------------------------------------------------


def same_size(pairs: list[tuple[str, str]]) -> bool:
    try:
        return all(os.path.getsize(a) == os.path.getsize(b) for a, b in pairs)
    except FileNotFoundError:
        return False


def time_one(workload: Workload, client: Client, place: Place) -> Timing:
    """One run, on a mount of its own."""
    remove(place.caches)
    os.makedirs(place.caches)
    workload.prepare(place)
    pairs = workload.pairs(place)
    body = workload.bodies[client.kind]
    with client.start(place):
        if workload.warm:
            body(place)
        begin = time.perf_counter()
        body(place)
        returned = time.perf_counter() - begin
        wait_until(lambda: same_size(pairs) and workload.arrived(place), STEP_S)
        done = time.perf_counter() - begin
    different = [copy for source, copy in pairs if not filecmp.cmp(source, copy, shallow=False)]
    if different:
        raise RuntimeError(f"{len(different)} copies differ, {different[0]} for one")
    return Timing(returned, done)


def takes_part(client: Client, workload: Workload) -> bool:
    return client.kind in workload.bodies and (not client.only or workload.name in client.only)


def run_all(
    workloads: Sequence[Workload], clients: Sequence[Client], place: Place, runs: int
) -> Results:
    results = Results(place.rtt_ms)
    for workload in workloads:
        able = [client for client in clients if takes_part(client, workload)]
        for turn in range(runs):
            first = turn % len(able) if able else 0  # each is first in turn
            for client in able[first:] + able[:first]:
                results.add(workload.name, client.name, attempt(workload, client, place, results))
    return results


def attempt(workload: Workload, client: Client, place: Place, results: Results) -> Timing | None:
    """One run; None when it failed, which is said and kept in the results."""
    try:
        timing = time_one(workload, client, place)
    except (RuntimeError, OSError) as error:
        results.errors.append(f"{workload.name}, {client.name}: {error}")
        console.print(f"[red]{results.errors[-1]}", highlight=False)
        console.print(traceback.format_exc(), style="dim", highlight=False)
        return None
    closes = f", closes {timing.returned:.3f} s" if workload.writes else ""
    console.print(f"{workload.name:10} {client.name:10} {timing.done:8.3f} s{closes}")
    return timing


@contextlib.contextmanager
def stage(rtt_ms: int, rate: float | None, scale: float, where: str | None) -> Iterator[Place]:
    """A server with its directories, behind a network."""
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="ftpfs-bench-", dir=where))
        names = ("server", "local", "caches", "mount")
        server_root, local, caches, mount = (f"{work}/{name}" for name in names)
        for folder in (server_root, local, mount):
            os.mkdir(folder)
        server = stack.enter_context(vsftpd_server(server_root, log_ftp_protocol=False))
        place = Place(server.url, server_root, local, caches, mount, scale, rtt_ms)
        if rtt_ms or rate:
            far = simulated(("127.0.0.1", server.port), rtt_ms / 1000, rate)
            port = stack.enter_context(far)
            place = replace(place, url=server.url.replace(f":{server.port}/", f":{port}/"))
        yield place


def memory(scale: float) -> str | None:
    """A directory in memory, where there is room; None for the usual one."""
    largest = 512 * MB * scale
    folder = "/dev/shm"
    roomy = os.path.isdir(folder) and shutil.disk_usage(folder).free > NEEDED * largest
    return folder if roomy else None


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
    return parser.parse_args()


def chosen_clients(names: Sequence[str] | None) -> list[Client]:
    chosen = []
    for client in CLIENTS:
        if names and client.name not in names:
            continue
        if version(client) is None:
            console.print(f"{client.name} does not run here: left out")
            continue
        chosen.append(client)
    return chosen


def main() -> int:
    options = arguments()
    workloads = [w for w in WORKLOADS if not options.only or w.name in options.only]
    clients = chosen_clients(options.client)
    all_results, reports = [], []
    where = options.work or memory(options.scale)
    for rtt_ms in options.rtt or RTTS_MS:
        with stage(rtt_ms, options.rate, options.scale, where) as place:
            results = run_all(workloads, clients, place, options.runs)
            show(results, workloads, clients, place)
            verdicts = judge(results, workloads, place)
        all_results.append(results)
        reports.append(report(results, verdicts))
    if options.json:
        names = ("runs", "scale", "rate", "work")
        given = {name: getattr(options, name) for name in names}
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(
                {**surroundings(clients), "options": given, "networks": reports}, out, indent=2
            )
            out.write("\n")
    # What others cannot do (rclone appends only with a cache) is told, and is no failure.
    return int(any(results.failed(name) for results in all_results for name in OURS))


if __name__ == "__main__":
    sys.exit(main())
