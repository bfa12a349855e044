"""Names of every kind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from serving import SECOND_NS, Served

from ftpfs.errors import DeniedError, InvalidNameError, NameRefusedError
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
        served.lacks("no directory with `*` in its name (EINVAL)")
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
        served.lacks("no blank at the end of a name and no control character (EINVAL)")
    else:
        served.lacks("no backslash in a name (EINVAL)")


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
