"""Where the workloads of scripts/bench run: servers, networks, directories, and what is counted.

The bytes that pass are counted on the network, not in the server's log: vsftpd counts what it
wrote, and a socket holds megabytes that are never sent when the client has had enough (one
measured run of 200 reads: 775 MB written, 60 MB sent). Without a delay the benchmark runs in a
network namespace of its own, whose loopback knows the figure; with one the proxy is asked.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench_base import MB, Place, Workload
from netsim import simulated
from netsim_line import Tally

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(CHECKOUT, "tests"))

from servers import Server, commands, vsftpd_server  # noqa: E402 - found by the line above

NEEDED = 8  # times the largest file: server, sources, and a program's cache

_FOLDERS = ("server", "local", "caches", "mount")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_SIOCSIFFLAGS = 0x8914  # linux/sockios.h
_UP_AND_RUNNING = 0x1 | 0x40  # linux/if.h


@dataclass(frozen=True)
class Scene:
    """A place, and what happened there so far; None where it cannot be told."""

    place: Place
    moved: Callable[[], int | None]  # bytes, both ways, with the commands
    commands: Callable[[], int | None]


class Stage:
    """One root directory, served for workloads of all kinds. Close `stack` to end all of it."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        place: Place,
        rate: float | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self._stack = stack
        self._place = place
        self._rate = rate
        self._alone = alone  # nobody else's bytes pass the loopback
        self._servers: dict[tuple[bool, bool], Server] = {}
        self._networks: dict[tuple[bool, float | None], tuple[int, Tally | None]] = {}

    @property
    def place(self) -> Place:
        """For titles and sizes; no server is there."""
        return self._place

    def scene(self, workload: Workload) -> Scene:
        """Where this workload runs; what it needs is started once."""
        server = self._server(workload.logged, workload.tls)
        port, tally = server.port, None
        if not workload.tls:  # a network of our own making has to read the replies
            port, tally = self._network(workload.logged, workload.rate or self._rate)
        url = f"ftp://{server.user}:{server.password}@127.0.0.1:{port}/"
        cafile = server.certificates.cafile if server.certificates else ""
        own = loopback_bytes if self._alone else lambda: None
        return Scene(
            replace(self._place, url=url, cafile=cafile),
            tally.bytes if tally else own,
            (lambda: len(commands(server))) if workload.logged else lambda: None,
        )

    def _server(self, logged: bool, tls: bool = False) -> Server:
        if (logged, tls) not in self._servers:
            how = "explicit" if tls else "no"
            started = vsftpd_server(self._place.server, how, log_ftp_protocol=logged)
            self._servers[logged, tls] = self._stack.enter_context(started)
        return self._servers[logged, tls]

    def _network(self, logged: bool, rate: float | None) -> tuple[int, Tally | None]:
        port, rtt_s = self._server(logged).port, self._place.rtt_ms / 1000
        if not rtt_s and not rate:
            return port, None
        if (logged, rate) not in self._networks:
            tally = Tally()
            far = simulated(("127.0.0.1", port), rtt_s, rate, tally=tally)
            self._networks[logged, rate] = self._stack.enter_context(far), tally
        return self._networks[logged, rate]


@contextlib.contextmanager
def stage(
    rtt_ms: int, rate: float | None, scale: float, where: str | None, *, alone: bool
) -> Iterator[Stage]:
    """Directories below `where`, and servers behind a network as they are asked for."""
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="ftpfs-bench-", dir=where))
        server, local, caches, mount = (f"{work}/{name}" for name in _FOLDERS)
        for folder in (server, local, caches, mount):
            os.mkdir(folder)
        place = Place("", server, local, caches, mount, scale, rtt_ms)
        yield Stage(stack, place, rate, alone=alone)


def memory(scale: float) -> str | None:
    """A directory in memory, where there is room; None for the usual one."""
    largest = 512 * MB * scale
    folder = "/dev/shm"
    roomy = os.path.isdir(folder) and shutil.disk_usage(folder).free > NEEDED * largest
    return folder if roomy else None


# -- counting -------------------------------------------------------------------------------------


def network_of_our_own() -> bool:
    """Leave the machine's network for an empty one with a loopback; whether that was allowed.

    For all that the calling thread starts from then on. Needs root, and a container that has the
    rights to mount.
    """
    with open("/proc/self/ns/net", "rb") as before:
        if ctypes.CDLL(None).unshare(_CLONE_NEWNET) != 0:
            return False
        try:
            with socket.socket() as any_socket:
                up = struct.pack("16sh14x", b"lo", _UP_AND_RUNNING)
                fcntl.ioctl(any_socket, _SIOCSIFFLAGS, up)
            return True
        except OSError:
            ctypes.CDLL(None).setns(before.fileno(), _CLONE_NEWNET)
            return False


def loopback_bytes() -> int:
    """That have passed the loopback of this network, with the headers."""
    with open("/proc/thread-self/net/dev", encoding="ascii") as table:
        lines = (line.partition(":") for line in table)
        return next(int(values.split()[0]) for name, _, values in lines if name.strip() == "lo")


def peak_memory(pid: int) -> int | None:
    """Bytes that a process held at most so far."""
    value = _proc_value(pid, "status", "VmHWM")
    return value * 1024 if value is not None else None


def writes(pid: int) -> int | None:
    """System calls of a process that wrote: of a mount's, one for each request answered."""
    return _proc_value(pid, "io", "syscw")


def _proc_value(pid: int, table: str, name: str) -> int | None:
    try:
        with open(f"/proc/{pid}/{table}", encoding="utf-8") as lines:
            values = dict(line.split(":", 1) for line in lines)
        return int(values[name].split()[0])
    except (OSError, KeyError, ProcessLookupError):
        return None
