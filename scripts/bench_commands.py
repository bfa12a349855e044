"""The commands that scripts/bench runs, each to its end or to a limit.

A program that hangs in a mount cannot be waited for: its system call ends with the mount, not with
a signal. It is killed, left, and collected once the mount is gone (`collect`).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from bench_base import Place

LIMIT_S = 40.0  # a command that takes longer has failed; the slowest that counts takes 20 s
COLLECT_S = 10.0  # how long a killed one may take to go
POLL_S = 0.005  # how often a write is looked for on the server

_left: list[subprocess.Popen[bytes]] = []


class TooSlow(RuntimeError):  # noqa: N818 - what is said of the program
    """It was not ready within the limit."""


def run(
    *argv: str,
    env: Mapping[str, str] | None = None,
    wait_s: float = LIMIT_S,
    output: str | None = None,
) -> str:
    """Run a command; gives its output and then what it said on stderr.

    With `output` its output goes to that file instead. Raises TooSlow, or RuntimeError with what
    it said.
    """
    # Files, not pipes: a program that goes to the background keeps a pipe open for ever.
    with contextlib.ExitStack() as stack:
        err = stack.enter_context(_file())
        out = stack.enter_context(_file(output))
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=env,
            start_new_session=True,  # so that a shell's children can be killed with it
        )
        if not _waited(process, wait_s):
            raise TooSlow(f"{' '.join(argv[:3])}: still running after {wait_s:.0f} s")
        said = "".join(_text(file) for file in ((err,) if output else (out, err)))
        if process.returncode != 0:
            what = f"{' '.join(argv[:3])}: exit {process.returncode}"
            raise RuntimeError(f"{what}: {said.strip()[-500:]}")
        return said


def _file(path: str | None = None) -> IO[bytes]:
    return open(path, "w+b") if path else tempfile.TemporaryFile()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _waited(process: subprocess.Popen[bytes], wait_s: float) -> bool:
    """Whether it ended within the time; else it is killed, and left if that does not help."""
    try:
        if ended(process, wait_s):
            process.wait()
            return True
    except BaseException:
        _kill(process)
        raise
    _kill(process)
    return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    _left.append(process)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def collect() -> None:
    """Wait for those that were killed, when what they hung in is gone.

    Raises RuntimeError where one stays.
    """
    while _left:
        process = _left.pop()
        if not ended(process, COLLECT_S):
            raise RuntimeError(f"process {process.pid} was killed and does not end")
        process.wait()


def ended(process: subprocess.Popen[bytes], wait_s: float) -> bool:
    """Wait for the end, at most so long.

    Popen.wait with a timeout looks only now and then: short runs came out as 16, 32 or 64 ms.
    """
    descriptor = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(wait_s * 1000))
    finally:
        os.close(descriptor)


def wait_until(true: Callable[[], bool], wait_s: float = LIMIT_S) -> None:
    end_at = time.monotonic() + wait_s
    while not true():
        if time.monotonic() > end_at:
            raise TooSlow(f"still not there after {wait_s:.0f} s")
        time.sleep(POLL_S)


def side_by_side(bodies: Sequence[Callable[[], object]]) -> None:
    """All at once; returns when the last has ended."""
    with ThreadPoolExecutor(len(bodies), thread_name_prefix="side-by-side") as pool:
        for done in [pool.submit(body) for body in bodies]:
            done.result()


# -- the programs as somebody would type them -----------------------------------------------------


def curl(*arguments: str, output: str | None = None) -> str:
    return run("curl", "--silent", "--show-error", *arguments, output=output)


def curl_config(
    place: Place, lines: Sequence[str], *arguments: str, output: str | None = None
) -> None:
    """One curl for many files, over one control connection."""
    config = os.path.join(place.caches, "curl.conf")
    with open(config, "w", encoding="utf-8") as out:
        out.writelines(lines)
    curl("--config", config, *arguments, output=output)


def lftp(place: Place, command: str, wait_s: float = LIMIT_S) -> str:
    said = f"set net:max-retries 1; open {place.url}; {command}"
    return run("lftp", "-c", said, wait_s=wait_s)


def dd(source: str, target: str, block: str, *more: str) -> str:
    """Ends with the number of bytes: `4096 bytes (4.1 kB, 4.0 KiB) copied, ...`."""
    return run("dd", f"if={source}", f"of={target}", f"bs={block}", *more)


def checked(said: str, word: str = "", lines: int = 0) -> None:
    """A command's output must hold `word` and at least so many lines."""
    if word not in said or said.count("\n") < lines:
        raise RuntimeError(f"incomplete: {said.count(chr(10))} lines, {lines} expected")
