"""Puts the layers together: a location and options become a connected file system."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from types import TracebackType

import platformdirs

from ftpfs.config import MAINTENANCE_S, MountOptions
from ftpfs.errors import FtpfsError, UsageError
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Login, Session
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.transport import connect_tcp
from ftpfs.url import ANONYMOUS_PASSWORD, Location
from ftpfs.vfs.filesystem import FileSystem
from ftpfs.vfs.namespace import Namespace


class Connected:
    """A file system on a server that is logged in to; a context manager.

    Made before the process goes to the background: the sockets survive the fork, and no thread
    is started until `start`, since threads would not.
    """

    def __init__(self, location: Location, options: MountOptions) -> None:
        login = Login(
            location.host,
            location.port,
            location.user,
            ANONYMOUS_PASSWORD if location.password is None else location.password,
            options.timeout,
        )
        self._profile = Profile()
        self._pool = Pool(
            lambda: Session.open(login, self._profile, connect_tcp),
            options.max_conns,
            options.timeout,
        )
        self._remote = FtpRemote(self._pool, self._profile)
        self._spool = ""
        self._stop = threading.Event()
        self._maintenance: threading.Thread | None = None
        try:
            self._remote.enter(location.path)
            self._spool = tempfile.mkdtemp(prefix="spool-", dir=_cache_directory())
            namespace = Namespace(self._remote, options)
            self.filesystem = FileSystem(self._remote, options, self._spool, namespace)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Connected:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the thread that closes idle connections; after the fork."""
        self._maintenance = threading.Thread(target=self._maintain, name="maintenance", daemon=True)
        self._maintenance.start()

    def _maintain(self) -> None:
        while not self._stop.wait(MAINTENANCE_S):
            self._pool.close_idle()
            try:
                self._remote.refresh_free_bytes()
            except FtpfsError:
                continue  # the server is away; the next operation says so

    def abandon(self) -> None:
        """Let go of the sockets without a word: the other process has them now."""
        self._pool.abandon()

    def close(self) -> None:
        """Send what is unsent, log out, leave nothing behind."""
        self._stop.set()
        if self._maintenance is not None:
            self._maintenance.join()
        if hasattr(self, "filesystem"):
            self.filesystem.close()
        self._pool.close()
        if self._spool:
            shutil.rmtree(self._spool, ignore_errors=True)


def _cache_directory() -> str:
    """The user's private cache directory. Raises UsageError where it cannot be written."""
    path = os.path.join(platformdirs.user_cache_dir("ftpfs"), "spool")
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
