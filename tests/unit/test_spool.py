from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.config import MEMORY_SPOOL_BYTES
from ftpfs.content.ranges import RangeSet
from ftpfs.content.space import Space
from ftpfs.content.spool import Spool
from ftpfs.errors import JournalError, NoSpaceError


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)
    assert os.listdir(tmp_path) == []


def new_spool(directory: str, size: int, limit: int = 1 << 40) -> Spool:
    return Spool.create(directory, size, Space(limit))


def content(spool: Spool) -> bytes:
    assert not spool.missing()
    target = bytearray(spool.size + 10)
    return bytes(target[: spool.read_into(memoryview(target), 0)])


def test_new_and_empty(directory: str) -> None:
    spool = new_spool(directory, 0)
    assert (spool.size, spool.missing(), content(spool)) == (0, [], b"")
    spool.close()


def test_a_hole_reads_as_zeros_and_is_present(directory: str) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"end", 5)
    assert content(spool) == b"\0\0\0\0\0end"
    spool.close()


def test_what_is_only_on_the_server_is_missing(directory: str) -> None:
    spool = new_spool(directory, 100)
    assert spool.missing() == [(0, 100)]
    spool.write(b"x" * 10, 40)
    assert spool.missing() == [(0, 40), (50, 100)]
    spool.write(b"y", 150)
    assert spool.missing() == [(0, 40), (50, 100)]
    assert spool.size == 151
    spool.close()


def test_fill_keeps_what_is_newer(directory: str) -> None:
    spool = new_spool(directory, 10)
    spool.write(b"NEW", 3)
    spool.fill(memoryview(b"0123456789"), 0)
    assert content(spool) == b"012NEW6789"
    spool.close()


def test_fill_adds_nothing_behind_the_end(directory: str) -> None:
    spool = new_spool(directory, 10)
    spool.truncate(4)
    spool.fill(memoryview(b"0123456789"), 0)
    assert content(spool) == b"0123"
    spool.truncate(8)
    assert content(spool) == b"0123\0\0\0\0"
    spool.close()


def test_fill_leaves_a_later_hole_empty(directory: str) -> None:
    spool = new_spool(directory, 10)
    spool.truncate(4)
    spool.fill(memoryview(b"0123456789"), 0)
    spool.write(b"end", 12)
    assert content(spool) == b"0123" + bytes(8) + b"end"
    spool.close()


@pytest.mark.parametrize("how", ["a hole", "truncate"])
def test_a_write_that_fails_half_way_leaves_nothing_behind_the_end(
    directory: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"01", 0)
    pwrite, calls = os.pwrite, []

    def half(fd: int, data: memoryview, at: int) -> int:
        calls.append(at)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return pwrite(fd, data[:3], at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        with pytest.raises(NoSpaceError):
            spool.write(b"LOST DATA", 4)
    if how == "truncate":
        spool.truncate(10)
        assert content(spool) == b"01" + bytes(8)
    else:
        spool.write(b"end", 10)
        assert content(spool) == b"01" + bytes(8) + b"end"
    spool.close()


def test_truncate_and_extend_shows_zeros(directory: str) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"0123456789", 0)
    spool.truncate(3)
    spool.truncate(6)
    assert content(spool) == b"012\0\0\0"
    assert spool.present == RangeSet((0, 6))
    spool.close()


def test_a_read_ends_with_the_file(directory: str) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"0123", 0)
    spool.truncate(2)
    target = bytearray(9)
    assert spool.read_into(memoryview(target), 1) == 1
    assert spool.read_into(memoryview(target), 2) == 0
    assert spool.read_into(memoryview(target), 7) == 0
    spool.close()


def test_the_file_to_send_has_its_full_length(directory: str) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"ab", 0)
    spool.truncate(100_000)
    spool.extend()
    assert os.fstat(spool.file.fileno()).st_size == 100_000
    assert os.fstat(spool.file.fileno()).st_blocks * 512 < 100_000, "sparse"
    spool.close()


def test_a_file_whose_end_is_a_hole_never_written(directory: str) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"", 500)
    spool.extend()
    assert os.fstat(spool.file.fileno()).st_size == spool.size
    spool.close()


def test_no_directory(tmp_path: Path) -> None:
    spool = new_spool(str(tmp_path / "absent"), 0)
    spool.write(b"small", 0)
    with pytest.raises(NoSpaceError, match="no spool file"):
        spool.write(bytes(MEMORY_SPOOL_BYTES), 5)
    with pytest.raises(NoSpaceError, match="no spool file"):
        spool.sync()
    assert (spool.size, list(spool.present)) == (5, [(0, 5)])
    spool.close()


def test_a_small_spool_has_no_file_until_it_is_asked_for(directory: str) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"small", 100)
    assert os.listdir(directory) == []
    sender = spool.file.fileno()
    spool.persist()
    assert os.listdir(directory) == [spool.name]
    assert os.pread(sender, 1000, 0) == bytes(100) + b"small"
    with open(spool.path, "rb") as file:
        assert file.read() == bytes(100) + b"small"
    spool.write(b"er", 105)
    spool.close()
    assert os.listdir(directory) == []


def test_a_spool_that_grows_moves_to_the_disk(directory: str) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"first", 0)
    spool.write(b"second", MEMORY_SPOOL_BYTES)
    with open(spool.path, "rb") as file:
        assert file.read().replace(b"\0", b"") == b"firstsecond"
    spool.close()


def test_moving_to_a_full_disk_leaves_the_spool_as_it_was(
    directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"small", 0)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(NoSpaceError, match="No space left"):
            spool.persist()
    assert (os.listdir(directory), os.pread(spool.file.fileno(), 9, 0)) == ([], b"small")
    spool.close()


def test_a_write_that_fails_does_not_count(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = new_spool(directory, 10)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(NoSpaceError, match="No space left"):
            spool.write(b"data", 20)
        patch.setattr(os, "ftruncate", full)
        with pytest.raises(NoSpaceError):
            spool.truncate(30)
    assert (spool.size, spool.missing()) == (10, [(0, 10)])
    spool.close()


def test_a_short_write_is_finished(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = new_spool(directory, 0)
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:3], at))
    spool.write(b"0123456789", 0)
    assert content(spool) == b"0123456789"
    spool.close()


operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 30), st.binary(max_size=10)),
        st.tuples(st.just("truncate"), st.integers(0, 30), st.just(b"")),
        st.tuples(st.just("fill"), st.integers(0, 30), st.just(b"")),
        st.tuples(st.just("clone"), st.just(0), st.just(b"")),
    ),
    max_size=14,
)


@given(st.binary(max_size=20), operations)
def test_as_a_file_that_was_all_here(
    tmp_path_factory: pytest.TempPathFactory,
    server: bytes,
    operations: list[tuple[str, int, bytes]],
) -> None:
    """Any writes and truncations, with the server's bytes brought in at any time, are a file's.

    What differs from the server's file is in `dirty`; clones change nothing, and all space that
    was taken is given back.
    """
    space = Space(1000)
    spool = Spool.create(str(tmp_path_factory.getbasetemp()), len(server), space)
    model = bytearray(server)
    for what, at, data in operations:
        if what == "write" and data:
            spool.write(data, at)
            model += bytes(max(0, at - len(model)))
            model[at : at + len(data)] = data
        elif what == "truncate":
            spool.truncate(at)
            model = model[:at] + bytes(max(0, at - len(model)))
        elif what == "fill":
            spool.fill(memoryview(server)[at:], at)
        elif what == "clone":
            original, spool = spool, spool.clone()
            original.write(b"spoilt", 0)
            original.close()
    for start, end in spool.dirty.gaps(0, len(model)):
        assert model[start:end] == server[start:end], "changed, and not dirty"
    spool.fill(memoryview(server), 0)
    assert content(spool) == bytes(model)
    spool.extend()
    assert os.pread(spool.file.fileno(), 100, 0) == bytes(model)
    spool.close()
    space.take(1000)


# -- clones, space, reopening ---------------------------------------------------------------------


def test_a_clone_is_independent(directory: str) -> None:
    spool = new_spool(directory, 10)
    spool.write(b"abc", 2)
    copy = spool.clone()
    copy.write(b"XYZ", 3)
    spool.write(b"!", 9)
    assert (spool.missing(), copy.missing()) == ([(0, 2), (5, 9)], [(0, 2), (6, 10)])
    assert (spool.dirty, copy.dirty) == (RangeSet((2, 5), (9, 10)), RangeSet((2, 6)))
    spool.fill(memoryview(b"0123456789"), 0)
    copy.fill(memoryview(b"0123456789"), 0)
    assert content(spool) == b"01abc5678!"
    assert content(copy) == b"01aXYZ6789"
    spool.close()
    copy.close()


def test_a_clone_of_holes(directory: str) -> None:
    spool = new_spool(directory, 0)
    spool.write(b"x", 1 << 20)
    spool.truncate(3 << 20)
    copy = spool.clone()
    spool.close()
    assert content(copy) == bytes(1 << 20) + b"x" + bytes((2 << 20) - 1)
    copy.extend()
    assert os.fstat(copy.file.fileno()).st_size == 3 << 20
    copy.close()


def test_a_limit_holds_for_all_spools_together(directory: str) -> None:
    space = Space(100)
    one, other = (Spool.create(directory, 0, space) for _ in range(2))
    one.write(bytes(60), 0)
    with pytest.raises(NoSpaceError, match="spool is full"):
        other.write(bytes(41), 0)
    assert (other.size, other.present, other.dirty) == (0, RangeSet(), RangeSet())
    other.write(bytes(40), 0)
    other.write(b"again" * 8, 0)
    one.close()
    other.write(bytes(60), 40)
    other.close()
    space.take(100)


def test_what_is_cut_off_gives_its_space_back(directory: str) -> None:
    spool = new_spool(directory, 0, 100)
    for _ in range(5):
        spool.write(bytes(100), 0)
        spool.truncate(10)
    spool.truncate(1000)  # a hole takes nothing
    spool.write(bytes(90), 500)
    with pytest.raises(NoSpaceError):
        spool.write(b"x", 900)
    spool.close()


def test_a_clone_that_finds_no_space_leaves_nothing(directory: str) -> None:
    space = Space(150)
    spool = Spool.create(directory, 0, space)
    spool.write(bytes(100), 0)
    with pytest.raises(NoSpaceError):
        spool.clone()
    assert os.listdir(directory) == []
    spool.close()
    space.take(150)


def test_what_could_not_be_written_takes_no_space(
    directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Space(100)
    spool = Spool.create(directory, 0, space)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(NoSpaceError):
            spool.write(bytes(100), 0)
    spool.write(bytes(100), 0)
    spool.close()


def test_kept_and_opened_again(directory: str) -> None:
    spool = new_spool(directory, 10)
    spool.write(b"abc", 2)
    spool.persist()
    spool.close(keep=True)
    again = Spool.reopen(spool.path, spool.size, spool.present, spool.dirty, Space(0))
    assert again.missing() == [(0, 2), (5, 10)]
    target = bytearray(3)
    assert again.read_into(memoryview(target), 2) == 3
    assert target == b"abc"
    again.close()
    with pytest.raises(JournalError, match="gone"):
        Spool.reopen(spool.path, 0, RangeSet(), RangeSet(), Space(0))


def test_export(directory: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("export") / "file"
    spool = new_spool(directory, 0)
    spool.write(b"abc", 2)
    spool.truncate(9)
    spool.export(str(target))
    spool.close()
    assert target.read_bytes() == b"\0\0abc\0\0\0\0"
