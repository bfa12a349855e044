"""scripts/bench: programs that fail, hang or run side by side, and the files they work on."""

from __future__ import annotations

import dataclasses
import functools
import os
import select
from collections.abc import Iterator
from pathlib import Path

import bench_commands
import pytest
from bench_base import Place, make_file, make_files


@pytest.fixture
def collected() -> Iterator[None]:
    yield
    bench_commands.collect()


def test_a_command_gives_its_output_and_what_it_said() -> None:
    assert bench_commands.run("sh", "-c", "echo said >&2; echo out") == "out\nsaid\n"


def test_the_output_may_go_to_a_file(tmp_path: Path) -> None:
    said = bench_commands.run("sh", "-c", "echo said >&2; echo out", output=f"{tmp_path}/out")
    assert (said, (tmp_path / "out").read_text()) == ("said\n", "out\n")


def test_a_failure_tells_what_the_command_said() -> None:
    with pytest.raises(RuntimeError, match="exit 3: no such luck"):
        bench_commands.run("sh", "-c", "echo no such luck >&2; exit 3")


@pytest.mark.usefixtures("collected")
def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    pipe = f"{tmp_path}/alive"
    os.mkfifo(pipe)
    alive = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(bench_commands.TooSlow):
            bench_commands.run("sh", "-c", f"exec >{pipe}; sleep 600 & echo; wait", wait_s=0.5)
        bench_commands.collect()
        assert os.read(alive, 10) == b"\n"
        end = select.poll()  # comes when the last who has the pipe open is gone
        end.register(alive)
        assert end.poll(20_000) == [(alive, select.POLLHUP)]
    finally:
        os.close(alive)


def test_side_by_side_all_run_at_once(tmp_path: Path) -> None:
    """Each waits for the other: a pipe opens when both ends do."""
    pipe = f"{tmp_path}/pipe"
    os.mkfifo(pipe)
    ends = [f"exec <{pipe}", f"exec >{pipe}"]
    bench_commands.side_by_side(
        [functools.partial(bench_commands.run, "sh", "-c", end, wait_s=20) for end in ends]
    )


def test_a_failure_side_by_side_is_told() -> None:
    with pytest.raises(RuntimeError, match="exit 1"):
        bench_commands.side_by_side([lambda: bench_commands.run("false"), lambda: None])


def test_files_have_their_sizes_and_holes(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    names = make_files(str(folder), 4, (4096, 8192), filled=1024)
    contents = [(folder / name).read_bytes() for name in names]
    assert [len(content) for content in contents] == [4096, 5120, 6144, 7168]
    assert all(any(content[:1024]) and not any(content[1024:]) for content in contents)
    assert len({content[:1024] for content in contents}) == 4


def test_a_file_of_the_right_size_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"here already")
    make_file(str(path), 12)
    assert path.read_bytes() == b"here already"
    make_file(str(path), 13)
    assert len(path.read_bytes()) == 13


def test_sizes_shrink_with_the_scale_and_with_a_delay() -> None:
    place = Place("", "", "", "", "", scale=0.5)
    far = dataclasses.replace(place, rtt_ms=20)
    assert (place.size(4, 2), far.size(4, 2)) == (2 << 20, 1 << 20)
    assert (place.count(100, 10), far.count(100, 10), far.count(1)) == (50, 5, 1)
