"""ftpfs cp: trees in and out, and what cp of coreutils does with the same operands."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from servers import commands
from urls.commands import Place, coreutils, plant, tree

from ftpfs.config import SMALL_BYTES


def planted(place: Place) -> Path:
    """The same tree on the server and locally, in `tree` of each."""
    plant(place.root / "tree")
    shutil.copytree(place.root / "tree", place.local / "tree", copy_function=shutil.copy2)
    return place.local / "tree"


def times(top: Path) -> dict[str, int]:
    return {str(p.relative_to(top)): int(p.stat().st_mtime) for p in top.rglob("*") if p.is_file()}


def modes(top: Path) -> dict[str, int]:
    return {str(p.relative_to(top)): p.stat().st_mode & 0o777 for p in top.rglob("*")}


# -- trees ----------------------------------------------------------------------------------------


def test_a_tree_out(place: Place) -> None:
    copy = planted(place)
    place.good("cp", "-r", place.url("tree"), "out")
    assert tree(place.local / "out") == tree(copy)


def test_a_tree_in(place: Place) -> None:
    copy = planted(place)
    place.good("cp", "-r", "tree", place.url("in"))
    assert tree(place.root / "in") == tree(copy)


def test_a_tree_into_a_directory_that_is_there(place: Place) -> None:
    copy = planted(place)
    (place.local / "there").mkdir()
    (place.root / "there").mkdir()
    place.good("cp", "-r", place.url("tree"), "there")
    place.good("cp", "-r", "tree", place.url("there"))
    assert tree(place.local / "there" / "tree") == tree(copy)
    assert tree(place.root / "there" / "tree") == tree(copy)


def test_a_tree_over_a_tree(place: Place) -> None:
    copy = planted(place)
    for side in (place.local, place.root):
        plant(side / "old" / "tree", seed=2)
        (side / "old" / "tree" / "stays").write_text("as it is")
    place.good("cp", "-r", place.url("tree"), "old")
    place.good("cp", "-r", "tree", place.url("old"))
    expected = tree(copy)
    for side in (place.local, place.root):
        found = tree(side / "old" / "tree")
        assert found.pop("stays")
        assert found == expected
    assert not [name for name in tree(place.root) if ".ftpfs-" in name]


def test_two_directories_of_one_name_become_one(place: Place) -> None:
    """Into a directory that is there, with what the second has replacing what the first has."""
    for side in (place.root, place.local):
        for top, names in (("a", ["both", "first", "sub/x"]), ("b", ["both", "second", "sub/y"])):
            for name in names:
                path = side / top / "same" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{top} {name}")
        (side / "dst").mkdir()
    expected = place.local / "expected"
    expected.mkdir()
    subprocess.run(["cp", "-r", "a/same", "b/same", "expected"], cwd=place.local, check=True)
    place.good("cp", "-r", place.url("a/same"), place.url("b/same"), "dst")
    place.good("cp", "-r", "a/same", "b/same", place.url("dst"))
    assert tree(place.local / "dst") == tree(place.root / "dst") == tree(expected)


def test_a_file_and_a_directory_of_one_name_do_not(place: Place) -> None:
    (place.root / "a" / "same").mkdir(parents=True)
    (place.root / "b").mkdir()
    (place.root / "b" / "same").write_text("file")
    (place.local / "dst").mkdir()
    done = place.ftpfs("cp", "-r", place.url("a/same"), place.url("b/same"), "dst")
    assert done.code == 1
    assert "will not overwrite just-created 'dst/same'" in done.err
    assert (place.local / "dst" / "same").is_dir()


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_is_named_twice_is_copied_once(place: Place, kind: str) -> None:
    (place.root / "tree").mkdir()
    (place.root / "tree" / "f").write_text("content")
    (place.local / "dst").mkdir()
    path = "tree/f" if kind == "file" else "tree"
    url = place.url(path)
    done = place.ftpfs("cp", "-r", "-v", url, url, "dst")
    assert done.code == 0
    assert done.err.startswith(f"ftpfs: warning: source {kind} '")
    assert done.err.endswith(f"/{path}' specified more than once\n")
    assert done.out.count("f'\n") == 1
    assert (place.local / "dst" / path.removeprefix("tree/")).exists()


def test_a_tree_from_the_server_to_the_same_server(place: Place) -> None:
    copy = planted(place)
    place.good("cp", "-r", place.url("tree"), place.url("copy"))
    assert tree(place.root / "copy") == tree(copy)


def test_files_are_overwritten_where_they_lie_if_that_is_the_users_wish(place: Place) -> None:
    """`without=replace`: something on the server takes each new name for a delivery."""
    for name, size in (("small", 5), ("large", SMALL_BYTES + 1)):
        (place.local / name).write_bytes(os.urandom(size))
        for there in (name, "piped", "relayed"):
            (place.root / there).write_bytes(b"old")
        option = ("-o", "without=replace")
        place.good("cp", *option, name, place.url("new " + name))
        place.good("cp", *option, name, place.url())
        content = (place.local / name).read_bytes()
        place.good("cp", *option, "-", place.url("piped"), stdin=content)
        place.good("cp", *option, place.url(name), place.url("relayed"))
        for there in (name, f"new {name}", "piped", "relayed"):
            assert (place.root / there).read_bytes() == content
    sent = [line for line in commands(place.server) if place.name in line]
    assert not [line for line in sent if ".ftpfs-" in line or line.startswith("RNTO")]


def test_a_tree_with_one_connection(place: Place) -> None:
    copy = planted(place)
    (place.root / "tree" / "one" / "large").unlink()  # it takes two on one server
    (copy / "one" / "large").unlink()
    place.good("cp", "-r", "-o", "max_conns=1", place.url("tree"), "out")
    place.good("cp", "-r", "-j1", "tree", place.url("in"))
    place.good("cp", "-r", "-j", "1", place.url("tree"), place.url("copy"))
    for found in (place.local / "out", place.root / "in", place.root / "copy"):
        assert tree(found) == tree(copy)


def test_times_and_modes_are_kept_on_demand(place: Place) -> None:
    copy = planted(place)
    place.good("cp", "-r", "-p", place.url("tree"), "out")
    place.good("cp", "-r", "-p", "tree", place.url("in"))
    place.good("cp", "-r", "-p", place.url("tree"), place.url("copy"))
    for found in (place.local / "out", place.root / "in", place.root / "copy"):
        assert times(found) == times(copy)
        assert modes(found) == modes(copy)


def test_the_directory_that_is_named_keeps_its_time_too(place: Place) -> None:
    (place.root / "tree").mkdir()
    os.utime(place.root / "tree", (1_500_000_000, 1_500_000_000))
    place.good("cp", "-r", "-p", place.url("tree"), "out")
    out_s = (place.local / "out").stat().st_mtime
    assert abs(out_s - 1_500_000_000) <= 86_400  # a LIST tells the day
    os.utime(place.root / "tree")
    place.good("mv", place.url("tree"), "moved")
    assert abs((place.local / "moved").stat().st_mtime - time.time()) <= 120


def test_unusual_permission_bits_are_kept_anyhow(place: Place) -> None:
    copy = planted(place)
    place.good("cp", "-r", place.url("tree"), "out")
    place.good("cp", "-r", "tree", place.url("in"))
    assert modes(place.local / "out") == modes(copy)
    assert modes(place.root / "in") == modes(copy)


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 262_144, 262_145, 9_000_000])
def test_a_file_of_any_size_there_and_back(place: Place, size: int) -> None:
    content = os.urandom(size)
    (place.local / "f").write_bytes(content)
    place.good("cp", "f", place.url("f"))
    assert (place.root / "f").read_bytes() == content
    place.good("cp", place.url("f"), "g")
    assert (place.local / "g").read_bytes() == content
    place.good("cp", place.url("f"), place.url("g"))
    assert (place.root / "g").read_bytes() == content
    assert sorted(os.listdir(place.root)) == ["f", "g"]
    assert sorted(os.listdir(place.local)) == ["f", "g"]


def test_a_file_that_is_there_is_replaced(place: Place) -> None:
    for size in (10, 300_000):
        new = os.urandom(size)
        (place.local / "new").write_bytes(new)
        (place.root / "old").write_text("old" * 1000)
        (place.root / "old").chmod(0o640)
        place.good("cp", "new", place.url("old"))
        assert (place.root / "old").read_bytes() == new
        assert (place.root / "old").stat().st_mode & 0o777 == 0o640
        (place.local / "old").write_text("old" * 1000)
        (place.local / "old").chmod(0o640)
        place.good("cp", place.url("old"), "old")
        assert (place.local / "old").read_bytes() == new
        assert (place.local / "old").stat().st_mode & 0o777 == 0o640
    assert os.listdir(place.root) == ["old"]


def test_what_is_there_is_kept_on_demand(place: Place) -> None:
    for side in (place.local, place.root):
        (side / "a").write_text("there")
    (place.local / "b").write_text("new")
    (place.root / "b").write_text("new")
    (place.root / "target").mkdir()
    (place.root / "target" / "a").write_text("kept")
    place.good("cp", "-n", "a", "b", place.url("target"))
    assert (place.root / "target" / "a").read_text() == "kept"
    assert (place.root / "target" / "b").read_text() == "new"
    (place.local / "target").mkdir()
    (place.local / "target" / "a").write_text("kept")
    place.good("cp", "-n", place.url("a"), place.url("b"), "target")
    assert (place.local / "target" / "a").read_text() == "kept"
    assert (place.local / "target" / "b").read_text() == "new"


def test_only_what_is_older_is_replaced_on_demand(place: Place) -> None:
    for name, source_time, target_time in (("newer", 2_000, 1_000), ("older", 1_000, 2_000)):
        for side, text, seconds in (
            (place.local, "local", source_time),
            (place.root, "server", target_time),
        ):
            (side / name).write_text(text)
            os.utime(side / name, (1_600_000_000 + seconds * 100, 1_600_000_000 + seconds * 100))
    place.good("cp", "-u", "newer", "older", place.url())
    assert (place.root / "newer").read_text() == "local"
    assert (place.root / "older").read_text() == "server"


def test_what_was_copied_is_said_on_demand(place: Place) -> None:
    (place.local / "d").mkdir()
    (place.local / "d" / "f f").write_text("x")
    out = place.good("cp", "-rv", "d", place.url("e"))
    assert out.splitlines() == [
        f"'d' -> '{place.shown('e')}'",
        f"'d/f f' -> '{place.shown('e/f%20f')}'",
    ]


def test_patterns_are_expanded(place: Place) -> None:
    for name in ("a1", "a2", "b1"):
        (place.root / name).write_text(name)
    (place.local / "out").mkdir()
    place.good("cp", place.url("a*"), "out")
    assert sorted(os.listdir(place.local / "out")) == ["a1", "a2"]


def test_standard_input_and_output(place: Place) -> None:
    content = bytes(range(256)) * 5000
    place.good("cp", "-", place.url("in"), stdin=content)
    assert (place.root / "in").read_bytes() == content
    place.good("cp", "-", place.url("in"), stdin=b"again")
    assert place.good("cp", place.url("in"), "-") == "again"
    assert place.good("cat", place.url("in"), place.url("in")) == "againagain"
    assert os.listdir(place.root) == ["in"]


def test_links(vs: Place) -> None:
    """As links to the local disk, if they stay within the tree; not to a server, which has none."""
    top = vs.root / "tree"
    (top / "d").mkdir(parents=True)
    (top / "d" / "f").write_text("f")
    (top / "inside").symlink_to("d/f")
    (top / "d" / "up").symlink_to("../inside")
    (top / "outside").symlink_to("../../etc/passwd")
    (top / "absolute").symlink_to("/etc/passwd")
    done = vs.ftpfs("cp", "-r", vs.url("tree"), "out")
    assert sorted(done.err.splitlines()) == [
        f"ftpfs: '{vs.shown('tree/absolute')}' leads out of what is copied: not created",
        f"ftpfs: '{vs.shown('tree/outside')}' leads out of what is copied: not created",
    ]
    assert done.code == 1
    assert tree(vs.local / "out") == {
        "d": "dir",
        "d/f": tree(top)["d/f"],
        "d/up": "-> ../inside",
        "inside": "-> d/f",
    }
    done = vs.ftpfs("cp", "-r", "out", vs.url("in"))
    assert done.code == 1
    assert sorted(done.err.splitlines()) == [
        f"ftpfs: cannot create symbolic link '{vs.shown('in/d/up')}': Operation not permitted",
        f"ftpfs: cannot create symbolic link '{vs.shown('in/inside')}': Operation not permitted",
    ]
    assert sorted(tree(vs.root / "in")) == ["d", "d/f"]


def test_a_target_that_is_a_device(place: Place) -> None:
    (place.root / "f").write_text("f")
    place.good("cp", place.url("f"), "/dev/null")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("size", [5, 400_000])
def test_a_target_that_is_a_pipe(place: Place, size: int) -> None:
    """It stays one, however large the file."""
    (place.root / "f").write_bytes(bytes(size))
    os.mkfifo(place.local / "pipe")
    with subprocess.Popen(["cp", "pipe", "read"], cwd=place.local) as reader:
        try:
            place.good("cp", place.url("f"), "pipe")
            assert reader.wait(10) == 0
        finally:
            reader.kill()
    assert (place.local / "read").read_bytes() == bytes(size)
    assert (place.local / "pipe").is_fifo()


@pytest.mark.parametrize("size", [5, 400_000])
def test_a_target_that_is_a_link(place: Place, size: int) -> None:
    """What it leads to is replaced, as cp does; and nothing is made where it leads to nothing."""
    (place.root / "f").write_bytes(bytes(size))
    (place.local / "d").mkdir()
    (place.local / "d" / "real").touch()
    (place.local / "link").symlink_to("d/real")
    (place.local / "dangling").symlink_to("nothing")
    place.good("cp", place.url("f"), "link")
    assert (place.local / "link").is_symlink()
    assert (place.local / "d" / "real").read_bytes() == bytes(size)
    done = place.ftpfs("cp", place.url("f"), "dangling")
    assert done.err == "ftpfs: not writing through dangling symlink 'dangling'\n"
    assert done.code == 1
    assert sorted(os.listdir(place.local)) == ["d", "dangling", "link"]


def test_local_to_local_as_cp_does(place: Place) -> None:
    copy = planted(place)
    place.good("cp", "-r", "tree", "other")
    assert tree(place.local / "other") == tree(copy)
    assert modes(place.local / "other") == modes(copy)


# -- what cp says ---------------------------------------------------------------------------------


def lay(top: Path) -> None:
    (top / "dir" / "sub").mkdir(parents=True)
    (top / "dir" / "file").write_text("in dir")
    (top / "file").write_text("file")
    (top / "other").write_text("other")


SAME_WORDS = [
    # operands, all on the server
    ["nothing", "x"],
    ["nothing", "file", "dir"],
    ["file", "other", "nodir"],
    ["file", "other", "other"],
    ["dir", "x"],
    ["file", "nodir/"],
    ["-r", "dir", "file"],
    ["file", "file"],
    ["-r", "dir", "dir"],
    ["-r", "dir", "dir/sub"],
    ["-r", "dir", "dir/sub/new"],
    ["file", "nodir/x"],
    ["file", "dir/file", "dir"],
    ["other", "dir/sub/../../file"],
]


@pytest.mark.parametrize("operands", SAME_WORDS, ids=" ".join)
def test_says_what_cp_says(place: Place, operands: list[str]) -> None:
    lay(place.root)
    lay(place.local)
    flags = [word for word in operands if word.startswith("-")]
    paths = [word for word in operands if not word.startswith("-")]
    theirs = coreutils("cp", *operands, cwd=place.local)
    ours = place.ftpfs("cp", *flags, *map(place.url, paths))
    said = ours.err.replace(place.shown() + "/", "")
    assert (ours.code, said) == (theirs.code, theirs.err)
    if "into itself" not in theirs.err:  # cp makes a part of it first
        assert tree(place.root) == tree(place.local)


@pytest.mark.parametrize("operands", [[], ["a"]], ids=str)
def test_too_few_operands(vs: Place, operands: list[str]) -> None:
    theirs = coreutils("cp", *operands, cwd=vs.local)
    ours = vs.ftpfs("cp", *operands)
    assert ours.code == 2
    assert ours.err == theirs.err.splitlines()[0] + "\n"


def test_a_tree_of_any_depth(vs: Place) -> None:
    depth = 1010
    with contextlib.chdir(vs.root):
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        Path("f").write_text("f")
    try:
        vs.good("ls", "-R", vs.url("d"))
        vs.good("cp", "-r", vs.url("d"), "d")
        vs.good("mv", "d", vs.url("e"))
        assert os.listdir(vs.local) == []
        vs.good("rm", "-r", vs.url("d"), vs.url("e"))
        assert os.listdir(vs.root) == []
    finally:
        subprocess.run(["rm", "-rf", *vs.root.iterdir(), *vs.local.iterdir()], check=True)


def test_links_that_lead_back_are_no_trees_without_end(place: Place) -> None:
    """pyftpdlib's MLSD lists them as directories."""
    (place.root / "d" / "sub").mkdir(parents=True)
    (place.root / "d" / "f").write_text("f")
    for name in ("here", "there"):
        (place.root / "d" / name).symlink_to(".")
    (place.root / "d" / "sub" / "up").symlink_to("..")
    listed = place.ftpfs("ls", "-R", place.url("d"))
    copied = place.ftpfs("cp", "-r", place.url("d"), "d")
    assert len(listed.out.splitlines()) < 40
    assert (place.local / "d" / "f").read_text() == "f"
    for done in (listed, copied):
        assert (done.code == 1) == ("leads back" in done.err)


def test_directories_alike_are_copied(place: Place) -> None:
    """One in the other, made in one second, with the same in each."""
    deep = place.root
    for _ in range(12):
        deep = deep / "d"
        deep.mkdir()
        (deep / "f").write_text("f")
    for directory, _, _ in os.walk(place.root, topdown=False):
        for name in ("f", "."):
            if os.path.exists(f"{directory}/{name}"):
                os.utime(f"{directory}/{name}", (1_700_000_000, 1_700_000_000))
    place.good("cp", "-r", place.url("d"), "d")
    assert tree(place.local) == tree(place.root)
    assert place.good("ls", "-R", place.url("d")).count("\nf\n") == 12
    place.good("rm", "-r", place.url("d"))
    assert os.listdir(place.root) == []
