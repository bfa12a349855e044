"""Files written on the local disk: under their names only when they are whole."""

from __future__ import annotations

import os
from contextlib import suppress

from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.choices import Choices
from ftpfs.tree.events import File
from ftpfs.tree.local import local_errors

_PLAIN = os.O_WRONLY | os.O_CLOEXEC
_NEW = _PLAIN | os.O_CREAT | os.O_EXCL


def save(file: File, content: memoryview, mtime_ns: int | None, choices: Choices) -> None:
    """Write a small file. What is there is replaced in one step, and keeps its permission bits.

    Raises what `local_errors` makes of an OSError; nothing new is at the target then.
    """
    with local_errors(file.target):
        if file.there is None:
            _write(file.target, _NEW, content, file, mtime_ns, choices)
        elif not _may_rename(file.target):
            with open(file.target, "wb", buffering=0) as out:
                out.write(content)
        else:
            _replace(file, content, mtime_ns, choices)


def _may_rename(path: str) -> bool:
    """Whether the directory may be written to; else a file in it is overwritten, as cp does."""
    return os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK)


def _write(
    path: str, flags: int, content: memoryview, file: File, mtime_ns: int | None, choices: Choices
) -> None:
    descriptor = os.open(path, flags, new_mode(file.entry))
    try:
        try:
            while content:
                content = content[os.write(descriptor, content) :]
            dress(descriptor, file, mtime_ns, choices)
        finally:
            os.close(descriptor)
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        raise


def _replace(file: File, content: memoryview, mtime_ns: int | None, choices: Choices) -> None:
    temporary = os.path.join(os.path.dirname(file.target), f".ftpfs-{os.urandom(6).hex()}")
    _write(temporary, _NEW, content, file, mtime_ns, choices)
    try:
        os.rename(temporary, file.target)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def dress(descriptor: int, file: File, mtime_ns: int | None, choices: Choices) -> None:
    """Give a written file the permission bits and the time it is to have, if that is known."""
    there = file.there
    if choices.modes and file.entry.mode is not None:
        os.fchmod(descriptor, file.entry.mode & 0o777)
    elif there is not None and there.kind is Kind.FILE and there.mode is not None:
        os.fchmod(descriptor, there.mode)
    if choices.times and mtime_ns is not None:
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))


def new_mode(entry: Entry) -> int:
    """The permission bits of a new file, before the umask; as cp, those of the source."""
    return 0o666 if entry.mode is None else entry.mode & 0o777
