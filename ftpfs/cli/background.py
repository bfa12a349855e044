"""Going to the background, the log of a process there, and how others find it.

A mount's process holds a lock on a small file of its own (mount point, pid, log) for as long as
it lives, so that `ftpfs umount` can wait for it to have sent everything.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import logging.handlers
import os
import time
from collections.abc import Callable
from typing import TextIO

from ftpfs.cli.xdg import state_directory
from ftpfs.config import LOG_BYTES, LOG_FILES
from ftpfs.errors import FtpfsError, MountError

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_ALIVE = b"mounted"


def log_to_terminal(*, verbose: bool) -> None:
    """Log to what is stderr now, also while descriptor 2 is lent to libfuse."""
    stream = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    _log_to(logging.StreamHandler(stream), verbose=verbose)


def log_file(mountpoint: str) -> str:
    """Where a mount in the background logs."""
    directory = os.path.join(state_directory(), "log")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return os.path.join(directory, _key(mountpoint) + ".log")


def log_to_file(path: str, *, verbose: bool) -> None:
    handler = logging.handlers.RotatingFileHandler(
        path,
        maxBytes=LOG_BYTES,
        backupCount=LOG_FILES - 1,
        encoding="utf-8",
        errors="backslashreplace",
    )
    _log_to(handler, verbose=verbose)


def _log_to(handler: logging.Handler, *, verbose: bool) -> None:
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger("ftpfs")
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    root.propagate = False


def in_background(serve: Callable[[Callable[[], None]], None]) -> None:
    """Run `serve(on_ready)` in a child process; return once it has called `on_ready`.

    Raises MountError with the child's reason where it ends before.
    """
    receive, send = os.pipe()
    if os.fork() == 0:
        os.close(receive)
        os._exit(_child(serve, send))
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        said = pipe.read()
    if said != _ALIVE:
        reason = said.decode("utf-8", "replace").strip()
        raise MountError(reason or "the mount's process ended without a word")


def _child(serve: Callable[[Callable[[], None]], None], send: int) -> int:
    def ready() -> None:
        os.write(send, _ALIVE)
        os.close(send)

    mounted = False

    def on_ready() -> None:
        nonlocal mounted
        mounted = True
        ready()

    try:
        detach()
        serve(on_ready)
    except Exception as error:
        logging.getLogger("ftpfs").critical("%s", error, exc_info=not _is_plain(error))
        if not mounted:
            os.write(send, str(error).encode("utf-8", "replace"))
        return 1
    finally:
        logging.shutdown()
    return 0


def _is_plain(error: Exception) -> bool:
    """Whether its text says all there is to say; else the log gets the traceback."""
    return isinstance(error, FtpfsError)


def detach() -> None:
    """A session of its own, no terminal, no directory kept busy."""
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


# -- how others find a mount's process ---------------------------------------------------------


def _key(mountpoint: str) -> str:
    name = os.path.basename(mountpoint) or "root"
    return f"{name}-{hashlib.sha256(os.fsencode(mountpoint)).hexdigest()[:12]}"


def _lock_path(mountpoint: str) -> str:
    directory = os.path.join(state_directory(), "mounts")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return os.path.join(directory, _key(mountpoint) + ".json")


def announce(mountpoint: str, source: str, spool: str) -> TextIO:
    """Write and lock the file that stands for this process; keep it open.

    `spool` is the place where the mount's spool directories lie.
    """
    file = open(_lock_path(mountpoint), "a+", encoding="utf-8")  # noqa: SIM115 - kept open
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.truncate(0)
    about = {"mountpoint": mountpoint, "source": source, "spool": spool, "pid": os.getpid()}
    json.dump(about, file)
    file.flush()
    return file


def spool_of(mountpoint: str) -> str | None:
    """Where a mount's process keeps its spool directories; None where no file tells."""
    try:
        with open(_lock_path(mountpoint), encoding="utf-8") as file:
            spool = json.load(file)["spool"]
    except (OSError, ValueError, KeyError):
        return None
    return str(spool)


def wait_for_end(mountpoint: str, timeout_s: float) -> bool:
    """Whether the mount's process has ended (or was never ours) within the time."""
    path = _lock_path(mountpoint)
    deadline = time.monotonic() + timeout_s
    while not _ended(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _ended(path: str) -> bool:
    """Whether nobody holds the lock of a mount's file, which is taken away then."""
    try:
        with open(path, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    _forget(path)
    return True


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
