"""What scripts/bench times of the URL commands, beside programs that copy without a mount.

All have the same number of connections. A tree is copied to where nothing is yet; a large file
comes in parts over a line that limits each connection.
"""

from __future__ import annotations

import os

from bench_base import MB, Place, Workload, make_file, make_files, remove
from bench_commands import lftp, run
from bench_programs import in_venv, rclone_remote
from bench_reading import LINE_RATE

CONNECTIONS = 4
DIRECTORIES = 20
SIZES = (1024, 16384)  # bytes of a file
LIMIT_S = 300.0  # the slowest that counts takes 150 s


def copied(source: str, target: str) -> None:
    run(in_venv("ftpfs"), "cp", "-r", "-j", f"{CONNECTIONS}", source, target, wait_s=LIMIT_S)


def rclone_copied(place: Place, command: str, source: str, target: str) -> None:
    env = {**os.environ, "RCLONE_CONFIG": os.path.join(place.caches, "none.conf")}
    width = ("transfers", "checkers", "multi-thread-streams")
    options = [word for name in width for word in (f"--{name}", f"{CONNECTIONS}")]
    run(in_venv("rclone"), command, *options, source, target, env=env, wait_s=LIMIT_S)


def lftp_copied(place: Place, command: str) -> None:
    lftp(place, command, wait_s=LIMIT_S)


# -- a tree ---------------------------------------------------------------------------------------


def make_tree(top: str, files: int) -> None:
    for n in range(DIRECTORIES):
        make_files(f"{top}/{n:02}", max(files // DIRECTORIES, 1), SIZES)


def deep_pairs(source: str, copy: str) -> list[tuple[str, str]]:
    """(source, copy) of all files below."""
    names = [
        os.path.relpath(os.path.join(folder, name), source)
        for folder, _, files in os.walk(source)
        for name in files
    ]
    return [(os.path.join(source, name), os.path.join(copy, name)) for name in names]


def tree_out() -> Workload:
    def prepare(place: Place) -> None:
        make_tree(f"{place.server}/small-tree", place.count(2000))
        remove(f"{place.local}/tree-out")

    return Workload(
        "tree-out",
        lambda place: f"copy {place.count(2000):,} files of a tree out",
        prepare,
        {
            "ftpfs-url": lambda p: copied(f"{p.url}small-tree", f"{p.local}/tree-out"),
            "lftp-4": lambda p: lftp_copied(
                p, f"mirror --parallel={CONNECTIONS} small-tree {p.local}/tree-out"
            ),
            "rclone-copy": lambda p: rclone_copied(
                p, "copy", f"{rclone_remote(p)}small-tree", f"{p.local}/tree-out"
            ),
        },
        lambda p: deep_pairs(f"{p.server}/small-tree", f"{p.local}/tree-out"),
    )


def tree_in() -> Workload:
    def prepare(place: Place) -> None:
        make_tree(f"{place.local}/small-tree", place.count(2000))
        remove(f"{place.server}/tree-in")

    return Workload(
        "tree-in",
        lambda place: f"copy {place.count(2000):,} files of a tree in",
        prepare,
        {
            "ftpfs-url": lambda p: copied(f"{p.local}/small-tree", f"{p.url}tree-in"),
            "lftp-4": lambda p: lftp_copied(
                p, f"mirror -R --parallel={CONNECTIONS} {p.local}/small-tree tree-in"
            ),
            "rclone-copy": lambda p: rclone_copied(
                p, "copy", f"{p.local}/small-tree", f"{rclone_remote(p)}tree-in"
            ),
        },
        lambda p: deep_pairs(f"{p.local}/small-tree", f"{p.server}/tree-in"),
    )


# -- a large file ---------------------------------------------------------------------------------


def large_file_out() -> Workload:
    def size(place: Place) -> int:
        return place.size(1024)

    def prepare(place: Place) -> None:
        make_file(f"{place.server}/large.bin", size(place))
        remove(f"{place.local}/large.bin")

    return Workload(
        "large-out",
        lambda place: f"copy {size(place) // MB:,} MB out, {LINE_RATE // MB} MB/s a connection",
        prepare,
        {
            "ftpfs-url": lambda p: copied(f"{p.url}large.bin", f"{p.local}/large.bin"),
            "lftp-4": lambda p: lftp_copied(
                p, f"pget -n {CONNECTIONS} large.bin -o {p.local}/large.bin"
            ),
            "rclone-copy": lambda p: rclone_copied(
                p, "copyto", f"{rclone_remote(p)}large.bin", f"{p.local}/large.bin"
            ),
        },
        lambda p: [(f"{p.server}/large.bin", f"{p.local}/large.bin")],
        rate=LINE_RATE,
    )
