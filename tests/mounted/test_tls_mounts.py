"""Mounts over TLS, and how a user is told of what TLS does not let pass."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Certificates, fingerprint
from mounts import ftpfs, home_directory, is_mounted, mount_line, mounted
from servers import Running, Server, commands, pyftpdlib_server, vsftpd_server

pytestmark = pytest.mark.mounted

USAGE, FAILURE = 1, 32  # mount(8), "EXIT STATUS"
KINDS: dict[str, Callable[..., Running]] = {"vsftpd": vsftpd_server, "pyftpdlib": pyftpdlib_server}


@pytest.fixture(scope="module", params=["explicit", "implicit"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=list(KINDS))
def server(
    request: pytest.FixtureRequest, mode: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with KINDS[request.param](str(tmp_path_factory.mktemp("server")), tls=mode) as made:
        yield made


@pytest.fixture(scope="module")
def vsftpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with vsftpd_server(str(tmp_path_factory.mktemp("server")), tls="explicit") as made:
        yield made


@pytest.fixture
def home() -> Iterator[tuple[str, str]]:
    with home_directory() as made:
        yield made


# -- what works -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_work(server: Server, version: str) -> None:
    """With programs, on files of all sizes that make a difference to TLS."""
    big = os.urandom(20_000_000)
    with mounted(server.url, *server.options, f"tls_max={version}") as mount:
        place, root = f"{mount.path}/{version}", f"{server.root}/{version}"
        os.mkdir(place)
        for size in (0, 1, 16_384, 65_537, len(big)):
            with open(f"{place}/{size}", "wb") as out:
                out.write(big[:size])
            with open(f"{root}/{size}", "rb") as stored:
                assert stored.read() == big[:size]
        with open(f"{place}/small", "a") as out:
            out.write("a line\n")
        with open(f"{place}/small", "a") as out:
            out.write("another\n")
        subprocess.run(["cp", "-r", place, f"{place}-copy"], check=True)
        subprocess.run(["diff", "-r", root, f"{root}-copy"], check=True)
        subprocess.run(["rm", "-r", f"{place}-copy"], check=True)
        assert os.listdir(server.root) == [version]
    with mounted(server.url, *server.options, f"tls_max={version}") as mount:  # nothing cached
        subprocess.run(["diff", "-r", f"{mount.path}/{version}", root], check=True)
        with open(f"{mount.path}/{version}/{len(big)}", "rb") as file:
            file.seek(10_000_000)
            assert file.read(100) == big[10_000_000:10_000_100]
        subprocess.run(["rm", "-r", f"{mount.path}/{version}"], check=True)
    assert os.listdir(server.root) == []


def test_many_uploads_side_by_side(vsftpd: Server) -> None:
    data = os.urandom(3_000_000)
    with mounted(vsftpd.url, *vsftpd.options, "writeback") as mount:
        for n in range(20):
            with open(f"{mount.path}/many-{n}", "wb") as out:
                out.write(data[: 150_000 * n])
    for n in range(20):
        assert os.path.getsize(f"{vsftpd.root}/many-{n}") == 150_000 * n
        os.unlink(f"{vsftpd.root}/many-{n}")


def test_an_option_in_place_of_the_scheme(vsftpd: Server) -> None:
    before = len(commands(vsftpd))
    clear = vsftpd.url.replace("ftpes:", "ftp:")
    with mounted(clear, *vsftpd.options, "tls=explicit") as mount:
        assert mount_line(mount.path).startswith(f"ftpes://demo@127.0.0.1:{vsftpd.port}/ ")
    assert commands(vsftpd)[before : before + 2] == ["AUTH TLS", "USER demo"]


def test_a_client_certificate(tmp_path: Path) -> None:
    certificates = Certificates(str(tmp_path))
    (tmp_path / "root").mkdir()
    demanding = {
        "ssl_request_cert": True,
        "require_cert": True,
        "validate_cert": True,
        "ca_certs_file": certificates.cafile,
        "rsa_cert_file": certificates.good,
    }
    trust = f"cafile={certificates.cafile}"
    with vsftpd_server(str(tmp_path / "root"), tls="explicit", **demanding) as server:
        with (
            mounted(server.url, trust, f"cert={certificates.client}") as mount,
            open(f"{mount.path}/new", "w") as out,
        ):
            out.write("mine")
        assert (tmp_path / "root/new").read_text() == "mine"
        with home_directory() as home:
            assert "-o cert=FILE" in refused(home, FAILURE, server.url, trust)


# -- what does not --------------------------------------------------------------------------------


def refused(home: tuple[str, str], code: int, url: str, *options: str) -> str:
    """The one line with which a mount is refused."""
    words = [word for option in options for word in ("-o", option)]
    done = ftpfs("mount", url, home[1], *words, home=home[0])
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("ftpfs: ")
    assert done.stderr.count("\n") == 1
    assert not is_mounted(home[1])
    return done.stderr


BAD = {
    "good": ("its issuer is not known here", True),
    "expired": ("it has expired", False),
    "self_signed": ("it is self-signed", True),
    "elsewhere": ("it is for another host", False),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_refused_certificate(tmp_path: Path, home: tuple[str, str], bad: str, mode: str) -> None:
    """One line says why and prints the fingerprint; nothing was sent but the handshakes. With the
    option that the line names, the mount works."""
    certificates = Certificates(str(tmp_path))
    path = getattr(certificates, bad)
    why, issuer_helps = BAD[bad]
    (tmp_path / "root").mkdir()
    with vsftpd_server(str(tmp_path / "root"), tls=mode, rsa_cert_file=path) as server:
        trust = () if issuer_helps else (f"cafile={certificates.cafile}",)
        line = refused(home, FAILURE, server.url, *trust)
        assert why in line
        assert ("-o cafile=FILE" in line) == issuer_helps
        assert "-o insecure" in line
        assert set(commands(server)) <= {"AUTH TLS"}
        option = line.partition("-o ")[2].partition(",")[0]
        assert option == f"fingerprint=SHA256:{fingerprint(path)}"
        for remedy in (option, "insecure"):
            with mounted(server.url, remedy) as mount:
                assert os.listdir(mount.path) == []


def test_another_certificate_than_the_pinned_one(vsftpd: Server, home: tuple[str, str]) -> None:
    before = len(commands(vsftpd))
    pin = ":".join(["0A"] * 32)
    line = refused(home, FAILURE, vsftpd.url, f"fingerprint={pin}")
    assert "not that of -o fingerprint=SHA256:0a0a" in line
    assert vsftpd.certificates is not None
    assert f"-o fingerprint=SHA256:{fingerprint(vsftpd.certificates.good)}" in line
    assert commands(vsftpd)[before:] == ["AUTH TLS"]


def test_a_server_without_tls_is_not_told_the_user(tmp_path: Path, home: tuple[str, str]) -> None:
    with pyftpdlib_server(str(tmp_path)) as server:
        line = refused(home, FAILURE, server.url, "tls=explicit")
        assert "refuses AUTH TLS" in line
        assert "clear text" in line
        assert commands(server) == ["AUTH TLS", "QUIT"]
        line = refused(home, FAILURE, server.url.replace("ftp:", "ftps:"))
        assert "the URL is ftpes://" in line


def test_a_server_that_demands_tls(vsftpd: Server, home: tuple[str, str]) -> None:
    line = refused(home, FAILURE, vsftpd.url.replace("ftpes:", "ftp:"))
    assert "the server demands TLS, use ftpes:// or -o tls=explicit" in line


NONSENSE = {
    "ftp://127.0.0.1/ cafile=/a.pem": "clear text",
    "ftp://127.0.0.1/ insecure": "clear text",
    "ftpes://127.0.0.1/ tls=no": "contradicts the URL",
    "ftps://127.0.0.1/ tls=explicit": "contradicts the URL",
    "ftpes://127.0.0.1/ insecure,cafile=/a.pem": "only one can be used",
    "ftpes://127.0.0.1/ key=/a.pem": "-o key needs -o cert",
    "ftpes://127.0.0.1/ cafile=/absent.pem": "/absent.pem: cannot be read",
    "ftpes://127.0.0.1/ fingerprint=12:34": "SHA256: and 64 hex digits",
}


@pytest.mark.parametrize(("given", "why"), NONSENSE.items(), ids=NONSENSE)
def test_options_that_cannot_be(home: tuple[str, str], given: str, why: str) -> None:
    url, options = given.replace("://", "://u:p@", 1).split(" ")
    assert why in refused(home, USAGE, url, options)


def test_a_server_that_does_not_resume_tls13(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but the log hears of it."""
    settings = "NumTickets = 0"
    (tmp_path / "openssl.cnf").write_text(
        "openssl_conf = top\n[top]\nssl_conf = ssl\n"
        f"[ssl]\nsystem_default = settings\n[settings]\n{settings}\n"
    )
    (tmp_path / "root").mkdir()
    (tmp_path / "root/here").write_bytes(b"content")
    monkeypatch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))
    with (
        vsftpd_server(str(tmp_path / "root"), tls="explicit") as server,
        mounted(server.url, *server.options) as mount,
    ):
        with open(f"{mount.path}/here", "rb") as file:
            assert file.read() == b"content"
        with open(f"{mount.path}/new", "wb") as out:
            out.write(b"x" * 1_000_000)
        assert os.path.getsize(tmp_path / "root/new") == 1_000_000
        assert mount.log().count("TLS 1.2 from now on") == 1
