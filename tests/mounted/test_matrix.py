"""What people do every day, in a mount of each server in each way that it can be spoken to."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounted.places import Work
from mounted.test_programs import make_tree, read, run, write
from mounts import Mount, mounted
from servers import Server
from servers.matrix import PAIRS, running

pytestmark = [pytest.mark.mounted, pytest.mark.operation("mounted")]

TREE_FILES = 60

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Mount]]:
    """A server and one mount of it."""
    root = str(tmp_path_factory.mktemp("server"))
    kind, mode = request.param
    with running(kind, mode, root) as (server, options), mounted(server.url, *options) as made:
        yield server, made
    shutil.rmtree(root)


@pytest.fixture
def work(pair: tuple[Server, Mount]) -> Iterator[Work]:
    server, mount = pair
    name = f"work-{next(_numbers)}"
    made = Work(f"{mount.path}/{name}", f"{server.root}/{name}", server, mount)
    os.mkdir(made.path)
    yield made
    shutil.rmtree(made.root)


def test_a_tree_goes_in_and_out(work: Work, tmp_path: Path) -> None:
    make_tree(f"{tmp_path}/tree", TREE_FILES)
    run("cp", "-r", f"{tmp_path}/tree", "copy", cwd=work.path)
    assert run("diff", "-r", f"{tmp_path}/tree", f"{work.root}/copy", cwd=work.path) == ""
    assert run("diff", "-r", f"{tmp_path}/tree", "copy", cwd=work.path) == ""
    run("cp", "-r", "copy", f"{tmp_path}/back", cwd=work.path)
    assert run("diff", "-r", f"{tmp_path}/tree", f"{tmp_path}/back", cwd=work.path) == ""
    run("mv", "copy", "moved", cwd=work.path)
    assert len(run("find", "moved", "-type", "f", cwd=work.path).splitlines()) == TREE_FILES
    run("rm", "-r", "moved", cwd=work.path)
    assert os.listdir(work.root) == os.listdir(work.path) == []


def test_a_large_file_goes_in_and_out(work: Work, tmp_path: Path) -> None:
    with open(f"{tmp_path}/large", "wb") as out:
        out.write(os.urandom(20_000_003))
    run("cp", f"{tmp_path}/large", "large", cwd=work.path)
    run("cmp", f"{tmp_path}/large", f"{work.root}/large", cwd=work.path)
    run("cp", "large", f"{tmp_path}/back", cwd=work.path)
    run("cmp", f"{tmp_path}/large", f"{tmp_path}/back", cwd=work.path)
    run("sh", "-c", "head -c 1000 large > head", cwd=work.path)
    assert os.path.getsize(f"{work.root}/head") == 1000


def test_a_file_is_renamed_and_replaced(work: Work) -> None:
    write(f"{work.path}/new", "new content\n")
    write(f"{work.path}/old", "old\n")
    run("mv", "new", "old", cwd=work.path)
    assert os.listdir(work.root) == os.listdir(work.path) == ["old"]
    run("sed", "-i", "s/new/newer/", "old", cwd=work.path)
    assert read(f"{work.root}/old") == read(f"{work.path}/old") == "newer content\n"
    write(f"{work.path}/old", "written over\n")
    assert read(f"{work.root}/old") == read(f"{work.path}/old") == "written over\n"
    assert os.listdir(work.root) == ["old"]


def test_a_file_is_appended_to_and_cut(work: Work) -> None:
    run("sh", "-c", "echo one > log; echo two >> log; echo three >> log", cwd=work.path)
    assert read(f"{work.root}/log") == read(f"{work.path}/log") == "one\ntwo\nthree\n"
    os.truncate(f"{work.path}/log", 4)
    assert read(f"{work.root}/log") == read(f"{work.path}/log") == "one\n"
    os.truncate(f"{work.path}/log", 10)
    assert read(f"{work.root}/log") == "one\n" + 6 * "\0"
    write(f"{work.path}/log", "")
    assert os.path.getsize(f"{work.root}/log") == os.path.getsize(f"{work.path}/log") == 0


def test_times_and_permissions_are_kept(work: Work, tmp_path: Path) -> None:
    write(f"{tmp_path}/script", "#!/bin/sh\necho it runs\n")
    os.chmod(f"{tmp_path}/script", 0o755)
    os.utime(f"{tmp_path}/script", (1_500_000_000, 1_500_000_000))
    run("cp", "-p", f"{tmp_path}/script", "script", cwd=work.path)
    for path in (f"{work.root}/script", f"{work.path}/script"):
        status = os.stat(path)
        assert (status.st_mtime, status.st_mode & 0o777) == (1_500_000_000, 0o755)
    assert run("./script", cwd=work.path) == "it runs\n"
