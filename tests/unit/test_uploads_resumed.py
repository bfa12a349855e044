"""What an upload that is gone on with takes for its beginning."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ftpfs.errors import NetworkError
from ftpfs.remote.api import Fingerprint
from ftpfs.tree import resume

CONTENT = bytes(range(256)) * 1000


class Held:
    """A server that has one file."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def fingerprint(self, path: str) -> Fingerprint:
        return Fingerprint(len(self._content), None)

    def open_read(self, path: str, offset: int) -> Any:
        left = [self._content[offset:]]

        def readinto(buffer: memoryview) -> int:
            some, left[0] = left[0][: len(buffer)], left[0][len(buffer) :]
            buffer[: len(some)] = some
            return len(some)

        return SimpleNamespace(readinto=readinto, close=lambda: None)


class Gone(Held):
    def open_read(self, path: str, offset: int) -> Any:
        raise NetworkError("gone")


def held(server: Any) -> int:
    content: Any = SimpleNamespace(size=len(CONTENT), range=lambda start, end: CONTENT[start:end])
    return resume.held(server, "f", content)


def test_the_beginning_is_gone_on_with() -> None:
    assert held(Held(CONTENT[:150_000])) == 150_000
    assert held(Held(CONTENT)) == len(CONTENT)


def test_what_was_written_in_the_wrong_place_is_not() -> None:
    """The server wrote 100 bytes more of the first connection before those of the second."""
    assert held(Held(CONTENT[:100_100] + CONTENT[100_000:150_000])) == 0


def test_what_is_longer_or_cannot_be_compared_is_not() -> None:
    assert held(Held(CONTENT + b"x")) == 0
    assert held(Gone(CONTENT[:150_000])) == 0
