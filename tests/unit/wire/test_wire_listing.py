from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.errors import ProtocolError
from ftpfs.wire import listing
from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.listing import MAX_LIST_LINE, ListingReader, parse_list_line
from ftpfs.wire.timeval import UNKNOWN_S, utc_ns

NOW = utc_ns(2026, 11, 22, 18)
MUSEUM = Path(__file__).parents[2] / "data" / "listings"

parse_now = functools.partial(parse_list_line, now_ns=NOW)


# -- the museum --


def exhibits() -> Iterator[object]:
    for path in sorted(MUSEUM.glob("*.txt")):
        parse = parse_facts if path.name.startswith("mlsd-") else parse_now
        lines = path.read_text(encoding="utf-8").split("\n")
        lines = [line for line in lines if line and not line.startswith("# ")]
        for raw, expected in zip(lines[::2], lines[1::2], strict=True):
            assert expected.startswith("= "), f"{path.name}: {expected!r}"
            yield pytest.param(parse, raw, expected[2:], id=f"{path.stem}: {raw[-30:]}")


def compact(parse: Callable[[str], Entry | None], line: str) -> str:
    try:
        entry = parse(line)
    except ValueError:
        return "error"
    if entry is None:
        return "skip"
    arrow = "" if entry.target is None or entry.kind is not Kind.SYMLINK else f" -> {entry.target}"
    return f"{entry.kind.value} {entry.size} {entry.name}{arrow}"


@pytest.mark.parametrize(("parse", "line", "expected"), list(exhibits()))
def test_museum(parse: Callable[[str], Entry | None], line: str, expected: str) -> None:
    assert compact(parse, line) == expected


# -- one line: what the museum's short form leaves out --

MINUTE, DAY = 60, 86_400
UNIX_TIMES = {
    "clock": ("Nov 22 17:37", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "clock, last year": ("Dec 24 17:37", utc_ns(2025, 12, 24, 17, 37), MINUTE),
    "one-digit hour": ("Nov  2  7:05", utc_ns(2026, 11, 2, 7, 5), MINUTE),
    "year": ("Feb 29  2024", utc_ns(2024, 2, 29), DAY),
    "iso": ("2026-11-22 17:37", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "day first": ("22 Nov 17:37", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "day first with a dot": ("22. Nov 2025", utc_ns(2025, 11, 22), DAY),
    "German": ("9. Mär 17:37", utc_ns(2026, 3, 9, 17, 37), MINUTE),
    "French": ("3 août 2025", utc_ns(2025, 8, 3), DAY),
    "lower case": ("nov 22 17:37", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "Japanese": ("11月22日 17:37", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "leap day": ("Feb 29 10:00", utc_ns(2024, 2, 29, 10), MINUTE),
    "no such day": ("Feb 30 10:00", 0, UNKNOWN_S),
    "no such year": ("Jan  1  0000", 0, UNKNOWN_S),
    "unknown month": ("Brumaire 22 17:37", 0, UNKNOWN_S),
    "month in a wrong encoding": ("M\udce4r 22 17:37", 0, UNKNOWN_S),
}


@pytest.mark.parametrize(("date", "mtime_ns", "precision_s"), UNIX_TIMES.values(), ids=UNIX_TIMES)
def test_unix_times(date: str, mtime_ns: int, precision_s: int) -> None:
    expected = Entry("a", Kind.FILE, 7, mtime_ns, precision_s, 0o644)
    assert parse_now(f"-rw-r--r-- 1 u g 7 {date} a") == expected
    if precision_s != UNKNOWN_S:
        assert parse_now(f"-rw-r--r-- 1 u our own group 7 {date} a") == expected
        assert parse_now(f"-rw-r--r-- 7 {date} a") == expected


@pytest.mark.parametrize(
    ("permissions", "mode"),
    [
        ("rwxr-xr-x", 0o755),
        ("---------", 0),
        ("rwsr-xr-x", 0o4755),
        ("rwSr--r--", 0o4644),
        ("rwxr-sr-x", 0o2755),
        ("rw-r-Sr--", 0o2644),
        ("rw-r-lr--", 0o2644),
        ("rwxrwxrwt", 0o1777),
        ("rwxrwxrwT", 0o1776),
    ],
)
def test_modes(permissions: str, mode: int) -> None:
    entry = parse_now(f"-{permissions} 1 u g 7 Nov 22 17:37 a")
    assert entry is not None
    assert entry.mode == mode


DOS_TIMES = {
    "afternoon": ("11-22-26  05:37PM", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "midnight": ("11-22-26  12:00AM", utc_ns(2026, 11, 22), MINUTE),
    "noon": ("11-22-26  12:00PM", utc_ns(2026, 11, 22, 12), MINUTE),
    "four digits": ("11-22-2026  05:37AM", utc_ns(2026, 11, 22, 5, 37), MINUTE),
    "last century": ("11-22-99  05:37AM", utc_ns(1999, 11, 22, 5, 37), MINUTE),
    "three digits": ("11-22-126  05:37AM", utc_ns(2026, 11, 22, 5, 37), MINUTE),
    "24 hours": ("11-22-26  17:37", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "one letter": ("11-22-26  05:37p", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "day first": ("22/11/2026 17:37", utc_ns(2026, 11, 22, 17, 37), MINUTE),
    "German": ("03.11.2026 17:37", utc_ns(2026, 11, 3, 17, 37), MINUTE),
    "iso": ("2026-11-03 17:37", utc_ns(2026, 11, 3, 17, 37), MINUTE),
    "no such day": ("02-30-26  05:37PM", 0, UNKNOWN_S),
}


@pytest.mark.parametrize(("date", "mtime_ns", "precision_s"), DOS_TIMES.values(), ids=DOS_TIMES)
def test_dos_times(date: str, mtime_ns: int, precision_s: int) -> None:
    assert parse_now(f"{date}       7 a") == Entry("a", Kind.FILE, 7, mtime_ns, precision_s)
    assert parse_now(f"{date}       <DIR>          a") == Entry(
        "a", Kind.DIRECTORY, 0, mtime_ns, precision_s
    )


@pytest.mark.parametrize("line", ["", "   ", "\t", "total 12", "total 0"])
def test_lines_that_are_nothing(line: str) -> None:
    assert parse_now(line) is None


HARD = {
    "digits": "-rw-r--r-- " + "1" * 65_000,
    "numbers": "-rw-r--r-- " + "1 " * 32_000,
    "blanks": "-rw-r--r--" + " " * 65_000,
    "wide numbers": "-rw-r--r-- " + ("1" + " " * 40) * 1_500,
    "half dates": "-rw-r--r-- " + "1 Nov 22 " * 7_000,
    "half devices": "-rw-r--r-- " + "1, 1" * 16_000,
    "half a local date": "-rw-r--r-- " + "1 22. 11月 " * 6_000,
    "DOS blanks": "11-22-26 " + " " * 65_000,
    "DOS size": "11-22-26  17:37 " + "1," * 32_000,
}


@pytest.mark.parametrize("line", HARD.values(), ids=HARD)
def test_no_line_takes_long(line: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match="not a line"):
        parse_now(line)
    assert time.process_time() - start < 1


# -- the reader --


def read(
    *chunks: bytes | memoryview,
    parse: Callable[[str], Entry | None] = parse_now,
    encoding: str = "utf-8",
) -> ListingReader:
    reader = ListingReader(parse, encoding)
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()
    return reader


def line_of(name: str, size: int = 1) -> bytes:
    line = f"-rw-r--r-- 1 u g {size} Nov 22 17:37 {name}"
    return line.encode("utf-8", "surrogateescape")


def test_reader_takes_both_line_ends_and_a_last_line_without() -> None:
    reader = read(
        line_of(" a") + b"\r\n" + line_of("b ") + b"\n\r\n\n", memoryview(line_of("c\udce9"))
    )
    assert list(reader.entries) == [" a", "b ", "c\udce9"]
    assert (reader.skipped, reader.skipped_samples, reader.saw_dot) == (0, [], False)


def test_reader_finishes_once() -> None:
    reader = read(line_of("a"))
    reader.finish()
    assert (list(reader.entries), reader.skipped) == (["a"], 0)


@pytest.mark.parametrize("dot", [".", ".."])
def test_reader_notices_dots_and_does_not_count_them(dot: str) -> None:
    reader = read(line_of(dot))
    assert (reader.entries, reader.saw_dot, reader.skipped) == ({}, True, 0)


def test_reader_decodes() -> None:
    assert "По" in read(b"-rw-r--r-- 1 u g 1 Nov 22 17:37 \xcf\xee\r\n", encoding="cp1251").entries


@pytest.mark.parametrize(
    "line",
    [line_of("a/b"), line_of("../x"), line_of("a\rDELE b"), line_of("a\r") + b"\r",
     line_of("nul\0"), b"what is this"],
)  # fmt: skip
def test_reader_skips_one_line_and_no_other(line: bytes) -> None:
    reader = read(line_of("a") + b"\r\n" + line + b"\r\n" + line_of("z") + b"\r\n")
    assert list(reader.entries) == ["a", "z"]
    assert reader.skipped == 1
    (sample,) = reader.skipped_samples
    assert sample.isprintable()


def test_reader_keeps_the_first_of_two() -> None:
    reader = read(line_of("a", 1) + b"\n" + line_of("a", 2) + b"\n")
    assert reader.entries["a"].size == 1
    assert reader.skipped == 1


def test_reader_keeps_few_and_short_samples() -> None:
    reader = read(b"\x1b\xff" * 300 + b"\n", *[b"rubbish\n"] * 9)
    assert reader.skipped == 10
    assert len(reader.skipped_samples) == 5
    assert all(len(sample) <= 200 and sample.isprintable() for sample in reader.skipped_samples)


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_reader_drops_a_line_without_end_in_bounded_memory(step: int) -> None:
    long = line_of("x" * (MAX_LIST_LINE + 100))
    reader = ListingReader(parse_now)
    for at in range(0, len(long), step):
        reader.feed(long[at : at + step])
        assert len(reader._tail) <= MAX_LIST_LINE + 1
    reader.feed(b"\r\n" + line_of("b") + b"\r\n")
    reader.finish()
    assert list(reader.entries) == ["b"]
    assert reader.skipped == 1


def test_reader_line_bound_is_exact() -> None:
    longest = line_of("x" * (MAX_LIST_LINE - len(line_of(""))))
    assert len(read(longest + b"\n").entries) == 1
    assert len(read(longest + b"x\n").entries) == 0


def test_reader_refuses_a_listing_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 2)
    read(line_of("a") + b"\n" + line_of("b") + b"\n" + line_of("a") + b"\n")
    with pytest.raises(ProtocolError):
        read(line_of("a") + b"\n" + line_of("b") + b"\n" + line_of("c") + b"\n")


def test_reader_for_mlsd() -> None:
    reader = read(b"type=cdir; .\r\ntype=file;size=3; a;b\r\n\r\n", parse=parse_facts)
    assert {name: entry.size for name, entry in reader.entries.items()} == {"a;b": 3}
    assert reader.skipped == 0


def test_a_hundred_thousand_lines_in_reasonable_time() -> None:
    data = b"".join(line_of(f"file {number}") + b"\r\n" for number in range(100_000))
    start = time.process_time()
    reader = read(*(data[at : at + 65536] for at in range(0, len(data), 65536)))
    assert len(reader.entries) == 100_000
    assert time.process_time() - start < 5  # some 0.4 s on two old cores


FRAGMENTS = [
    *(line_of("a"), line_of("b "), line_of("."), b"total 3", b"\r\n", b"\n", b"\r", b"\xff", b" "),
    *(b"11-22-26  05:37PM       <DIR>          ", b"type=file;size=1; x", b"-rw-r--r-- 1 u g "),
    *(b"lrwxrwxrwx 1 u g 3 22 Nov 17:37 l -> ", b"4, 5 ", b"9. Dez 2025 ", b"2026-11-22 "),
]
PIECES = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=5))


@given(
    PIECES,
    st.sampled_from(["utf-8", "latin-1", "cp1251", "gbk", "shift_jis"]),
    st.sampled_from([parse_now, parse_facts]),
)
def test_any_bytes_in_any_chunks_give_the_same(
    pieces: list[bytes], encoding: str, parse: Callable[[str], Entry | None]
) -> None:
    whole = b"".join(pieces)
    results = [
        (r.entries, r.saw_dot, r.skipped, r.skipped_samples)
        for r in (
            read(whole, parse=parse, encoding=encoding),
            read(*pieces, parse=parse, encoding=encoding),
            read(*(bytes([byte]) for byte in whole), parse=parse, encoding=encoding),
        )
    ]
    assert results[0] == results[1] == results[2]


NAMES = st.text(min_size=1).filter(
    lambda name: not set(name) & set("\r\n\0/") and name not in (".", "..")
)


@given(
    NAMES,
    st.integers(0, 10**18 - 1),
    st.sampled_from(["Nov 22 17:37", "22. Okt 2024", "2026-11-22 17:37"]),
)
def test_any_name_survives_ls(name: str, size: int, date: str) -> None:
    line = f"-rw-r--r-- 1 u g {size} {date} {name}\r\n"
    try:
        raw = line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return
    (entry,) = read(raw).entries.values()
    assert (entry.name, entry.size) == (name, size)


@given(NAMES.filter(str.strip), st.integers(0, 10**15))
def test_any_name_survives_iis(name: str, size: int) -> None:
    entry = parse_now(f"11-22-26  05:37PM       {size:14d} {name}")
    folder = parse_now(f"11-22-26  05:37PM       <DIR>          {name}")
    assert entry is not None
    assert folder is not None
    assert (entry.name, entry.size, folder.name) == (name, size, name)
