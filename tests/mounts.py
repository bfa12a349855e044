"""Real mounts for the tests, made with the command line as a user makes them.

with vsftpd_server(root) as server, mounted(server.url) as mount:
    with watched(server, mount) as seen:
        os.listdir(mount.path)
    assert seen.commands == ["EPSV", "MLSD"]
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from servers import Server, all_logged, commands
from waiting import eventually

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CALLBACK = re.compile(r"(?m) DEBUG ftpfs\.fuse\.binding: (\w+) (.*)$")


@dataclass(frozen=True)
class User:
    """Another user of this machine, and a Python that he may run."""

    uid: int
    python: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command that this user is to run."""
        setpriv = shutil.which("setpriv")
        assert setpriv is not None
        # The shell is what runs the command: setpriv itself still has root's rights to find it.
        ids = (f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups")
        return (setpriv, *ids, "/bin/sh", "-c", 'exec "$@"', "sh")


@dataclass(frozen=True)
class Mount:
    """A mount, and the private home directory that its process logs and spools in."""

    path: str
    home: str
    pid: int

    def log(self) -> str:
        """What the mount's process has logged so far, as far back as it is kept."""
        return log_of(self.home)

    def callbacks(self) -> list[tuple[str, str]]:
        """What the kernel has asked so far: (getattr, b'/x'). Without `-v` there is nothing."""
        return _CALLBACK.findall(self.log())


def log_of(home: str) -> str:
    """All logs of the mounts made with this home directory."""
    texts = []
    for path in sorted(glob.glob(home + "/.local/state/ftpfs/log/*"), reverse=True):
        with open(path, encoding="utf-8") as log:  # the older one, .log.1, comes first
            texts.append(log.read())
    return "".join(texts)


# -- the command line -----------------------------------------------------------------------------


def ftpfs(
    *arguments: str,
    home: str,
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; `prefix` is put before it (setpriv, ...)."""
    return subprocess.run(
        [*prefix, python, "-m", "ftpfs", *arguments],
        env=environment(home, env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(home: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: a home of its own, nothing of the user's settings."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "FTPFS_FUSE")}
    paths = [CHECKOUT, sysconfig.get_path("purelib")]  # the latter for another user's Python
    return {**kept, "HOME": home, "PYTHONPATH": os.pathsep.join(paths), **(env or {})}


def hiding(command: str) -> tuple[str, ...]:
    """A prefix: run in a mount namespace of its own, where a `mount` has hidden something."""
    path = os.environ["PATH"]  # what is run gets another one
    script = f'(PATH={shlex.quote(path)}; {command}) && exec "$@"'
    return (shutil.which("unshare") or "unshare", "--mount", "/bin/sh", "-c", script, "sh")


@contextlib.contextmanager
def home_directory(user: User | None = None) -> Iterator[tuple[str, str]]:
    """A home directory of its own, and an empty mount point in it; nothing may be left there."""
    with tempfile.TemporaryDirectory(prefix="ftpfs-test-") as home:
        path = os.path.join(home, "mnt")
        os.mkdir(path)
        os.chmod(home, 0o711)  # others pass through it to the mount
        if user is not None:
            os.chown(home, user.uid, user.uid)
            os.chown(path, user.uid, user.uid)
        try:
            yield home, path
            assert not is_mounted(path), f"left mounted: {path}"
            eventually(lambda: not processes(home), "all processes of the mount have ended")
        finally:
            _clean_up(home)


def _clean_up(home: str) -> None:
    """Let nothing of a failed test stay, and no file of the server be removed with its home."""
    with open("/proc/self/mounts", encoding="utf-8") as table:
        below = [line.split(" ")[1] for line in table if f" {home}/" in line]
    for mountpoint in reversed(below):
        subprocess.run(["umount", "--lazy", mountpoint], check=True)
    for pid in processes(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def mounted(
    url: str, *options: str, env: dict[str, str] | None = None, user: User | None = None
) -> Iterator[Mount]:
    """A mount of `url` with `-o` options, unmounted at the end; its process must end by itself,
    and must not have logged a defect of its own."""
    with home_directory(user) as (home, path):
        mount = mount_at(home, path, url, *options, env=env, user=user)
        yield mount
        done = ftpfs("umount", path, home=home, **_run_as(user))
        assert (done.returncode, done.stderr) == (0, "")
        assert_ended(mount.pid)
        assert_healthy(mount)


def mount_at(
    home: str,
    path: str,
    url: str,
    *options: str,
    env: dict[str, str] | None = None,
    user: User | None = None,
) -> Mount:
    """Mount `url` at `path`; for the caller to unmount or kill."""
    words = [word for option in options for word in ("-o", option)]
    done = ftpfs("mount", url, path, "-v", *words, home=home, env=env, **_run_as(user))
    assert (done.returncode, done.stderr) == (0, "")
    return Mount(path, home, serving(path, home))


def _run_as(user: User | None) -> dict[str, Any]:
    return {} if user is None else {"prefix": user.prefix, "python": user.python}


def assert_healthy(mount: Mount) -> None:
    """The mount's process met no defect of its own."""
    log = mount.log()
    assert "defect" not in log, log
    assert "Traceback" not in log, log


# -- what there is --------------------------------------------------------------------------------


def mount_line(path: str) -> str:
    """The line of /proc/mounts for what is mounted at `path`; "" where nothing is."""
    with open("/proc/self/mounts", encoding="utf-8") as table:
        return next((line for line in table if line.split(" ")[1] == path), "")


def is_mounted(path: str) -> bool:
    """Whether something is mounted at `path`, without touching it."""
    return mount_line(path) != ""


def serving(path: str, home: str) -> int:
    """The process that serves a mount: its state file says so."""
    for state in glob.glob(home + "/.local/state/ftpfs/mounts/*.json"):
        with open(state, encoding="utf-8") as file:
            text = file.read()
        if f'"{path}"' in text:
            return int(text.rpartition('"pid": ')[2].rstrip("}"))
    raise AssertionError("the mount has no state file")


def processes(home: str) -> dict[int, str]:
    """The command lines of all processes that live with this home directory, by pid."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        if f"HOME={home}" in process_file(int(name), "environ").split("\0"):
            found[int(name)] = process_file(int(name), "cmdline").replace("\0", " ")
    return found


def process_file(pid: int, name: str) -> str:
    """The text of a file in /proc/PID; "" when the process is gone, or closed even to root."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def peak_memory(mount: Mount) -> int:
    """The most that the mount's process has held in memory, in bytes. proc(5), VmHWM."""
    found = re.search(r"VmHWM:\s*(\d+) kB", process_file(mount.pid, "status"))
    assert found is not None
    return int(found[1]) * 1024


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has collected yet."""
    state = process_file(pid, "stat").rpartition(")")[2].split() or ["Z"]
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return state[0] == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    return True


def assert_ended(pid: int) -> None:
    eventually(lambda: has_ended(pid), "the mount's process ends")


# -- what is asked --------------------------------------------------------------------------------


@dataclass
class Seen:
    """What the server and the mount were asked while they were watched."""

    commands: list[str] = field(default_factory=list)
    callbacks: list[tuple[str, str]] = field(default_factory=list)

    def verbs(self) -> list[str]:
        return [command.split(" ")[0] for command in self.commands]


@contextlib.contextmanager
def watched(server: Server, mount: Mount | None = None) -> Iterator[Seen]:
    """FTP commands and FUSE callbacks of a block, to be read after its end."""
    seen = Seen()
    sent_before = len(commands(server))
    asked_before = len(mount.callbacks()) if mount else 0
    yield seen
    all_logged(server)
    seen.commands = commands(server)[sent_before:]
    seen.callbacks = mount.callbacks()[asked_before:] if mount else []
