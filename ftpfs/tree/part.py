"""A large file on the local disk while it is being fetched, in pieces that may come in any order.

It lies beside its target as `.NAME.ftpfs-TAG.part`, where TAG stands for the version of the source
that it is a part of: its name, size and time. Behind its full size it has a record of which ranges
are there, so that an attempt that broke off, or was killed, can be gone on with. The record is
written behind a sync of the content: what it names is on the disk. On a server the part of each
attempt has a name of its own, `.NAME.ftpfs-TAG-RANDOM.part`, and no record.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress

from ftpfs.errors import BusyError
from ftpfs.tree.events import File
from ftpfs.tree.local import local_errors
from ftpfs.tree.saving import new_mode

Range = tuple[int, int]
"""Half-open: [start, end), offsets in bytes."""

OWN_MODE = 0o600
"""Without these bits a part that was closed could not be gone on with."""

_NAME_BYTES = 200  # of the target's name; the whole must not exceed 255
_SUFFIX = ".part"


def part_name(target: str, *version: object) -> str:
    """The path of the part of `target` for that version of its source."""
    directory, _, name = target.rpartition("/")
    tag = zlib.crc32(repr((name, *version)).encode("utf-8", "surrogateescape"))
    short = os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
    return f"{directory}{'/' if '/' in target else ''}.{short}.ftpfs-{tag:08x}{_SUFFIX}"


def own_name(part: str) -> str:
    """A name for that part that nobody else has. On a server, which has no locks, two attempts
    would write into each other's otherwise; on the disk it is for the second, while the first one
    has the lock."""
    return f"{part.removesuffix(_SUFFIX)}-{os.urandom(4).hex()}{_SUFFIX}"


def is_name_of(name: str, part: str) -> bool:
    """Whether that is the part, by its plain name or by one of its own."""
    return name == part or (
        name.startswith(f"{part.removesuffix(_SUFFIX)}-") and name.endswith(_SUFFIX)
    )


def is_part(path: str) -> bool:
    """Whether a name is that of a part, of whatever target."""
    name = path.rpartition("/")[2]
    return name.startswith(".") and ".ftpfs-" in name and name.endswith(_SUFFIX)


class Part:
    """An open part of `size` bytes. `write` may be called from several threads, for different
    ranges; everything else is for one at a time."""

    def __init__(
        self,
        path: str,
        file: File,
        size: int,
        *,
        resume: bool = False,
        there: Sequence[Range] = (),
    ) -> None:
        """Go on with the ranges that are `there`, or with `resume` those of the record.

        Raises BusyError where another process is writing it.
        """
        self.path = path
        self.size = size
        self.there = list(there)
        with local_errors(path):
            self._descriptor = os.open(
                path,
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
                new_mode(file.entry) | OWN_MODE,
            )
        try:
            self._lock()
            if resume and not there:
                self.there = self._recorded()
            if not self.there:
                with local_errors(path):
                    os.ftruncate(self._descriptor, 0)
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{self.path}: another process is fetching the same file") from error

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def write(self, data: memoryview, offset: int) -> None:
        with local_errors(self.path):
            while data:
                count = os.pwrite(self._descriptor, data, offset)
                data, offset = data[count:], offset + count

    def save(self, there: list[Range]) -> None:
        """Keep on the disk which ranges are there."""
        import json

        record = json.dumps(there).encode()
        with local_errors(self.path):
            os.fdatasync(self._descriptor)
            os.ftruncate(self._descriptor, max(self.size, 0))
            os.pwrite(self._descriptor, b"%08x%s" % (zlib.crc32(record), record), self.size)

    def _recorded(self) -> list[Range]:
        """What `save` wrote; none where that was cut short, or something else is there."""
        with local_errors(self.path):
            length = os.fstat(self._descriptor).st_size - self.size
            raw = os.pread(self._descriptor, max(0, length), self.size)
        import json

        with suppress(ValueError, TypeError):
            if int(raw[:8], 16) == zlib.crc32(raw[8:]):
                return [(start, end) for start, end in json.loads(raw[8:])]
        return []

    def cut(self) -> None:
        """Take the record away: the content is whole."""
        with local_errors(self.path):
            os.ftruncate(self._descriptor, self.size)

    def close(self) -> None:
        os.close(self._descriptor)

    def discard(self) -> None:
        self.close()
        with suppress(OSError):
            os.unlink(self.path)


def missing(there: list[Range], size: int) -> list[Range]:
    """What is left of [0, size)."""
    gaps, position = [], 0
    for start, end in sorted(there):
        if start > position:
            gaps.append((position, start))
        position = max(position, end)
    if position < size:
        gaps.append((position, size))
    return gaps
