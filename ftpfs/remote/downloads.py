"""Everything that reads a file's content: RETR, from an offset on with REST. Any thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ftpfs.config import BLOCK_BYTES
from ftpfs.errors import (
    BrokenOffError,
    FtpfsError,
    LearntError,
    NetworkError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.answers import number_of, time_of
from ftpfs.remote.api import Download, Entry, Fingerprint
from ftpfs.remote.calls import Calls
from ftpfs.session.connection import Session
from ftpfs.session.pool import Lease, Purpose
from ftpfs.session.transfer import ReplyError, Transfer

log = logging.getLogger(__name__)

_BROKEN_OFF = (425, 426)


class Downloads:
    """Downloads from one server."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._lock = threading.Lock()  # several find out at the same time, and one says so

    def _without_rest(self) -> None:
        with self._lock:
            known = self._calls.profile.rest is False
            self._calls.profile.rest = False
        if not known:
            log.warning("the server refuses REST: files are read from the start")

    def open_read(self, path: str, offset: int, *, identify: bool) -> Download:
        """Over a connection of its own, waited for; again where a kept one turns out dead, and
        after a pause where the server cannot now."""
        return self._calls.patiently(lambda: self._opened(path, offset, identify=identify))

    def _opened(self, path: str, offset: int, *, identify: bool) -> Download:
        while True:
            lease = self._calls.pool.lease(Purpose.TRANSFER)
            try:
                return self.over(lease, path, offset, identify=identify)
            except NetworkError as error:
                lease.release()
                if lease.fresh and not isinstance(error, LearntError):
                    raise
                log.debug("RETR again on a new connection: %s", error)
            except BaseException:
                lease.release()
                raise

    def over(
        self, lease: Lease, path: str, offset: int, *, identify: bool, keep: bool = False
    ) -> FtpDownload:
        """Over the connection of a lease, which is given back in the end unless to `keep` it."""
        profile = self._calls.profile
        server_path = self._calls.reach(lease.session, path)
        start = offset if profile.rest is not False else 0
        if keep and start != offset:
            raise UnsupportedError("without REST nothing is read ahead of its turn")
        asking = [("SIZE", server_path), ("MDTM", server_path)] if identify else []
        try:
            transfer = lease.session.transfer("RETR", server_path, offset=start, asking=asking)
        except ReplyError as error:
            if error.verb != "REST":
                raise self._calls.explain(lease.session, path, error) from error
            self._without_rest()
            return self.over(lease, path, offset, identify=identify, keep=keep)
        return FtpDownload(lease, transfer, path, offset - start, keep=keep)


class FtpDownload:
    """A RETR in progress, and the lease that it gives back in the end unless it is to keep it.

    `behind`: how many bytes come before those that are wanted.
    """

    def __init__(
        self, lease: Lease, transfer: Transfer, path: str, behind: int, *, keep: bool
    ) -> None:
        self._lease = lease
        self._keep = keep
        self._transfer = transfer
        self._path = path
        self._behind = behind
        self._ended = False
        self._dropped: memoryview | None = None
        self.found = _found(transfer)

    @property
    def wanted(self) -> bool:
        return self._lease.wanted

    def narrow(self) -> None:
        self._transfer.narrow()

    def widen(self) -> None:
        self._transfer.widen()

    def readinto(self, buffer: memoryview) -> int:
        while self.skip():
            pass
        return self._received(buffer)

    def _received(self, buffer: memoryview) -> int:
        count = 0 if self._ended else self._transfer.readinto(buffer)
        if count == 0 and not self._ended:
            self._ended = True
            self._finish()
        return count

    def _finish(self) -> None:
        """The final reply decides whether the end of the stream is the end of the file."""
        try:
            self._transfer.finish()
        except ReplyError as error:
            kind = BrokenOffError if error.reply.code in _BROKEN_OFF else TransferError
            raise kind(f"{self._path}: the transfer broke off: {error}") from error
        finally:
            self._release()

    def skip(self) -> bool:
        if self._behind == 0:
            return False
        if self._dropped is None:
            self._dropped = memoryview(bytearray(BLOCK_BYTES))
        count = self._received(self._dropped[: self._behind])
        self._behind = self._behind - count if count else 0
        return True

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            self._transfer.abort()
        self._release()

    def _release(self) -> None:
        if not self._keep:
            self._lease.release()


def _found(transfer: Transfer) -> Fingerprint | None:
    """What SIZE and MDTM said before the transfer began."""
    if not transfer.answers or transfer.answers[0].code != 213:
        return None
    size, mtime = transfer.answers
    return Fingerprint(number_of(size), time_of(mtime))


class FtpSpare:
    """A reserved connection: opened by the first call or `connect`, given back by `close`."""

    def __init__(
        self,
        calls: Calls,
        downloads: Downloads,
        list_over: Callable[[Session, str], dict[str, Entry]],
    ) -> None:
        self._calls = calls
        self._downloads = downloads
        self._list_over = list_over
        self._lease: Lease | None = None
        self._reserved = True

    @property
    def wanted(self) -> bool:
        return self._lease is not None and self._lease.wanted

    def _leased(self) -> Lease:
        if self._lease is None:
            self._lease = self._opened()
            self._lease.session.more_to_come = True
        return self._lease

    def _opened(self) -> Lease:
        """What was reserved. A failure says nothing of the file or directory, whatever it is, and
        ends the use of this spare: its room is somebody else's by then."""
        if not self._reserved:
            raise NetworkError("this connection to spare could not be opened")
        self._reserved = False
        try:
            return self._calls.pool.lease_reserved()
        except NetworkError:
            raise
        except FtpfsError as error:
            raise NetworkError(f"no connection to spare: {error}") from error

    def connect(self) -> None:
        self._leased()

    def list(self, path: str) -> dict[str, Entry]:
        return self._list_over(self._leased().session, path)

    def open_read(self, path: str, offset: int, *, identify: bool = False) -> Download:
        return self._downloads.over(self._leased(), path, offset, identify=identify, keep=True)

    def close(self) -> None:
        if self._lease is not None:
            self._lease.session.more_to_come = False
            self._lease.release()
        elif self._reserved:
            self._calls.pool.cancel()
        self._reserved = False
