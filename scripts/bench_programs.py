"""The programs that scripts/bench compares, and how each is run.

A program that mounts is mounted for one run, with empty caches; mounting and unmounting are not
timed. To add one, add a line to CLIENTS.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

MB = 1 << 20
STEP_S = 150.0  # a single command that takes longer has failed
MOUNT_S = 30.0
POLL_S = 0.005  # how often a write is looked for on the server


@dataclass(frozen=True)
class Place:
    """Where one run works. All are directories on this machine but `url`."""

    url: str  # of the server, as the programs reach it; ends in /
    server: str  # its root
    local: str  # sources and copies
    caches: str  # empty at the start of each run
    mount: str
    scale: float
    rtt_ms: int = 0

    def size(self, near: float, far: float | None = None) -> int:
        """Bytes, from MiB on a network without and with a delay; whole pages."""
        return max(int(self._chosen(near, far) * MB * self.scale) // 4096, 1) * 4096

    def count(self, near: int, far: int | None = None) -> int:
        return max(int(self._chosen(near, far) * self.scale), 1)

    def _chosen(self, near: float, far: float | None) -> float:
        return far if far is not None and self.rtt_ms else near

    def path(self, name: str) -> str:
        return os.path.join(self.mount, name)


Start = Callable[[Place], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Client:
    """A program. `kind` says which body of a workload it runs; `start` is a context manager
    around the timed part; `only` are the names of its workloads, where not all."""

    name: str
    kind: str
    start: Start
    version: Sequence[str]
    only: Sequence[str] = ()


# -- commands -------------------------------------------------------------------------------------


def run(*argv: str, env: Mapping[str, str] | None = None, wait_s: float = STEP_S) -> str:
    """Run a command, give its standard output. Raises RuntimeError with what it said."""
    # Files, not pipes: a program that goes to the background keeps a pipe open for ever.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env
        ) as process:
            if not ended(process, wait_s):
                process.kill()
                raise RuntimeError(f"{' '.join(argv[:3])}: still running after {wait_s:.0f} s")
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            said = err.read().decode(errors="replace").strip()
            raise RuntimeError(f"{' '.join(argv[:3])}: exit {process.returncode}: {said[-500:]}")
        return out.read().decode(errors="replace")


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


def curl(*arguments: str) -> str:
    return run("curl", "--silent", "--show-error", *arguments)


def lftp(place: Place, command: str) -> None:
    run("lftp", "-c", f"set net:max-retries 1; open {place.url}; {command}")


def wait_until(true: Callable[[], bool], wait_s: float) -> None:
    end_at = time.monotonic() + wait_s
    while not true():
        if time.monotonic() > end_at:
            raise RuntimeError(f"still not there after {wait_s:.0f} s")
        time.sleep(POLL_S)


def in_venv(program: str) -> str:
    """A program of the private virtual environment, else of the PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), program)
    return beside if os.path.exists(beside) else program


# -- programs -------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_mount(_place: Place) -> Iterator[None]:
    yield


def ftpfs_mount(*options: str) -> Start:
    """`ftpfs mount` returns when mounted. Caches and journals go where nothing is yet."""
    kinds = ("CACHE", "CONFIG", "DATA", "STATE")
    words = [word for option in options for word in ("-o", option)]

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[None]:
        env = {**os.environ, **{f"XDG_{kind}_HOME": f"{place.caches}/{kind}" for kind in kinds}}
        run(in_venv("ftpfs"), "mount", place.url, place.mount, *words, env=env, wait_s=MOUNT_S)
        try:
            yield
        finally:
            try:
                run(in_venv("ftpfs"), "umount", place.mount, env=env)
            finally:
                force_unmount(place.mount)

    return start


def rclone_mount(cache_mode: str) -> Start:
    """As shipped: in mode `full` it begins to send 5 s after a close (--vfs-write-back)."""

    @contextlib.contextmanager
    def start(place: Place) -> Iterator[None]:
        rclone, parts = in_venv("rclone"), urlsplit(place.url)
        secret = run(rclone, "obscure", parts.password or "").strip()
        remote = f":ftp,host={parts.hostname},port={parts.port},user={parts.username},pass={secret}"
        env = {**os.environ, "RCLONE_CONFIG": os.path.join(place.caches, "none.conf")}
        argv = [rclone, "mount", f"{remote}:", place.mount, "--vfs-cache-mode", cache_mode]
        argv += ["--cache-dir", os.path.join(place.caches, "rclone")]
        log = os.path.join(place.caches, "rclone.log")
        with open(log, "wb") as out:
            process = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        with process:
            try:
                wait_until(lambda: is_mount(place.mount) or process.poll() is not None, MOUNT_S)
                if process.poll() is not None:
                    with open(log, encoding="utf-8", errors="replace") as said:
                        raise RuntimeError(f"rclone mount: {said.read().strip()[-500:]}")
                yield
            finally:
                force_unmount(place.mount)
                end(process)

    return start


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

CLIENTS = (
    Client("curl", "curl", no_mount, ("curl", "--version")),
    Client("lftp", "lftp", no_mount, ("lftp", "--version")),
    Client("lftp-4", "lftp-4", no_mount, ("lftp", "--version")),
    Client("rclone", "mount", rclone_mount("full"), RCLONE_VERSION),
    Client("rclone-off", "mount", rclone_mount("off"), RCLONE_VERSION, ("write", "write-4k")),
    Client("ftpfs", "mount", ftpfs_mount(), FTPFS_VERSION),
    Client("ftpfs-wb", "mount", ftpfs_mount("writeback"), FTPFS_VERSION),
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
    with tempfile.TemporaryFile() as out:
        with contextlib.suppress(OSError):
            subprocess.run(["vsftpd", "-v"], stdin=out, stdout=out, stderr=out, check=False)
        out.seek(0)
        return out.read().decode(errors="replace").strip()
