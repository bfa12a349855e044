"""Where scripts/test has unpacked the servers that cannot be installed beside vsftpd."""

from __future__ import annotations

import os


def unpacked(path: str) -> str:
    """A file of the packages, such as usr/sbin/proftpd. Raises RuntimeError where it is not."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    top = os.environ.get("FTPFS_TEST_SERVERS") or os.path.join(cache, "ftpfs-tests", "servers")
    found = os.path.join(top, path)
    if not os.path.exists(found):
        raise RuntimeError(f"{found} is not there: run scripts/test")
    return found
