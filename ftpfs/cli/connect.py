"""Puts the layers together: a location and options become a connected file system."""

from __future__ import annotations

import math
import os
import stat
import threading
from collections.abc import Callable
from types import TracebackType

from ftpfs.cli.link import (
    Link,
    connect_of,
    login_of,
    profile_of,
    security_of,
    verdict_file,
)
from ftpfs.cli.xdg import cache_directory
from ftpfs.config import MAINTENANCE_S, SPOOL_SHARE
from ftpfs.content.space import Space
from ftpfs.content.store import Store, abandoned, place_of
from ftpfs.errors import FtpfsError, TransferError, UsageError
from ftpfs.options import MountOptions
from ftpfs.remote.examine import Examination, TimedConnect
from ftpfs.remote.report import Report
from ftpfs.session.connection import Session
from ftpfs.url import Location
from ftpfs.vfs.filesystem import FileSystem
from ftpfs.vfs.namespace import Namespace


class Connected:
    """A file system on a server that is logged in to; a context manager.

    Made before the process goes to the background: the sockets survive the fork. What would not,
    threads, the journal and its lock, comes with `open`, after it.
    """

    def __init__(self, location: Location, options: MountOptions) -> None:
        self._options = options
        self._link = Link(location, options, options.max_conns)
        self._remote = self._link.remote
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._stores: list[Store] = []
        self._filesystem: FileSystem | None = None
        try:
            self.place = place_of(spool_root(options), str(location))
            self._remote.enter(location.path)
        except BaseException:
            self.close()
            raise

    def open(self) -> FileSystem:
        """The file system. What processes that died left unsent is taken over by `start`."""
        space = Space(self._options.spool_limit or _free_share(os.path.dirname(self.place)))
        self._stores = [*abandoned(self.place, space), Store.create(self.place, space)]
        kernel_s = self._options.kernel_cache_s()
        namespace = Namespace(self._remote, self._options, kernel_s=kernel_s)
        self._filesystem = FileSystem(self._remote, self._options, self._stores[-1], namespace)
        return self._filesystem

    def __enter__(self) -> Connected:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> int:
        """Start the threads of the mount; returns how many files of an earlier one are unsent."""
        thread = threading.Thread(target=self._maintain, name="maintenance", daemon=True)
        self._threads.append(thread)
        thread.start()
        assert self._filesystem is not None
        return self._filesystem.recover(self._stores[:-1])

    def recover(self, *, retry: bool) -> int:
        """Send, now, what processes that are gone left behind; returns how many files are left.

        `retry` includes what was refused or interrupted.
        """
        filesystem = self.open()
        filesystem.recover(self._stores[:-1], retry=retry)
        return filesystem.drain()

    def _maintain(self) -> None:
        while not self._stop.wait(min(MAINTENANCE_S, (self._link.profile.idle_s or math.inf) / 4)):
            self._link.pool.close_idle()
            self._link.keep_verdicts()
            try:
                self._remote.refresh_free_bytes()
            except FtpfsError:
                continue  # the server is away; the next operation says so

    def abandon(self) -> None:
        """Let go of the sockets without a word: the other process has them now."""
        self._link.pool.abandon()

    def close(self) -> None:
        """Send what is unsent, log out; what could not be sent stays in the spool."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._filesystem is not None:
            self._filesystem.close()
        self._link.close()
        for store in self._stores:
            store.close()


def examined(
    location: Location, options: MountOptions, *, write: bool, on_step: Callable[[str], None]
) -> Report:
    """What an examination of a server finds; the next mounts know it too.

    Raises what connecting and logging in raise, TransferError where `write` has left something.
    """
    login, security = login_of(location, options), security_of(location, options)
    profile = profile_of(options)  # nothing believed: whatever was kept is found out anew
    connect = TimedConnect(connect_of(options))
    examination = Examination(
        lambda: Session.open(login, profile, connect, security),
        connect,
        profile,
        max_conns=options.max_conns,
        timeout_s=options.timeout,
        active=options.active,
        on_step=on_step,
    )
    try:
        report = examination.run(location.path, write=write)
    except FtpfsError as error:
        if examination.left_behind:
            raise TransferError(f"{error}; left there: {examination.left_behind}") from error
        raise
    verdict_file(location).save(profile)
    return report


def spool_root(options: MountOptions) -> str:
    """The directory of all spools of this user. Raises UsageError where it cannot be used."""
    path = options.spool or os.path.join(cache_directory(), "spool")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.stat(path)
    except OSError as error:
        raise UsageError(f"{path}: no place for the spool: {error.strerror}") from None
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o022:
        raise UsageError(f"{path}: must belong to you, and be writable by you alone")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: no place for the spool: it is not writable")
    return path


def _free_share(directory: str) -> int:
    disk = os.statvfs(directory)
    return int(disk.f_bavail * disk.f_frsize * SPOOL_SHARE)
