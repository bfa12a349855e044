"""The files of a mount that are open or not sent yet, and the handles on them.

Called from many threads at once. `_lock` guards the tables; it is held for look-ups in them only.
Lock order: Files._lock > Writeback._changed > OpenFile._changed > the caches' locks.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from ftpfs.config import CLOSE_WAIT_S, WRITEBACK_WORKERS
from ftpfs.content.draft import Draft
from ftpfs.content.journal import EntryState, Record
from ftpfs.content.reader import Reader
from ftpfs.content.store import Store
from ftpfs.content.upload import Uploader
from ftpfs.errors import BadHandleError, FtpfsError, JournalError
from ftpfs.options import MountOptions
from ftpfs.remote.api import Entry, Fingerprint, Kind, Remote
from ftpfs.vfs.edited import EditedFile, Tools
from ftpfs.vfs.namespace import Namespace
from ftpfs.vfs.openfile import OpenFile
from ftpfs.vfs.readers import Readers
from ftpfs.vfs.writeback import Writeback
from ftpfs.wire.pathname import split

log = logging.getLogger(__name__)

WRITING = os.O_WRONLY | os.O_RDWR


class Handle(NamedTuple):
    """One open(2) of a file."""

    file: OpenFile
    readable: bool
    writable: bool
    append: bool
    keeps: bool  # what the kernel has of the file's content is right
    bypasses: bool  # it may have the size of another version yet, and is not to be asked


class Files:
    """Open files by path, handles by number, and how each file ends."""

    def __init__(
        self, remote: Remote, options: MountOptions, store: Store, namespace: Namespace
    ) -> None:
        # set once
        self._options = options
        self._readers = Readers(remote, options, namespace)
        self._tools = Tools(
            remote,
            namespace,
            Uploader(remote, patching=options.inplace == "auto"),
            new_reader=self._readers.new,
            done_reading=self._readers.done,
            new_draft=functools.partial(self._new_draft, store),
            move=self.move,
            clock=namespace.clock,
            writeback=options.writeback,
            trust_s=options.dir_cache,
        )
        workers = max(1, min(WRITEBACK_WORKERS, options.max_conns - 1))
        self._writeback = Writeback(workers, done=self.forget)
        self._numbers = itertools.count(1)
        # guarded by _lock
        self._lock = threading.Lock()
        self._put_away = threading.Condition(self._lock)
        self._closing: set[str] = set()  # paths of files that are being put away
        self._handles: dict[int, Handle] = {}
        self._files: dict[str, OpenFile] = {}
        self._outdated: set[OpenFile] = set()  # open, and their path is that of a later version
        self._held: list[tuple[Store, list[Record]]] = []  # to be recovered once their path is free

    # -- opening and releasing ----------------------------------------------------------------

    def opened(
        self, path: str, flags: int, entry: Entry, *, new: bool, behind: bool = False
    ) -> int:
        """A handle on the open file at `path`, which is made if there is none. `behind`: the kernel
        was told another size of it than that of `entry`."""
        writable = bool(flags & WRITING) or new  # O_RDONLY | O_CREAT: close has a file to send
        readable = flags & os.O_ACCMODE != os.O_WRONLY
        outdated = None
        with self._lock:
            # Else nobody would know, for a moment, that the kernel's pages of it are right.
            self._put_away.wait_for(lambda: path not in self._closing, CLOSE_WAIT_S)
            file = self._files.get(path)
            if file is not None and not file.refresh(entry):
                self._outdated.add(file)
                file, outdated = None, file
            keeps = file is not None
            if file is None:
                file = self._new_file(path, entry, new=new)
                keeps = self._readers.kernel_is_right(
                    path, file.version, outdated=outdated is not None
                )
                self._files[path] = file
            file.handles += 1
            file.readers += readable
            file.writers += writable
            number = next(self._numbers)
            append = bool(flags & os.O_APPEND)
            behind = behind and not file.local
            behind = behind or self._readers.kernel_is_behind(path)
            behind = behind or bool(self._older_locked(path))
            file.uncached |= behind or bool(flags & os.O_DIRECT)
            self._handles[number] = Handle(file, readable, writable, append, keeps, behind)
        if outdated is not None:
            outdated.outdate()
        return number

    def _new_file(self, path: str, entry: Entry, *, new: bool) -> OpenFile:
        return OpenFile(path, entry, self._tools, new=new)

    def _new_draft(self, store: Store, path: str, size: int, base: Fingerprint | None) -> Draft:
        self._readers.forget(path)
        return Draft.begin(store, path, size, base)

    def expected(self, path: str, entry: Entry) -> Reader | None:
        """A reader of a small file that is about to be fetched; None where it is open, or here."""
        with self._lock:
            if path in self._files or path in self._closing:
                return None
        return self._readers.expected(path, entry)

    @property
    def ahead_bytes(self) -> int:
        """How much to fetch before it is asked for."""
        return self._readers.ahead_bytes

    def release(self, handle: int) -> None:
        """Clean up after the last close. What is unsent by now (written through a mapping after
        the descriptor was closed) is sent; there is nobody left to tell if that fails.

        The kernel does not wait for this: by now the next program may be writing the file, and
        what it has not closed yet must not be sent.
        """
        with self._lock:
            known = self._handles.pop(handle, None)
            if known is None:
                return
            file = known.file
            file.writers -= known.writable
            unsent = known.writable and not file.writers and file.dirty and not file.failed
        if unsent:
            self._finish_quietly(file)
        with self._lock:
            file.handles -= 1
            file.readers -= known.readable
        self.forget(file)

    def forget(self, file: OpenFile) -> None:
        """Forget a file that nobody has open and that has nothing left to be sent."""
        with self._lock:
            if file.handles or file.pending:
                return
            paths = [path for path, known in self._files.items() if known is file]
            for path in paths:
                del self._files[path]
            self._closing.update(paths)
            if file in self._outdated or file.stale:
                self._outdated.discard(file)
                self._readers.kernel_falls_behind(file.path)
            held, self._held = self._held, []
        try:
            file.close()
        finally:
            with self._lock:
                self._closing.difference_update(paths)
                self._put_away.notify_all()
        for store, versions in held:
            self._recover_one(store, versions)

    # -- sending ------------------------------------------------------------------------------

    def finish(self, file: OpenFile) -> None:
        if not self._options.writeback:
            file.send()
            return
        file.seal()
        if file.pending:
            self._writeback.submit(file)

    def _finish_quietly(self, file: OpenFile) -> None:
        try:
            self.finish(file)
        except FtpfsError as error:
            log.error("%s: not sent: %s", file.path, error)  # noqa: TRY400 - one clear line

    # -- names --------------------------------------------------------------------------------

    def forget_content(self, path: str) -> None:
        """The file at `path`, which nobody has open, is gone."""
        self._readers.forget(path)
        with self._lock:
            self._outdated -= self._older_locked(path)

    def disown(self, file: OpenFile) -> None:
        """The name of an orphan is gone."""
        file.disown()
        with self._lock:
            if self._files.get(file.path) is file:
                del self._files[file.path]
            self._outdated -= self._older_locked(file.path)
        self.forget(file)

    def renamed(self, old: str, new: str) -> None:
        for path in (old, new):
            self._readers.forget_tree(path)
        with self._lock:
            self._outdated -= self._older_locked(new)
            for older in [f for f in self._outdated if (f.path + "/").startswith(old + "/")]:
                older.moved(new + older.path[len(old) :])
            for path in [p for p in self._files if p == old or p.startswith(old + "/")]:
                file = self._files.pop(path)
                file.moved(new + path[len(old) :])
                self._files[file.path] = file

    def move(self, file: EditedFile, path: str) -> None:
        """Give one file another path: that of its conflict."""
        with self._lock:
            for known, found in list(self._files.items()):
                if found is file:
                    del self._files[known]
                    found.moved(path)
                    self._files[path] = found

    # -- life ---------------------------------------------------------------------------------

    def recover(self, stores: Iterable[Store], *, retry: bool = False) -> int:
        """Take over what processes that died had acknowledged, and send it in the background.

        Returns how many files that are. What was refused, or not closed, only with `retry`.
        """
        found = [(store, versions) for store in stores for versions in _by_path(store, retry=retry)]
        return sum(self._recover_one(store, versions) for store, versions in found)

    def drain(self) -> int:
        """Wait, as long as `unmount_wait` says, for the background; how many files are left."""
        left = self._writeback.drain(self._options.unmount_wait)
        with self._lock:
            return left + len(self._held)

    def _recover_one(self, store: Store, versions: list[Record]) -> bool:
        """Take the records of one path over; one that is in use waits until it is free again."""
        path = versions[-1].path
        with self._lock:
            if path in self._files:
                self._held.append((store, versions))
                return True
            drafts = [draft for draft in (_found(store, v) for v in versions) if draft is not None]
            if not drafts:
                return False
            file = self._files[path] = OpenFile.left_behind(drafts, self._tools)
        self._writeback.submit(file)
        return True

    def unsent(self) -> int:
        """How many files have something to be sent."""
        with self._lock:
            files = set(self._files.values())
        return sum(file.local for file in files)

    def close(self) -> None:
        """Send what is unsent, within the time that the options allow; after the last call.

        What is left then stays in the journal and is sent by the next mount of the same URL.
        """
        with self._lock:
            files = set(self._files.values()) | {h.file for h in self._handles.values()}
            self._handles.clear()
        for file in files:
            if file.dirty and not file.failed:
                self._finish_quietly(file)
        left = self.drain()
        self._writeback.stop()
        if left:
            log.warning("%d files are not sent yet; the next mount of the URL sends them", left)
        with self._lock:
            files.update(self._files.values())
        for file in files:
            file.close()
        self._readers.close()

    # -- tables -------------------------------------------------------------------------------

    def handle(self, number: int) -> Handle:
        with self._lock:
            handle = self._handles.get(number)
        if handle is None:
            raise BadHandleError("not an open file")
        return handle

    def at(self, path: str) -> OpenFile | None:
        with self._lock:
            return self._files.get(path)

    def as_open(self, path: str, entry: Entry) -> Entry:
        """An entry as the kernel may have it, which cuts reads off by the size that it is told.

        While a file is open, that of the version that was opened; and no smaller than one that
        was opened earlier and still is: its readers would take that for its end.
        """
        with self._lock:
            file = self._files.get(path)
            older = self._older_locked(path)
        if file is not None and file.handles and entry.kind is Kind.FILE:
            entry = file.entry
        if not older or (file is not None and file.local):
            return entry
        return entry._replace(size=max(entry.size, *(each.entry.size for each in older)))

    def _older_locked(self, path: str) -> set[OpenFile]:
        return {file for file in self._outdated if file.path == path}

    def open_in(self, directory: str) -> set[str]:
        """Paths directly in a directory of files that are open."""
        with self._lock:
            paths = {*self._files, *(file.path for file in self._outdated)}
        return {path for path in paths if split(path)[0] == directory}

    def unsent_in(self, directory: str) -> list[OpenFile]:
        """Files directly in a directory that the server does not show as they are here."""
        with self._lock:
            found = [f for p, f in self._files.items() if split(p)[0] == directory]
        return [file for file in found if file.local]

    def unsent_below(self, path: str) -> list[OpenFile]:
        """Open files at `path` or under it that have something unsent."""
        with self._lock:
            found = [f for p, f in self._files.items() if p == path or p.startswith(path + "/")]
        return [file for file in found if file.local]


def _by_path(store: Store, *, retry: bool) -> list[list[Record]]:
    """The records of a store that are to be sent: those of each path, oldest first."""
    paths: dict[str, list[Record]] = {}
    for record in store.journal.records():
        if record.state is not EntryState.FAILED or retry:
            paths.setdefault(record.path, []).append(record)
    return list(paths.values())


def _found(store: Store, record: Record) -> Draft | None:
    """The draft of a record; None, and said, where its spool file is gone."""
    try:
        return Draft.found(store, record)
    except JournalError as error:
        log.error("%s: cannot be recovered: %s", record.path, error)  # noqa: TRY400 - one line
        failed = replace(record, state=EntryState.FAILED, error=str(error))
        store.journal.put(failed, durable=True)
        return None
