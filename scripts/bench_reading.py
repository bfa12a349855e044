"""What scripts/bench times of reading."""

from __future__ import annotations

import os
import random
import sys
from functools import partial

from bench_base import MB, PAGE, Place, Workload, make_file, make_files, remove, tree_pairs
from bench_commands import checked, curl, curl_config, dd, lftp, run, side_by_side

HEAD = 64 * 1024
BIG = 16 * MB  # of a file whose head is read; what lies behind its first MiB is a hole
READERS = 4
LINE_RATE = 10 * MB  # bytes a second of one connection, where a line is what limits

PREADS = """
import os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
with open(sys.argv[2]) as offsets:
    for line in offsets:
        sys.stdout.buffer.write(os.pread(file, int(sys.argv[3]), int(line)))
"""


def to_nowhere(path: str, size: int) -> None:
    """Read a file to its end, which must be where it should."""
    checked(dd(path, "/dev/null", "1M"), f"{size} bytes")


def sequential_read(name: str, rate: float | None = None, *, tls: bool = False) -> Workload:
    def size(place: Place) -> int:
        return place.size(512, 64)

    on_a_line = f", {LINE_RATE // MB} MB/s a connection" if rate else ""
    protected = " over TLS" if tls else ""
    parts = {"lftp-4": lambda p: lftp(p, f"pget -n 4 read.bin -o {p.local}/part.bin")}
    return Workload(
        name,
        lambda place: f"read {size(place) // MB} MB{protected}{on_a_line}",
        lambda place: read_prepared(place, size(place)),
        {
            "mount": lambda p: to_nowhere(p.path("read.bin"), size(p)),
            "curl": lambda p: curl(*protection(p), "--output", "/dev/null", p.url + "read.bin"),
            **({} if tls else {"lftp": by_lftp}),
            **(parts if rate else {}),
        },
        tls=tls,
        rate=rate,
        near=rate is None,
        far=not tls,
    )


def by_lftp(place: Place) -> None:
    lftp(place, "set xfer:clobber yes; get read.bin -o /dev/null")


def protection(place: Place) -> tuple[str, ...]:
    """What curl is told of TLS."""
    return ("--ssl-reqd", "--cacert", place.cafile) if place.cafile else ()


def read_prepared(place: Place, size: int) -> None:
    make_file(f"{place.server}/read.bin", size)
    remove(f"{place.local}/part.bin")


def side_by_side_reads() -> Workload:
    """Each by a program of its own."""
    names = [f"reader{n}.bin" for n in range(READERS)]

    def prepare(place: Place) -> None:
        for name in names:
            make_file(f"{place.server}/{name}", place.size(32))

    def by_mount(place: Place) -> None:
        size = place.size(32)
        side_by_side([partial(to_nowhere, place.path(name), size) for name in names])

    def by_curl(place: Place) -> None:
        side_by_side([partial(curl, "--output", "/dev/null", place.url + name) for name in names])

    return Workload(
        "readers",
        lambda place: (
            f"{READERS} readers of {place.size(32) // MB} MB, {LINE_RATE // MB} MB/s each"
        ),
        prepare,
        {"mount": by_mount, "curl": by_curl},
        rate=LINE_RATE,
        near=False,
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
            "mount": lambda p: run("cp", "-r", p.path("small"), f"{p.local}/out"),
            "curl": by_curl,
            "lftp": lambda p: lftp(p, f"mirror small {p.local}/out"),
            "lftp-4": lambda p: lftp(p, f"mirror --parallel=4 small {p.local}/out"),
        },
        lambda p: tree_pairs(f"{p.server}/small", f"{p.local}/out"),
    )


def heads() -> Workload:
    """What `file *` or a file manager does: the beginning of each of many big files."""

    def names(place: Place) -> list[str]:
        return make_files(f"{place.server}/big", place.count(50, 20), (BIG, BIG), MB)

    def prepare(place: Place) -> None:
        with open(f"{place.local}/heads.expected", "wb") as out:
            for name in names(place):
                with open(f"{place.server}/big/{name}", "rb") as file:
                    out.write(file.read(HEAD))
        remove(f"{place.local}/heads")

    def by_mount(place: Place) -> None:
        paths = [place.path(f"big/{name}") for name in names(place)]
        run("head", "-q", "-c", f"{HEAD}", *paths, output=f"{place.local}/heads")

    def by_curl(place: Place) -> None:
        lines = [f'url = "{place.url}big/{name}"\n' for name in names(place)]
        curl_config(place, lines, "--range", f"0-{HEAD - 1}", output=f"{place.local}/heads")

    return Workload(
        "heads",
        lambda place: f"first {HEAD // 1024} KiB of {place.count(50, 20)} files of {BIG // MB} MB",
        prepare,
        {"mount": by_mount, "curl": by_curl},
        lambda p: [(f"{p.local}/heads.expected", f"{p.local}/heads")],
    )


def random_reads() -> Workload:
    """Pages here and there in a big file, as a database or a torrent client asks for them."""

    def offsets(place: Place) -> list[int]:
        pages = place.size(512, 64) // PAGE
        chosen = random.Random(1)
        return [chosen.randrange(pages) * PAGE for _ in range(place.count(200, 50))]

    def prepare(place: Place) -> None:
        whole = f"{place.server}/pages.bin"
        make_file(whole, place.size(512, 64))
        with open(f"{place.local}/offsets", "w", encoding="ascii") as lines:
            lines.writelines(f"{offset}\n" for offset in offsets(place))
        with open(f"{place.local}/pages.expected", "wb") as out, open(whole, "rb") as file:
            out.writelines(os.pread(file.fileno(), PAGE, offset) for offset in offsets(place))
        remove(f"{place.local}/pages")

    def by_mount(place: Place) -> None:
        script = (sys.executable, "-I", "-S", "-c", PREADS)
        files = (place.path("pages.bin"), f"{place.local}/offsets", f"{PAGE}")
        run(*script, *files, output=f"{place.local}/pages")

    def by_curl(place: Place) -> None:
        wanted = [
            f'url = "{place.url}pages.bin"\nrange = "{offset}-{offset + PAGE - 1}"\n'
            for offset in offsets(place)
        ]
        curl_config(place, ["next\n".join(wanted)], output=f"{place.local}/pages")

    return Workload(
        "preads",
        lambda p: f"{p.count(200, 50)} random 4 KiB reads in {p.size(512, 64) // MB} MB",
        prepare,
        {"mount": by_mount, "curl": by_curl},
        lambda p: [(f"{p.local}/pages.expected", f"{p.local}/pages")],
    )
