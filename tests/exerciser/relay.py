"""A TCP relay in front of an FTP server that counts what its data connections carry, and breaks
them where the test says so."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_EPSV_REPLY = re.compile(rb"229 [^\r\n]*\(\|\|\|(\d+)\|\)")
_CHUNK_BYTES = 1 << 16
_LOOPBACK = "127.0.0.1"


class Way(enum.Enum):
    """How a data connection breaks."""

    CUT = "closed as if that were all"
    RESET = "reset"
    STALL = "silent from there on"


@dataclass(frozen=True)
class Break:
    """The next download that comes to `after` bytes gets no more."""

    after: int
    way: Way


class Relay:
    """`url` is the server by way of the relay; `sent` and `received` are the client's bytes of
    content, on data connections only. One thread of its own runs all of it."""

    def __init__(self, port: int, credentials: str) -> None:
        self._port = port
        self._credentials = credentials
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self.breaks: deque[Break] = deque()
        self.url = ""
        self.sent = 0
        self.received = 0

    async def run(self, ready: Callable[[], None], stopped: asyncio.Event) -> None:
        self.url = f"ftp://{self._credentials}@{_LOOPBACK}:{await self._listen(self._port)}/"
        ready()
        await stopped.wait()
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, port: int, *, data: bool = False) -> int:
        """Relay what comes to a new port to the server's `port`; the new port."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(port, reader, writer, data=data))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(connected, _LOOPBACK, 0)
        self._servers.append(server)
        own: int = server.sockets[0].getsockname()[1]
        return own

    async def _serve(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, data: bool
    ) -> None:
        there, here = await asyncio.open_connection(_LOOPBACK, port)
        try:
            await asyncio.gather(
                self._copy(reader, here, up=True, data=data),
                self._copy(there, writer, up=False, data=data),
            )
        except OSError:
            pass  # reset by one side: both end
        finally:
            for each in (here, writer):
                each.transport.abort()

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, up: bool, data: bool
    ) -> None:
        carried = 0
        while chunk := await source.read(_CHUNK_BYTES):
            if data and up:
                self.sent += len(chunk)
            elif data:
                if self.breaks and carried + len(chunk) >= self.breaks[0].after:
                    broken = self.breaks.popleft()
                    target.write(chunk[: max(0, broken.after - carried)])
                    await self._break(target, broken.way)
                carried += len(chunk)
                self.received += len(chunk)
            elif not up:
                chunk = await self._readdressed(chunk)
            target.write(chunk)
            await target.drain()
        target.write_eof()

    async def _break(self, target: asyncio.StreamWriter, way: Way) -> None:
        """Raises OSError, which ends both directions; a stall ends with the relay."""
        target.transport.set_write_buffer_limits(0)
        await target.drain()
        if way is Way.STALL:
            await asyncio.Event().wait()
        if way is Way.RESET:
            own: socket.socket = target.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError

    async def _readdressed(self, replies: bytes) -> bytes:
        """Replies to EPSV name a port of the relay instead. No server splits such a line."""
        for match in list(_EPSV_REPLY.finditer(replies)):
            own = await self._listen(int(match[1]), data=True)
            replies = replies.replace(match[0], match[0].replace(match[1], b"%d" % own))
        return replies


@contextlib.contextmanager
def counted(port: int, credentials: str) -> Iterator[Relay]:
    """A relay to the FTP server at `port` on this machine; its clients must use EPSV."""
    relay = Relay(port, credentials)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(relay.run(ready.set, stopped)), name="relay"
    )
    thread.start()
    try:
        assert ready.wait(10)
        yield relay
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()
