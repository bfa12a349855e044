"""Mounting: what must be in place before, and the call that serves until the unmount."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ftpfs.config import KIB, READ_AHEAD_BYTES
from ftpfs.errors import HostError, MountError, UsageError
from ftpfs.fuse.binding import Binding
from ftpfs.fuse.errnos import is_not_connected
from ftpfs.fuse.operations import Operations
from ftpfs.options import MountOptions
from ftpfs.vfs.filesystem import FileSystem

log = logging.getLogger(__name__)

SUBTYPE = "ftpfs"
DEVICE = "/dev/fuse"


@dataclass(frozen=True)
class Mounted:
    """A line of /proc/self/mountinfo."""

    mountpoint: str
    type: str
    source: str
    device: str  # major:minor


def mounts() -> list[Mounted]:
    """Every mount that this process sees. proc(5)."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return [_mounted(line) for line in table]


def _mounted(line: str) -> Mounted:
    left, _, right = line.partition(" - ")
    kind, source = right.split(" ")[:2]
    _, _, device, _, mountpoint, *_ = left.split(" ")
    return Mounted(_unescaped(mountpoint), kind, _unescaped(source), device)


def _unescaped(text: str) -> str:
    """Blank, tab, newline and backslash come as three octal digits."""
    for octal, char in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace("\\" + octal, char)
    return text


def find_mount(mountpoint: str) -> Mounted | None:
    """The topmost mount at exactly this path."""
    return next((m for m in reversed(mounts()) if m.mountpoint == mountpoint), None)


def raise_read_ahead(mountpoint: str) -> None:
    """Let the kernel read READ_AHEAD_BYTES ahead in files below a mount point."""
    there = find_mount(mountpoint)
    if there is None:
        return
    try:
        with open(f"/sys/class/bdi/{there.device}/read_ahead_kb", "w", encoding="ascii") as setting:
            setting.write(str(READ_AHEAD_BYTES // KIB))
    except OSError as error:
        log.debug("read-ahead stays as it is: %s", error)


def unmount_command() -> str | None:
    """The setuid helper that lets a user mount and unmount."""
    return shutil.which("fusermount3") or shutil.which("fusermount")


def check_host(binding: Binding) -> None:
    """Raises HostError where this machine lacks what a mount needs."""
    if not os.path.exists(DEVICE):
        raise HostError(f"no {DEVICE}: load the kernel module with `modprobe fuse`")
    helper = "fusermount3" if binding.major == 3 else "fusermount"
    if os.getuid() == 0:
        return
    if shutil.which(helper) is None:
        package = "fuse3" if binding.major == 3 else "fuse"
        raise HostError(f"{helper} is not installed: install the package {package}")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        raise HostError(f"{DEVICE} may not be opened: ask root for `chmod 666 {DEVICE}`")


def check_mountpoint(given: str) -> str:
    """The absolute path of a mount point that can be used.

    Raises UsageError where it is absent, no directory, not empty, or mounted already. A mount
    point that a killed ftpfs left behind has `abandoned` as its cure, not this.
    """
    path = os.path.realpath(given)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise UsageError(f"{given}: no such mount point: create it with mkdir") from None
    except OSError as error:
        raise UsageError(f"{given}: mount point cannot be used: {error.strerror}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{given}: the mount point is not a directory")
    there = find_mount(path)
    if there is not None and there.type.startswith("fuse"):
        raise UsageError(f"{given}: {there.source} is mounted there already: unmount it first")
    try:
        if os.listdir(path):
            raise UsageError(f"{given}: the mount point is not empty: choose an empty directory")
    except PermissionError:
        raise UsageError(f"{given}: the mount point may not be read by you") from None
    return path


def abandoned(given: str) -> bool:
    """Whether a killed ftpfs left its mount behind ("Transport endpoint is not connected")."""
    there = find_mount(os.path.realpath(given))
    if there is None or there.type != f"fuse.{SUBTYPE}":
        return False
    try:
        os.stat(given)
    except OSError as error:
        return is_not_connected(error)
    return False


def serve(
    binding: Binding,
    filesystem: FileSystem,
    source: str,
    mountpoint: str,
    options: MountOptions,
    on_ready: Callable[[], None],
) -> None:
    """Mount and serve until unmounted or signalled; `on_ready` is called once it answers.

    Raises MountError where libfuse or fusermount refuses, with what they said.
    """
    ready = False
    with _captured_stderr() as (said, give_back):

        def answer() -> None:
            nonlocal ready
            ready = True
            give_back()
            if os.getuid() == 0:
                raise_read_ahead(mountpoint)
            on_ready()

        operations = Operations(filesystem, options, answer)
        try:
            binding.run(operations, mountpoint, _fuse_options(binding, source, options))
        except RuntimeError as error:
            if not ready:
                raise MountError(_reason(said(), mountpoint)) from error
            log.info("ended by a signal")


def _fuse_options(binding: Binding, source: str, options: MountOptions) -> dict[str, Any]:
    flags = ("ro", "allow_other", "allow_root", "default_permissions")
    chosen = {flag: True for flag in flags if getattr(options, flag)}
    escaped = source.replace("\\", "\\\\").replace(",", "\\,")
    return {
        "foreground": True,
        "fsname": escaped,
        "subtype": SUBTYPE,
        **chosen,
        **binding.options(
            kernel_cache_s=options.kernel_cache_s(), kernel_absence_s=options.kernel_absence_s()
        ),
    }


def _reason(said: str, mountpoint: str) -> str:
    """One line from what libfuse and fusermount printed."""
    text = "; ".join(line.strip() for line in said.splitlines() if line.strip())
    if "user_allow_other" in text:
        return "allow_other is not allowed: root has to put user_allow_other into /etc/fuse.conf"
    return f"{mountpoint}: cannot mount: {text or 'libfuse did not say why'}"


@contextmanager
def _captured_stderr() -> Iterator[tuple[Callable[[], str], Callable[[], None]]]:
    """Keep what C code prints to file descriptor 2, until given back.

    Yields a function for the text so far and one that gives the descriptor back early.
    """
    original = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)

        def said() -> str:
            kept.seek(0)
            return kept.read().decode("utf-8", "replace")

        def give_back() -> None:
            os.dup2(original, 2)

        try:
            yield said, give_back
        finally:
            give_back()
            os.close(original)
