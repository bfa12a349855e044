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

import logging
from contextlib import suppress
from typing import NoReturn

from ftpfs.config import SEND_WAIT_S
from ftpfs.content.conflict import Verdict, compare, name_aside
from ftpfs.content.draft import Draft
from ftpfs.content.journal import EntryState
from ftpfs.content.upload import Steps, Version
from ftpfs.errors import (
    AbsentError,
    ChangedError,
    DeadlineError,
    FtpfsError,
    NetworkError,
    NoSpaceError,
)
from ftpfs.remote.api import SECOND_NS, Entry, Fingerprint, Kind, Stored
from ftpfs.vfs.edited import EditedFile, Tools
from ftpfs.wire.pathname import split

log = logging.getLogger(__name__)

USUAL_MODES = frozenset({0o644, 0o664, 0o666})
"""Modes of new files that are the server's business: its umask decides, no SITE CHMOD is sent."""


class OpenFile(EditedFile):
    """A file as this mount sees it, and how it gets to the server."""

    @classmethod
    def left_behind(cls, drafts: list[Draft], tools: Tools) -> OpenFile:
        """A file of which another process acknowledged these versions, oldest first.

        All of them, because the oldest may have arrived just before that process died: only what
        it was lets the next one see that nobody else changed the server's file.
        """
        record = drafts[-1].record
        mtime_ns = record.mtime_ns or record.created_ns
        entry = Entry(split(record.path)[1], Kind.FILE, record.size, mtime_ns, mode=record.mode)
        file = cls(record.path, entry, tools, new=False)
        file._base, file._draft, file._queue = drafts[0].record.base, drafts[-1], list(drafts)
        file.new = file._base is None
        return file

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
            if writeback:
                self._draft.note(EntryState.PENDING, durable=True, base=self._base)
            # One that was tried may have arrived, in part or whole: it goes first all the same, so
            # that what is on the server then is known.
            tried = [d for d in self._queue if d.record.tries or d.record.in_place]
            superseded = [d for d in self._queue if d not in tried]
            self._queue = [*tried, self._draft]
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
            untouched=lambda: self._untouched(draft),
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
                    self._entry = self._entry._replace(mode=mode)

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
            reader.identity.changed_here(None)
            reader.stop_streams()  # vsftpd locks a file that is read: STOR would wait for our RETR

    def _untouched(self, draft: Draft) -> None:
        """The server did not take the change: its file can be read, as it was."""
        with self._changed:
            draft.amend(in_place=False)
            self._in_place = False
            self._changed.notify_all()

    def _published(self, draft: Draft, stored: Stored) -> Entry:
        """The entry as the server has it now, with the time and mode that were asked for."""
        with self._changed:
            record = draft.record
            entry = self._entry._replace(size=stored.size, precision_s=1)
            if stored.mtime_ns is not None:
                entry = entry._replace(mtime_ns=stored.mtime_ns)
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
            if self._reader is not None:
                self._reader.identity.changed_here(self._base)
            for later in self._drafts_locked():
                if later is not draft:
                    later.amend(base=self._base, in_place=False)
            self._dated = stored.mtime_ns is not None
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
            if retry:
                self._queue.insert(0, draft)
            elif current:
                self._dirty = True
            self._changed.notify_all()
            if retry or not superseded:
                self._note_failure(draft, error, retry=retry)
            else:
                for later in self._drafts_locked():
                    later.amend(in_place=later.record.in_place or draft.record.in_place)
        if not current and not retry:
            draft.close(keep=not superseded)

    def _note_failure(self, draft: Draft, error: BaseException, *, retry: bool) -> None:
        state = EntryState.PENDING if retry else EntryState.FAILED
        try:
            draft.note(state, durable=True, tries=draft.record.tries + 1, error=str(error))
        except FtpfsError as problem:
            log.error("%s: not in the journal: %s", self.path, problem)  # noqa: TRY400 - one line

    # -- names --------------------------------------------------------------------------------

    def moved(self, path: str) -> None:
        with self._changed:
            self.path = path
            self._entry = self._entry._replace(name=split(path)[1])
            for draft in self._drafts_locked():
                draft.amend(path=path)

    def _drafts_locked(self) -> list[Draft]:
        if self._draft is None and not self._queue and self._sending is None:
            return []  # as with each file that is only read
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
            changed = self.unlinked or self._outdated or self.stale
            untouched = self._draft is None and not changed
            self._draft, self._queue = None, []
        if reader is not None and untouched:
            self._tools.done_reading(self, reader)
        elif reader is not None:
            reader.close()
        for draft in drafts:
            draft.close(keep=unsent and bool(draft.record.id))
