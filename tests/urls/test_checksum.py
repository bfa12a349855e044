"""Copies compared by hashes, with a ProFTPD that computes them (mod_digest)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import commands, proftpd_server
from urls.commands import Place, made_place
from urls.faults import Faults, faulty

DIGEST = {"LoadModule": "mod_digest.c", "DigestEngine": "on", "DigestAlgorithms": "all"}


@pytest.fixture(scope="module")
def hashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root, local = (tmp_path_factory.mktemp(name) for name in ("server", "local"))
    with proftpd_server(str(root), **DIGEST) as server:
        yield from made_place(server, local)


def hashed(place: Place) -> bool:
    return any(c.split(" ")[0] in ("HASH", "XSHA256") for c in commands(place.server))


@pytest.mark.parametrize("size", [0, 10, 400_000, 9_000_000])
def test_there_and_back(hashing: Place, size: int) -> None:
    content = os.urandom(size)
    (hashing.local / "f").write_bytes(content)
    hashing.good("cp", "--checksum", "f", hashing.url("f"))
    assert (hashing.root / "f").read_bytes() == content
    hashing.good("cp", "--checksum", hashing.url("f"), "g")
    assert (hashing.local / "g").read_bytes() == content
    hashing.good("cp", "--checksum", hashing.url("f"), hashing.url("h"))
    assert (hashing.root / "h").read_bytes() == content
    assert hashed(hashing)


def another_hash(line: bytes) -> bytes:
    """The server's hashes begin with another digit: 213 SHA-256 0-5 HEX name."""
    found = re.search(rb"213 SHA-256 \S+ ([0-9a-f])", line)
    if found is None:
        return line
    return line[: found.start(1)] + (b"0" if found[1] != b"0" else b"1") + line[found.end(1) :]


@pytest.mark.parametrize("down", [True, False], ids=["down", "up"])
def test_a_copy_that_differs_is_no_copy(hashing: Place, down: bool) -> None:
    for folder in (hashing.root, hashing.local):
        (folder / "source").write_bytes(os.urandom(400_000))
    with faulty(hashing.server, Faults(reply=another_hash)) as url:
        there = f"{url}{hashing.name}/"
        ends = (f"{there}source", "copy") if down else ("source", f"{there}copy")
        done = hashing.ftpfs("cp", "--checksum", *ends)
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert not (hashing.local / "copy").exists()
    assert not (hashing.root / "copy").exists()
    assert not [name for f in (hashing.root, hashing.local) for name in f.glob(".*part")]


def test_a_server_without_hashes_has_sizes_compared_and_that_is_said(vs: Place) -> None:
    for name in ("a", "b"):
        (vs.local / name).write_bytes(b"content")
    done = vs.ftpfs("cp", "--checksum", "a", "b", vs.url())
    assert done.code == 0
    assert done.err == "ftpfs: no hash that could be compared: only sizes were\n"
    assert Path(vs.root, "b").read_bytes() == b"content"
