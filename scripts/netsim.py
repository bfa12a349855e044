"""A slow network in front of an FTP server: a TCP proxy that lets bytes arrive late.

    python scripts/netsim.py --target 127.0.0.1:2121 --rtt-ms 20 [--rate BYTES]

prints `PORT n`; clients connect to that port of 127.0.0.1. As a module:

    with simulated(("127.0.0.1", 2121), rtt_s=0.02) as port:

What is simulated, for the control connection and for passive data connections (the ports in the
replies 227 and 229 are replaced by ports of the proxy's own):

- Every byte takes RTT/2, each way, and so does the end of the stream.
- A TCP connect costs one RTT. The kernel accepts for us, so a client's connect() returns at once;
  what it sends then is held until the time at which it could have come. The server learns of the
  connection when the last part of the handshake would reach it, 1.5 RTT after the first.
- With `rate`, each direction of each connection carries that many bytes a second.

Delay is no limit to the bandwidth: chunks carry the time at which they are due, and as much is on
the way as fits into RTT x rate. Not simulated: loss, slow start, TLS (its replies cannot be read),
active mode.

A `Tally` counts the bytes that clients sent and were given.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from netsim_line import Line, Network, Tally, sleep_until

HOST = "127.0.0.1"
LINE_BYTES = 64 * 1024  # no reply line is longer
UNACCEPTED_S = 60.0  # a passive port that nobody connects to is closed then

_PASSIVE = re.compile(rb"227 .*?(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)")
_EXTENDED = re.compile(rb"229 .*?\((.)\1\1(\d+)\1\)")

Address = tuple[str, int]
Trace = Callable[[str], None]


class Proxy:
    """All of it runs in the event loop of one thread.

    `trace` is told each control line: commands (>) when the client sent them, replies (<) when
    the server did, so that the way of the one and of the other lies after the line.
    """

    def __init__(
        self,
        target: Address,
        network: Network,
        trace: Trace | None = None,
        tally: Tally | None = None,
    ) -> None:
        self._target = target
        self._network = network
        self._trace = trace
        self._tally = tally or Tally()
        self._tasks: set[asyncio.Task[None]] = set()  # else the loop forgets them

    async def serve(self, listener: socket.socket) -> None:
        """Accept control connections until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                client, _ = await loop.sock_accept(listener)
                self._start(self._control(client))
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- connections ------------------------------------------------------------------------------

    async def _control(self, client: socket.socket) -> None:
        ports: set[asyncio.Task[None]] = set()  # passive ones, nobody has connected yet

        async def replies(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            async for line in _lines(chunks):
                self._tell("<", line)
                yield self._rewritten(line, ports)

        async def commands(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            async for line in _lines(chunks):
                self._tell(">", line)
                yield line

        try:
            await self._join(client, self._target, commands, replies)
        finally:
            for task in ports:
                task.cancel()

    async def _data(
        self, listener: socket.socket, target: Address, ports: set[asyncio.Task[None]]
    ) -> None:
        """One data connection: the first that comes to `listener`."""
        with listener, contextlib.suppress(TimeoutError):
            loop = asyncio.get_running_loop()
            accepted = loop.sock_accept(listener)
            client, _ = await asyncio.wait_for(accepted, UNACCEPTED_S)
            ports.discard(asyncio.current_task())
            listener.close()
            self._tell("=", b"data connection")
            await self._join(client, target, _unchanged, _unchanged)
            self._tell("=", b"data connection over")

    async def _join(self, client: socket.socket, target: Address, up: Filter, down: Filter) -> None:
        """Carry both directions until both have ended, or one was reset."""
        began = time.monotonic()
        rtt_s = self._network.rtt_s
        with client, self._tally.counting(client), socket.socket() as server:
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            upward = Line(self._network, began + 1.5 * rtt_s)
            downward = Line(self._network, began + 2 * rtt_s)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._receive(client, upward, up))
                    await sleep_until(began + 1.5 * rtt_s)
                    await asyncio.get_running_loop().sock_connect(server, target)
                    group.create_task(self._deliver(server, upward))
                    group.create_task(self._receive(server, downward, down))
                    group.create_task(self._deliver(client, downward))
            except* OSError:
                _reset(client)
                _reset(server)

    async def _receive(self, source: socket.socket, line: Line, changed: Filter) -> None:
        async for chunk in changed(_chunks(source, self._network.chunk)):
            await line.put(chunk)
        await line.put(b"")

    async def _deliver(self, sink: socket.socket, line: Line) -> None:
        loop = asyncio.get_running_loop()
        try:
            while chunk := await line.get():
                await loop.sock_sendall(sink, chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            await asyncio.sleep(self._network.rtt_s / 2)  # the news travel too
            raise

    # -- replies ----------------------------------------------------------------------------------

    def _rewritten(self, line: bytes, ports: set[asyncio.Task[None]]) -> bytes:
        """The reply line, its data port replaced by one of ours."""
        if match := _PASSIVE.match(line):
            numbers = [int(number) for number in match.groups()]
            target = ".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5]
            port = self._listen_for_data(target, ports)
            ours = f"{HOST.replace('.', ',')},{port >> 8},{port & 255}".encode()
            return line[: match.start(1)] + ours + line[match.end(6) :]
        if match := _EXTENDED.match(line):
            port = self._listen_for_data((self._target[0], int(match[2])), ports)
            return line[: match.start(2)] + str(port).encode() + line[match.end(2) :]
        return line

    def _listen_for_data(self, target: Address, ports: set[asyncio.Task[None]]) -> int:
        listener = listening()
        port: int = listener.getsockname()[1]
        ports.add(self._start(self._data(listener, target, ports)))
        return port

    def _tell(self, mark: str, line: bytes) -> None:
        if self._trace is not None:
            text = line.decode("utf-8", "replace").strip()
            self._trace(f"{time.monotonic() * 1000:12.1f} {mark} {text}")


Filter = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]


async def _chunks(source: socket.socket, size: int) -> AsyncIterator[bytes]:
    while chunk := await asyncio.get_running_loop().sock_recv(source, size):
        yield chunk


async def _unchanged(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines; what follows the last newline comes at the end, or when no line is so long."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
        if len(rest) > LINE_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest


def _reset(end: socket.socket) -> None:
    """Let the close that follows say that the connection was cut, not ended."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def listening() -> socket.socket:
    listener = socket.create_server((HOST, 0))
    listener.setblocking(False)
    return listener


@contextlib.contextmanager
def simulated(
    target: Address,
    rtt_s: float,
    rate: float | None = None,
    trace: Trace | None = None,
    tally: Tally | None = None,
) -> Iterator[int]:
    """The proxy in a thread of its own; gives its port."""
    # select() takes microseconds; epoll rounds up to whole milliseconds, twice a round trip.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with contextlib.closing(loop), listening() as listener:
        proxy = Proxy(target, Network(rtt_s, rate), trace, tally)
        serving = loop.create_task(proxy.serve(listener))

        def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(serving)
            loop.run_until_complete(loop.shutdown_asyncgens())

        thread = threading.Thread(target=run, name="netsim")
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            loop.call_soon_threadsafe(serving.cancel)
            thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="the FTP server")
    parser.add_argument("--rtt-ms", type=float, required=True)
    parser.add_argument("--rate", type=float, metavar="BYTES", help="a second; default no limit")
    parser.add_argument("--trace", action="store_true", help="control lines and ms, on stderr")
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")

    def trace(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    target = (socket.gethostbyname(host), int(port))
    with simulated(
        target, options.rtt_ms / 1000, options.rate, trace if options.trace else None
    ) as ours:
        print(f"PORT {ours}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
