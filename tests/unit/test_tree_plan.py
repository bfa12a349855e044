"""What has to be done so that one tree becomes a copy of another; and patterns in URLs."""

from __future__ import annotations

import pytest

from ftpfs.remote.api import SECOND_NS, Entry, Kind
from ftpfs.tree.choices import Existing
from ftpfs.tree.events import Failed, File, Kept
from ftpfs.tree.globbing import has_pattern, matcher
from ftpfs.tree.local import LocalPlace
from ftpfs.tree.plan import Plan, Planner, chosen
from ftpfs.tree.walk import Tree

MINUTE_S = 60


def entry(
    name: str, size: int = 1, time_s: int = 0, precision_s: int = 1, kind: Kind = Kind.FILE
) -> Entry:
    return Entry(name, kind, size, time_s * SECOND_NS, precision_s=precision_s)


@pytest.mark.parametrize(
    ("existing", "source", "there", "copied"),
    [
        (Existing.REPLACE, entry("f"), entry("f"), True),
        (Existing.KEEP, entry("f", 2, 99), entry("f"), False),
        (Existing.OLDER, entry("f", 1, 99), entry("f", 1, 98), True),
        (Existing.OLDER, entry("f", 2, 98), entry("f", 1, 98), False),
        # LIST tells minutes: 59 s later may be the same time
        (Existing.OLDER, entry("f", 1, 59), entry("f", 1, 0, MINUTE_S), False),
        (Existing.OLDER, entry("f", 1, 60), entry("f", 1, 0, MINUTE_S), True),
        (Existing.PARTIAL, entry("f", 2), entry("f", 1), True),
        (Existing.PARTIAL, entry("f", 1, 5), entry("f", 1, 9), False),
        (Existing.PARTIAL, entry("f", 1, 9), entry("f", 1, 5), True),
        (Existing.DIFFERENT, entry("f", 1, 5), entry("f", 1, 9), True),
        (Existing.DIFFERENT, entry("f", 1, 5), entry("f", 1, 5), False),
        (Existing.DIFFERENT, entry("f", 1, 5), entry("f", 1, 9, MINUTE_S), False),
    ],
)
def test_what_is_copied_over_what_is_there(
    existing: Existing, source: Entry, there: Entry, copied: bool
) -> None:
    assert chosen(existing, source, there) is copied


def planned(source: Tree, target: Tree | None) -> Plan:
    planner = Planner(LocalPlace(), LocalPlace(), Existing.DIFFERENT)
    top = File("/s", "/t", entry("s", kind=Kind.DIRECTORY))
    planner.directory(top, source, target)
    return planner.plan


def tree(*entries: Entry, children: dict[str, Tree] | None = None, complete: bool = True) -> Tree:
    return Tree({each.name: each for each in entries}, children or {}, complete)


def directory(name: str) -> Entry:
    return entry(name, kind=Kind.DIRECTORY)


def test_directories_come_before_what_is_in_them() -> None:
    inner = tree(directory("b"), children={"b": tree(entry("f"))})
    plan = planned(tree(directory("a"), children={"a": inner}), None)
    assert [each.target for each in plan.directories] == ["/t", "/t/a", "/t/a/b"]
    assert [(each.source, each.target) for each in plan.files] == [("/s/a/b/f", "/t/a/b/f")]


def test_what_is_the_same_is_kept_and_what_only_the_target_has_is_surplus() -> None:
    plan = planned(tree(entry("same"), entry("new")), tree(entry("same"), entry("old")))
    assert [each.target for each in plan.files] == ["/t/new"]
    assert [type(each) for each in plan.said] == [Kept]
    assert [path for path, _ in plan.surplus] == ["/t/old"]


def test_what_could_not_be_listed_makes_nothing_surplus() -> None:
    plan = planned(tree(entry("f"), complete=False), tree(entry("f"), entry("old")))
    assert plan.surplus == []


@pytest.mark.parametrize(
    ("source", "there"), [(directory("x"), entry("x")), (entry("x"), directory("x"))]
)
def test_a_file_and_a_directory_do_not_replace_one_another(source: Entry, there: Entry) -> None:
    children = {"x": tree()} if source.kind is Kind.DIRECTORY else {}
    plan = planned(tree(source, children=children), tree(there))
    (said,) = plan.said
    assert isinstance(said, Failed)
    assert "cannot overwrite" in said.text
    assert not plan.files
    assert not plan.carried_out


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "a/../../x"])
def test_links_of_a_local_tree_are_copied_as_they_are(target: str) -> None:
    link = Entry("l", Kind.SYMLINK, target=target)
    assert [each.entry.target for each in planned(tree(link), None).links] == [target]


# -- patterns -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "fits", "not_these"),
    [
        ("*.txt", ["a.txt", "b c.txt"], [".a.txt", "a.txt.gz", "A.TXT"]),
        (".*", [".a"], ["a"]),
        ("?", ["a", "ü"], ["ab", ""]),
        ("[ab]*", ["a", "bc"], ["c"]),
        ("[!a]*", ["b", "^"], ["a", ".b"]),
        ("[^a]*", ["b", "!"], ["a", ".b"]),
        ("[a^]", ["a", "^"], ["b"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[[:digit:]x]*", ["1", "x2"], ["d]", ":]", "a"]),
        ("[^[:upper:][:blank:]]", ["a", "1"], ["A", " "]),
        ("[[:punct:]]", ["!", "-", "[", "]", "~", "_"], ["a", "0", " "]),
        ("%2A", ["*"], ["a"]),
        ("%5Ba%5D*", ["[a]x"], ["ax"]),
        ("%C3%BC*", ["üa"], ["ua"]),
        ("100%*", ["100%", "100%x"], ["100"]),
    ],
)
def test_a_pattern(pattern: str, fits: list[str], not_these: list[str]) -> None:
    match = matcher(pattern)
    assert all(map(match, fits))
    assert not any(map(match, not_these))


@pytest.mark.parametrize(
    ("path", "is_one"), [("a/*/b", True), ("a[1]", True), ("%2A%5B", False), ("a", False)]
)
def test_only_what_is_not_encoded_is_a_pattern(path: str, is_one: bool) -> None:
    assert has_pattern(path) is is_one
