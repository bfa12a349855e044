"""Connections that break, commands that are killed, and what is right in the end all the same."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from urls.commands import Place, command_environment, tree
from urls.faults import Faults, faulty
from urls.netsim_lines import slow_line
from waiting import eventually

from ftpfs.tree.local import LocalPlace
from ftpfs.tree.part import own_name, part_name
from ftpfs.tree.place import Spot
from ftpfs.tree.stage import Stage, StoppedError
from ftpfs.tree.streams import pour_in

MIB = 1 << 20


@contextlib.contextmanager
def started(
    place: Place, *arguments: str, prefix: Sequence[str] = ("env", "--default-signal")
) -> Iterator[subprocess.Popen[bytes]]:
    """A command, running, that ignores no signal; killed at the end, if it still runs."""
    with subprocess.Popen(
        [*prefix, sys.executable, "-m", "ftpfs", *arguments],
        cwd=place.local,
        env=command_environment(str(place.home)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, err = process.communicate(timeout=30)
    return process.returncode, err.decode()


def random_cuts(seed: int, number: int, most: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(1, most) for _ in range(number)]


# -- cut, and gone on with ------------------------------------------------------------------------


@pytest.mark.parametrize("control", [True, False], ids=["both connections", "data connection"])
@pytest.mark.parametrize("options", [["-j1"], ["-j4"]], ids=" ".join)
def test_a_download_cut_ten_times_is_right(place: Place, control: bool, options: list[str]) -> None:
    content = os.urandom(24 * MIB)
    (place.root / "f").write_bytes(content)
    faults = Faults(random_cuts(1, 10, 2 * MIB), control)
    with faulty(place.server, faults) as url:
        place.good("cp", *options, f"{url}{place.name}/f", "f")
    assert faults.done == 10
    assert (place.local / "f").read_bytes() == content
    assert os.listdir(place.local) == ["f"]


@pytest.mark.parametrize("control", [True, False], ids=["both connections", "data connection"])
def test_an_upload_cut_ten_times_is_right(place: Place, control: bool) -> None:
    content = os.urandom(24 * MIB)
    (place.local / "f").write_bytes(content)
    faults = Faults(random_cuts(2, 10, 2 * MIB), control)
    with faulty(place.server, faults) as url:
        place.good("cp", "f", f"{url}{place.name}/f")
    assert faults.done == 10
    assert (place.root / "f").read_bytes() == content
    assert os.listdir(place.root) == ["f"]


@pytest.mark.parametrize("control", [True, False], ids=["both connections", "data connection"])
def test_small_files_cut_ten_times_are_right(place: Place, control: bool) -> None:
    rng = random.Random(3)
    for side in (place.root, place.local):
        (side / "d").mkdir()
        for n in range(60):
            (side / "d" / f"{n}").write_bytes(rng.randbytes(rng.randrange(20_000)))
    ways = [("{}/d", "out"), ("d", "{}/in")]
    if not control and place.server.name == "pyftpdlib":
        # It says nothing for 30 s when a data connection is reset before it has accepted it.
        ways = ways[:1]
    for source, target in ways:
        faults = Faults(random_cuts(4, 10, 50_000), control)
        with faulty(place.server, faults) as url:
            top = f"{url}{place.name}"
            place.good("cp", "-r", source.format(top), target.format(top))
        assert faults.done == 10
    assert tree(place.local / "out") == tree(place.root / "d")
    if len(ways) == 2:
        assert tree(place.root / "in") == tree(place.local / "d")


def test_small_files_from_a_server_whose_processes_end_now_and_then(vs: Place) -> None:
    for n in range(60):
        (vs.local / "d").mkdir(exist_ok=True)
        (vs.local / "d" / f"{n}").write_bytes(os.urandom(5000))
    faults = Faults(oops=20)
    with faulty(vs.server, faults) as url:
        vs.good("cp", "-r", "d", f"{url}{vs.name}/in")
        vs.good("cp", "-r", f"{url}{vs.name}/in", "out")
    assert faults.ports >= 120
    assert tree(vs.local / "out") == tree(vs.root / "in") == tree(vs.local / "d")


def test_from_server_to_server_cut_ten_times(place: Place, vs: Place) -> None:
    content = os.urandom(24 * MIB)
    (place.root / "f").write_bytes(content)
    faults = Faults(random_cuts(5, 10, 2 * MIB))
    with faulty(place.server, faults) as url:
        place.good("cp", f"{url}{place.name}/f", vs.url("f"))
    assert faults.done == 10
    assert (vs.root / "f").read_bytes() == content


def test_a_server_that_does_not_come_back(vs: Place) -> None:
    for name in ("a", "b"):
        (vs.root / name).write_bytes(os.urandom(100_000))
    faults = Faults([10] * 1000)
    with faulty(vs.server, faults) as url:
        top = f"{url}{vs.name}"
        shown = top.replace(":demo@", "@")
        done = vs.ftpfs("cp", f"{top}/a", f"{top}/b", ".")
    assert done.code == 1
    for name, line in zip("ab", sorted(done.err.splitlines()), strict=True):
        assert line.startswith(f"ftpfs: cannot copy '{shown}/{name}': ")
        assert "onnection" in line  # lost, or reset while it was opened
    assert os.listdir(vs.local) == []


# -- killed, and gone on with by --continue -------------------------------------------------------


def killed_when(place: Place, true: Callable[[], object], *arguments: str) -> None:
    with started(place, *arguments) as process:
        eventually(lambda: process.poll() is not None or true(), "a part is there")
        assert process.poll() is None, ended(process)


def parts(top: Path) -> list[Path]:
    return [path for path in top.iterdir() if path.name.endswith(".part")]


def written(top: Path, size: int) -> bool:
    return any(part.stat().st_blocks * 512 > size for part in parts(top))


def test_an_upload_that_was_killed_goes_on(place: Place) -> None:
    content = os.urandom(24 * MIB)
    (place.local / "f").write_bytes(content)
    faults = Faults(stall_after=12 * MIB)
    with faulty(place.server, faults) as url:
        target = f"{url}{place.name}/f"
        killed_when(place, lambda: written(place.root, 8 * MIB), "cp", "f", target)
    assert not (place.root / "f").exists()
    assert len(parts(place.root)) == 1
    counting = Faults()
    with faulty(place.server, counting) as url:
        place.good("cp", "--continue", "f", f"{url}{place.name}/f")
    assert (place.root / "f").read_bytes() == content
    assert counting.moved < 20 * MIB
    assert os.listdir(place.root) == ["f"]


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_a_private_directory_is_closed_to_others_from_the_start(place: Place, up: bool) -> None:
    """And stays so when the copy is broken off."""
    source, target = (place.local, place.root) if up else (place.root, place.local)
    (source / "private").mkdir(mode=0o700)
    (source / "private" / "f").write_bytes(bytes(MIB))
    faults = Faults(stall_after=MIB // 4)  # behind the listings
    with faulty(place.server, faults) as url:
        top = f"{url}{place.name}"
        ends = ["private", top] if up else [f"{top}/private", "."]
        with started(place, "cp", "-r", *ends) as process:
            eventually(lambda: faults.moved > MIB // 4, "a file is being copied")
            assert (target / "private").stat().st_mode & 0o777 == 0o700
            process.kill()


def test_two_uploads_of_one_file_do_not_write_into_each_other(place: Place) -> None:
    """The second one begins while the first is under way, and is killed before that goes on."""
    content = os.urandom(24 * MIB)
    (place.local / "f").write_bytes(content)
    first, second = Faults(stall_after=12 * MIB), Faults(stall_after=4 * MIB)
    with (
        faulty(place.server, first) as url,
        faulty(place.server, second) as other,
        started(place, "cp", "f", f"{url}{place.name}/f") as process,
    ):
        eventually(lambda: written(place.root, 8 * MIB), "the first is under way")
        killed_when(place, lambda: second.moved > 4 * MIB, "cp", "f", f"{other}{place.name}/f")
        first.stall_after = None
        assert ended(process) == (0, "")
    assert (place.root / "f").read_bytes() == content
    assert len(parts(place.root)) == 1


def test_of_several_parts_the_largest_that_fits_is_gone_on_with(place: Place) -> None:
    """One has the name that it would have on the local disk."""
    content = os.urandom(24 * MIB)
    (place.local / "f").write_bytes(content)
    plain = part_name(str(place.root / "f"), 24 * MIB, (place.local / "f").stat().st_mtime_ns)
    wrong = Path(own_name(plain))
    wrong.write_bytes(os.urandom(20 * MIB))
    Path(own_name(plain)).write_bytes(content[: 16 * MIB])
    Path(plain).write_bytes(content[: 8 * MIB])
    for most in (16, 24):
        counting = Faults()
        with faulty(place.server, counting) as url:
            place.good("cp", "--continue", "f", f"{url}{place.name}/f")
        assert (place.root / "f").read_bytes() == content
        # What is compared is cut off, with up to a MB or two under way each time.
        assert counting.moved < most * MIB
        (place.root / "f").unlink()
    assert list(place.root.iterdir()) == [wrong]


def test_a_download_that_was_interrupted_goes_on(place: Place) -> None:
    content = os.urandom(40 * MIB)
    (place.root / "f").write_bytes(content)
    faults = Faults(stall_after=20 * MIB)
    with (
        faulty(place.server, faults) as url,
        started(place, "cp", f"{url}{place.name}/f", "f") as process,
    ):
        eventually(lambda: written(place.local, 16 * MIB), "nearly half of it has come")
        process.send_signal(signal.SIGINT)
        code, err = ended(process)
    assert code == 130
    assert "interrupted" in err
    assert not (place.local / "f").exists()
    assert len(parts(place.local)) == 1
    counting = Faults()
    with faulty(place.server, counting) as url:
        place.good("cp", "--continue", f"{url}{place.name}/f", "f")
    assert (place.local / "f").read_bytes() == content
    # A range that ends within the file is cut off, with up to a MB or two under way each time.
    assert counting.moved < 32 * MIB
    assert os.listdir(place.local) == ["f"]


@pytest.mark.parametrize("seconds_newer", [0, 10])
def test_what_another_program_left_is_gone_on_with(place: Place, seconds_newer: int) -> None:
    """A shorter file under the final name, not older than its source, with the same bytes."""
    content = os.urandom(40 * MIB)
    now = time.time() - 1000
    for whole, part in ((place.root, place.local), (place.local, place.root)):
        (whole / "f").write_bytes(content)
        (part / "f").write_bytes(content[: 20 * MIB])
        os.utime(whole / "f", (now, now))
        os.utime(part / "f", (now + 120 * seconds_newer, now + 120 * seconds_newer))
        counting = Faults()
        with faulty(place.server, counting) as url:
            top = f"{url}{place.name}"
            operands = [f"{top}/f", "f"] if whole is place.root else ["f", f"{top}/f"]
            place.good("cp", "--continue", *operands)
        assert (part / "f").read_bytes() == content
        # What is compared is cut off, with up to a MB or two under way each time.
        assert counting.moved < 32 * MIB
        (place.root / "f").unlink()
        (place.local / "f").unlink()


@pytest.mark.parametrize("difference", ["older", "other bytes"])
def test_what_is_no_beginning_is_not_gone_on_with(place: Place, difference: str) -> None:
    content = os.urandom(9 * MIB)
    now = time.time() - 1000
    for whole, part in ((place.root, place.local), (place.local, place.root)):
        (whole / "f").write_bytes(content)
        old = content[: 5 * MIB] if difference == "older" else os.urandom(5 * MIB)
        (part / "f").write_bytes(old)
        os.utime(whole / "f", (now, now))
        seconds = now - 100_000 if difference == "older" else now + 500
        os.utime(part / "f", (seconds, seconds))
        operands = [place.url("f"), "f"] if whole is place.root else ["f", place.url("f")]
        place.good("cp", "--continue", *operands)
        assert (part / "f").read_bytes() == content
        (place.root / "f").unlink()
        (place.local / "f").unlink()


def test_a_part_of_another_version_is_not_gone_on_with(place: Place) -> None:
    (place.local / "f").write_bytes(os.urandom(24 * MIB))
    with faulty(place.server, Faults(stall_after=12 * MIB)) as url:
        target = f"{url}{place.name}/f"
        killed_when(place, lambda: written(place.root, 8 * MIB), "cp", "f", target)
    content = os.urandom(24 * MIB)
    (place.local / "f").write_bytes(content)
    place.good("cp", "--continue", "f", place.url("f"))
    assert (place.root / "f").read_bytes() == content


# -- interrupted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
def test_an_interruption_leaves_nothing_half_done(
    place: Place, number: signal.Signals, down: bool
) -> None:
    source, target = (place.root, place.local) if down else (place.local, place.root)
    plant_many(source / "d")
    operands = [place.url("d"), "d"] if down else ["d", place.url("d")]
    with started(place, "cp", "-r", *operands) as process:
        eventually(lambda: len(list(target.glob("d/*"))) > 20, "some files are there")
        process.send_signal(number)
        code, err = ended(process)
    assert code == 128 + number
    assert "of 3000 files copied" in err
    assert_some_are_whole(target / "d")


def plant_many(top: Path) -> None:
    top.mkdir()
    for n in range(3000):
        (top / f"{n:04}").write_bytes(b"%04d" % n * 500)


def assert_some_are_whole(top: Path) -> None:
    """Of the many, no file is there in part."""
    there = sorted(top.iterdir())
    assert 20 < len(there) < 3000
    assert not {p.name for p in there if p.read_bytes() != p.name.encode() * 500}


def test_nohup(vs: Place) -> None:
    plant_many(vs.local / "d")
    with started(vs, "cp", "-r", "d", vs.url("d"), prefix=["nohup"]) as process:
        eventually(lambda: len(list(vs.root.glob("d/*"))) > 20, "some files are there")
        process.send_signal(signal.SIGHUP)
        assert ended(process) == (0, "")
    assert tree(vs.root / "d") == tree(vs.local / "d")


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
def test_a_terminal_that_is_closed_leaves_nothing_half_done(vs: Place, down: bool) -> None:
    """Nothing can be drawn or said on it any more, and its shell passes the signal on once more."""
    source, target = (vs.root, vs.local) if down else (vs.local, vs.root)
    plant_many(source / "d")
    ours, theirs = pty.openpty()
    with slow_line(vs.server, 4 * MIB) as url:
        operands = [f"{url}{vs.name}/d", "d"] if down else ["d", f"{url}{vs.name}/d"]
        on_terminal = ("env", "--default-signal", "setsid", "--ctty")
        process = subprocess.Popen(
            [*on_terminal, sys.executable, "-m", "ftpfs", "cp", "-rv", *operands],
            cwd=vs.local,
            env=command_environment(str(vs.home), {"TERM": "xterm"}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        try:
            drawn = b""
            while b"/3000 files" not in drawn:
                drawn += os.read(ours, 65536)
            eventually(lambda: len(list(target.glob("d/*"))) > 20, "some files are there")
            os.close(ours)
            process.send_signal(signal.SIGHUP)
            code = process.wait(30)
        finally:
            process.kill()
            process.wait()
    assert code == 128 + signal.SIGHUP
    assert_some_are_whole(target / "d")


def test_a_server_that_says_nothing_does_not_hold_us(place: Place) -> None:
    (place.root / "f").write_bytes(os.urandom(9 * MIB))
    with (
        faulty(place.server, Faults(stall_after=MIB)) as url,
        started(place, "cp", f"{url}{place.name}/f", "f") as process,
    ):
        eventually(lambda: parts(place.local), "it has begun")
        process.send_signal(signal.SIGINT)
        code, _ = ended(process)
    assert code == 130
    assert not (place.local / "f").exists()


def test_a_file_that_changes_while_it_is_copied_is_not_mixed(place: Place) -> None:
    """Its size and time are asked for before the first byte and behind the last."""
    (place.root / "f").write_bytes(bytes(9 * MIB))
    begun: list[bool] = []

    def older_at_first(reply: bytes) -> bytes:
        if reply.startswith((b"125", b"150")):
            begun.append(True)
        return reply if begun else re.sub(rb"(?m)^213 2\d{13}", b"213 20200101000000", reply)

    with faulty(place.server, Faults(reply=older_at_first)) as url:
        done = place.ftpfs("cp", f"{url}{place.name}/f", "f")
    assert done.code == 1
    assert "was changed while it was copied" in done.err
    assert len(done.err.splitlines()) == 1
    assert os.listdir(place.local) == []


def sizes(top: Path) -> list[int]:
    """Of the files that are not empty."""
    return [size for path in top.glob("*") if (size := path.stat().st_size)]


def test_small_files_that_take_long_are_not_left_in_part(place: Place) -> None:
    """The connection is cut when they do not end by themselves."""
    (place.local / "d").mkdir()
    for n in range(3):
        (place.local / "d" / f"{n}").write_bytes(os.urandom(250_000))
    with (
        faulty(place.server, Faults(stall_after=100_000)) as url,
        started(place, "cp", "-r", "d", f"{url}{place.name}/d") as process,
    ):
        eventually(lambda: sizes(place.root / "d"), "a part is there")
        process.send_signal(signal.SIGINT)
        code, err = ended(process)
    assert code == 130
    assert "0 of 3 files copied" in err
    assert os.listdir(place.root / "d") == []


def test_what_an_interrupted_pipe_gave_is_not_taken_for_all(vs: Place) -> None:
    """Ctrl-C reaches both sides of a pipe: the reader sees the end of what it reads."""

    def read(buffer: memoryview) -> int:
        stage.stop()
        return 0

    stage = Stage(lambda event: None)
    with pytest.raises(StoppedError):
        pour_in(read, Spot(LocalPlace(), str(vs.local / "f"), "f"), None, stage)
    assert os.listdir(vs.local) == []


def test_an_interrupted_pipe_is_not_sent_as_all(vs: Place) -> None:
    pipe = f"(echo beginning; exec sleep 60) | '{sys.executable}' -m ftpfs cp - '{vs.url('f')}'"
    with subprocess.Popen(
        ["sh", "-c", pipe],
        env=command_environment(str(vs.home)),
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        eventually(lambda: os.listdir(vs.root), "it has begun")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert os.listdir(vs.root) == []


def test_a_part_that_was_gone_on_with_is_not_to_be_removed(place: Place) -> None:
    """It was there when `sync --delete` looked what only the target has."""
    (place.root / "d").mkdir()
    (place.root / "d" / "f").write_bytes(os.urandom(24 * MIB))
    (place.local / "d").mkdir()
    with faulty(place.server, Faults(stall_after=12 * MIB)) as url:
        source = f"{url}{place.name}/d"
        with started(place, "sync", "-j1", source, "d") as process:
            eventually(lambda: written(place.local / "d", 8 * MIB), "a part is there")
            process.send_signal(signal.SIGINT)
            ended(process)
    assert parts(place.local / "d")
    assert "removed 0" in place.good("sync", "--delete", place.url("d"), "d")
    assert os.listdir(place.local / "d") == ["f"]


@pytest.mark.parametrize("arguments", [["ls"], ["rm"], ["cp", "f"]], ids=" ".join)
def test_an_interruption_does_not_wait_for_a_server_that_says_nothing(
    vs: Place, arguments: list[str]
) -> None:
    (vs.local / "f").touch()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with started(vs, *arguments, f"ftp://127.0.0.1:{port}/f") as process:
            accepted, _ = silent.accept()
            with accepted:
                process.send_signal(signal.SIGINT)
                code, err = ended(process)
    assert code == 130
    assert err == "ftpfs: interrupted\n"


def test_warnings_are_lines_like_all_others(vs: Place) -> None:
    (vs.root / "d").mkdir()
    cut = b"226 Output truncated to 1 matches"
    faults = Faults(reply=lambda replies: replies.replace(b"226 Directory send OK", cut))
    with faulty(vs.server, faults) as url:
        done = vs.ftpfs("ls", f"{url}{vs.name}/d")
    assert all(line.startswith("ftpfs: ") for line in done.err.splitlines()), done.err
