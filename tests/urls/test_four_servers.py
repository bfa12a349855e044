"""The URL commands on all four servers, and over every kind of connection that a mount can have."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from proxies import proxy_server
from servers import (
    Running,
    Server,
    commands,
    proftpd_server,
    pureftpd_server,
    pyftpdlib_server,
    vsftpd_server,
)
from urls.commands import Place, coreutils, made_place, plant, tree

from ftpfs.tree.part import own_name, part_name

SERVERS: dict[str, Callable[[str], Running]] = {
    "pyftpdlib": pyftpdlib_server,
    "vsftpd": vsftpd_server,
    "proftpd": proftpd_server,
    "pureftpd": pureftpd_server,
}
WAYS = {
    "as it comes": (),
    "active": ("active",),
    "active by PORT": ("active", "without=epsv"),
    "PASV": ("without=epsv",),
    "one command at a time": ("without=grouping",),
    "no MLSD": ("without=mlsd",),
    "no replacing": ("without=replace",),
    "all left out": ("without=mlsd+epsv+grouping+rest+replace",),
    "one connection": ("max_conns=1",),
}

REFUSED = {"pureftpd": {"end ", "back\\slash"}}
"""Odd names that a server would store as others."""


@pytest.fixture(scope="module", params=SERVERS)
def one_of_four(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with SERVERS[request.param](str(tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture
def place(one_of_four: Server, tmp_path: Path) -> Iterator[Place]:
    for place in made_place(one_of_four, tmp_path):
        one_of_four.own(str(place.root))
        yield place


def with_options(place: Place, options: tuple[str, ...]) -> list[str]:
    """pyftpdlib opens one connection of its own at a time: with two it falls silent."""
    if "active" in options and place.server.name == "pyftpdlib":
        options = (*options, "max_conns=1")
    return [word for option in options for word in ("-o", option)]


@pytest.mark.parametrize("way", WAYS)
def test_a_tree_there_and_back(place: Place, way: str) -> None:
    plant(place.local / "tree")
    (place.local / "tree" / "big").write_bytes(os.urandom(9_000_000))
    options = with_options(place, WAYS[way])
    place.good("cp", "-r", *options, "tree", place.url("there"))
    assert tree(place.root / "there") == tree(place.local / "tree")
    place.good("cp", "-r", *options, place.url("there"), "back")
    assert tree(place.local / "back") == tree(place.local / "tree")
    # over what is there now
    (place.local / "tree" / "big").write_bytes(os.urandom(9_000_001))
    place.good("cp", "-r", *options, "tree/.", place.url("there"))
    assert tree(place.root / "there") == tree(place.local / "tree")
    place.good("rm", "-r", *options, place.url("there"))
    assert os.listdir(place.root) == []


def test_names_are_those_of_a_local_copy(place: Place) -> None:
    plant(place.root / "tree")
    place.server.own(str(place.root))
    shutil.copytree(place.root / "tree", place.local / "tree")
    for path in ("tree", "tree/one", "tree/empty"):
        ours = place.good("ls", "-1a", place.url(path))
        assert ours == coreutils("ls", "-1a", path, cwd=place.local).out


def test_what_is_the_same_is_not_copied_again(place: Place) -> None:
    plant(place.local / "tree")
    place.good("sync", "tree", place.url("there"))
    assert tree(place.root / "there") == tree(place.local / "tree")
    again = place.good("sync", "tree", place.url("there"))
    assert again.startswith("copied 0 files")
    place.good("sync", place.url("there"), "back")
    assert tree(place.local / "back") == tree(place.local / "tree")
    assert place.good("sync", place.url("there"), "back").startswith("copied 0 files")


def test_a_part_is_found_by_its_name_and_gone_on_with(place: Place) -> None:
    """Its name begins with a dot: listings show it nevertheless."""
    content = os.urandom(9_000_000)
    (place.local / "f").write_bytes(content)
    mtime_ns = (place.local / "f").stat().st_mtime_ns
    part = own_name(part_name(str(place.root / "f"), len(content), mtime_ns))
    Path(part).write_bytes(content[:8_000_000])
    place.server.own(str(place.root))
    place.good("cp", "--continue", "f", place.url("f"))
    assert (place.root / "f").read_bytes() == content
    assert os.listdir(place.root) == ["f"]


def test_changes_of_names(place: Place) -> None:
    (place.root / "f").write_bytes(b"f")
    place.server.own(str(place.root))
    place.good("mkdir", "-p", place.url("a/b/c"))
    place.good("mv", place.url("f"), place.url("a/b/c/g"))
    assert place.good("cat", place.url("a/b/c/g")) == "f"
    place.good("rm", place.url("a/b/c/g"))
    place.good("rmdir", place.url("a/b/c"), place.url("a/b"), place.url("a"))
    assert os.listdir(place.root) == []


def test_a_long_path_and_odd_names(place: Place) -> None:
    """A path that servers do not take as one argument, and names that look like something else."""
    deep = Path(*[f"{n:02}" + 58 * "d" for n in range(10)])
    (place.local / "t" / deep).mkdir(parents=True)
    for name in ("plain", "~", "-la", "*", "a;b", "back\\slash", "%41", "#1", "ä ö", "end "):
        (place.local / "t" / name).write_bytes(name.encode())
        (place.local / "t" / deep / name).write_bytes(name.encode())
    copied = place.ftpfs("cp", "-r", "t", place.url("t"))
    kept, expected = tree(place.root / "t"), tree(place.local / "t")
    refused = expected.keys() - kept.keys()
    assert kept == {path: expected[path] for path in expected if path not in refused}
    assert copied.code == (1 if refused else 0), copied.err
    assert len(copied.err.splitlines()) == len(refused)
    assert {os.path.basename(path) for path in refused} == REFUSED.get(place.server.name, set())
    place.good("cp", "-r", place.url("t"), "back")
    assert tree(place.local / "back") == kept
    place.good("mv", place.url("t"), place.url("u"))
    place.good("rm", "-r", place.url("u"))
    assert os.listdir(place.root) == []


@pytest.mark.parametrize("encoding", ["cp1251", "gbk"])
def test_names_in_another_encoding(place: Place, encoding: str) -> None:
    name = {"cp1251": "отчёт за май", "gbk": "报告 五月"}[encoding]
    (place.local / "t").mkdir()
    (place.local / "t" / name).write_bytes(b"content")
    option = ("-o", f"encoding={encoding}")
    place.good("cp", "-r", *option, "t", place.url("t"))
    assert os.listdir(os.fsencode(place.root / "t")) == [name.encode(encoding)]
    assert place.good("ls", *option, place.url("t")) == f"{name}\n"
    assert place.good("cat", *option, place.url("t/*")) == "content"
    place.good("cp", "-r", *option, place.url("t"), "back")
    assert os.listdir(place.local / "back") == [name]
    place.good("rm", "-r", *option, place.url("t"))


@pytest.mark.parametrize("kind", ["socks5", "http"])
def test_everything_goes_through_a_proxy(place: Place, kind: str) -> None:
    plant(place.local / "tree")
    with proxy_server(kind, "joe", "secret") as proxy:
        option = ("-o", f"proxy={kind}://joe:secret@127.0.0.1:{proxy.port}")
        place.good("cp", "-r", *option, "tree", place.url("there"))
        place.good("cp", "-r", *option, place.url("there"), "back")
        assert len(proxy.targets) > len(tree(place.local / "back")) / 2
    assert tree(place.local / "back") == tree(place.local / "tree")


def test_a_proxy_that_lets_nobody_through(place: Place) -> None:
    with proxy_server("http", "joe", "right") as proxy:
        option = ("-o", f"proxy=http://joe:wrong@127.0.0.1:{proxy.port}")
        refused = place.ftpfs("ls", *option, place.url())
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 1
    assert "wrong" not in refused.err
    assert "proxy" in refused.err


def test_no_server_reaches_us_through_a_proxy(place: Place) -> None:
    both = ("-o", "active", "-o", "proxy=http://127.0.0.1:9")
    refused = place.ftpfs("ls", *both, place.url())
    assert refused.code == 2
    assert "-o active and -o proxy" in refused.err


def test_what_is_learnt_is_kept_for_the_next_command(vs: Place) -> None:
    """An odd name is tried in a directory of its own, once."""
    for name in ("odd*1", "odd*2"):
        (vs.local / name).write_bytes(b"")
        vs.good("cp", name, vs.url("copy*"))
    sent = " ".join(command for command in commands(vs.server) if vs.name in command)
    assert len(set(re.findall(r"\.ftpfs-[0-9a-f]{12}", sent))) == 1
