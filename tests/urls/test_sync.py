"""ftpfs sync: one directory becomes a copy of another, and stays one."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from urls.commands import Place, plant, tree


def counts(done: str) -> dict[str, int]:
    """The numbers of the summary."""
    words = done.replace(",", " ").replace("(", " ").split()
    return {
        "copied": int(words[1]),
        "removed": int(words[words.index("removed") + 1]),
        "unchanged": int(words[words.index("unchanged") + 1]),
        "failed": int(words[words.index("failed") + 1]),
    }


def files(top: Path) -> int:
    return sum(path.is_file() for path in top.rglob("*"))


def test_in_and_again(place: Place) -> None:
    plant(place.local / "tree")
    number = files(place.local / "tree")
    first = counts(place.good("sync", "tree", place.url("tree")))
    assert first == {"copied": number, "removed": 0, "unchanged": 0, "failed": 0}
    assert tree(place.root / "tree") == tree(place.local / "tree")
    again = counts(place.good("sync", "tree", place.url("tree")))
    assert again == {"copied": 0, "removed": 0, "unchanged": number, "failed": 0}


def test_out_and_again(place: Place) -> None:
    plant(place.root / "tree")
    number = files(place.root / "tree")
    first = counts(place.good("sync", place.url("tree"), "tree"))
    assert first["copied"] == number
    assert tree(place.root / "tree") == tree(place.local / "tree")
    assert counts(place.good("sync", place.url("tree"), "tree"))["unchanged"] == number


def test_between_servers(place: Place) -> None:
    plant(place.root / "tree")
    place.good("sync", place.url("tree"), place.url("copy"))
    assert tree(place.root / "copy") == tree(place.root / "tree")
    assert counts(place.good("sync", place.url("tree"), place.url("copy")))["copied"] == 0


def test_what_changed_is_copied(place: Place) -> None:
    plant(place.local / "tree")
    place.good("sync", "tree", place.url("tree"))
    top = place.local / "tree"
    (top / "a.txt").write_text("longer than before, or shorter: another size")
    same_size = top / "one" / "large"
    same_size.write_bytes(os.urandom(same_size.stat().st_size))  # and a new time
    (top / "new").mkdir()
    (top / "new" / "file").write_text("new")
    done = counts(place.good("sync", "tree", place.url("tree")))
    assert done["copied"] == 3
    assert tree(place.root / "tree") == tree(top)


def test_an_older_source_is_copied_too(place: Place) -> None:
    """A file that was put back from a backup."""
    (place.local / "tree").mkdir()
    file = place.local / "tree" / "f"
    file.write_text("new")
    place.good("sync", "tree", place.url("tree"))
    file.write_text("old")
    os.utime(file, (1_500_000_000, 1_500_000_000))
    place.good("sync", "tree", place.url("tree"))
    assert (place.root / "tree" / "f").read_text() == "old"
    assert (place.root / "tree" / "f").stat().st_mtime == 1_500_000_000


def test_surplus_goes_only_on_demand(place: Place) -> None:
    plant(place.local / "tree")
    place.good("sync", "tree", place.url("tree"))
    (place.local / "tree" / "a.txt").unlink()
    shutil.rmtree(place.local / "tree" / "one" / "two")
    assert counts(place.good("sync", "tree", place.url("tree")))["removed"] == 0
    assert (place.root / "tree" / "a.txt").exists()
    done = counts(place.good("sync", "--delete", "tree", place.url("tree")))
    assert done["removed"] > 2
    assert tree(place.root / "tree") == tree(place.local / "tree")
    shutil.rmtree(place.root / "tree" / "one")
    place.good("sync", "--delete", place.url("tree"), "tree")
    assert tree(place.root / "tree") == tree(place.local / "tree")


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_what_has_become_something_else_is_replaced(place: Place, up: bool) -> None:
    """A directory only on demand; what is no directory always."""
    source, target = (place.local, place.root) if up else (place.root, place.local)
    ends = ["tree", place.url("tree")] if up else [place.url("tree"), "tree"]
    for top in (source, target):
        (top / "tree").mkdir()
    (source / "tree" / "now a directory" / "sub").mkdir(parents=True)
    (source / "tree" / "now a directory" / "f").write_text("f")
    (target / "tree" / "now a directory").write_text("a file")
    (source / "tree" / "now a file").write_text("new")
    (target / "tree" / "now a file" / "sub").mkdir(parents=True)
    (target / "tree" / "now a file" / "sub" / "f").write_text("f")
    done = place.ftpfs("sync", *ends)
    assert (done.code, done.err.count("cannot overwrite directory")) == (1, 1)
    assert (target / "tree" / "now a directory" / "f").read_text() == "f"
    told = place.good("sync", "--dry-run", "--delete", *ends)
    assert told.startswith("would remove directory ")
    place.good("sync", "--delete", *ends)
    assert tree(target / "tree") == tree(source / "tree")
    assert counts(place.good("sync", "--delete", *ends))["copied"] == 0


def test_a_pipe_in_the_way_is_replaced(place: Place) -> None:
    """And is not written into, for ever."""
    (place.root / "tree").mkdir()
    (place.root / "tree" / "f").write_text("f")
    (place.local / "tree").mkdir()
    os.mkfifo(place.local / "tree" / "f")
    place.good("sync", place.url("tree"), "tree")
    assert (place.local / "tree" / "f").read_text() == "f"


def test_the_next_run_can_write_to_what_was_made(place: Place) -> None:
    (place.root / "tree" / "closed").mkdir(parents=True)
    (place.root / "tree" / "closed").chmod(0o555)
    place.good("sync", place.url("tree"), "tree")
    assert (place.local / "tree" / "closed").stat().st_mode & 0o700 == 0o700


def test_a_dry_run_does_nothing(place: Place) -> None:
    (place.local / "tree" / "d").mkdir(parents=True)
    (place.local / "tree" / "d" / "f").write_text("f")
    (place.root / "tree" / "gone").mkdir(parents=True)
    (place.root / "tree" / "old").write_text("old")
    before = tree(place.root)
    out = place.good("sync", "--dry-run", "--delete", "tree", place.url("tree"))
    assert tree(place.root) == before
    assert out.splitlines() == [
        f"would make directory '{place.shown('tree/d')}'",
        f"would copy 'tree/d/f' to '{place.shown('tree/d/f')}'",
        f"would remove directory '{place.shown('tree/gone')}'",
        f"would remove '{place.shown('tree/old')}'",
    ]


def test_nothing_is_removed_where_the_source_cannot_be_read(place: Place) -> None:
    (place.root / "tree").mkdir()
    (place.root / "tree" / "f").write_text("f")
    done = place.ftpfs("sync", "--delete", place.url("nothing"), place.url("tree"))
    assert done.code == 1
    shown = place.shown("nothing")
    assert done.err == f"ftpfs: cannot access '{shown}': No such file or directory\n"
    done = place.ftpfs("sync", "--delete", "nothing", place.url("tree"))
    assert (done.code, done.out) == (1, "")
    assert os.listdir(place.root / "tree") == ["f"]


@pytest.mark.parametrize("command", [["sync"], ["cp", "-r", "-p", "-u"]], ids=" ".join)
def test_what_changed_within_a_minute_is_copied(place: Place, command: list[str]) -> None:
    """LIST tells the minute only."""
    now_s = int(time.time())
    (place.local / "d").mkdir()
    for n in range(45):
        (place.local / "d" / f"[{n}]").write_text("one")
        os.utime(place.local / "d" / f"[{n}]", (now_s - 20, now_s - 20))
    place.good(*command, "d/.", place.url("d"))
    for name in ("[0]", "[44]"):
        (place.local / "d" / name).write_text("two")
        os.utime(place.local / "d" / name, (now_s - 10, now_s - 10))
    said = place.good(*command, "-v", "d/.", place.url("d"))
    assert said.count("' -> '") == 2
    assert tree(place.root / "d") == tree(place.local / "d")
