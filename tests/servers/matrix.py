"""The matrix: which servers there are, and in which ways each can be spoken to.

with running("vsftpd", "resumed-1.2", root, certificates) as server:
    mount(server.url, *server.options)
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from certificates import Certificates

from servers.proftpd import proftpd_server
from servers.pureftpd import pureftpd_server
from servers.pyftpdlib import pyftpdlib_server
from servers.running import Encryption, Server
from servers.vsftpd import vsftpd_server

Start = Callable[[str, Encryption | None], contextlib.AbstractContextManager[Server]]


@dataclasses.dataclass(frozen=True)
class Mode:
    """A way to speak to a server; `title` as a reader of docs/SERVERS.md knows it."""

    title: str
    tls: bool = True
    implicit: bool = False
    resumed: bool = False
    options: tuple[str, ...] = ()


MODES: dict[str, Mode] = {
    "plain": Mode("clear text", tls=False),
    "explicit": Mode("explicit TLS"),
    "resumed-1.3": Mode("explicit TLS 1.3, resumption demanded", resumed=True),
    "resumed-1.2": Mode(
        "explicit TLS 1.2, resumption demanded", resumed=True, options=("tls_max=1.2",)
    ),
    "implicit": Mode("implicit TLS", implicit=True),
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A server of the matrix. `lacks` says for a mode why the server does not have it."""

    title: str
    start: Start
    lacks: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def modes(self) -> list[str]:
        return [mode for mode in MODES if mode not in self.lacks]


_NO_TLS = {mode: "the demo server speaks clear text" for mode in MODES if mode != "plain"}

KINDS: dict[str, Kind] = {
    "pyftpdlib": Kind("pyftpdlib", lambda root, _: pyftpdlib_server(root), _NO_TLS),
    "pyftpdlib-list": Kind(
        "pyftpdlib without MLSD", lambda root, _: pyftpdlib_server(root, mlsd=False), _NO_TLS
    ),
    "vsftpd": Kind("vsftpd", vsftpd_server),
    "proftpd": Kind("ProFTPD", proftpd_server),
    "pureftpd": Kind(
        "Pure-FTPd",
        pureftpd_server,
        {
            "resumed-1.3": "the server cannot demand it",
            "resumed-1.2": "the server cannot demand it",
            "implicit": "the server has none",
        },
    ),
}

PAIRS = [(kind, mode) for kind in KINDS for mode in KINDS[kind].modes]


@contextlib.contextmanager
def running(kind: str, mode: str, root: str, certificates: Certificates) -> Iterator[Server]:
    """A server of this kind, spoken to in this mode."""
    how = MODES[mode]
    encryption = None
    options = how.options
    if how.tls:
        encryption = Encryption(certificates.good, how.implicit, how.resumed)
        options = (f"cafile={certificates.cafile}", *options)
    with KINDS[kind].start(root, encryption) as server:
        yield dataclasses.replace(server, options=options)
