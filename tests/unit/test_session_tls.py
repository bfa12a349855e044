"""TLS as a session sees it: when handshakes come, what is never said in clear text, and what
happens where a server does not resume TLS 1.3 sessions. No bytes are encrypted here."""

from __future__ import annotations

import io
from typing import Any

import pytest
from fakes.script import DataTransport, FakeTls, Network

from ftpfs.errors import (
    CertificateError,
    DeadlineError,
    FtpfsError,
    LoginError,
    NetworkError,
    ProtocolError,
    TlsError,
    TlsVersionError,
)
from ftpfs.options import TlsMode
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError, Transfer

EXPLICIT = Login("server.example", 21, "joe", "secret", 7.0, TlsMode.EXPLICIT)
IMPLICIT = Login("server.example", 21, "joe", "secret", 7.0, TlsMode.IMPLICIT)
CLEAR = Login("server.example", 21, "joe", "secret", 7.0)

START = """
    < 220 ready
    > AUTH TLS
    < 234 go on
    > TLS
    > USER joe
    < 331 password?
    > PASS secret
    < 230 in
"""
SETTINGS = """
    > PBSZ 0
    >+ PROT P
    >+ TYPE I
    < 200 size 0
    < 200 private
    < 200 binary
"""
IN = START + SETTINGS
OUT = """
    > QUIT
    < 221 bye
"""


def known(**verdicts: Any) -> Profile:
    """A profile of a server that was asked for its features before."""
    return Profile(features_asked=True, epsv=True, **verdicts)


# -- login ----------------------------------------------------------------------------------------


def test_explicit() -> None:
    network = Network(IN + OUT)
    tls = FakeTls()
    session = Session.open(EXPLICIT, known(), network.connect, tls)
    assert session.protected
    assert session.usable()
    assert tls.hosts == ["server.example"]
    session.close()
    network.assert_finished()


def test_implicit() -> None:
    network = Network("> TLS\n< 220 ready\n> USER joe\n< 230 in\n" + SETTINGS + OUT)
    session = Session.open(IMPLICIT, known(), network.connect, FakeTls())
    assert session.protected
    session.close()
    network.assert_finished()


@pytest.mark.parametrize("code", [421, 431, 500, 502, 504, 530, 534, 200])
def test_auth_refused_sends_nothing_in_clear_text(code: int) -> None:
    """No USER: the next command would be one that the script does not expect."""
    network = Network(f"< 220 ready\n> AUTH TLS\n< {code} no" + ("" if code == 421 else OUT))
    with pytest.raises(NetworkError) as caught:
        Session.open(EXPLICIT, known(), network.connect, FakeTls())
    assert str(code) in str(caught.value)
    if code != 421:
        assert type(caught.value) is TlsError
        assert "clear text" in str(caught.value)
    network.assert_finished()


def test_what_was_said_before_the_handshake_does_not_count() -> None:
    """Somebody between could put `230 in` there, to be read as if it came over TLS."""
    network = Network("< 220 ready\n> AUTH TLS\n< 234 go on\n< 230 in" + OUT)
    with pytest.raises(ProtocolError, match="clear text"):
        Session.open(EXPLICIT, known(), network.connect, FakeTls())
    network.assert_finished()


@pytest.mark.parametrize("refusal", ["534 no", "536 no", "431 not now"])
def test_data_that_cannot_be_protected_is_not_sent(refusal: str) -> None:
    network = Network(IN.replace("200 private", refusal) + OUT)
    with pytest.raises(TlsError, match="PROT P"):
        Session.open(EXPLICIT, known(), network.connect, FakeTls())
    network.assert_finished()


def test_pbsz_may_be_unknown() -> None:
    network = Network(IN.replace("200 size 0", "502 unknown") + OUT)
    Session.open(EXPLICIT, known(), network.connect, FakeTls()).close()
    network.assert_finished()


DEMANDS = {
    "vsftpd": "530 Non-anonymous sessions must use encryption.",
    "ProFTPD": "550 SSL/TLS required on the control channel",
    "Pure-FTPd": "421 Sorry, cleartext sessions are not accepted on this server.",
    "FileZilla": "503 Use AUTH first.",
    "IIS": "534 Policy requires SSL.",
}


@pytest.mark.parametrize("said", DEMANDS.values(), ids=DEMANDS)
def test_a_server_that_demands_tls(said: str) -> None:
    network = Network(f"< 220 ready\n> USER joe\n< {said}" + ("" if said[:3] == "421" else OUT))
    with pytest.raises(LoginError, match=r"ftpes:// or -o tls=explicit") as caught:
        Session.open(CLEAR, known(), network.connect)
    assert said in str(caught.value)
    network.assert_finished()


def test_over_tls_no_more_tls_is_the_remedy() -> None:
    network = Network(
        START.partition("    < 331")[0] + "< 530 no certificate in the TLS session" + OUT
    )
    with pytest.raises(LoginError) as caught:
        Session.open(EXPLICIT, known(), network.connect, FakeTls())
    assert "-o tls" not in str(caught.value)


def test_implicit_tls_with_a_server_that_begins_in_clear_text() -> None:
    network = Network("> TLS")
    tls = FakeTls(TlsError("wrong version number"))
    with pytest.raises(TlsError, match=r"wrong version number .*ftpes://"):
        Session.open(IMPLICIT, known(), network.connect, tls)


# -- certificates ---------------------------------------------------------------------------------

HELLO = "< 220 ready\n> AUTH TLS\n< 234 go on\n> TLS"
SELF_SIGNED = CertificateError("it is self-signed", unknown_issuer=True)


def test_a_refused_certificate() -> None:
    """Nothing follows the handshake, not even QUIT; a second connection tells the fingerprint."""
    network = Network(HELLO, HELLO)
    with pytest.raises(CertificateError) as caught:
        Session.open(EXPLICIT, known(), network.connect, FakeTls(SELF_SIGNED, SELF_SIGNED))
    assert str(caught.value) == (
        f"it is self-signed; to trust it: -o fingerprint=SHA256:{'ab' * 32},"
        " -o cafile=FILE for its issuer, or -o insecure for any"
    )
    assert caught.value.fingerprint == "ab" * 32
    network.assert_finished()


def test_a_refused_certificate_with_a_known_issuer() -> None:
    network = Network(HELLO, HELLO)
    expired = CertificateError("it has expired")
    tls = FakeTls(expired, expired)
    with pytest.raises(CertificateError) as caught:
        Session.open(EXPLICIT, known(), network.connect, tls)
    assert "cafile" not in str(caught.value)
    assert "fingerprint=SHA256:abab" in str(caught.value)


def test_a_refused_certificate_that_is_known_is_not_looked_at_again() -> None:
    network = Network(HELLO)
    tls = FakeTls(CertificateError("not the pinned one", "cd" * 32))
    with pytest.raises(CertificateError, match="fingerprint=SHA256:cdcd"):
        Session.open(EXPLICIT, known(), network.connect, tls)
    network.assert_finished()


def test_a_refused_certificate_that_cannot_be_looked_at() -> None:
    network = Network(HELLO)
    with pytest.raises(CertificateError, match=r"SHA256:\.\.\."):
        Session.open(EXPLICIT, known(), network.connect, FakeTls(SELF_SIGNED))
    network.assert_finished()


# -- transfers ------------------------------------------------------------------------------------


class Opened:
    """A session over TLS on a script that begins behind the login."""

    def __init__(
        self, script: str, tls: FakeTls, data: DataTransport, profile: Profile | None = None
    ) -> None:
        self.data = data
        self.network = Network(IN + script, data={5000: data})
        self.profile = profile or known()
        self.session = Session.open(EXPLICIT, self.profile, self.network.connect, tls)

    def end(self) -> None:
        self.session.close()
        self.network.assert_finished()


def everything(transfer: Transfer) -> bytes:
    buffer, found = memoryview(bytearray(3)), b""
    while count := transfer.readinto(buffer):
        found += buffer[:count]
    return found


def upload(transfer: Transfer, content: bytes) -> None:
    transfer.send_file(io.BytesIO(content), 0, len(content))
    transfer.finish(upload=True)


def passive(verb: str) -> str:
    return f"> EPSV\n< 229 ok (|||5000|)\n> {verb} /a\n"


@pytest.mark.parametrize("tls", [FakeTls(), FakeTls(resumes=False)], ids=["resumed", "not resumed"])
@pytest.mark.parametrize("content", [b"content", b""], ids=["some", "empty"])
@pytest.mark.parametrize("said", ["150 here it comes", "125 open"])
def test_retrieve(tls: FakeTls, content: bytes, said: str) -> None:
    opened = Opened(passive("RETR") + f"< {said}\n< 226 sent" + OUT, tls, DataTransport(content))
    transfer = opened.session.transfer("RETR", "/a")
    assert opened.data.events == ["handshake"]
    assert everything(transfer) == content
    assert transfer.finish().code == 226
    opened.end()


def test_no_handshake_for_a_transfer_that_was_refused() -> None:
    opened = Opened(passive("RETR") + "< 550 no" + OUT, FakeTls(), DataTransport())
    with pytest.raises(ReplyError):
        opened.session.transfer("RETR", "/a")
    assert opened.data.events == []
    opened.end()


@pytest.mark.parametrize("content", [b"content", b""], ids=["some", "empty"])
def test_store(content: bytes) -> None:
    """No byte before the handshake, even where the caller would not wait for the reply."""
    opened = Opened(passive("STOR") + "< 150 send\n< 226 got it" + OUT, FakeTls(), DataTransport())
    transfer = opened.session.transfer("STOR", "/a", early=True)
    assert transfer.begun
    if content:
        transfer.send_file(io.BytesIO(content), 0, len(content))
    assert transfer.finish(upload=True).code == 226
    assert opened.data.events == ["handshake", *(["bytes"] if content else []), "end"]
    opened.end()


def test_an_upload_is_closed_after_its_final_reply() -> None:
    """Closing earlier resets the connection where something of TLS was not read."""
    closed_with_input = []

    class Data(DataTransport):
        def close(self) -> None:
            closed_with_input.append(opened.network.control.has_input())
            super().close()

    opened = Opened(passive("STOR") + "< 150 send\n< 226 got it" + OUT, FakeTls(), Data())
    opened.session.transfer("STOR", "/a").finish(upload=True)
    assert closed_with_input == [False]
    opened.end()


def test_a_handshake_cut_by_a_refusal() -> None:
    script = passive("RETR") + "< 150 here\n< 426 no cipher" + OUT
    opened = Opened(script, FakeTls(None, TlsError("cut")), DataTransport())
    with pytest.raises(ReplyError, match="426 no cipher"):
        opened.session.transfer("RETR", "/a")
    assert opened.profile.tls13 is None
    opened.end()


def test_a_data_connection_with_another_certificate() -> None:
    refusal = CertificateError("not the pinned one")
    opened = Opened(passive("RETR") + "< 150 here", FakeTls(None, refusal), DataTransport())
    with pytest.raises(CertificateError):
        opened.session.transfer("RETR", "/a")
    assert opened.session.broken
    opened.end()


# -- TLS 1.3 that is not resumed ------------------------------------------------------------------

NOT_RESUMED = ("522 session reuse required", "425 not permitted", "450 has not resumed")


def assert_tls12_from_now_on(opened: Opened, error: FtpfsError) -> None:
    assert isinstance(error, TlsError)
    assert opened.profile.tls13 is False
    assert opened.session.broken
    assert opened.session.outdated
    opened.end()


@pytest.mark.parametrize("said", NOT_RESUMED)
def test_a_download_refused_after_the_handshake(said: str) -> None:
    opened = Opened(
        passive("RETR") + f"< 150 here\n< {said}", FakeTls(resumes=False), DataTransport()
    )
    with pytest.raises(TlsError) as caught:
        opened.session.transfer("RETR", "/a")
    assert_tls12_from_now_on(opened, caught.value)


@pytest.mark.parametrize("said", NOT_RESUMED)
def test_a_download_reset_after_the_handshake(said: str) -> None:
    data = DataTransport(breaks=True)
    opened = Opened(passive("RETR") + f"< 150 here\n< {said}", FakeTls(resumes=False), data)
    with pytest.raises(TlsError) as caught:
        opened.session.transfer("RETR", "/a")
    assert_tls12_from_now_on(opened, caught.value)


@pytest.mark.parametrize("said", NOT_RESUMED)
def test_a_handshake_that_is_cut(said: str) -> None:
    tls = FakeTls(None, TlsError("cut"))
    opened = Opened(passive("STOR") + f"< 150 send\n< {said}", tls, DataTransport())
    with pytest.raises(TlsError) as caught:
        opened.session.transfer("STOR", "/a")
    assert_tls12_from_now_on(opened, caught.value)


@pytest.mark.parametrize("said", NOT_RESUMED)
@pytest.mark.parametrize("room", [0, 100], ids=["cut while sending", "said at the end"])
def test_an_upload_refused_after_the_handshake(said: str, room: int) -> None:
    data = DataTransport(room=room)
    opened = Opened(passive("STOR") + f"< 150 send\n< {said}", FakeTls(resumes=False), data)
    with pytest.raises(TlsError) as caught:
        upload(opened.session.transfer("STOR", "/a"), b"content")
    assert_tls12_from_now_on(opened, caught.value)


def test_a_session_resumed_and_refused_all_the_same() -> None:
    opened = Opened(passive("RETR") + "< 150 here\n< 522 not yours", FakeTls(), DataTransport())
    transfer = opened.session.transfer("RETR", "/a")
    assert everything(transfer) == b""
    with pytest.raises(TlsError) as caught:
        transfer.finish()
    assert_tls12_from_now_on(opened, caught.value)


INNOCENT = {
    "TLS 1.2": FakeTls(resumes=False, server_tls13=False),
    "resumed": FakeTls(),
}


@pytest.mark.parametrize("tls", INNOCENT.values(), ids=INNOCENT)
def test_a_refusal_that_tls13_cannot_be_blamed_for(tls: FakeTls) -> None:
    opened = Opened(passive("RETR") + "< 150 here\n< 425 no" + OUT, tls, DataTransport())
    transfer = opened.session.transfer("RETR", "/a")
    assert everything(transfer) == b""
    with pytest.raises(ReplyError):
        transfer.finish()
    assert opened.profile.tls13 is None
    opened.end()


def test_a_download_that_breaks_off_later_is_not_blamed_on_tls13() -> None:
    script = passive("RETR") + "< 150 here\n< 425 gone" + OUT
    opened = Opened(script, FakeTls(resumes=False), DataTransport(b"cont"))
    transfer = opened.session.transfer("RETR", "/a")
    assert everything(transfer) == b"cont"
    with pytest.raises(ReplyError):
        transfer.finish()
    assert opened.profile.tls13 is True
    opened.end()


@pytest.mark.parametrize("verb", ["RETR", "STOR"])
def test_the_control_connection_goes_with_the_data_connection(verb: str) -> None:
    """vsftpd's 522 is lost now and then: it resets the control connection right behind it."""
    opened = Opened(passive(verb) + "< 150 go\n< EOF", FakeTls(resumes=False), DataTransport())
    with pytest.raises(TlsError) as caught:
        upload(opened.session.transfer(verb, "/a"), b"")
    assert_tls12_from_now_on(opened, caught.value)


@pytest.mark.parametrize("tls", [FakeTls(), FakeTls(resumes=False)], ids=["resumed", "proven"])
def test_a_lost_control_connection_is_not_blamed_on_tls13(tls: FakeTls) -> None:
    profile = known(tls13=None if tls.resumes else True)
    opened = Opened(passive("STOR") + "< 150 go\n< EOF", tls, DataTransport(), profile)
    with pytest.raises(NetworkError, match="closed the connection") as caught:
        upload(opened.session.transfer("STOR", "/a"), b"content")
    assert not isinstance(caught.value, TlsError)
    assert profile.tls13 is not False
    opened.end()


@pytest.mark.parametrize("said", ["EOF", *NOT_RESUMED[1:]])
def test_a_handshake_that_is_cut_after_another_has_resumed_is_not_blamed_on_tls13(
    said: str,
) -> None:
    store = passive("STOR") + "< 150 send\n"
    opened = Opened(
        store + "< 226 got it\n" + store + f"< {said}",
        FakeTls(None, None, TlsError("cut")),
        DataTransport(),
    )
    upload(opened.session.transfer("STOR", "/a"), b"content")
    with pytest.raises((NetworkError, ReplyError)) as caught:
        opened.session.transfer("STOR", "/a")
    assert caught.type is not TlsVersionError
    assert opened.profile.tls13 is None


def test_a_server_that_has_taken_one_is_not_doubted_again() -> None:
    store = passive("STOR") + "< 150 send\n< 226 got it\n"
    opened = Opened(
        store + passive("RETR") + "< 150 here\n< 425 no" + OUT,
        FakeTls(resumes=False),
        DataTransport(),
    )
    upload(opened.session.transfer("STOR", "/a"), b"content")
    assert opened.profile.tls13 is True
    transfer = opened.session.transfer("RETR", "/a")
    assert everything(transfer) == b""
    with pytest.raises(ReplyError):
        transfer.finish()
    assert opened.profile.tls13 is True
    opened.end()


def test_silence_is_not_blamed_on_tls13() -> None:
    tls = FakeTls(None, DeadlineError("no answer in the handshake"))
    opened = Opened(passive("RETR") + "< 150 here", tls, DataTransport())
    with pytest.raises(DeadlineError):
        opened.session.transfer("RETR", "/a")
    assert opened.profile.tls13 is None
    opened.end()


def test_an_upload_that_was_refused_has_not_arrived() -> None:
    """Not even where the server's file, which is the one before, has the size of the new one."""
    refused = passive("STOR") + "< 150 send\n< 522 session reuse required"
    looked = "> SIZE /a\n>+ MDTM /a\n< 213 7\n< 213 20240101000000\n"
    sent = passive("STOR") + "< 150 send\n< 226 got it\n"
    checked = "> SIZE /a\n>+ MDTM /a\n>+ EPSV\n< 213 7\n< 213 20240101000000\n< 502 no\n"
    data = DataTransport()
    network = Network(IN + refused, IN + looked + sent + checked + OUT, data={5000: data})
    profile = known()
    tls = FakeTls(resumes=False)
    pool = Pool(lambda: Session.open(EXPLICIT, profile, network.connect, tls), 2, 1.0)
    FtpRemote(pool, profile).store("/a", io.BytesIO(b"content"), 7)
    assert data.events == ["handshake", "bytes", "end"] * 2
    pool.close()
    network.assert_finished()


def test_sessions_opened_before_the_verdict_are_not_used_again() -> None:
    profile = known()
    network = Network(IN + OUT, IN + OUT)
    old = Session.open(EXPLICIT, profile, network.connect, FakeTls())
    assert old.usable()
    profile.tls13 = False
    assert not old.usable()
    new = Session.open(EXPLICIT, profile, network.connect, FakeTls())
    assert not new.tls13
    assert new.usable()
    old.close()
    new.close()
    network.assert_finished()
