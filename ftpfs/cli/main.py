"""The console script: what comes before and after any command."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Exits as mount(8) does; a failure is one line on stderr."""
    _end_by_interrupt()  # before the rest is loaded: by then Ctrl-C may come
    from ftpfs.cli.descriptors import occupy_closed
    from ftpfs.config import CYCLES_OBJECTS

    occupy_closed()
    gc.set_threshold(CYCLES_OBJECTS)
    from ftpfs.cli.commands import run

    code = run(arguments)
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        sys.exit(code)  # which tells of it
    os._exit(code)  # all is done and closed; the interpreter would take apart itself: 20 ms of 100


def _end_by_interrupt() -> None:
    """SIGINT ends the process, without a word, until somebody takes it: see ftpfs.cli.signals."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
