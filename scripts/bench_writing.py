"""What scripts/bench times of writing.

A write is over when the server's directory holds the whole file; a `mount` body is one or a few
ordinary commands, a `curl` body one curl, as somebody would type it.
"""

from __future__ import annotations

import os
import random
import shutil

from bench_base import MB, PAGE, Place, Workload, make_file, make_files, remove, tree_pairs, write
from bench_commands import curl, curl_config, dd, lftp, run

LINE = 1024


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
            "curl": lambda p: curl("-T", source(p), f"{p.url}written.bin"),
            "lftp": lambda p: lftp(p, f"put {source(p)} -o written.bin"),
        },
        lambda p: [(source(p), f"{p.server}/written.bin")],
        writes=True,
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
            "mount": lambda p: run("cp", "-r", f"{p.local}/small", p.path("in")),
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
        return place.size(512, 64) // 2 // PAGE * PAGE

    def prepare(place: Place) -> None:
        make_file(source(place), place.size(512, 64))
        shutil.copyfile(source(place), f"{place.server}/change.bin")
        write(f"{place.server}/change.bin", bytes(PAGE), offset(place))

    def by_mount(place: Place) -> None:
        at = f"{offset(place) // PAGE}"
        one = ("count=1", f"skip={at}", f"seek={at}", "conv=notrunc")
        dd(source(place), place.path("change.bin"), "4k", *one)

    def arrived(place: Place) -> bool:
        with open(f"{place.server}/change.bin", "rb") as file:
            file.seek(offset(place))
            return any(file.read(PAGE))

    return Workload(
        "change",
        lambda place: f"change 4 KiB of {place.size(512, 64) // MB} MB",
        prepare,
        {
            "mount": by_mount,
            "curl": lambda p: curl("-T", source(p), f"{p.url}change.bin"),
            "lftp": lambda p: lftp(p, f"put {source(p)} -o change.bin"),
        },
        lambda p: [(source(p), f"{p.server}/change.bin")],
        arrived,
        writes=True,
    )


def small_files_removed() -> Workload:
    def folder(place: Place) -> str:
        return f"{place.server}/gone"

    def by_curl(place: Place) -> None:
        lines = [f'url = "{place.url}"\n', "head\n"]  # head: nothing is transferred
        lines += [f'quote = "DELE gone/{name}"\n' for name in sorted(os.listdir(folder(place)))]
        curl_config(place, [*lines, 'quote = "RMD gone"\n'])

    return Workload(
        "rm",
        lambda place: f"rm -r {place.count(500, 50)} small files",
        lambda place: make_files(folder(place), place.count(500, 50), (4096, 16384)),
        {
            "mount": lambda p: run("rm", "-r", p.path("gone")),
            "curl": by_curl,
            "lftp": lambda p: lftp(p, "rm -r gone"),
        },
        arrived=lambda p: not os.path.exists(folder(p)),
    )
