"""The local copy of a file that is being written: sparse, with the ranges that are here.

Not shared by itself: the open file's lock guards `size`, `present` and `dirty`. Reads and writes
of the bytes go through pread and pwrite and need no order.

A spool begins in memory and moves to a named file on the disk when it grows, or when a record in
the journal is to name it. A small file that is written and sent at once never has one: making and
removing it was a tenth of the time that such a file took.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import BinaryIO

from ftpfs.config import MEMORY_SPOOL_BYTES, MIB
from ftpfs.content.ranges import RangeSet
from ftpfs.content.space import Space
from ftpfs.errors import JournalError, NoSpaceError


def written(path: str) -> tuple[int, RangeSet]:
    """Size and written ranges of a spool file whose process died, as far as its holes tell.

    (0, nothing) where the file is gone.
    """
    found = RangeSet()
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            offset = 0
            while offset < size:
                try:
                    offset = os.lseek(file.fileno(), offset, os.SEEK_DATA)
                except OSError:
                    break  # a hole up to the end
                end = os.lseek(file.fileno(), offset, os.SEEK_HOLE)
                found.add(offset, end)
                offset = end
    except FileNotFoundError:
        return 0, found
    return size, found


class Spool:
    """`size` bytes, of which `present` are here (the rest is still only on the server) and
    `dirty` differ from what the server has."""

    def __init__(self, file: BinaryIO, directory: str, name: str, size: int, space: Space) -> None:
        # set once
        self.file = file
        self._directory = directory
        self._fd = file.fileno()
        self._space = space
        # guarded by the owner
        self.name = name  # "": in memory
        self.size = size
        self.present = RangeSet()
        self.dirty = RangeSet()
        self._held = RangeSet()  # what takes space: `present` without the holes

    @classmethod
    def create(cls, directory: str, size: int, space: Space) -> Spool:
        """A new spool for a file of `size` bytes, none of them here yet. Raises NoSpaceError."""
        try:
            fd = os.memfd_create("spool")
        except OSError as error:
            raise NoSpaceError(f"no memory for a spool: {error.strerror}") from error
        return cls(os.fdopen(fd, "r+b", buffering=0), directory, "", size, space)

    @classmethod
    def reopen(
        cls, path: str, size: int, present: RangeSet, dirty: RangeSet, space: Space
    ) -> Spool:
        """A spool file that another process left behind. Raises JournalError where it is gone."""
        try:
            file = open(path, "r+b", buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise JournalError(f"{path}: the spool file is gone: {error.strerror}") from error
        spool = cls(file, *os.path.split(path), size, space)
        spool.present, spool.dirty = present, dirty
        return spool

    def restore(self, content: bytes, present: RangeSet, dirty: RangeSet) -> None:
        """Take over what a journal held. Raises NoSpaceError."""
        self._put(content, 0)
        self.present, self.dirty = present, dirty

    @property
    def path(self) -> str:
        """Where it lies; only for one that has a name."""
        return os.path.join(self._directory, self.name)

    def persist(self) -> None:
        """Move to a named file, which survives this process. Raises NoSpaceError.

        The descriptor keeps its number: whoever sends from it goes on with the same bytes.
        """
        if self.name:
            return
        try:
            fd, path = tempfile.mkstemp(prefix="spool-", dir=self._directory)
        except OSError as error:
            raise NoSpaceError(f"no spool file in {self._directory}: {error.strerror}") from error
        try:
            for start, end in self._held:
                _copy(self._fd, fd, start, end)
            os.dup2(fd, self._fd, inheritable=False)
        except OSError as error:
            os.unlink(path)
            raise NoSpaceError(f"cannot write to the spool: {error.strerror}") from error
        finally:
            os.close(fd)
        self.name = os.path.basename(path)

    def clone(self) -> Spool:
        """An independent copy: this one is sealed and waits to be sent, that one is written to."""
        copy = Spool.create(self._directory, self.size, self._space)
        try:
            if self.name:
                copy.persist()
            for start, end in self.present:
                copy._copy_from(self._fd, start, end)
        except BaseException:
            copy.close()
            raise
        copy.dirty = RangeSet(*self.dirty)
        return copy

    def _copy_from(self, fd: int, start: int, end: int) -> None:
        self._take(start, end)
        try:
            _copy(fd, self._fd, start, end)
        except OSError as error:
            raise NoSpaceError(f"cannot copy the spool: {error.strerror}") from error
        self._here(start, end)

    # -- bytes --------------------------------------------------------------------------------

    def read_into(self, target: memoryview, offset: int) -> int:
        """Bytes read; the caller has seen to it that they are present."""
        wanted = target[: max(0, self.size - offset)]
        count = os.preadv(self._fd, [wanted], offset)
        wanted[count:] = bytes(len(wanted) - count)  # the file may end in a hole
        return len(wanted)

    def write(self, data: memoryview | bytes, offset: int) -> None:
        """Put all of `data` at `offset`. Raises NoSpaceError; then nothing of it counts."""
        end = offset + len(data)
        self._put(data, offset)
        if offset > self.size:
            self._zeros(self.size, offset)
        self.dirty.add(offset, end)
        self.size = max(self.size, end)

    def fill(self, data: memoryview, offset: int) -> None:
        """Bytes from the server: kept only where nothing newer is here."""
        for start, end in self.present.gaps(offset, min(offset + len(data), self.size)):
            self._put(data[start - offset : end - offset], start)

    def _put(self, data: memoryview | bytes, offset: int) -> None:
        view = memoryview(data)
        end = offset + len(view)
        if end > MEMORY_SPOOL_BYTES:
            self.persist()
        taken = self._take(offset, end)
        done = 0
        try:
            while done < len(view):
                done += os.pwrite(self._fd, view[done:], offset + done)
        except OSError as error:
            self._space.take(-taken)
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.size)  # else a later hole would show what was written
            raise NoSpaceError(f"cannot write to the spool: {error.strerror}") from error
        self._here(offset, end)

    def _here(self, start: int, end: int) -> None:
        self._held.add(start, end)
        self.present.add(start, end)

    def _take(self, start: int, end: int) -> int:
        """Reserve space for what takes none yet of [start, end); how many bytes that are."""
        count = sum(b - a for a, b in self._held.gaps(start, end))
        self._space.take(count)
        return count

    def _release(self, size: int) -> None:
        """Give back the space of everything at `size` and beyond."""
        before = self._held.size
        self._held.cut(size)
        self._space.take(self._held.size - before)

    def _zeros(self, start: int, end: int) -> None:
        """A hole: here, and to be written over whatever the server has there."""
        self.present.add(start, end)
        self.dirty.add(start, end)

    def truncate(self, size: int) -> None:
        """Cut or extend with zeros."""
        try:
            os.ftruncate(self._fd, min(size, self.size))
        except OSError as error:
            raise NoSpaceError(f"cannot resize the spool: {error.strerror}") from error
        if size > self.size:
            self._zeros(self.size, size)
        self.present.cut(size)
        self.dirty.cut(size)
        self._release(size)
        self.size = size

    def missing(self) -> list[tuple[int, int]]:
        """Ranges that are still only on the server."""
        return self.present.gaps(0, self.size)

    def content(self) -> bytes:
        """All bytes of a spool that is in memory; zeros where nothing is."""
        return os.pread(self._fd, MEMORY_SPOOL_BYTES, 0)

    # -- life ---------------------------------------------------------------------------------

    def extend(self) -> None:
        """Give the file its full length, where it ends in a hole, so that it can be sent."""
        if os.fstat(self._fd).st_size < self.size:
            os.ftruncate(self._fd, self.size)

    def sync(self) -> None:
        """The bytes are on the local disk when this returns. Raises NoSpaceError."""
        self.persist()
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise NoSpaceError(f"the spool is not on the disk: {error.strerror}") from error

    def export(self, target: str) -> None:
        """Copy what is here to a local file. Raises NoSpaceError."""
        self.persist()
        self.extend()
        shutil.copyfile(self.path, target)

    def close(self, *, keep: bool = False) -> None:
        """Done with it; `keep` leaves the file for a later process."""
        self._release(0)
        self.file.close()
        if self.name and not keep:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


def _copy(source: int, target: int, start: int, end: int) -> None:
    """Copy [start, end) from one descriptor to another; stops where the source ends in a hole."""
    same = os.fstat(source).st_dev == os.fstat(target).st_dev
    while start < end:
        if same:  # within the kernel
            count = os.copy_file_range(source, target, end - start, start, start)
        else:
            count = os.pwrite(target, os.pread(source, min(end - start, MIB), start), start)
        if count == 0:
            return
        start += count
