"""TLS with real certificates and real sockets; the server's end is the ssl module itself."""

from __future__ import annotations

import functools
import io
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import pytest
from certificates import Certificates, fingerprint

from ftpfs.errors import (
    CertificateError,
    ClosingError,
    DeadlineError,
    FtpfsError,
    NetworkError,
    TlsError,
    UsageError,
)
from ftpfs.session import tls as tls_module
from ftpfs.session.tls import Tls, TlsTransport, Trust
from ftpfs.session.transport import TcpTransport, connect_tcp

S = TypeVar("S")
C = TypeVar("C")

TIMEOUT_S = 10.0
HOST = "127.0.0.1"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(str(tmp_path_factory.mktemp("certificates")))


@pytest.fixture
def trusting(certificates: Certificates) -> Tls:
    return Tls(Trust(cafile=certificates.cafile))


def server_context(certificate: str, version: str = "1.3") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def together(server: Callable[[], S], client: Callable[[], C]) -> tuple[S, C]:
    """What both do at the same time, the server in a thread. Raises what one of them raises."""
    results: list[S] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(server())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        done = client()
    finally:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
    return results[0], done


@dataclass
class Wire:
    """The two ends of a TCP connection."""

    client: TcpTransport
    server: socket.socket


@contextmanager
def wire() -> Iterator[Wire]:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0)))
        client = connect_tcp(HOST, listener.getsockname()[1], TIMEOUT_S)
        stack.callback(client.close)
        server = stack.enter_context(listener.accept()[0])
        server.settimeout(TIMEOUT_S)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else it keeps things back
        yield Wire(client, server)


@dataclass
class Ends:
    """The two ends of a TLS connection."""

    client: TlsTransport
    server: ssl.SSLSocket

    def close(self) -> None:
        self.client.close()
        self.server.close()


def shake_hands(context: ssl.SSLContext, protect: Callable[[TcpTransport], TlsTransport]) -> Ends:
    """Both ends after the handshake; the caller closes them."""
    with wire() as ends:

        def server() -> ssl.SSLSocket:
            return context.wrap_socket(ends.server, server_side=True)

        secured, client = together(server, lambda: protect(ends.client))
        secured.settimeout(TIMEOUT_S)
        return Ends(client, secured)


@contextmanager
def connected(tls: Tls, certificate: str, version: str = "1.3", host: str = HOST) -> Iterator[Ends]:
    ends = shake_hands(
        server_context(certificate, version), lambda plain: tls.control(plain, host, tls13=True)
    )
    try:
        yield ends
    finally:
        ends.close()


@pytest.fixture(params=list(VERSIONS))
def ends(
    request: pytest.FixtureRequest, certificates: Certificates, trusting: Tls
) -> Iterator[Ends]:
    with connected(trusting, certificates.good, request.param) as made:
        yield made


def received(client: TlsTransport, size: int = 1 << 20) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: client.recv_into(buffer, TIMEOUT_S)])


# -- whom to believe ------------------------------------------------------------------------------


def refusal(tls: Tls, certificate: str, version: str = "1.3", host: str = HOST) -> CertificateError:
    """The error of a handshake, of which the server must have seen no more than the first step."""
    with wire() as plain:

        def server() -> list[str]:
            context = server_context(certificate, version)
            with (
                pytest.raises(ssl.SSLError) as seen,
                context.wrap_socket(plain.server, server_side=True) as secured,
            ):
                secured.recv(1)
            return [seen.value.reason or ""]

        def client() -> CertificateError:
            with pytest.raises(CertificateError) as caught:
                tls.control(plain.client, host, tls13=True)
            return caught.value

        (seen,), error = together(server, client)
    assert "ALERT" in seen
    assert "\n" not in str(error)
    assert host in str(error)
    return error


def test_the_system_decides_by_default(certificates: Certificates) -> None:
    error = refusal(Tls(Trust()), certificates.good)
    assert "its issuer is not known here" in str(error)
    assert error.unknown_issuer


BAD = {
    "expired": ("it has expired", False),
    "early": ("it is not valid yet", False),
    "elsewhere": ("it is for another host", False),
    "self_signed": ("it is self-signed", True),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_certificate(
    certificates: Certificates, trusting: Tls, bad: str, version: str
) -> None:
    why, unknown_issuer = BAD[bad]
    error = refusal(trusting, getattr(certificates, bad), version)
    assert why in str(error)
    assert error.unknown_issuer == unknown_issuer


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_host_may_be_a_name_or_an_address(
    certificates: Certificates, trusting: Tls, host: str
) -> None:
    with connected(trusting, certificates.good, host=host) as ends:
        assert ends.client.fingerprint == fingerprint(certificates.good)
    assert "another host" in str(refusal(trusting, certificates.good, host="other.example"))


@pytest.mark.parametrize("kind", ["good", *BAD])
def test_a_pinned_certificate_may_be_bad(certificates: Certificates, kind: str) -> None:
    path = getattr(certificates, kind)
    with connected(Tls(Trust(fingerprint=fingerprint(path))), path, host="any.example") as ends:
        ends.client.send(b"hello")
        assert ends.server.recv(5) == b"hello"


def test_a_pin_that_does_not_fit(certificates: Certificates) -> None:
    """A good certificate of a known issuer is refused as well; no byte of ours follows."""
    pin = fingerprint(certificates.self_signed)
    tls = Tls(Trust(fingerprint=pin))
    with wire() as plain:

        def server() -> bytes:
            context = server_context(certificates.good)
            with context.wrap_socket(plain.server, server_side=True) as secured:
                return secured.recv(1)

        def client() -> CertificateError:
            with pytest.raises(CertificateError) as caught:
                tls.control(plain.client, HOST, tls13=True)
            return caught.value

        got, error = together(server, client)
    assert got == b""
    assert pin in str(error)
    assert error.fingerprint == fingerprint(certificates.good)


@pytest.mark.parametrize("kind", ["good", *BAD])
def test_insecure_believes_everything(certificates: Certificates, kind: str) -> None:
    with connected(Tls(Trust(insecure=True)), getattr(certificates, kind)) as ends:
        assert ends.client.fingerprint == fingerprint(getattr(certificates, kind))


def test_to_look_at_a_certificate_is_to_believe_it(
    certificates: Certificates, trusting: Tls
) -> None:
    with connected(trusting.trusting(), certificates.expired) as ends:
        assert ends.client.fingerprint == fingerprint(certificates.expired)


# -- who we are -----------------------------------------------------------------------------------


def demanding(certificates: Certificates) -> ssl.SSLContext:
    context = server_context(certificates.good)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.cafile)
    return context


@pytest.mark.parametrize("apart", [False, True], ids=["one file", "key apart"])
def test_a_client_certificate(certificates: Certificates, apart: bool) -> None:
    path = certificates.client
    trust = Trust(cafile=certificates.cafile, cert=path, key=path if apart else "")
    ends = shake_hands(
        demanding(certificates), lambda plain: Tls(trust).control(plain, HOST, tls13=True)
    )
    try:
        assert ends.server.getpeercert(binary_form=True)
    finally:
        ends.close()


def test_a_server_that_looks_at_a_certificate_is_not_shown_ours(certificates: Certificates) -> None:
    trust = Trust(cafile=certificates.cafile, cert=certificates.client)
    with wire() as plain:

        def server() -> None:
            with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
                demanding(certificates).wrap_socket(plain.server, server_side=True)

        _, client = together(
            server, lambda: Tls(trust).trusting().control(plain.client, HOST, tls13=True)
        )
        client.close()


def listen(client: TlsTransport) -> None:
    received(client)


def talk(client: TlsTransport) -> None:
    """Until the server is seen to be gone, which may be before its last words are read."""
    for _ in range(1000):
        client.send(b"NOOP\r\n" * 1000)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("use", [listen, talk])
def test_a_client_certificate_that_is_missing(
    certificates: Certificates, version: str, use: Callable[[TlsTransport], None]
) -> None:
    """Under TLS 1.3 the server says so when the handshake is over for us."""

    def connect_and_use(plain: TcpTransport) -> None:
        tls = Tls(Trust(cafile=certificates.cafile))
        client = tls.control(plain, HOST, tls13=True)
        try:
            use(client)
        finally:
            client.close()

    context = demanding(certificates)
    context.minimum_version = context.maximum_version = VERSIONS[version]
    with wire() as plain:

        def server() -> None:
            with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
                context.wrap_socket(plain.server, server_side=True)

        def client() -> None:
            with pytest.raises(NetworkError) as caught:
                connect_and_use(plain.client)
            if version == "1.3":
                assert "-o cert=FILE" in str(caught.value)

        together(server, client)


def unusable(certificates: Certificates, directory: str) -> dict[str, Trust]:
    def file(name: str, text: str) -> str:
        path = os.path.join(directory, name)
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
        return path

    locked = os.path.join(directory, "locked.pem")
    command = ["openssl", "pkey", "-in", certificates.client, "-aes256", "-passout", "pass:x"]
    subprocess.run([*command, "-out", locked], check=True)
    return {
        "absent": Trust(cafile=directory + "/absent.pem"),
        "a directory": Trust(cafile=directory),
        "empty": Trust(cafile=file("empty.pem", "")),
        "no PEM": Trust(cafile=file("text.pem", "hello\n")),
        "absent certificate": Trust(cert=directory + "/absent.pem"),
        "no certificate": Trust(cert=file("text2.pem", "hello\n")),
        "no key": Trust(cert=certificates.cafile),
        "a key for another": Trust(cert=certificates.client, key=certificates.good),
        "a locked key": Trust(cert=certificates.client, key=locked),
    }


def test_files_that_cannot_be_used(certificates: Certificates) -> None:
    """In a process without a terminal that a password could be asked on."""
    with tempfile.TemporaryDirectory() as directory:
        for name, trust in unusable(certificates, directory).items():
            with pytest.raises(UsageError, match=r"\.pem|^/tmp") as caught:
                Tls(trust)
            assert "\n" not in str(caught.value), name


def test_a_locked_key_is_not_asked_for(certificates: Certificates, tmp_path: Path) -> None:
    locked = unusable(certificates, str(tmp_path))["a locked key"]
    script = (
        "import sys; from ftpfs.session.tls import Tls, Trust\n"
        f"try: Tls({locked!r})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.startswith("UsageError")
    assert "without a password" in done.stdout
    assert "pass phrase" not in done.stdout + done.stderr


# -- handshakes that fail -------------------------------------------------------------------------


def failing(trusting: Tls, behave: Callable[[socket.socket], None]) -> FtpfsError:
    with wire() as plain:

        def client() -> FtpfsError:
            with pytest.raises(FtpfsError) as caught:
                trusting.control(plain.client, HOST, tls13=True)
            return caught.value

        _, error = together(lambda: behave(plain.server), client)
    assert "\n" not in str(error)
    return error


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_server_without_tls(trusting: Tls) -> None:
    error = failing(trusting, lambda sock: sock.sendall(b"220 ready\r\n"))
    assert type(error) is TlsError
    assert "wrong version number" in str(error)


def test_a_server_that_hangs_up(trusting: Tls) -> None:
    def hang_up(sock: socket.socket) -> None:
        sock.recv(1)
        sock.shutdown(socket.SHUT_RDWR)

    assert isinstance(failing(trusting, hang_up), NetworkError)


def test_a_server_that_resets(trusting: Tls) -> None:
    def listen_and_reset(sock: socket.socket) -> None:
        sock.recv(1)
        reset(sock)

    assert isinstance(failing(trusting, listen_and_reset), NetworkError)


def test_a_server_that_was_lost_before_the_handshake(trusting: Tls) -> None:
    with wire() as plain:
        reset(plain.server)
        with pytest.raises(NetworkError):
            trusting.control(plain.client, HOST, tls13=True)


def test_silence_in_the_handshake(trusting: Tls) -> None:
    with socket.create_server((HOST, 0)) as listener:
        plain = connect_tcp(HOST, listener.getsockname()[1], 0.05)
        with pytest.raises(DeadlineError):
            trusting.control(plain, HOST, tls13=True)
        plain.close()


def test_no_common_version(certificates: Certificates, trusting: Tls) -> None:
    with wire() as plain:

        def server() -> None:
            with pytest.raises(ssl.SSLError):
                server_context(certificates.good).wrap_socket(plain.server, server_side=True)

        def client() -> None:
            with pytest.raises(TlsError, match="no version of TLS in common"):
                trusting.control(plain.client, HOST, tls13=False)

        together(server, client)


# -- one session, many connections ----------------------------------------------------------------


def data_ends(tls: Tls, context: ssl.SSLContext, control: TlsTransport) -> Ends:
    return shake_hands(context, lambda plain: tls.data(plain, control))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("pinned", [False, True], ids=["issuer", "pin"])
def test_data_connections_resume_the_control_connection(
    certificates: Certificates, version: str, pinned: bool
) -> None:
    """Each of several, also after one was cut off without a shutdown."""
    pin = fingerprint(certificates.good) if pinned else ""
    tls = Tls(Trust(cafile=certificates.cafile, fingerprint=pin))
    context = server_context(certificates.good, version)
    control = shake_hands(context, lambda plain: tls.control(plain, HOST, tls13=True))
    try:
        assert control.client.tls13 == (version == "1.3")
        assert not control.client.resumed
        for n in range(3):
            control.server.sendall(b"150 ok\r\n")
            assert received(control.client) == b"150 ok\r\n"
            data = data_ends(tls, context, control.client)
            data.close()
            assert data.client.resumed, n
            assert data.client.tls13 == control.client.tls13
    finally:
        control.close()


def test_what_can_be_resumed_is_read_at_the_time_of_the_transfer(
    certificates: Certificates, trusting: Tls
) -> None:
    """Under TLS 1.3 nothing can be before something was received: RFC 8446 4.6.1."""
    context = server_context(certificates.good)
    control = shake_hands(context, lambda plain: trusting.control(plain, HOST, tls13=True))
    try:
        early = data_ends(trusting, context, control.client)
        early.close()
        control.server.sendall(b"150 ok\r\n")
        received(control.client)
        late = data_ends(trusting, context, control.client)
        late.close()
        assert (early.client.resumed, late.client.resumed) == (False, True)
    finally:
        control.close()


def test_a_data_connection_that_is_not_resumed_is_looked_at(
    certificates: Certificates, trusting: Tls
) -> None:
    context = server_context(certificates.good)
    control = shake_hands(context, lambda plain: trusting.control(plain, HOST, tls13=True))
    try:
        with wire() as plain:

            def server() -> None:
                with pytest.raises(ssl.SSLError, match="ALERT"):
                    server_context(certificates.elsewhere).wrap_socket(
                        plain.server, server_side=True
                    )

            def client() -> None:
                with pytest.raises(CertificateError, match="another host"):
                    trusting.data(plain.client, control.client)

            together(server, client)
    finally:
        control.close()


def test_tls12_where_it_is_asked_for(certificates: Certificates, trusting: Tls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.good)
    for tls13 in (True, False):
        ends = shake_hands(context, functools.partial(trusting.control, host=HOST, tls13=tls13))
        ends.close()
        assert ends.client.tls13 is tls13


# -- receiving ------------------------------------------------------------------------------------

RECORDS = os.urandom(100_000)  # seven records


def test_all_that_has_arrived_in_one_call(ends: Ends) -> None:
    """Not one record a call: a Python call costs as much as the record's decryption."""
    ends.server.sendall(RECORDS)
    found = received(ends.client)
    while len(found) < len(RECORDS):  # loopback gives it all at once, nearly always
        found += received(ends.client)
    assert found == RECORDS
    ends.server.sendall(b"a")
    ends.server.sendall(b"b")
    assert received(ends.client, 1) + received(ends.client, 5) == b"ab"


def test_what_arrives_late_is_waited_for_once(ends: Ends) -> None:
    ends.server.sendall(b"first")
    assert received(ends.client) == b"first"
    with pytest.raises(DeadlineError):
        ends.client.recv_into(bytearray(10), 0.05)
    ends.client.send(b"still there?")
    assert ends.server.recv(100) == b"still there?"
    ends.server.sendall(b"second")
    assert received(ends.client) == b"second"


@pytest.mark.parametrize("said", [True, False], ids=["close_notify", "ragged"])
def test_the_end_of_the_stream(ends: Ends, said: bool) -> None:
    ends.server.sendall(b"last")
    if said:
        ends.server.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):  # ours is not there yet
            ends.server.unwrap()
    else:
        ends.server.shutdown(socket.SHUT_WR)
    assert received(ends.client) == b"last"
    assert received(ends.client) == b""
    assert received(ends.client) == b""


def test_a_reset_is_no_end(ends: Ends) -> None:
    ends.client.send(b"unread")
    reset(ends.server)
    with pytest.raises(NetworkError, match="connection lost"):
        received(ends.client)


def test_bytes_that_were_tampered_with(ends: Ends) -> None:
    raw = socket.socket(fileno=os.dup(ends.server.fileno()))
    with raw:
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that nobody has encrypted
    with pytest.raises(NetworkError, match="TLS"):
        received(ends.client)


def test_the_last_words_of_a_process_are_said_past_tls(ends: Ends) -> None:
    with socket.socket(fileno=os.dup(ends.server.fileno())) as raw:
        raw.sendall(b"500 OOPS: vsf_sysutil_bind\r\n")
    with pytest.raises(ClosingError):
        received(ends.client)


# -- sending --------------------------------------------------------------------------------------


@contextmanager
def on_disk(content: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(content)
        yield file


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(("offset", "count"), [(0, 3 << 20), (7, 2 << 20), (3 << 20, 5)])
def test_a_file(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, in_memory: bool, offset: int, count: int
) -> None:
    content = os.urandom(1 << 20) * 2
    expected = content[offset : offset + count]
    with io.BytesIO(content) if in_memory else on_disk(content) as source:

        def client() -> int:
            sent = ends.client.send_file(source, offset, count)
            ends.client.end_output()
            return sent

        found, sent = together(lambda: _everything(ends.server), client)
    assert found == expected
    assert sent == len(expected)


def _everything(server: ssl.SSLSocket) -> bytes:
    found = b"".join(iter(lambda: server.recv(1 << 16), b""))
    server.unwrap()
    return found


def test_an_upload_ends_with_a_shutdown_of_both(ends: Ends) -> None:
    """Nothing is left unread: what a server has sent meanwhile would reset the connection."""

    def server() -> bytes:
        found = ends.server.recv(100)
        ends.server.unwrap()  # waits for the client's close_notify, and answers it
        assert ends.server.recv(1) == b""  # ProFTPD wants to see the end of TCP, too
        ends.server.close()
        return found

    def client() -> None:
        ends.client.send(b"all")
        ends.client.end_output()

    found, _ = together(server, client)
    assert found == b"all"
    assert ends.client.has_input()  # nothing but the end
    assert ends.client.socket.recv(1) == b""


def test_a_server_that_leaves_its_close_notify_out(ends: Ends) -> None:
    def server() -> None:
        assert ends.server.recv(100) == b"all"
        assert ends.server.recv(100) == b""
        ends.server.close()

    def client() -> None:
        ends.client.send(b"all")
        ends.client.end_output()

    together(server, client)


def test_a_server_that_never_ends(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """The final reply decides; the connection stays open until it is there."""
    monkeypatch.setattr(tls_module, "TLS_CLOSE_S", 0.05)
    ends.client.send(b"all")
    ends.client.end_output()
    assert ends.server.recv(100) == b"all"
    assert ends.server.recv(100) == b""
    ends.server.unwrap()  # it still can


def send_much(client: TlsTransport) -> None:
    for _ in range(1000):
        client.send(RECORDS)


def test_a_server_that_is_gone(ends: Ends) -> None:
    reset(ends.server)
    with pytest.raises(NetworkError):
        send_much(ends.client)
    ends.client.end_output()


def test_a_server_that_takes_nothing(ends: Ends) -> None:
    ends.client._timeout_s = 0.05
    with pytest.raises(DeadlineError):
        send_much(ends.client)


# -- idle connections -----------------------------------------------------------------------------


def test_new_tickets_are_no_input(ends: Ends) -> None:
    """TLS 1.3 sends two of them behind the handshake, where a stray reply would stand."""
    assert not ends.client.has_input()
    assert not ends.client.has_input()
    ends.server.sendall(b"220 ready\r\n")
    assert received(ends.client) == b"220 ready\r\n"
    assert not ends.client.has_input()
    ends.client.send(b"NOOP\r\n")
    assert ends.server.recv(100) == b"NOOP\r\n"


def test_a_stray_reply_is_input(ends: Ends) -> None:
    ends.server.sendall(b"421 idle\r\n")
    assert ends.client.has_input()


def test_looking_for_input_loses_nothing(ends: Ends) -> None:
    ends.server.sendall(b"229 (|||5000|)\r\n")
    assert ends.client.has_input()
    assert ends.client.has_input()
    assert received(ends.client) == b"229 (|||5000|)\r\n"
    assert not ends.client.has_input()


def test_a_rest_that_was_decrypted_is_input(ends: Ends) -> None:
    ends.server.sendall(b"200 ok\r\n421 idle\r\n")
    assert received(ends.client, 8) == b"200 ok\r\n"
    assert ends.client.has_input()


def test_the_end_is_input(ends: Ends) -> None:
    ends.server.shutdown(socket.SHUT_WR)
    assert ends.client.has_input()


def test_a_reset_is_input(ends: Ends) -> None:
    ends.client.send(b"unread")
    reset(ends.server)
    assert ends.client.has_input()


def test_closing_says_nothing(ends: Ends) -> None:
    """The process that goes to the background has the connection; its parent only lets go."""
    copy = os.dup(ends.client.secured.fileno())
    try:
        ends.client.close()
        ends.server.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            ends.server.recv(1)
    finally:
        os.close(copy)
