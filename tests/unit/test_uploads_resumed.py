"""What an upload that is gone on with takes for its beginning."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ftpfs.config import RESUME_MIN_BYTES
from ftpfs.errors import AbsentError, NetworkError
from ftpfs.remote.api import Entry, Fingerprint, Kind
from ftpfs.tree import resume
from ftpfs.tree.choices import Choices, Existing
from ftpfs.tree.events import File

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


# -- which part is taken over ---------------------------------------------------------------------

SIZE = RESUME_MIN_BYTES
PART = "/d/.f.ftpfs-01234567.part"
OTHERS = "/d/.f.ftpfs-01234567-89abcdef.part"


class Shared:
    """A server that has parts of a file of zeros. `on_rename` is what other processes do before
    the next rename."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = {"/d/" + name: size for name, size in sizes.items()}
        self.listings = 0
        self.on_rename: Callable[[], object] = lambda: None

    def list(self, directory: str) -> dict[str, Entry]:
        self.listings += 1
        names = {path.removeprefix("/d/"): size for path, size in self.sizes.items()}
        return {name: Entry(name, Kind.FILE, size) for name, size in names.items()}

    def fingerprint(self, path: str) -> Fingerprint | None:
        return Fingerprint(self.sizes[path], None) if path in self.sizes else None

    def open_read(self, path: str, offset: int) -> Any:
        return Held(bytes(self.sizes[path] - offset)).open_read(path, 0)

    def rename(self, old: str, new: str) -> None:
        self.on_rename()
        if old not in self.sizes:
            raise AbsentError(old)
        self.sizes[new] = self.sizes.pop(old)


def leftovers(server: Any, existing: Existing = Existing.PARTIAL) -> resume.Leftovers:
    return resume.Leftovers(server, Choices(existing))


def begun(found: resume.Leftovers, size: int = SIZE) -> tuple[str, int]:
    content: Any = SimpleNamespace(size=size, range=lambda start, end: bytes(end - start))
    return found.begun(File("f", "/d/f", Entry("f", Kind.FILE, size)), PART, content)


@pytest.fixture
def two_parts() -> Shared:
    return Shared(**{PART[3:]: 200_000, OTHERS[3:]: 300_000, ".g.ftpfs-01234567.part": 400_000})


def test_the_largest_part_is_taken_over_under_a_new_name(two_parts: Shared) -> None:
    place, start = begun(leftovers(two_parts))
    assert start == 300_000
    assert place not in (PART, OTHERS)
    assert two_parts.sizes[place] == 300_000
    assert two_parts.sizes[PART] == 200_000


def test_what_another_process_took_first_is_its_own(two_parts: Shared) -> None:
    two_parts.on_rename = lambda: two_parts.sizes.pop(OTHERS, None)
    place, start = begun(leftovers(two_parts))
    assert start == two_parts.sizes[place] == 200_000


def test_what_still_grows_gets_its_name_back(two_parts: Shared) -> None:
    def grow() -> None:
        for path in two_parts.sizes:
            two_parts.sizes[path] += 1

    two_parts.on_rename = grow
    place, start = begun(leftovers(two_parts))
    assert start == 0
    assert place not in two_parts.sizes
    assert {PART, OTHERS} < two_parts.sizes.keys()


def test_a_copy_that_found_no_connection_comes_back_for_its_part(two_parts: Shared) -> None:
    found = leftovers(two_parts)
    once, again = begun(found), begun(found)
    assert once[1] == again[1] == 300_000
    assert again[0] in two_parts.sizes
    assert two_parts.listings == 1


def test_only_what_may_have_a_part_costs_a_listing(two_parts: Shared) -> None:
    places = {begun(leftovers(two_parts, Existing.REPLACE)) for _ in range(2)}
    assert begun(leftovers(two_parts), SIZE - 1)[1] == 0
    assert two_parts.listings == 0
    assert len(places) == 2
