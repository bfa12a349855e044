"""What all tests share: nothing is left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
from selection import left_out
from table import Table

from ftpfs.content.stream import THREADS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-servers-table",
        action="store_true",
        help="put what the tests on all servers have shown into docs/SERVERS.md",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Table(write=config.getoption("--write-servers-table")))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in left_out(config):
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Every test ends with the threads and descriptors it began with."""
    threads = set(threading.enumerate())
    descriptors = _descriptors()
    yield
    deadline = time.monotonic() + 5.0  # streams end by themselves, within STREAM_IDLE_S
    while (others := set(threading.enumerate()) - threads) and time.monotonic() < deadline:
        THREADS.end_idle()
        others.pop().join(0.05)
    left = {t.name for t in set(threading.enumerate()) - threads}
    assert not left, f"threads left: {left}"
    more = {fd: to for fd, to in _descriptors().items() if fd not in descriptors}
    assert not more, f"descriptors left: {more}"


def _descriptors() -> dict[str, str]:
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # the one that listed them
    return found
