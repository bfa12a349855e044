from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.content.journal import (
    APPLICATION_ID,
    FILE_NAME,
    SCHEMA_VERSION,
    EntryState,
    Journal,
    Record,
    read_records,
)
from ftpfs.content.ranges import RangeSet
from ftpfs.errors import JournalError, NoSpaceError
from ftpfs.remote.api import Fingerprint


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def journal(directory: str) -> Iterator[Journal]:
    opened = Journal(directory)
    yield opened
    opened.close()


FULL = Record(
    path="/dir/caf\udce9 ü\N{PILE OF POO}'\"",
    spool="spool-1",
    state=EntryState.SENDING,
    size=1 << 50,
    base=Fingerprint(1 << 49, 1_700_000_000_123_456_789),
    present=RangeSet((0, 5), (1 << 40, 1 << 41)),
    dirty=RangeSet((1, 2)),
    mtime_ns=7,
    mode=0o600,
    in_place=True,
    created_ns=1_700_000_000_000_000_001,
    tries=3,
    error="550 caf\xe9: no\n",
)


def test_every_field_survives(directory: str, journal: Journal) -> None:
    """A field left out of the table would come back with its default."""
    defaults = Record("/", "spool")
    for each in fields(Record):
        if each.name != "id":
            assert getattr(FULL, each.name) != getattr(defaults, each.name), each.name
    kept = journal.put(FULL, durable=True)
    assert kept == replace(FULL, id=kept.id)
    assert kept.id > 0
    assert journal.records() == [kept]
    assert read_records(directory) == [kept]


records = st.builds(
    Record,
    path=st.text(st.characters(codec=None)).map(lambda text: "/" + text),
    spool=st.just("spool"),
    state=st.sampled_from(EntryState),
    size=st.integers(0, 1 << 60),
    base=st.none()
    | st.builds(Fingerprint, st.integers(0, 1 << 60), st.none() | st.integers(0, 1 << 62)),
    dirty=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99))).map(lambda r: RangeSet(*r)),
    mtime_ns=st.none() | st.integers(-(1 << 62), 1 << 62),
    in_place=st.booleans(),
)


@given(record=records)
def test_any_record_survives(tmp_path_factory: pytest.TempPathFactory, record: Record) -> None:
    directory = str(tmp_path_factory.mktemp("journal"))
    journal = Journal(directory)
    try:
        kept = journal.put(record, durable=False)
        assert journal.records() == [kept] == [replace(record, id=kept.id)]
    finally:
        journal.close()


def test_a_record_changes_and_goes(journal: Journal) -> None:
    first = journal.put(Record("/a", "s1"), durable=False)
    second = journal.put(Record("/b", "s2"), durable=False)
    changed = journal.put(replace(first, state=EntryState.PENDING, size=9), durable=True)
    assert changed.id == first.id
    assert journal.records() == [changed, second], "oldest first"
    journal.remove(first)
    assert journal.records() == [second]
    journal.remove(first)


def test_the_next_process_finds_them(directory: str) -> None:
    journal = Journal(directory)
    kept = [journal.put(replace(FULL, path=f"/{n}"), durable=n == 1) for n in range(3)]
    journal.close()
    again = Journal(directory)
    assert again.records() == kept
    assert again.put(Record("/new", "s"), durable=True).id > kept[-1].id
    again.close()


def test_killed_without_closing(directory: str) -> None:
    """What was put is in the files the moment `put` returns: SIGKILL takes nothing away."""
    pid = os.fork()
    if pid == 0:
        try:
            journal = Journal(directory)
            journal.put(Record("/safe", "s"), durable=True)
            journal.put(Record("/findable", "s"), durable=False)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert [record.path for record in read_records(directory)] == ["/safe", "/findable"]
    journal = Journal(directory)
    assert [record.path for record in journal.records()] == ["/safe", "/findable"]
    journal.close()


@pytest.mark.parametrize(("durable", "wanted"), [(True, 2), (False, 0)])
def test_durable_is_synchronous(journal: Journal, durable: bool, wanted: int) -> None:
    journal.put(Record("/a", "s"), durable=not durable)
    journal.put(Record("/b", "s"), durable=durable)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (wanted,)
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_reading_beside_a_writer(directory: str, journal: Journal) -> None:
    stop = threading.Event()

    def write() -> None:
        record = journal.put(Record("/a", "s"), durable=False)
        while not stop.is_set():
            record = journal.put(replace(record, tries=record.tries + 1), durable=False)

    journal.put(Record("/first", "s"), durable=False)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            assert read_records(directory)[0].path == "/first"
    finally:
        stop.set()
        writer.join(30)


def test_reading_where_there_is_none(directory: str) -> None:
    with pytest.raises(JournalError):
        read_records(directory)
    assert os.listdir(directory) == [], "nothing was made by looking"


def foreign(path: str) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE cookies (name TEXT)")
    db.commit()
    db.close()


def other_version(path: str) -> None:
    Journal(os.path.dirname(path)).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()


def other_table(path: str) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("CREATE TABLE other (name TEXT)")
    db.commit()
    db.close()


def garbage(path: str) -> None:
    with open(path, "wb") as out:
        out.write(b"no database " * 1000)


def a_directory(path: str) -> None:
    os.mkdir(path)


@pytest.mark.parametrize("make", [foreign, other_version, other_table, garbage, a_directory])
def test_what_is_no_journal(directory: str, make: Callable[[str], None]) -> None:
    path = os.path.join(directory, FILE_NAME)
    make(path)
    before = Path(path).read_bytes() if os.path.isfile(path) else b""
    with pytest.raises(JournalError):
        Journal(directory)
    assert not before or Path(path).read_bytes() == before, "left as it was"


@pytest.mark.parametrize(
    ("column", "value"),
    [("path", "no json"), ("state", "unheard of"), ("present", "[[1]]"), ("dirty", "7")],
)
def test_a_record_that_cannot_be_read(directory: str, column: str, value: str) -> None:
    journal = Journal(directory)
    journal.put(FULL, durable=True)
    journal._db.execute(f"UPDATE entries SET {column} = ?", (value,))
    with pytest.raises(JournalError):
        journal.records()
    with pytest.raises(JournalError):
        read_records(directory)
    journal.close()


def test_a_full_disk_is_no_damage(journal: Journal) -> None:
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NoSpaceError):
        journal.put(replace(FULL, path="/long" * 10_000), durable=False)


def test_a_journal_that_is_closed(directory: str) -> None:
    journal = Journal(directory)
    journal.close()
    with pytest.raises(JournalError):
        journal.put(FULL, durable=True)
    with pytest.raises(JournalError):
        journal.records()


def test_content_comes_back_and_stays_when_the_record_changes(journal: Journal) -> None:
    record = journal.put(Record("/small", ""), durable=True, content=b"\0bytes\xff")
    record = journal.put(replace(record, tries=2), durable=True)
    assert journal.content(record) == b"\0bytes\xff"
    other = journal.put(Record("/large", "spool-1"), durable=True)
    assert journal.content(other) is None
    journal.remove(record)
    assert journal.content(record) is None
