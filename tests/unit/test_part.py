"""A large file on the local disk while it is fetched: its record, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftpfs.errors import BusyError
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.events import File
from ftpfs.tree.part import Part, is_name_of, missing, own_name, part_name

SIZE = 1000


def part(folder: Path, *, resume: bool = False) -> Part:
    file = File("/f", str(folder / "f"), Entry("f", Kind.FILE, SIZE))
    return Part(part_name(file.target, SIZE, 5), file, SIZE, resume=resume)


@pytest.mark.parametrize(
    ("there", "gaps"),
    [
        ([], [(0, 1000)]),
        ([(0, 1000)], []),
        ([(100, 200)], [(0, 100), (200, 1000)]),
        ([(500, 1000), (0, 100)], [(100, 500)]),
        ([(0, 300), (100, 200)], [(300, 1000)]),
    ],
)
def test_what_is_missing(there: list[tuple[int, int]], gaps: list[tuple[int, int]]) -> None:
    assert missing(there, SIZE) == gaps


def test_what_was_saved_is_gone_on_with(tmp_path: Path) -> None:
    first = part(tmp_path)
    first.write(memoryview(b"x" * 100), 400)
    first.save([(400, 500)])
    first.close()
    again = part(tmp_path, resume=True)
    assert again.there == [(400, 500)]
    again.write(memoryview(b"y" * 400), 0)
    again.write(memoryview(b"y" * 500), 500)
    again.cut()
    again.close()
    assert Path(again.path).read_bytes() == b"y" * 400 + b"x" * 100 + b"y" * 500


def test_without_the_wish_to_go_on_it_begins_again(tmp_path: Path) -> None:
    first = part(tmp_path)
    first.save([(0, 500)])
    first.close()
    again = part(tmp_path)
    assert again.there == []
    assert Path(again.path).stat().st_size == 0
    again.close()


@pytest.mark.parametrize("damage", [b"", b"0", b"00000000[[0, 1000]]", b"\xff" * 30])
def test_a_doubtful_record_is_none(tmp_path: Path, damage: bytes) -> None:
    first = part(tmp_path)
    first.save([(0, 500)])
    first.close()
    path = Path(first.path)
    path.write_bytes(path.read_bytes()[:SIZE] + damage)
    again = part(tmp_path, resume=True)
    assert again.there == []
    again.close()


def test_two_processes_do_not_write_the_same(tmp_path: Path) -> None:
    first = part(tmp_path)
    with pytest.raises(BusyError):
        part(tmp_path)
    first.close()


def test_a_link_that_lies_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"precious")
    Path(part_name(str(tmp_path / "f"), SIZE, 5)).symlink_to(tmp_path / "other")
    with pytest.raises(Exception, match="symbolic links"):
        part(tmp_path)
    assert (tmp_path / "other").read_bytes() == b"precious"


def test_names_are_short_enough_and_tell_versions_apart() -> None:
    long = "/d/" + 120 * "ü"
    name = part_name(long, 1, 2)
    assert len(name.removeprefix("/d/").encode("utf-8", "surrogateescape")) <= 255
    assert len({part_name(long, 1, 2), part_name(long, 1, 3), part_name(long + "x", 1, 2)}) == 3
    assert part_name("f", 1).startswith(".f.ftpfs-")
    assert len(own_name(name).encode()) <= 255
    assert is_name_of(own_name(name), name)
    assert not is_name_of(own_name(name), part_name(long, 1, 3))
