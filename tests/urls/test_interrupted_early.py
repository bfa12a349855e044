"""Ctrl-C before the work has begun: the process ends by the signal, without a word."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from urls.commands import Done, Place, command_environment

HOLD = """
import os, sys

class Hold:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("HELD_MODULE"):
            open(os.environ["HOLDING"]).read()

sys.meta_path.insert(0, Hold())
"""
"""A sitecustomize: a module is not loaded before the other end of a pipe is closed."""

ECHO_AND_TEXT = 3  # index of the local modes in what tcgetattr gives


def interrupted(place: Place, pipe: Path, env: dict[str, str], *arguments: str) -> Done:
    """How a command ends that gets SIGINT as soon as it reads from the pipe."""
    os.mkfifo(pipe, 0o600)
    with subprocess.Popen(
        ["env", "--default-signal", sys.executable, "-m", "ftpfs", *arguments],
        cwd=place.local,
        env=command_environment(str(place.home), env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            with open(pipe, "w"):  # waits for the reader
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    return Done(process.returncode, out, err)


@pytest.mark.parametrize(
    "module",
    ["click", "ftpfs.cli.cp", "ftpfs.cli.urlcommand", "ftpfs.cli.conduct", "ftpfs.tree.copy"],
)
def test_while_a_module_is_loaded(vs: Place, tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOLD)
    path = f"{tmp_path}:{command_environment(str(vs.home))['PYTHONPATH']}"
    pipe = tmp_path / "pipe"
    env = {"PYTHONPATH": path, "HELD_MODULE": module, "HOLDING": str(pipe)}
    done = interrupted(vs, pipe, env, "cp", vs.url("f"), ".")
    assert done == Done(-signal.SIGINT, "", "")


@pytest.mark.parametrize("command", ["ls", "cat", "rm", "mkdir", "rmdir"])
def test_while_operands_are_looked_at(vs: Place, command: str) -> None:
    done = interrupted(vs, vs.home / ".netrc", {}, command, "ftp://host/")
    assert done == Done(-signal.SIGINT, "", "")


def test_a_mount_says_so(vs: Place) -> None:
    """As mount(8): exit code 8."""
    done = interrupted(vs, vs.home / ".netrc", {}, "mount", "ftp://host/", str(vs.local))
    assert (done.code, done.err.strip()) == (8, "ftpfs: interrupted")


@contextlib.contextmanager
def asked(place: Place) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command that asks for a password, and the user's side of its terminal, which in the end
    shows again what is typed."""
    ours, theirs = pty.openpty()
    on_terminal = ("env", "--default-signal", "setsid", "--ctty")
    process = subprocess.Popen(
        [*on_terminal, sys.executable, "-m", "ftpfs", "ls", place.url().replace(":demo@", "@")],
        env=command_environment(str(place.home)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        said = b""
        while b"Password for demo@127.0.0.1: " not in said:
            said += os.read(ours, 4096)
        assert not termios.tcgetattr(theirs)[ECHO_AND_TEXT] & termios.ECHO
        yield process, ours
        assert termios.tcgetattr(theirs)[ECHO_AND_TEXT] & termios.ECHO
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_at_the_question_for_a_password(vs: Place, key: bytes) -> None:
    with asked(vs) as (process, ours):
        os.write(ours, key)
        assert process.wait(30) == 130
        assert b"ftpfs: interrupted" in os.read(ours, 4096)
