"""The file system: every operation a mount offers, in terms of paths and handles.

Called from many threads at once. `_lock` guards the tables of handles and open files; it is held
for look-ups in them only. Lock order: FileSystem._lock > OpenFile._changed > the caches' locks.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from ftpfs.cache.blocks import BlockCache
from ftpfs.config import FREE_BYTES_UNKNOWN, WRITEBACK_WORKERS, MountOptions
from ftpfs.content.draft import Draft
from ftpfs.content.journal import EntryState, Record
from ftpfs.content.reader import Reader
from ftpfs.content.store import Store
from ftpfs.content.upload import Uploader
from ftpfs.errors import (
    AbsentError,
    BadHandleError,
    DeniedError,
    ExistsError,
    FtpfsError,
    InvalidError,
    IsDirectoryError,
    JournalError,
    NotDirectoryError,
    NotEmptyError,
    NotPermittedError,
    ReadOnlyError,
)
from ftpfs.remote.api import Download, Entry, Kind, Remote
from ftpfs.vfs.namespace import Namespace
from ftpfs.vfs.openfile import OpenFile, Tools
from ftpfs.vfs.writeback import Writeback
from ftpfs.wire.pathname import check_path, relative_target, split

log = logging.getLogger(__name__)

RENAME_NOREPLACE = 1  # renameat2(2)
USUAL_DIRECTORY_MODES = frozenset({0o755, 0o775, 0o777})
"""Modes of new directories that are left to the server's umask."""

_WRITING = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True, eq=False)
class Handle:
    """One open(2) of a file."""

    file: OpenFile
    readable: bool
    writable: bool
    append: bool


@dataclass(frozen=True)
class Space:
    """What statfs tells, in bytes."""

    total: int
    free: int


class FileSystem:
    """One mounted directory tree."""

    def __init__(
        self, remote: Remote, options: MountOptions, store: Store, namespace: Namespace
    ) -> None:
        # set once
        self._remote = remote
        self._options = options
        self._namespace = namespace
        self._blocks = BlockCache()
        self._tools = Tools(
            remote,
            namespace,
            Uploader(remote, patching=options.inplace == "auto"),
            new_reader=self._new_reader,
            new_draft=lambda path, size, base: Draft.begin(store, path, size, base),
            move=self._move_file,
            writeback=options.writeback,
            trust_s=options.dir_cache,
        )
        workers = max(1, min(WRITEBACK_WORKERS, options.max_conns - 1))
        self._writeback = Writeback(workers, done=self._sent)
        self._numbers = itertools.count(1)
        # guarded by _lock
        self._lock = threading.Lock()
        self._handles: dict[int, Handle] = {}
        self._directories: dict[int, list[tuple[str, Entry]]] = {}
        self._files: dict[str, OpenFile] = {}
        self._held: list[tuple[Store, Record]] = []  # to be recovered once their path is free

    # -- attributes ---------------------------------------------------------------------------

    def getattr(self, path: str | None, handle: int | None = None) -> Entry:
        """The entry of a path, or of an open file whose path may be gone. Raises AbsentError."""
        if handle is not None:
            return self._handle(handle).file.entry
        assert path is not None
        check_path(path)
        file = self._open_file(path)
        if file is not None and file.local:
            return file.entry
        return self._namespace.lookup(path)

    def access(self, path: str, *, write: bool) -> None:
        """Whether the path is there; permissions are the server's to decide, when it is used."""
        self.getattr(path)
        if write:
            self._check_writable()

    def readlink(self, path: str) -> str:
        """The target of a symbolic link, so that it stays inside the mount.

        Raises NotPermittedError for one that leads out of it: followed, it would make local
        programs open local files of a hostile server's choice (CVE-2026-47187).
        """
        entry = self._namespace.lookup(path)
        if entry.kind is not Kind.SYMLINK or entry.target is None:
            raise InvalidError(f"{path}: not a link, or the server does not say to where")
        target = relative_target(path, entry.target, self._remote.base)
        if target is None:
            raise NotPermittedError(f"{path}: the link leads out of the mount: {entry.target}")
        return target

    def space(self) -> Space:
        """Size and free space; never asks the network."""
        free = self._namespace.free_bytes()
        if free is None:
            return Space(FREE_BYTES_UNKNOWN, FREE_BYTES_UNKNOWN)
        return Space(max(free, 1) * 2, max(free, 1))

    def chmod(self, path: str | None, mode: int, handle: int | None = None) -> None:
        self._check_writable()
        path, file = self._subject(path, handle)
        if file is not None and (file.set_mode(mode) or file.unlinked):
            return
        self._namespace.chmod(path, self._namespace.lookup(path), mode)

    def chown(self, path: str | None, uid: int, gid: int, handle: int | None = None) -> None:
        """Allowed where it changes nothing; FTP has no owners. -1 leaves one as it is."""
        path, file = self._subject(path, handle)
        if file is None:
            self.getattr(path)
        if uid not in (-1, self._options.owner()[0]) or gid not in (-1, self._options.owner()[1]):
            raise NotPermittedError(f"{path}: FTP cannot change a file's owner")

    def utimens(self, path: str | None, mtime_ns: int | None, handle: int | None = None) -> None:
        """Set the modification time, ns; None leaves it. FTP has no access time."""
        self._check_writable()
        path, file = self._subject(path, handle)
        if mtime_ns is None:
            return
        if file is not None and (file.set_mtime(mtime_ns) or file.unlinked):
            return
        entry = self._namespace.lookup(path)
        if path != "/":
            entry = self._namespace.set_mtime(path, entry, mtime_ns)
            if file is not None:
                file.shows_mtime(entry.mtime_ns)

    def _subject(self, path: str | None, handle: int | None) -> tuple[str, OpenFile | None]:
        """The path, and the open file if it is open, that a call by path or handle means."""
        if handle is not None:
            file = self._handle(handle).file
            return file.path, file
        assert path is not None
        check_path(path)
        return path, self._open_file(path)

    # -- directories --------------------------------------------------------------------------

    def opendir(self, path: str) -> int:
        """A handle on the directory as it is now, its entries sorted by name."""
        check_path(path)
        entries = self._namespace.list(path)
        with self._lock:
            unsent = [f for p, f in self._files.items() if split(p)[0] == path and f.local]
        for file in unsent:
            entry = file.entry
            entries[entry.name] = entry
        number = next(self._numbers)
        with self._lock:
            self._directories[number] = sorted(entries.items())
        return number

    def readdir(self, handle: int) -> list[tuple[str, Entry]]:
        with self._lock:
            if handle not in self._directories:
                raise BadHandleError("not an open directory")
            return self._directories[handle]

    def releasedir(self, handle: int) -> None:
        with self._lock:
            self._directories.pop(handle, None)

    def mkdir(self, path: str, mode: int) -> None:
        self._check_writable()
        check_path(path)
        self._namespace.mkdir(path, mode)
        if mode not in USUAL_DIRECTORY_MODES:
            self._namespace.chmod(path, self._namespace.lookup(path), mode)

    def rmdir(self, path: str) -> None:
        self._check_writable()
        check_path(path)
        if self._files_below(path):
            raise NotEmptyError(f"{path}: files in it are open and not sent yet")
        self._namespace.rmdir(path)

    def refuse_link(self, path: str) -> None:
        """What symlink, link and mknod do."""
        raise NotPermittedError(f"{path}: FTP can make neither links nor devices")

    # -- opening ------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        check_path(path)
        if flags & _WRITING:
            self._check_writable()
        entry = self.getattr(path)
        if entry.kind is Kind.DIRECTORY:
            raise IsDirectoryError(f"{path}: is a directory")
        if entry.kind is not Kind.FILE:
            raise DeniedError(f"{path}: neither a file nor a directory")
        if flags & _WRITING:
            entry = self._namespace.exact(path, entry)
        handle = self._opened(path, flags, entry, new=False)
        if flags & os.O_TRUNC and flags & _WRITING:
            try:
                self._handle(handle).file.truncate(0)
            except FtpfsError:
                self.release(handle)
                raise
        return handle

    def create(self, path: str, flags: int, mode: int) -> int:
        self._check_writable()
        check_path(path)
        try:
            self.getattr(path)
        except AbsentError:
            entry = Entry(split(path)[1], Kind.FILE, mtime_ns=self._namespace.now_ns(), mode=mode)
            return self._opened(path, flags, entry, new=True)
        if flags & os.O_EXCL:
            raise ExistsError(f"{path}: exists")
        return self.open(path, flags)

    def _opened(self, path: str, flags: int, entry: Entry, *, new: bool) -> int:
        """A handle on the open file at `path`, which is made if there is none."""
        writable = bool(flags & _WRITING) or new  # O_RDONLY | O_CREAT: close has a file to send
        readable = flags & os.O_ACCMODE != os.O_WRONLY
        outdated = None
        with self._lock:
            file = self._files.get(path)
            if file is not None and not file.refresh(entry):
                file, outdated = None, file
            if file is None:
                file = self._new_file(path, entry, new=new)
                self._files[path] = file
            file.handles += 1
            file.readers += readable
            file.writers += writable
            number = next(self._numbers)
            append = bool(flags & os.O_APPEND)
            self._handles[number] = Handle(file, readable, writable, append)
        if outdated is not None:
            outdated.outdate()
        return number

    def _new_file(self, path: str, entry: Entry, *, new: bool) -> OpenFile:
        return OpenFile(path, entry, self._tools, new=new)

    def _new_reader(self, file: OpenFile, size: int) -> Reader:
        def open_read(offset: int) -> Download:
            file.wait_while_in_place()
            return self._remote.open_read(file.path, offset)

        return Reader(open_read, size, self._blocks)

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
        self._sent(file)

    def _sent(self, file: OpenFile) -> None:
        """Forget a file that nobody has open and that has nothing left to be sent."""
        with self._lock:
            if file.handles or file.pending:
                return
            for path in [path for path, known in self._files.items() if known is file]:
                del self._files[path]
            held, self._held = self._held, []
        file.close()
        for store, record in held:
            self._recover_one(store, record)

    # -- content ------------------------------------------------------------------------------

    def read_into(self, handle: int, target: memoryview, offset: int) -> int:
        """Bytes put into `target`; fewer than asked only at the end of the file."""
        known = self._handle(handle)
        if not known.readable:
            raise BadHandleError("not open for reading")
        return known.file.read_into(target, offset)

    def write(self, handle: int, data: memoryview | bytes, offset: int) -> int:
        known = self._handle(handle)
        if not known.writable:
            raise BadHandleError("not open for writing")
        return known.file.write(data, None if known.append else offset)

    def truncate(self, path: str | None, size: int, handle: int | None = None) -> None:
        """Through a handle, sent with what else is written; by path, on the server at once."""
        self._check_writable()
        if handle is not None:
            self._handle(handle).file.truncate(size)
            return
        assert path is not None
        own = self.open(path, os.O_WRONLY)
        try:
            self._handle(own).file.truncate(size)
            self.flush(own)
        finally:
            self.release(own)

    def flush(self, handle: int) -> None:
        """close(2): what is not sent is sent; with writeback, safe on the local disk.

        Raises what went wrong.
        """
        known = self._handle(handle)
        if known.writable:
            self._finish(known.file)

    def fsync(self, handle: int) -> None:
        """What is not sent is on the server when this returns, with writeback too."""
        known = self._handle(handle)
        if known.writable:
            self._send(known.file)

    def _finish(self, file: OpenFile) -> None:
        if not self._options.writeback:
            self._send(file)
            return
        file.seal()
        if file.pending:
            self._writeback.submit(file)

    def _send(self, file: OpenFile) -> None:
        file.send()

    def _finish_quietly(self, file: OpenFile) -> None:
        try:
            self._finish(file)
        except FtpfsError as error:
            log.error("%s: not sent: %s", file.path, error)  # noqa: TRY400 - one clear line

    # -- names --------------------------------------------------------------------------------

    def unlink(self, path: str) -> None:
        self._check_writable()
        check_path(path)
        file = self._open_file(path)
        if file is None:
            self._namespace.unlink(path)
            return
        self._orphan(file)
        try:
            if not file.new:
                self._namespace.unlink(path)
            elif file.attempted:
                with suppress(AbsentError):
                    self._namespace.unlink(path)  # what arrived of it
        except FtpfsError:
            file.adopt()
            raise
        self._disown(file)

    def _orphan(self, file: OpenFile) -> None:
        """Make an open file independent of its name, which is about to go."""
        if file.readers and not file.new:
            file.keep()
        file.orphan()

    def _disown(self, file: OpenFile) -> None:
        """The name of an orphan is gone."""
        file.disown()
        with self._lock:
            if self._files.get(file.path) is file:
                del self._files[file.path]
        self._sent(file)

    def rename(self, old: str, new: str, flags: int = 0) -> None:
        """Rename; a file at `new` is replaced. `flags` are those of renameat2(2).

        RENAME_NOREPLACE is honoured; the others cannot be had over FTP: InvalidError.
        """
        self._check_writable()
        check_path(old)
        check_path(new)
        if flags & ~RENAME_NOREPLACE:
            raise InvalidError("FTP can neither exchange two names nor leave a whiteout")
        if old == new:
            return
        for file in self._files_below(old):
            self._send(file)
        replaced = self._prepare_target(old, new, replacing=not flags & RENAME_NOREPLACE)
        try:
            self._namespace.rename(old, new)
        except FtpfsError:
            if replaced is not None:
                replaced.adopt()
            raise
        if replaced is not None:
            self._disown(replaced)
        self._move_files(old, new)

    def _prepare_target(self, old: str, new: str, *, replacing: bool) -> OpenFile | None:
        """See that `new` may be replaced; the open file that goes by that name, made an orphan."""
        try:
            target = self.getattr(new)
        except AbsentError:
            return None
        if not replacing:
            raise ExistsError(f"{new}: exists")
        if target.kind is Kind.DIRECTORY:
            if self.getattr(old).kind is not Kind.DIRECTORY:
                raise IsDirectoryError(f"{new}: is a directory")
            if self._namespace.list(new):
                raise NotEmptyError(f"{new}: not empty")
            return None
        if self.getattr(old).kind is Kind.DIRECTORY:
            raise NotDirectoryError(f"{new}: not a directory")
        file = self._open_file(new)
        if file is not None:
            self._orphan(file)
        return file

    def _move_files(self, old: str, new: str) -> None:
        with self._lock:
            for path in [p for p in self._files if p == old or p.startswith(old + "/")]:
                file = self._files.pop(path)
                file.moved(new + path[len(old) :])
                self._files[file.path] = file

    def _move_file(self, file: OpenFile, path: str) -> None:
        with self._lock:
            for known in [p for p, f in self._files.items() if f is file]:
                del self._files[known]
            file.moved(path)
            self._files[path] = file

    # -- life ---------------------------------------------------------------------------------

    def recover(self, stores: Iterable[Store], *, retry: bool = False) -> int:
        """Take over what processes that died had acknowledged, and send it in the background.

        Returns how many files that are. What was refused, or not closed, only with `retry`.
        """
        wanted = [(store, record) for store in stores for record in _newest(store, retry=retry)]
        return sum(self._recover_one(store, record) for store, record in wanted)

    def drain(self) -> int:
        """Wait, as long as `unmount_wait` says, for the background; how many files are left."""
        left = self._writeback.drain(self._options.unmount_wait)
        with self._lock:
            return left + len(self._held)

    def _recover_one(self, store: Store, record: Record) -> bool:
        """Take a record over; one whose path is in use waits until it is free again."""
        try:
            with self._lock:
                if record.path in self._files:
                    self._held.append((store, record))
                    return True
                file = OpenFile.left_behind(Draft.found(store, record), self._tools)
                self._files[record.path] = file
        except JournalError as error:
            log.error("%s: cannot be recovered: %s", record.path, error)  # noqa: TRY400
            store.journal.put(
                replace(record, state=EntryState.FAILED, error=str(error)), durable=True
            )
            return False
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

    # -- tables -------------------------------------------------------------------------------

    def _handle(self, number: int) -> Handle:
        with self._lock:
            handle = self._handles.get(number)
        if handle is None:
            raise BadHandleError("not an open file")
        return handle

    def _open_file(self, path: str) -> OpenFile | None:
        with self._lock:
            return self._files.get(path)

    def _files_below(self, path: str) -> list[OpenFile]:
        """Open files at `path` or under it that have something unsent."""
        with self._lock:
            found = [f for p, f in self._files.items() if p == path or p.startswith(path + "/")]
        return [file for file in found if file.local]

    def _check_writable(self) -> None:
        if self._options.ro:
            raise ReadOnlyError("mounted read-only")


def _newest(store: Store, *, retry: bool) -> list[Record]:
    """The records of a store that are to be sent: the last of each path, which replaces those
    before it."""
    newest: dict[str, Record] = {}
    for record in store.journal.records():
        if record.state is EntryState.FAILED and not retry:
            continue
        older = newest.get(record.path)
        in_place = record.in_place or (older is not None and older.in_place)
        newest[record.path] = replace(record, in_place=in_place)
        if older is not None:
            _drop(store, older)
    return list(newest.values())


def _drop(store: Store, record: Record) -> None:
    with suppress(JournalError):  # its spool file is gone already
        store.spool_of(record).close()
    store.journal.remove(record)
