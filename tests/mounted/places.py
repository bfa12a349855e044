"""Where the mounted tests work: servers by name, and a directory on one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator

from mounts import Mount
from servers import Running, Server, pyftpdlib_server, vsftpd_server
from servers.matrix import MODES, running

IN_CLEAR: dict[str, Callable[[str], Running]] = {
    "pyftpdlib": pyftpdlib_server,
    "pyftpdlib-list": lambda root: pyftpdlib_server(root, mlsd=False),
    "vsftpd": vsftpd_server,
}
RESUMED = ("resumed-1.3", "resumed-1.2")
SPOKEN = ("plain", *RESUMED)  # modes in which a vsftpd with settings of a test's own is run


def _over_tls(kind: str, mode: str) -> Callable[[str], Running]:
    @contextlib.contextmanager
    def serving(root: str) -> Iterator[Server]:
        with running(kind, mode, root) as (server, _):
            yield server

    return serving


OVER_TLS = {f"{k}-{mode}": _over_tls(k, mode) for k in ("vsftpd", "proftpd") for mode in RESUMED}
"""Those that demand that data connections resume the session: vsftpd with require_ssl_reuse=YES,
and ProFTPD as it is. They run every test that IN_CLEAR run, if not every time."""

PROFTPD = [kind for kind in OVER_TLS if kind.startswith("proftpd")]
SERVERS = {**IN_CLEAR, **OVER_TLS}


@dataclasses.dataclass(frozen=True)
class Work:
    """A fresh directory: `path` in the mount, `root` on the server's disk."""

    path: str
    root: str
    server: Server
    mount: Mount

    @property
    def url(self) -> str:
        return self.server.url + os.path.basename(self.root)

    @property
    def options(self) -> tuple[str, ...]:
        return self.server.options


def served(kind: str, root: str) -> Iterator[Server]:
    """A server of this kind, for the life of a fixture."""
    try:
        with SERVERS[kind](root) as server:
            yield server
    finally:
        shutil.rmtree(root)  # pytest would keep what large files there are


@contextlib.contextmanager
def vsftpd_with(mode: str, root: str, **settings: object) -> Iterator[Server]:
    """vsftpd as a test wants it, in one of the modes of SPOKEN."""
    with vsftpd_server(root, MODES[mode].tls, **settings) as server:
        yield dataclasses.replace(server, asked=MODES[mode].options)
