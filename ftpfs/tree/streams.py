"""Content that comes from or goes to something without a beginning to return to: standard input
and output, devices, pipes."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ftpfs.config import COPY_STEP_BYTES, SIGNAL_S
from ftpfs.errors import FtpfsError, RefusedError, TransferError
from ftpfs.remote.api import Entry, Kind
from ftpfs.remote.server import Server
from ftpfs.tree.local import LocalPlace, local_errors
from ftpfs.tree.place import Spot
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage

STDIN = "/dev/stdin"

_LOOK_MS = 50
"""How often an interruption is looked for where nothing comes."""

Write = Callable[[memoryview], object]
Read = Callable[[memoryview], int]
"""Puts bytes into a buffer; how many, 0 at the end."""


class StreamError(FtpfsError):
    """A local stream cannot be read."""


@contextmanager
def stream(path: str, stage: Stage) -> Iterator[Read]:
    """A local stream, opened; what reads from it. Both raise StreamError, and reading StoppedError,
    however long nothing comes."""
    try:
        descriptor = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise StreamError(path) from error
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)

    def read(buffer: memoryview) -> int:
        while True:
            stage.check()
            if poller.poll(_LOOK_MS):
                try:
                    return os.readv(descriptor, [buffer])
                except BlockingIOError:
                    continue  # somebody else has taken it
                except OSError as error:
                    raise StreamError(path) from error

    try:
        yield read
    finally:
        os.close(descriptor)


def pour_out(spot: Spot, write: Write, stage: Stage) -> None:
    """Give the content of a file to `write`, piece by piece."""
    buffer = memoryview(bytearray(COPY_STEP_BYTES))
    if isinstance(spot.place, ServerPlace):
        with stage.line(spot.place.server) as line:
            line.retrieve(spot.path)
            while count := line.receive(buffer):
                stage.check()
                write(buffer[:count])
        return
    with local_errors(spot.path), open(spot.path, "rb", buffering=0) as file:
        while count := file.readinto(buffer) or 0:
            stage.check()
            write(buffer[:count])


def pour_in(read: Read, spot: Spot, there: Entry | None, stage: Stage) -> None:
    """Make a file of what `read` gives; it gets its name when it is whole."""
    if isinstance(spot.place, ServerPlace):
        _to_server(read, spot.path, spot.place, there, stage)
    else:
        assert isinstance(spot.place, LocalPlace)
        _to_disk(read, spot.path, spot.place, there, stage)


def _to_server(
    read: Read, path: str, place: ServerPlace, there: Entry | None, stage: Stage
) -> None:
    with stage.line(place.server) as line:
        temporary = line.temporary(path)
        try:
            line.store(temporary)
            size = _pump(read, line.send, stage)
            line.end()
            line.stored()
            line.release()
            _publish(place.server, temporary, path, size, there)
        except BaseException:
            line.release()
            if there is None or temporary != path:
                with suppress(FtpfsError):
                    place.server.unlink(temporary)
            raise


def _publish(server: Server, temporary: str, path: str, size: int, there: Entry | None) -> None:
    held = server.fingerprint(temporary)
    if held is None or held.size != size:
        raise TransferError(f"{path}: the server does not hold the {size} bytes sent")
    if there is not None and there.kind is Kind.FILE and there.mode is not None:
        with suppress(RefusedError):
            server.chmod(temporary, there.mode)
    if temporary != path:
        server.rename(temporary, path)


def _to_disk(read: Read, path: str, place: LocalPlace, there: Entry | None, stage: Stage) -> None:
    if there is not None and there.kind is Kind.OTHER:
        with local_errors(path), open(path, "wb") as device:
            _pump(read, device.write, stage)
        return
    temporary = os.path.join(os.path.dirname(path), f".ftpfs-{os.urandom(6).hex()}")
    try:
        with stage.writing(), local_errors(path):
            with open(temporary, "xb") as file:
                _pump(read, file.write, stage)
                if there is not None and there.mode is not None:
                    os.fchmod(file.fileno(), there.mode)
            os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _pump(read: Read, write: Callable[[memoryview], object], stage: Stage) -> int:
    """How many bytes went over."""
    buffer = memoryview(bytearray(COPY_STEP_BYTES))
    size = 0
    while count := read(buffer):
        stage.check()
        write(buffer[:count])
        size += count
    stage.pause(SIGNAL_S)
    return size
