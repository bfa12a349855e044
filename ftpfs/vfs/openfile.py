"""A file that is open, or not sent yet: one for each path, shared by all its handles.

`_changed` (a Condition) guards every field below it. The network is never waited for while it is
held. What is written goes to the current draft. `close` and `fsync` seal it, which puts it into the
queue of this file; one thread at a time takes the oldest from the queue and sends it.

    state      means
    CLEAN      the server has what is here
    DIRTY      the current draft was changed since it was sealed
    PENDING    sealed drafts wait to be sent
    SENDING    one of them is on its way

A writer that comes while the current draft is sealed waits, so that what arrives is one version and
not a mixture. With writeback it must not wait for the network: it gets a clone to write to, and the
sealed draft stays as it was acknowledged until it is sent, or superseded by a later one.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NoReturn

from ftpfs.config import BLOCK_BYTES, SEND_WAIT_S
from ftpfs.content.conflict import Verdict, compare, name_aside
from ftpfs.content.draft import Draft
from ftpfs.content.journal import EntryState
from ftpfs.content.ranges import RangeSet
from ftpfs.content.reader import Reader
from ftpfs.content.upload import Steps, Uploader, Version
from ftpfs.errors import (
    AbsentError,
    ChangedError,
    DeadlineError,
    FtpfsError,
    InvalidError,
    NetworkError,
    NoSpaceError,
)
from ftpfs.remote.api import SECOND_NS, Entry, Fingerprint, Kind, Remote, Stored
from ftpfs.vfs.namespace import Namespace
from ftpfs.wire.pathname import split

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
    new_reader: Callable[[OpenFile, int], Reader]
    new_draft: Callable[[str, int, Fingerprint | None], Draft]
    move: Callable[[OpenFile, str], None]
    writeback: bool
    trust_s: float  # a version older than this is compared with the server before it is sent


class OpenFile:
    """The content and attributes of a file as this mount sees them."""

    def __init__(self, path: str, entry: Entry, tools: Tools, *, new: bool) -> None:
        # set once
        self._tools = tools
        # guarded by the file system's lock
        self.handles = 0
        self.readers = 0
        self.writers = 0
        # guarded by _changed
        self._changed = threading.Condition()
        self.path = path
        self.new = new  # not on the server yet
        self.unlinked = False
        self.failed = False  # the last attempt to send was refused or lost, and said so
        self.attempted = False  # a part of it may be on the server
        self._torn: NoSpaceError | None = None  # the last write found no space
        self._outdated = False
        self._entry = entry
        self._base = None if new else tools.namespace.base(path, entry)
        self._reader: Reader | None = None
        self._draft: Draft | None = None  # the current one
        self._dirty = False
        self._queue: list[Draft] = []  # sealed, oldest first; the current one may be the last
        self._sending: Draft | None = None
        self._in_place = False  # it is being sent into the server's file where that lies
        if new:
            mode = None if entry.mode in USUAL_MODES else entry.mode
            self._dirty_locked().amend(mode=mode)

    @classmethod
    def left_behind(cls, draft: Draft, tools: Tools) -> OpenFile:
        """A file that another process acknowledged and did not send."""
        record = draft.record
        mtime_ns = record.mtime_ns or record.created_ns
        entry = Entry(split(record.path)[1], Kind.FILE, record.size, mtime_ns, mode=record.mode)
        file = cls(record.path, entry, tools, new=False)
        file.new = record.base is None
        file._base, file._draft, file._queue = record.base, draft, [draft]
        return file

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
            if self._dirty or self._queue or self._sending is not None or entry == self._entry:
                return True
            if entry.precision_s > 1:
                return entry.size == self._entry.size
            now = self._tools.namespace.base(self.path, entry)
            same = self._base is not None and now.matches(self._base)
            if same:
                self._entry, self._base = entry, now
            return same

    def read_into(self, target: memoryview, offset: int) -> int:
        """Bytes read; fewer than asked only at the end of the file."""
        with self._changed:
            draft = self._draft
            if draft is not None:
                end = min(offset + len(target), draft.spool.size)
                if draft.spool.present.covers(offset, end):
                    return draft.spool.read_into(target[: max(0, end - offset)], offset)
        if draft is not None:
            try:
                self._bring(draft, offset, end)
            except NoSpaceError:
                return self._read_through(draft, target[: end - offset], offset)
            return self.read_into(target, offset)
        return self._server_content().read_into(target, offset)

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
        """The draft to write to. It has a record in the journal, and nobody is sending it."""
        if self._dirty and self._draft is not None and (self._draft.record.id or self.unlinked):
            return self._draft
        if self._tools.writeback and self._sealed_locked() and self._draft is not None:
            self._draft = self._draft.clone()
        self._settled_locked()
        if self._draft is None:
            size = 0 if self._base is None else self._base.size
            self._draft = self._tools.new_draft(self.path, size, self._base)
        if not self.unlinked:
            self._draft.note(EntryState.OPEN, durable=False, base=self._base)
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
        self._draft.record = replace(self._draft.record, mtime_ns=None)
        self._entry = replace(self._entry, size=size, mtime_ns=time.time_ns(), precision_s=1)

    def set_mtime(self, mtime_ns: int) -> bool:
        """Take a time to be set once the content is sent; False when it is sent already."""
        with self._changed:
            return self._amended_locked(mtime_ns=mtime_ns) and self._shown_locked(mtime_ns)

    def shows_mtime(self, mtime_ns: int) -> None:
        """Take over the time that was set, as exact as the server keeps it."""
        with self._changed:
            self._shown_locked(mtime_ns)
            if self._base is not None and not self._tools.namespace.keeps_time(self.path):
                self._base = replace(self._base, mtime_ns=mtime_ns)

    def _shown_locked(self, mtime_ns: int) -> bool:
        self._entry = replace(self._entry, mtime_ns=mtime_ns, precision_s=1)
        return True

    def set_mode(self, mode: int) -> bool:
        """Take a mode to be set once the content is sent; False when it is sent already."""
        with self._changed:
            self._entry = replace(self._entry, mode=mode)
            return self._amended_locked(mode=mode)

    def _amended_locked(self, **changes: int | None) -> bool:
        self._changed.wait_for(lambda: self._sending is None, SEND_WAIT_S)
        if self._draft is None or not (self._dirty or self._sealed_locked()):
            return False
        if not self.unlinked:
            self._draft.amend(**changes)
        return True

    # -- sending ------------------------------------------------------------------------------

    def seal(self) -> None:
        """What was written until now is one version, to be sent; with writeback it is on the
        local disk, and acknowledged, when this returns. Raises NoSpaceError, JournalError."""
        writeback = self._tools.writeback
        if writeback:
            self._complete_for_later()
        with self._changed:
            if not self._dirty or self._draft is None:
                return
            if self.unlinked:
                self._dirty = False
                return
            if self._torn is not None:
                self._give_up_locked(self._torn)
            if any(older.record.in_place for older in self._queue):
                self._draft.amend(in_place=True)  # what broke off is now for this one to repair
            if writeback:
                self._draft.note(EntryState.PENDING, durable=True, base=self._base)
            superseded, self._queue = self._queue, [self._draft]
            self._dirty = False
            self._changed.notify_all()
        for draft in superseded:
            draft.close()

    def _give_up_locked(self, torn: NoSpaceError) -> NoReturn:
        """The program was told that its write found no space, and wrote no more: what it has
        is no whole file, and nothing of it is sent or kept."""
        assert self._draft is not None
        self.failed = True
        self._draft.forget()
        raise NoSpaceError(f"{self.path}: not sent, a part of it found no space: {torn}")

    def _complete_for_later(self) -> None:
        """Bring in what only the server has, if sending will need it: later it may be gone."""
        with self._changed:
            draft = self._draft if self._dirty and not self.unlinked else None
            needed = draft is not None and self._tools.uploader.needs_all(self._version(draft))
        if draft is not None and needed:
            self._bring(draft, 0, draft.spool.size)

    def send(self) -> None:
        """Bring the server up to date; nothing is sent when nothing changed.

        Returns when the server's final reply is in and the size agrees. Raises what went wrong.
        """
        self.seal()
        while (draft := self._claimed()) is not None:
            self._deliver(draft)

    def send_one(self) -> None:
        """Send the oldest sealed draft, if there is one."""
        draft = self._claimed()
        if draft is not None:
            self._deliver(draft)

    def _claimed(self) -> Draft | None:
        """The oldest sealed draft, for this thread alone to send; None when all is sent."""
        with self._changed:
            if not self._changed.wait_for(self._idle_locked, SEND_WAIT_S):
                raise DeadlineError(f"{self.path}: still being sent")
            if not self._queue:
                return None
            self._sending = self._queue.pop(0)
            return self._sending

    def _idle_locked(self) -> bool:
        """Nobody sends, or is about to remove the name: that empties the queue, or fails."""
        return self._sending is None and not (self.unlinked and self._queue)

    def _deliver(self, draft: Draft) -> None:
        """Send one draft, which this thread has claimed, and tell the caches."""
        try:
            stored = self._compared(draft) or self._upload(draft)
            entry = self._published(draft, stored)
        except BaseException as error:
            self._undelivered(draft, error)
            raise
        self._delivered(draft, stored, entry)

    def _upload(self, draft: Draft) -> Stored:
        with self._changed:
            version = self._version(draft)
        steps = Steps(
            complete=lambda: self._bring(draft, 0, version.size),
            secure=lambda: self._secure(draft),
        )
        return self._tools.uploader.send(version, steps, again=draft.record.in_place)

    def _compared(self, draft: Draft) -> Stored | None:
        """What the server holds, where it has this version already; else it is to be sent.

        A version that had to wait meets whatever others did meanwhile: where that was a change,
        this file moves to a name of its own. Raises ChangedError where it cannot.
        """
        if not self._doubtful(draft):
            return None
        with self._changed:
            version = self._version(draft)
        remote = self._tools.remote
        verdict, now = compare(remote, version, in_place=draft.record.in_place)
        if verdict is Verdict.CONFLICT:
            self._step_aside(draft, name_aside(remote, self.path, self._tools.namespace.now_ns()))
        elif verdict is Verdict.ARRIVED and now is not None:
            return Stored(now.size, now.mtime_ns)
        elif draft.left_behind and now is not None:
            self._learn_mode()
        return None

    def _doubtful(self, draft: Draft) -> bool:
        """Whether the server may have changed since this version was begun."""
        age_ns = self._tools.namespace.now_ns() - draft.record.created_ns
        old = self._tools.writeback and age_ns > self._tools.trust_s * SECOND_NS
        return draft.left_behind or old

    def _step_aside(self, draft: Draft, path: str) -> None:
        if draft.spool.missing():
            raise ChangedError(
                f"{self.path}: changed on the server since it was opened, and the local version"
                " lacks what only the old file had"
            )
        log.warning("%s: changed on the server; the local version goes to %s", self.path, path)
        self._tools.namespace.forget(self.path)
        self._tools.move(self, path)
        with self._changed:
            self.new, self._base = True, None
            for each in self._drafts_locked():
                each.amend(base=None, in_place=False)

    def _learn_mode(self) -> None:
        """The permission bits of the file that a recovered version replaces."""
        with suppress(AbsentError):
            mode = self._tools.namespace.lookup(self.path).mode
            with self._changed:
                if self._entry.mode is None:
                    self._entry = replace(self._entry, mode=mode)

    def _version(self, draft: Draft) -> Version:
        spool = draft.spool
        mode = draft.record.mode if draft.record.mode is not None else self._entry.mode
        return Version(self.path, spool, spool.size, self._base, spool.dirty.copy(), mode)

    def _secure(self, draft: Draft) -> None:
        """The server's file is about to be changed where it lies."""
        with self._changed:
            draft.note(EntryState.SENDING, durable=True, in_place=True, base=self._base)
            self._in_place = True
            reader = self._reader
        if reader is not None:
            reader.stop_streams()  # vsftpd locks a file that is read: STOR would wait for our RETR

    def _published(self, draft: Draft, stored: Stored) -> Entry:
        """The entry as the server has it now, with the time and mode that were asked for."""
        with self._changed:
            record = draft.record
            entry = replace(self._entry, size=stored.size, precision_s=1)
            if stored.mtime_ns is not None:
                entry = replace(entry, mtime_ns=stored.mtime_ns)
        namespace = self._tools.namespace
        namespace.stored(self.path, entry)
        if record.mtime_ns is not None:
            entry = namespace.set_mtime(self.path, entry, record.mtime_ns)
        if record.mode is not None:
            entry = namespace.chmod(self.path, entry, record.mode)
        return entry

    def _delivered(self, draft: Draft, stored: Stored, entry: Entry) -> None:
        with self._changed:
            current = draft is self._draft
            self.new = self.failed = False
            self._base = Fingerprint(stored.size, self._server_time_locked(draft, stored, entry))
            self._sending, self._in_place = None, False
            for later in self._drafts_locked():
                if later is not draft:
                    later.amend(base=self._base, in_place=False)
            if current:
                draft.settled(self._base)
                self._entry = entry
            self._changed.notify_all()
        if not current:
            draft.close()

    def _server_time_locked(self, draft: Draft, stored: Stored, entry: Entry) -> int | None:
        if draft.record.mtime_ns is None or self._tools.namespace.keeps_time(self.path):
            return stored.mtime_ns
        return entry.mtime_ns

    def _undelivered(self, draft: Draft, error: BaseException) -> None:
        """Keep it: to be sent again by a worker, or for `ftpfs recover`."""
        told_nobody = self._tools.writeback or draft.left_behind
        retry = told_nobody and isinstance(error, NetworkError)
        self._tools.namespace.forget(self.path)
        with self._changed:
            self._sending, self._in_place = None, False
            self.failed, self.attempted = not retry, True
            current, superseded = draft is self._draft, bool(self._queue)
            if retry and not superseded:
                self._queue.append(draft)
            elif not retry and current:
                self._dirty = True
            self._changed.notify_all()
            if superseded:
                for later in self._drafts_locked():
                    later.amend(in_place=later.record.in_place or draft.record.in_place)
            else:
                self._note_failure(draft, error, retry=retry)
        if not current and (superseded or not retry):
            draft.close(keep=not superseded)

    def _note_failure(self, draft: Draft, error: BaseException, *, retry: bool) -> None:
        state = EntryState.PENDING if retry else EntryState.FAILED
        try:
            draft.note(state, durable=True, tries=draft.record.tries + 1, error=str(error))
        except FtpfsError as problem:
            log.error("%s: not in the journal: %s", self.path, problem)  # noqa: TRY400

    # -- names --------------------------------------------------------------------------------

    def moved(self, path: str) -> None:
        with self._changed:
            self.path = path
            self._entry = replace(self._entry, name=split(path)[1])
            for draft in self._drafts_locked():
                draft.amend(path=path)

    def _drafts_locked(self) -> list[Draft]:
        known = [*self._queue, self._sending, self._draft]
        return list(dict.fromkeys(draft for draft in known if draft is not None))

    def keep(self) -> None:
        """Copy the whole content here: the server's file is about to go, the handles stay."""
        with self._changed:
            if self._draft is None:
                size = 0 if self._base is None else self._base.size
                self._draft = self._tools.new_draft(self.path, size, self._base)
            draft = self._draft
        try:
            self._bring(draft, 0, draft.spool.size)
        except FtpfsError as error:
            log.warning("%s: removed while open and not readable: %s", self.path, error)

    def orphan(self) -> None:
        """The name is about to go: nothing is sent from now on, the content stays here."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._sending is None, SEND_WAIT_S):
                raise DeadlineError(f"{self.path}: still being sent")
            self.unlinked = True

    def adopt(self) -> None:
        """The name is still there after all: the server refused to remove it."""
        with self._changed:
            self.unlinked = False
            self._changed.notify_all()

    def disown(self) -> None:
        """The name is gone: what was not sent will not be."""
        with self._changed:
            queue, self._queue, self._dirty = self._queue, [], False
            if self._draft is not None:
                self._draft.forget()
            current = self._draft
            self._changed.notify_all()
        for draft in queue:
            if draft is not current:
                draft.close()

    def outdate(self) -> None:
        """The server has another version by now: what was not read yet cannot be."""
        with self._changed:
            self._outdated = True
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        log.warning("%s: changed on the server while it was open", self.path)

    def close(self) -> None:
        """Nobody uses it any more. Unsent drafts stay on the disk, for a later process."""
        with self._changed:
            reader, self._reader = self._reader, None
            drafts, unsent = self._drafts_locked(), self._dirty or bool(self._queue)
            self._draft, self._queue = None, []
        if reader is not None:
            reader.close()
        for draft in drafts:
            draft.close(keep=unsent and bool(draft.record.id))


def _part(target: memoryview, offset: int, start: int, stop: int) -> memoryview:
    """Where the bytes [start, stop) go in the target of a read at `offset`."""
    return target[start - offset : stop - offset]
