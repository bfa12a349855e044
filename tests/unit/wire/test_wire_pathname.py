from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.errors import NameRefusedError, ProtocolError
from ftpfs.wire.pathname import (
    check_path,
    is_listed_name,
    join,
    length,
    oddities,
    parse_257,
    relative_target,
    split,
    steps,
)
from ftpfs.wire.reply import Reply


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('"/" is the current directory', "/"),
        ('"/home/u ser" is cwd', "/home/u ser"),
        ('"/a""b" created', '/a"b'),
        ('"/""" created', '/"'),
        ('Current directory is "/x" now', "/x"),
        ("/no/quotes is current", "/no/quotes"),
        ("Current directory is /pub now", "/pub"),
        ('"/half is current', "/half"),
        ("DISK:[USER]", "DISK:[USER]"),
        ("\"'HLQ.'\" is the working directory name prefix.", "'HLQ.'"),
    ],
)
def test_257(text: str, path: str) -> None:
    assert parse_257(Reply(257, (text,))) == path


@pytest.mark.parametrize("text", ["", '""', '"', '"" is empty'])
def test_257_without_a_path(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_257(Reply(257, (text,)))


@given(st.text(min_size=1) | st.text('"/a', min_size=1))
def test_257_round_trip(path: str) -> None:
    quoted = path.replace('"', '""')
    assert parse_257(Reply(257, (f'"{quoted}" is it',))) == path


@pytest.mark.parametrize(
    ("base", "names", "expected"),
    [
        ("/", ("a",), "/a"),
        ("/a", ("b", "c"), "/a/b/c"),
        ("/a/", ("/b/", "/c"), "/a/b/c"),
        ("//", ("a",), "/a"),
        ("/", (), "/"),
        ("", ("a",), "/a"),
        ("", (), "/"),
        ("/a", ("", "/"), "/a"),
        ("/a", ("..", "b"), "/a/../b"),
        ("/a", (" b ",), "/a/ b "),
    ],
)
def test_join(base: str, names: tuple[str, ...], expected: str) -> None:
    assert join(base, *names) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ("/", "")),
        ("/a", ("/", "a")),
        ("/a/b", ("/a", "b")),
        ("/a/b/", ("/a", "b")),
        ("/a//b", ("/a", "b")),
        ("a", ("/", "a")),
    ],
)
def test_split(path: str, expected: tuple[str, str]) -> None:
    assert split(path) == expected


@pytest.mark.parametrize("path", ["/a\r", "/a\n/b", "\0"])
def test_check_path_refuses(path: str) -> None:
    with pytest.raises(NameRefusedError):
        check_path(path)


def test_check_path_takes_everything_else() -> None:
    check_path("/a b/é\udce9\t*[x]")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\r", "a\nb", "\0"])
def test_unlisted_names(name: str) -> None:
    assert not is_listed_name(name)


@pytest.mark.parametrize("name", ["a", "...", ".hidden", " ", "a;b", "caf\udce9", "~"])
def test_listed_names(name: str) -> None:
    assert is_listed_name(name)


TARGETS = {
    "beside": ("/l", "x", "/home/u", "x"),
    "up and down": ("/d/l", "../x", "/home/u", "../x"),
    "up to the root": ("/d/l", "..", "/", ".."),
    "above the root": ("/d/l", "../../x", "/", None),
    "above the root, from the root": ("/l", "..", "/home/u", None),
    "above and back": ("/l", "../u/x", "/home/u", None),
    "down before up": ("/l", "a/../b", "/home/u", "a/../b"),
    "odd slashes stay": ("/d/l", ".//x/", "/home/u", ".//x/"),
    "absolute inside": ("/d/l", "/home/u/x/y", "/home/u", "../x/y"),
    "absolute inside, from the root": ("/l", "/home/u/x", "/home/u", "x"),
    "absolute to the root": ("/l", "/home/u", "/home/u/", "."),
    "absolute to the root, from below": ("/d/e/l", "/home/u/", "/home/u", "../.."),
    "absolute, whole server mounted": ("/d/l", "/etc/x", "/", "../etc/x"),
    "absolute outside": ("/l", "/etc/passwd", "/home/u", None),
    "absolute, a longer name": ("/l", "/home/user/x", "/home/u", None),
    "absolute, climbing out": ("/l", "/home/u/../v", "/home/u", None),
    "absolute, climbing inside": ("/l", "/home/u/a/../v", "/home/u", "a/../v"),
    "empty": ("/l", "", "/", None),
    "NUL": ("/l", "a\0b", "/", None),
}


@pytest.mark.parametrize(("link", "target", "base", "expected"), TARGETS.values(), ids=TARGETS)
def test_relative_target(link: str, target: str, base: str, expected: str | None) -> None:
    assert relative_target(link, target, base) == expected


PATHS = st.lists(st.sampled_from(["a", "b", "..", ".", ""]), max_size=6).map("/".join)


@given(PATHS, st.sampled_from(["/l", "/d/l", "/d/e/l"]), st.sampled_from(["/", "/a", "/a/b"]))
def test_no_link_ever_leaves_the_mount(target: str, link: str, base: str) -> None:
    given_back = relative_target(link, target, base)
    if given_back is not None:
        inside = posixpath.normpath("/mnt/point" + posixpath.dirname(link) + "/" + given_back)
        assert (inside + "/").startswith("/mnt/point/")


# -- long paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/", ["/"]),
        ("/a/b", ["/a/b"]),
        ("/aaaa/bbbb", ["/aaaa/bbbb"]),
        ("/aaaa/bbbbb", ["/aaaa", "./bbbbb"]),
        ("/aaaa/~bbb/-c/d", ["/aaaa/~bbb", "./-c/d"]),
        ("/" + "x" * 30, ["/" + "x" * 30]),
        ("/a/" + "x" * 30 + "/b", ["/a", "./" + "x" * 30, "./b"]),
        ("/äöü/äöü", ["/äöü", "./äöü"]),
    ],
)
def test_steps(path: str, parts: list[str]) -> None:
    assert steps(path, 10) == parts


@given(st.lists(st.text("ab/ü", min_size=1).map(lambda t: t.replace("/", "~")), min_size=1))
def test_steps_lead_there(names: list[str]) -> None:
    path = "/" + "/".join(names)
    here = "/"
    for part in steps(path, 12):
        assert length(part, "utf-8") <= 12 or part.removeprefix("./").count("/") <= 1
        here = posixpath.join(here, part)
    assert posixpath.normpath(here) == path


# -- unusual names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("ordinary-name_1.txt", []),
        (".hidden", []),
        ("two  blanks", []),
        ("Grüße", []),
        (" a", ["a blank at the beginning"]),
        ("a. ", ["a blank at the end"]),
        ("a.", ["a dot at the end"]),
        ("...", ["a dot at the end"]),
        ("a\tb\tc", ["the character '\\t'"]),
        ('what?"', ["the character '\"'", "the character '?'"]),
        ("a\\b", ["the character '\\\\'"]),
        ("caf\udce9\udcff", ["bytes that are not text"]),
    ],
)
def test_oddities(name: str, kinds: list[str]) -> None:
    assert list(oddities(name)) == kinds


@given(st.text(min_size=1))
def test_samples_have_what_they_stand_for_and_nothing_else(name: str) -> None:
    samples = oddities(name)
    for kind, sample in samples.items():
        assert list(oddities(sample)) == [kind]
    plain = {"".join(char for char in sample if char.isdigit()) for sample in samples.values()}
    assert len(plain) == len(samples), "what drops the odd part keeps them apart"
