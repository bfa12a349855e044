"""What the workloads of scripts/bench are made of: the place where they run, and its files.

Sizes are given twice where a delay would make the near one last too long: `near, far`.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MB = 1 << 20
PAGE = 4096


@dataclass(frozen=True)
class Place:
    """Where one run works. All are directories on this machine but `url`."""

    url: str  # of the server, as the programs reach it; ends in /
    server: str  # its root
    local: str  # sources and copies
    caches: str  # empty at the start of each run
    mount: str
    scale: float
    rtt_ms: int = 0
    cafile: str = (
        ""  # of the authority to trust, where the server wants TLS; `url` is ftp: then, too
    )

    def size(self, near: float, far: float | None = None) -> int:
        """Bytes, from MiB on a network without and with a delay; whole pages."""
        return max(int(self._chosen(near, far) * MB * self.scale) // PAGE, 1) * PAGE

    def count(self, near: int, far: int | None = None) -> int:
        return max(int(self._chosen(near, far) * self.scale), 1)

    def _chosen(self, near: float, far: float | None) -> float:
        return far if far is not None and self.rtt_ms else near

    def path(self, name: str) -> str:
        return os.path.join(self.mount, name)


Body = Callable[[Place], object]
Pairs = Callable[[Place], list[tuple[str, str]]]


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
    units: Callable[[Place], int] = lambda place: 1  # how many files or names, for counts of each
    warm: bool = False  # once more on the same mount, and that one counts
    after: str = ""  # a program that did not finish this workload in time is not tried here
    writes: bool = False  # the time until the last close returned is told too
    logged: bool = False  # the server writes down each command, and they are counted
    tls: bool = False  # the server wants TLS, and data connections that resume the session
    rate: float | None = None  # bytes a second, of each direction of each connection
    near: bool = True  # on a network without a delay
    far: bool = True  # and on one with it

    def belongs(self, rtt_ms: int) -> bool:
        return self.far if rtt_ms else self.near


# -- files ----------------------------------------------------------------------------------------


def make_file(path: str, size: int, filled: int | None = None) -> None:
    """A file of that size whose bytes do not compress; one that is there already stays.

    Only the first `filled` bytes are written, where given; the rest is a hole.
    """
    if os.path.exists(path) and os.path.getsize(path) == size:
        return
    written = size if filled is None else min(filled, size)
    block = random.Random(path).randbytes(min(written, MB))
    with open(path, "wb") as out:
        for start in range(0, written, MB):
            out.write(block[: written - start])
        out.truncate(size)


def make_files(
    folder: str, count: int, sizes: tuple[int, int], filled: int | None = None
) -> list[str]:
    """`count` files named 00000.dat and on, their sizes spread evenly from `sizes`; the names."""
    names = [f"{n:05}.dat" for n in range(count)]
    if os.path.isdir(folder) and len(os.listdir(folder)) == count:
        return names
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    low, high = sizes
    for n, name in enumerate(names):
        make_file(os.path.join(folder, name), low + (high - low) * n // count, filled)
    return names


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
