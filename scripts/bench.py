"""Side by side: curl (the limit), lftp, an ftpfs mount and an rclone mount, on vsftpd.

Run it by way of scripts/bench, which installs what it needs. Each run of a workload has a fresh
mount with empty caches; mounting and unmounting are not timed. The programs take turns, so that
a machine that changes its pace does so for all. A write counts when the server's directory holds
the whole file; what was copied is compared byte by byte afterwards, outside the time.

To add a workload, add a line to WORKLOADS; another network, to LINKS; another program, to CLIENTS.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import functools
import json
import os
import platform
import random
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(CHECKOUT, "tests"))

from servers import Server, vsftpd_server  # noqa: E402  (found by the line above)

MB = 1 << 20
STEP_S = 600.0  # a single command that takes longer has failed
MOUNT_S = 30.0
POLL_S = 0.005  # how often a write is looked for on the server
WIDTH = 110  # of the table, where the output is no terminal
NEEDED = 4  # times the largest workload: server, source, and a program's cache

console = Console(stderr=True)


@dataclass(frozen=True)
class Place:
    """Where one run works. All are directories on this machine but `url`."""

    url: str  # of the server, as the programs reach it; ends in /
    server: str  # its root
    local: str  # sources and copies
    caches: str  # empty at the start of each run
    mount: str
    scale: float

    def size(self, mebibytes: int) -> int:
        return max(int(mebibytes * MB * self.scale) // 4096, 1) * 4096

    def count(self, number: int) -> int:
        return max(int(number * self.scale), 1)

    def path(self, name: str) -> str:
        return os.path.join(self.mount, name)


Body = Callable[[Place], None]
Pairs = Callable[[Place], list[tuple[str, str]]]


@dataclass(frozen=True)
class Workload:
    """What is timed. `bodies` has one for each kind of program: mount, curl, lftp.

    `prepare` makes the files before the mount. `pairs` are (source, copy): the run is over when
    all copies have their size.
    """

    name: str
    title: Callable[[Place], str]
    prepare: Body
    bodies: Mapping[str, Body]
    pairs: Pairs = lambda place: []
    warm: bool = False  # once more on the same mount, and that one counts


@dataclass(frozen=True)
class Client:
    """A program. `start` is a context manager around the timed part."""

    name: str
    kind: str
    start: Callable[[Place], contextlib.AbstractContextManager[None]]
    version: Sequence[str]


@dataclass
class Results:
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, workload: str, client: str, seconds: float) -> None:
        self.seconds.setdefault(workload, {}).setdefault(client, []).append(seconds)

    def median(self, workload: str, client: str) -> float | None:
        runs = self.seconds.get(workload, {}).get(client)
        return statistics.median(runs) if runs else None

    def limit(self, workload: str) -> float | None:
        """The quickest run of curl and lftp, which ratios refer to.

        Not curl alone: 7.88 sleeps a whole second now and then between the reply to EPSV and
        its connect, in a run of 500 files between twice and 16 times.
        """
        clients = self.seconds.get(workload, {})
        return min(clients.get("curl", []) + clients.get("lftp", []), default=None)


# -- commands -------------------------------------------------------------------------------------


def run(*argv: str, env: Mapping[str, str] | None = None, wait_s: float = STEP_S) -> str:
    """Run a command, give its standard output. Raises RuntimeError with what it said."""
    # Files, not pipes: a program that goes to the background keeps a pipe open for ever.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env
        ) as process:
            if not ended(process, wait_s):
                process.kill()
                raise RuntimeError(f"{' '.join(argv[:3])}: still running after {wait_s:.0f} s")
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            said = err.read().decode(errors="replace").strip()
            raise RuntimeError(f"{' '.join(argv[:3])}: exit {process.returncode}: {said[-500:]}")
        return out.read().decode(errors="replace")


def ended(process: subprocess.Popen[bytes], wait_s: float) -> bool:
    """Wait for the end, at most so long.

    Popen.wait with a timeout looks only now and then: short runs came out as 16, 32 or 64 ms.
    """
    descriptor = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(wait_s * 1000))
    finally:
        os.close(descriptor)


def curl(*arguments: str) -> str:
    return run("curl", "--silent", "--show-error", *arguments)


def lftp(place: Place, command: str) -> None:
    run("lftp", "-c", f"set net:max-retries 1; open {place.url}; {command}")


def in_venv(program: str) -> str:
    """A program of the private virtual environment, else of the PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), program)
    return beside if os.path.exists(beside) else program


# -- programs -------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_mount(_place: Place) -> Iterator[None]:
    yield


@contextlib.contextmanager
def ftpfs_mount(place: Place) -> Iterator[None]:
    """`ftpfs mount` returns when mounted. Caches and journals go where nothing is yet."""
    kinds = ("CACHE", "CONFIG", "DATA", "STATE")
    env = {**os.environ, **{f"XDG_{kind}_HOME": f"{place.caches}/{kind}" for kind in kinds}}
    run(in_venv("ftpfs"), "mount", place.url, place.mount, env=env, wait_s=MOUNT_S)
    try:
        yield
    finally:
        try:
            run(in_venv("ftpfs"), "umount", place.mount, env=env)
        finally:
            force_unmount(place.mount)


@contextlib.contextmanager
def rclone_mount(place: Place) -> Iterator[None]:
    rclone, parts = in_venv("rclone"), urlsplit(place.url)
    secret = run(rclone, "obscure", parts.password or "").strip()
    remote = f":ftp,host={parts.hostname},port={parts.port},user={parts.username},pass={secret}:"
    env = {**os.environ, "RCLONE_CONFIG": os.path.join(place.caches, "none.conf")}
    argv = [rclone, "mount", remote, place.mount, "--vfs-cache-mode", "full"]
    argv += ["--cache-dir", os.path.join(place.caches, "rclone")]
    log = os.path.join(place.caches, "rclone.log")
    with open(log, "wb") as out:
        process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    with process:
        try:
            wait_until(lambda: os.path.ismount(place.mount) or process.poll() is not None, MOUNT_S)
            if process.poll() is not None:
                with open(log, encoding="utf-8", errors="replace") as said:
                    raise RuntimeError(f"rclone mount: {said.read().strip()[-500:]}")
            yield
        finally:
            force_unmount(place.mount)
            end(process)


def force_unmount(mount: str) -> None:
    if os.path.ismount(mount):
        run("fusermount3", "-u", "-z", mount)


def end(process: subprocess.Popen[bytes]) -> None:
    """A mount ends with its unmount; one that does not is told to."""
    for tell in (process.terminate, process.kill):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return
        tell()
    process.wait()


CLIENTS = (
    Client("curl", "curl", no_mount, ("curl", "--version")),
    Client("lftp", "lftp", no_mount, ("lftp", "--version")),
    Client("ftpfs", "mount", ftpfs_mount, (in_venv("ftpfs"), "--version")),
    Client("rclone", "mount", rclone_mount, (in_venv("rclone"), "version")),
)


# -- networks -------------------------------------------------------------------------------------


@contextlib.contextmanager
def loopback(server: Server) -> Iterator[str]:
    yield server.url


# Name: a context manager that gives the URL under which programs reach the server.
LINKS: dict[str, Callable[[Server], contextlib.AbstractContextManager[str]]] = {
    "loopback": loopback,
}


# -- files ----------------------------------------------------------------------------------------


def make_file(path: str, size: int) -> None:
    """A file of that size whose bytes do not compress; one that is there already stays."""
    if os.path.exists(path) and os.path.getsize(path) == size:
        return
    block = random.Random(path).randbytes(MB)
    with open(path, "wb") as out:
        for start in range(0, size, MB):
            out.write(block[: size - start])


def make_files(folder: str, count: int, sizes: tuple[int, int]) -> None:
    """`count` files named 00000.dat and on, their sizes spread evenly from `sizes`."""
    if os.path.isdir(folder) and len(os.listdir(folder)) == count:
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    low, high = sizes
    for n in range(count):
        make_file(os.path.join(folder, f"{n:05}.dat"), low + (high - low) * n // count)


def remove(*paths: str) -> None:
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)


def tree_pairs(source: str, copy: str) -> list[tuple[str, str]]:
    return [(os.path.join(source, name), os.path.join(copy, name)) for name in os.listdir(source)]


# -- workloads ------------------------------------------------------------------------------------


def sequential_read() -> Workload:
    def prepare(place: Place) -> None:
        make_file(f"{place.server}/read.bin", place.size(512))

    return Workload(
        "read",
        lambda place: f"read {place.size(512) // MB} MB",
        prepare,
        {
            "mount": lambda p: dd(p.path("read.bin"), "/dev/null", "1M"),
            "curl": lambda p: checked(curl("--output", "/dev/null", p.url + "read.bin")),
        },
    )


def sequential_write(name: str, mebibytes: int, block: str) -> Workload:
    def source(place: Place) -> str:
        return f"{place.local}/{name}.bin"

    def copy(place: Place) -> str:
        return f"{place.server}/written-{name}.bin"

    def prepare(place: Place) -> None:
        make_file(source(place), place.size(mebibytes))
        remove(copy(place))

    def by_curl(place: Place) -> None:
        curl("--upload-file", source(place), f"{place.url}written-{name}.bin")

    return Workload(
        name,
        lambda place: f"write {place.size(mebibytes) // MB} MB in {block} pieces",
        prepare,
        {
            "mount": lambda p: dd(source(p), p.path(f"written-{name}.bin"), block),
            "curl": by_curl,
        },
        lambda p: [(source(p), copy(p))],
    )


def listing(name: str, *, warm: bool) -> Workload:
    number = 10_000

    def prepare(place: Place) -> None:
        make_files(f"{place.server}/names", place.count(number), (10, 10))

    def listed(place: Place, said: str) -> None:
        checked(said, f"{place.count(number) - 1:05}.dat", place.count(number))

    return Workload(
        name,
        lambda place: f"ls -l {place.count(number):,} names, {'warm' if warm else 'cold'}",
        prepare,
        {
            "mount": lambda p: listed(p, run("ls", "-l", p.path("names"))),
            "curl": lambda p: listed(p, curl(p.url + "names/")),
        },
        warm=warm,
    )


def small_files_out() -> Workload:
    def prepare(place: Place) -> None:
        make_files(f"{place.server}/small", place.count(500), (4096, 16384))
        remove(f"{place.local}/out")

    def by_curl(place: Place) -> None:
        lines = [
            f'url = "{place.url}small/{name}"\noutput = "{place.local}/out/{name}"\n'
            for name in sorted(os.listdir(f"{place.server}/small"))
        ]
        curl_config(place, lines, "--create-dirs")

    return Workload(
        "out",
        lambda place: f"cp -r {place.count(500)} small files out",
        prepare,
        {
            "mount": lambda p: checked(run("cp", "-r", p.path("small"), f"{p.local}/out")),
            "curl": by_curl,
            "lftp": lambda p: lftp(p, f"mirror --parallel=4 small {p.local}/out"),
        },
        lambda p: tree_pairs(f"{p.server}/small", f"{p.local}/out"),
    )


def small_files_in() -> Workload:
    def prepare(place: Place) -> None:
        make_files(f"{place.local}/small", place.count(500), (4096, 16384))
        remove(f"{place.server}/in")

    def by_curl(place: Place) -> None:
        lines = [
            f'upload-file = "{place.local}/small/{name}"\nurl = "{place.url}in/{name}"\n'
            for name in sorted(os.listdir(f"{place.local}/small"))
        ]
        curl_config(place, lines, "--ftp-create-dirs")

    return Workload(
        "in",
        lambda place: f"cp -r {place.count(500)} small files in",
        prepare,
        {
            "mount": lambda p: checked(run("cp", "-r", f"{p.local}/small", p.path("in"))),
            "curl": by_curl,
            "lftp": lambda p: lftp(p, f"mirror --reverse --parallel=4 {p.local}/small in"),
        },
        lambda p: tree_pairs(f"{p.local}/small", f"{p.server}/in"),
    )


def dd(source: str, target: str, block: str) -> None:
    run("dd", f"if={source}", f"of={target}", f"bs={block}", "status=none")


def curl_config(place: Place, lines: list[str], *arguments: str) -> None:
    """One curl for many files, over one control connection."""
    config = os.path.join(place.caches, "curl.conf")
    with open(config, "w", encoding="utf-8") as out:
        out.writelines(lines)
    curl("--config", config, *arguments)


def checked(said: str, word: str = "", lines: int = 0) -> None:
    """A command's output must hold `word` and at least so many lines."""
    if word not in said or said.count("\n") < lines:
        raise RuntimeError(f"incomplete: {said.count(chr(10))} lines, {lines} expected")


WORKLOADS = (
    sequential_read(),
    sequential_write("write", 256, "1M"),
    sequential_write("write-4k", 32, "4k"),
    listing("ls-cold", warm=False),
    listing("ls-warm", warm=True),
    small_files_out(),
    small_files_in(),
)


# -- running --------------------------------------------------------------------------------------


def wait_until(true: Callable[[], bool], wait_s: float) -> None:
    end_at = time.monotonic() + wait_s
    while not true():
        if time.monotonic() > end_at:
            raise RuntimeError(f"still not there after {wait_s:.0f} s")
        time.sleep(POLL_S)


def same_size(pairs: list[tuple[str, str]]) -> bool:
    try:
        return all(os.path.getsize(a) == os.path.getsize(b) for a, b in pairs)
    except FileNotFoundError:
        return False


def time_one(workload: Workload, client: Client, place: Place) -> float:
    """Seconds of one run, on a mount of its own."""
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
        wait_until(lambda: same_size(pairs), STEP_S)
        seconds = time.perf_counter() - begin
    different = [copy for source, copy in pairs if not filecmp.cmp(source, copy, shallow=False)]
    if different:
        raise RuntimeError(f"{len(different)} copies differ, {different[0]} for one")
    return seconds


def run_all(workloads: list[Workload], clients: list[Client], place: Place, runs: int) -> Results:
    results = Results()
    for workload in workloads:
        able = [client for client in clients if client.kind in workload.bodies]
        for turn in range(runs):
            first = turn % len(able) if able else 0  # each is first in turn
            for client in able[first:] + able[:first]:
                try:
                    seconds = time_one(workload, client, place)
                except (RuntimeError, OSError) as error:
                    results.errors.append(f"{workload.name}, {client.name}: {error}")
                    console.print(f"[red]{results.errors[-1]}", highlight=False)
                    console.print(traceback.format_exc(), style="dim", highlight=False)
                    continue
                results.add(workload.name, client.name, seconds)
                console.print(f"{workload.name:10} {client.name:8} {seconds:8.3f} s")
    return results


@contextlib.contextmanager
def stage(link: str, scale: float) -> Iterator[Place]:
    """A server with its directories, in memory where there is room."""
    largest = 512 * MB * scale
    memory = "/dev/shm"
    roomy = os.path.isdir(memory) and shutil.disk_usage(memory).free > NEEDED * largest
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="ftpfs-bench-", dir=memory if roomy else None)
        )
        place = Place(
            "", f"{work}/server", f"{work}/local", f"{work}/caches", f"{work}/mount", scale
        )
        for folder in (place.server, place.local, place.mount):
            os.mkdir(folder)
        server = stack.enter_context(vsftpd_server(place.server, log_ftp_protocol=False))
        yield replace(place, url=stack.enter_context(LINKS[link](server)))


# -- telling --------------------------------------------------------------------------------------


@functools.cache
def version(client: Client) -> str | None:
    """The first line a program says of itself; None when it cannot be run."""
    try:
        return run(*client.version, wait_s=MOUNT_S).strip().splitlines()[0]
    except (RuntimeError, OSError, IndexError):
        return None


def vsftpd_version() -> str:
    # It says so on descriptor 0.
    with tempfile.TemporaryFile() as out:
        with contextlib.suppress(OSError):
            subprocess.run(["vsftpd", "-v"], stdin=out, stdout=out, stderr=out, check=False)
        out.seek(0)
        return out.read().decode(errors="replace").strip()


def machine() -> dict[str, object]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def show(results: Results, workloads: list[Workload], clients: list[Client], place: Place) -> None:
    table = Table(title="median seconds (times the best run of curl and lftp)")
    table.add_column("workload", no_wrap=True)
    for client in clients:
        table.add_column(client.name, justify="right", no_wrap=True)
    for workload in workloads:
        limit = results.limit(workload.name)
        cells = [cell(results.median(workload.name, client.name), limit) for client in clients]
        table.add_row(workload.title(place), *cells)
    Console(width=max(Console().width, WIDTH)).print(table)


def cell(seconds: float | None, limit: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.3f}" + (f" ({seconds / limit:.1f})" if limit else "")


def report(
    results: Results, clients: list[Client], options: argparse.Namespace
) -> dict[str, object]:
    return {
        "machine": machine(),
        "versions": {
            **{client.name: version(client) for client in clients},
            "vsftpd": vsftpd_version(),
        },
        "options": {"runs": options.runs, "scale": options.scale, "link": options.link},
        "seconds": results.seconds,
        "errors": results.errors,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    names = [workload.name for workload in WORKLOADS]
    programs = [client.name for client in CLIENTS]
    parser.add_argument("--runs", type=int, default=3, help="of each workload, default 3")
    parser.add_argument("--only", action="append", choices=names, help="may be given repeatedly")
    parser.add_argument("--client", action="append", choices=programs, help="likewise")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of all sizes")
    parser.add_argument("--link", choices=list(LINKS), default="loopback")
    parser.add_argument("--json", metavar="FILE", help="write all values there")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    workloads = [w for w in WORKLOADS if not options.only or w.name in options.only]
    clients = []
    for client in CLIENTS:
        if options.client and client.name not in options.client:
            continue
        if version(client) is None:
            console.print(f"{client.name} does not run here: left out")
            continue
        clients.append(client)
    with stage(options.link, options.scale) as place:
        results = run_all(workloads, clients, place, options.runs)
        show(results, workloads, clients, place)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(report(results, clients, options), out, indent=2)
            out.write("\n")
    return 1 if results.errors else 0


if __name__ == "__main__":
    sys.exit(main())
