from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ftpfs.content.draft import Draft
from ftpfs.content.journal import FILE_NAME, EntryState, Record
from ftpfs.content.space import Space
from ftpfs.content.store import Store, abandoned, directories, place_of
from ftpfs.errors import JournalError

PLENTY = Space(1 << 40)


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "place")


def left(place: str, state: EntryState, data: bytes = b"content", path: str = "/file") -> str:
    """What a process that died left: a store with one entry, whose lock is free."""
    store = Store.create(place, PLENTY)
    draft = Draft.begin(store, path, 0, None)
    draft.spool.write(data, 0)
    draft.note(state, durable=False)
    draft.close(keep=True)
    store.journal.close()
    os.close(store._lock_fd)
    return store.directory


def close(stores: list[Store]) -> None:
    for store in stores:
        store.close()


def test_a_place_for_each_server_and_directory() -> None:
    names = {
        place_of("/root", url) for url in ("ftp://a/", "ftp://b/", "ftp://a/d", "ftp://\udcff")
    }
    assert len(names) == 4
    assert all(os.path.dirname(name) == "/root" for name in names)


def test_an_empty_store_vanishes(place: str) -> None:
    store = Store.create(place, PLENTY)
    assert directories(place) == [store.directory]
    assert os.stat(store.directory).st_mode & 0o077 == 0
    store.close()
    assert os.listdir(place) == []


def test_a_store_with_an_entry_stays(place: str) -> None:
    store = Store.create(place, PLENTY)
    draft = Draft.begin(store, "/file", 0, None)
    draft.spool.write(b"content", 0)
    draft.note(EntryState.PENDING, durable=True)
    draft.close(keep=True)
    store.close()
    (again,) = abandoned(place, PLENTY)
    (record,) = again.journal.records()
    assert record.state is EntryState.PENDING
    found = Draft.found(again, record)
    target = bytearray(7)
    assert found.spool.read_into(memoryview(target), 0) == 7
    assert target == b"content"
    found.close()
    again.close()
    assert os.listdir(place) == []


def test_no_place_no_stores(place: str) -> None:
    assert directories(place) == []
    assert abandoned(place, PLENTY) == []


def test_a_live_store_is_not_claimed(place: str) -> None:
    store = Store.create(place, PLENTY)
    assert abandoned(place, PLENTY) == []
    store.close()


def test_the_store_of_another_live_process_is_not_claimed(place: str) -> None:
    code = (
        "import sys; from ftpfs.content.space import Space; from ftpfs.content.store import Store\n"
        "store = Store.create(sys.argv[1], Space(9)); print('made', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"made\n"
        assert len(directories(place)) == 1
        assert abandoned(place, PLENTY) == []
        process.kill()
        process.wait(30)
    stores = abandoned(place, PLENTY)
    assert len(stores) == 1
    close(stores)


def test_a_dead_store_is_claimed_once(place: str) -> None:
    directory = left(place, EntryState.PENDING)
    stores = abandoned(place, PLENTY)
    assert [store.directory for store in stores] == [directory]
    assert abandoned(place, PLENTY) == []
    close(stores)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (EntryState.OPEN, EntryState.FAILED),
        (EntryState.PENDING, EntryState.PENDING),
        (EntryState.SENDING, EntryState.SENDING),
        (EntryState.FAILED, EntryState.FAILED),
    ],
)
def test_what_was_only_open_was_promised_to_nobody(
    place: str, before: EntryState, after: EntryState
) -> None:
    left(place, before)
    (store,) = abandoned(place, PLENTY)
    (record,) = store.journal.records()
    assert record.state is after
    assert bool(record.error) is (before is EntryState.OPEN)
    store.close()


def test_two_stores_of_one_place_are_independent(place: str) -> None:
    one, other = Store.create(place, PLENTY), Store.create(place, PLENTY)
    assert one.directory != other.directory
    draft = Draft.begin(one, "/file", 0, None)
    draft.note(EntryState.OPEN, durable=False)
    assert other.journal.records() == []
    other.close()
    assert directories(place) == [one.directory]
    draft.close()
    one.close()


def damage_file(directory: str) -> None:
    with open(os.path.join(directory, FILE_NAME), "r+b") as file:
        file.write(b"x" * 4096)
    for suffix in ("-wal", "-shm"):
        Path(directory, FILE_NAME + suffix).unlink(missing_ok=True)


def damage_record(directory: str) -> None:
    store = Store(directory, -1, PLENTY)
    store.journal._db.execute("UPDATE entries SET path = 'no json'")
    store.journal.close()


@pytest.mark.parametrize("damage", [damage_file, damage_record])
def test_a_damaged_journal_is_moved_aside_and_said(
    place: str, damage: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    bad = left(place, EntryState.PENDING, b"precious")
    good = left(place, EntryState.PENDING, path="/good")
    damage(bad)
    before = sorted(os.listdir(bad))
    with caplog.at_level(logging.ERROR):
        stores = abandoned(place, PLENTY)
    assert [store.directory for store in stores] == [good]
    close(stores)
    (aside,) = (name for name in os.listdir(place) if name.startswith("damaged-"))
    assert caplog.text.count(aside) == 1
    assert set(before) - {FILE_NAME + "-wal", FILE_NAME + "-shm"} <= set(
        os.listdir(os.path.join(place, aside))
    )
    (spool,) = Path(place, aside).glob("spool-*")
    assert spool.read_bytes() == b"precious"


def test_an_entry_whose_spool_file_is_gone(place: str) -> None:
    directory = left(place, EntryState.PENDING)
    (spool,) = Path(directory).glob("spool-*")
    spool.unlink()
    (store,) = abandoned(place, PLENTY)
    (record,) = store.journal.records()
    with pytest.raises(JournalError, match="gone"):
        Draft.found(store, record)
    store.close()


def test_a_spools_name_cannot_lead_out(place: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    store = Store.create(place, PLENTY)
    with pytest.raises(JournalError):
        store.spool_of(Record("/file", "../../secret"))
    store.close()


def test_a_directory_without_a_lock_file_is_locked_too(place: str) -> None:
    os.makedirs(os.path.join(place, "mount-x"))
    stores = abandoned(place, PLENTY)
    assert len(stores) == 1
    close(stores)
    assert directories(place) == []
