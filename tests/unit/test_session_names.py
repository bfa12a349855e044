"""How names go over a control connection: encodings, telnet, long paths; and replies left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fakes.script import DataTransport, Network

from ftpfs.errors import NameRefusedError, UnreachableError
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.features import Features

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
START = "< 220 ready\n> USER joe\n< 331 password?\n> PASS secret\n< 230 in\n"
SETTLED = START + "> TYPE I\n< 200 ok\n"
OUT = "> QUIT\n< 221 bye\n"
LONG = "d" * 400

Open = Callable[..., Session]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Makes a session on a script; in the end every line of it was reached."""
    networks: list[Network] = []
    sessions: list[Session] = []

    def make(script: str, profile: Profile, data: DataTransport | None = None) -> Session:
        networks.append(Network(script + OUT, data={5000: data or DataTransport()}))
        profile.features_asked = True
        sessions.append(Session.open(LOGIN, profile, networks[-1].connect))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
    for network in networks:
        network.assert_finished()


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "encoding", "sent"),
    [
        ({"UTF8"}, "utf-8", ["OPTS UTF8 ON"]),
        ({"UTF8", "CLNT"}, "utf-8", ["CLNT ftpfs", "OPTS UTF8 ON"]),
        ({"UTF8", "CLNT"}, "cp1251", ["CLNT ftpfs", "OPTS UTF8 OFF"]),
        ({"CLNT"}, "utf-8", []),
    ],
)
def test_utf8_is_asked_for(
    opened: Open, features: set[str], encoding: str, sent: list[str]
) -> None:
    asked = "".join(f">+ {line}\n" for line in sent)
    script = START + "> TYPE I\n" + asked + "< 200 ok\n" * (1 + len(sent))
    opened(script, Profile(features=Features(frozenset(features)), encoding=encoding))


def test_names_in_the_encoding_of_the_server(opened: Open) -> None:
    raw = "отчёт".encode("koi8-r").decode("utf-8", "surrogateescape")
    script = SETTLED + f"> MKD {raw}\n< 257 {raw}\n"
    reply = opened(script, Profile(encoding="koi8-r")).command("MKD", "отчёт")
    assert reply.text == "отчёт"


def test_a_character_that_the_encoding_lacks_is_not_sent(opened: Open) -> None:
    session = opened(SETTLED, Profile(encoding="latin-1"))
    with pytest.raises(NameRefusedError, match="latin-1"):
        session.exchange(("RNFR", "a"), ("RNTO", "日本"))


# -- telnet ---------------------------------------------------------------------------------------

PROBE = "> CWD .\udcff\udcf2\n"


def test_a_byte_255_is_doubled_for_a_server_that_speaks_telnet(opened: Open) -> None:
    script = PROBE + "< 250 here\n> CWD /\udcff\udcff\n< 250 there\n> DELE \udcff\udcff\n< 250 ok\n"
    session = opened(SETTLED + script, Profile())
    assert session.command("CWD", "/\udcff").ok
    assert session.command("DELE", "\udcff").ok


def test_a_byte_255_is_left_alone_for_others(opened: Open) -> None:
    script = PROBE + "< 550 no such directory\n> CWD .\n< 250 here\n"
    script += "> RNFR \udcff\n>+ RNTO \udcff\udcfe\n"
    session = opened(SETTLED + script + "< 350 to?\n< 250 ok\n", Profile())
    session.exchange(("RNFR", "\udcff"), ("RNTO", "\udcff\udcfe"))


def test_a_byte_255_where_the_working_directory_is_gone(opened: Open) -> None:
    """Its refusal says nothing of telnet. Commands that come later do not rely on being there."""
    script = "> CWD /a\n< 250 there\n" + PROBE + "< 550 no\n> CWD .\n< 550 no\n"
    script += "> CWD /\n< 250 there\n" + PROBE + "< 250 there\n> MKD /\udcff\udcff\n< 257 ok\n"
    session = opened(SETTLED + script + "> CWD /a\n< 250 there\n", Profile())
    session.enter("/a")
    assert session.command("MKD", "/\udcff").ok
    session.enter("/a")


def test_a_password_is_sent_as_it_is(opened: Open) -> None:
    """Before the login no server can be asked."""
    login = Login("server.example", 21, "joe", "\udcff", timeout_s=7.0)
    network = Network(START.replace("secret", "\udcff") + "> TYPE I\n< 200 ok\n" + OUT)
    session = Session.open(login, Profile(features_asked=True), network.connect)
    session.close()
    network.assert_finished()


# -- long paths -----------------------------------------------------------------------------------


def test_a_long_directory_is_entered_in_parts(opened: Open) -> None:
    steps = f"> CWD /{LONG}\n< 250 ok\n> CWD ./~{LONG}\n< 250 ok\n"
    session = opened(SETTLED + steps, Profile())
    for _ in range(2):
        session.enter(f"/{LONG}/~{LONG}")


def test_a_listing_of_a_long_directory(opened: Open) -> None:
    moves = f"> CWD /{LONG}\n>+ CWD ./{LONG}\n>+ EPSV\n< 250 ok\n< 250 ok\n< 229 (|||5000|)\n"
    session = opened(SETTLED + moves + "> LIST\n< 150 ok\n< 226 ok\n", Profile(epsv=True))
    session.transfer("LIST", directory=f"/{LONG}/{LONG}").finish()


def test_half_way_into_a_long_directory_is_nowhere(opened: Open) -> None:
    """What comes next must not be told relative to where it was thought to be."""
    moves = f"> CWD /{LONG}\n>+ CWD ./{LONG}\n>+ EPSV\n< 250 ok\n< 550 no\n< 229 (|||5000|)\n"
    script = "> CWD /a\n< 250 ok\n" + moves + "> CWD /a\n< 250 ok\n"
    session = opened(SETTLED + script, Profile(epsv=True))
    session.enter("/a")
    with pytest.raises(ReplyError):
        session.transfer("LIST", directory=f"/{LONG}/{LONG}")
    session.enter("/a")


@pytest.mark.parametrize("armed", [False, True], ids=["", "armed"])
def test_a_listing_that_is_refused_leaves_nobody_somewhere_else(opened: Open, armed: bool) -> None:
    """The CWD before it went well: what is relative to `/a` must not be said any more."""
    script = "> CWD /a\n< 250 ok\n"
    if armed:
        script += "> NOOP\n>+ EPSV\n< 200 ok\n< 229 (|||5000|)\n> CWD /b\n>+ LIST\n< 250 ok\n"
    else:
        script += "> CWD /b\n>+ EPSV\n< 250 ok\n< 229 (|||5000|)\n> LIST\n"
    profile = Profile(epsv=True, grouping=True)
    session = opened(SETTLED + script + "< 550 no\n> CWD /a\n< 250 ok\n", profile)
    session.enter("/a")
    if armed:
        session.exchange_and_arm(("NOOP", None))
    with pytest.raises(ReplyError):
        session.transfer("LIST", directory="/b")
    session.enter("/a")


# -- data connections that do not come about ------------------------------------------------------


def test_a_refusal_says_more_than_a_data_connection_that_is_refused(opened: Open) -> None:
    """ProFTPD stops to listen when it refuses an upload."""
    script = "> EPSV\n< 229 (|||5001|)\n> STOR /a\n< 550 Overwrite permission denied\n"
    session = opened(SETTLED + script, Profile(epsv=True))
    with pytest.raises(ReplyError, match="Overwrite"):
        session.transfer("STOR", "/a", early=True)
    assert not session.broken


@pytest.mark.parametrize("reply", ["< 150 come\n", ""])
def test_a_data_connection_that_is_refused_costs_the_session(reply: str) -> None:
    script = SETTLED + "> EPSV\n< 229 (|||5001|)\n> REST 5\n>+ RETR /a\n< 350 ok\n" + reply
    network = Network(script)
    session = Session.open(LOGIN, Profile(features_asked=True, epsv=True), network.connect)
    with pytest.raises(UnreachableError):
        session.transfer("RETR", "/a", offset=5)
    assert session.broken
    session.close()
    network.assert_finished()


# -- replies left over ----------------------------------------------------------------------------

CUT = "> EPSV\n< 229 (|||5000|)\n> RETR /a\n< 150 ok\n< 226 sent\n"


@pytest.mark.parametrize("left", ["426 you hung up", "226 abort successful"])
def test_a_second_reply_to_a_cut_transfer_answers_nothing(opened: Open, left: str) -> None:
    script = SETTLED + CUT + f"> DELE /b\n< {left}\n< 550 no such file\n"
    session = opened(script, Profile(epsv=True))
    session.transfer("RETR", "/a").abort()
    assert session.command("DELE", "/b").code == 550
    assert not session.broken


def test_an_answer_that_looks_left_over_is_the_answer_where_no_other_comes(opened: Open) -> None:
    network = Network(SETTLED + CUT + "> DELE /b\n< 226 deleted\n", data={5000: DataTransport()})
    session = Session.open(LOGIN, Profile(features_asked=True, epsv=True), network.connect)
    session.transfer("RETR", "/a").abort()
    assert session.command("DELE", "/b").code == 226
    assert session.broken, "an answer may be on its way all the same"
    session.close()
    network.assert_finished()


def test_without_a_cut_transfer_every_reply_is_an_answer(opened: Open) -> None:
    session = opened(SETTLED + "> DELE /b\n< 226 deleted\n", Profile())
    assert session.command("DELE", "/b").code == 226
