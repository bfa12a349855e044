"""Pure-FTPd, on a user database of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator

from certificates import Certificates

from servers.running import (
    PASSWORD_HASH,
    USER,
    Server,
    reachable,
    server_on,
    started,
    stopped_at_exit,
    write_text,
)
from servers.unpacked import unpacked

GUEST = "nobody"  # it lets no one work as root


@contextlib.contextmanager
def pureftpd_server(root: str, *options: str, tls: str = "no") -> Iterator[Server]:
    """Pure-FTPd on `root`, which is handed to the user GUEST first; with further `options`. `tls`
    is explicit or no; it has no implicit TLS, and cannot demand that sessions are resumed.
    """
    if os.geteuid() != 0:
        raise RuntimeError("pureftpd_server needs root: run scripts/test")
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="ftpfs-pureftpd-"))
        os.chmod(work, 0o711)  # the guest passes through it to its root
        served = stack.enter_context(reachable(str(root), GUEST, work))
        certificates = Certificates(work) if tls != "no" else None
        users = _user_database(work, served)

        def arguments(port: int) -> list[str]:
            program = unpacked("usr/sbin/pure-ftpd")
            address = ["--ipv4only", "--bind", f"127.0.0.1,{port}", "--dontresolve"]
            logins = ["--login", f"puredb:{users}", "--noanonymous", "--minuid", "1"]
            logs = ["--pidfile", os.path.join(work, "pid"), "--syslogfacility", "none"]
            safety = ["--tls", "3", "--certfile", certificates.good] if certificates else []
            return [program, *address, *logins, *logs, *safety, "--chrooteveryone", *options]

        process, port = started(os.path.join(work, "pureftpd.out"), arguments)
        with process, stopped_at_exit(process):
            uid = pwd.getpwnam(GUEST).pw_uid
            yield server_on("pureftpd", root, port, process.pid, "", uid, tls, certificates)


def _user_database(work: str, home: str) -> str:
    guest = pwd.getpwnam(GUEST)
    line = f"{USER}:{PASSWORD_HASH}:{guest.pw_uid}:{guest.pw_gid}::{home}::::::::::::\n"
    users = write_text(os.path.join(work, "users"), line, 0o600)
    database = os.path.join(work, "users.pdb")
    subprocess.run([unpacked("usr/bin/pure-pw"), "mkdb", database, "-f", users], check=True)
    return database
