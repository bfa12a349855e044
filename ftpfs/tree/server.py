"""A server as a place."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence

from ftpfs.config import NEAR_S
from ftpfs.errors import AbsentError, NotPermittedError, RefusedError
from ftpfs.remote.api import Entry, Kind
from ftpfs.remote.server import Server
from ftpfs.tree.place import Failures
from ftpfs.wire.pathname import split


class ServerPlace:
    """Paths are absolute on the server. `identity` is equal for two URLs of one account,
    `show` makes a URL of a path; `hands` is how many connections may be used side by side."""

    def __init__(
        self, server: Server, identity: object, show: Callable[[str], str], hands: int
    ) -> None:
        self.server = server
        self.hands = hands
        self._identity = identity
        self._show = show

    @property
    def near(self) -> bool:
        return self.server.round_trip_s < NEAR_S

    @property
    def hides_links(self) -> bool:
        return self.server.hides_links

    def shown(self, path: str) -> str:
        return self._show(path)

    def key(self, path: str) -> object:
        return self._identity, posixpath.normpath(path)

    def list(self, path: str) -> dict[str, Entry]:
        return self.server.list(path)

    def stat(self, path: str) -> Entry:
        if path == "/":
            return Entry("/", Kind.DIRECTORY)
        return self.server.stat(path)

    def describe(self, path: str) -> Entry:
        parent, name = split(path)
        if not name or self.server.describes:
            return self.stat(path)
        try:
            found = self.server.list(parent).get(name)
        except RefusedError:
            found = None  # it may be there though its directory cannot be listed
        return found or self.server.stat(path)

    def mkdir_all(self, paths: Sequence[str]) -> Failures:
        return self.server.mkdir_all(paths)

    def rmdir_all(self, paths: Sequence[str]) -> Failures:
        return self.server.rmdir_all(paths)

    def unlink_all(self, paths: Sequence[str]) -> Failures:
        return self.server.unlink_all(paths)

    def rename(self, old: str, new: str) -> None:
        self.server.rename(old, new)

    def symlink(self, target: str, path: str) -> None:
        raise NotPermittedError(f"{path}: FTP has no way to make a symbolic link")

    def set_mtime(self, path: str, mtime_ns: int) -> None:
        self.server.set_mtime(path, mtime_ns)

    def chmod(self, path: str, mode: int) -> None:
        self.server.chmod(path, mode)

    def exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except AbsentError:
            return False
        return True
