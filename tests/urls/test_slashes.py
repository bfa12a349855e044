"""A slash at the end of an operand: it is for a directory, as coreutils have it."""

from __future__ import annotations

import os

import pytest
from urls.commands import Place, lay, same_as


@pytest.mark.parametrize(
    "operands",
    [
        ["cp", "other", "file/"],
        ["cp", "other", "new/"],
        ["cp", "file/", "new"],
        ["cp", "nothing/", "new"],
        ["cp", "file/", "other", "dir"],
        ["cp", "file", "other", "file/"],
        ["cp", "-r", "dir", "file/"],
        ["cp", "-r", "file/", "new"],
        ["cp", "-r", "dir/", "new/"],
        ["cp", "file", "dir/"],
        ["mv", "other", "file/"],
        ["mv", "other", "new/"],
        ["mv", "file/", "new"],
        ["mv", "dir/", "new/"],
        ["mv", "file", "other", "file/"],
        ["mv", "file", "other", "dir/"],
        ["rm", "file/", "other"],
        ["cat", "file/"],
        ["mkdir", "new/"],
        ["rmdir", "empty/"],
    ],
    ids=" ".join,
)
def test_a_slash_is_for_directories(place: Place, operands: list[str]) -> None:
    same_as(operands[0], place, operands[1:])


@pytest.mark.parametrize("option", [[], ["-d"], ["-l"]], ids=" ".join)
def test_ls_with_a_slash(place: Place, option: list[str]) -> None:
    lay(place.root)
    done = place.ftpfs("ls", *option, place.url("file/"), place.url("nothing/"))
    assert done.err.splitlines() == [
        f"ftpfs: cannot access '{place.shown('file/')}': Not a directory",
        f"ftpfs: cannot access '{place.shown('nothing/')}': No such file or directory",
    ]
    assert (done.code, done.out) == (1, "")
    assert place.good("ls", "-d", place.url("dir/")) == place.shown("dir/") + "\n"
    assert place.good("ls", place.url("dir/")) == "file\nsub\n"


def test_a_pattern_with_a_slash_stands_for_directories_alone(place: Place) -> None:
    lay(place.root)
    (place.root / "to-dir").symlink_to("dir")
    (place.root / "to-file").symlink_to("file")
    (place.root / "to-nothing").symlink_to("nothing")
    place.good("cp", "-r", place.url("*/"), ".")
    assert sorted(os.listdir(place.local)) == ["dir", "empty", "full", "to-dir"]
