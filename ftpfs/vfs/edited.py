"""The content of a file that is open, or not sent yet: reading it and writing to it.

The half of `openfile.OpenFile` that knows nothing of sending; its docstring has the states and the
rules. `_changed` (a Condition) guards every field below it, in both halves.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ftpfs.config import BLOCK_BYTES, SEND_WAIT_S
from ftpfs.content.draft import Draft
from ftpfs.content.journal import EntryState
from ftpfs.content.kept import Version
from ftpfs.content.ranges import RangeSet
from ftpfs.content.reader import Reader
from ftpfs.content.upload import Uploader
from ftpfs.errors import (
    ChangedError,
    DeadlineError,
    InvalidError,
    NoSpaceError,
)
from ftpfs.remote.api import SECOND_NS, Entry, Fingerprint, Remote
from ftpfs.vfs.namespace import Namespace

log = logging.getLogger(__name__)

USUAL_MODES = frozenset({0o644, 0o664, 0o666})
"""Modes of new files that are the server's business: its umask decides, no SITE CHMOD is sent."""


class State(enum.Enum):
    CLEAN = "clean"
    DIRTY = "dirty"
    PENDING = "pending"
    SENDING = "sending"


@dataclass(frozen=True)
class Tools:
    """What every open file of a mount uses. `new_draft`: (path, size, base); `move` gives
    a file another path in the tables of the file system."""

    remote: Remote
    namespace: Namespace
    uploader: Uploader
    new_reader: Callable[[EditedFile, int], Reader]
    done_reading: Callable[[EditedFile, Reader], None]
    new_draft: Callable[[str, int, Fingerprint | None], Draft]
    move: Callable[[EditedFile, str], None]
    clock: Callable[[], float]
    writeback: bool
    trust_s: float  # a version older than this is compared with the server before it is sent


class EditedFile:
    """What a file holds and shows, with what is not sent yet."""

    def __init__(self, path: str, entry: Entry, tools: Tools, *, new: bool) -> None:
        # set once
        self._tools = tools
        # guarded by the file system's lock
        self.handles = 0
        self.readers = 0
        self.writers = 0
        self.uncached = False  # some of what is read of it goes past the kernel's page cache
        # guarded by _changed
        self._changed = threading.Condition()
        self.path = path
        self.new = new  # not on the server yet
        self.unlinked = False
        self.failed = False  # the last attempt to send was refused or lost, and said so
        self.attempted = False  # a part of it may be on the server
        self._torn: NoSpaceError | None = None  # the last write found no space
        self._outdated = False
        self.stale = False  # a read of it found out that the server has another version
        self._entry = entry
        self._dated = not new  # its time is that of the server's clock
        self._base = None if new else tools.namespace.base(path, entry)
        self._reader: Reader | None = None
        self.version = Version.of(entry, time.time_ns())
        self.opened_at = tools.clock()
        self._draft: Draft | None = None  # the current one
        self._dirty = False
        self._queue: list[Draft] = []  # sealed, oldest first; the current one may be the last
        self._sending: Draft | None = None
        self._in_place = False  # it is being sent into the server's file where that lies
        if new:
            mode = None if entry.mode in USUAL_MODES else entry.mode
            self._dirty_locked().amend(mode=mode)

    def __repr__(self) -> str:
        return f"<OpenFile {self.path!r} {self.state.value} handles={self.handles}>"

    # -- asking -------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        with self._changed:
            if self._sending is not None:
                return State.SENDING
            if self._dirty:
                return State.DIRTY
            return State.PENDING if self._queue else State.CLEAN

    @property
    def entry(self) -> Entry:
        """Attributes with what is not sent yet."""
        with self._changed:
            return self._entry

    @property
    def local(self) -> bool:
        """Whether the server does not show this file as it is here."""
        return self.new or self.state is not State.CLEAN

    @property
    def dirty(self) -> bool:
        """Whether something was written that is not sealed."""
        with self._changed:
            return self._dirty

    @property
    def pending(self) -> bool:
        """Whether something sealed waits to be sent, or is on its way."""
        with self._changed:
            return bool(self._queue) or self._sending is not None

    def refresh(self, entry: Entry) -> bool:
        """Whether a file opened again is still the version that is open here."""
        with self._changed:
            if self._dirty or self._queue or self._sending is not None:
                return True
            if self.stale:
                return False
            if entry == self._entry:
                return True
            if entry.precision_s > 1:
                return entry.size == self._entry.size and self._as_old_locked(entry)
            now = self._tools.namespace.base(self.path, entry)
            same = self._base is not None and now.matches(self._base)
            if same:
                self._entry, self._base = entry, now
            return same

    def _as_old_locked(self, entry: Entry) -> bool:
        """Whether the times are the same one, as far as listings tell."""
        apart_ns = abs(entry.mtime_ns - self._entry.mtime_ns)
        unit_s = max(entry.precision_s, self._entry.precision_s)
        return not self._dated or apart_ns < unit_s * SECOND_NS

    def read_into(self, target: memoryview, offset: int) -> int:
        """Bytes read; fewer than asked only at the end of the file."""
        with self._changed:
            draft = self._draft
            if draft is not None:
                end = min(offset + len(target), draft.spool.size)
                if draft.spool.present.covers(offset, end):
                    return draft.spool.read_into(target[: max(0, end - offset)], offset)
        try:
            if draft is None:
                return self._server_content().read_into(target, offset, again=self.uncached)
            self._bring(draft, offset, end)
        except NoSpaceError:
            assert draft is not None
            return self._read_through(draft, target[: end - offset], offset)
        except ChangedError:
            with self._changed:
                self.stale = True
            self._tools.namespace.forget(self.path)  # the next open sees the file as it is now
            raise
        return self.read_into(target, offset)

    def _read_through(self, draft: Draft, target: memoryview, offset: int) -> int:
        """Read without keeping it: the spool is full."""
        spool, end = draft.spool, offset + len(target)
        reader = self._server_content()
        with self._changed:
            missing = spool.present.gaps(offset, end)
        for start, stop in missing:
            if reader.read_into(_part(target, offset, start, stop), start) < stop - start:
                raise ChangedError(f"{self.path}: shorter on the server than it was")
        with self._changed:
            for start, stop in RangeSet(*spool.present.gaps(offset, end)).gaps(offset, end):
                spool.read_into(_part(target, offset, start, stop), start)
        return len(target)

    def _server_content(self) -> Reader:
        with self._changed:
            if self._outdated:
                raise ChangedError(f"{self.path}: changed on the server since it was opened")
            if self._reader is None:
                size = 0 if self._base is None else self._base.size
                self._reader = self._tools.new_reader(self, size)
            return self._reader

    @property
    def base(self) -> Fingerprint | None:
        """What the server's file was when it was opened, or last sent from here."""
        with self._changed:
            return self._base

    def wait_while_in_place(self) -> None:
        """Before a RETR of the server's file: vsftpd would lock it between two ranges."""
        with self._changed:
            self._changed.wait_for(lambda: not self._in_place, SEND_WAIT_S)

    def _bring(self, draft: Draft, start: int, end: int) -> None:
        """Copy what is missing of [start, end) from the server into a draft's spool."""
        with self._changed:
            gaps = draft.spool.present.gaps(start, end)
        reader = self._server_content() if gaps else None
        buffer = memoryview(bytearray(BLOCK_BYTES if gaps else 0))
        for offset, gap_end in gaps:
            while reader is not None and offset < gap_end:
                count = reader.read_into(buffer[: gap_end - offset], offset)
                if count == 0:
                    raise ChangedError(f"{self.path}: shorter on the server than it was")
                with self._changed:
                    draft.spool.fill(buffer[:count], offset)
                offset += count

    # -- writing ------------------------------------------------------------------------------

    def write(self, data: memoryview | bytes, offset: int | None) -> int:
        """Put `data` at `offset`; None appends. Raises NoSpaceError when the spool is full."""
        with self._changed:
            before = self._dirty
            draft = self._dirty_locked()
            spool = draft.spool
            try:
                spool.write(data, spool.size if offset is None else offset)
            except NoSpaceError as error:
                self._torn = error
                if not before:  # nothing was changed at all
                    self._dirty = False
                    draft.forget()
                raise
            self._touched_locked(spool.size)
        return len(data)

    def truncate(self, size: int) -> None:
        if size < 0:
            raise InvalidError("a file's length cannot be negative")
        with self._changed:
            if size == self._entry.size and self._draft is None and size != 0:
                return
            self._dirty_locked().spool.truncate(size)
            self._touched_locked(size)

    def _dirty_locked(self) -> Draft:
        """The draft to write to. Nobody is sending it.

        It has a record in the journal from its second write on: a small file that is written in
        one go is sent, or refused and then recorded, before a record could be of use.
        """
        if self._dirty and self._draft is not None:
            if self._draft.spool.dirty and not self._draft.spool.name and not self.unlinked:
                self._draft.note(EntryState.OPEN, durable=False, base=self._base)
            return self._draft
        if self._tools.writeback and self._sealed_locked() and self._draft is not None:
            self._draft = self._draft.clone()
        self._settled_locked()
        if self._draft is None:
            size = 0 if self._base is None else self._base.size
            self._draft = self._tools.new_draft(self.path, size, self._base)
        self._dirty = True
        return self._draft

    def _sealed_locked(self) -> bool:
        return self._draft is not None and (
            self._draft in self._queue or self._draft is self._sending
        )

    def _settled_locked(self) -> None:
        """Wait until nobody sends, or is about to send, the current draft."""
        if not self._changed.wait_for(lambda: not self._sealed_locked(), SEND_WAIT_S):
            raise DeadlineError(f"{self.path}: still being sent")

    def _touched_locked(self, size: int) -> None:
        assert self._draft is not None
        self.failed, self._torn = False, None
        # At each write: `replace` takes a sixth of its time.
        if self._draft.record.mtime_ns is not None:
            self._draft.record = replace(self._draft.record, mtime_ns=None)
        e = self._entry
        self._entry = Entry(e.name, e.kind, size, time.time_ns(), 1, e.mode, e.target)

    def set_mtime(self, mtime_ns: int) -> bool:
        """Take a time to be set once the content is sent; False when it is sent already."""
        with self._changed:
            return self._amended_locked(mtime_ns=mtime_ns) and self._shown_locked(mtime_ns)

    def shows_mtime(self, mtime_ns: int) -> None:
        """Take over the time that was set, as exact as the server keeps it."""
        with self._changed:
            self._shown_locked(mtime_ns)
            if self._base is not None and not self._tools.namespace.keeps_time(self.path):
                self._base = self._base._replace(mtime_ns=mtime_ns)
                if self._reader is not None:
                    self._reader.identity.changed_here(self._base)

    def _shown_locked(self, mtime_ns: int) -> bool:
        self._entry = self._entry._replace(mtime_ns=mtime_ns, precision_s=1)
        return True

    def set_mode(self, mode: int) -> bool:
        """Take a mode to be set once the content is sent; False when it is sent already."""
        with self._changed:
            self._entry = self._entry._replace(mode=mode)
            return self._amended_locked(mode=mode)

    def _amended_locked(self, **changes: int | None) -> bool:
        self._changed.wait_for(lambda: self._sending is None, SEND_WAIT_S)
        if self._draft is None or not (self._dirty or self._sealed_locked()):
            return False
        if not self.unlinked:
            self._draft.amend(**changes)
        return True


def _part(target: memoryview, offset: int, start: int, stop: int) -> memoryview:
    """Where the bytes [start, stop) go in the target of a read at `offset`."""
    return target[start - offset : stop - offset]
