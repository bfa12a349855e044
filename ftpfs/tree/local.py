"""The local disk as a place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ftpfs.errors import (
    AbsentError,
    DeniedError,
    ExistsError,
    FtpfsError,
    IsDirectoryError,
    LocalError,
    NotDirectoryError,
)
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.place import Failures

_MEANINGS: tuple[tuple[type[OSError], type[FtpfsError]], ...] = (
    (FileNotFoundError, AbsentError),
    (FileExistsError, ExistsError),
    (PermissionError, DeniedError),
    (IsADirectoryError, IsDirectoryError),
    (NotADirectoryError, NotDirectoryError),
)

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
}


class LocalPlace:
    """Paths as the user wrote them, relative or absolute."""

    near = True
    hides_links = False

    def __init__(self) -> None:
        """For one thread alone: what the umask is can only be seen by changing it."""
        self.umask = os.umask(0o077)
        os.umask(self.umask)

    def shown(self, path: str) -> str:
        return path

    def key(self, path: str) -> object:
        return os.path.realpath(path)

    def list(self, path: str) -> dict[str, Entry]:
        found = {}
        with local_errors(path), os.scandir(path) as names:
            for each in names:
                try:
                    found[each.name] = _entry(
                        each.name, each.path, each.stat(follow_symlinks=False)
                    )
                except FileNotFoundError:
                    continue  # it has gone since
        return found

    def stat(self, path: str) -> Entry:
        with local_errors(path):
            return _entry(os.path.basename(path), path, os.stat(path))

    def describe(self, path: str) -> Entry:
        with local_errors(path):
            return _entry(os.path.basename(path), path, os.lstat(path))

    def mkdir_all(self, paths: Sequence[str]) -> Failures:
        return _each(os.mkdir, paths)

    def rmdir_all(self, paths: Sequence[str]) -> Failures:
        return _each(os.rmdir, paths)

    def unlink_all(self, paths: Sequence[str]) -> Failures:
        return _each(os.unlink, paths)

    def rename(self, old: str, new: str) -> None:
        with local_errors(old):
            os.rename(old, new)

    def symlink(self, target: str, path: str) -> None:
        with local_errors(path):
            temporary = os.path.join(os.path.dirname(path), f".ftpfs-{os.urandom(6).hex()}")
            os.symlink(target, temporary)
            try:
                os.rename(temporary, path)
            except OSError:
                os.unlink(temporary)
                raise

    def set_mtime(self, path: str, mtime_ns: int) -> None:
        with local_errors(path):
            os.utime(path, ns=(mtime_ns, mtime_ns))

    def chmod(self, path: str, mode: int) -> None:
        with local_errors(path):
            os.chmod(path, mode)


@contextmanager
def local_errors(path: str) -> Iterator[None]:
    """Turns an OSError of the local disk into ours, with it as the cause."""
    try:
        yield
    except OSError as error:
        raise meaning(error, path) from error


def meaning(error: OSError, path: str) -> FtpfsError:
    """What an OSError of the local disk means."""
    for kind, ours in _MEANINGS:
        if isinstance(error, kind):
            return ours(f"{path}: {error.strerror}")
    return LocalError(f"{path}: {error.strerror or error}")


def _each(action: Callable[[str], None], paths: Sequence[str]) -> Failures:
    failures: Failures = {}
    for path in paths:
        try:
            action(path)
        except OSError as error:
            failures[path] = meaning(error, path)
            failures[path].__cause__ = error
    return failures


def _entry(name: str, path: str, status: os.stat_result) -> Entry:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), Kind.OTHER)
    target = os.readlink(path) if kind is Kind.SYMLINK else None
    mode = stat.S_IMODE(status.st_mode)
    return Entry(name, kind, status.st_size, status.st_mtime_ns, 1, mode, target)
