"""A TCP proxy before an FTP server that breaks what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from servers import Server

HOST = "127.0.0.1"
ANOTHER_HOST = "127.0.0.2"
CHUNK_BYTES = 1 << 14
STALL_LOOK_S = 0.01  # how often it is looked whether what stalls may go on
_EPSV_REPLY = re.compile(rb"229 [^\r\n]*\(\|\|\|(\d+)\|\)")


@dataclass
class Faults:
    """What the proxy does; changed by the test, read by the proxy's thread.

    `cuts`: after so many bytes of content a connection is reset, for the first, second, ... such
    time; `control` as well, or only the data connection. `reply` rewrites what the server says.
    `stall_after` bytes of content nothing more goes on, in either direction, until that is None.
    """

    cuts: list[int] = field(default_factory=list)
    control: bool = True
    reply: Callable[[bytes], bytes] = lambda line: line
    stall_after: int | None = None
    oops: int | None = None  # with each so manieth reply to EPSV a process of vsftpd ends
    ports: int = 0  # replies to EPSV so far
    done: int = 0  # cuts so far
    moved: int = 0  # bytes of content since the last one


class Resettable(Protocol):
    def reset(self) -> None: ...


class Controls:
    """All control connections: under TLS nobody sees which of them a data connection is for."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []

    def reset(self) -> None:
        for pair in self.pairs:
            pair.reset()
        self.pairs.clear()


class Proxy:
    """All of it runs in the event loop of one thread.

    A port for data is one that the proxy names in the server's place. Under TLS it cannot: there
    it has, on another address, the same `ports` as the server.
    """

    def __init__(self, port: int, faults: Faults, ports: Sequence[int]) -> None:
        self._port = port
        self._faults = faults
        self._ports = ports
        self.host = ANOTHER_HOST if ports else HOST
        self._controls = Controls()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self.port = 0

    async def run(self, ready: Callable[[], None], stopped: asyncio.Event) -> None:
        self.port = await self._listen(self._port, None)
        for port in self._ports:
            await self._listen(port, self._controls, own=port)
        ready()
        await stopped.wait()
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, port: int, control: Resettable | None, own: int = 0) -> int:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(port, reader, writer, control))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(connected, self.host, own)
        self._servers.append(server)
        listening: int = server.sockets[0].getsockname()[1]
        return listening

    async def _serve(
        self,
        port: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        control: Resettable | None,
    ) -> None:
        there, here = await asyncio.open_connection(HOST, port)
        pair = Pair(writer, here)
        if control is None:
            self._controls.pairs.append(pair)
        try:
            await asyncio.gather(
                self._copy(reader, here, pair, control, replies=False),
                self._copy(there, writer, pair, control, replies=True),
            )
        except OSError:
            pass  # reset by one side, or by us
        finally:
            pair.abort()

    async def _copy(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        pair: Pair,
        control: Resettable | None,
        *,
        replies: bool,
    ) -> None:
        while chunk := await source.read(CHUNK_BYTES):
            if control is not None:
                chunk = await self._content(chunk, pair, control)
            elif replies:
                chunk = await self._said(chunk, pair)
            target.write(chunk)
            await target.drain()
        target.write_eof()

    async def _content(self, chunk: bytes, pair: Pair, control: Resettable) -> bytes:
        faults = self._faults
        faults.moved += len(chunk)
        while faults.stall_after is not None and faults.moved > faults.stall_after:
            await asyncio.sleep(STALL_LOOK_S)
        if faults.done < len(faults.cuts) and faults.moved > faults.cuts[faults.done]:
            faults.done += 1
            faults.moved = 0
            if faults.control:
                control.reset()
            pair.reset()
            raise ConnectionResetError
        return chunk

    async def _said(self, replies: bytes, control: Pair) -> bytes:
        """Replies to EPSV name a port of the proxy instead. No server splits such a line."""
        replies = self._last_words(self._faults.reply(replies), control)
        for match in list(_EPSV_REPLY.finditer(replies)):
            own = await self._listen(int(match[1]), control)
            replies = replies.replace(match[0], match[0].replace(match[1], b"%d" % own))
        return replies

    def _last_words(self, replies: bytes, control: Pair) -> bytes:
        """vsftpd's parent process ends first, and its child says so at the next command."""
        if control.dying:
            return b"500 OOPS: priv_sock_get_result\r\n"
        faults = self._faults
        if faults.oops is None or not _EPSV_REPLY.search(replies):
            return replies
        faults.ports += 1
        if faults.ports % faults.oops:
            return replies
        control.dying = True
        return _EPSV_REPLY.sub(b"500 OOPS: vsf_sysutil_bind", replies)


class Pair:
    """The two halves of a connection that goes through the proxy."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.dying = False

    def reset(self) -> None:
        for writer in self._writers:
            sock: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextlib.contextmanager
def faulty(server: Server, faults: Faults, ports: Sequence[int] = ()) -> Iterator[str]:
    """The URL of a server by way of the proxy; `ports`: those of its data connections, which must
    be given where it speaks TLS."""
    proxy = Proxy(server.port, faults, ports)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(proxy.run(ready.set, stopped)), name="faults"
    )
    thread.start()
    try:
        assert ready.wait(10)
        yield server.url.replace(f"{HOST}:{server.port}", f"{proxy.host}:{proxy.port}")
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()
