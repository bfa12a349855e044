"""`ftpfs doctor` as a user types it, on real servers: what it finds, and that nothing is left."""

from __future__ import annotations

import glob
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mounts import ftpfs, home_directory
from servers import (
    Running,
    Server,
    commands,
    connections,
    proftpd_server,
    pureftpd_server,
    pyftpdlib_server,
    vsftpd_server,
)

USAGE, FAILURE = 1, 32  # mount(8), "EXIT STATUS"

# Name: how it starts, and what it is known not to do.
SERVERS: dict[str, tuple[Callable[..., Running], set[str]]] = {
    "pyftpdlib": (pyftpdlib_server, {"LIST -a", "AVBL", "SITE UTIME"}),
    "vsftpd": (vsftpd_server, {"MLSD", "MLST", "AVBL", "MFMT", "SITE UTIME"}),
    "proftpd": (proftpd_server, {"AVBL", "SITE UTIME"}),
    "pureftpd": (pureftpd_server, {"AVBL", "REST + STOR"}),
}
SPOKEN = [(kind, tls) for kind in SERVERS for tls in ("no", "explicit", "implicit")]
SPOKEN.remove(("pureftpd", "implicit"))  # it has none
NOT_RESUMING = {"pureftpd"}

CHANGING = (
    *("STOR", "APPE", "STOU", "DELE", "MKD", "RMD", "RNFR", "RNTO", "MFMT", "MFF", "ALLO"),
    *("SITE", "MDTM 2"),  # MDTM with a time sets it
)
WRITING = {
    "writing",
    "STOR",
    "APPE",
    "RNTO replaces",
    "replacing",
    "REST + STOR",
    "MFMT",
    "MDTM sets",
}
WRITING |= {"SITE UTIME", "SITE CHMOD", "names"}


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def home() -> Iterator[str]:
    with home_directory() as (made, _):
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "file").write_bytes(os.urandom(300_000))
    (root / ".hidden").write_bytes(b"hidden")
    (root / "é and [brackets]").write_bytes(b"")
    return root


def snapshot(root: Path, *, exact: bool = True) -> dict[str, tuple[object, ...]]:
    """All that is below a directory; `exact`: with the times of files and directories."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        times = (status.st_mtime_ns, status.st_ctime_ns) if exact else ()
        found[str(path)] = (status.st_mode, content, *times)
    return found


def doctor(
    server: Server, home: str, *arguments: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    words = [word for option in (*server.options, *options) for word in ("-o", option)]
    return ftpfs("doctor", server.url, *words, *arguments, home=home)


def examined(server: Server, home: str, *arguments: str, **more: Any) -> dict[str, Any]:
    """The report, as JSON."""
    done = doctor(server, home, *arguments, "--json", "-", **more)
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def verdicts(report: dict[str, Any]) -> dict[str, bool | None]:
    return {finding["name"]: finding["verdict"] for finding in report["findings"]}


@pytest.mark.parametrize(("kind", "tls"), SPOKEN)
def test_nothing_is_changed(kind: str, tls: str, tree: Path, home: str) -> None:
    start, lacking = SERVERS[kind]
    with start(str(tree), tls=tls) as server:
        server.own(str(tree))
        before = snapshot(tree)
        report = examined(server, home)
        sent = commands(server) if server.log else []
    assert snapshot(tree) == before
    assert not [command for command in sent if command.startswith(CHANGING)]
    found = verdicts(report)
    assert {name for name, verdict in found.items() if verdict is None} == WRITING
    assert {name for name, verdict in found.items() if verdict is False} == lacking - WRITING
    steps = {timing["name"]: timing for timing in report["timings"]}
    assert list(steps) == ["connect", "login", "round trip", "listing", "reading"]
    assert all(timing["seconds"] > 0 for timing in steps.values())
    assert steps["reading"]["rate"] > 0


@pytest.mark.parametrize(("kind", "tls"), SPOKEN)
def test_what_writing_tells_and_nothing_is_left(kind: str, tls: str, tree: Path, home: str) -> None:
    start, lacking = SERVERS[kind]
    with start(str(tree), tls=tls) as server:
        server.own(str(tree))
        before = snapshot(tree, exact=False)
        report = examined(server, home, "--write")
    assert snapshot(tree, exact=False) == before
    found = verdicts(report)
    tried = {name for name in found if found[name] is not None}
    assert tried >= WRITING
    differing = {"MDTM sets", "SITE CHMOD", "names"}  # see the next test
    assert {n for n in tried if found[n] is False} - differing == lacking - differing
    assert report["timings"][-1]["name"] == "writing"
    assert report["left_behind"] == ""


def test_tls_is_shown(kind: str, tree: Path, home: str) -> None:
    with SERVERS[kind][0](str(tree), tls="explicit") as server:
        report = examined(server, home)
        old = examined(server, home, options=("tls_max=1.2",))
        assert doctor(server, home).stdout.count(report["protection"]["fingerprint"]) == 1
    assert report["protection"]["version"] == "TLSv1.3"
    assert report["protection"]["resumed"] is (kind not in NOT_RESUMING)
    assert len(report["protection"]["fingerprint"]) == 64
    assert old["protection"]["version"] == "TLSv1.2"
    assert "clear text" not in " ".join(report["limits"])


def test_a_directory_is_examined_and_a_file_elsewhere_is_not_read(
    kind: str, tree: Path, home: str
) -> None:
    (tree / "empty").mkdir()
    with SERVERS[kind][0](str(tree)) as server:
        done = ftpfs("doctor", server.url + "empty", "--json", "-", home=home)
        sent = commands(server) if server.log else []
    report = json.loads(done.stdout)
    assert report["directory"] == "/empty"
    assert verdicts(report)["RETR"] is None
    assert not [command for command in sent if command.startswith("RETR")]


def test_in_an_empty_directory_what_was_written_is_read(kind: str, tree: Path, home: str) -> None:
    (tree / "empty").mkdir()
    with SERVERS[kind][0](str(tree)) as server:
        server.own(str(tree))
        done = ftpfs("doctor", "--write", server.url + "empty", "--json", "-", home=home)
    report = json.loads(done.stdout)
    found = verdicts(report)
    assert [found[name] for name in ("SIZE", "MDTM", "REST", "RETR")] == [True] * 4
    assert [timing["name"] for timing in report["timings"]][-2:] == ["reading", "writing"]
    assert os.listdir(tree / "empty") == []


def test_sentences_for_people(tree: Path, home: str) -> None:
    with vsftpd_server(str(tree)) as server:
        done = doctor(server, home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "- Times in listings are exact to the minute" in done.stdout
    assert "- Password, names and files go over the network in clear text." in done.stdout
    assert "MLSD" in done.stdout
    assert "demo:demo" not in done.stdout
    assert "\x1b" not in done.stdout  # plain, as this is no terminal


def test_a_server_that_takes_no_writes(tree: Path, home: str) -> None:
    with vsftpd_server(str(tree), write_enable=False) as server:
        before = snapshot(tree)
        report = examined(server, home, "--write")
    assert snapshot(tree) == before
    assert verdicts(report)["writing"] is False
    assert "STOR" not in verdicts(report)
    assert "Nothing can be written" in " ".join(report["limits"])


def test_what_cannot_be_removed_is_said(tree: Path, home: str) -> None:
    with vsftpd_server(str(tree), cmds_denied="RMD") as server:
        done = doctor(server, home, "--write", "--json", "-")
    [left] = [name for name in os.listdir(tree) if name.startswith(".ftpfs-doctor-")]
    within = os.listdir(
        tree / left
    )  # directories by which odd names were tried: not removed either
    assert all(name.startswith(".ftpfs-") for name in within)
    assert json.loads(done.stdout)["left_behind"] == "/" + left
    assert done.returncode == FAILURE
    assert done.stderr == f"ftpfs: /{left}: could not be removed again\n"


def test_a_limit_of_connections(tree: Path, home: str) -> None:
    with vsftpd_server(str(tree), max_per_ip=2) as server:
        report = examined(server, home)
        [finding] = [f for f in report["findings"] if f["name"] == "connections"]
        assert finding["verdict"] is False
        assert finding["detail"].startswith("2 of 5: ")
        assert connections(server) == 2
        assert "Fewer connections" in " ".join(report["limits"])


def test_what_is_switched_off_is_not_tried(tree: Path, home: str) -> None:
    with vsftpd_server(str(tree)) as server:
        report = examined(server, home, options=("without=epsv+grouping",))
        assert "EPSV" not in commands(server)
    assert verdicts(report)["EPSV"] is None
    assert verdicts(report)["PASV"] is True


def test_what_is_switched_off_is_not_tried_by_writing_either(tree: Path, home: str) -> None:
    off = {"appe": "APPE", "mdtm": "MDTM sets", "chmod": "SITE CHMOD", "replace": "replacing"}
    with vsftpd_server(str(tree)) as server:
        options = (f"without={'+'.join(off)}",)
        found = verdicts(examined(server, home, "--write", options=options))
        sent = commands(server)
    assert {name for name in off.values() if found[name] is None} == set(off.values())
    assert not [c for c in sent if c.startswith(("APPE", "SITE CHMOD", "MDTM 2"))]


def test_active_mode(tree: Path, home: str) -> None:
    with vsftpd_server(str(tree)) as server:
        report = examined(server, home, options=("active",))
        assert not {"EPSV", "PASV"} & set(commands(server))
    found = verdicts(report)
    assert (found["active mode"], found["LIST"], found["RETR"]) == (True, True, True)


def test_what_is_found_is_kept_for_mounts(tree: Path, home: str) -> None:
    """One file, for its owner alone, without the password."""
    with vsftpd_server(str(tree), max_per_ip=2) as server:
        examined(server, home, "--write")
        [path] = glob.glob(home + "/.cache/ftpfs/servers/*")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    kept = json.loads(text)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert kept["server"] == f"ftp://demo@127.0.0.1:{server.port}/"
    assert "demo:demo" not in text
    assert kept["verdicts"]["mfmt"][0] is False
    assert kept["verdicts"]["mdtm_sets"][0] is True
    assert kept["verdicts"]["connection_limit"][0] == 2
    assert not {"zone_s", "replaces", "patches"} & kept["verdicts"].keys()


def test_json_goes_to_a_file(tree: Path, home: str, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    with vsftpd_server(str(tree)) as server:
        done = doctor(server, home, "--json", str(target))
    assert done.returncode == 0
    assert "what" in done.stdout
    assert json.loads(target.read_text())["url"] == f"ftp://demo@127.0.0.1:{server.port}/"


# -- refusals -------------------------------------------------------------------------------------


def test_a_wrong_password(tree: Path, home: str, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    with vsftpd_server(str(tree)) as server:
        url = server.url.replace("demo:demo", "demo:wrong")
        done = ftpfs("doctor", url, "--json", str(target), home=home)
    assert done.returncode == FAILURE
    assert done.stderr.startswith("ftpfs: login refused")
    assert done.stderr.count("\n") == 1
    assert "wrong" not in done.stderr
    assert not target.exists()
    assert not glob.glob(home + "/.cache/ftpfs/servers/*")


def test_nobody_there(home: str) -> None:
    done = ftpfs("doctor", "ftp://127.0.0.1:1/", home=home)
    assert (done.returncode, done.stdout) == (FAILURE, "")
    assert "Connection refused" in done.stderr


def test_a_file_that_cannot_be_written(home: str) -> None:
    done = ftpfs("doctor", "ftp://127.0.0.1:1/", "--json", "/nowhere/at/all", home=home)
    assert done.returncode == USAGE
    assert done.stderr.startswith("ftpfs: /nowhere/at/all: cannot be written")


def test_a_certificate_that_is_not_trusted(tree: Path, home: str) -> None:
    with vsftpd_server(str(tree), tls="explicit") as server:
        done = ftpfs("doctor", server.url, home=home)
        assert commands(server) == ["AUTH TLS", "AUTH TLS"]
    assert done.returncode == FAILURE
    assert "-o fingerprint=SHA256:" in done.stderr
