"""What holds for any line whatever, and for any file that is printed as a server would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.wire.entry import Entry, Kind, rounded
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.listing import Clock, ListParser
from ftpfs.wire.timeval import SECOND_NS, format_time, utc_ns

NOW = utc_ns(2026, 11, 22, 18)
MUSEUM = Path(__file__).parents[2] / "data" / "listings"

# -- no line is too odd ---------------------------------------------------------------------------

LINES = [
    line
    for path in sorted(MUSEUM.glob("*.txt"))
    for line in path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    if line and not line.startswith(("# ", "= "))
]
ANY = st.characters() | st.sampled_from(" \t0123456789-:/;=,.[]<>()+*~\0\r\udce9\xa0月")


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A line of the museum with pieces of it changed, doubled, dropped or taken from others."""
    line = draw(st.sampled_from(LINES))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(line)))
        end = draw(st.integers(start, min(len(line), start + 12)))
        other = draw(st.sampled_from(LINES))
        piece = draw(st.text(ANY, max_size=4) | st.just(line[start:end] * 2) | st.just(other))
        line = line[:start] + piece + line[end:]
    return line


@given(st.lists(damaged() | st.text(ANY), min_size=1, max_size=5))
def test_any_lines_are_entries_or_nothing_or_value_errors(lines: list[str]) -> None:
    parse = ListParser(Clock(NOW))
    for line in lines:
        check(parse, line)
        check(parse_facts, line)


def check(parse: Callable[[str], Entry | None], line: str) -> None:
    try:
        entry = parse(line)
    except ValueError:
        return
    if entry is None:
        return
    assert isinstance(entry.name, str)
    assert entry.precision_s > 0
    assert entry.mode is None or 0 <= entry.mode <= 0o7777
    size = rounded(entry.size)
    assert 0 <= (entry.size if size is None else size) < 1 << 80


# -- what is printed is read again ----------------------------------------------------------------

NAMES = st.text(
    st.characters(exclude_characters="\r\n\0/", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda name: name not in (".", ".."))
SIZES = st.integers(0, 10**18 - 1)
MINUTE_NS, DAY_NS = 60 * SECOND_NS, 86_400 * SECOND_NS
RECENT = st.integers(NOW - 180 * DAY_NS, NOW).map(lambda ns: ns - ns % MINUTE_NS)
OLD = st.integers(0, NOW).map(lambda ns: ns - ns % DAY_NS)
MODES = st.integers(0, 0o7777)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def fields(ns: int) -> tuple[str, str, int, str, str]:
    """Year, month, day, hour and minute as texts; the day as a number."""
    text = format_time(ns)
    return text[:4], text[4:6], int(text[6:8]), text[8:10], text[10:12]


def letters(mode: int) -> str:
    shown = ["rwx"[place % 3] if mode >> (8 - place) & 1 else "-" for place in range(9)]
    for place, bit, upper, lower in ((2, 11, "S", "s"), (5, 10, "S", "s"), (8, 9, "T", "t")):
        if mode >> bit & 1:
            shown[place] = lower if shown[place] == "x" else upper
    return "".join(shown)


def of_unix(entry: Entry) -> str:
    year, month, day, hour, minute = fields(entry.mtime_ns)
    date = f"{MONTHS[int(month) - 1]} {day:2} "
    date += f"{hour}:{minute}" if entry.precision_s == 60 else f" {year}"
    mark = {Kind.FILE: "-", Kind.DIRECTORY: "d"}[entry.kind]
    return f"{mark}{letters(entry.mode or 0)} 1 u g {entry.size:8} {date} {entry.name}"


def of_iis(entry: Entry) -> str:
    year, month, day, hour, minute = fields(entry.mtime_ns)
    half = "AM" if int(hour) < 12 else "PM"
    date = f"{month}-{day:02}-{year[2:]}  {(int(hour) + 11) % 12 + 1:02}:{minute}{half}"
    column = "      <DIR>          " if entry.kind is Kind.DIRECTORY else f"{entry.size:20}"
    return f"{date} {column}{'' if entry.kind is Kind.DIRECTORY else ' '}{entry.name}"


def of_eplf(entry: Entry) -> str:
    kind = "/" if entry.kind is Kind.DIRECTORY else f"r,s{entry.size}"
    return f"+i1.2,m{entry.mtime_ns // SECOND_NS},{kind},up{entry.mode:o},\t{entry.name}"


def of_facts(entry: Entry) -> str:
    kind = {Kind.FILE: "file", Kind.DIRECTORY: "dir"}[entry.kind]
    time = format_time(entry.mtime_ns)
    return f"type={kind};size={entry.size};modify={time};UNIX.mode=0{entry.mode:o}; {entry.name}"


def of_os2(entry: Entry) -> str:
    year, month, day, hour, minute = fields(entry.mtime_ns)
    mark = "DIR" if entry.kind is Kind.DIRECTORY else ""
    return f"{entry.size:10} {mark:>12}   {month}-{day:02}-{year}   {hour}:{minute}  {entry.name}"


KINDS = st.sampled_from([Kind.FILE, Kind.DIRECTORY])


@given(NAMES, KINDS, SIZES, RECENT, MODES)
def test_ls_of_recent_files(name: str, kind: Kind, size: int, time: int, mode: int) -> None:
    if kind is Kind.DIRECTORY:
        name = name.rstrip("/")
    entry = Entry(name, kind, size, time, 60, mode)
    assert ListParser(Clock(NOW))(of_unix(entry)) == entry


@given(NAMES, KINDS, SIZES, OLD, MODES)
def test_ls_of_old_files(name: str, kind: Kind, size: int, time: int, mode: int) -> None:
    entry = Entry(name, kind, size, time, 86_400, mode)
    assert ListParser(Clock(NOW))(of_unix(entry)) == entry


@given(NAMES.filter(str.strip), KINDS, SIZES, st.integers(0, NOW))
def test_dir(name: str, kind: Kind, size: int, time: int) -> None:
    time -= time % MINUTE_NS
    entry = Entry(name, kind, size if kind is Kind.FILE else 0, time, 60)
    assert ListParser(Clock(NOW))(of_iis(entry)) == entry


@given(NAMES, KINDS, SIZES, st.integers(0, NOW), MODES)
def test_eplf(name: str, kind: Kind, size: int, time: int, mode: int) -> None:
    time -= time % SECOND_NS
    entry = Entry(name, kind, size if kind is Kind.FILE else 0, time, 1, mode)
    assert ListParser(Clock(NOW))(of_eplf(entry)) == entry


@given(NAMES, KINDS, SIZES, st.integers(0, NOW), MODES)
def test_facts(name: str, kind: Kind, size: int, time: int, mode: int) -> None:
    time -= time % SECOND_NS
    entry = Entry(name, kind, size, time, 1, mode)
    assert parse_facts(of_facts(entry)) == entry


@given(NAMES.filter(lambda name: name[0] != " "), KINDS, SIZES, st.integers(0, NOW))
def test_os2(name: str, kind: Kind, size: int, time: int) -> None:
    time -= time % MINUTE_NS
    entry = Entry(name, kind, size if kind is Kind.FILE else 0, time, 60)
    assert ListParser(Clock(NOW))(of_os2(entry)) == entry


@given(st.lists(st.tuples(NAMES, RECENT), min_size=1, max_size=9), st.integers(-48, 56))
def test_a_listing_in_any_zone_gives_utc(files: list[tuple[str, int]], quarters: int) -> None:
    zone_s = quarters * 900
    parse = ListParser(Clock(NOW, zone_s))
    for name, time in files:
        local = Entry(name, Kind.FILE, 1, time + zone_s * SECOND_NS, 60, 0o644)
        entry = parse(of_unix(local))
        assert entry is not None
        assert (entry.name, entry.mtime_ns) == (name, time)


@pytest.mark.parametrize("target", ["b", "b -> c", "../x/y", "é", "a\udce9"])
def test_the_size_of_a_link_tells_where_its_name_ends(target: str) -> None:
    for name in ("l", "a -> b", " -> "):
        size = len(target.encode("utf-8", "surrogateescape"))
        line = f"lrwxrwxrwx 1 u g {size} Nov 22 17:37 {name} -> {target}"
        entry = ListParser(Clock(NOW))(line)
        assert entry is not None
        assert (entry.name, entry.target) == (name, target)
