"""Puts the layers together: a location and options become a connected file system."""

from __future__ import annotations

import math
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

import platformdirs

from ftpfs.config import MAINTENANCE_S, SPOOL_SHARE, WITHOUT, MountOptions, TlsMode
from ftpfs.content.space import Space
from ftpfs.content.store import Store, abandoned, place_of
from ftpfs.errors import FtpfsError, TransferError, UsageError
from ftpfs.remote.examine import Examination, TimedConnect
from ftpfs.remote.ftp import FtpRemote
from ftpfs.remote.report import Report
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.proxy import through
from ftpfs.session.tls import Tls, Trust
from ftpfs.session.transport import Connect, connect_tcp
from ftpfs.session.verdicts import VerdictFile
from ftpfs.url import ANONYMOUS_PASSWORD, Location
from ftpfs.vfs.filesystem import FileSystem
from ftpfs.vfs.namespace import Namespace


class Connected:
    """A file system on a server that is logged in to; a context manager.

    Made before the process goes to the background: the sockets survive the fork. What would not,
    threads, the journal and its lock, comes with `open`, after it.
    """

    def __init__(self, location: Location, options: MountOptions) -> None:
        login = login_of(location, options)
        security = security_of(location, options)
        connect = connect_of(options)
        self._options = options
        self._profile = profile_of(options)
        self._verdicts = verdict_file(location)
        self._verdicts.load(self._profile)
        self._pool = Pool(
            lambda: Session.open(login, self._profile, connect, security),
            min(options.max_conns, self._profile.connection_limit or options.max_conns),
            options.timeout,
        )
        self._pool_limit = self._pool.limit
        self._remote = FtpRemote(self._pool, self._profile)
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
        while not self._stop.wait(min(MAINTENANCE_S, (self._profile.idle_s or math.inf) / 4)):
            self._pool.close_idle()
            self._keep_verdicts()
            try:
                self._remote.refresh_free_bytes()
            except FtpfsError:
                continue  # the server is away; the next operation says so

    def _keep_verdicts(self) -> None:
        if self._pool.limit < self._pool_limit:
            self._profile.connection_limit = self._pool_limit = self._pool.limit
        self._verdicts.save(self._profile)

    def abandon(self) -> None:
        """Let go of the sockets without a word: the other process has them now."""
        self._pool.abandon()

    def close(self) -> None:
        """Send what is unsent, log out; what could not be sent stays in the spool."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._filesystem is not None:
            self._filesystem.close()
        self._keep_verdicts()
        self._pool.close()
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


def login_of(location: Location, options: MountOptions) -> Login:
    """Where to log in, and as whom."""
    return Login(
        location.host,
        location.port,
        location.user,
        ANONYMOUS_PASSWORD if location.password is None else location.password,
        options.timeout,
        location.tls,
        active=options.active,
        obey_pasv=options.pasv_address == "server",
    )


def profile_of(options: MountOptions) -> Profile:
    """A profile that knows what the options say, and nothing else."""
    profile = Profile(encoding=options.encoding)
    if options.tls_max == "1.2":
        profile.fix(tls13=False)
    if options.pasv_address == "server":
        profile.fix(epsv=False)  # EPSV tells no address
    for word in options.without:
        profile.fix(**dict.fromkeys(WITHOUT[word], False))
    return profile


def verdict_file(location: Location) -> VerdictFile:
    """Where the verdicts on a server are kept between mounts: whatever the directory mounted."""
    directory = os.path.join(platformdirs.user_cache_dir("ftpfs"), "servers")
    return VerdictFile(directory, str(replace(location, path="")))


def connect_of(options: MountOptions) -> Connect:
    """What opens connections. Raises UsageError."""
    if options.proxy is None:
        return connect_tcp
    if options.active:
        raise UsageError("-o active and -o proxy: no server can connect to us through a proxy")
    return through(options.proxy)


def security_of(location: Location, options: MountOptions) -> Tls | None:
    """What puts TLS around connections; None for clear text.

    Raises UsageError for options that contradict each other, or cannot be kept in clear text.
    """
    trust = Trust(options.cafile, options.fingerprint, options.insecure, options.cert, options.key)
    if location.tls is TlsMode.NONE:
        if trust != Trust():
            raise UsageError("options of TLS with a URL in clear text: use ftpes:// or ftps://")
        return None
    if sum(map(bool, (trust.cafile, trust.fingerprint, trust.insecure))) > 1:
        raise UsageError("of -o cafile, -o fingerprint and -o insecure only one can be used")
    if trust.key and not trust.cert:
        raise UsageError("-o key needs -o cert, the certificate that belongs to it")
    return Tls(trust)


def spool_root(options: MountOptions) -> str:
    """The directory of all spools of this user. Raises UsageError where it cannot be used."""
    path = options.spool or os.path.join(platformdirs.user_cache_dir("ftpfs"), "spool")
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
