"""The local copy of a file that is being written: sparse, with the ranges that are here.

Not shared by itself: the open file's lock guards `size` and `present`. Reads and writes of the
bytes go through pread and pwrite and need no order.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import BinaryIO

from ftpfs.content.ranges import RangeSet
from ftpfs.errors import NoSpaceError


class Spool:
    """`size` bytes, of which `present` are here; the rest is still only on the server."""

    def __init__(self, directory: str, size: int) -> None:
        try:
            fd, self._path = tempfile.mkstemp(prefix="spool-", dir=directory)
        except OSError as error:
            raise NoSpaceError(f"no spool file in {directory}: {error.strerror}") from error
        self.file: BinaryIO = os.fdopen(fd, "r+b", buffering=0)
        self._fd = fd
        self.present = RangeSet()
        self.size = size

    def read_into(self, target: memoryview, offset: int) -> int:
        """Bytes read; the caller has seen to it that they are present."""
        return os.preadv(self._fd, [target[: max(0, self.size - offset)]], offset)

    def write(self, data: memoryview | bytes, offset: int) -> None:
        """Put all of `data` at `offset`. Raises NoSpaceError; then nothing of it counts."""
        view = memoryview(data)
        done = 0
        try:
            while done < len(view):
                done += os.pwrite(self._fd, view[done:], offset + done)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.size)  # else a later hole would show what was written
            raise NoSpaceError(f"cannot write to the spool: {error.strerror}") from error
        end = offset + len(view)
        if offset > self.size:
            self.present.add(self.size, offset)  # a hole reads as zeros
        self.present.add(offset, end)
        self.size = max(self.size, end)

    def fill(self, data: memoryview, offset: int) -> None:
        """Bytes from the server: kept only where nothing newer is here."""
        for start, end in self.present.gaps(offset, min(offset + len(data), self.size)):
            size = self.size
            self.write(data[start - offset : end - offset], start)
            self.size = size

    def truncate(self, size: int) -> None:
        """Cut or extend with zeros."""
        try:
            os.ftruncate(self._fd, min(size, self.size))
            os.ftruncate(self._fd, size)
        except OSError as error:
            raise NoSpaceError(f"cannot resize the spool: {error.strerror}") from error
        if size > self.size:
            self.present.add(self.size, size)
        self.present.cut(size)
        self.size = size

    def missing(self) -> list[tuple[int, int]]:
        """Ranges that are still only on the server."""
        return self.present.gaps(0, self.size)

    def complete_file(self) -> BinaryIO:
        """The file to send, at its full length even where it ends in a hole."""
        os.ftruncate(self._fd, self.size)
        return self.file

    def close(self) -> None:
        self.file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
