"""Many small files over one connection, each in as few round trips as FTP has for it: three.

Both functions are generators that yield where an answer is awaited. One thread may drive those of
several lines, and works for one while the server works for another (a near server answers sooner
than threads can change places), or each line has a thread (a far one).

    fetch   [MDTM] EPSV RETR ~ connect ~ content, then the next EPSV RETR ~ 226    ~ is a yield
    send    what is left to do for the file before, EPSV ~ connect + STOR + content ~ 226

What is left to do for a file that was sent: SIZE, to compare; then, if it has a temporary name,
the rename; time and permission bits. It costs no round trip of its own.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ftpfs.errors import (
    FtpfsError,
    NetworkError,
    RefusedError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.answers import number_of, time_of
from ftpfs.remote.line import Line
from ftpfs.session.login import Command
from ftpfs.wire.reply import Reply

log = logging.getLogger(__name__)


class Incoming(Protocol):
    """A file that is wanted. `delivered` or `failed` is called once."""

    @property
    def source_path(self) -> str: ...
    @property
    def wants_time(self) -> bool: ...
    def delivered(self, content: memoryview, mtime_ns: int | None) -> None: ...
    def failed(self, error: FtpfsError) -> None: ...


class Outgoing(Protocol):
    """A file to be sent. `stored` or `failed` is called once, after `content` gave something."""

    @property
    def target_path(self) -> str: ...
    @property
    def replaces(self) -> bool: ...  # there is something at the target that must stay whole
    @property
    def mtime_ns(self) -> int | None: ...  # to be set; None: left to the server
    @property
    def mode(self) -> int | None: ...
    def content(self) -> memoryview | bytes | None: ...  # None: it is not to be sent after all
    def stored(self, undressed: FtpfsError | None) -> None: ...  # why it lacks its time or mode
    def failed(self, error: FtpfsError) -> None: ...


def fetch(line: Line, files: Iterator[Incoming], buffer: memoryview) -> Iterator[None]:
    """Deliver each file. One that fills `buffer` is delivered so far: there may be more of it."""
    received: _Received | None = None
    file = _asked(line, files)
    while file is not None or received is not None:
        yield
        whole = received is not None and received.confirmed(line)
        replies = None if file is None else _begun(line, file)
        if received is not None and whole:  # the server is busy with the next one meanwhile
            received.deliver(buffer)
        received = None
        if file is not None and replies is not None:
            yield
            received = _received(line, file, replies, buffer)
        file = _asked(line, files)


class _Received(NamedTuple):
    """A file whose content is in the buffer, and whose final reply has not been read."""

    file: Incoming
    size: int
    replies: list[Reply]

    def confirmed(self, line: Line) -> bool:
        try:
            line.confirm()
        except FtpfsError as error:
            self.file.failed(error)
            return False
        return True

    def deliver(self, buffer: memoryview) -> None:
        mtime_ns = time_of(self.replies[0]) if self.replies else None
        self.file.delivered(buffer[: self.size], mtime_ns)


def _begun(line: Line, file: Incoming) -> list[Reply] | None:
    """The replies to what was asked along with the port, the download running; None: it failed."""
    try:
        replies = line.answers()
        line.retrieve(file.source_path)
    except FtpfsError as error:
        line.abort()
        file.failed(error)
        return None
    return replies


def _received(
    line: Line, file: Incoming, replies: list[Reply], buffer: memoryview
) -> _Received | None:
    try:
        size = line.receive_to_end(buffer)
    except FtpfsError as error:
        line.abort()
        file.failed(error)
        return None
    received = _Received(file, size, replies)
    if size < len(buffer):
        return received
    received.deliver(buffer)
    return None


def _asked(line: Line, files: Iterator[Incoming]) -> Incoming | None:
    """The next file that could be asked for."""
    for file in files:
        try:
            time = [("MDTM", line.server_path(file.source_path))] if file.wants_time else []
            line.ask(*time, download=file.source_path)
        except FtpfsError as error:
            file.failed(error)
        else:
            return file
    return None


# -- sending --------------------------------------------------------------------------------------


class _Left(Protocol):
    """Something left to do on the server, along with the next file's questions."""

    def commands(self, line: Line) -> list[Command]: ...
    def take(self, replies: list[Reply]) -> _Left | None:
        """Read the answers to `commands`; what is left then. Does not raise."""
        ...

    def lost(self, error: NetworkError) -> None: ...


@dataclass
class _Sent:
    """A file whose content the server has confirmed: compare its size, set time and permission
    bits, then rename it, where it has a temporary name."""

    file: Outgoing
    size: int
    place: str
    checked: bool = False
    undressed: FtpfsError | None = None

    def commands(self, line: Line) -> list[Command]:
        if self.checked:
            return line.renaming(self.place, self.file.target_path)
        try:
            dress = line.dressing(self.place, self.file.mtime_ns, self.file.mode)
        except RefusedError as error:
            dress, self.undressed = [], error
        return [("SIZE", line.server_path(self.place)), *dress]

    def take(self, replies: list[Reply]) -> _Left | None:
        if self.checked:
            return self._renamed(replies[1])
        self.checked = True
        held, *dressed = replies
        if held.code == 213 and number_of(held) != self.size:
            self.file.failed(
                TransferError(
                    f"{self.file.target_path}: the server confirmed {self.size} bytes but holds"
                    f" {number_of(held)}"
                )
            )
            return self._rubbish()
        for reply in dressed:
            if not reply.ok:
                self.undressed = RefusedError(f"{self.file.target_path}: refused: {reply}")
        if self.place != self.file.target_path:
            return self
        self.file.stored(self.undressed)
        return None

    def _renamed(self, reply: Reply) -> _Left | None:
        if reply.ok:
            self.file.stored(self.undressed)
            return None
        self.file.failed(UnsupportedError(f"{self.file.target_path}: RNTO refused: {reply}"))
        return self._rubbish()

    def _rubbish(self) -> _Left | None:
        """What has its final name is sent once more, maybe by now."""
        return None if self.place == self.file.target_path else _Rubbish(self.place)

    def lost(self, error: NetworkError) -> None:
        self.file.failed(error)


class _Rubbish(NamedTuple):
    """What a failed upload left behind."""

    place: str

    def commands(self, line: Line) -> list[Command]:
        return [("DELE", line.server_path(self.place))]

    def take(self, replies: list[Reply]) -> None:
        pass  # it may never have been there

    def lost(self, error: NetworkError) -> None:
        log.warning("%s: an unfinished file may be left on the server", self.place)


def send(line: Line, files: Iterator[Outgoing]) -> Iterator[None]:
    """Send each file; one that replaces another goes to a temporary name first, where it may."""
    left: list[_Left] = []
    for file in files:
        asked = _ask(line, left)
        content = file.content()  # the server is busy with what was asked meanwhile
        yield
        _take(line, left, asked)
        if content is None:
            continue
        place = line.temporary(file.target_path) if file.replaces else file.target_path
        try:
            line.store(place)
            line.send(content)
            line.end()
            yield
            line.stored()
        except FtpfsError as error:
            line.abort()
            file.failed(error)
            kept = file.replaces and place == file.target_path
            if (line.accepted or isinstance(error, TransferError)) and not kept:
                left.append(_Rubbish(place))
        else:
            left.append(_Sent(file, len(content), place))
    while left:
        asked = _ask(line, left)
        yield
        _take(line, left, asked)


def _ask(line: Line, left: list[_Left]) -> list[list[Command]]:
    """Ask for a port, and for the next step of what is left to do; what that is for each."""
    commands = [each.commands(line) for each in left]
    try:
        line.ask(*itertools.chain.from_iterable(commands))
    except NetworkError as error:
        _lose(left, error)
    return commands


def _take(line: Line, left: list[_Left], asked: list[list[Command]]) -> None:
    """Read the answers to what was asked; what is over is left no more."""
    if asked and not left:
        return  # it was lost
    try:
        replies = iter(line.answers())
    except NetworkError as error:
        _lose(left, error)
        return
    now = [
        each.take(list(itertools.islice(replies, len(commands))))
        for each, commands in zip(left, asked, strict=True)
    ]
    left[:] = [each for each in now if each is not None]


def _lose(left: list[_Left], error: NetworkError) -> None:
    for each in left:
        each.lost(error)
    left.clear()
