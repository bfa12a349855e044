"""One direction of one simulated connection (netsim.py), and the count of what came through."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

CHUNK_BYTES = 256 * 1024  # of one recv; smaller where `rate` makes that a long time
CHUNK_S = 0.005
WINDOW_BYTES = 16 << 20  # on the way at most: 1.6 GB/s at 20 ms
WINDOW_SPARE_BYTES = 128 * 1024  # what the kernels of both ends hold besides


@dataclass(frozen=True)
class Network:
    rtt_s: float
    rate: float | None = None  # bytes a second, of each direction of each connection

    @property
    def window(self) -> int:
        """Bytes that may be on the way in one direction."""
        if self.rate is None:
            return WINDOW_BYTES
        return min(int(self.rate * self.rtt_s) + WINDOW_SPARE_BYTES, WINDOW_BYTES)

    @property
    def chunk(self) -> int:
        return CHUNK_BYTES if self.rate is None else max(min(int(self.rate * CHUNK_S), 65536), 512)


class Line:
    """One direction of one connection: chunks on their way, each with the time it is due.

    Belongs to the event loop's thread. An empty chunk is the end of the stream.
    """

    def __init__(self, network: Network, earliest: float) -> None:
        self._network = network
        self._free_at = earliest - network.rtt_s / 2  # when the next byte may start its way
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._changed = asyncio.Condition()

    async def put(self, chunk: bytes) -> None:
        """Send it off; waits while the line is full."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._bytes < self._network.window)
            begin = max(time.monotonic(), self._free_at)
            rate = self._network.rate
            self._free_at = begin + (len(chunk) / rate if rate else 0.0)
            self._chunks.append((self._free_at + self._network.rtt_s / 2, chunk))
            self._bytes += len(chunk)
            self._changed.notify_all()

    async def get(self) -> bytes:
        """The next chunk, when it is due."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._chunks)
        await sleep_until(self._chunks[0][0])
        async with self._changed:
            _, chunk = self._chunks.popleft()
            self._bytes -= len(chunk)
            self._changed.notify_all()
        return chunk


async def sleep_until(when: float) -> None:
    if (left := when - time.monotonic()) > 0:
        await asyncio.sleep(left)


_TCP_CLOSE = 7  # tcpi_state, linux/tcp_states.h


class Tally:
    """Bytes that clients have sent, and have been given, over all connections of a proxy.

    The proxy's thread counts, any may ask. Given means sent to the client's kernel, which has told
    how much it takes: what the proxy still held when the client hung up does not count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = 0
        self._clients: set[socket.socket] = set()

    def bytes(self) -> int:
        with self._lock:
            return self._ended + sum(_carried(client) for client in self._clients)

    @contextlib.contextmanager
    def counting(self, client: socket.socket) -> Iterator[None]:
        """Around the life of a connection."""
        with self._lock:
            self._clients.add(client)
        try:
            yield
        finally:
            with self._lock:
                self._clients.discard(client)
                self._ended += _carried(client) + _on_its_way(client)


def _carried(end: socket.socket) -> int:
    """tcpi_bytes_received and tcpi_bytes_sent (linux/tcp.h)."""
    info = _tcp_info(end)
    (received,), (sent,) = struct.unpack_from("Q", info, 128), struct.unpack_from("Q", info, 200)
    return int(received + sent)


def _on_its_way(end: socket.socket) -> int:
    """tcpi_notsent_bytes: what the kernel still sends when the proxy is done with a connection,
    unless the client has reset it."""
    info = _tcp_info(end)
    (waiting,) = struct.unpack_from("I", info, 144)
    return 0 if info[0] == _TCP_CLOSE else int(waiting)


def _tcp_info(end: socket.socket) -> bytes:
    return end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 208)
