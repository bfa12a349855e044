"""What the URL commands say: failures on stderr, as coreutils word them."""

from __future__ import annotations

import os
import sys

from ftpfs.errors import (
    FtpfsError,
    LoginError,
    NameRefusedError,
    NetworkError,
    ProtocolError,
    RefusedError,
    TransferError,
)
from ftpfs.tree.events import Failed, escaped


def failure(event: Failed) -> str:
    """The line for a failure, without "ftpfs: " before it."""
    return event.text if event.error is None else f"{event.text}: {reason(event.error)}"


def reason(error: FtpfsError) -> str:
    """Why something could not be done, in the words of the C library where it has any."""
    from ftpfs.fuse.errnos import errno_of

    cause = error.__cause__
    if isinstance(cause, OSError) and not isinstance(error, NetworkError) and cause.strerror:
        return cause.strerror
    own_words = (NameRefusedError, NetworkError, LoginError, ProtocolError, TransferError)
    if isinstance(error, own_words) or type(error) is RefusedError:
        return str(error)
    return os.strerror(errno_of(error))


def safe(line: str) -> str:
    """What a server or a URL has put into a line cannot talk to the terminal."""
    return "".join(c if c.isprintable() else escaped(c) for c in line)


def complain(line: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"ftpfs: {safe(line)}\n")
    sys.stderr.flush()
