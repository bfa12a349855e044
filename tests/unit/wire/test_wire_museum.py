"""Every line of tests/data/listings gives what stands below it. The README there explains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import pytest

from ftpfs.wire.entry import Entry, Kind, rounded
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.listing import Clock, ListParser
from ftpfs.wire.timeval import SECOND_NS, UNKNOWN_S, utc_ns

NOW = utc_ns(2026, 11, 22, 18)
MUSEUM = Path(__file__).parents[2] / "data" / "listings"

# Where a heading, the line before or the neighbours decide.
NOT_ALONE = ("vms-", "zos-members", "mac-")

LineParser = Callable[[str], Entry | None]


@dataclass(frozen=True)
class Exhibit:
    """A line, what it must give, and the lines of its listing that came before."""

    room: str
    line: str
    expected: str
    before: tuple[str, ...]


@lru_cache
def exhibits() -> tuple[Exhibit, ...]:
    return tuple(exhibit for path in sorted(MUSEUM.glob("*.txt")) for exhibit in of_room(path))


def of_room(path: Path) -> Iterator[Exhibit]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    lines = [line for line in text.split("\n") if line and not line.startswith("# ")]
    before: list[str] = []
    for line, expected in zip(lines[::2], lines[1::2], strict=True):
        assert expected.startswith("= "), f"{path.name}: {expected!r} does not begin with `= `"
        yield Exhibit(path.stem, line, expected[2:], tuple(before))
        before.append(line)


def parser_of(room: str) -> LineParser:
    return parse_facts if room.startswith("mlsd-") else ListParser(Clock(NOW))


def described(parse: LineParser, line: str) -> str:
    """A line of the museum for what `parse` makes of it."""
    try:
        entry = parse(line)
    except ValueError:
        return "unreadable"
    if entry is None:
        return "nothing"
    rough = rounded(entry.size)
    size = entry.size if rough is None else f"~{rough}"
    arrow = "" if entry.target is None or entry.kind is not Kind.SYMLINK else f" -> {entry.target}"
    return f"{entry.kind.value} {size} {shown_time(entry)} {entry.name}{arrow}"


def shown_time(entry: Entry) -> str:
    if entry.precision_s == UNKNOWN_S:
        return "?"
    seconds, fraction = divmod(entry.mtime_ns, SECOND_NS)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    if entry.precision_s == 1:
        shown = f"{moment:%Y-%m-%dT%H:%M:%S}"
        return f"{shown}.{fraction // 1_000_000:03}" if fraction else shown
    assert fraction == 0
    return f"{moment:%Y-%m-%d}" if entry.precision_s == 86_400 else f"{moment:%Y-%m-%dT%H:%M}"


def name_of(exhibit: Exhibit) -> str:
    shown = exhibit.line.encode("ascii", "backslashreplace").decode()
    return f"{exhibit.room}: {shown[-40:]}"


@pytest.mark.parametrize("exhibit", exhibits(), ids=name_of)
def test_exhibit(exhibit: Exhibit) -> None:
    parse = parser_of(exhibit.room)
    for line in exhibit.before:
        described(parse, line)
    assert described(parse, exhibit.line) == exhibit.expected


ALONE = [e for e in exhibits() if not e.room.startswith(NOT_ALONE) and e.expected != "nothing"]


@pytest.mark.parametrize("exhibit", ALONE, ids=name_of)
def test_exhibit_alone(exhibit: Exhibit) -> None:
    assert described(parser_of(exhibit.room), exhibit.line) == exhibit.expected


def test_the_museum_is_not_empty() -> None:
    assert len({exhibit.room for exhibit in exhibits()}) >= 25
    assert len(exhibits()) >= 300


def test_no_dialect_is_taken_for_another() -> None:
    """All listings one after the other: what was read before does not change what follows."""
    parse = ListParser(Clock(NOW))
    for exhibit in ALONE:
        if not exhibit.room.startswith("mlsd-"):
            assert described(parse, exhibit.line) == exhibit.expected, exhibit.line
