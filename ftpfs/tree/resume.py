"""What an earlier attempt to fetch a large file left behind, and whether it can be gone on with."""

from __future__ import annotations

import contextlib
import os

from ftpfs.config import OVERLAP_BYTES
from ftpfs.errors import BusyError
from ftpfs.remote.api import Fingerprint, Kind, Remote
from ftpfs.tree.choices import Choices, Existing
from ftpfs.tree.events import File
from ftpfs.tree.local import local_errors
from ftpfs.tree.part import Part, part_name


def part_of(file: File, version: Fingerprint, server: Remote, choices: Choices) -> Part:
    """The part to fetch that version of a file into.

    Raises what opening it, or asking the server, raises.
    """
    mtime_ns = file.entry.mtime_ns if version.mtime_ns is None else version.mtime_ns
    path = part_name(file.target, version.size, mtime_ns)
    resume = choices.resume
    if resume and not os.path.exists(path) and _begins(file, version, server, choices):
        with local_errors(file.target):
            os.rename(file.target, path)
        assert file.there is not None
        return Part(path, file, version.size, there=[(0, file.there.size)])
    try:
        return Part(path, file, version.size, resume=resume)
    except BusyError:  # another process is fetching the same
        return Part(f"{path}-{os.urandom(4).hex()}", file, version.size)


def _begins(file: File, version: Fingerprint, server: Remote, choices: Choices) -> bool:
    """Whether what is under the final name is the beginning of the source: shorter, not older, and
    its last bytes are the same."""
    there = file.there
    if choices.existing is not Existing.PARTIAL or there is None or there.kind is not Kind.FILE:
        return False
    if not 0 < there.size < version.size:
        return False
    if version.mtime_ns is None or there.mtime_ns < version.mtime_ns:
        return False
    start = max(0, there.size - OVERLAP_BYTES)
    ours = _local_range(file.target, start, there.size)
    return ours == server_range(server, file.source, start, there.size)


def server_range(server: Remote, path: str, start: int, end: int) -> bytes:
    """The bytes [start, end) of a file, fewer where it ends."""
    found, buffer = bytearray(), memoryview(bytearray(end - start))
    if not buffer:
        return b""
    with contextlib.closing(server.open_read(path, start)) as download:
        while count := download.readinto(buffer[: end - start - len(found)]):
            found += buffer[:count]
            if len(found) == end - start:
                break
    return bytes(found)


def _local_range(path: str, start: int, end: int) -> bytes:
    with local_errors(path), open(path, "rb") as file:
        file.seek(start)
        return file.read(end - start)
