"""What the URL commands say: failures on stderr, as coreutils word them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

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


class OutputError(FtpfsError):
    """Standard output cannot be written."""


class StdoutClosedError(OutputError):
    """Nobody reads what we write: said to nobody, as coreutils end by SIGPIPE."""


@contextmanager
def output_errors() -> Iterator[None]:
    """Turns an OSError of standard output into ours."""
    try:
        yield
    except BrokenPipeError as error:
        raise StdoutClosedError("nobody reads the output") from error
    except OSError as error:
        raise OutputError(f"write error: {error.strerror}") from error


def put(text: str) -> None:
    """Write to standard output; a name that is not UTF-8 as it is. Raises OutputError."""
    if sys.stdout is None:
        raise OutputError("write error: standard output is closed")
    with output_errors():
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        if sys.stdout.line_buffering:
            sys.stdout.buffer.flush()


def flush() -> None:
    """Raises OutputError."""
    if sys.stdout is not None:
        with output_errors():
            sys.stdout.flush()


def abandon_output() -> None:
    """What could not be written is not tried again at the end of the process."""
    _abandon(sys.stdout)


def complain(line: str) -> None:
    """A line on stderr; where that cannot be written, it is said to nobody."""
    if sys.stderr is None:
        return
    with to_nobody_if_gone():
        sys.stderr.write(f"ftpfs: {safe(line)}\n")
        sys.stderr.flush()


@contextmanager
def to_nobody_if_gone() -> Iterator[None]:
    """For what writes to stderr: where it cannot, as on a terminal that was closed, this and all
    that follows goes nowhere."""
    try:
        yield
    except OSError:
        _abandon(sys.stderr)


def _abandon(stream: TextIO | None) -> None:
    """Let what a stream still holds, and all that follows, go nowhere."""
    if stream is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
