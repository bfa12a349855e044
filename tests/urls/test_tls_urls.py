"""The URL commands on servers that speak TLS, explicit and implicit."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server, connections, vsftpd_server
from urls.commands import KINDS, Place, made_place, plant, tree
from urls.faults import Faults, faulty

MIB = 1 << 20


@pytest.fixture(
    scope="module",
    params=[("vsftpd", "explicit"), ("vsftpd", "implicit"), ("pyftpdlib", "explicit")],
    ids="-".join,
)
def tls_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    kind, mode = request.param
    with KINDS[kind](str(tmp_path_factory.mktemp("server")), tls=mode) as running:
        yield running


@pytest.fixture
def place(tls_server: Server, tmp_path: Path) -> Iterator[Place]:
    yield from made_place(tls_server, tmp_path)


def test_a_tree_there_and_back(place: Place) -> None:
    plant(place.local / "tree")
    place.good("cp", "-rp", "tree", place.url("there"))
    assert tree(place.root / "there") == tree(place.local / "tree")
    place.good("cp", "-r", place.url("there"), "back")
    assert tree(place.local / "back") == tree(place.local / "tree")
    place.good("cp", "-r", "back", place.url("there"))
    assert tree(place.root / "there" / "back") == tree(place.local / "tree")


@pytest.mark.parametrize("size", [0, 1, 16_385, 300_000, 20_000_000])
def test_a_file_of_any_size_there_and_back(place: Place, size: int) -> None:
    content = os.urandom(size)
    (place.local / "f").write_bytes(content)
    place.good("cp", "f", place.url("f"))
    place.good("cp", "f", place.url("f"))
    assert (place.root / "f").read_bytes() == content
    place.good("cp", place.url("f"), "g")
    assert (place.local / "g").read_bytes() == content
    place.good("cp", place.url("f"), place.url("g"))
    assert (place.root / "g").read_bytes() == content
    assert sorted(os.listdir(place.root)) == ["f", "g"]


def test_the_other_commands(place: Place) -> None:
    plant(place.root / "tree")
    copy = place.local / "copy"
    shutil.copytree(place.root / "tree", copy)
    names = sorted(name for name in os.listdir(copy) if not name.startswith("."))
    assert place.good("ls", place.url("tree")).splitlines() == names
    assert "drwx" in place.good("ls", "-l", place.url("tree"))
    assert place.good("cat", place.url("tree/a.txt")) == place.good(
        "cp", place.url("tree/a.txt"), "-"
    )
    place.good("mkdir", "-p", place.url("a/b"))
    place.good("mv", place.url("tree"), place.url("a/b"))
    assert tree(place.root / "a" / "b" / "tree") == tree(copy)
    place.good("sync", "copy", place.url("synced"))
    assert tree(place.root / "synced") == tree(copy)
    place.good("mv", place.url("synced"), "moved")
    assert tree(place.local / "moved") == tree(copy)
    place.good("rm", "-r", place.url("a"))
    assert os.listdir(place.root) == []


def test_many_small_files_use_few_connections(place: Place) -> None:
    (place.local / "d").mkdir()
    for n in range(120):
        (place.local / "d" / f"{n}").write_bytes(b"%d" % n)
    before = connections(place.server)
    place.good("cp", "-r", "-j3", "d", place.url("d"))
    assert connections(place.server) - before <= 3
    assert tree(place.root / "d") == tree(place.local / "d")


def test_a_certificate_that_is_not_trusted(place: Place) -> None:
    """Said once for each operand, with what helps; nothing is sent."""
    certificates = place.server.certificates
    assert certificates is not None
    plain = Place(
        place.server.__class__(**{**vars(place.server), "certificates": None}),
        place.name,
        place.root,
        place.local,
        place.home,
    )
    before = connections(place.server)
    done = plain.ftpfs("ls", place.url(), place.url("x"))
    assert done.code == 1
    assert len(done.err.splitlines()) == 2
    assert "-o fingerprint=SHA256:" in done.err
    assert connections(place.server) == before


# -- cut, and gone on with ------------------------------------------------------------------------

_FIRST_PORT = 20_000 + os.getpid() % 400 * 20
PORTS = range(_FIRST_PORT, _FIRST_PORT + 20)


@pytest.fixture(scope="module", params=["explicit", "implicit"])
def cut_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One whose data connections go to ports that are known before."""
    root = str(tmp_path_factory.mktemp("server"))
    ports = {"pasv_min_port": PORTS[0], "pasv_max_port": PORTS[-1]}
    with vsftpd_server(root, tls=request.param, **ports) as running:
        yield running


@pytest.fixture
def cut_place(cut_server: Server, tmp_path: Path) -> Iterator[Place]:
    yield from made_place(cut_server, tmp_path)


@pytest.mark.parametrize("control", [True, False], ids=["all connections", "data connection"])
@pytest.mark.parametrize("down", [True, False], ids=["down", "up"])
def test_a_file_cut_ten_times_is_right(cut_place: Place, control: bool, down: bool) -> None:
    place = cut_place
    content = os.urandom(24 * MIB)
    ((place.root if down else place.local) / "f").write_bytes(content)
    rng = random.Random(6)
    faults = Faults([rng.randrange(1, 2 * MIB) for _ in range(10)], control)
    with faulty(place.server, faults, PORTS) as url:
        there = f"{url}{place.name}/f"
        place.good("cp", "-j1", *((there, "f") if down else ("f", there)))
    assert faults.done == 10
    assert ((place.local if down else place.root) / "f").read_bytes() == content
    assert os.listdir(place.local if down else place.root) == ["f"]
