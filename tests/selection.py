"""Which tests run every time, and what is left for `scripts/test --long`.

What is left out is counted, and the last lines of the run say why: nothing is skipped in silence.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

LONG = bool(os.environ.get("FTPFS_TEST_LONG"))

_LEFT_OUT = pytest.StashKey[dict[str, int]]()


def leave_out(
    config: pytest.Config, items: list[pytest.Item], why: str, spare: Callable[[pytest.Item], bool]
) -> None:
    """Take the items that `spare` names out of the run; in place, as pytest wants it."""
    spared = [item for item in items if spare(item)]
    if not spared:
        return
    gone = set(spared)
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=spared)
    counts = config.stash.setdefault(_LEFT_OUT, {})
    counts[why] = counts.get(why, 0) + len(spared)


def left_out(config: pytest.Config) -> list[str]:
    """A line for each reason."""
    counts = config.stash.get(_LEFT_OUT, {})
    return [f"left out: {count} tests, {why}" for why, count in counts.items()]


def chosen(item: pytest.Item) -> dict[str, object]:
    """The parameters of a test, by name; of its fixtures, too."""
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}
