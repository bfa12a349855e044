"""ftpfs mv, rm, mkdir and rmdir, beside those of coreutils on a local copy."""

from __future__ import annotations

import os

import pytest
from urls.commands import Place, lay, plant, same_as, tree


@pytest.mark.parametrize(
    "operands",
    [
        ["file", "new"],
        ["file", "other"],
        ["-n", "file", "other"],
        ["file", "dir"],
        ["file", "other", "dir"],
        ["dir", "new"],
        ["dir", "empty"],
        ["dir", "full"],
        ["dir", "file"],
        ["dir", "dir/sub"],
        ["file", "file"],
        ["nothing", "x"],
        ["nothing", "file", "dir"],
        ["file", "other", "nodir"],
        ["file", "nodir/x"],
    ],
    ids=" ".join,
)
def test_mv_as_mv(place: Place, operands: list[str]) -> None:
    same_as("mv", place, operands)


@pytest.mark.parametrize(
    "operands",
    [
        ["file"],
        ["file", "other"],
        ["nothing"],
        ["-f", "nothing"],
        ["-f", "nothing", "file"],
        ["nothing", "file"],
        ["dir"],
        ["dir", "file"],
        ["-r", "dir", "full", "file"],
        ["-rf", "dir", "nothing"],
        ["file", "file"],
        ["-f", "file", "file", "other"],
        ["dir", "dir", "file"],
        ["dir", "dir/file"],
        ["-r", "dir", "dir"],
        ["-r", "dir", "dir/file"],
        ["-r", "dir/sub", "dir", "dir/sub"],
        ["-rf", "dir", "dir/file", "dir/sub"],
        ["-rf", "full/", "file", "full/dir"],
    ],
    ids=" ".join,
)
def test_rm_as_rm(place: Place, operands: list[str]) -> None:
    same_as("rm", place, operands)


@pytest.mark.parametrize(
    "operands",
    [
        ["new"],
        ["new", "new/below"],
        ["nodir/new"],
        ["empty"],
        ["file"],
        ["-p", "a/b/c"],
        ["-p", "empty/b/c", "empty"],
        ["-p", "file/x"],
        ["file", "new"],
    ],
    ids=" ".join,
)
def test_mkdir_as_mkdir(place: Place, operands: list[str]) -> None:
    same_as("mkdir", place, operands)


@pytest.mark.parametrize(
    "operands",
    [
        ["empty"],
        ["dir/sub", "dir"],
        ["nothing"],
        ["file"],
        ["full", "empty"],
    ],
    ids=" ".join,
)
def test_rmdir_as_rmdir(place: Place, operands: list[str]) -> None:
    same_as("rmdir", place, operands)


def test_rmdir_with_those_above_stops_below_the_login_directory(place: Place) -> None:
    (place.root / "a" / "b").mkdir(parents=True)
    (place.root / "stays").touch()
    done = place.ftpfs("rmdir", "-p", place.url("a/b"))
    assert done.err == f"ftpfs: failed to remove '{place.shown()}': Directory not empty\n"
    assert done.code == 1
    assert os.listdir(place.root) == ["stays"]


# -- from place to place --------------------------------------------------------------------------


def test_a_tree_moves_there_and_back(place: Place) -> None:
    plant(place.local / "tree")
    content = tree(place.local / "tree")
    times = {p.name: int(p.stat().st_mtime) for p in (place.local / "tree" / "one").iterdir()}
    place.good("mv", "tree", place.url("there"))
    assert tree(place.root / "there") == content
    assert os.listdir(place.local) == []
    place.good("mv", place.url("there"), "back")
    assert tree(place.local / "back") == content
    assert os.listdir(place.root) == []
    back = {p.name: int(p.stat().st_mtime) for p in (place.local / "back" / "one").iterdir()}
    del times["two"], back["two"]
    assert back == times


def test_files_move_from_one_server_to_another(place: Place, py: Place) -> None:
    for name in ("a", "b", "c", "d", "e"):
        (place.root / name).write_text(name * 1000)
    place.good("mv", place.url("[a-e]"), py.url())
    assert os.listdir(place.root) == []
    assert {p.name: p.read_text() for p in py.root.iterdir()} == {n: n * 1000 for n in "abcde"}


def test_a_source_that_was_not_copied_whole_stays(vs: Place) -> None:
    (vs.local / "tree").mkdir()
    (vs.local / "tree" / "good").write_text("good")
    (vs.local / "tree" / "link").symlink_to("good")
    (vs.local / "other").write_text("other")
    done = vs.ftpfs("mv", "tree", "other", vs.url())
    assert done.code == 1
    assert done.err == (
        f"ftpfs: cannot create symbolic link '{vs.shown('tree/link')}': Operation not permitted\n"
    )
    assert sorted(os.listdir(vs.local)) == ["tree"]
    assert sorted(os.listdir(vs.local / "tree")) == ["good", "link"]
    assert (vs.root / "other").read_text() == "other"


# -- rm -r ----------------------------------------------------------------------------------------


def test_a_large_tree_goes(place: Place) -> None:
    plant(place.root / "tree")
    for n in range(70):
        (place.root / "tree" / "one" / f"n{n}").touch()
    out = place.good("rm", "-rv", place.url("tree"))
    assert os.listdir(place.root) == []
    assert f"removed directory '{place.shown('tree')}'" in out.splitlines()


def test_links_are_removed_and_not_followed(place: Place) -> None:
    """pyftpdlib lists a link to a directory as a directory."""
    (place.root / "precious").mkdir()
    (place.root / "precious" / "file").touch()
    (place.root / "tree" / "d").mkdir(parents=True)
    (place.root / "tree" / "link").symlink_to("../precious")
    (place.root / "tree" / "d" / "link").symlink_to("../../precious")
    (place.root / "direct").symlink_to("precious")
    place.good("rm", "-r", place.url("tree"), place.url("direct"))
    assert sorted(tree(place.root)) == ["precious", "precious/file"]


def test_what_a_slip_would_remove_stays(place: Place) -> None:
    (place.root / "x").touch()
    top = place.server.url
    done = place.ftpfs("rm", "-r", f"{top}/", place.url("."), place.url("x"))
    shown = top.replace(":demo@", "@")
    assert done.err.splitlines() == [
        f"ftpfs: it is dangerous to operate recursively on '{shown}/'",
        f"ftpfs: refusing to remove '.' or '..' directory: skipping '{place.shown('.')}'",
    ]
    assert done.code == 1
    assert os.listdir(place.root) == []


def test_patterns_are_expanded(place: Place) -> None:
    for name in ("a1", "a2", "b1", ".a3"):
        (place.root / name).touch()
    place.good("rm", place.url("*[12]"))
    assert os.listdir(place.root) == [".a3"]


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_a_directory_is_not_moved_into_one_that_has_something_else(place: Place, up: bool) -> None:
    """As mv from one file system to another: neither file is lost."""
    source, target = (place.local, place.root) if up else (place.root, place.local)
    lay(source)
    (target / "dir").mkdir()
    (target / "dir" / "file").write_text("another")
    before = tree(source), tree(target)
    done = place.ftpfs("mv", *(["dir", place.url()] if up else [place.url("dir"), "."]))
    assert (done.code, "Directory not empty" in done.err) == (1, True)
    assert (tree(source), tree(target)) == before


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_a_move_that_was_broken_off_goes_on(place: Place, up: bool) -> None:
    """What is there already is no obstacle, nor is a part of a large file."""
    source, target = (place.local, place.root) if up else (place.root, place.local)
    lay(source)
    content = tree(source / "dir")
    (target / "dir" / "sub").mkdir(parents=True)
    (target / "dir" / "file").write_text("in dir")
    time_s = (source / "dir" / "file").stat().st_mtime
    os.utime(target / "dir" / "file", (time_s, time_s))
    part = target / "dir" / ".big.ftpfs-0123abcd.part"
    part.touch()
    place.good("mv", *(["dir", place.url()] if up else [place.url("dir"), "."]))
    part.unlink()
    assert tree(target / "dir") == content
    assert not (source / "dir").exists()
