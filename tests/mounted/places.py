"""Where the mounted tests work: servers by name, and a directory on one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mounts import Mount
from servers import Server, pyftpdlib_server, vsftpd_server

SERVERS: dict[str, Callable[[str], AbstractContextManager[Server]]] = {
    "pyftpdlib": pyftpdlib_server,
    "pyftpdlib-list": lambda root: pyftpdlib_server(root, mlsd=False),
    "vsftpd": vsftpd_server,
}


@dataclass(frozen=True)
class Work:
    """A fresh directory: `path` in the mount, `root` on the server's disk."""

    path: str
    root: str
    server: Server
    mount: Mount

    @property
    def url(self) -> str:
        return self.server.url + os.path.basename(self.root)


def served(kind: str, root: str) -> Iterator[Server]:
    """A server of this kind, for the life of a fixture."""
    try:
        with SERVERS[kind](root) as server:
            yield server
    finally:
        shutil.rmtree(root)  # pytest would keep what large files there are
