"""Standard input, pipes and devices as the source of cp."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from urls.commands import WAIT_S, Place, command_environment
from waiting import eventually


def ends(place: Place, far: bool, path: str) -> tuple[Path, str, str]:
    """A path on the server or a local one: on the disk, as an operand, and in messages."""
    if far:
        return place.root / path, place.url(path), place.shown(path)
    return place.local / path, path, path


FAR = pytest.mark.parametrize("far", [True, False], ids=["to a server", "to the disk"])


# -- standard input -------------------------------------------------------------------------------


@FAR
def test_what_is_there_is_kept_on_demand(vs: Place, far: bool) -> None:
    path, operand, _ = ends(vs, far, "f")
    assert vs.good("cp", "-n", "-", operand, stdin=b"first") == ""
    assert path.read_text() == "first"
    assert vs.good("cp", "-nv", "-", operand, stdin=b"second") == ""
    assert path.read_text() == "first"


@FAR
@pytest.mark.parametrize("option", ["-u", "-p", "-r", "--checksum", "--continue", "-q"])
def test_what_comes_now_is_newer_than_what_is_there(vs: Place, far: bool, option: str) -> None:
    path, operand, _ = ends(vs, far, "f")
    path.write_text("old")
    vs.good("cp", option, "-", operand, stdin=b"new")
    assert path.read_text() == "new"


@FAR
def test_what_was_copied_is_said_on_demand(vs: Place, far: bool) -> None:
    _, operand, shown = ends(vs, far, "f")
    assert vs.good("cp", "-v", "-", operand, stdin=b"x") == f"'-' -> '{shown}'\n"


@FAR
@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("new/", "cannot create regular file '{}': Not a directory"),
        ("file/", "cannot stat '{}': Not a directory"),
        ("file/new", "cannot "),
        ("nothing/new", "cannot create regular file '{}': No such file or directory"),
        ("dir", "cannot overwrite directory '{}' with non-directory"),
        ("dir/", "cannot overwrite directory '{}' with non-directory"),
    ],
)
def test_what_cannot_become_a_file(vs: Place, far: bool, target: str, says: str) -> None:
    top = vs.root if far else vs.local
    (top / "dir").mkdir()
    (top / "file").write_text("as it is")
    _, operand, shown = ends(vs, far, target)
    done = vs.ftpfs("cp", "-", operand, stdin=b"new")
    assert done.err.startswith("ftpfs: " + says.format(shown))
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert sorted(os.listdir(top)) == ["dir", "file"]
    assert (top / "file").read_text() == "as it is"


def test_a_link_is_written_through(vs: Place) -> None:
    (vs.local / "d").mkdir()
    (vs.local / "d" / "real").touch(0o640)
    (vs.local / "link").symlink_to("d/real")
    (vs.local / "dangling").symlink_to("nothing")
    vs.good("cp", "-", "link", stdin=b"content")
    assert (vs.local / "link").is_symlink()
    assert (vs.local / "d" / "real").read_text() == "content"
    assert (vs.local / "d" / "real").stat().st_mode & 0o777 == 0o640
    done = vs.ftpfs("cp", "-", "dangling", stdin=b"content")
    assert done.err == "ftpfs: not writing through dangling symlink 'dangling'\n"
    assert sorted(os.listdir(vs.local)) == ["d", "dangling", "link"]


def script(place: Place, text: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, in the local directory: $CP is ours, $U the URL of the one on the server."""
    ours = f"{sys.executable} -m ftpfs cp"
    return subprocess.run(
        ["bash", "-c", text],
        cwd=place.local,
        env=command_environment(str(place.home), {"CP": ours, "U": place.url()}),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def test_input_that_cannot_be_read(vs: Place) -> None:
    for target in ("$U/f", "f"):
        done = script(vs, f'$CP - "{target}" 0>/dev/null')
        assert done.stderr == "ftpfs: cannot read '-': Bad file descriptor\n"
        assert done.returncode == 1
    assert os.listdir(vs.root) == os.listdir(vs.local) == []


@FAR
@pytest.mark.parametrize("sent", [b"", b"beginning"], ids=["nothing came", "something came"])
def test_an_interruption_while_nothing_comes_leaves_nothing(
    place: Place, far: bool, sent: bytes
) -> None:
    path, operand, _ = ends(place, far, "f")
    with subprocess.Popen(
        [sys.executable, "-m", "ftpfs", "cp", "-", operand],
        cwd=place.local,
        env=command_environment(str(place.home)),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stdin.write(sent)
            process.stdin.flush()
            eventually(lambda: os.listdir(path.parent), "it has begun")
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        finally:
            process.kill()
        assert process.stderr.read() == b"ftpfs: interrupted\n"
    assert os.listdir(path.parent) == []


# -- pipes and devices ----------------------------------------------------------------------------

MAKES_PIPE = "mkfifo pipe; (sleep 0.3; echo one; sleep 0.3; echo two) > pipe & "


@pytest.mark.parametrize("target", ["$U/f", "f"])
@pytest.mark.parametrize(
    ("line", "content"),
    [
        ("$CP <(echo one) '{}'", "one\n"),
        ("$CP <(sleep 2; echo one) '{}'", "one\n"),
        ("seq 100000 | $CP /dev/stdin '{}'", "".join(f"{n}\n" for n in range(1, 100_001))),
        (MAKES_PIPE + "$CP pipe '{}'", "one\ntwo\n"),
        ("$CP /dev/null '{}'", ""),
        ("echo one | $CP /dev/stdin '{0}'; echo two | $CP -n /dev/stdin '{0}'", "one\n"),
    ],
)
def test_they_are_read(vs: Place, line: str, content: str, target: str) -> None:
    done = script(vs, line.format(target).replace("'", '"'))
    assert (done.returncode, done.stderr) == (0, "")
    assert ((vs.local if target == "f" else vs.root) / "f").read_text() == content


def test_a_directory_takes_them_in(vs: Place) -> None:
    done = script(vs, 'echo file > g; mkdir d; $CP -v /dev/null g "$U"; $CP /dev/null g d')
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == [
        f"'/dev/null' -> '{vs.shown('null')}'",
        f"'g' -> '{vs.shown('g')}'",
    ]
    assert sorted(os.listdir(vs.root)) == sorted(os.listdir(vs.local / "d")) == ["g", "null"]


def test_in_trees_they_are_not_copied(vs: Place) -> None:
    done = script(vs, 'mkdir d; mkfifo d/pipe; $CP -r d "$U"; $CP -r /dev/null "$U"')
    assert done.stderr.splitlines() == [
        "ftpfs: 'd/pipe' is not a regular file: not copied",
        "ftpfs: '/dev/null' is not a regular file: not copied",
    ]
    assert done.returncode == 1


def test_a_socket_cannot_be_opened(vs: Place) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(vs.local / "s"))
        done = vs.ftpfs("cp", "s", vs.url("f"))
    assert done.err == "ftpfs: cannot read 's': No such device or address\n"
    assert done.code == 1
    assert os.listdir(vs.root) == []
