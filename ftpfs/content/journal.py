"""The journal: what is written here and not yet on the server, in SQLite, beside the spool files.

One journal belongs to one mount's process, which holds its directory's lock. `_lock` guards the
connection. A record that acknowledges something is committed with synchronous=FULL: it survives
power loss. A record that only helps to find what was being written survives `kill -9`.

    OPEN ----close with writeback----> PENDING <----lost, retried later----+
     |                                    |                                |
     |  close                             +-------> SENDING ---------------+
     +--------> SENDING (before the server's only good copy is touched)
     |             |
     |             +---- confirmed ----> (record removed)
     +---- refused at close ----> FAILED: listed by `ftpfs recover`, not sent by itself

OPEN records of a process that died are FAILED: nobody was told that they are safe.
"""

from __future__ import annotations

import enum
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ftpfs.content.ranges import RangeSet
from ftpfs.errors import JournalError, NoSpaceError
from ftpfs.remote.api import Fingerprint

APPLICATION_ID = 0x66747066  # "ftpf": another program's database is told by this
SCHEMA_VERSION = 2
FILE_NAME = "journal.db"

_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    spool TEXT NOT NULL,
    state TEXT NOT NULL,
    size INTEGER NOT NULL,
    base_size INTEGER,
    base_mtime_ns INTEGER,
    present TEXT NOT NULL,
    dirty TEXT NOT NULL,
    mtime_ns INTEGER,
    mode INTEGER,
    in_place INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    error TEXT NOT NULL,
    content BLOB
)
"""


class EntryState(enum.Enum):
    OPEN = "open"
    PENDING = "pending"
    SENDING = "sending"
    FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """One entry. `base` is the server's file when it was opened, None for a new one; `spool` the
    name of the spool file, "" where the journal itself holds the bytes; `in_place`: the server's
    file is being changed where it lies."""

    path: str
    spool: str
    state: EntryState = EntryState.OPEN
    size: int = 0
    base: Fingerprint | None = None
    present: RangeSet = field(default_factory=RangeSet)
    dirty: RangeSet = field(default_factory=RangeSet)
    mtime_ns: int | None = None
    mode: int | None = None
    in_place: bool = False
    created_ns: int = field(default_factory=time.time_ns)
    tries: int = 0
    error: str = ""
    id: int = 0


class Journal:
    """The records of one spool directory."""

    def __init__(self, directory: str) -> None:
        """Open, or make, the journal of a directory. Raises JournalError for a damaged one."""
        self._lock = threading.Lock()
        path = os.path.join(directory, FILE_NAME)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: {error}") from error
        try:
            self._prepare(path)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, path: str) -> None:
        try:
            found = self._db.execute("PRAGMA application_id").fetchone()[0]
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables:
                if (found, version) != (APPLICATION_ID, SCHEMA_VERSION):
                    raise JournalError(f"{path}: not a journal of this version of ftpfs")
                self._db.execute("SELECT id FROM entries LIMIT 1")
            self._db.execute("PRAGMA journal_mode = WAL")  # not before: it changes the file
            if not tables:
                self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            kind = NoSpaceError if _is_full(error) else JournalError
            raise kind(f"{path}: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # -- records ------------------------------------------------------------------------------

    def put(self, record: Record, *, durable: bool, content: bytes | None = None) -> Record:
        """Write a record (a new one gets its id). `durable`: on disk when this returns.

        `content`: the bytes of a spool without a file; one sync for both instead of two. None
        leaves what is there. Raises JournalError or NoSpaceError when it cannot be written; then
        nothing is acknowledged.
        """
        values = _to_row(record)
        with self._lock:
            self._synchronous(durable)
            if record.id:
                self._execute(_UPDATE, (*values, content, record.id))
                return record
            return replace(record, id=self._execute(_INSERT, (*values, content)).lastrowid or 0)

    def remove(self, record: Record) -> None:
        """The server has it. Losing this in a crash costs a comparison, no data."""
        with self._lock:
            self._synchronous(False)
            self._execute("DELETE FROM entries WHERE id = ?", (record.id,))

    def records(self) -> list[Record]:
        """All records, oldest first."""
        with self._lock:
            return _all_from(self._db)

    def content(self, record: Record) -> bytes | None:
        """The bytes that came with a record; None where a spool file has them."""
        with self._lock:
            row = self._execute("SELECT content FROM entries WHERE id = ?", (record.id,)).fetchone()
        return row[0] if row else None

    def _synchronous(self, durable: bool) -> None:
        self._execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}", ())

    def _execute(self, sql: str, values: Iterable[object]) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, tuple(values))
        except sqlite3.Error as error:
            kind = NoSpaceError if _is_full(error) else JournalError
            raise kind(f"the journal cannot be written: {error}") from error


_COLUMNS = (
    "path, spool, state, size, base_size, base_mtime_ns, present, dirty, mtime_ns, mode,"
    " in_place, created_ns, tries, error"
)
_INSERT = f"INSERT INTO entries ({_COLUMNS}, content) VALUES ({', '.join('?' * 15)})"
_UPDATE = (
    f"UPDATE entries SET ({_COLUMNS}) = ({', '.join('?' * 14)}), content = coalesce(?, content)"
    " WHERE id = ?"
)
_SELECT = f"SELECT {_COLUMNS}, id FROM entries ORDER BY id"


def read_records(directory: str) -> list[Record]:
    """The records of a journal that another process may be using. Raises JournalError."""
    path = os.path.join(directory, FILE_NAME)
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return _all_from(db)
        finally:
            db.close()
    except sqlite3.Error as error:
        raise JournalError(f"{path}: {error}") from error


def _all_from(db: sqlite3.Connection) -> list[Record]:
    try:
        return [_from_row(row) for row in db.execute(_SELECT).fetchall()]
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise JournalError(f"the journal cannot be read: {error}") from error


def _is_full(error: sqlite3.Error) -> bool:
    """SQLITE_FULL, and what it makes of ENOSPC and EDQUOT elsewhere."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _to_row(record: Record) -> tuple[object, ...]:
    base = record.base
    return (
        _encoded(record.path),
        record.spool,
        record.state.value,
        record.size,
        None if base is None else base.size,
        None if base is None else base.mtime_ns,
        json.dumps(list(record.present)),
        json.dumps(list(record.dirty)),
        record.mtime_ns,
        record.mode,
        record.in_place,
        record.created_ns,
        record.tries,
        record.error,
    )


def _from_row(row: tuple[Any, ...]) -> Record:
    path, spool, state, size, base_size, base_ns, present, dirty, *rest = row
    mtime_ns, mode, in_place, created_ns, tries, error, number = rest
    base = None if base_size is None else Fingerprint(base_size, base_ns)
    return Record(
        path=json.loads(str(path)),
        spool=str(spool),
        state=EntryState(state),
        size=size,
        base=base,
        present=RangeSet(*map(tuple, json.loads(str(present)))),
        dirty=RangeSet(*map(tuple, json.loads(str(dirty)))),
        mtime_ns=mtime_ns,
        mode=mode,
        in_place=bool(in_place),
        created_ns=created_ns,
        tries=tries,
        error=str(error),
        id=number,
    )


def _encoded(path: str) -> str:
    """JSON escapes lone surrogates (names that are not UTF-8), which SQLite's text cannot hold."""
    return json.dumps(path)
