"""A line of limited rate to a server."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from servers import Server

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from netsim import simulated


@contextlib.contextmanager
def slow_line(server: Server, rate: float) -> Iterator[str]:
    """The server's URL, by way of a line of `rate` bytes a second for each connection."""
    with simulated(("127.0.0.1", server.port), 0.0, rate) as port:
        yield server.url.replace(f":{server.port}/", f":{port}/")
