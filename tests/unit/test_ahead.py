"""What a program asks for next: the policy alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.config import AHEAD_BYTES, AHEAD_FILE_BYTES, AHEAD_FILES, WALKS, WALKS_NAMES
from ftpfs.remote.api import Entry, Kind
from ftpfs.vfs.ahead import Ahead, FileWalk, upcoming


def walk(count: int, size: int = 1000) -> FileWalk:
    return FileWalk([(f"f{n:04}", size) for n in range(count)])


def listing(count: int) -> dict[str, Entry]:
    entry = Entry("f", Kind.FILE, 1000, 0, 1)
    return {name(number): entry for number in range(count)}


def name(number: int) -> str:
    return f"f{number:04}"


def test_walks_are_let_go_of_by_their_names() -> None:
    """Few large directories, one that is larger than all of them, many small ones."""
    half, whole = WALKS_NAMES // 2, 2 * WALKS_NAMES
    listings = {f"/{size}-": listing(size) for size in (half, whole, 2)}
    namespace = Mock()
    namespace.listed.side_effect = lambda path: listings[path.rstrip("0123456789")]
    ahead = Ahead(namespace, Mock(ahead_bytes=AHEAD_BYTES), Mock())

    def walks(size: int, directories: int) -> list[str]:
        for number in range(directories):
            for file in range(2):
                ahead.read(f"/{size}-{number}/{name(file)}")
        return [path for path in ahead._walks if path.startswith(f"/{size}-")]

    assert len(walks(half, 5)) == 2
    assert len(walks(whole, 2)) == len(ahead._walks) == 1
    assert len(walks(2, WALKS + 10)) == len(ahead._walks) == WALKS


def test_one_file_is_no_pattern() -> None:
    assert walk(10).read(name(0)) is None


def test_two_in_order_are() -> None:
    it = walk(10)
    it.read(name(0))
    assert it.read(name(1)) == [name(n) for n in range(2, 10)]


def test_a_walk_may_begin_anywhere() -> None:
    it = walk(10)
    it.read(name(4))
    assert it.read(name(5)) == [name(n) for n in range(6, 10)]


def test_the_same_file_again_changes_nothing() -> None:
    it = walk(100)
    it.read(name(0))
    it.read(name(1))
    assert it.read(name(1)) == []
    assert it.read(name(2)) == []


def test_more_is_asked_for_when_half_is_left() -> None:
    it = walk(100)
    it.read(name(0))
    it.read(name(1))
    half = AHEAD_FILES // 2
    assert not any(it.read(name(n)) for n in range(2, half + 1))
    first = 2 + AHEAD_FILES
    assert it.read(name(half + 1)) == [name(n) for n in range(first, first + half)]


@pytest.mark.parametrize("order", [(0, 2), (5, 4), (0, 9)])
def test_out_of_order_is_no_pattern(order: tuple[int, int]) -> None:
    it = walk(10)
    it.read(name(order[0]))
    assert it.read(name(order[1])) is None


def test_a_pattern_that_broke_may_begin_anew() -> None:
    it = walk(100)
    it.read(name(0))
    it.read(name(1))
    assert it.read(name(50)) is None
    assert it.read(name(51)) == [name(n) for n in range(52, 52 + AHEAD_FILES)]


def test_a_directory_read_twice() -> None:
    it = walk(5)
    for _ in range(2):
        assert it.read(name(0)) is None
        assert it.read(name(1)) == [name(2), name(3), name(4)]
        assert [it.read(name(n)) for n in (2, 3, 4)] == [[], [], []]


def test_bounded_in_files() -> None:
    it = walk(1000, 10)
    it.read(name(0))
    first = it.read(name(1))
    assert first is not None
    assert len(first) == AHEAD_FILES


def test_bounded_in_bytes() -> None:
    it = walk(1000, AHEAD_FILE_BYTES)
    it.read(name(0))
    first = it.read(name(1))
    assert first is not None
    assert len(first) * AHEAD_FILE_BYTES == AHEAD_BYTES
    half = len(first) // 2
    assert not any(it.read(name(n)) for n in range(2, half + 1))
    begin = 2 + len(first)
    assert it.read(name(half + 1)) == [name(n) for n in range(begin, begin + half)]


def test_large_and_empty_files_are_passed_over() -> None:
    it = FileWalk([("a", 1), ("b", 1), ("c", AHEAD_FILE_BYTES + 1), ("d", 0), ("e", 1)])
    it.read("a")
    assert it.read("b") == ["e"]


@given(st.lists(st.integers(0, 2 * AHEAD_FILE_BYTES), min_size=2, max_size=120))
def test_each_file_once_and_never_too_much(sizes: list[int]) -> None:
    files = [(name(n), size) for n, size in enumerate(sizes)]
    it = FileWalk(files)
    it.read(name(0))
    asked: list[str] = []
    for place in range(1, len(files)):
        more = it.read(name(place))
        assert more is not None
        asked += more
        ahead = [n for n in asked if n > name(place)]
        assert len(ahead) <= AHEAD_FILES
        over = sum(dict(files)[n] for n in ahead)
        assert over < AHEAD_BYTES + AHEAD_FILE_BYTES
    assert asked == sorted(set(asked))
    small = {n for n, size in files[2:] if 0 < size <= AHEAD_FILE_BYTES}
    assert set(asked) == small


# -- trees ----------------------------------------------------------------------------------------

Tree = Mapping[str, Sequence[str]]

TREE: Tree = {
    "/": ["/a", "/b", "/c"],
    "/a": ["/a/1", "/a/2"],
    "/a/1": [],
    "/b": ["/b/1"],
}


@pytest.mark.parametrize(
    ("path", "after"),
    [
        ("/", ["/a", "/a/1", "/a/2", "/b", "/b/1", "/c"]),
        ("/a", ["/a/1", "/a/2", "/b", "/b/1", "/c"]),
        ("/a/1", ["/a/2", "/b", "/b/1", "/c"]),
        ("/b/1", ["/c"]),
        ("/c", []),
        ("/unknown/x", []),
    ],
)
def test_where_a_walk_goes_on(path: str, after: list[str]) -> None:
    assert list(upcoming(path, TREE.get)) == after


def test_upcoming_is_asked_for_no_more_than_is_taken() -> None:
    asked: list[str] = []

    def known(path: str) -> Sequence[str]:
        asked.append(path)
        return [f"{path.rstrip('/')}/{n}" for n in range(1000)] if path.count("/") < 50 else []

    assert len(list(itertools.islice(upcoming("/x", known), 10))) == 10
    assert len(asked) < 20
