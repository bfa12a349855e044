"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 20.0  # what has not come about by then is a defect
POLL_S = 0.01


def eventually(check: Callable[[], object], what: str) -> None:
    """Wait until `check` is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not check():
        assert time.monotonic() < deadline, f"did not come about: {what}"
        time.sleep(POLL_S)
