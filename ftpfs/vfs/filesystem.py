"""The file system: every operation a mount offers, in terms of paths and handles.

Called from many threads at once, and without a lock of its own: open files are in `Files`, which
says more of locks, open directories in `Directories`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from ftpfs.config import FREE_BYTES_UNKNOWN, NEAR_S
from ftpfs.content.store import Store
from ftpfs.errors import (
    AbsentError,
    BadHandleError,
    DeniedError,
    ExistsError,
    FtpfsError,
    InvalidError,
    IsDirectoryError,
    NotDirectoryError,
    NotEmptyError,
    NotPermittedError,
    ReadOnlyError,
)
from ftpfs.options import MountOptions
from ftpfs.remote.api import Entry, Kind, Remote
from ftpfs.vfs.ahead import Ahead
from ftpfs.vfs.directories import Directories
from ftpfs.vfs.fetchers import Fetchers
from ftpfs.vfs.files import WRITING, Files
from ftpfs.vfs.namespace import Namespace
from ftpfs.vfs.openfile import OpenFile
from ftpfs.vfs.told import Told
from ftpfs.wire.pathname import check_path, relative_target, split

log = logging.getLogger(__name__)

RENAME_NOREPLACE = 1  # renameat2(2)
USUAL_DIRECTORY_MODES = frozenset({0o755, 0o775, 0o777})
"""Modes of new directories that are left to the server's umask."""


@dataclass(frozen=True)
class Space:
    """What statfs tells, in bytes."""

    total: int
    free: int


class Pages(NamedTuple):
    """`keeps`: what the kernel has of the file is of the version that this handle reads.
    `bypasses`: reads must not go by the size that the kernel has of it."""

    keeps: bool
    bypasses: bool


class FileSystem:
    """One mounted directory tree."""

    def __init__(
        self, remote: Remote, options: MountOptions, store: Store, namespace: Namespace
    ) -> None:
        # set once
        self._remote = remote
        self._options = options
        self._namespace = namespace
        self._told = Told(options.kernel_cache_s(), namespace.clock)
        self._files = Files(remote, options, store, namespace)
        self._fetchers = Fetchers(remote.spare, lambda: remote.round_trip_s < NEAR_S)
        self._ahead = Ahead(namespace, self._files, self._fetchers)
        self._directories = Directories(self._told)

    # -- attributes ---------------------------------------------------------------------------

    def getattr(self, path: str | None, handle: int | None = None) -> Entry:
        """The entry of a path, or of an open file whose path may be gone. Raises AbsentError."""
        if handle is not None:
            file = self._files.handle(handle).file
            current = self._files.at(file.path) is file
            return self._files.as_open(file.path, file.entry) if current else file.entry
        assert path is not None
        entry = self._files.as_open(path, self._latest(path))
        self._told.entry(path, entry)
        return entry

    def _latest(self, path: str) -> Entry:
        """What an `open` of the path gets: what is not sent yet, else what the server has."""
        check_path(path)
        file = self._files.at(path)
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
        self._touched(path, file)
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
        self._touched(path, file)
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
            file = self._files.handle(handle).file
            return file.path, file
        assert path is not None
        check_path(path)
        return path, self._files.at(path)

    # -- directories --------------------------------------------------------------------------

    def opendir(self, path: str) -> int:
        """A handle on the directory as it is now, its entries sorted by name."""
        check_path(path)
        return self._directories.opened(path, lambda: self._entries(path))

    def _entries(self, path: str) -> dict[str, Entry]:
        """What a directory holds: as the server lists it, with what is open here."""
        unsent = self._files.unsent_in(path)  # first: what is sent in between is in the listing
        entries = self._namespace.list(path)
        self._ahead.listed(path, entries)
        for file in unsent:
            entry = file.entry
            if not file.unlinked and split(file.path)[0] == path:
                entries[entry.name] = entry
        for each in self._files.open_in(path):
            name = split(each)[1]
            if name in entries:
                entries[name] = self._files.as_open(each, entries[name])
        return entries

    def readdir(self, handle: int) -> list[tuple[str, Entry]]:
        """Names and entries as they were at `opendir`; what `changed` names is another by now."""
        return self._directories.entries(handle)

    def changed(self, handle: int) -> dict[str, bool]:
        """Names that were changed from here since `opendir`, and whether they are still there."""
        return self._directories.changed_in(handle)

    def _changed(self, path: str, *, there: bool = True) -> None:
        self._directories.changed(path, there=there)

    def _touched(self, path: str, file: OpenFile | None) -> None:
        """The attributes at a path change, unless it is that of an open file that is gone."""
        if file is None or not file.unlinked:
            self._changed(path)

    def releasedir(self, handle: int) -> None:
        self._directories.release(handle)

    def mkdir(self, path: str, mode: int) -> None:
        self._check_writable()
        check_path(path)
        self._namespace.mkdir(path, mode)
        self._changed(path)
        if mode not in USUAL_DIRECTORY_MODES:
            self._namespace.chmod(path, self._namespace.lookup(path), mode)

    def rmdir(self, path: str) -> None:
        self._check_writable()
        check_path(path)
        if self._files.unsent_below(path):
            raise NotEmptyError(f"{path}: files in it are open and not sent yet")
        self._namespace.rmdir(path)
        self._changed(path, there=False)

    def refuse_link(self, path: str) -> None:
        """What symlink, link and mknod do."""
        raise NotPermittedError(f"{path}: FTP can make neither links nor devices")

    # -- opening ------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        check_path(path)
        if flags & WRITING:
            self._check_writable()
        entry = self._latest(path)
        if entry.kind is Kind.DIRECTORY:
            raise IsDirectoryError(f"{path}: is a directory")
        if entry.kind is not Kind.FILE:
            raise DeniedError(f"{path}: neither a file nor a directory")
        if flags & WRITING:
            entry = self._namespace.exact(path, entry)
        behind = self._told.other(path, entry.size)
        handle = self._files.opened(path, flags, entry, new=False, behind=behind)
        if flags & os.O_TRUNC and flags & WRITING:
            self._changed(path)
            try:
                self._files.handle(handle).file.truncate(0)
            except FtpfsError:
                self._files.release(handle)
                raise
        return handle

    def pages(self, handle: int) -> Pages:
        """What the kernel may do with its pages of the file that was opened."""
        known = self._files.handle(handle)
        return Pages(known.keeps, known.bypasses)

    def create(self, path: str, flags: int, mode: int) -> int:
        self._check_writable()
        check_path(path)
        try:
            self._latest(path)
        except AbsentError:
            self._changed(path)
            entry = Entry(split(path)[1], Kind.FILE, mtime_ns=self._namespace.now_ns(), mode=mode)
            return self._files.opened(path, flags, entry, new=True)
        if flags & os.O_EXCL:
            raise ExistsError(f"{path}: exists")
        return self.open(path, flags)

    def release(self, handle: int) -> None:
        """Clean up after the last close."""
        self._files.release(handle)

    # -- content ------------------------------------------------------------------------------

    def read_into(self, handle: int, target: memoryview, offset: int) -> int:
        """Bytes put into `target`; fewer than asked only at the end of the file."""
        known = self._files.handle(handle)
        if not known.readable:
            raise BadHandleError("not open for reading")
        if offset == 0:
            self._ahead.read(known.file.path)
        return known.file.read_into(target, offset)

    def write(self, handle: int, data: memoryview | bytes, offset: int) -> int:
        known = self._files.handle(handle)
        if not known.writable:
            raise BadHandleError("not open for writing")
        self._touched(known.file.path, known.file)
        return known.file.write(data, None if known.append else offset)

    def truncate(self, path: str | None, size: int, handle: int | None = None) -> None:
        """Through a handle, sent with what else is written; by path, on the server at once."""
        self._check_writable()
        if handle is not None:
            file = self._files.handle(handle).file
            self._touched(file.path, file)
            file.truncate(size)
            return
        assert path is not None
        own = self.open(path, os.O_WRONLY)
        try:
            self._changed(path)
            self._files.handle(own).file.truncate(size)
            self.flush(own)
        finally:
            self._files.release(own)

    def flush(self, handle: int) -> None:
        """close(2): what is not sent is sent; with writeback, safe on the local disk.

        Raises what went wrong.
        """
        known = self._files.handle(handle)
        if known.writable:
            self._touched(known.file.path, known.file)
            self._files.finish(known.file)

    def fsync(self, handle: int) -> None:
        """What is not sent is on the server when this returns, with writeback too."""
        known = self._files.handle(handle)
        if known.writable:
            self._touched(known.file.path, known.file)
            known.file.send()

    # -- names --------------------------------------------------------------------------------

    def unlink(self, path: str) -> None:
        self._check_writable()
        check_path(path)
        file = self._files.at(path)
        if file is None:
            self._namespace.unlink(path)
            self._files.forget_content(path)
            self._changed(path, there=False)
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
        self._files.disown(file)
        self._changed(path, there=False)

    def _orphan(self, file: OpenFile) -> None:
        """Make an open file independent of its name, which is about to go."""
        if file.readers and not file.new:
            file.keep()
        file.orphan()

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
        for file in self._files.unsent_below(old):
            file.send()
        replaced = self._prepare_target(old, new, replacing=not flags & RENAME_NOREPLACE)
        try:
            self._namespace.rename(old, new)
        except FtpfsError:
            if replaced is not None:
                replaced.adopt()
            raise
        if replaced is not None:
            self._files.disown(replaced)
        self._files.renamed(old, new)
        self._changed(old, there=False)
        self._changed(new)

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
        file = self._files.at(new)
        if file is not None:
            self._orphan(file)
        return file

    # -- life ---------------------------------------------------------------------------------

    def recover(self, stores: Iterable[Store], *, retry: bool = False) -> int:
        """Take over what processes that died had acknowledged, and send it in the background.

        Returns how many files that are. What was refused, or not closed, only with `retry`.
        """
        return self._files.recover(stores, retry=retry)

    def drain(self) -> int:
        """Wait, as long as `unmount_wait` says, for the background; how many files are left."""
        return self._files.drain()

    def close(self) -> None:
        """Send what is unsent, within the time that the options allow; after the last call.

        What is left then stays in the journal and is sent by the next mount of the same URL.
        """
        self._fetchers.close()
        self._files.close()

    def _check_writable(self) -> None:
        if self._options.ro:
            raise ReadOnlyError("mounted read-only")
