"""Whether a version that had to wait may still go to its name: a comparison with the server.

the server's file now                              verdict
-------------------------------------------------  ----------------------------------------
as it was when the version was begun               SEND
broken off while it was changed where it lies      SEND again: the same ranges, or the whole
a beginning of this version, where it was being
written to its name                                SEND again
these very bytes                                   ARRIVED: only the confirmation was lost
anything else, or no file any more                 CONFLICT: somebody else was there
"""

from __future__ import annotations

import enum
import itertools
import time

from ftpfs.config import BLOCK_BYTES
from ftpfs.content.spool import Spool
from ftpfs.content.upload import Version
from ftpfs.remote.api import SECOND_NS, Fingerprint, Remote


class Verdict(enum.Enum):
    SEND = "send"
    ARRIVED = "arrived"
    CONFLICT = "conflict"


def compare(
    remote: Remote, version: Version, *, in_place: bool
) -> tuple[Verdict, Fingerprint | None]:
    """The verdict on a sealed version, and the server's file that it is about.

    `in_place`: an attempt has begun to change the server's file where it lies.
    """
    now, base = remote.fingerprint(version.path), version.base
    if _same(now, base):
        return Verdict.SEND, now
    if now is None:
        return Verdict.CONFLICT, now
    if in_place and base is not None and _between(now.size, base.size, version.size):
        return Verdict.SEND, now
    to_its_name = in_place or base is None or base.size == 0
    if now.size == version.size or (to_its_name and now.size < version.size):
        complete = not version.spool.missing()
        if complete and _begins_with(remote, version.path, now.size, version.spool):
            return (Verdict.ARRIVED if now.size == version.size else Verdict.SEND), now
    return Verdict.CONFLICT, now


def _same(now: Fingerprint | None, base: Fingerprint | None) -> bool:
    if now is None or base is None:
        return now is base
    return now.matches(base)


def _between(size: int, one: int, other: int) -> bool:
    return min(one, other) <= size <= max(one, other)


def _begins_with(remote: Remote, path: str, size: int, spool: Spool) -> bool:
    """Whether the server's file is `size` bytes long, and the spool begins with them."""
    theirs, ours = (memoryview(bytearray(BLOCK_BYTES)) for _ in range(2))
    offset = 0
    download = remote.open_read(path, 0)
    try:
        while count := download.readinto(theirs):
            if spool.read_into(ours[:count], offset) < count or ours[:count] != theirs[:count]:
                return False
            offset += count
    finally:
        download.close()
    return offset == size


def name_aside(remote: Remote, path: str, now_ns: int) -> str:
    """A free name beside `path` for the local version: `name.conflict-20240131T120000`, in UTC."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_ns // SECOND_NS))
    name = f"{path}.conflict-{stamp}"
    for number in itertools.count(2):
        if remote.fingerprint(name) is None:
            return name
        name = f"{path}.conflict-{stamp}-{number}"
    raise AssertionError
