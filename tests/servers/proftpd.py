"""ProFTPD, on a configuration and a user of its own."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from certificates import Certificates

from servers.running import (
    PASSWORD_HASH,
    USER,
    Server,
    server_on,
    started,
    stopped_at_exit,
    write_text,
)
from servers.unpacked import unpacked


@contextlib.contextmanager
def proftpd_server(root: str, tls: str = "no", **settings: object) -> Iterator[Server]:
    """ProFTPD on `root`; `settings` add to or replace lines of its configuration. `tls` is
    explicit, implicit or no; with TLS, data connections must resume the session, unless
    TLSOptions say something else.

    Logins work as root, who sees everything a test writes into `root`.
    """
    if os.geteuid() != 0:
        raise RuntimeError("proftpd_server needs root: run scripts/test")
    with tempfile.TemporaryDirectory(prefix="ftpfs-proftpd-") as work:
        os.chmod(work, 0o711)  # another user who mounts reads the certificate
        log = write_text(os.path.join(work, "commands.log"), "")
        lines = _settings(work, os.path.abspath(root), log)
        certificates = Certificates(work) if tls != "no" else None
        lines |= _protection(certificates.good, tls) if certificates else {}
        lines |= settings

        def arguments(port: int) -> list[str]:
            config = _write_config(work, {**lines, "Port": port})
            return [unpacked("usr/sbin/proftpd"), "--nodaemon", "--config", config]

        said = os.path.join(work, "proftpd.out")
        process, port = started(said, arguments, implicit=tls == "implicit")
        os.truncate(log, 0)  # what it said to the one who looked whether it listens
        with process, stopped_at_exit(process):
            yield server_on("proftpd", root, port, process.pid, log, 0, tls, certificates)


def _settings(work: str, root: str, log: str) -> dict[str, object]:
    user = f"{USER}:{PASSWORD_HASH}:0:0::{root}:/bin/sh\n"
    return {
        "ServerName": '"test server"',
        "ServerType": "standalone",
        "DefaultAddress": "127.0.0.1",
        "SocketBindTight": "on",
        "UseIPv6": "off",
        "User": "root",
        "Group": "root",
        "PidFile": os.path.join(work, "pid"),
        "ScoreboardFile": os.path.join(work, "scoreboard"),
        "ModulePath": unpacked("usr/lib/proftpd"),
        # logins
        "AuthOrder": "mod_auth_file.c",
        "AuthUserFile": write_text(os.path.join(work, "users"), user, 0o600),
        "RootLogin": "on",
        "RequireValidShell": "off",
        "UseReverseDNS": "off",
        "DelayEngine": "off",
        # files
        "DefaultRoot": "~",
        "Umask": "022",
        "AllowOverwrite": "on",
        "AllowStoreRestart": "on",
        # logs
        "SystemLog": os.path.join(work, "proftpd.log"),
        "WtmpLog": "off",
        "TransferLog": "none",
        "LogFormat": 'command "command %r = %s"',
        "ExtendedLog": f"{log} ALL command",
    }


def _protection(certificate: str, tls: str) -> dict[str, object]:
    return {
        "LoadModule": "mod_tls.c",
        "TLSEngine": "on",
        "TLSRequired": "on",
        "TLSRSACertificateFile": certificate,
        "TLSRSACertificateKeyFile": certificate,
        "TLSVerifyClient": "off",
        **({"TLSOptions": "UseImplicitSSL"} if tls == "implicit" else {}),
    }


def _write_config(work: str, settings: dict[str, object]) -> str:
    lines = (f"{name} {value}\n" for name, value in settings.items())
    return write_text(os.path.join(work, "proftpd.conf"), "".join(lines), 0o600)
