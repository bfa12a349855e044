from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.script import DataTransport, Network

from ftpfs.config import (
    ABORT_TIMEOUT_S,
    ARMED_S,
    EARLY_BYTES,
    FINAL_REPLY_TIMEOUT_S,
    GROUP_TIMEOUT_S,
)
from ftpfs.errors import (
    ClosingError,
    ConnectionLimitError,
    DeadlineError,
    FtpfsError,
    LoginError,
    NameRefusedError,
    NetworkError,
    OutOfStepError,
    ProtocolError,
    UnreachableError,
)
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError, Transfer

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
BUFFER = memoryview(bytearray(1 << 16))


def known(**verdicts: Any) -> Profile:
    """A profile of a server that was asked for its features before."""
    return Profile(features_asked=True, **verdicts)


IN = """
    < 220 ready
    > USER joe
    < 331 password?
    > PASS secret
    < 230 in
    > TYPE I
    < 200 binary
"""
OUT = """
    > QUIT
    < 221 bye
"""


class Opened:
    """A session on a script that begins behind the login and ends before QUIT."""

    def __init__(
        self, script: str, profile: Profile | None = None, data: DataTransport | None = None
    ) -> None:
        self.data = data or DataTransport()
        self.network = Network(IN + script, data={5000: self.data})
        self.profile = profile or known(epsv=True)
        self.session = Session.open(LOGIN, self.profile, self.network.connect)
        self.logged_in = self.network.control.packets

    @property
    def packets(self) -> int:
        """Round trips since the login."""
        return self.network.control.packets - self.logged_in

    def end(self) -> None:
        self.session.close()
        self.network.assert_finished()


def everything(transfer: Transfer) -> bytes:
    found = b""
    while count := transfer.readinto(BUFFER):
        found += BUFFER[:count]
    return found


# -- login ----------------------------------------------------------------------------------------

LOGINS = {
    "331 and 230": ("< 220 ready", "> USER joe", "< 331 pw?", "> PASS secret", "< 230 in"),
    "230 at once": ("< 220 ready", "> USER joe", "< 230 no password needed"),
    "120 first": (
        *("< 120 ready in 1 minute", "< 220 ready", "> USER joe"),
        *("< 331 pw?", "> PASS secret", "< 230 in"),
    ),
    "banner of several lines": (
        *("< 220-hello", "< 220-331 is not a code here", "<  530 nor this", "< 220 go on"),
        *("> USER joe", "< 331 pw?", "> PASS secret", "< 230-motd", "< 230 in"),
    ),
    "lines of a wrapper before the greeting": (
        ("< Property of Example Inc.", "< 220 ready", "> USER joe", "< 230 in")
    ),
    "202 for PASS": (
        "< 220 ready",
        "> USER joe",
        "< 331 pw?",
        "> PASS secret",
        "< 202 superfluous",
    ),
}


@pytest.mark.parametrize("lines", LOGINS.values(), ids=LOGINS)
def test_login(lines: tuple[str, ...]) -> None:
    network = Network("\n".join(lines) + "\n> TYPE I\n< 200 ok" + OUT)
    session = Session.open(LOGIN, known(), network.connect)
    assert session.usable()
    session.close()
    network.assert_finished()


REFUSED_LOGINS = {
    "530 for PASS": (
        (
            "< 220 hi",
            "> USER joe",
            "< 331 pw?",
            "> PASS secret",
            "< 530 Login incorrect.",
            "> QUIT",
        ),
        LoginError,
    ),
    "530 for USER": (("< 220 hi", "> USER joe", "< 530 Denied.", "> QUIT"), LoginError),
    "332 for USER": (("< 220 hi", "> USER joe", "< 332 account?", "> QUIT"), LoginError),
    "332 for PASS": (
        ("< 220 hi", "> USER joe", "< 331 pw?", "> PASS secret", "< 332 account?", "> QUIT"),
        LoginError,
    ),
    "TLS demanded (vsftpd)": (
        (
            "< 220 hi",
            "> USER joe",
            "< 530 Non-anonymous sessions must use encryption.",
            "> QUIT",
        ),
        LoginError,
    ),
    "530 too many (Pure-FTPd)": (
        (
            "< 220 hi",
            "> USER joe",
            "< 331 pw?",
            "> PASS secret",
            "< 530 Sorry, too many users: the maximum number of clients is reached",
            "> QUIT",
        ),
        ConnectionLimitError,
    ),
    "421 too many as greeting (vsftpd)": (
        ("< 421 There are too many connections from your internet address.",),
        ConnectionLimitError,
    ),
    "421 for another reason": (("< 421 Service not available",), ClosingError),
    "421 for PASS": (
        ("< 220 hi", "> USER joe", "< 331 pw?", "> PASS secret", "< 421 Too many sessions"),
        ConnectionLimitError,
    ),
    "451 for PASS": (
        ("< 220 hi", "> USER joe", "< 331 pw?", "> PASS secret", "< 451 no database", "> QUIT"),
        NetworkError,
    ),
    "554 greeting": (("< 554 go away", "> QUIT"), LoginError),
    "hangs up": (("< EOF",), NetworkError),
    "hangs up after USER": (("< 220 hi", "> USER joe", "< EOF"), NetworkError),
    "SSH": (("< SSH-2.0-OpenSSH_9.2p1",), DeadlineError),
    "silence": ((), DeadlineError),
    "silence after USER": (("< 220 hi", "> USER joe"), DeadlineError),
}


@pytest.mark.parametrize(("lines", "kind"), REFUSED_LOGINS.values(), ids=REFUSED_LOGINS)
def test_refused_login(lines: tuple[str, ...], kind: type[FtpfsError]) -> None:
    network = Network("\n".join(lines))
    with pytest.raises(kind) as caught:
        Session.open(LOGIN, known(), network.connect)
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)
    network.assert_finished()


def test_unreachable() -> None:
    with pytest.raises(UnreachableError):
        Session.open(LOGIN, known(), Network().connect)


def test_wait_for_the_greeting_is_the_configured_one() -> None:
    network = Network("")
    with pytest.raises(DeadlineError, match="right port"):
        Session.open(LOGIN, known(), network.connect)
    assert network.control.timeouts == [7.0]


def test_password_is_not_in_repr() -> None:
    assert "secret" not in repr(LOGIN)


# -- what is learnt -------------------------------------------------------------------------------

START = "< 220 hi\n> USER joe\n< 230 in\n"


def test_features_are_asked_once_for_all_sessions() -> None:
    first = """
        > FEAT
        >+ PWD
        < 211-Features:
        <  MLST type*;size*;modify*;perm;unix.mode;
        <  UTF8
        < 211 End
        < 257 "/home/joe" is the current directory
        > TYPE I
        >+ OPTS UTF8 ON
        >+ OPTS MLST type;size;modify;perm;unix.mode;
        < 200 binary
        < 200 on
        < 200 facts
    """
    second = """
        > TYPE I
        >+ OPTS UTF8 ON
        >+ OPTS MLST type;size;modify;perm;unix.mode;
        < 200 binary
        < 501 no
        < 501 no
    """
    network = Network(START + first + OUT, START + second + OUT)
    profile = Profile()
    sessions = [Session.open(LOGIN, profile, network.connect) for _ in range(2)]
    assert profile.login_directory == "/home/joe"
    assert "MLSD" in profile.features.names
    for session in sessions:
        session.close()
    network.assert_finished()


def test_facts_that_are_on_already_are_not_asked_for() -> None:
    network = Network(
        START
        + """
        > FEAT
        >+ PWD
        < 211-Features:
        <  MLST type*;size*;modify*;lang;
        < 211 End
        < 257 "/"
        > TYPE I
        < 200 binary
        """
        + OUT
    )
    Session.open(LOGIN, Profile(), network.connect).close()
    network.assert_finished()


@pytest.mark.parametrize(
    "refusal", ["500 Unknown command", "502 no", "530 Please login", "211 none"]
)
def test_feat_refused(refusal: str) -> None:
    script = f"> FEAT\n>+ PWD\n< {refusal}\n< 257 ok\n> TYPE I\n< 200 ok"
    profile = Profile()
    network = Network(START + script.replace("257 ok", '257 "/a ""b"""') + OUT)
    Session.open(LOGIN, profile, network.connect).close()
    assert not profile.features.names
    assert profile.features_asked
    assert profile.login_directory == '/a "b"'
    network.assert_finished()


def test_pwd_refused_leaves_the_root_as_login_directory() -> None:
    profile = Profile()
    network = Network(START + "> FEAT\n>+ PWD\n< 500 no\n< 550 no\n> TYPE I\n< 200 ok" + OUT)
    Session.open(LOGIN, profile, network.connect).close()
    assert profile.login_directory == "/"


# -- commands -------------------------------------------------------------------------------------


def test_commands_in_one_packet() -> None:
    opened = Opened(
        """
        > SIZE /a
        >+ MDTM /a
        < 213 5
        < 213 20240101000000
        """
        + OUT
    )
    replies = opened.session.exchange(("SIZE", "/a"), ("MDTM", "/a"))
    assert [str(reply) for reply in replies] == ["213 5", "213 20240101000000"]
    assert opened.packets == 1
    opened.end()


def test_commands_one_at_a_time_without_grouping() -> None:
    script = "> SIZE /a\n< 550 no\n> MDTM /a\n< 213 20240101000000"
    opened = Opened(script + OUT, known(epsv=True, grouping=False))
    replies = opened.session.exchange(("SIZE", "/a"), ("MDTM", "/a"))
    assert [reply.code for reply in replies] == [550, 213]
    assert opened.packets == 2
    opened.end()


@pytest.mark.parametrize("grouping", [True, False])
@pytest.mark.parametrize("name", ["/a\rb", "/a\nDELE b", "/a\0", "/\ud800"])
def test_a_name_that_cannot_be_sent(grouping: bool, name: str) -> None:
    opened = Opened(OUT, known(grouping=grouping))
    with pytest.raises(NameRefusedError):
        opened.session.exchange(("RNFR", "/old"), ("RNTO", name))
    assert opened.packets == 0
    assert opened.session.usable()
    opened.end()


def test_bytes_that_are_not_utf8_are_sent_as_they_are() -> None:
    opened = Opened("> DELE /\udce4\n< 250 ok" + OUT)
    assert opened.session.command("DELE", "/\udce4").ok
    opened.end()


def test_a_process_of_the_server_that_ends_with_a_word() -> None:
    opened = Opened("> NOOP\n< 500 OOPS: vsf_sysutil_bind")
    with pytest.raises(ClosingError, match="the server's process has ended: 500 OOPS"):
        opened.session.command("NOOP")
    assert opened.session.broken


def test_no_port_in_advance_where_the_server_has_run_out_of_them() -> None:
    profile = known(epsv=True, grouping=True)
    lost = Opened("> EPSV\n< 500 OOPS: vsf_sysutil_bind", profile)
    with pytest.raises(ClosingError):
        lost.session.transfer("RETR", "/a")
    opened = Opened("> SIZE /a\n< 213 5" + OUT, profile)
    opened.session.arm()
    assert len(opened.session.exchange_and_arm(("SIZE", "/a"))) == 1
    opened.end()


def test_421_in_mid_session() -> None:
    opened = Opened("> NOOP\n< 421 Timeout.")
    with pytest.raises(NetworkError, match="closed the connection"):
        opened.session.command("NOOP")
    assert opened.session.broken
    opened.end()  # without QUIT


IDLE_LIMITS = {
    "421 Timeout.": 90.0,  # vsftpd; it was idle for so long
    "421 Idle timeout (600 seconds): closing control connection": 600.0,
    "421 Timeout (120 seconds): closing control connection.": 120.0,
    "421 Connection timed out.": 90.0,
    "421 Data timeout. Reconnect. Sorry.": None,
    "421 Service shutting down": None,
}


@pytest.mark.parametrize("idle", [True, False])
@pytest.mark.parametrize(("said", "limit_s"), IDLE_LIMITS.items())
def test_the_idle_limit_is_learnt(
    said: str, limit_s: float | None, idle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is found before the next command or by it."""
    opened = Opened("" if idle else f"> NOOP\n< {said}")
    now = opened.session._last
    opened.session._last -= 90.0
    opened.session._clock = lambda: now
    if idle:
        opened.network.control.say(said)
        assert not opened.session.usable()
    else:
        send = opened.network.control.send
        monkeypatch.setattr(opened.session, "_send", lambda *_: send(b"NOOP\r\n"))
        with pytest.raises(NetworkError):
            opened.session.command("NOOP")
    assert opened.profile.idle_s == limit_s
    assert opened.session.idle_s == min(60.0, (limit_s or 1e9) / 2)
    opened.end()


def test_a_connection_that_is_one_too_many_later_on() -> None:
    opened = Opened("> NOOP\n< 421 Too many connections from this address")
    with pytest.raises(ClosingError):
        opened.session.command("NOOP")
    assert opened.session.over_limit
    opened.end()


def test_hung_up_in_mid_session() -> None:
    opened = Opened("> NOOP\n< EOF")
    with pytest.raises(NetworkError):
        opened.session.command("NOOP")
    assert opened.session.broken
    opened.end()


def test_silence_in_mid_session() -> None:
    opened = Opened("> NOOP")
    with pytest.raises(DeadlineError):
        opened.session.command("NOOP")
    assert opened.session.broken
    assert opened.network.control.timeouts == [7.0]
    opened.end()


def test_a_packet_that_cannot_be_sent() -> None:
    opened = Opened("> LOST")
    with pytest.raises(NetworkError):
        opened.session.command("NOOP")
    assert opened.session.broken
    opened.end()


def test_a_reply_without_end() -> None:
    opened = Opened("> NOOP\n< " + "x" * 9000)
    with pytest.raises(ProtocolError):
        opened.session.command("NOOP")
    assert opened.session.broken
    opened.end()


@pytest.mark.parametrize("left_over", ["221 timeout, bye", "EOF"])
def test_a_session_out_of_step_is_not_usable(left_over: str) -> None:
    opened = Opened(OUT)
    assert opened.session.usable()
    if left_over == "EOF":
        opened.network.control.hang_up()
    else:
        opened.network.control.say(left_over)
    assert not opened.session.usable()
    opened.end()


def test_quit_that_cannot_be_sent_does_not_raise() -> None:
    opened = Opened("> LOST")
    opened.end()


def test_quit_is_said_once() -> None:
    opened = Opened(OUT)
    opened.session.close()
    opened.end()


def test_abandon_says_nothing() -> None:
    opened = Opened("")
    opened.session.abandon()
    opened.end()


# -- directories ----------------------------------------------------------------------------------


def test_change_directory() -> None:
    opened = Opened("> CWD /a\n< 250 ok\n> CWD /b\n< 550 no" + OUT)
    opened.session.change_directory("/a")
    assert opened.session.go_to("/a") == []
    with pytest.raises(ReplyError):
        opened.session.change_directory("/b")
    assert opened.session.go_to("/a") == [("CWD", "/a")]  # where we are is in doubt
    opened.end()


# -- downloads ------------------------------------------------------------------------------------


def test_retrieve_in_two_round_trips() -> None:
    script = """
        > EPSV
        < 229 Entering Extended Passive Mode (|||5000|)
        > RETR /a
        < 150 here it comes
        < 226 done
    """
    opened = Opened(script + OUT, data=DataTransport(b"content"))
    transfer = opened.session.transfer("RETR", "/a")
    assert everything(transfer) == b"content"
    assert transfer.finish().code == 226
    assert opened.packets == 2
    assert opened.session.usable()
    opened.end()


def test_retrieve_from_an_offset_costs_no_round_trip_more() -> None:
    script = """
        > EPSV
        < 229 (|||5000|)
        > REST 1000
        >+ RETR /a
        < 350 go on
        < 150 from there
        < 226 done
    """
    opened = Opened(script + OUT, data=DataTransport(b"rest"))
    transfer = opened.session.transfer("RETR", "/a", offset=1000)
    assert everything(transfer) == b"rest"
    transfer.finish()
    assert opened.packets == 2
    opened.end()


def test_a_port_whose_answer_is_left_for_later() -> None:
    script = """
        > EPSV
        < 229 Entering Extended Passive Mode (|||5000|)
        > RETR /file
        < 150 here it comes
        < 226 done
        """
    opened = Opened(script + OUT, known(epsv=True, grouping=True), DataTransport(b"content"))
    opened.session.arm()
    assert opened.session.usable()
    transfer = opened.session.transfer("RETR", "/file")
    assert everything(transfer) == b"content"
    transfer.finish()
    assert opened.packets == 2
    opened.end()


def test_another_command_reads_the_answer_to_the_port_first() -> None:
    script = "> EPSV\n< 229 (|||5000|)\n> SIZE /a\n< 213 5"
    opened = Opened(script + OUT, known(epsv=True, grouping=True))
    opened.session.arm()
    assert opened.session.command("SIZE", "/a").text == "5"
    opened.end()


def test_no_port_in_advance_from_a_server_that_takes_one_command_at_a_time() -> None:
    opened = Opened(OUT, known(epsv=True, grouping=False))
    opened.session.arm()
    opened.end()


PYFTPDLIB_421 = "421 Passive data channel timed out."
ARM = "> EPSV\n< 229 Entering Extended Passive Mode (|||5000|)"


def armed(then: str = "") -> Opened:
    """A session that has asked for the port of a transfer which does not come."""
    script = f"{ARM}\n{then}"
    opened = Opened(script + OUT, known(epsv=True, grouping=True))
    opened.session.arm()
    return opened


def test_a_port_that_was_not_used_in_time_costs_no_connection() -> None:
    """pyftpdlib says so after 30 s, and goes on; whether or not the 229 was read before."""
    still_here = "> NOOP\n< 200 still here"
    opened = armed(still_here)
    opened.network.control.say(PYFTPDLIB_421)
    assert opened.session.usable()
    assert opened.session.usable()
    assert opened.session.command("NOOP").ok
    opened.end()

    opened = armed(still_here)
    assert opened.session.usable()
    opened.network.control.say(PYFTPDLIB_421)
    assert opened.session.usable()
    assert opened.session.command("NOOP").ok
    opened.end()


@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize(
    "said", ["421 Timeout.", "421 Service not available, closing control connection.", "200 what?"]
)
def test_what_else_a_server_says_unasked_costs_the_connection(said: str, read_before: bool) -> None:
    opened = armed()
    if read_before:
        assert opened.session.usable()
    opened.network.control.say(said)
    assert not opened.session.usable()
    opened.session.close()


def test_a_server_that_hung_up_while_a_port_was_waiting() -> None:
    opened = armed()
    opened.network.control.hang_up()
    assert not opened.session.usable()
    opened.session.close()


def test_a_port_that_timed_out_on_a_server_that_then_hangs_up() -> None:
    opened = armed()
    opened.network.control.say(PYFTPDLIB_421)
    opened.network.control.hang_up()
    assert not opened.session.usable()
    opened.session.close()


def test_without_a_port_in_advance_a_421_costs_the_connection() -> None:
    opened = Opened(OUT)
    opened.network.control.say(PYFTPDLIB_421)
    assert not opened.session.usable()
    opened.session.close()


def test_half_a_reply_is_not_in_step() -> None:
    opened = armed()
    opened.network.control._arrived += b"421 Passive data"
    assert not opened.session.usable()
    opened.session.close()


def test_an_end_of_a_transfer_that_is_answered_by_a_port_is_out_of_step() -> None:
    """The next port is asked for as soon as the data have ended: a server may answer that first."""
    script = """
        > EPSV
        < 229 ok (|||5000|)
        > RETR /a
        < 150 ok
        > EPSV
        < 229 ok (|||5001|)
        """
    opened = Opened(script, known(epsv=True, grouping=True))
    opened.session.more_to_come = True
    transfer = opened.session.transfer("RETR", "/a")
    everything(transfer)
    with pytest.raises(OutOfStepError):
        transfer.finish()
    assert opened.profile.grouping is False
    assert opened.session.broken
    opened.session.close()


def test_a_port_is_asked_for_as_soon_as_the_data_have_ended() -> None:
    """One round trip a file, where one follows the other."""
    script = """
        > EPSV
        < 229 ok (|||5000|)
        > RETR /a
        < 150 ok
        > EPSV
        < 226 done
        < 229 ok (|||5000|)
        > RETR /b
        < 150 ok
        > EPSV
        < 226 done
        < 229 ok (|||5000|)
        """
    opened = Opened(script + OUT, known(epsv=True, grouping=True))
    opened.session.more_to_come = True
    for path in ("/a", "/b"):
        transfer = opened.session.transfer("RETR", path)
        everything(transfer)
        transfer.finish()
    assert opened.session.usable()
    opened.end()


def test_a_port_after_a_transfer_that_was_cut_short() -> None:
    script = """
        > EPSV
        < 229 ok (|||5000|)
        > RETR /a
        < 150 ok
        < 426 cut
        > EPSV
        < 229 ok (|||5000|)
        > REST 5
        >+ RETR /a
        < 350 ok
        < 150 ok
        < 226 done
        """
    opened = Opened(script + OUT, known(epsv=True, grouping=True))
    opened.session.transfer("RETR", "/a").abort()
    transfer = opened.session.transfer("RETR", "/a", offset=5)
    everything(transfer)
    transfer.finish()
    opened.end()


OUT_OF_STEP = {
    "a reply is missing": "< 213 5\n< 229 (|||5000|)",
    "two replies change places": "< 229 (|||5000|)\n< 213 5\n< 213 20200101000000",
    "all but the first are thrown away": "< 213 5",
}


@pytest.mark.parametrize("answer", OUT_OF_STEP.values(), ids=OUT_OF_STEP)
def test_a_server_that_answers_out_of_step_gets_one_command_at_a_time(answer: str) -> None:
    profile = known(epsv=True)
    opened = Opened(f"> SIZE /a\n>+ MDTM /a\n>+ EPSV\n{answer}", profile)
    profile.grouping = None
    with pytest.raises(OutOfStepError):
        opened.session.exchange(("SIZE", "/a"), ("MDTM", "/a"), ("EPSV", None))
    assert opened.session.broken
    assert profile.grouping is False
    assert all(t <= GROUP_TIMEOUT_S for t in opened.network.control.timeouts)
    opened.session.close()


def test_silence_of_a_server_that_can_group_is_a_lost_connection() -> None:
    profile = known(epsv=True, grouping=True)
    opened = Opened("> SIZE /a\n>+ MDTM /a\n< 213 5", profile)
    with pytest.raises(DeadlineError):
        opened.session.exchange(("SIZE", "/a"), ("MDTM", "/a"))
    assert profile.grouping is True
    opened.session.close()


def test_one_group_that_was_answered_in_full_decides() -> None:
    profile = known(epsv=True)
    opened = Opened("> SIZE /a\n>+ MDTM /a\n< 550 no\n< 550 no" + OUT, profile)
    opened.session.exchange(("SIZE", "/a"), ("MDTM", "/a"))
    assert profile.grouping is True
    opened.end()


def test_a_login_that_gets_out_of_step_is_repeated() -> None:
    first = "> FEAT\n>+ PWD\n< 500 no"
    again = '> FEAT\n< 500 no\n> PWD\n< 257 "/"\n> TYPE I\n< 200 ok'
    profile = Profile()
    network = Network(START + first, START + again + OUT)
    Session.open(LOGIN, profile, network.connect).close()
    network.assert_finished()
    assert (profile.grouping, profile.login_directory) == (False, "/")


def test_retrieve_from_an_offset_without_grouping() -> None:
    script = """
        > EPSV
        < 229 (|||5000|)
        > REST 1000
        < 350 go on
        > RETR /a
        < 150 from there
        < 226 done
    """
    opened = Opened(script + OUT, known(epsv=True, grouping=False), DataTransport(b"rest"))
    transfer = opened.session.transfer("RETR", "/a", offset=1000)
    assert everything(transfer) == b"rest"
    transfer.finish()
    opened.end()


REST_REFUSED = {
    "the transfer starts at 0": (
        "> REST 9\n>+ RETR /a\n< 502 no REST\n< 150 from the start\n< 426 cut\n"
        "> EPSV\n< 229 (|||5000|)",
        True,
    ),
    "RETR is refused as well": ("> REST 9\n>+ RETR /a\n< 502 no REST\n< 550 no file", True),
    "one at a time": ("> REST 9\n< 502 no REST", False),
}


@pytest.mark.parametrize(("script", "grouping"), REST_REFUSED.values(), ids=REST_REFUSED)
def test_rest_refused(script: str, grouping: bool) -> None:
    data = DataTransport(b"not to be used")
    profile = known(epsv=True, grouping=grouping)
    opened = Opened(
        f"> EPSV\n< 229 (|||5000|)\n{script}\n> NOOP\n< 200 in step" + OUT, profile, data
    )
    with pytest.raises(ReplyError) as caught:
        opened.session.transfer("RETR", "/a", offset=9)
    assert caught.value.verb == "REST"
    assert str(opened.session.command("NOOP")) == "200 in step"
    assert data.closed is grouping  # one at a time, none was opened
    opened.end()


def test_retr_refused() -> None:
    script = "> EPSV\n< 229 (|||5000|)\n> RETR /a\n< 550 Failed to open file.\n> NOOP\n< 200 ok"
    opened = Opened(script + OUT)
    with pytest.raises(ReplyError) as caught:
        opened.session.transfer("RETR", "/a")
    assert (caught.value.verb, caught.value.reply.code) == ("RETR", 550)
    assert opened.session.command("NOOP").ok
    opened.end()


RETR = "> EPSV\n< 229 (|||5000|)\n> RETR /a\n"


@pytest.mark.parametrize("final", ["426 Failure writing network stream.", "451 read error"])
def test_final_reply_decides(final: str) -> None:
    opened = Opened(f"{RETR}< 150 ok\n< {final}" + OUT, data=DataTransport(b"cont"))
    transfer = opened.session.transfer("RETR", "/a")
    assert everything(transfer) == b"cont"
    with pytest.raises(ReplyError) as caught:
        transfer.finish()
    assert str(caught.value.reply) == final
    assert opened.session.usable()
    opened.end()


def test_final_reply_before_the_data() -> None:
    opened = Opened(f"{RETR}< 226 sent" + OUT, data=DataTransport(b"content", step=3))
    transfer = opened.session.transfer("RETR", "/a")
    assert everything(transfer) == b"content"
    assert transfer.finish().code == 226
    assert opened.session.usable()
    opened.end()


def test_the_final_reply_has_a_long_time() -> None:
    opened = Opened(f"{RETR}< 150 ok")
    transfer = opened.session.transfer("RETR", "/a")
    with pytest.raises(DeadlineError):
        transfer.finish()
    assert opened.network.control.timeouts == [FINAL_REPLY_TIMEOUT_S]
    opened.end()


@pytest.mark.parametrize("final", ["426 cut", "226 done", "451 aborted"])
def test_abort_drains_the_reply(final: str) -> None:
    opened = Opened(f"{RETR}< 150 ok\n< {final}\n> NOOP\n< 200 in step" + OUT)
    opened.session.transfer("RETR", "/a").abort()
    assert opened.data.closed
    assert str(opened.session.command("NOOP")) == "200 in step"
    opened.end()


def test_abort_of_a_transfer_that_had_its_final_reply() -> None:
    opened = Opened(f"{RETR}< 226 done\n> NOOP\n< 200 in step" + OUT)
    opened.session.transfer("RETR", "/a").abort()
    assert str(opened.session.command("NOOP")) == "200 in step"
    opened.end()


def test_abort_without_a_reply_costs_the_session() -> None:
    opened = Opened(f"{RETR}< 150 ok")
    opened.session.transfer("RETR", "/a").abort()
    assert opened.session.broken
    assert opened.network.control.timeouts == [ABORT_TIMEOUT_S]
    opened.end()


def test_data_connection_lost_in_the_middle() -> None:
    opened = Opened(f"{RETR}< 150 ok", data=DataTransport(b"cont", breaks=True))
    transfer = opened.session.transfer("RETR", "/a")
    with pytest.raises(NetworkError):
        everything(transfer)
    assert opened.session.broken
    transfer.abort()
    assert opened.network.control.timeouts == []  # nothing is waited for on a broken session
    opened.end()


def test_data_connection_refused() -> None:
    opened = Opened("> EPSV\n< 229 (|||5001|)\n> RETR /a")
    with pytest.raises(UnreachableError):
        opened.session.transfer("RETR", "/a")
    assert opened.session.broken
    opened.end()


# -- EPSV, PASV, TYPE -----------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", ["500 what?", "522 use (1)", "425 not for you"])
def test_epsv_refused_once_is_not_tried_again(refusal: str) -> None:
    script = f"""
        > EPSV
        < {refusal}
        > PASV
        < 227 Entering Passive Mode (10,0,0,1,19,136).
        > RETR /a
        < 150 ok
        < 226 done
        > PASV
        < 227 =203,0,113,9,19,136
        > RETR /a
        < 150 ok
        < 226 done
    """
    opened = Opened(script + OUT, known())
    for _ in range(2):
        everything(transfer := opened.session.transfer("RETR", "/a"))
        transfer.finish()
    assert opened.profile.epsv is False
    # The host in a 227 is not believed: it is wrong behind NAT, or hostile.
    assert opened.network.hosts == ["server.example"] * 2
    opened.end()


def test_epsv_that_has_worked_is_not_given_up() -> None:
    opened = Opened("> EPSV\n< 425 no port free" + OUT)
    with pytest.raises(ReplyError):
        opened.session.transfer("RETR", "/a")
    assert opened.profile.epsv is True
    opened.end()


def test_epsv_and_pasv_refused() -> None:
    opened = Opened("> EPSV\n< 502 no\n> PASV\n< 425 no port free" + OUT, known())
    with pytest.raises(ReplyError) as caught:
        opened.session.transfer("RETR", "/a")
    assert (caught.value.verb, caught.value.reply.code) == ("PASV", 425)
    opened.end()


def test_no_port_in_the_reply() -> None:
    opened = Opened("> EPSV\n< 229 ok" + OUT)
    with pytest.raises(ProtocolError):
        opened.session.transfer("RETR", "/a")
    opened.end()


def test_directory_and_passive_in_one_packet() -> None:
    script = """
        > CWD /a b
        >+ EPSV
        < 250 there
        < 229 (|||5000|)
        > MLSD
        < 150 ok
        < 226 done
        > EPSV
        < 229 (|||5000|)
        > MLSD
        < 150 ok
        < 226 done
    """
    opened = Opened(script + OUT, data=DataTransport(b"type=file; x\r\n"))
    for _ in range(2):  # the second time it is there already
        everything(transfer := opened.session.transfer("MLSD", directory="/a b"))
        transfer.finish()
    assert opened.packets == 4
    opened.end()


def test_directory_refused() -> None:
    script = "> CWD /a\n>+ EPSV\n< 550 Failed to change directory.\n< 229 (|||5000|)"
    opened = Opened(script + OUT)
    with pytest.raises(ReplyError) as caught:
        opened.session.transfer("MLSD", directory="/a")
    assert caught.value.verb == "CWD"
    assert opened.session.go_to("/a") == [("CWD", "/a")]
    assert opened.session.usable()
    opened.end()


def test_binary_is_asked_for_until_it_is_granted() -> None:
    login = IN.replace("200 binary", "503 not now")
    network = Network(
        login
        + """
        > TYPE I
        >+ EPSV
        < 200 binary
        < 229 (|||5000|)
        > RETR /a
        < 150 ok
        < 226 done
        """
        + OUT,
        data={5000: DataTransport(b"x")},
    )
    session = Session.open(LOGIN, known(epsv=True), network.connect)
    everything(transfer := session.transfer("RETR", "/a"))
    transfer.finish()
    session.close()
    network.assert_finished()


def test_a_transfer_is_refused_rather_than_made_as_text() -> None:
    login = IN.replace("200 binary", "504 no")
    network = Network(login + "> TYPE I\n>+ EPSV\n< 504 no\n< 229 (|||5000|)" + OUT)
    session = Session.open(LOGIN, known(epsv=True), network.connect)
    with pytest.raises(ReplyError) as caught:
        session.transfer("RETR", "/a")
    assert caught.value.verb == "TYPE"
    session.close()
    network.assert_finished()


# -- uploads --------------------------------------------------------------------------------------

STOR = "> EPSV\n< 229 (|||5000|)\n> STOR /a\n< 150 go ahead\n"


def test_store() -> None:
    opened = Opened(STOR + "< 226 done" + OUT)
    transfer = opened.session.transfer("STOR", "/a")
    assert transfer.send_file(io.BytesIO(b"content"), 0, 7) == 7
    assert transfer.finish(upload=True).code == 226
    assert bytes(opened.data.received) == b"content"
    assert opened.data.ended
    assert opened.packets == 2
    opened.end()


@pytest.fixture
def refused_in_the_middle() -> Iterator[Opened]:
    script = "< 552 Quota exceeded\n> NOOP\n< 200 in step"
    opened = Opened(STOR + script + OUT, data=DataTransport(room=3, breaks=True))
    yield opened
    opened.end()


def test_the_server_hangs_up_in_the_middle_and_says_why(refused_in_the_middle: Opened) -> None:
    session = refused_in_the_middle.session
    transfer = session.transfer("STOR", "/a")
    with pytest.raises(ReplyError) as caught:
        transfer.send_file(io.BytesIO(b"content"), 0, 7)
    assert caught.value.reply.code == 552
    transfer.abort()  # its reply was read: none is waited for
    assert refused_in_the_middle.network.control.timeouts == []
    assert str(session.command("NOOP")) == "200 in step"


def test_the_server_hangs_up_at_the_end_and_says_why(refused_in_the_middle: Opened) -> None:
    session = refused_in_the_middle.session
    transfer = session.transfer("STOR", "/a")
    assert transfer.send_file(io.BytesIO(b"abc"), 0, 3) == 3
    with pytest.raises(ReplyError) as caught:
        transfer.finish(upload=True)
    assert caught.value.reply.code == 552
    assert str(session.command("NOOP")) == "200 in step"


@pytest.mark.parametrize("last", ["< EOF", "", "< 226 done"])
def test_lost_in_the_middle(last: str) -> None:
    out = OUT if "226" in last else ""
    opened = Opened(STOR + last + out, data=DataTransport(room=3, breaks=True))
    transfer = opened.session.transfer("STOR", "/a")
    with pytest.raises(NetworkError):
        transfer.send_file(io.BytesIO(b"content"), 0, 7)
    transfer.abort()
    opened.end()


@pytest.mark.parametrize("final", ["426 cut", "451 disk error", "552 full"])
def test_store_refused_at_the_end(final: str) -> None:
    opened = Opened(STOR + f"< {final}" + OUT)
    transfer = opened.session.transfer("STOR", "/a")
    transfer.send_file(io.BytesIO(b"content"), 0, 7)
    with pytest.raises(ReplyError) as caught:
        transfer.finish(upload=True)
    assert str(caught.value.reply) == final
    opened.end()


# -- a port in advance ----------------------------------------------------------------------------

CHECK_AND_ARM = """
    > SIZE /a
    >+ MDTM /a
    >+ EPSV
    < 213 5
    < 213 20240101000000
    < 229 ok (|||5000|)
"""
FETCH = """
    > RETR /a
    < 150 ok
    < 226 done
"""


def test_a_port_asked_for_in_advance_saves_a_round_trip() -> None:
    opened = Opened(CHECK_AND_ARM + FETCH + OUT)
    replies = opened.session.exchange_and_arm(("SIZE", "/a"), ("MDTM", "/a"))
    assert [reply.code for reply in replies] == [213, 213]
    everything(transfer := opened.session.transfer("RETR", "/a"))
    transfer.finish()
    assert opened.packets == 2
    opened.end()


def test_a_port_asked_for_too_long_ago_is_not_used() -> None:
    now = 0.0
    network = Network(
        CHECK_AND_ARM + "> EPSV\n< 229 ok (|||5000|)" + FETCH + OUT, data={5000: DataTransport()}
    )
    session = Session(
        network.connect("h", 21, 7.0), LOGIN, known(epsv=True), network.connect, lambda: now
    )
    session._binary = True
    session.exchange_and_arm(("SIZE", "/a"), ("MDTM", "/a"))
    now = ARMED_S
    everything(transfer := session.transfer("RETR", "/a"))
    transfer.finish()
    session.close()
    network.assert_finished()


def test_no_port_in_advance_where_commands_go_one_by_one() -> None:
    opened = Opened("> SIZE /a\n< 213 5" + OUT, known(epsv=True, grouping=False))
    assert len(opened.session.exchange_and_arm(("SIZE", "/a"))) == 1
    opened.end()


# -- a small upload goes before the reply ---------------------------------------------------------


def small_upload(opened: Opened) -> Transfer:
    transfer = opened.session.transfer("STOR", "/a", early=True)
    assert transfer.send_file(io.BytesIO(b"small"), 0, 5) == 5
    return transfer


def test_a_small_upload_does_not_wait_for_the_reply() -> None:
    opened = Opened("> EPSV\n< 229 (|||5000|)\n> STOR /a\n< 150 ok\n< 226 done" + OUT)
    transfer = small_upload(opened)
    assert not transfer.begun
    assert transfer.finish(upload=True).code == 226
    assert bytes(opened.data.received) == b"small"
    opened.end()


def test_a_large_upload_waits_for_the_reply() -> None:
    opened = Opened("> EPSV\n< 229 (|||5000|)\n> STOR /a\n< 553 no" + OUT)
    transfer = opened.session.transfer("STOR", "/a", early=True)
    with pytest.raises(ReplyError, match="553"):
        transfer.send_file(io.BytesIO(bytes(EARLY_BYTES + 1)), 0, EARLY_BYTES + 1)
    assert not opened.data.received
    transfer.abort()
    assert opened.session.usable()
    opened.end()


def test_a_small_upload_that_is_refused() -> None:
    opened = Opened("> EPSV\n< 229 (|||5000|)\n> STOR /a\n< 553 no" + OUT)
    with pytest.raises(ReplyError, match="553"):
        small_upload(opened).finish(upload=True)
    assert opened.session.usable()
    opened.end()


def test_a_small_upload_without_any_reply_has_not_begun() -> None:
    opened = Opened("> EPSV\n< 229 (|||5000|)\n> STOR /a\n< EOF")
    transfer = small_upload(opened)
    with pytest.raises(NetworkError):
        transfer.finish(upload=True)
    assert not transfer.begun
    opened.end()
