"""What only a terminal sees: progress, colours, columns; and what a shell completes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from urls.commands import WAIT_S, Place, command_environment
from urls.netsim_lines import slow_line

MIB = 1 << 20
COLUMNS = 100


def on_terminal(
    place: Place,
    *arguments: str,
    env: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
    code: int = 0,
) -> str:
    """What a command says on a terminal, to its end, which must be the one expected."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "ftpfs", *arguments],
        cwd=place.local,
        env=command_environment(str(place.home), {"TERM": "xterm", **(env or {})}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        said = _read_to_end(ours)
        assert process.wait(WAIT_S) == code, said
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return said


def _read_to_end(terminal: int) -> str:
    deadline, said = time.monotonic() + WAIT_S, b""
    while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # nobody has the other end any more
            break
        said += chunk
    return said.decode("utf-8", "replace").replace("\r\n", "\n")


# -- progress -------------------------------------------------------------------------------------


@pytest.mark.parametrize("down", [True, False], ids=["down", "up"])
def test_each_file_and_the_total_have_a_line(vs: Place, down: bool) -> None:
    size = 3 * MIB if down else 24 * MIB  # of the latter, sockets hold a lot
    for name in ("one", "two"):
        ((vs.root if down else vs.local) / name).write_bytes(bytes(size))
    with slow_line(vs.server, size / 1.5) as url:
        urls = [f"{url}{vs.name}/{name}" for name in ("one", "two")]
        paths = [*urls, "."] if down else ["one", "two", f"{url}{vs.name}"]
        said = on_terminal(vs, "cp", "-j", "2", *paths)
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
    for name in ("0/2 files", "one", "two"):  # with rate and time left
        assert re.search(rf"{name} .* [0-9.]+ MB/s 0:00:0[0-9]", drawn)
    assert said.endswith("\x1b[1A\x1b[2K")  # all of it is wiped off


@pytest.mark.parametrize("arguments", [["--quiet"], []], ids=["quiet", "over at once"])
def test_no_progress(vs: Place, arguments: list[str]) -> None:
    (vs.root / "f").write_bytes(bytes(3 * MIB if arguments else 10))
    with slow_line(vs.server, 2 * MIB) as url:
        said = on_terminal(vs, "cp", *arguments, f"{url}{vs.name}/f", "f")
    assert said == ""


def test_progress_without_a_standard_output(vs: Place) -> None:
    (vs.root / "f").write_bytes(bytes(3 * MIB))
    closed = ("sh", "-c", 'exec "$@" >&-', "sh")
    with slow_line(vs.server, 2 * MIB) as url:
        said = on_terminal(vs, "cp", "-v", f"{url}{vs.name}/f", "f", prefix=closed, code=1)
    assert "1/1 files" in said
    assert said.endswith("ftpfs: write error: standard output is closed\n")


# -- ls -------------------------------------------------------------------------------------------


def test_names_are_in_columns_and_coloured(vs: Place) -> None:
    for n in range(30):
        (vs.root / f"file{n:02}").write_bytes(b"")
    (vs.root / "dir").mkdir()
    said = on_terminal(vs, "ls", vs.url(), env={"LS_COLORS": "di=01;35"})
    assert "\x1b[01;35mdir\x1b[0m" in said
    lines = said.splitlines()
    assert len(lines) < 10
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= COLUMNS for line in lines)
    assert re.findall(r"file\d\d", said) != sorted(re.findall(r"file\d\d", said))  # downwards
    assert on_terminal(vs, "ls", "-1", vs.url(), env={"NO_COLOR": "1"}).splitlines() == sorted(
        os.listdir(vs.root)
    )


# -- completion -----------------------------------------------------------------------------------


def completed(shell: str, words: str, home: Path) -> list[str]:
    """What a shell is told of the last of these words."""
    count = len(words.split(" ")) - 1
    last = words.split(" ")[-1]
    env = {"_FTPFS_COMPLETE": f"{shell}_complete", "COMP_WORDS": words}
    env["COMP_CWORD"] = last if shell == "fish" else str(count)
    done = subprocess.run(
        [Path(sys.executable).parent / "ftpfs"],
        env={**command_environment(str(home)), **env},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options_are_completed(shell: str, tmp_path: Path) -> None:
    commands = "\n".join(completed(shell, "ftpfs c", tmp_path))
    assert {"cat", "cp", "completion"} <= set(re.findall(r"\w+", commands))
    options = "\n".join(completed(shell, "ftpfs cp --ch", tmp_path))
    assert "--checksum" in options
    assert "file" in "\n".join(completed(shell, "ftpfs cp /et", tmp_path))  # the shell's own


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(shell: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ftpfs", "completion", shell],
        env=command_environment(str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert f"_FTPFS_COMPLETE={shell}_complete" in done.stdout
    assert done.stderr == ""


def test_bash_takes_its_script(tmp_path: Path) -> None:
    script = (
        'source <("$1" -m ftpfs completion bash); COMP_WORDS=(ftpfs rmd); COMP_CWORD=1;'
        ' _ftpfs_completion ftpfs; echo "${COMPREPLY[@]}"'
    )
    folder = str(Path(sys.executable).parent)
    env = command_environment(str(tmp_path))
    done = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable],
        env={**env, "PATH": f"{folder}:{env['PATH']}"},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert done.stdout == "rmdir\n"


def test_zsh_completes_when_a_word_is_typed(tmp_path: Path) -> None:
    _install(tmp_path / "_ftpfs", "zsh", tmp_path)
    setup = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D; echo rea''dy\n"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["zsh", "-f", "-i"],
        env={**_with_ftpfs(tmp_path), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        os.write(ours, setup.encode())
        _read_until(ours, "ready")
        os.write(ours, b"ftpfs rmd\t")
        _read_until(ours, "ftpfs rmdir ")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_fish_completes_a_word(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "fish" / "completions"
    folder.mkdir(parents=True)
    _install(folder / "ftpfs.fish", "fish", tmp_path)
    done = subprocess.run(
        ["fish", "-c", 'complete -C "ftpfs rmd"'],
        env={**_with_ftpfs(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert done.stdout.startswith("rmdir\t")


def _with_ftpfs(home: Path) -> dict[str, str]:
    env = command_environment(str(home))
    return {**env, "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}


def _install(place: Path, shell: str, home: Path) -> None:
    with open(place, "w") as script:
        subprocess.run(
            [sys.executable, "-m", "ftpfs", "completion", shell],
            env=command_environment(str(home)),
            stdout=script,
            timeout=WAIT_S,
            check=True,
        )


def _read_until(terminal: int, text: str) -> None:
    deadline, said = time.monotonic() + WAIT_S, ""
    while text not in said:
        left_s = max(0, deadline - time.monotonic())
        assert select.select([terminal], [], [], left_s)[0], f"no {text!r} in {said!r}"
        said += os.read(terminal, 65536).decode("utf-8", "replace")
