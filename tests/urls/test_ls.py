"""ftpfs ls beside the ls of coreutils on a local copy."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from urls.commands import Place, coreutils, plant

NOW = int(time.time())


def copied(place: Place) -> Path:
    """A tree on the server, and the same on the local disk."""
    plant(place.root)
    os.utime(place.root / "a.txt", (NOW - 3600, NOW - 3600))
    os.utime(place.root / "ü", (NOW - 200 * 86_400, NOW - 200 * 86_400))
    copy = place.local / "copy"
    shutil.copytree(place.root, copy, copy_function=shutil.copy2)
    for top, _, _ in os.walk(place.root):
        inner = os.path.relpath(top, place.root)
        shutil.copystat(top, copy / inner)
    return copy


def long_lines(text: str) -> list[list[str]]:
    """Mode, size, date and name of each line of `ls -l`."""
    found = []
    for line in text.splitlines():
        if line.startswith("total "):
            continue
        mode, _, _, _, size, *rest = line.split(maxsplit=5)
        date, name = rest[0][:12], rest[0][13:]
        found.append([mode, "" if mode[0] == "d" else size, date, name])
    return found


def test_names_in_the_order_of_ls(place: Place) -> None:
    copy = copied(place)
    assert place.good("ls", place.url()) == coreutils("ls", cwd=copy).out
    assert place.good("ls", "-a", place.url()) == coreutils("ls", "-a", cwd=copy).out


def test_long_lines_are_those_of_a_local_copy(place: Place) -> None:
    copy = copied(place)
    ours = place.good("ls", "-l", place.url())
    assert long_lines(ours) == long_lines(coreutils("ls", "-l", cwd=copy).out)
    assert re.match(r"total \d+\n", ours)
    assert " ? ? ? " in ours  # what FTP does not tell


def test_human_sizes(place: Place) -> None:
    for n, size in enumerate([0, 1023, 1024, 1025, 10_239, 10_240, 10_241, 1_048_575, 1_048_577]):
        (place.root / f"{n}").write_bytes(b"x" * size)
    ours = long_lines(place.good("ls", "-lh", place.url()))
    theirs = long_lines(coreutils("ls", "-lh", cwd=place.root).out)
    assert [line[1] for line in ours] == [line[1] for line in theirs]


def test_recursive(place: Place) -> None:
    copy = copied(place)
    theirs = coreutils("ls", "-R", cwd=copy).out
    ours = place.good("ls", "-R", place.url())
    headings = re.compile(r"(?m)^(.*):$")
    assert [len(block) for block in ours.split("\n\n")] != []
    assert headings.sub("", ours) == headings.sub("", theirs)
    assert [place.shown("one/two/three"), place.shown("empty")] == [
        line.removesuffix(":") for line in ours.splitlines() if line.endswith(("three:", "empty:"))
    ][::-1]


def test_a_file_and_a_directory_as_operands(place: Place) -> None:
    copied(place)
    out = place.good("ls", place.url("empty"), place.url("a.txt"), place.url("one/two/three"))
    files, empty, three = out.split("\n\n")
    assert files == place.shown("a.txt")
    assert empty == place.shown("empty") + ":"
    assert three.startswith(place.shown("one/two/three") + ":\n")


@pytest.mark.parametrize("options", [[], ["-d"], ["-R"]], ids=" ".join)
def test_operands_in_the_order_of_ls(place: Place, options: list[str]) -> None:
    for top in (place.root, place.local):
        for name in ("z1", "a1", "Z2", "ü"):
            (top / name).mkdir()
            (top / name / f"in {name}").touch()
        for name in ("z", "b"):
            (top / name).touch()
    names = ["z1", "a1", "ü", "z", "b", "Z2"]
    ours = place.good("ls", *options, *map(place.url, names))
    assert (
        ours.replace(place.shown() + "/", "")
        == coreutils("ls", *options, *names, cwd=place.local).out
    )


def test_directories_themselves(place: Place) -> None:
    copied(place)
    assert place.good("ls", "-d", place.url("one")) == place.shown("one") + "\n"
    line = place.good("ls", "-ld", place.url("one"))
    assert line.startswith("drwx")
    assert line.endswith(f" {place.shown('one')}\n")


def test_json_has_what_is_known(place: Place) -> None:
    copied(place)
    found = {each["name"]: each for each in json.loads(place.good("ls", "--json", place.url()))}
    assert found["a.txt"]["size"] == (place.root / "a.txt").stat().st_size
    assert found["a.txt"]["type"] == "file"
    assert found["a.txt"]["url"] == place.shown("a.txt")
    assert found["one"]["type"] == "directory"
    assert found["with blank"]["url"] == place.shown("with%20blank")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["a.txt"]["mtime"])
    assert ".hidden" not in found


def test_an_empty_directory_is_an_empty_array(place: Place) -> None:
    assert json.loads(place.good("ls", "--json", place.url())) == []
    assert place.good("ls", place.url()) == ""
    assert place.good("ls", "-l", place.url()) == "total 0\n"


def test_names_that_are_not_utf8_come_out_as_they_are(vs: Place) -> None:
    os.mkdir(os.fsencode(vs.root) + b"/d\xff")
    Path(os.fsdecode(os.fsencode(vs.root) + b"/d\xff/x\xe4y")).touch()
    assert vs.good("ls", vs.url()) == "d\udcff\n"
    assert vs.good("ls", vs.url("d%FF")) == "x\udce4y\n"


def test_links_are_shown_as_links_where_the_server_does(vs: Place) -> None:
    (vs.root / "dir").mkdir()
    (vs.root / "dir" / "inner").touch()
    (vs.root / "link").symlink_to("dir")
    assert vs.good("ls", "-l", vs.url()).splitlines()[2].endswith(" link -> dir")
    assert vs.good("ls", vs.url("link")) == "inner\n"


def test_a_quoted_pattern_is_expanded(place: Place) -> None:
    copied(place)
    assert place.good("ls", place.url("*.txt")) == place.shown("a.txt") + "\n"
    out = place.good("ls", "-d", place.url("one/t*/thr??/[b-w]*"))
    expected = [place.shown("one/two/three/" + name) for name in ("quo%27te%22s", "with%20blank")]
    assert out.splitlines() == expected


def test_a_pattern_that_nothing_fits_stands_for_itself(place: Place) -> None:
    done = place.ftpfs("ls", place.url("*.nothing"))
    assert done.code == 1
    shown = place.shown("*.nothing")
    assert done.err == f"ftpfs: cannot access '{shown}': No such file or directory\n"


@pytest.mark.parametrize("encoded", ["%5Bbrackets%5D%2A%3F", "%5bbrackets]%2a%3f"])
def test_an_encoded_star_is_a_star(place: Place, encoded: str) -> None:
    copied(place)
    (place.root / "[brackets]xy").touch()
    assert len(place.good("ls", place.url(encoded)).splitlines()) == 1


def test_the_login_directory_and_the_root(place: Place) -> None:
    (place.root / "x").touch()
    assert place.name in place.good("ls", place.server.url).splitlines()
    absolute = f"{place.server.url}/{place.name}"
    assert place.good("ls", absolute) == "x\n"
