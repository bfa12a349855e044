"""How data connections come about, passive and active, on scripts; and a listener on loopback."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from fakes.script import DataTransport, FakeListener, Network

from ftpfs.config import CONNECT_TIMEOUT_S, EPSV_CONNECT_S
from ftpfs.errors import DeadlineError, NetworkError, ProtocolError, UnreachableError
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError, Transfer
from ftpfs.session.transport import connect_tcp
from ftpfs.wire.endpoint import format_eprt, format_port

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
IN = "< 220 hi\n> USER joe\n< 230 in\n> TYPE I\n< 200 ok\n"
OUT = "> QUIT\n< 221 bye\n"
BUFFER = memoryview(bytearray(100))


class Opened:
    """A session behind its login, at `host`, with the listeners that it will need."""

    def __init__(
        self,
        script: str,
        login: Login = LOGIN,
        host: str = "192.0.2.1",
        listeners: tuple[FakeListener, ...] = (),
        **verdicts: Any,
    ) -> None:
        self.data = DataTransport(b"content")
        self.network = Network(IN + script, data={5000: self.data})
        self.network._waiting[0].peer_host = host
        self.network._waiting[0].listeners = list(listeners)
        self.listeners = listeners
        self.profile = Profile(features_asked=True, **verdicts)
        self.session = Session.open(login, self.profile, self.network.connect)

    def retrieve(self, offset: int = 0, directory: str = "") -> bytes:
        return everything(self.session.transfer("RETR", "/a", offset=offset, directory=directory))

    def end(self) -> None:
        self.session.close()
        self.network.assert_finished()
        assert all(listener.closed for listener in self.listeners)


def everything(transfer: Transfer) -> bytes:
    found = b""
    while count := transfer.readinto(BUFFER):
        found += BUFFER[:count]
    transfer.finish()
    return found


# -- passive --------------------------------------------------------------------------------------

EPSV_DEAD = "> EPSV\n< 229 (|||4999|)\n"
PASV = "> PASV\n< 227 (10,0,0,1,19,136)\n"
RETR = "> RETR /a\n< 150 ok\n< 226 done\n"


@pytest.mark.parametrize("epsv", [EPSV_DEAD, "> EPSV\n< 229 what?\n"], ids=["dead", "no port"])
def test_an_epsv_port_that_is_dead_is_replaced_by_pasv(epsv: str) -> None:
    """On the same session, and for the rest of the mount; nobody hears of it."""
    opened = Opened(epsv + PASV + RETR + PASV + RETR + OUT)
    assert opened.retrieve() == b"content"
    opened.data.content = b"more"
    assert opened.retrieve() == b"more"
    assert opened.profile.epsv is False
    assert opened.network.dialled[-2:] == [(5000, CONNECT_TIMEOUT_S)] * 2
    opened.end()


def test_the_first_epsv_port_has_less_time() -> None:
    script = "> EPSV\n< 229 (|||5000|)\n" + RETR
    opened = Opened(script * 2 + OUT)
    opened.retrieve()
    opened.retrieve()
    assert opened.profile.epsv is True
    assert opened.network.dialled == [(5000, EPSV_CONNECT_S), (5000, CONNECT_TIMEOUT_S)]
    opened.end()


def test_an_epsv_that_worked_for_an_earlier_mount_is_tried_first() -> None:
    """From another network, maybe: nor is a port asked for in advance before it has worked."""
    opened = Opened("> NOOP\n< 200 ok\n" + EPSV_DEAD + PASV + RETR + OUT)
    opened.profile.believe("epsv", True, 0.0)
    opened.session.exchange_and_arm(("NOOP", None))
    assert opened.retrieve() == b"content"
    assert opened.profile.epsv is False
    opened.end()


def test_where_no_port_answers_nothing_is_learnt_and_active_mode_is_named() -> None:
    opened = Opened(EPSV_DEAD + "> PASV\n< 227 (10,0,0,1,19,135)\n")
    with pytest.raises(UnreachableError, match="-o active"):
        opened.retrieve()
    assert opened.profile.epsv is None
    assert opened.session.broken
    opened.end()


def test_a_dead_port_is_what_is_told_where_pasv_is_refused() -> None:
    opened = Opened(EPSV_DEAD + "> PASV\n< 502 no\n")
    with pytest.raises(UnreachableError, match="4999"):
        opened.retrieve()
    opened.end()


@pytest.mark.parametrize("refusal", ["< 502 no", "< 229 (|||4999|)"])
def test_over_ipv6_there_is_no_pasv_and_that_is_said(refusal: str) -> None:
    opened = Opened(f"> EPSV\n{refusal}\n{OUT}", host="2001:db8::1")
    with pytest.raises(ProtocolError, match="over IPv6, where PASV is not possible"):
        opened.retrieve()
    opened.end()


def test_over_ipv6_epsv_is_used_whatever_was_learnt() -> None:
    opened = Opened("> EPSV\n< 229 (|||5000|)\n" + RETR + OUT, host="2001:db8::1", epsv=False)
    assert opened.retrieve() == b"content"
    opened.end()


@pytest.mark.parametrize(("obey", "host"), [(False, "192.0.2.1"), (True, "10.0.0.1")])
def test_the_address_of_a_227_is_used_only_where_the_user_says_so(obey: bool, host: str) -> None:
    opened = Opened(PASV + RETR + OUT, LOGIN._replace(obey_pasv=obey), epsv=False)
    opened.retrieve()
    assert opened.network.hosts == [host]
    opened.end()


def test_a_command_that_cannot_be_sent_closes_the_connection_that_was_tried() -> None:
    opened = Opened("> EPSV\n< 229 (|||5000|)\n> LOST")
    with pytest.raises(NetworkError):
        opened.retrieve()
    opened.end()  # finds the data connection closed


# -- active ---------------------------------------------------------------------------------------

ACTIVE = LOGIN._replace(active=True)


def our_port(data: bytes | None = b"content") -> FakeListener:
    return FakeListener(("192.0.2.9", 5000), None if data is None else DataTransport(data))


def test_active() -> None:
    """Two round trips, as many as passive mode takes; a new port for each transfer."""
    script = """
        > CWD /d
        >+ EPRT |1|192.0.2.9|5000|
        < 250 there
        < 200 ok
        > REST 3
        >+ RETR /a
        < 350 from 3
        < 150 ok
        < 226 done
        > EPRT |1|192.0.2.9|5000|
        < 200 ok
        > RETR /a
        < 150 ok
        < 226 done
    """
    opened = Opened(script + OUT, ACTIVE, listeners=(our_port(b"tent"), our_port()))
    assert opened.retrieve(directory="/d", offset=3) == b"tent"
    assert opened.retrieve() == b"content"
    assert opened.profile.eprt is True
    opened.end()


def test_eprt_refused_once_is_not_tried_again() -> None:
    port = "> PORT 192,0,2,9,19,136\n< 200 ok\n" + RETR
    script = "> EPRT |1|192.0.2.9|5000|\n< 500 what?\n" + port * 2
    opened = Opened(script + OUT, ACTIVE, listeners=(our_port(), our_port()))
    assert opened.retrieve() == opened.retrieve() == b"content"
    assert opened.profile.eprt is False
    opened.end()


def test_eprt_refused_over_ipv6() -> None:
    script = "> EPRT |2|2001:db8::9|5000|\n< 522 no\n"
    listener = FakeListener(("2001:db8::9", 5000))
    opened = Opened(script + OUT, ACTIVE, "2001:db8::1", (listener,))
    with pytest.raises(ReplyError) as caught:
        opened.retrieve()
    assert caught.value.verb == "EPRT"
    opened.end()


@pytest.mark.parametrize(
    ("said", "kind"),
    [("< 425 cannot connect", ReplyError), ("< 150 coming", DeadlineError)],
)
def test_a_server_that_does_not_come(said: str, kind: type[Exception]) -> None:
    out = OUT if kind is ReplyError else ""  # after silence the session is of no use
    script = f"> EPRT |1|192.0.2.9|5000|\n< 200 ok\n> RETR /a\n{said}\n{out}"
    opened = Opened(script, ACTIVE, listeners=(our_port(None),))
    with pytest.raises(kind):
        opened.retrieve()
    opened.end()


def test_no_command_while_a_transfer_runs_nor_a_port_in_advance() -> None:
    script = "> EPRT |1|192.0.2.9|5000|\n< 200 ok\n" + RETR
    opened = Opened(script + OUT, ACTIVE, listeners=(our_port(),), grouping=True)
    opened.session.more_to_come = True
    assert opened.retrieve() == b"content"
    opened.end()


def test_small_uploads_wait_for_the_connection() -> None:
    script = "> EPRT |1|192.0.2.9|5000|\n< 200 ok\n> STOR /a\n< 150 ok\n< 226 done\n" + OUT
    opened = Opened(script, ACTIVE, listeners=(our_port(b""),), grouping=True)
    transfer = opened.session.transfer("STOR", "/a", early=True)
    assert transfer.begun
    transfer.finish(upload=True)
    opened.end()


def test_arguments() -> None:
    assert format_eprt("fe80::1%eth0", 5000) == "|2|fe80::1|5000|"
    assert format_eprt("192.0.2.9", 1) == "|1|192.0.2.9|1|"
    assert format_port("192.0.2.9", 65535) == "192,0,2,9,255,255"


def test_a_stranger_is_hung_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        control = connect_tcp("127.0.0.1", server.getsockname()[1], 5.0)
        listener = control.listen()
        stranger = socket.create_connection(listener.address, 5.0, ("127.0.0.2", 0))
        expected = socket.create_connection(listener.address, 5.0, ("127.0.0.1", 0))
        expected.sendall(b"data")
        data = listener.accept(5.0)
        buffer = bytearray(10)
        assert buffer[: data.recv_into(buffer, 5.0)] == b"data"
        assert stranger.recv(1) == b""
        for each in (data, listener, control, stranger, expected):
            each.close()


# -- replies --------------------------------------------------------------------------------------


def test_a_reply_that_comes_a_byte_at_a_time_is_bounded_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte comes well within the time for one wait."""
    opened = Opened("> NOOP\n< 200 a long reply")
    control, now = opened.network.control, [0.0]
    opened.session._clock = lambda: now[0]
    whole = control.recv_into

    def one_byte(buffer: bytearray, timeout_s: float) -> int:
        now[0] += 1.0
        return whole(memoryview(buffer)[:1], timeout_s)

    monkeypatch.setattr(control, "recv_into", one_byte)
    with pytest.raises(DeadlineError, match="no whole reply"):
        opened.session.command("NOOP")
    assert now[0] <= LOGIN.timeout_s + 1
    assert opened.session.broken
    opened.end()
