"""Where a mount keeps spool files and their journal, and how others' leftovers are found.

    ROOT/<server and directory>/<one mount>/ lock  journal.db  spool-...

The process that made a directory holds its lock. A directory whose lock is free was left behind by
a process that died: whoever takes the lock next has its entries, so two mounts of one URL never
share or steal. Nothing here changes after construction; the journal has a lock of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import time
from dataclasses import replace

from ftpfs.content.journal import EntryState, Journal, Record
from ftpfs.content.space import Space
from ftpfs.content.spool import Spool, written
from ftpfs.errors import JournalError, NoSpaceError

log = logging.getLogger(__name__)

_LOCK = "lock"
_PREFIX = "mount-"
_INTERRUPTED = "the mount ended before the file was closed: it may be incomplete"


def place_of(root: str, server: str) -> str:
    """The directory of all spools for one server and directory (`server`: its URL, no password)."""
    return os.path.join(root, hashlib.sha256(os.fsencode(server)).hexdigest()[:16])


class Store:
    """One mount's spool directory, locked."""

    def __init__(self, directory: str, lock: int, space: Space) -> None:
        self.directory = directory
        self._lock_fd = lock
        self._space = space
        self.journal = Journal(directory)

    @classmethod
    def create(cls, place: str, space: Space) -> Store:
        """A new, empty store."""
        os.makedirs(place, mode=0o700, exist_ok=True)
        made = tempfile.mkdtemp(prefix="new-", dir=place)
        lock = _locked(made)
        directory = os.path.join(place, _PREFIX + os.path.basename(made).removeprefix("new-"))
        os.rename(made, directory)  # locked before others look for it by this name
        assert lock is not None
        return cls(directory, lock, space)

    def new_spool(self, size: int) -> Spool:
        return Spool.create(self.directory, size, self._space)

    def spool_of(self, record: Record) -> Spool:
        """The spool of a record left behind. Raises JournalError where its file is gone."""
        if not record.spool:
            return self._spool_in_memory(record)
        path = os.path.join(self.directory, os.path.basename(record.spool))
        return Spool.reopen(path, record.size, record.present, record.dirty, self._space)

    def _spool_in_memory(self, record: Record) -> Spool:
        content = self.journal.content(record)
        if content is None:
            raise JournalError(f"{record.path}: its content is neither in a file nor the journal")
        spool = self.new_spool(record.size)
        spool.restore(content, record.present, record.dirty)
        return spool

    def close(self) -> None:
        """Let go of the directory; it is removed when nothing in it waits to be sent."""
        empty = not self.journal.records()
        self.journal.close()
        if empty:
            shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._lock_fd)


def directories(place: str) -> list[str]:
    """The spool directories of one place, of running mounts and of those that are gone."""
    names = sorted(os.listdir(place)) if os.path.isdir(place) else []
    return [os.path.join(place, name) for name in names if name.startswith(_PREFIX)]


def abandoned(place: str, space: Space) -> list[Store]:
    """Stores whose process died, now locked by this one.

    A journal that is damaged, or not ours, is moved aside with all its files, and said.
    """
    stores = []
    for directory in directories(place):
        lock = _locked(directory)
        if lock is None:
            continue
        try:
            stores.append(_taken_over(directory, lock, space))
        except JournalError as error:
            _move_aside(directory, error)
            os.close(lock)
        except NoSpaceError as error:
            os.close(lock)
            log.error("unsent data waits in %s: %s", directory, error)  # noqa: TRY400 - one line
    return stores


def _taken_over(directory: str, lock: int, space: Space) -> Store:
    store = Store(directory, lock, space)
    try:
        _settle(store)
    except BaseException:
        store.journal.close()
        raise
    return store


def _move_aside(directory: str, error: JournalError) -> None:
    place, name = os.path.split(directory)
    aside = os.path.join(place, f"damaged-{int(time.time())}-{name}")
    os.rename(directory, aside)
    log.error("unsent data moved to %s: %s", aside, error)


def _settle(store: Store) -> None:
    """What was only being written when the process died was promised to nobody.

    Its record is as old as the first write: what is there is read off the spool file.
    """
    for record in store.journal.records():
        if record.state is EntryState.OPEN:
            size, present = written(os.path.join(store.directory, os.path.basename(record.spool)))
            failed = replace(
                record,
                state=EntryState.FAILED,
                error=_INTERRUPTED,
                size=size,
                present=present,
                dirty=present,
            )
            store.journal.put(failed, durable=True)


def _locked(directory: str) -> int | None:
    """A descriptor that holds a directory's lock; None where another process has it."""
    try:
        fd = os.open(os.path.join(directory, _LOCK), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if os.fstat(fd).st_nlink == 0:
            return None  # its owner has just removed the whole directory
        undo.pop_all()
    return fd
