"""A line of limited rate to a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from netsim import simulated
from servers import Server


@contextlib.contextmanager
def slow_line(server: Server, rate: float) -> Iterator[str]:
    """The server's URL, by way of a line of `rate` bytes a second for each connection."""
    with simulated(("127.0.0.1", server.port), 0.0, rate) as port:
        yield server.url.replace(f":{server.port}/", f":{port}/")
