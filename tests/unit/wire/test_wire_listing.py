"""Lines in all their details, and the reader that collects them. Whole lines of real servers are in
the museum: test_wire_museum.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.config import LISTING_LINE_BYTES, NAME_BYTES
from ftpfs.errors import DirectoryTooLargeError
from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.listing import Clock, ListingReader, ListParser, reader
from ftpfs.wire.listing.clock import zone_between
from ftpfs.wire.listing.months import MONTHS
from ftpfs.wire.timeval import SECOND_NS, UNKNOWN_S, utc_ns

NOW = utc_ns(2026, 11, 22, 18)


def parse_now(line: str) -> Entry | None:
    return ListParser(Clock(NOW))(line)


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


def test_a_zone_shifts_what_is_local() -> None:
    india = ListParser(Clock(NOW, 19_800))
    times = {
        "-rw-r--r-- 1 u g 7 Nov 22 17:37 a": utc_ns(2026, 11, 22, 12, 7),
        "-rw-r--r-- 1 u g 7 Nov 23 23:15 later here, but not there": utc_ns(2026, 11, 23, 17, 45),
        "-rw-r--r-- 1 u g 7 Jan  1  2026 a": utc_ns(2025, 12, 31, 18, 30),
        "-rw-r--r-- 1 u g 7 9. M\u00e4r 17:37 a": utc_ns(2026, 3, 9, 12, 7),
        "11-22-26  05:37PM  7 a": utc_ns(2026, 11, 22, 12, 7),
        "A.TXT;1  1  22-NOV-2026 17:37:12": utc_ns(2026, 11, 22, 12, 7),
        "+m7,r,s7,\ta": 7 * SECOND_NS,
    }
    for line, mtime_ns in times.items():
        entry = india(line)
        assert entry is not None
        assert entry.mtime_ns == mtime_ns, line


@pytest.mark.parametrize(
    ("listed", "exact", "zone_s"),
    [
        ((17, 37), (17, 37, 59), 0),
        ((17, 37), (12, 7, 12), 19_800),
        ((17, 37), (23, 22, 0), -20_700),
        ((17, 38), (17, 37, 30), 0),  # a server that rounds
        ((17, 37), (17, 39, 0), None),  # changed in between
        ((23, 0), (8, 45, 0), None),  # no zone is 14:15 ahead
        ((0, 0), (12, 15, 0), None),
    ],
)
def test_zones(listed: tuple[int, int], exact: tuple[int, int, int], zone_s: int | None) -> None:
    day = 2026, 11, 22
    assert zone_between(utc_ns(*day, *listed), utc_ns(*day, *exact)) == zone_s


@given(st.integers(-48, 56), st.integers(0, 1 << 60))
def test_every_zone_is_found_again(quarters: int, exact_ns: int) -> None:
    zone_s = quarters * 900
    listed_ns = exact_ns - exact_ns % (60 * SECOND_NS) + zone_s * SECOND_NS
    assert zone_between(listed_ns, exact_ns) == zone_s


def test_no_word_means_two_months() -> None:
    assert all(word == word.lower().rstrip(".,") for word in MONTHS)
    assert set(MONTHS.values()) == set(range(1, 13))


def test_the_day_a_year_ago_and_the_day_tomorrow() -> None:
    """The year is decided for a whole day at once, but not for the one in which it changes."""
    parse = ListParser(Clock(NOW))
    times = []
    for clock in ("17:59", "18:00", "18:01"):
        entry = parse(f"-rw-r--r-- 1 u g 7 Nov 23 {clock} a")
        assert entry is not None
        times.append(entry.mtime_ns)
    assert times == [
        utc_ns(2026, 11, 23, 17, 59), utc_ns(2026, 11, 23, 18, 0), utc_ns(2025, 11, 23, 18, 1),
    ]  # fmt: skip


# -- the reader --


def read(
    *chunks: bytes | memoryview,
    parse: Callable[[str], Entry | None] | None = None,
    encoding: str = "utf-8",
) -> ListingReader:
    found = ListingReader(parse or ListParser(Clock(NOW)), encoding)
    for chunk in chunks:
        found.feed(chunk)
    found.finish()
    return found


def line_of(name: str, size: int = 1) -> bytes:
    line = f"-rw-r--r-- 1 u g {size} Nov 22 17:37 {name}"
    return line.encode("utf-8", "surrogateescape")


def test_reader_takes_both_line_ends_and_a_last_line_without() -> None:
    found = read(
        line_of(" a") + b"\r\n" + line_of("b ") + b"\n\r\n\n", memoryview(line_of("c\udce9"))
    )
    assert list(found.entries) == [" a", "b ", "c\udce9"]
    assert (found.skipped, found.skipped_samples, found.saw_dot) == (0, [], False)


def test_reader_finishes_once() -> None:
    found = read(line_of("a"))
    found.finish()
    assert (list(found.entries), found.skipped) == (["a"], 0)


@pytest.mark.parametrize("dot", [".", ".."])
def test_reader_notices_dots_and_does_not_count_them(dot: str) -> None:
    found = read(line_of(dot))
    assert (found.entries, found.saw_dot, found.skipped) == ({}, True, 0)


def test_reader_decodes() -> None:
    assert "По" in read(b"-rw-r--r-- 1 u g 1 Nov 22 17:37 \xcf\xee\r\n", encoding="cp1251").entries


@pytest.mark.parametrize(
    "line",
    [line_of("a/b"), line_of("../x"), line_of("a\rDELE b"), line_of("a\r") + b"\r",
     line_of("nul\0"), b"what is this"],
)  # fmt: skip
def test_reader_skips_one_line_and_no_other(line: bytes) -> None:
    found = read(line_of("a") + b"\r\n" + line + b"\r\n" + line_of("z") + b"\r\n")
    assert list(found.entries) == ["a", "z"]
    assert found.skipped == 1
    (sample,) = found.skipped_samples
    assert sample.isprintable()


def test_reader_keeps_the_first_of_two() -> None:
    found = read(line_of("a", 1) + b"\n" + line_of("a", 2) + b"\n")
    assert found.entries["a"].size == 1
    assert found.skipped == 1


def test_reader_keeps_few_and_short_samples() -> None:
    found = read(b"\x1b\xff" * 300 + b"\n", *[b"rubbish\n"] * 9)
    assert found.skipped == 10
    assert len(found.skipped_samples) == 5
    assert all(len(sample) <= 200 and sample.isprintable() for sample in found.skipped_samples)


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_reader_drops_a_line_without_end_in_bounded_memory(step: int) -> None:
    long = line_of("x" * (LISTING_LINE_BYTES + 100))
    found = ListingReader(parse_now)
    for at in range(0, len(long), step):
        found.feed(long[at : at + step])
        assert len(found._tail) <= LISTING_LINE_BYTES + 1
    found.feed(b"\r\n" + line_of("b") + b"\r\n")
    found.finish()
    assert list(found.entries) == ["b"]
    assert found.skipped == 1


def test_reader_line_bound_is_exact() -> None:
    link = b"lrwxrwxrwx 1 u g 3 Nov 22 17:37 l -> "
    longest = link.ljust(LISTING_LINE_BYTES, b"x")
    assert len(read(longest + b"\n").entries) == 1
    assert len(read(longest + b"x\n").entries) == 0


def test_reader_skips_names_that_the_kernel_does_not_take() -> None:
    """One of them would make it refuse the whole directory. The bytes count, not the characters."""
    longest, too_long = "ä" * (NAME_BYTES // 2), "ä" * (NAME_BYTES // 2) + "x"
    found = read(line_of("a") + b"\n" + line_of(longest) + b"\n" + line_of(too_long) + b"\n")
    assert list(found.entries) == ["a", longest]
    assert found.skipped == 1
    link = f"lrwxrwxrwx 1 u g 3 Nov 22 17:37 link -> {'x' * 4000}\n".encode()
    assert list(read(link).entries) == ["link"]


@pytest.mark.parametrize("line", [line_of("a"), b"rubbish", b""])
def test_reader_refuses_a_listing_of_too_many_lines(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where none of them is a file."""
    monkeypatch.setattr(reader, "LISTING_LINES", 100)
    found = read(*[line + b"\r\n"] * 100)
    with pytest.raises(DirectoryTooLargeError, match="more than 100 lines"):
        found.feed(line + b"\r\n")


def test_reader_refuses_a_listing_of_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that never ends a line."""
    monkeypatch.setattr(reader, "LISTING_BYTES", 10_000)
    found = ListingReader(parse_now)
    for _ in range(10):
        found.feed(b"x" * 1000)
    with pytest.raises(DirectoryTooLargeError, match="more than 10,000 bytes"):
        found.feed(b"x")


def test_reader_keeps_a_rounded_size_and_says_of_which_files() -> None:
    found = read(b"A.TXT;1   2/4   22-NOV-2026 17:37\r\nSUB.DIR;1   1/1   22-NOV-2026 17:37\r\n")
    assert {name: entry.size for name, entry in found.entries.items()} == {"A.TXT": 1024, "SUB": 0}
    assert found.unsized == ["A.TXT"]
    facts = read(b"type=file; a\r\ntype=dir; b\r\ntype=file;size=0; c\r\n", parse=parse_facts)
    assert facts.unsized == ["a"]
    assert facts.entries["a"].size == 0
    rounded = read(b"drwxr-xr-x 2 u g 4.0K Nov 22 17:37 d\n-rw-r--r-- 1 u g 1.5K Nov 22 17:37 f\n")
    assert rounded.unsized == ["f"]
    assert [entry.size for entry in rounded.entries.values()] == [4096, 1536]


def test_reader_for_mlsd() -> None:
    found = read(b"type=cdir; .\r\ntype=file;size=3; a;b\r\n\r\n", parse=parse_facts)
    assert {name: entry.size for name, entry in found.entries.items()} == {"a;b": 3}
    assert found.skipped == 0


FRAGMENTS = [
    *(line_of("a"), line_of("b "), line_of("."), b"total 3", b"\r\n", b"\n", b"\r", b"\xff", b" "),
    *(b"11-22-26  05:37PM       <DIR>          ", b"type=file;size=1; x", b"-rw-r--r-- 1 u g "),
    *(b"lrwxrwxrwx 1 u g 3 22 Nov 17:37 l -> ", b"4, 5 ", b"9. Dez 2025 ", b"2026-11-22 "),
]
PIECES = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=5))


@given(
    PIECES,
    st.sampled_from(["utf-8", "latin-1", "cp1251", "gbk", "shift_jis"]),
    st.sampled_from([None, parse_facts]),
)
def test_any_bytes_in_any_chunks_give_the_same(
    pieces: list[bytes], encoding: str, parse: Callable[[str], Entry | None] | None
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
    st.sampled_from(["Nov 22 17:37", "22. Okt 2024 ", "2026-11-22 17:37"]),
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
