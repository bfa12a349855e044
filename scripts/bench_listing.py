"""What scripts/bench times of directories."""

from __future__ import annotations

from bench_base import Place, Workload, make_files
from bench_commands import checked, curl, lftp, run

NAME_SIZE = (10, 10)  # bytes of a file that is only listed
ENOUGH = 0  # of them written: holes make a directory of 100,000 files cheap


def long_listing(name: str, number: int, *, warm: bool = False, far: bool = True) -> Workload:
    folder = f"names-{number}"

    def count(place: Place) -> int:
        return place.count(number)

    def listed(place: Place, said: str) -> None:
        checked(said, f"{count(place) - 1:05}.dat", count(place))

    return Workload(
        name,
        lambda place: f"ls -l {count(place):,} names, {'warm' if warm else 'cold'}",
        lambda place: make_files(f"{place.server}/{folder}", count(place), NAME_SIZE, ENOUGH),
        {
            "mount": lambda p: listed(p, run("ls", "-l", p.path(folder))),
            "curl": lambda p: listed(p, curl(f"{p.url}{folder}/")),
        },
        units=count,
        warm=warm,
        after="ls-cold" if warm else "",
        logged=warm,
        far=far,
    )


def tree() -> Workload:
    def shape(place: Place) -> tuple[int, int]:
        """Directories, and files in each."""
        return place.count(200, 40), 10 if place.rtt_ms else 50

    def prepare(place: Place) -> None:
        directories, files = shape(place)
        for n in range(directories):
            make_files(f"{place.server}/tree/{n:03}", files, NAME_SIZE, ENOUGH)

    def found(place: Place, said: str) -> None:
        directories, files = shape(place)
        checked(said, f"{directories - 1:03}/{files - 1:05}.dat", directories * (files + 1))

    return Workload(
        "find",
        lambda place: "find in {} directories of {}".format(*shape(place)),
        prepare,
        {
            "mount": lambda p: found(p, run("find", p.path("tree"))),
            "lftp": lambda p: found(p, lftp(p, "find tree")),
        },
        units=lambda p: shape(p)[0] * shape(p)[1],
    )
