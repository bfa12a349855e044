"""What an earlier attempt to copy a large file left behind, and whether it can be gone on with."""

from __future__ import annotations

import contextlib
import os
from typing import Protocol

from ftpfs.config import OVERLAP_BYTES, RESUME_MIN_BYTES
from ftpfs.errors import BusyError, FtpfsError, RefusedError
from ftpfs.remote.api import SECOND_NS, Entry, Fingerprint, Kind, Remote
from ftpfs.tree.choices import Choices, Existing
from ftpfs.tree.events import File
from ftpfs.tree.local import local_errors
from ftpfs.tree.part import Part, is_name_of, own_name, part_name
from ftpfs.wire.pathname import join, split


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
        return Part(own_name(path), file, version.size)


def _begins(file: File, version: Fingerprint, server: Remote, choices: Choices) -> bool:
    """Whether what is under the final name is the beginning of the source: shorter, not older, and
    its last bytes are the same."""
    there = _shorter(file, version.size, choices)
    if there is None or version.mtime_ns is None or there.mtime_ns < version.mtime_ns:
        return False
    start = max(0, there.size - OVERLAP_BYTES)
    ours = _local_range(file.target, start, there.size)
    return ours == server_range(server, file.source, start, there.size)


def _shorter(file: File, size: int, choices: Choices) -> Entry | None:
    """What is under the final name, if it may be the beginning of a source of `size` bytes."""
    there = file.there
    if choices.existing is not Existing.PARTIAL or there is None or there.kind is not Kind.FILE:
        return None
    return there if 0 < there.size < size else None


# -- uploads --------------------------------------------------------------------------------------


class Content(Protocol):
    """What is sent, in the version in which it was opened."""

    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int | None: ...  # None: its server tells no time
    def range(self, start: int, end: int) -> bytes: ...


class Leftovers:
    """What earlier attempts have left on a server, for the uploads of one command.

    Any thread. `_found` has the parts of each directory that was asked for, with their sizes when
    it was listed; at worst two threads list the same one.
    """

    def __init__(self, server: Remote, choices: Choices) -> None:
        self._server = server
        self._choices = choices
        self._found: dict[str, dict[str, int]] = {}

    def begun(self, file: File, part: str, content: Content) -> tuple[str, int]:
        """A name that only this attempt has, and how much of the content is there: from an earlier
        one, or from under the final name. Raises what the server's refusal to rename raises."""
        if self._choices.resume:
            if content.size >= RESUME_MIN_BYTES:
                for path in self._parts(part):
                    size = held(self._server, path, content)
                    if size and (mine := self._taken_over(path, part, size)):
                        return mine, size
            if _is_begun(file, content, self._server, self._choices):
                assert file.there is not None
                if mine := self._claimed(file.target, part, file.there.size):
                    return mine, file.there.size
        return own_name(part), 0

    def _parts(self, part: str) -> list[str]:
        """Those of one version of a file, the largest first."""
        directory, name = split(part)
        if directory not in self._found:
            self._found[directory] = self._listed(directory)
        sizes = self._found[directory].copy()
        names = sorted((each for each in sizes if is_name_of(each, name)), key=sizes.__getitem__)
        return [join(directory, each) for each in reversed(names)]

    def _listed(self, directory: str) -> dict[str, int]:
        try:
            entries = self._server.list(directory)
        except FtpfsError:
            return {}  # whatever is there, the content is sent from its beginning
        return {
            name: entry.size
            for name, entry in entries.items()
            if entry.kind is Kind.FILE and name.endswith(".part")
        }

    def _taken_over(self, path: str, part: str, size: int) -> str | None:
        """The same as `_claimed`; a copy that finds no connection comes back for it."""
        try:
            mine = self._claimed(path, part, size)
        except RefusedError:  # another process was first
            return None
        if mine is not None:
            directory, name = split(mine)
            self._found[directory][name] = size
        return mine

    def _claimed(self, path: str, part: str, size: int) -> str | None:
        """The name of its own that a file of `size` bytes was given. None where it has grown: then
        somebody still writes it, and it has its name back."""
        mine = own_name(part)
        self._server.rename(path, mine)
        now = self._server.fingerprint(mine)
        if now is not None and now.size == size:
            return mine
        with contextlib.suppress(FtpfsError):
            self._server.rename(mine, path)
        return None


def _is_begun(file: File, content: Content, server: Remote, choices: Choices) -> bool:
    """The same as `_begins`, the other way round; the server's times may be exact to minutes."""
    there = _shorter(file, content.size, choices)
    if there is None or content.mtime_ns is None:
        return False
    if there.mtime_ns + there.precision_s * SECOND_NS < content.mtime_ns:
        return False
    return ends_alike(server, file.target, there.size, content)


def held(server: Remote, path: str, content: Content, old: Fingerprint | None = None) -> int:
    """How much of the content the server has, from its beginning on; 0 if in doubt. `old` is what
    was at `path` before.

    What is the last is compared: a server may still have written what a lost connection had
    brought, after it was asked how much there is, and what came next is in the wrong place.
    """
    try:
        now = server.fingerprint(path)
        if now is None or now.size > content.size:
            return 0
        if old is not None and now.matches(old):
            return 0  # the server had not begun
        return now.size if ends_alike(server, path, now.size, content) else 0
    except FtpfsError:
        return 0


def ends_alike(server: Remote, path: str, size: int, content: Content) -> bool:
    """Whether the last bytes before `size` are the same on the server and in the content."""
    start = max(0, size - OVERLAP_BYTES)
    return server_range(server, path, start, size) == content.range(start, size)


# -- ranges ---------------------------------------------------------------------------------------


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
