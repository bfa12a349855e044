"""Names and attributes: the directory cache in front of the server, with this mount's changes.

Shared by all threads; has no lock of its own, its parts have theirs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ftpfs.cache.directory import DirectoryCache
from ftpfs.config import ABSENCE_S, KERNEL_ABSENCE_S
from ftpfs.errors import AbsentError, RefusedError, UnsupportedError
from ftpfs.options import MountOptions
from ftpfs.remote.api import Entry, Fingerprint, Kind, Remote, Spare
from ftpfs.vfs.remembered import Remembered
from ftpfs.wire.pathname import split

log = logging.getLogger(__name__)


class Namespace:
    """What there is on the server, as this mount sees it."""

    def __init__(
        self,
        remote: Remote,
        options: MountOptions,
        clock: Callable[[], float] = time.monotonic,
        kernel_s: float = 0.0,
    ) -> None:
        self._remote = remote
        self.clock = self._clock = clock
        self._strict = options.strict
        self._absence_s = ABSENCE_S - (KERNEL_ABSENCE_S if kernel_s else 0.0)
        self._cache = DirectoryCache(
            options.dir_cache - kernel_s, clock, wait_s=4 * options.timeout
        )
        self._remembered = Remembered()
        self._root = Entry("", Kind.DIRECTORY, mtime_ns=time.time_ns())

    # -- asking -------------------------------------------------------------------------------

    def lookup(self, path: str) -> Entry:
        """The entry at `path`. Raises AbsentError; the root never asks the network."""
        if path == "/":
            return self._root
        known = self._cache.lookup(path)
        if known is None:
            entry = self._fetch(path)
        elif known.entry is None and self._clock() - known.fetched_at > self._absence_s:
            entry = self._look_again(path)
        else:
            entry = known.entry
        if entry is None:
            raise AbsentError(f"{path}: no such file or directory")
        return self._remembered.apply(path, entry)

    def _fetch(self, path: str) -> Entry | None:
        if self._remote.describes and self._cache.asked_first(path):
            return self._cache.entry(path, lambda: self._stat(path))
        parent, name = split(path)
        entry = self._cache.child(parent, name, lambda: self._remote.list(parent))
        if entry is None and self._cache.is_cut(parent):
            return self._cache.entry(path, lambda: self._stat(path))
        return entry

    def _look_again(self, path: str) -> Entry | None:
        """A listing is older than a second: is the name still absent?"""
        parent, name = split(path)
        if self._cache.looked_again(parent):
            return self._cache.relisted(parent, lambda: self._remote.list(parent)).get(name)
        entry = self._cache.entry(path, lambda: self._stat(path))
        if entry is None or self._remote.describes:
            return entry
        self._cache.forget(path)  # found by probing, which tells too little
        listed = self._cache.child(parent, name, lambda: self._remote.list(parent))
        return entry if listed is None and self._cache.is_cut(parent) else listed

    def _stat(self, path: str) -> Entry | None:
        try:
            return self._remote.stat(path)
        except AbsentError:
            return None

    def list(self, directory: str) -> dict[str, Entry]:
        """A directory's entries by name; the caller may change the dict."""
        entries = self._cache.snapshot(directory, lambda: self._remote.list(directory))
        return self._remembered.apply_all(directory, entries)

    # -- ahead of what is asked ---------------------------------------------------------------

    def known(self, path: str) -> Entry | None:
        """The entry at `path` as far as it is known without asking."""
        known = self._cache.lookup(path)
        return None if known is None else known.entry

    def listed(self, directory: str) -> dict[str, Entry] | None:
        """A directory's entries if they are known without asking."""
        return self._cache.listed(directory)

    def has_listing(self, directory: str) -> bool:
        return self._cache.has_listing(directory)

    def list_ahead(self, directory: str, spare: Spare) -> dict[str, Entry] | None:
        """List a directory that may be asked for soon; None where that is known or on its way."""
        return self._cache.ahead(directory, lambda: spare.list(directory))

    # -- details of files ---------------------------------------------------------------------

    def exact(self, path: str, entry: Entry) -> Entry:
        """The entry with its time to the second: asked for (one round trip) where the listing
        told less, because what is written is compared with the file that was opened."""
        if entry.precision_s == 1:
            return entry
        now = self._remote.fingerprint(path)
        if now is None or now.size != entry.size or now.mtime_ns is None:
            return entry
        self._remembered.time(path, entry.size, now.mtime_ns)
        return entry._replace(mtime_ns=now.mtime_ns, precision_s=1)

    def base(self, path: str, entry: Entry) -> Fingerprint:
        """What the server would say of the file that is shown as `entry`."""
        known = entry.precision_s == 1 and not self._remembered.is_local(path)
        return Fingerprint(entry.size, entry.mtime_ns if known else None)

    def keeps_time(self, path: str) -> bool:
        """Whether the time of `path` is kept here, because the server could not be told."""
        return self._remembered.is_local(path)

    def now_ns(self) -> int:
        return time.time_ns()

    def free_bytes(self) -> int | None:
        return self._remote.free_bytes()

    # -- changes ------------------------------------------------------------------------------

    def forget(self, path: str) -> None:
        """What is known of `path` is in doubt: an upload broke off."""
        self._cache.forget(path)

    def stored(self, path: str, entry: Entry) -> None:
        """A file was sent; `entry` has its exact time."""
        before = self._cache.lookup(path)
        self._remembered.time(path, entry.size, entry.mtime_ns)
        self._cache.put(path, entry)
        if before is None or before.entry is None:
            self._directory_changed(path)

    def mkdir(self, path: str, mode: int) -> None:
        self._remote.mkdir(path)
        entry = Entry(split(path)[1], Kind.DIRECTORY, mtime_ns=time.time_ns(), mode=mode)
        self._cache.put_empty_directory(path, entry)
        self._directory_changed(path)

    def rmdir(self, path: str) -> None:
        try:
            self._remote.rmdir(path)
        except AbsentError:
            self._cache.forget(path)
            raise
        self._removed(path)

    def unlink(self, path: str) -> None:
        try:
            self._remote.unlink(path)
        except AbsentError:
            self._cache.forget(path)
            raise
        self._removed(path)

    def _removed(self, path: str) -> None:
        self._remembered.forget(path)
        self._cache.remove(path)
        self._directory_changed(path)

    def _directory_changed(self, path: str) -> None:
        """A name came or went, which gave the directory of `path` a new time on the server.

        A time set before must not be shown any more: rsync sets those of directories at its
        end, but only where they differ.
        """
        directory = split(path)[0]
        known = self._cache.lookup(directory)
        entry = known.entry if known is not None else None
        now_ns = self.now_ns()
        self._remembered.time(directory, entry.size if entry else 0, now_ns)
        if entry is not None:
            self._cache.put(directory, entry._replace(mtime_ns=now_ns))

    def rename(self, old: str, new: str) -> None:
        entry = self.lookup(old)
        self._remote.rename(old, new)
        self._remembered.forget(new)
        self._remembered.move(old, new, tree=entry.kind is Kind.DIRECTORY)
        if entry.kind is Kind.DIRECTORY:
            self._cache.forget_below(old)
            self._cache.forget_below(new)
        self._cache.remove(old)
        self._cache.put(new, entry._replace(name=split(new)[1]))
        self._directory_changed(old)
        self._directory_changed(new)

    def set_mtime(self, path: str, entry: Entry, mtime_ns: int) -> Entry:
        """The entry with its new time: set on the server, or kept here where there is no way.

        With `strict` the refusal is raised instead.
        """
        local = False
        try:
            self._remote.set_mtime(path, mtime_ns)
            mtime_ns -= mtime_ns % 1_000_000_000  # what MFMT and MDTM carry
        except RefusedError as error:
            self._tolerate(error)
            local = True
        self._remembered.time(path, entry.size, mtime_ns, local=local)
        entry = entry._replace(mtime_ns=mtime_ns)
        self._cache.put(path, entry)
        return entry

    def chmod(self, path: str, entry: Entry, mode: int) -> Entry:
        """The entry with its new permission bits, on the server or kept here."""
        try:
            self._remote.chmod(path, mode)
            self._remembered.mode(path, None)
        except RefusedError as error:
            self._tolerate(error)
            self._remembered.mode(path, mode)
        entry = entry._replace(mode=mode)
        if path == "/":
            self._root = entry
        else:
            self._cache.put(path, entry)
        return entry

    def _tolerate(self, error: RefusedError) -> None:
        if self._strict or isinstance(error, AbsentError):
            raise error
        if not isinstance(error, UnsupportedError):
            log.info("kept for this mount only: %s", error)
