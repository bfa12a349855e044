"""What scripts/bench times. To add a workload, add a line to WORKLOADS.

Sizes are given twice where a delay would make the near one last too long: `near, far`. A write is
over when the server's directory holds the whole file; a `mount` body is one or a few ordinary
commands, a `curl` body one curl, as somebody would type it.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench_programs import MB, Place, curl, lftp, run

Body = Callable[[Place], None]
Pairs = Callable[[Place], list[tuple[str, str]]]
PIECE = 4096
LINE = 1024


def nothing_to_wait_for(_place: Place) -> bool:
    return True


@dataclass(frozen=True)
class Workload:
    """What is timed. `bodies` has one for each kind of program: mount, curl, lftp, lftp-4.

    `prepare` makes the files before the mount. `pairs` are (source, copy): the run is over when
    all copies have their size and `arrived` says yes; they are compared byte by byte later.
    """

    name: str
    title: Callable[[Place], str]
    prepare: Body
    bodies: Mapping[str, Body]
    pairs: Pairs = lambda place: []
    arrived: Callable[[Place], bool] = nothing_to_wait_for
    warm: bool = False  # once more on the same mount, and that one counts
    writes: bool = False  # the time until the last close returned is told too


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


def write(path: str, content: bytes, offset: int = 0) -> None:
    """Put bytes into a file, which is made where there is none."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as out:
        out.seek(offset)
        out.write(content)


def remove(*paths: str) -> None:
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)


def tree_pairs(source: str, copy: str) -> list[tuple[str, str]]:
    return [(os.path.join(source, name), os.path.join(copy, name)) for name in os.listdir(source)]


def sequential_read() -> Workload:
    def prepare(place: Place) -> None:
        make_file(f"{place.server}/read.bin", place.size(512, 64))

    return Workload(
        "read",
        lambda place: f"read {place.size(512, 64) // MB} MB",
        prepare,
        {
            "mount": lambda p: dd(p.path("read.bin"), "/dev/null", "1M"),
            "curl": lambda p: checked(curl("--output", "/dev/null", p.url + "read.bin")),
            "lftp": lambda p: lftp(p, "set xfer:clobber yes; get read.bin -o /dev/null"),
        },
    )


def sequential_write(name: str, near: int, far: int, block: str) -> Workload:
    def source(place: Place) -> str:
        return f"{place.local}/{name}.bin"

    def prepare(place: Place) -> None:
        make_file(source(place), place.size(near, far))
        remove(f"{place.server}/written.bin")

    return Workload(
        name,
        lambda place: f"write {place.size(near, far) // MB} MB in {block} pieces",
        prepare,
        {
            "mount": lambda p: dd(source(p), p.path("written.bin"), block),
            "curl": lambda p: checked(curl("-T", source(p), f"{p.url}written.bin")),
            "lftp": lambda p: lftp(p, f"put {source(p)} -o written.bin"),
        },
        lambda p: [(source(p), f"{p.server}/written.bin")],
        writes=True,
    )


def listing(name: str, *, warm: bool) -> Workload:
    near, far = 10_000, 1_000

    def prepare(place: Place) -> None:
        make_files(f"{place.server}/names", place.count(near, far), (10, 10))

    def listed(place: Place, said: str) -> None:
        checked(said, f"{place.count(near, far) - 1:05}.dat", place.count(near, far))

    return Workload(
        name,
        lambda place: f"ls -l {place.count(near, far):,} names, {'warm' if warm else 'cold'}",
        prepare,
        {
            "mount": lambda p: listed(p, run("ls", "-l", p.path("names"))),
            "curl": lambda p: listed(p, curl(p.url + "names/")),
        },
        warm=warm,
    )


def small_files_out() -> Workload:
    def prepare(place: Place) -> None:
        make_files(f"{place.server}/small", place.count(500, 50), (4096, 16384))
        remove(f"{place.local}/out")

    def by_curl(place: Place) -> None:
        lines = [
            f'url = "{place.url}small/{name}"\noutput = "{place.local}/out/{name}"\n'
            for name in sorted(os.listdir(f"{place.server}/small"))
        ]
        curl_config(place, lines, "--create-dirs")

    return Workload(
        "out",
        lambda place: f"cp -r {place.count(500, 50)} small files out",
        prepare,
        {
            "mount": lambda p: checked(run("cp", "-r", p.path("small"), f"{p.local}/out")),
            "curl": by_curl,
            "lftp": lambda p: lftp(p, f"mirror small {p.local}/out"),
            "lftp-4": lambda p: lftp(p, f"mirror --parallel=4 small {p.local}/out"),
        },
        lambda p: tree_pairs(f"{p.server}/small", f"{p.local}/out"),
    )


def small_files_in() -> Workload:
    def prepare(place: Place) -> None:
        make_files(f"{place.local}/small", place.count(500, 50), (4096, 16384))
        remove(f"{place.server}/in")

    def by_curl(place: Place) -> None:
        lines = [
            f'upload-file = "{place.local}/small/{name}"\nurl = "{place.url}in/{name}"\n'
            for name in sorted(os.listdir(f"{place.local}/small"))
        ]
        curl_config(place, lines, "--ftp-create-dirs")

    return Workload(
        "in",
        lambda place: f"cp -r {place.count(500, 50)} small files in",
        prepare,
        {
            "mount": lambda p: checked(run("cp", "-r", f"{p.local}/small", p.path("in"))),
            "curl": by_curl,
            "lftp": lambda p: lftp(p, f"mirror -R {p.local}/small in"),
            "lftp-4": lambda p: lftp(p, f"mirror -R --parallel=4 {p.local}/small in"),
        },
        lambda p: tree_pairs(f"{p.local}/small", f"{p.server}/in"),
        writes=True,
    )


def appends() -> Workload:
    """A log that is opened, written and closed for each line."""

    def source(place: Place) -> str:
        return f"{place.local}/log.bin"

    def line(place: Place) -> str:
        return f"{place.local}/line.bin"

    def number(place: Place) -> int:
        return place.count(100, 20)

    def prepare(place: Place) -> None:
        text = random.Random(1).randbytes(LINE // 2).hex().encode()
        write(line(place), text)
        write(source(place), text * number(place))
        remove(f"{place.server}/log.bin")

    def by_shell(place: Place) -> None:
        with open(line(place), encoding="ascii") as file:
            text = file.read()
        script = 'n=0; while [ $n -lt "$1" ]; do printf %s "$2" >>"$3" || exit; n=$((n+1)); done'
        run("sh", "-c", script, "sh", str(number(place)), text, place.path("log.bin"))

    def by_curl(place: Place) -> None:
        wanted = f'upload-file = "{line(place)}"\nurl = "{place.url}log.bin"\n'
        curl_config(place, [wanted] * number(place), "--append")

    return Workload(
        "appends",
        lambda place: f"{number(place)} appends of 1 KiB, reopened",
        prepare,
        {"mount": by_shell, "curl": by_curl},
        lambda p: [(source(p), f"{p.server}/log.bin")],
        writes=True,
    )


def small_change() -> Workload:
    """4 KiB in the middle of a big file: the others can only send all of it."""

    def source(place: Place) -> str:
        return f"{place.local}/change.bin"

    def offset(place: Place) -> int:
        return place.size(512, 64) // 2 // PIECE * PIECE

    def prepare(place: Place) -> None:
        make_file(source(place), place.size(512, 64))
        shutil.copyfile(source(place), f"{place.server}/change.bin")
        write(f"{place.server}/change.bin", bytes(PIECE), offset(place))

    def by_mount(place: Place) -> None:
        at = f"{offset(place) // PIECE}"
        one = ("bs=4k", "count=1", f"skip={at}", f"seek={at}", "conv=notrunc", "status=none")
        run("dd", f"if={source(place)}", f"of={place.path('change.bin')}", *one)

    def arrived(place: Place) -> bool:
        with open(f"{place.server}/change.bin", "rb") as file:
            file.seek(offset(place))
            return any(file.read(PIECE))

    return Workload(
        "change",
        lambda place: f"change 4 KiB of {place.size(512, 64) // MB} MB",
        prepare,
        {
            "mount": by_mount,
            "curl": lambda p: checked(curl("-T", source(p), f"{p.url}change.bin")),
            "lftp": lambda p: lftp(p, f"put {source(p)} -o change.bin"),
        },
        lambda p: [(source(p), f"{p.server}/change.bin")],
        arrived,
        writes=True,
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
    sequential_write("write", 256, 32, "1M"),
    sequential_write("write-4k", 32, 32, "4k"),
    appends(),
    small_change(),
    listing("ls-cold", warm=False),
    listing("ls-warm", warm=True),
    small_files_out(),
    small_files_in(),
)
