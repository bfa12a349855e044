"""scripts/netsim.py: what passes through arrives whole, in order, and not too early."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from netsim import simulated
from netsim_line import Line, Network, Tally

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

RTT_S = 0.02
BYTES = random.Random(5).randbytes(3 << 20)


@contextlib.contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """A server that talks with the one client that comes; failures of it fail the test."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            end, _ = listener.accept()
            with end:
                end.settimeout(20)
                talk(end)
        except Exception as error:  # told below
            failures.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield listener.getsockname()
        thread.join(20)
    assert failures == []


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def rest(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(1 << 16), b""))


def answer_lines(end: socket.socket) -> None:
    with end.makefile("rwb", buffering=0) as stream:
        for line in stream:
            stream.write(b"200 " + line)


def test_round_trips_and_the_connect_take_their_time() -> None:
    number = 5
    with serving(answer_lines) as target, simulated(target, RTT_S) as port:
        began = time.monotonic()
        with connected(port) as client, client.makefile("rwb", buffering=0) as stream:
            for n in range(number):
                stream.write(b"NOOP %d\r\n" % n)
                assert stream.readline() == b"200 NOOP %d\r\n" % n
        assert time.monotonic() - began >= (number + 1) * RTT_S


def test_lines_written_together_arrive_in_order() -> None:
    lines = [b"NOOP %d\r\n" % n for n in range(1000)]
    with (
        serving(answer_lines) as target,
        simulated(target, RTT_S) as port,
        connected(port) as client,
    ):
        client.sendall(b"".join(lines))
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b"".join(b"200 " + line for line in lines)


def extended(port: int) -> bytes:
    return b"229 Extended Passive Mode (|||%d|)\r\n" % port


def passive(port: int) -> bytes:
    return b"227 Passive Mode (127,0,0,1,%d,%d)\r\n" % divmod(port, 256)


def data_port(reply: bytes) -> int:
    if match := re.search(rb"\|\|\|(\d+)\|", reply):
        return int(match[1])
    numbers = re.findall(rb"\d+", reply)
    return int(numbers[-2]) * 256 + int(numbers[-1])


@pytest.mark.parametrize("reply", [extended, passive])
@pytest.mark.parametrize("rate", [None, 20e6])
def test_data_connections_carry_every_byte_both_ways(
    reply: Callable[[int], bytes], rate: float | None
) -> None:
    received = []

    def talk(control: socket.socket) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            control.sendall(b"220 first of\r\n" + reply(port))
            data, _ = listener.accept()
            with data:
                received.append(rest(data))
                data.sendall(BYTES[::-1])
        control.sendall(b"226 %d\r\n" % port)

    with (
        serving(talk) as target,
        simulated(target, RTT_S, rate) as port,
        connected(port) as client,
        client.makefile("rb") as replies,
    ):
        assert replies.readline() == b"220 first of\r\n"
        theirs = data_port(replies.readline())
        with connected(theirs) as data:
            data.sendall(BYTES)
            data.shutdown(socket.SHUT_WR)
            assert rest(data) == BYTES[::-1]
        assert replies.readline() != b"226 %d\r\n" % theirs  # the port was one of the proxy's own
    assert received == [BYTES]


def test_the_rate_is_a_limit() -> None:
    size, rate = 300_000, 1e6
    with (
        serving(lambda end: end.sendall(BYTES[:size])) as target,
        simulated(target, RTT_S, rate) as port,
    ):
        began = time.monotonic()
        with connected(port) as client:
            assert rest(client) == BYTES[:size]
        assert time.monotonic() - began >= size / rate


def test_a_reset_is_no_end() -> None:
    met: list[object] = []
    begun = threading.Event()

    def talk(end: socket.socket) -> None:
        met.append(end.recv(100))
        begun.set()
        try:
            met.append(rest(end))
        except ConnectionResetError as error:
            met.append(type(error))

    with serving(talk) as target, simulated(target, RTT_S) as port:
        client = connected(port)
        client.sendall(b"STOR half a fi\r\n")
        assert begun.wait(20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert met == [b"STOR half a fi\r\n", ConnectionResetError]


def test_a_server_that_is_not_there_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()
    with (
        simulated(nobody, RTT_S) as port,
        connected(port) as client,
        contextlib.suppress(ConnectionResetError),
    ):
        assert client.recv(1) == b""


def test_what_is_on_the_way_does_not_hold_up_what_follows_until_the_line_is_full() -> None:
    network = Network(rtt_s=1000, rate=1000)

    async def run() -> int:
        line = Line(network, time.monotonic())
        for n in range(10_000):
            try:
                await asyncio.wait_for(line.put(bytes(1000)), 0.1)
            except TimeoutError:
                return n
        return -1

    assert asyncio.run(run()) == -(-network.window // 1000) > 1000  # 1000 s at 1000 bytes a second


def test_the_tally_counts_both_ways_over_all_connections() -> None:
    tally = Tally()
    for up, down in ((1000, 2_000_000), (300_000, 0)):
        before = tally.bytes()

        def talk(end: socket.socket, down: int = down) -> None:
            rest(end)
            end.sendall(BYTES[:down])

        with (
            serving(talk) as target,
            simulated(target, RTT_S, tally=tally) as port,
            connected(port) as client,
        ):
            client.sendall(BYTES[:up])
            client.shutdown(socket.SHUT_WR)
            assert rest(client) == BYTES[:down]
        ends = 4  # the beginning and the end of a stream may count as a byte each
        assert up + down <= tally.bytes() - before <= up + down + ends


def test_the_tally_does_not_count_what_never_reached_the_client() -> None:
    """The server has written megabytes when the client has had enough."""
    tally = Tally()
    wanted, buffer, plenty = 10_000, 64 * 1024, 4 << 20
    written = threading.Event()

    def talk(end: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            for n in range(1000):
                if n * len(BYTES) > plenty:
                    written.set()
                end.sendall(BYTES)

    with (
        serving(talk) as target,
        simulated(target, RTT_S, tally=tally) as port,
        socket.socket() as client,
    ):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect(("127.0.0.1", port))
        assert len(client.recv(wanted, socket.MSG_WAITALL)) == wanted
        assert written.wait(20)
    assert wanted <= tally.bytes() <= wanted + 4 * buffer


def test_the_command_prints_its_port() -> None:
    with serving(answer_lines) as (host, theirs):
        script = str(SCRIPTS / "netsim.py")
        argv = [sys.executable, script, "--target", f"{host}:{theirs}", "--rtt-ms", "1"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                word, number = process.stdout.readline().split()
                with connected(int(number)) as client:
                    client.sendall(b"NOOP\r\n")
                    assert (word, client.recv(100)) == ("PORT", b"200 NOOP\r\n")
            finally:
                process.terminate()
