"""The programs that scripts/bench compares, and how each is run.

A program that mounts is mounted for one run, with empty caches; mounting and unmounting are not
timed. To add one, add a line to CLIENTS.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench_base import Place
from bench_commands import collect, run, wait_until

MOUNT_S = 30.0

Start = Callable[[Place], contextlib.AbstractContextManager[int | None]]


@dataclass(frozen=True)
class Client:
    """A program. `kind` says which body of a workload it runs; `start` is a context manager
    around the timed part, and gives the pid of a mount's process; `only` are the names of its
    workloads, where not all."""

    name: str
    kind: str
    start: Start
    version: Sequence[str]
    only: Sequence[str] = ()


def in_venv(program: str) -> str:
    """A program of the private virtual environment, else of the PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), program)
    return beside if os.path.exists(beside) else program


# -- programs -------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_mount(_place: Place) -> Iterator[None]:
    try:
        yield
    finally:
        collect()


def ftpfs_mount(*options: str) -> Start:
    """`ftpfs mount` returns when mounted. Caches and journals go where nothing is yet."""
    kinds = ("CACHE", "CONFIG", "DATA", "STATE")
    words = [word for option in options for word in ("-o", option)]

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[int | None]:
        env = {**os.environ, **{f"XDG_{kind}_HOME": f"{place.caches}/{kind}" for kind in kinds}}
        ftpfs = functools.partial(run, in_venv("ftpfs"), env=env)
        try:
            trust = ("-o", f"tls=explicit,cafile={place.cafile}") if place.cafile else ()
            ftpfs("mount", place.url, place.mount, *words, *trust, wait_s=MOUNT_S)
            yield mount_process(f"{place.caches}/STATE")
            ftpfs("umount", place.mount)
        finally:
            force_unmount(place.mount)
            if pid := mount_process(f"{place.caches}/STATE"):  # unmounting takes the file away
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            collect()

    return start


def mount_process(state: str) -> int | None:
    """As the mount's process says in a file of its own; `state` has at most one."""
    for about in glob.glob(f"{state}/ftpfs/mounts/*.json"):
        with contextlib.suppress(ValueError, KeyError), open(about, encoding="utf-8") as file:
            return int(json.load(file)["pid"])
    return None


def rclone_mount(cache_mode: str) -> Start:
    """As shipped: in mode `full` it begins to send 5 s after a close (--vfs-write-back)."""

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[int | None]:
        env = {**os.environ, "RCLONE_CONFIG": os.path.join(place.caches, "none.conf")}
        argv = [in_venv("rclone"), "mount", rclone_remote(place), place.mount]
        argv += ["--vfs-cache-mode", cache_mode]
        argv += ["--cache-dir", os.path.join(place.caches, "rclone")]
        argv += ["--ca-cert", place.cafile] if place.cafile else []
        log = os.path.join(place.caches, "rclone.log")
        with open(log, "wb") as out:
            process = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        with process:
            try:
                wait_for_mount(process, place.mount, log)
                yield process.pid
            except BaseException:
                process.terminate()
                raise
            finally:
                force_unmount(place.mount)
                end(process)
                collect()

    return start


def rclone_remote(place: Place) -> str:
    """The server, as rclone takes it on a command line; a path may follow."""
    parts = urlsplit(place.url)
    secret = _obscured(parts.password or "")
    remote = f":ftp,host={parts.hostname},port={parts.port},user={parts.username},pass={secret}"
    return f"{remote},explicit_tls=true:" if place.cafile else f"{remote}:"


@functools.cache
def _obscured(password: str) -> str:
    return run(in_venv("rclone"), "obscure", password).strip()


def wait_for_mount(process: subprocess.Popen[bytes], mount: str, log: str) -> None:
    """Raises RuntimeError with what the log says when the process ends instead."""
    wait_until(lambda: is_mount(mount) or process.poll() is not None, MOUNT_S)
    if process.poll() is not None:
        with open(log, encoding="utf-8", errors="replace") as said:
            raise RuntimeError(f"rclone mount: {said.read().strip()[-500:]}")


def is_mount(path: str) -> bool:
    """Asked without touching what is mounted."""
    with open("/proc/self/mounts", encoding="utf-8") as table:
        return any(line.split(" ")[1] == path for line in table)


def force_unmount(mount: str) -> None:
    if is_mount(mount):
        run("fusermount3", "-u", "-z", mount)


def end(process: subprocess.Popen[bytes]) -> None:
    """A mount ends with its unmount; one that does not is told to."""
    for tell in (process.terminate, process.kill):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return
        tell()
    process.wait()


FTPFS_VERSION = (in_venv("ftpfs"), "--version")
RCLONE_VERSION = (in_venv("rclone"), "version")
WRITING = ("write", "write-4k", "appends", "change", "in")

CLIENTS = (
    Client("curl", "curl", no_mount, ("curl", "--version")),
    Client("lftp", "lftp", no_mount, ("lftp", "--version")),
    Client("lftp-4", "lftp-4", no_mount, ("lftp", "--version")),
    Client("rclone", "mount", rclone_mount("full"), RCLONE_VERSION),
    Client("rclone-off", "mount", rclone_mount("off"), RCLONE_VERSION, ("read", *WRITING[:2])),
    Client("rclone-copy", "rclone-copy", no_mount, RCLONE_VERSION),
    Client("ftpfs", "mount", ftpfs_mount(), FTPFS_VERSION),
    Client("ftpfs-wb", "mount", ftpfs_mount("writeback"), FTPFS_VERSION, WRITING),
    Client("ftpfs-url", "ftpfs-url", no_mount, FTPFS_VERSION),
)


@functools.cache
def version(client: Client) -> str | None:
    """The first line a program says of itself; None when it cannot be run."""
    try:
        return run(*client.version, wait_s=MOUNT_S).strip().splitlines()[0]
    except (RuntimeError, OSError, IndexError):
        return None


def vsftpd_version() -> str:
    # It says so on descriptor 0.
    vsftpd = shutil.which("vsftpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    with tempfile.TemporaryFile() as out:
        with contextlib.suppress(OSError):
            subprocess.run(
                [vsftpd or "vsftpd", "-v"], stdin=out, stdout=out, stderr=out, check=False
            )
        out.seek(0)
        return out.read().decode(errors="replace").strip()
