"""An open file: one for each path, shared by all its handles.

`_changed` (a Condition) guards every field below it. The network is never waited for while it is
held: a sender takes the state SENDING instead, and writers wait for that to pass, so that what
arrives on the server is one version and not a mixture.

    CLEAN ---write, truncate---> DIRTY ---flush, fsync, last release---> SENDING
      ^                            ^                                        |
      |                            +------------- refused, failed ----------+
      +------------------- final reply in, size agrees --------------------+
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ftpfs.config import BLOCK_BYTES
from ftpfs.content.reader import Reader
from ftpfs.content.spool import Spool
from ftpfs.errors import (
    ChangedError,
    DeadlineError,
    InvalidError,
    NetworkError,
    RefusedError,
)
from ftpfs.remote.api import Entry, Remote
from ftpfs.vfs.namespace import Namespace
from ftpfs.wire.pathname import split

log = logging.getLogger(__name__)

USUAL_MODES = frozenset({0o644, 0o664, 0o666})
"""Modes of new files that are the server's business: its umask decides, no SITE CHMOD is sent."""

SEND_WAIT_S = 3600.0
"""Backstop for a writer that waits until another thread has sent the file; each step of the
sending has deadlines of its own."""


class State(enum.Enum):
    CLEAN = "clean"
    DIRTY = "dirty"
    SENDING = "sending"


class OpenFile:
    """The content and attributes of an open file as this mount sees them."""

    def __init__(
        self,
        path: str,
        entry: Entry,
        remote: Remote,
        namespace: Namespace,
        new_reader: Callable[[OpenFile, int], Reader],
        new_spool: Callable[[int], Spool],
        *,
        new: bool,
    ) -> None:
        # set once
        self._remote = remote
        self._namespace = namespace
        self._new_reader = new_reader
        self._new_spool = new_spool
        # guarded by the file system's lock
        self.handles = 0
        self.readers = 0
        # guarded by _changed
        self._changed = threading.Condition()
        self.path = path
        self.new = new  # not on the server yet
        self.unlinked = False
        self.failed = False  # the last attempt to send was refused or lost, and said so
        self._outdated = False
        self._state = State.DIRTY if new else State.CLEAN
        self._entry = entry
        self._reader: Reader | None = None
        self._spool: Spool | None = new_spool(0) if new else None
        self._mtime_ns: int | None = None  # set by a program, to be sent after the content
        self._mode = entry.mode if new and entry.mode not in USUAL_MODES else None

    def __repr__(self) -> str:
        return f"<OpenFile {self.path!r} {self._state.value} handles={self.handles}>"

    # -- asking -------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry:
        """Attributes with what is not sent yet."""
        with self._changed:
            return self._entry

    @property
    def local(self) -> bool:
        """Whether the server does not show this file as it is here."""
        with self._changed:
            return self.new or self._state is not State.CLEAN

    def refresh(self, entry: Entry) -> bool:
        """Whether a file opened again is still the version that is open here."""
        with self._changed:
            if self._spool is not None or entry == self._entry:
                return True
            same = (entry.size, entry.mtime_ns) == (self._entry.size, self._entry.mtime_ns)
            self._entry = entry if same else self._entry
            return same

    def read_into(self, target: memoryview, offset: int) -> int:
        """Bytes read; fewer than asked only at the end of the file."""
        with self._changed:
            spool = self._spool
            if spool is not None:
                end = min(offset + len(target), spool.size)
                if spool.present.covers(offset, end):
                    return spool.read_into(target[: max(0, end - offset)], offset)
        if spool is not None:
            self._bring(offset, end)
            return self.read_into(target, offset)
        return self._server_content().read_into(target, offset)

    def _server_content(self) -> Reader:
        with self._changed:
            if self._outdated:
                raise ChangedError(f"{self.path}: changed on the server since it was opened")
            if self._reader is None:
                self._reader = self._new_reader(self, self._entry.size)
            return self._reader

    def _bring(self, start: int, end: int) -> None:
        """Copy what is missing of [start, end) from the server into the spool."""
        with self._changed:
            assert self._spool is not None
            gaps = self._spool.present.gaps(start, end)
        reader = self._server_content() if gaps else None
        buffer = memoryview(bytearray(BLOCK_BYTES if gaps else 0))
        for offset, gap_end in gaps:
            while reader is not None and offset < gap_end:
                count = reader.read_into(buffer[: gap_end - offset], offset)
                if count == 0:
                    raise ChangedError(f"{self.path}: shorter on the server than it was")
                with self._changed:
                    self._spool.fill(buffer[:count], offset)
                offset += count

    # -- writing ------------------------------------------------------------------------------

    def write(self, data: memoryview | bytes, offset: int | None) -> int:
        """Put `data` at `offset`; None appends. Raises NoSpaceError when the spool is full."""
        with self._changed:
            spool = self._writable_locked()
            spool.write(data, spool.size if offset is None else offset)
            self._touched_locked()
        return len(data)

    def truncate(self, size: int) -> None:
        if size < 0:
            raise InvalidError("a file's length cannot be negative")
        with self._changed:
            if size == self._entry.size and self._spool is None and size != 0:
                return
            self._writable_locked().truncate(size)
            self._touched_locked()

    def _writable_locked(self) -> Spool:
        """The spool, made now if need be, once nobody is sending it."""
        self._settled_locked()
        if self._spool is None:
            self._spool = self._new_spool(self._entry.size)
        return self._spool

    def _settled_locked(self) -> None:
        """Wait until nobody is sending this file."""
        if not self._changed.wait_for(lambda: self._state is not State.SENDING, SEND_WAIT_S):
            raise DeadlineError(f"{self.path}: still being sent")

    def _touched_locked(self) -> None:
        assert self._spool is not None
        self._state = State.DIRTY
        self.failed = False
        self._mtime_ns = None
        self._entry = replace(
            self._entry, size=self._spool.size, mtime_ns=time.time_ns(), precision_s=1
        )

    def set_mtime(self, mtime_ns: int) -> bool:
        """Take a time to be set once the content is sent; False when it is sent already."""
        with self._changed:
            self._settled_locked()
            if self._state is State.CLEAN and not self.new:
                return False
            self._mtime_ns = mtime_ns
            self._entry = replace(self._entry, mtime_ns=mtime_ns)
            return True

    def shows_mtime(self, mtime_ns: int) -> None:
        """Take over the time that was set, as exact as the server keeps it."""
        with self._changed:
            self._entry = replace(self._entry, mtime_ns=mtime_ns)

    def set_mode(self, mode: int) -> bool:
        """Take a mode to be set once the file is there; False when it is."""
        with self._changed:
            self._settled_locked()
            self._entry = replace(self._entry, mode=mode)
            if not self.new:
                return False
            self._mode = None if mode in USUAL_MODES else mode
            return True

    # -- sending ------------------------------------------------------------------------------

    def send(self) -> None:
        """Bring the server up to date; nothing is sent when nothing changed.

        Returns when the server's final reply is in and the size agrees. Raises what went wrong;
        the content is kept and sent by the next call.
        """
        spool = self._claimed()
        if spool is None:
            return
        done = False
        try:
            self._store(spool)
            done = True
        finally:
            with self._changed:
                self._state = State.CLEAN if done else State.DIRTY
                self.failed = not done
                self._changed.notify_all()

    def _claimed(self) -> Spool | None:
        """The complete spool, for this thread alone to send; None when there is nothing to."""
        while True:
            with self._changed:
                self._settled_locked()
                if self.unlinked or self._state is State.CLEAN:
                    return None
                spool = self._writable_locked()
                if not spool.missing():
                    self._state = State.SENDING
                    return spool
            self._bring(0, spool.size)

    def _store(self, spool: Spool) -> None:
        """STOR, then the time and mode that a program asked for. Runs in state SENDING."""
        stored = self._remote.store(self.path, spool.complete_file(), spool.size)
        with self._changed:
            mtime_ns, self._mtime_ns = self._mtime_ns, None
            mode, self._mode = self._mode, None
            entry = replace(self._entry, size=stored.size)
            if stored.mtime_ns is not None:
                entry = replace(entry, mtime_ns=stored.mtime_ns)
            self.new = False
        self._namespace.stored(self.path, entry)
        try:
            if mtime_ns is not None:
                entry = self._namespace.set_mtime(self.path, entry, mtime_ns)
            if mode is not None:
                entry = self._namespace.chmod(self.path, entry, mode)
        except NetworkError:
            with self._changed:
                self._mtime_ns, self._mode = mtime_ns, mode  # for the next attempt
            raise
        with self._changed:
            self._entry = entry

    # -- names --------------------------------------------------------------------------------

    def moved(self, path: str) -> None:
        with self._changed:
            self.path = path
            self._entry = replace(self._entry, name=split(path)[1])

    def keep(self) -> None:
        """Copy the whole content here: the server's file is about to go, the handles stay."""
        with self._changed:
            if self._spool is None:
                self._spool = self._new_spool(self._entry.size)
            size = self._spool.size
        try:
            self._bring(0, size)
        except RefusedError as error:
            log.warning("%s: removed while open and not readable: %s", self.path, error)

    def orphan(self) -> None:
        """The name is gone: nothing is sent any more, the content stays for the handles."""
        with self._changed:
            self._settled_locked()
            self.unlinked = True

    def adopt(self) -> None:
        """The name is still there after all: the server refused to remove it."""
        with self._changed:
            self.unlinked = False

    def outdate(self) -> None:
        """The server has another version by now: what was not read yet cannot be."""
        with self._changed:
            self._outdated = True
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        log.warning("%s: changed on the server while it was open", self.path)

    def close(self) -> None:
        """The last handle is gone."""
        with self._changed:
            reader, self._reader = self._reader, None
            spool, self._spool = self._spool, None
        if reader is not None:
            reader.close()
        if spool is not None:
            spool.close()
