"""The matrix: which servers there are, and in which ways each can be spoken to.

with running("vsftpd", "resumed-1.2", root) as (server, options):
    mount(server.url, *options)
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from servers.proftpd import proftpd_server
from servers.pureftpd import pureftpd_server
from servers.pyftpdlib import pyftpdlib_server
from servers.running import Running, Server
from servers.vsftpd import vsftpd_server


@dataclasses.dataclass(frozen=True)
class Mode:
    """A way to speak to a server; `title` as a reader of docs/SERVERS.md knows it."""

    title: str
    tls: str = "explicit"
    resumed: bool = False  # the server demands that data connections resume the session
    options: tuple[str, ...] = ()


MODES: dict[str, Mode] = {
    "plain": Mode("clear text", "no"),
    "explicit": Mode("explicit TLS"),
    "resumed-1.3": Mode("TLS 1.3, resumption demanded", resumed=True),
    "resumed-1.2": Mode("TLS 1.2, resumption demanded", resumed=True, options=("tls_max=1.2",)),
    "implicit": Mode("implicit TLS", "implicit"),
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A server of the matrix. `lacks` says for a mode why the server does not have it."""

    title: str
    start: Callable[[str, Mode], Running]
    lacks: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def modes(self) -> list[str]:
        return [mode for mode in MODES if mode not in self.lacks]


def _vsftpd(root: str, mode: Mode) -> Running:
    return vsftpd_server(root, mode.tls, require_ssl_reuse=mode.resumed)


def _proftpd(root: str, mode: Mode) -> Running:
    options = ["UseImplicitSSL"] if mode.tls == "implicit" else []
    options += [] if mode.resumed else ["NoSessionReuseRequired"]
    loaded = mode.tls != "no" and options
    return proftpd_server(root, mode.tls, **({"TLSOptions": " ".join(options)} if loaded else {}))


_CANNOT_DEMAND = dict.fromkeys(("resumed-1.3", "resumed-1.2"), "the server cannot demand it")

KINDS: dict[str, Kind] = {
    "pyftpdlib": Kind(
        "pyftpdlib", lambda root, mode: pyftpdlib_server(root, tls=mode.tls), _CANNOT_DEMAND
    ),
    "pyftpdlib-list": Kind(
        "pyftpdlib without MLSD",
        lambda root, mode: pyftpdlib_server(root, mlsd=False, tls=mode.tls),
        dict.fromkeys((mode for mode in MODES if mode != "plain"), "as pyftpdlib"),
    ),
    "vsftpd": Kind("vsftpd", _vsftpd),
    "proftpd": Kind("ProFTPD", _proftpd),
    "proftpd-bare": Kind(
        "ProFTPD without AllowOverwrite and AllowStoreRestart",
        lambda root, mode: proftpd_server(
            root, mode.tls, AllowOverwrite="off", AllowStoreRestart="off"
        ),
        dict.fromkeys((mode for mode in MODES if mode != "plain"), "as ProFTPD"),
    ),
    "pureftpd": Kind(
        "Pure-FTPd",
        lambda root, mode: pureftpd_server(root, tls=mode.tls),
        {**_CANNOT_DEMAND, "implicit": "the server has none"},
    ),
}

PAIRS = [(kind, mode) for kind in KINDS for mode in KINDS[kind].modes]


@contextlib.contextmanager
def running(kind: str, mode: str, root: str) -> Iterator[tuple[Server, tuple[str, ...]]]:
    """A server of this kind, and the options with which a mount speaks to it in this mode."""
    with KINDS[kind].start(root, MODES[mode]) as server:
        server = dataclasses.replace(server, asked=MODES[mode].options)
        yield server, server.options
