"""Real FTP servers for the tests, on loopback.

Each is a context manager that gives a `Server` and leaves no process, file or mount behind:

    with vsftpd_server(root, max_per_ip=2) as server:
        mount(server.url)
        assert commands(server).count("RETR /a") == 1

pyftpdlib is our own demo server; vsftpd is installed, ProFTPD and Pure-FTPd are unpacked by
scripts/test. All but the first need root.
"""

from __future__ import annotations

from servers.proftpd import proftpd_server
from servers.pureftpd import pureftpd_server
from servers.pyftpdlib import pyftpdlib_server
from servers.running import (
    PASSWORD,
    USER,
    Running,
    Server,
    all_logged,
    commands,
    connections,
    paused,
)
from servers.vsftpd import vsftpd_server

__all__ = [
    "PASSWORD",
    "USER",
    "Running",
    "Server",
    "all_logged",
    "commands",
    "connections",
    "paused",
    "proftpd_server",
    "pureftpd_server",
    "pyftpdlib_server",
    "vsftpd_server",
]
