"""A database kept on the mount, and what a small change of a large file costs the network."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exerciser.relay import Relay, counted
from mounts import Mount, mounted
from servers import Running, Server, pyftpdlib_server, vsftpd_server

pytestmark = pytest.mark.mounted

SERVERS: dict[str, Callable[[str], Running]] = {
    "pyftpdlib": pyftpdlib_server,
    "vsftpd": vsftpd_server,
}
MODES = {"default": (), "writeback": ("writeback",)}
MB = 1_000_000
TRANSACTIONS, INSERTS = 20, 50


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    root = f"{tmp_path}/root"
    os.mkdir(root)
    with SERVERS[request.param](root) as made:
        yield made
    for name in os.listdir(root):
        os.unlink(f"{root}/{name}")  # pytest would keep them, and they are large


@contextlib.contextmanager
def database(path: str) -> Iterator[sqlite3.Connection]:
    """A connection that is closed at the end; rollback journal, transactions by hand."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        db.execute("PRAGMA synchronous = FULL")
        yield db


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    yield
    db.execute("COMMIT")


@contextlib.contextmanager
def counted_mount(server: Server, *options: str) -> Iterator[tuple[Mount, Relay]]:
    credentials = f"{server.user}:{server.password}"
    with counted(server.port, credentials) as relay, mounted(relay.url, *options) as mount:
        yield mount, relay


def assert_intact(path: str, rows: list[tuple[int, str]]) -> None:
    with database(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT number, word FROM rows ORDER BY number").fetchall() == rows


@pytest.mark.parametrize("options", MODES.values(), ids=MODES)
def test_sqlite_keeps_a_database_of_1000_rows(server: Server, options: tuple[str, ...]) -> None:
    rows = [(n, f"word {n * n}") for n in range(TRANSACTIONS * INSERTS)]
    with mounted(server.url, *options) as mount:
        with database(f"{mount.path}/db") as db:
            db.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, word TEXT)")
            for first in range(0, len(rows), INSERTS):
                with transaction(db):
                    db.executemany("INSERT INTO rows VALUES (?, ?)", rows[first : first + INSERTS])
        assert_intact(f"{mount.path}/db", rows)
    assert_intact(f"{server.root}/db", rows)
    with mounted(server.url, *options) as mount:
        assert_intact(f"{mount.path}/db", rows)
    assert os.listdir(server.root) == ["db"]


def make_database(path: str, size: int) -> None:
    with database(path) as db:
        db.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, data BLOB, word TEXT)")
        with transaction(db):
            for number in range(size // 3800):
                db.execute("INSERT INTO rows VALUES (?, randomblob(3800), '')", (number,))
    assert os.path.getsize(path) > size


@pytest.mark.parametrize("options", MODES.values(), ids=MODES)
def test_a_transaction_on_a_100_mb_database_sends_little(
    server: Server, options: tuple[str, ...]
) -> None:
    make_database(f"{server.root}/db", 100 * MB)
    with counted_mount(server, *options) as (mount, relay):
        with database(f"{mount.path}/db") as db:
            update(db, "first", [3, 20_000])
            before = relay.sent
            update(db, "second", [5, 9_000, 25_000])
        second = relay.sent - before
    assert 4096 < second < 2 * MB
    with database(f"{server.root}/db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = db.execute("SELECT number, word FROM rows WHERE word <> ''").fetchall()
    words = {3: "first", 5: "second", 9_000: "second", 20_000: "first", 25_000: "second"}
    assert dict(found) == words


def update(db: sqlite3.Connection, word: str, numbers: list[int]) -> None:
    with transaction(db):
        for number in numbers:
            db.execute("UPDATE rows SET word = ? WHERE number = ?", (word, number))


@pytest.mark.parametrize("options", MODES.values(), ids=MODES)
def test_a_4_kib_change_in_a_1_gb_file_moves_little(
    server: Server, options: tuple[str, ...]
) -> None:
    size, offset, data = 1 << 30, 700 * MB + 1, b"\xa5" * 4096
    with open(f"{server.root}/large", "wb") as file:
        file.truncate(size)
    with counted_mount(server, *options) as (mount, relay):
        fd = os.open(f"{mount.path}/large", os.O_RDWR)
        assert os.pwrite(fd, data, offset) == len(data)
        os.close(fd)
    assert len(data) <= relay.sent < MB
    assert relay.received < MB
    assert os.path.getsize(f"{server.root}/large") == size
    with open(f"{server.root}/large", "rb") as file:
        file.seek(offset - 5)
        assert file.read(len(data) + 10) == bytes(5) + data + bytes(5)
