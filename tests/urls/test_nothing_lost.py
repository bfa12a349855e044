"""What was there before a command, and what it was not told to remove, is there after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import commands, vsftpd_server
from urls.commands import Place, made_place, tree
from urls.faults import Faults, faulty

from ftpfs.config import SMALL_BYTES
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.events import File
from ftpfs.tree.part import Part


def by_another_name(url: str) -> str:
    """The same server: it counts as another one, as its name is another."""
    return url.replace("127.0.0.1", "localhost")


# -- mv -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 400_000])
@pytest.mark.parametrize("names", ["server", "in", "out"])
def test_a_file_is_not_moved_onto_itself(place: Place, size: int, names: str) -> None:
    (place.root / "f").write_bytes(bytes(size))
    here, there = place.url("f"), str(place.root / "f")
    source, target = {
        "server": (by_another_name(here), here),
        "in": (there, here),
        "out": (here, there),
    }[names]
    done = place.ftpfs("mv", source, target)
    assert (place.root / "f").read_bytes() == bytes(size)
    assert done.err.endswith(" are the same file\n")
    assert done.code == 1
    assert os.listdir(place.root) == ["f"]


def test_a_directory_is_not_moved_onto_itself(place: Place) -> None:
    (place.root / "d" / "sub").mkdir(parents=True)
    (place.root / "d" / "sub" / "f").write_text("f")
    before = tree(place.root)
    done = place.ftpfs("mv", by_another_name(place.url("d")), place.url())
    assert tree(place.root) == before
    assert done.err.endswith(" are the same file\n")
    assert done.code == 1


def test_a_move_that_broke_off_is_done_again(place: Place) -> None:
    """The copy is there, the source was not removed yet."""
    for top in (place.root, place.local):
        (top / "f").write_text("the same")
    place.good("mv", "f", place.url("f"))
    assert not (place.local / "f").exists()
    assert (place.root / "f").read_text() == "the same"


def test_what_a_link_leads_to_stays_when_the_link_is_moved(place: Place) -> None:
    for top in (place.root, place.local):
        (top / "other").mkdir()
        (top / "other" / "f").write_text("f")
        (top / "link").symlink_to("other")
    place.good("mv", "link", place.url("moved"))
    place.good("mv", place.url("link"), "moved")
    for top in (place.root, place.local):
        assert (top / "other" / "f").read_text() == "f"
        assert (top / "moved" / "f").read_text() == "f"
        assert not (top / "link").is_symlink()


def test_what_links_in_a_tree_lead_to_stays_when_it_is_moved(place: Place) -> None:
    """pyftpdlib lists a link to a directory as a directory."""
    (place.root / "other").mkdir()
    (place.root / "other" / "f").write_text("f")
    (place.root / "d").mkdir()
    (place.root / "d" / "link").symlink_to("../other")
    place.ftpfs("mv", place.url("d"), "d")
    assert (place.root / "other" / "f").read_text() == "f"
    assert not Path(place.root, "d").exists() or (place.root / "d" / "link").is_symlink()


# -- listings that do not tell all ----------------------------------------------------------------


@pytest.fixture
def vs_of_another(tmp_path: Path) -> Iterator[Place]:
    """vsftpd, working as a user who may be denied things."""
    root = tmp_path / "server"
    root.mkdir()
    with vsftpd_server(str(root), guest_username="ftp") as server:
        yield from made_place(server, tmp_path)


def test_a_directory_that_may_not_be_read_is_no_empty_one(vs_of_another: Place) -> None:
    """vsftpd lists it as empty, with 226."""
    place = vs_of_another
    (place.root / "d" / "closed").mkdir(parents=True)
    (place.root / "d" / "closed" / "f").write_text("f")
    place.server.own(str(place.root))
    (place.root / "d" / "closed").chmod(0o300)
    (place.local / "d" / "closed").mkdir(parents=True)
    (place.local / "d" / "closed" / "f").write_text("f")
    shown = place.shown("d/closed")
    for arguments in (["sync", "--delete"], ["cp", "-r"]):
        done = place.ftpfs(*arguments, place.url("d"), "d")
        assert done.err.splitlines()[:1] == [f"ftpfs: cannot access '{shown}': Permission denied"]
        assert done.code == 1
        assert (place.local / "d" / "closed" / "f").exists()
    done = place.ftpfs("ls", place.url("d/closed"))
    assert done.err == f"ftpfs: cannot access '{shown}': Permission denied\n"


@pytest.mark.parametrize("command", [["sync", "--delete"], ["cp", "-r"], ["mv"], ["ls"]])
def test_a_listing_that_the_server_cuts_is_not_believed_to_be_all(
    vs: Place, command: list[str]
) -> None:
    (vs.root / "d").mkdir()
    (vs.root / "d" / "listed").touch()
    (vs.local / "d").mkdir()
    for name in ("listed", "not listed"):
        (vs.local / "d" / name).touch()
    end, cut = b"226 Directory send OK", b"226 Output truncated to 1 matches"
    faults = Faults(reply=lambda replies: replies.replace(end, cut))
    target = [] if command == ["ls"] else ["d"] if command[0] == "sync" else ["."]
    with faulty(vs.server, faults) as url:
        done = vs.ftpfs(*command, f"{url}{vs.name}/d", *target)
    assert "the server cut the listing at 1 names" in done.err
    assert done.code == 1
    assert (vs.root / "d" / "listed").exists()
    assert sorted(os.listdir(vs.local / "d")) == ["listed", "not listed"]


def test_a_pattern_in_a_listing_that_the_server_cuts_is_no_success(vs: Place) -> None:
    for name in ("listed", "list of others"):
        (vs.root / name).touch()
    end, cut = b"226 Directory send OK", b"226 Output truncated to 2 matches"
    faults = Faults(reply=lambda replies: replies.replace(end, cut))
    with faulty(vs.server, faults) as url:
        done = vs.ftpfs("rm", f"{url}{vs.name}/list*")
    assert "cannot list all of 'ftp://" in done.err
    assert "the server cut the listing at 2 names" in done.err
    assert done.code == 1
    assert os.listdir(vs.root) == []  # those that were listed


@pytest.mark.parametrize("command", ["cp", "mv"])
def test_a_link_to_a_directory_is_not_replaced_by_one_of_many_files(
    place: Place, command: str
) -> None:
    (place.root / "z" / "real").mkdir(parents=True)
    (place.root / "z" / "x").symlink_to("real")
    for name in "xy":
        (place.local / name).write_text(name)
    done = place.ftpfs(command, "x", "y", place.url("z"))
    shown = place.shown("z/x")
    assert done.err == f"ftpfs: cannot overwrite directory '{shown}' with non-directory\n"
    assert done.code == 1
    assert (place.root / "z" / "x").is_symlink()
    assert (place.root / "z" / "y").read_text() == "y"


def test_ordinary_names_are_not_looked_at_one_by_one(vs: Place) -> None:
    (vs.root / "z").mkdir()
    for name in ("ordinary1", "ordinary2"):
        (vs.local / name).touch()
    vs.good("cp", "ordinary1", "ordinary2", vs.url("z"))
    verbs = [line.split()[0] for line in commands(vs.server) if "ordinary1" in line]
    assert verbs == ["STOR", "SIZE"]


@pytest.fixture
def vs_that_hides(tmp_path: Path) -> Iterator[Place]:
    """vsftpd with names that it does not list."""
    root = tmp_path / "server"
    root.mkdir()
    with vsftpd_server(str(root), hide_file="{.h*}") as server:
        yield from made_place(server, tmp_path)


def test_hidden_names_are_kept_on_demand(vs_that_hides: Place) -> None:
    place = vs_that_hides
    (place.root / "d").mkdir()
    (place.root / "d" / ".h").write_text("kept")
    for name in (".h", ".hh", "w"):
        (place.local / name).write_text("new")
    place.good("cp", "-n", ".h", place.url("d"))
    place.good("cp", "-n", ".h", ".hh", "w", place.url("d"))
    found = {path.name: path.read_text() for path in (place.root / "d").iterdir()}
    assert found == {".h": "kept", ".hh": "new", "w": "new"}


# -- cp -------------------------------------------------------------------------------------------


def test_what_is_there_is_not_replaced_by_a_link_on_demand(vs: Place) -> None:
    (vs.root / "d").mkdir()
    (vs.root / "d" / "link").symlink_to("f")
    (vs.root / "d" / "f").touch()
    (vs.local / "d").mkdir()
    (vs.local / "d" / "link").write_text("content")
    vs.good("cp", "-rn", vs.url("d/."), "d")
    assert (vs.local / "d" / "link").read_text() == "content"
    vs.good("cp", "-ru", vs.url("d/."), "d")  # it is the newer one
    assert (vs.local / "d" / "link").read_text() == "content"
    vs.good("cp", "-r", vs.url("d/."), "d")
    assert os.readlink(vs.local / "d" / "link") == "f"


@pytest.fixture
def vs_of_few(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server that allows so many connections, with four large files."""
    root = tmp_path / "server"
    root.mkdir()
    with vsftpd_server(str(root), max_per_ip=request.param) as server:
        for place in made_place(server, tmp_path):
            (place.root / "d").mkdir()
            for name in "abcd":
                (place.root / "d" / name).write_bytes(os.urandom(SMALL_BYTES + 1))
            yield place


@pytest.mark.parametrize("vs_of_few", [2, 3], indirect=True)
def test_copies_within_a_server_do_not_wait_for_each_others_connections(vs_of_few: Place) -> None:
    """Each takes two: of two that have one each, both would wait in vain, and begin again."""
    done = vs_of_few.ftpfs("cp", "-r", "-j8", vs_of_few.url("d"), vs_of_few.url("e"))
    assert done.code == 0
    assert tree(vs_of_few.root / "e") == tree(vs_of_few.root / "d")
    assert [line.split()[0] for line in commands(vs_of_few.server)].count("STOR") == 4


@pytest.fixture
def slow_vs_of_two(tmp_path: Path) -> Iterator[Place]:
    """A server of two connections, on which a copy takes longer than one waits for a connection."""
    root = tmp_path / "server"
    root.mkdir()
    with vsftpd_server(str(root), max_per_ip=2, local_max_rate=200_000) as server:
        yield from made_place(server, tmp_path)


def test_copies_within_a_server_do_not_starve_each_other(slow_vs_of_two: Place) -> None:
    place = slow_vs_of_two
    (place.root / "d").mkdir()
    for name in "abc":
        (place.root / "d" / name).write_bytes(os.urandom(SMALL_BYTES + 200_000))
    place.ftpfs("cp", "-r", "-j8", "-o", "timeout=1", place.url("d"), place.url("e"))
    assert tree(place.root / "e") == tree(place.root / "d")


@pytest.mark.parametrize("vs_of_few", [2], indirect=True)
def test_one_file_at_a_time_is_copied_over_two_connections(vs_of_few: Place) -> None:
    vs_of_few.good("cp", "-r", "-j1", vs_of_few.url("d"), vs_of_few.url("e"))
    assert tree(vs_of_few.root / "e") == tree(vs_of_few.root / "d")


@pytest.mark.parametrize("options", [(), ("-j1",)], ids=" ".join)
@pytest.mark.parametrize("vs_of_few", [1], indirect=True)
def test_a_copy_within_a_server_of_one_connection_says_what_it_lacks(
    vs_of_few: Place, options: tuple[str, ...]
) -> None:
    done = vs_of_few.ftpfs("cp", "-r", *options, vs_of_few.url("d"), vs_of_few.url("e"))
    assert done.code == 1
    assert done.err.count("the server allows one connection, and this takes two") == 4
    assert [line.split()[0] for line in commands(vs_of_few.server)].count("STOR") == 0


@pytest.fixture
def without_rename(tmp_path: Path) -> Iterator[Place]:
    """A server that refuses every rename: what is there can be replaced in place only."""
    root = tmp_path / "server"
    root.mkdir()
    with vsftpd_server(str(root), cmds_denied="RNFR,RNTO") as server:
        yield from made_place(server, tmp_path)


@pytest.mark.parametrize("size", [5, 400_000])
def test_a_server_that_refuses_to_rename_keeps_no_temporary_files(
    without_rename: Place, size: int
) -> None:
    place = without_rename
    for name in "ab":
        (place.root / name).write_text("old")
        (place.local / name).write_bytes(os.urandom(size))
    place.good("cp", "a", "b", place.url())
    assert tree(place.root) == tree(place.local)


def test_what_is_replaced_in_place_is_no_beginning_of_what_replaces_it(
    without_rename: Place,
) -> None:
    """The connection is lost before the server has begun to replace it."""
    place, content = without_rename, os.urandom(500_000)
    (place.root / "f").write_bytes(bytes(100_000))
    (place.local / "f").write_bytes(content)
    seen: list[bytes] = []

    def closing(replies: bytes) -> bytes:
        refused = any(b"550 Permission denied" in each for each in seen)
        seen.append(replies)
        if refused and replies.startswith(b"229") and seen.count(b"421") == 0:
            seen.append(b"421")
            return b"421 Closing.\r\n"
        return replies

    with faulty(place.server, Faults(reply=closing)) as url:
        place.good("cp", "-j1", "f", f"{url}{place.name}/f")
    assert b"421" in seen
    assert (place.root / "f").read_bytes() == content


def test_a_directory_that_takes_no_new_names_is_no_reason_to_replace_in_place_elsewhere(
    vs_of_another: Place,
) -> None:
    place = vs_of_another
    for name in ("closed", "open"):
        for top in (place.root, place.local):
            (top / name).mkdir()
            (top / name / "f").write_bytes(os.urandom(400_000))
    place.server.own(str(place.root))
    (place.root / "closed").chmod(0o555)
    place.good("cp", "-r", "-j1", "closed", "open", place.url())
    assert tree(place.root) == tree(place.local)
    assert f"RNTO /{place.name}/open/f" in commands(place.server)


TIMELESS = ("-o", "without=mfmt+mdtm+utime")


@pytest.mark.parametrize("options", [(), TIMELESS], ids=["times can be set", "or not"])
@pytest.mark.parametrize("name", ["link", "server", "disk"])
def test_a_file_is_not_overwritten_by_itself(
    vs_of_another: Place, name: str, options: tuple[str, ...]
) -> None:
    """Its directory takes no new names: it would be emptied before it is read."""
    place, content = vs_of_another, os.urandom(SMALL_BYTES + 1)
    (place.root / "d").mkdir()
    (place.root / "d" / "f").write_bytes(content)
    os.utime(place.root / "d" / "f", (1_600_000_000, 1_600_000_000))
    (place.root / "link").symlink_to("d")
    place.server.own(str(place.root))
    (place.root / "d").chmod(0o555)
    here = place.url("d/f")
    source = {
        "link": place.url("link/f"),
        "server": by_another_name(here),
        "disk": str(place.root / "d" / "f"),
    }[name]
    done = place.ftpfs("cp", *options, source, here)
    assert (place.root / "d" / "f").read_bytes() == content
    assert (place.root / "d" / "f").stat().st_mtime == 1_600_000_000
    assert done.err.endswith(f" and '{place.shown('d/f')}' are the same file\n")
    assert done.code == 1


def test_a_copy_that_has_the_time_of_its_source_is_not_taken_for_it(vs_of_another: Place) -> None:
    place = vs_of_another
    for name in ("d", "closed"):
        (place.root / name).mkdir()
        (place.root / name / "f").write_bytes(bytes(SMALL_BYTES + 1))
        os.utime(place.root / name / "f", (1_600_000_000, 1_600_000_000))
    place.server.own(str(place.root))
    (place.root / "closed").chmod(0o555)
    place.good("cp", place.url("d/f"), place.url("closed/f"))
    assert f"STOR /{place.name}/closed/f" in commands(place.server)


# -- sync -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["server", "disk"])
@pytest.mark.parametrize("inwards", [True, False])
def test_a_directory_is_not_synchronized_with_a_part_of_itself(
    vs: Place, where: str, inwards: bool
) -> None:
    top = vs.root if where == "server" else vs.local
    (top / "d" / "sub").mkdir(parents=True)
    (top / "d" / "sub" / "f").write_text("f")
    before = tree(top)
    ends = [vs.url("d"), vs.url("d/sub")] if where == "server" else ["d", "d/sub"]
    done = vs.ftpfs("sync", "--delete", *(ends if inwards else reversed(ends)))
    assert "with a part of itself" in done.err
    assert done.code == 1
    assert tree(top) == before


def test_a_directory_beside_is_no_part_of_it(vs: Place) -> None:
    (vs.local / "f").touch()
    assert "copied 1" in vs.good("sync", ".", f"/{vs.local}/../beside")
    (vs.root / "d").mkdir()
    (vs.root / "d" / "f").touch()
    assert "copied 1" in vs.good("sync", vs.url("d"), vs.url("d2"))


# -- rm -------------------------------------------------------------------------------------------


def test_a_slash_behind_a_name_stands_for_directories(place: Place) -> None:
    (place.root / "d").mkdir()
    (place.root / "f").touch()
    done = place.ftpfs("rm", "-r", place.url("f/"))
    assert done.err == f"ftpfs: cannot remove '{place.shown('f/')}': Not a directory\n"
    assert done.code == 1
    place.good("rm", "-r", place.url("*/"))
    assert os.listdir(place.root) == ["f"]


# -- what cannot be looked at ---------------------------------------------------------------------


def test_what_cannot_be_looked_at_is_not_replaced(py: Place) -> None:
    """It is not absent because the connection was lost while it was looked for."""
    (py.root / "d").mkdir()
    (py.root / "d" / "f").write_text("old")
    (py.local / "f").write_text("new")
    asked = 0

    def closing(replies: bytes) -> bytes:
        nonlocal asked
        if b"/d/f" not in replies and not asked:
            return replies
        asked += 1
        return b"421 Closing.\r\n"

    with faulty(py.server, Faults(reply=closing)) as url:
        done = py.ftpfs("cp", "-n", "f", f"{url}{py.name}/d", env={})
    assert asked
    assert "cannot stat" in done.err
    assert done.code == 1
    assert (py.root / "d" / "f").read_text() == "old"


def test_a_part_can_be_gone_on_with_by_a_user_who_may_not_write_its_source(vs: Place) -> None:
    (vs.root / "d").mkdir()
    (vs.root / "d" / "f").write_bytes(os.urandom(400_000))
    (vs.root / "d" / "f").chmod(0o444)
    file = File("f", str(vs.local / "f"), Entry("f", Kind.FILE, 400_000, mode=0o444))
    part = Part(str(vs.local / ".f.part"), file, 400_000)
    part.close()
    assert (vs.local / ".f.part").stat().st_mode & 0o777 == 0o644
    vs.good("cp", "-r", vs.url("d"), "d")
    assert (vs.local / "d" / "f").stat().st_mode & 0o777 == 0o444
