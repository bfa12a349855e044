"""Where ftpfs keeps files of its user: the XDG Base Directory Specification, version 0.8."""

from __future__ import annotations

import os


def cache_directory() -> str:
    """For what can be made again."""
    return _directory("XDG_CACHE_HOME", ".cache")


def state_directory() -> str:
    """For logs, and what mounts say of themselves."""
    return _directory("XDG_STATE_HOME", ".local/state")


def _directory(variable: str, default: str) -> str:
    """As the specification asks, a variable that holds no absolute path counts as not set."""
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), default)
    return os.path.join(base, "ftpfs")
