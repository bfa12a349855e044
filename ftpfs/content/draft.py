"""A spool file together with its record in the journal. The open file's lock guards both."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ftpfs.content.journal import EntryState, Record
from ftpfs.content.ranges import RangeSet
from ftpfs.content.spool import Spool
from ftpfs.content.store import Store
from ftpfs.remote.api import Fingerprint


class Draft:
    """One version of a file on its way to the server."""

    def __init__(self, store: Store, spool: Spool, record: Record) -> None:
        self._store = store
        self.spool = spool
        self.record = record
        self.left_behind = False  # by another process; nobody here was told of it

    @classmethod
    def begin(cls, store: Store, path: str, size: int, base: Fingerprint | None) -> Draft:
        """An empty draft for a file of `size` bytes, without a record yet."""
        spool = store.new_spool(size)
        return cls(store, spool, Record(path, spool="", base=base))

    @classmethod
    def found(cls, store: Store, record: Record) -> Draft:
        """A draft that another process left behind. Raises JournalError without its spool."""
        draft = cls(store, store.spool_of(record), record)
        draft.left_behind = True
        return draft

    def __repr__(self) -> str:
        return f"<Draft {self.record.path!r} {self.record.state.value} {self.spool.size}>"

    def note(self, state: EntryState, *, durable: bool, **changes: Any) -> None:
        """Write the record as it is now. `durable`: it survives power loss from here on.

        Raises JournalError, NoSpaceError.
        """
        content = self._secured(durable=durable)
        if not self.record.id:
            changes.setdefault("created_ns", time.time_ns())
        record = replace(
            self.record,
            spool=self.spool.name,
            state=state,
            size=self.spool.size,
            present=self.spool.present.copy(),
            dirty=self.spool.dirty.copy(),
            **changes,
        )
        self.record = self._store.journal.put(record, durable=durable, content=content)

    def _secured(self, *, durable: bool) -> bytes | None:
        """See to it that the content survives; the bytes, where the journal is to hold them."""
        if durable and not self.spool.name:
            return self.spool.content()
        if durable:
            self.spool.sync()
        else:
            self.spool.persist()
        return None

    def amend(self, **changes: Any) -> None:
        """Change fields; written at once where there is a record."""
        self.record = replace(self.record, **changes)
        if self.record.id:
            durable = self.record.state is not EntryState.OPEN
            self.record = self._store.journal.put(self.record, durable=durable)

    def clone(self) -> Draft:
        """An independent draft with the same content, without a record yet."""
        spool = self.spool.clone()
        record = replace(self.record, state=EntryState.OPEN, id=0, error="")
        return Draft(self._store, spool, record)

    def settled(self, base: Fingerprint) -> None:
        """The server has it: the record goes, the spool stays for who has the file open."""
        self.forget()
        self.left_behind = False
        self.spool.dirty = RangeSet()
        self.record = replace(self.record, base=base, in_place=False, mtime_ns=None, mode=None)

    def forget(self) -> None:
        """Take the record out of the journal."""
        if self.record.id:
            self._store.journal.remove(self.record)
            self.record = replace(self.record, id=0, state=EntryState.OPEN, error="")

    def close(self, *, keep: bool = False) -> None:
        """Done with the spool; `keep` leaves it and the record for `ftpfs recover`."""
        if not keep:
            self.forget()
        self.spool.close(keep=keep)
