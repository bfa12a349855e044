"""Compares the hash of a source with that of its copy, where a server can compute it."""

from __future__ import annotations

import zlib
from typing import Protocol

from ftpfs.config import COPY_STEP_BYTES
from ftpfs.errors import ChangedError
from ftpfs.remote.server import Server
from ftpfs.tree.events import Noted
from ftpfs.tree.local import local_errors
from ftpfs.tree.stage import Stage


class Verifier:
    """For the files of one command. Any thread; that a server has no hashes is said once."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._said = False

    def server_and_disk(self, server: Server, path: str, local: str) -> None:
        """Compare a file on a server with one on the disk. Raises ChangedError."""
        for kind in server.hash_kinds():
            theirs = server.hash_of(path, kind)
            if theirs is not None:
                self._compare(kind, theirs, local_hash(local, kind), path)
                return
        self._cannot()

    def servers(self, one: Server, path: str, other: Server, other_path: str) -> None:
        """Compare two files on servers. Raises ChangedError."""
        shared = set(other.hash_kinds())
        for kind in one.hash_kinds():
            if kind not in shared:
                continue
            found = one.hash_of(path, kind), other.hash_of(other_path, kind)
            if found[0] is not None and found[1] is not None:
                self._compare(kind, found[0], found[1], path)
                return
        self._cannot()

    def _compare(self, kind: str, one: str, other: str, path: str) -> None:
        if one != other:
            raise ChangedError(f"{path}: {kind} of the source and of the copy differ")

    def _cannot(self) -> None:
        if not self._said:
            self._said = True
            self._stage.emit(Noted("no hash that could be compared: only sizes were"))


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def local_hash(path: str, kind: str) -> str:
    """Hex digits. Raises what `local_errors` makes of an OSError."""
    import hashlib  # OpenSSL takes 5 ms to load

    found: _Hash = _Crc32() if kind == "crc32" else hashlib.new(kind, usedforsecurity=False)
    buffer = memoryview(bytearray(COPY_STEP_BYTES))
    with local_errors(path), open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            found.update(buffer[:count])
    return found.hexdigest()
