"""Names of every kind."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Callable

import pytest
from contract.serving import SECOND_NS, Served, content, sent_from
from fakes.memory import MemoryRemote

from ftpfs.errors import (
    AbsentError,
    DeniedError,
    ExistsError,
    InvalidNameError,
    NameRefusedError,
    NetworkError,
)
from ftpfs.remote.api import Entry, Kind

pytestmark = pytest.mark.operation("names")


NAMES = [
    "a b",
    " leading",
    "trailing ",
    "  two  each  ",
    'quo"ted',
    '""',
    "it's",
    "[brackets]",
    "(round) {curly}",
    "star*",
    "*",
    "quest?ion",
    "~x",
    "~",
    "-la",
    "-",
    "back\\slash",
    "$HOME `x` %41 100%",
    "a=1;b=2",
    "type=dir; x",
    "semi;colon",
    "tab\there",
    "...",
    ".dot",
    "Grüße aus Köln",
    "Gru\u0308ße",
    "日本語",
    "\N{PILE OF POO}",
    "x" * 255,
    "a -> b",
    "Jan 1 00:00 x",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name(served: Served, name: str) -> None:
    round_trip(served, name)


@pytest.mark.parametrize("name", ["caf\udce9", "\udcff\udcfe", "ok\udc80ü"])
def test_a_name_that_is_not_utf8(served: Served, name: str) -> None:
    round_trip(served, name)


def round_trip(served: Served, name: str) -> None:
    """The name as that of a file, of a directory with a file in it, and renamed to and from."""
    if name in served.can.changes or name in served.can.refuses:
        refused(served, name)
        return
    remote = served.remote
    served.store(f"/{name}", b"content")
    assert list(remote.list("/")) == [name]
    assert remote.stat(f"/{name}").name == name
    assert remote.stat(f"/{name}").size == 7
    assert served.read(f"/{name}") == b"content"
    remote.set_mtime(f"/{name}", 1_000_000_000 * SECOND_NS)
    remote.chmod(f"/{name}", 0o600)
    remote.rename(f"/{name}", "/plain")
    if name in served.can.refuses_directories:
        with pytest.raises(InvalidNameError):
            remote.mkdir(f"/{name}")
        served.lacks("no directory may have a `*` in its name (EINVAL)")
        return
    remote.mkdir(f"/{name}")
    remote.rename("/plain", f"/{name}/{name}")
    entry: Entry = remote.list(f"/{name}")[name]
    assert (entry.kind, entry.size) == (Kind.FILE, 7)
    assert (
        entry.mtime_ns // SECOND_NS // served.can.lists_to_s
        == (1_000_000_000 // served.can.lists_to_s)
        or entry.precision_s > 60
    )
    remote.unlink(f"/{name}/{name}")
    remote.rmdir(f"/{name}")
    assert remote.list("/") == {}


def refused(served: Served, name: str) -> None:
    """EINVAL, and nothing was made or overwritten, least of all what has the changed name."""
    remote = served.remote
    served.store("/precious", b"x")
    bystanders = {name.replace(odd, "_").strip() for odd in (" ", "\t", "\\")} | {name.strip()}
    for bystander in bystanders - {name}:
        served.store(f"/{bystander}", b"another's")
    before = served.files()
    for call in (
        lambda: served.store(f"/{name}", b"content"),
        lambda: served.replace(f"/{name}", b"content"),
        lambda: remote.mkdir(f"/{name}"),
        lambda: remote.rename("/precious", f"/{name}"),
    ):
        with pytest.raises(InvalidNameError):
            call()
    assert served.files() == before
    assert all(served.data(bystander) == b"another's" for bystander in bystanders - {name})
    if name in served.can.changes:
        served.lacks(
            "a blank at the end of a name, or a control character, would be changed (EINVAL)"
        )
    else:
        served.lacks("no name may hold a backslash (EINVAL)")


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a\0b", "\r\nDELE precious", "end\n"])
def test_a_name_that_cannot_be_sent(served: Served, name: str) -> None:
    served.store("/precious", b"x")
    remote, path = served.remote, f"/{name}"
    calls: list[Callable[[], object]] = [
        lambda: remote.list(path),
        lambda: remote.stat(path),
        lambda: remote.open_read(path, 0),
        lambda: served.store(path, b""),
        lambda: remote.mkdir(path),
        lambda: remote.rmdir(path),
        lambda: remote.unlink(path),
        lambda: remote.rename(path, "/new"),
        lambda: remote.rename("/precious", path),
        lambda: remote.set_mtime(path, 0),
        lambda: remote.chmod(path, 0o600),
    ]
    before = served.sent()
    for call in calls:
        with pytest.raises(NameRefusedError):
            call()
    assert served.sent() == before
    assert list(remote.list("/")) == ["precious"]
    assert served.sent() > before, "what is counted counts"


def test_a_link_that_leads_to_another_name(served: Served) -> None:
    """No server of these makes one by FTP; but a name that looks like one is a name."""
    with contextlib.suppress(DeniedError):
        served.store("/a -> b", b"12")
    assert served.remote.list("/")["a -> b"].target is None


# -- encodings ------------------------------------------------------------------------------------

ENCODED = [
    ("cp1251", "Привет, мир"),
    ("cp1251", "яя я"),  # each a byte 255, which begins a command of telnet
    ("koi8-r", "Отчёт"),
    ("latin-1", "naïve ÿ"),
    ("gbk", "中文 名字"),
    ("shift_jis", "ソフト 表"),  # the second bytes are a backslash
]


@pytest.mark.parametrize(("encoding", "name"), ENCODED)
def test_a_name_in_another_encoding(served: Served, encoding: str, name: str) -> None:
    if isinstance(served.remote, MemoryRemote):
        return  # there are no bytes in it
    raw = name.encode(encoding)
    with served.reconnected(f"encoding={encoding}") as remote:
        if b"\\" in raw and "back\\slash" in served.can.refuses:
            with pytest.raises(InvalidNameError):
                remote.mkdir(f"/{name}")
            return
        remote.mkdir(f"/{name}")
        with sent_from(b"content") as source:
            remote.store(f"/{name}/{name}", source, 7)
        assert os.listdir(os.fsencode(served.directory)) == [raw]
        assert os.listdir(os.path.join(os.fsencode(served.directory), raw)) == [raw]
        assert list(remote.list("/")) == list(remote.list(f"/{name}")) == [name]
        assert remote.stat(f"/{name}/{name}").size == 7
        assert content(remote.open_read(f"/{name}/{name}", 0)) == b"content"
        with pytest.raises(NameRefusedError, match=codecs.lookup(encoding).name):
            remote.mkdir("/\N{PILE OF POO}")
        remote.rename(f"/{name}/{name}", "/plain")
    assert sorted(served.files()) == sorted(["plain", os.fsdecode(raw)])


def test_a_name_that_is_not_in_the_encoding_is_shown_and_reached(served: Served) -> None:
    if isinstance(served.remote, MemoryRemote):
        return
    raw = b"caf\xe9"  # no gbk
    with open(os.path.join(os.fsencode(served.directory), raw), "wb") as file:
        file.write(b"content")
    with served.reconnected("encoding=gbk") as remote:
        (name,) = remote.list("/")
        assert content(remote.open_read(f"/{name}", 0)) == b"content"
        assert name.encode("gbk", "surrogateescape") == raw


# -- long paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [450, 600, 1500, 3000])
def test_a_long_path(served: Served, length: int) -> None:
    """Directories by CWD in parts; some commands of a server end at 512 bytes (pyftpdlib: 2048)."""
    remote, path = served.remote, ""
    while len(path) < length:
        path += "/" + str(len(path)).rjust(99, "d")
        remote.mkdir(path)
    if len(path) > served.can.longest_path:
        with pytest.raises(NetworkError):
            remote.list(path)
        served.lacks("the server hangs up when it is to list a path of more than 2 KiB")
        return
    served.store(f"{path}/~ file", b"content")
    assert list(remote.list(path)) == ["~ file"]
    assert remote.stat(f"{path}/~ file").size == 7
    assert served.read(f"{path}/~ file") == b"content"
    if served.can.appends:
        served.append(f"{path}/~ file", b"content more", 7)
    served.replace(f"{path}/~ file", b"new", 0o644)
    remote.chmod(f"{path}/~ file", 0o600)
    remote.set_mtime(f"{path}/~ file", 1_000_000_000 * SECOND_NS)
    assert remote.stat(f"{path}/~ file").mtime_ns == 1_000_000_000 * SECOND_NS
    with pytest.raises(AbsentError):
        remote.unlink(f"{path}/absent")
    with pytest.raises(AbsentError):
        remote.list(f"{path}/absent")
    remote.rename(f"{path}/~ file", f"{path}/renamed")
    remote.unlink(f"{path}/renamed")
    while path:
        remote.rmdir(path)
        path = path[:-100]
    assert remote.list("/") == {}


def test_a_rename_between_long_paths(served: Served) -> None:
    top, other = "/" + "t" * 100, "/" + "o" * 100
    deep, elsewhere = top + 6 * ("/" + "d" * 100), top + 6 * (other)
    for path in (deep, elsewhere):
        for end in range(101, len(path) + 1, 101):
            with contextlib.suppress(ExistsError):
                served.remote.mkdir(path[:end])
    served.store(f"{deep}/file", b"content")
    served.remote.rename(f"{deep}/file", f"{elsewhere}/renamed")
    assert served.read(f"{elsewhere}/renamed") == b"content"
    served.remote.rename(f"{elsewhere}/renamed", "/up")
    assert served.read("/up") == b"content"
