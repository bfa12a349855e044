"""A network that follows a script: what the client must send, and what it hears then.

    network = Network(
        '''
        < 220 ready
        > USER joe
        < 331 password?
        > CWD /a
        >+ EPSV
        < 250 there
        < 229 (|||5000|)
        '''
    )

`>` begins a packet, `>+` is a further line of the same one, `<` is what the server says once it
has that packet. `< EOF` hangs up. `> LOST` stands for a packet that cannot be sent. `> TLS` is the
handshake of the control connection, which FakeTls makes. A client that waits while the server is
silent gets its DeadlineError at once: no test has to wait for one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from ftpfs.config import CONNECT_TIMEOUT_S
from ftpfs.errors import DeadlineError, NetworkError, UnreachableError
from ftpfs.session.transport import Protected, Transport

CONTROL_PORT = 21


@dataclass
class Step:
    """One packet of the client, None for the greeting, and the server's answer to it."""

    packet: bytes | None
    answer: bytes = b""
    hangs_up: bool = False


@dataclass(kw_only=True)
class WithTls:
    """What FakeTls makes of a connection."""

    tls13: bool = False
    version: str = "TLSv1.2"
    cipher: str = "AES"
    resumed: bool = False
    fingerprint: str = ""


@dataclass
class ControlTransport(WithTls):
    """A control connection that follows its script."""

    steps: list[Step]
    peer_host: str = "server.example"
    packets: int = 0  # each is a round trip
    sent: list[str] = field(default_factory=list)
    closed: bool = False
    timeouts: list[float] = field(default_factory=list)  # of each wait that found nothing
    listeners: list[FakeListener] = field(default_factory=list)  # what `listen` gives, in order
    _arrived: bytearray = field(default_factory=bytearray)
    _hung_up: bool = False

    def __post_init__(self) -> None:
        if self.steps and self.steps[0].packet is None:
            self._play(self.steps.pop(0))

    def _play(self, step: Step) -> None:
        self._arrived += step.answer
        self._hung_up = step.hangs_up

    def say(self, line: str) -> None:
        """Something the server says unasked."""
        self._arrived += line.encode() + b"\r\n"

    def hang_up(self) -> None:
        self._hung_up = True

    def listen(self) -> FakeListener:
        return self.listeners.pop(0)

    def send(self, data: bytes | memoryview) -> None:
        assert not self.closed, "sent on a closed connection"
        packet = bytes(data)
        self.packets += 1
        self.sent += packet.decode("utf-8", "surrogateescape").splitlines()
        assert self.steps, f"nothing was expected any more, but got {packet!r}"
        step = self.steps.pop(0)
        if step.packet == b"LOST\r\n":
            raise NetworkError("connection lost while sending")
        assert packet == step.packet
        self._play(step)

    def start_tls(self) -> None:
        assert not self._arrived, f"not read before the handshake: {bytes(self._arrived)!r}"
        assert self.steps, "no handshake was expected any more"
        step = self.steps.pop(0)
        assert step.packet == b"TLS\r\n", f"a handshake in place of {step.packet!r}"
        self._play(step)

    def send_file(self, source: BinaryIO, offset: int, count: int) -> int:
        raise AssertionError("a file on the control connection")

    def recv_into(self, buffer: memoryview | bytearray, timeout_s: float) -> int:
        if not self._arrived and not self._hung_up:
            self.timeouts.append(timeout_s)
            raise DeadlineError("the server was silent too long")
        count = min(len(buffer), len(self._arrived))
        buffer[:count] = self._arrived[:count]
        del self._arrived[:count]
        return count

    def has_input(self) -> bool:
        return bool(self._arrived) or self._hung_up

    def narrow(self, window: int) -> None:
        raise AssertionError("the control connection was narrowed")

    def widen(self) -> None:
        raise AssertionError("the control connection was widened")

    def end_output(self) -> None:
        raise AssertionError("the control connection was half closed")

    def interrupt(self) -> None:
        raise AssertionError("the control connection was interrupted")

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeListener:
    """A port of ours, to which the server connects if there is `data`."""

    address: tuple[str, int]
    data: DataTransport | None = None
    closed: bool = False

    def accept(self, timeout_s: float) -> DataTransport:
        if self.data is None:
            raise DeadlineError("the server was silent too long")
        return self.data

    def close(self) -> None:
        self.closed = True


@dataclass
class DataTransport(WithTls):
    """A data connection: gives `content`, takes at most `room` bytes."""

    content: bytes = b""
    room: int = 1 << 40
    breaks: bool = False  # after `content`, or after `room`: lost, and not ended
    peer_host: str = "server.example"
    received: bytearray = field(default_factory=bytearray)
    ended: bool = False
    closed: bool = False
    step: int = 1 << 20  # most bytes in one piece
    narrowed: int | None = None
    events: list[str] = field(default_factory=list)

    def listen(self) -> FakeListener:
        raise AssertionError("a data connection was asked to listen")

    def send(self, data: bytes | memoryview) -> None:
        raise AssertionError("uploads go by send_file")

    def send_file(self, source: BinaryIO, offset: int, count: int) -> int:
        source.seek(offset)
        data = source.read(min(count, self.step))
        if len(self.received) + len(data) > self.room:
            raise NetworkError("connection lost while sending")
        self.received += data
        self.events.append("bytes")
        return len(data)

    def recv_into(self, buffer: memoryview | bytearray, timeout_s: float) -> int:
        if not self.content and self.breaks:
            raise NetworkError("connection lost while receiving")
        count = min(len(buffer), len(self.content), self.step)
        buffer[:count] = self.content[:count]
        self.content = self.content[count:]
        return count

    def has_input(self) -> bool:
        return True

    def narrow(self, window: int) -> None:
        self.narrowed = window

    def widen(self) -> None:
        self.narrowed = None

    def end_output(self) -> None:
        if self.breaks:
            raise NetworkError("connection lost while sending")
        self.ended = True
        self.events.append("end")

    def interrupt(self) -> None:
        raise AssertionError("the data connection was interrupted")

    def close(self) -> None:
        self.closed = True


class FakeTls:
    """TLS that takes no bytes. The next handshakes raise what is in `refusals`, if not None."""

    def __init__(
        self,
        *refusals: Exception | None,
        resumes: bool = True,
        fingerprint: str = "ab" * 32,
        server_tls13: bool = True,
    ) -> None:
        self.refusals = list(refusals)
        self.resumes = resumes
        self.fingerprint = fingerprint
        self.server_tls13 = server_tls13
        self.hosts: list[str] = []

    def control(self, plain: Transport, host: str, *, tls13: bool) -> ControlTransport:
        assert isinstance(plain, ControlTransport)
        self.hosts.append(host)
        plain.start_tls()
        self._shake_hands()
        plain.tls13 = tls13 and self.server_tls13
        plain.fingerprint = self.fingerprint
        return plain

    def data(self, plain: Transport, control: Protected) -> DataTransport:
        assert isinstance(plain, DataTransport)
        assert isinstance(control, ControlTransport)
        assert not control._arrived, "the handshake goes after the reply"
        plain.events.append("handshake")
        self._shake_hands()
        plain.tls13, plain.resumed = control.tls13, self.resumes
        return plain

    def trusting(self) -> FakeTls:
        return FakeTls(fingerprint=self.fingerprint)

    def _shake_hands(self) -> None:
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal


class Network:
    """Gives out control connections, one for each script, and data connections by their port."""

    def __init__(self, *scripts: str, data: dict[int, DataTransport] | None = None) -> None:
        self.controls: list[ControlTransport] = []  # as they were opened
        self.data = data or {}
        self.hosts: list[str] = []  # where data connections went
        self.dialled: list[tuple[int, float]] = []  # their ports, and how long for
        self._opened: list[DataTransport] = []
        self._waiting = [ControlTransport(_steps(script)) for script in scripts]

    @property
    def control(self) -> ControlTransport:
        return self.controls[-1]

    def connect(
        self, host: str, port: int, timeout_s: float, *, connect_s: float = CONNECT_TIMEOUT_S
    ) -> ControlTransport | DataTransport:
        if port == CONTROL_PORT:
            if not self._waiting:
                raise UnreachableError(f"{host}:{port}: Connection refused")
            self.controls.append(self._waiting.pop(0))
            return self.controls[-1]
        self.hosts.append(host)
        self.dialled.append((port, connect_s))
        if port not in self.data:
            raise UnreachableError(f"{host}:{port}: Connection refused")
        self._opened.append(self.data[port])
        return self.data[port]

    def assert_finished(self) -> None:
        """Every line of every script was reached, and every connection opened is closed."""
        assert not self._waiting, "fewer connections than scripts"
        for control in self.controls:
            assert [step.packet for step in control.steps] == []
            assert control.closed
        assert all(data.closed for data in self._opened)


def _steps(script: str) -> list[Step]:
    steps: list[Step] = []
    for line in filter(None, map(str.strip, script.splitlines())):
        mark, _, text = line.partition(" ")
        raw = text.encode("utf-8", "surrogateescape") + b"\r\n"
        if mark == ">":
            steps.append(Step(raw))
        elif mark == ">+":
            assert steps[-1].packet is not None
            steps[-1].packet += raw
        elif mark == "<":
            if not steps:
                steps.append(Step(None))
            if text == "EOF":
                steps[-1].hangs_up = True
            else:
                steps[-1].answer += raw
        else:
            raise AssertionError(f"not a line of a script: {line}")
    return steps
