"""What is kept of closed files, and when it is the file of now."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ftpfs.cache.blocks import BlockCache
from ftpfs.config import KEPT_READERS, RACY_S
from ftpfs.content.kept import KeptReaders, Version
from ftpfs.content.reader import Reader
from ftpfs.content.segments import Verdict
from ftpfs.content.streams import Ways
from ftpfs.errors import BadHandleError
from ftpfs.remote.api import SECOND_NS, Download, Entry, Kind, Spare

TRUST_S = 20.0
NOW_NS = 1_700_000_000 * SECOND_NS


def version(age_s: float = 3600.0, size: int = 10, precision_s: int = 1) -> Version:
    """A file changed `age_s` before it was opened."""
    mtime_ns = NOW_NS - int(age_s * SECOND_NS)
    return Version.of(Entry("f", Kind.FILE, size, mtime_ns, precision_s), NOW_NS)


OLD = version()
FRESH = version(age_s=1.0)


def nothing(_spare: Spare | None, _offset: int) -> Download:
    raise BadHandleError("nobody has this file open")


class Table:
    """Kept readers, and a clock set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.blocks = BlockCache()
        self.kept = KeptReaders(TRUST_S, lambda: self.now)

    def reader(self, size: int = 10) -> Reader:
        return Reader(Ways(nothing, lambda: None, Verdict()), size, self.blocks)

    def put(self, path: str, of: Version = OLD, since: float | None = None) -> Reader:
        reader = self.reader(of.size)
        self.kept.put(path, of, reader, self.now if since is None else since)
        return reader

    def taken(self, path: str, of: Version = OLD) -> Reader | None:
        kept = self.kept.take(path, of)
        return None if kept is None else kept.reader


@pytest.fixture
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.kept.close()


def test_what_was_put_is_there_for_the_next_one(table: Table) -> None:
    reader = table.put("/f")
    assert table.taken("/f") is reader
    assert table.taken("/f") is None, "it has one owner"
    assert table.taken("/other") is None


@pytest.mark.parametrize("other", [version(size=11), version(age_s=3599.0)], ids=["size", "time"])
def test_another_version_is_not_served_from_it(table: Table, other: Version) -> None:
    reader = table.put("/f")
    assert table.taken("/f", other) is None
    assert reader._closed
    assert table.taken("/f") is None


def test_an_old_version_is_kept_as_long_as_there_is_room(table: Table) -> None:
    reader = table.put("/f")
    table.now += 100 * TRUST_S
    assert table.taken("/f") is reader


def test_a_version_that_was_just_changed_is_trusted_as_long_as_a_listing(table: Table) -> None:
    reader = table.put("/f", FRESH)
    table.now += TRUST_S - 0.1
    assert table.taken("/f", FRESH) is reader
    table.kept.put("/f", FRESH, reader, 1000.0)
    table.now += 0.1
    assert table.taken("/f", FRESH) is None
    assert reader._closed


def test_the_trust_counts_from_the_opening(table: Table) -> None:
    """A file that was open for long was not looked at since."""
    table.put("/f", FRESH, since=table.now - TRUST_S)
    assert table.taken("/f", FRESH) is None


@pytest.mark.parametrize(
    ("age_s", "precision_s", "settled"),
    [
        (RACY_S + 0.5, 1, False),
        (RACY_S + 1.5, 1, True),
        (45.0, 60, False),  # LIST shows minutes: it may change again within this one
        (63.0, 60, True),
        (-3600.0, 1, False),  # the server's clock is ahead
    ],
)
def test_racy(age_s: float, precision_s: int, settled: bool) -> None:
    assert version(age_s, precision_s=precision_s).settled(precision_s) is settled
    assert version(age_s, precision_s=1).settled(precision_s) is settled, "written from here"


def test_was_read(table: Table) -> None:
    table.put("/f")
    assert table.kept.was_read("/f", OLD)
    assert not table.kept.was_read("/f", version(size=11))
    assert not table.kept.was_read("/other", OLD)
    assert table.taken("/f") is not None, "asking takes nothing"


def expected(table: Table, path: str, of: Version = OLD) -> Reader | None:
    return table.kept.to_fetch(path, of, lambda: table.reader(of.size))


def test_what_was_only_fetched_ahead_was_not_read(table: Table) -> None:
    reader = expected(table, "/f")
    assert reader is not None
    assert not table.kept.was_read("/f", OLD)
    assert table.taken("/f") is reader


def test_what_was_read_before_is_known_after_another_version_was_fetched_ahead(
    table: Table,
) -> None:
    table.put("/f", OLD)
    for size in (11, 12):
        assert expected(table, "/f", version(size=size)) is not None
        assert table.kept.was_other("/f", version(size=size))
        assert not table.kept.was_read("/f", version(size=size))
    assert not table.kept.was_other("/f", OLD)
    assert not table.kept.was_other("/other", OLD)


def test_what_the_server_has_more_of_is_not_taken_again(table: Table) -> None:
    reader = table.put("/f")
    reader.outgrown = True
    assert not table.kept.was_read("/f", OLD)
    assert table.taken("/f") is None


def test_nothing_is_fetched_that_is_in_memory(table: Table) -> None:
    reader = table.put("/f")
    block = table.blocks.new(reader._source.file, 0, 0, 10)
    block.end = 10
    assert expected(table, "/f") is None
    assert table.taken("/f") is reader


def test_nothing_is_fetched_twice(table: Table) -> None:
    assert expected(table, "/f") is not None
    assert expected(table, "/f") is None


def test_what_fell_out_of_memory_is_fetched_again(table: Table) -> None:
    reader = table.put("/f")
    assert expected(table, "/f") is reader
    assert table.kept.was_read("/f", OLD), "what the kernel has of it is still right"


def test_what_was_dropped_may_be_fetched_later(table: Table) -> None:
    reader = expected(table, "/f")
    assert reader is not None
    reader.unexpected()
    assert expected(table, "/f") is reader


def test_what_is_to_be_fetched_replaces_another_version(table: Table) -> None:
    before = table.put("/f", version(size=9))
    after = expected(table, "/f")
    assert before._closed
    assert after is not None
    assert table.taken("/f") is after


def test_the_least_recently_used_goes_first(table: Table) -> None:
    first = table.put("/0")
    second = table.put("/1")
    for number in range(2, KEPT_READERS):
        table.put(f"/{number}")
    assert not first._closed
    table.put("/more")
    assert first._closed
    assert not second._closed


def test_forget(table: Table) -> None:
    reader, other = table.put("/f"), table.put("/ff")
    table.kept.forget("/f")
    table.kept.forget("/unknown")
    assert reader._closed
    assert table.taken("/ff") is other


def test_forget_below(table: Table) -> None:
    below = [table.put(path) for path in ("/d/a", "/d/e/b")]
    beside = [table.put(path) for path in ("/dd/a", "/d")]
    table.kept.forget_below("/d")
    assert all(reader._closed for reader in below)
    assert not any(reader._closed for reader in beside)


def test_close(table: Table) -> None:
    readers = [table.put("/a"), table.put("/b")]
    table.kept.close()
    assert all(reader._closed for reader in readers)
    assert table.taken("/a") is None


def test_versions_are_told_apart_by_size_and_time() -> None:
    assert OLD.same(OLD._replace(age_s=0.0))
    assert not OLD.same(OLD._replace(size=9))
    assert not OLD.same(OLD._replace(mtime_ns=OLD.mtime_ns + 1))
