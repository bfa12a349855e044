"""Our own demo server, on pyftpdlib, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from certificates import Certificates

from servers.running import (
    CHECKOUT,
    PASSWORD,
    STOP_S,
    USER,
    Server,
    server_on,
    stopped_at_exit,
    write_text,
)


@contextlib.contextmanager
def pyftpdlib_server(root: str, mlsd: bool = True, tls: str = "no") -> Iterator[Server]:
    """The demo server; `mlsd=False` leaves it with LIST only, `tls` is explicit, implicit or no."""
    with tempfile.TemporaryDirectory(prefix="ftpfs-pyftpdlib-") as work:
        log = write_text(os.path.join(work, "commands.log"), "")
        argv = [sys.executable, "-m", "ftpfs.demo.server", str(root)]
        argv += ["--user", USER, "--password", PASSWORD, "--command-log", log]
        argv += [] if mlsd else ["--no-mlsd"]
        certificates = Certificates(work) if tls != "no" else None
        argv += ["--tls", tls, "--certificate", certificates.good] if certificates else []
        paths = [CHECKOUT, *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            argv,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,  # the server ends when this closes, should we be killed
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process, stopped_at_exit(process):
            word, _, port = _first_line(process).partition(" ")
            if word != "PORT":
                raise RuntimeError(f"the demo server did not start: exit {process.wait(STOP_S)}")
            pid = process.pid
            yield server_on("pyftpdlib", root, int(port), pid, log, 0, tls, certificates)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()  # "" when the process ended without a word
