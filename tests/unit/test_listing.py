"""Conversations of a Lister: how a server lists, and what its listings leave out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes.script import DataTransport, Network

from ftpfs.config import GROUP_COMMANDS, UNANSWERED
from ftpfs.errors import DeadlineError, DirectoryTooLargeError, NetworkError
from ftpfs.remote.ftp import FtpRemote
from ftpfs.remote.listing import Lister, MlsdSilentError
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.wire.features import Features
from ftpfs.wire.listing import reader
from ftpfs.wire.timeval import utc_ns

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
IN = "< 220 hi\n> USER joe\n< 230 in\n> TYPE I\n< 200 ok\n"
OUT = "> QUIT\n< 221 bye\n"
NOW = utc_ns(2026, 11, 22, 18)


def transfer(command: str, port: int, end: str = "226 done") -> str:
    """A listing of the directory where the session is already."""
    return f"> EPSV\n< 229 (|||{port}|)\n> {command}\n< 150 here it comes\n< {end}\n"


def first(command: str, port: int, end: str = "226 done") -> str:
    return transfer(command, port, end).replace("> EPSV\n", "> CWD /d\n>+ EPSV\n< 250 ok\n")


class Scene:
    """A session that follows a script; each listing comes over a port of its own."""

    def __init__(self, script: str, *listings: bytes, mlsd: bool = False, **known: Any) -> None:
        data = {5000 + number: DataTransport(text) for number, text in enumerate(listings)}
        self.network = Network(IN + script + OUT, data=data)
        features = Features(frozenset({"SIZE", "MLST", "MLSD"} if mlsd else {"SIZE"}))
        self.profile = Profile(features_asked=True, features=features, epsv=True, **known)
        self.session = Session.open(LOGIN, self.profile, self.network.connect)
        self.lister = Lister(self.profile, lambda: NOW)

    def times(self) -> dict[str, int]:
        return {name: e.mtime_ns for name, e in self.lister.list(self.session, "/d").items()}

    def sizes(self) -> dict[str, int]:
        return {name: e.size for name, e in self.lister.list(self.session, "/d").items()}


@pytest.fixture
def make() -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make_scene(script: str, *listings: bytes, **more: Any) -> Scene:
        scenes.append(Scene(script, *listings, **more))
        return scenes[-1]

    yield make_scene
    for scene in scenes:
        scene.session.close()
        scene.network.assert_finished()


MakeScene = Callable[..., Scene]

# -- the zone -------------------------------------------------------------------------------------

LISTING = (
    b"-rw-r--r-- 1 u g 1 Nov 20 17:37 older\r\n-rw-r--r-- 1 u g 1 Nov 22 23:07 newest\r\n"
    b"drwxr-xr-x 2 u g 1 Nov 22 23:20 dir\r\n-rw-r--r-- 1 u g 1 Jan  1  2025 old\r\n"
    b"-rw-r--r-- 1 u g 1 Xyz  1 10:00 unknown\r\n"
)
LISTED = {
    "older": utc_ns(2026, 11, 20, 17, 37),
    "newest": utc_ns(2026, 11, 22, 23, 7),
    "dir": utc_ns(2026, 11, 22, 23, 20),
    "old": utc_ns(2025, 1, 1),
    "unknown": 0,
}
IN_INDIA = {
    "older": utc_ns(2026, 11, 20, 12, 7),
    "newest": utc_ns(2026, 11, 22, 17, 37),
    "dir": utc_ns(2026, 11, 22, 17, 50),
    "old": utc_ns(2024, 12, 31, 18, 30),
    "unknown": 0,
}
ASKED = "> MDTM /d/newest\n"
PLAIN = {"list_all": False}


def test_one_mdtm_tells_the_zone_of_all_listings(make: MakeScene) -> None:
    script = first("LIST", 5000) + ASKED + "< 213 20261122173712\n" + transfer("LIST", 5001)
    scene = make(script, LISTING, LISTING, **PLAIN)
    assert scene.times() == IN_INDIA
    assert scene.profile.zone_s == 19_800
    assert scene.times() == IN_INDIA


def test_a_server_that_lists_utc_is_asked_once(make: MakeScene) -> None:
    """vsftpd as it is shipped."""
    script = first("LIST", 5000) + ASKED + "< 213 20261122230712\n" + transfer("LIST", 5001)
    scene = make(script, LISTING, LISTING, **PLAIN)
    assert scene.times() == LISTED
    assert scene.profile.zone_s == 0
    assert scene.times() == LISTED


def test_a_server_without_mdtm_is_asked_once(make: MakeScene) -> None:
    script = first("LIST", 5000) + ASKED + "< 502 what?\n" + transfer("LIST", 5001)
    scene = make(script, LISTING, LISTING, **PLAIN)
    assert scene.times() == LISTED
    assert scene.times() == LISTED
    assert scene.profile.zone_s == 0


@pytest.mark.parametrize(
    "answer", ["550 No such file", "213 20261122173912", "213 20251122173712", "213 soon"]
)
def test_answers_that_are_no_zone_are_given_up(make: MakeScene, answer: str) -> None:
    """The file may be changed or deleted just then; a broken clock stays broken."""
    script = ""
    for number in range(UNANSWERED + 1):
        script += (transfer if number else first)("LIST", 5000 + number)
        if number < UNANSWERED:
            script += ASKED + f"< {answer}\n"
    scene = make(script, *[LISTING] * (UNANSWERED + 1), **PLAIN)
    for _ in range(UNANSWERED + 1):
        assert scene.times() == LISTED
    assert scene.profile.zone_s == 0


def test_a_server_that_hangs_up_on_mdtm_is_listed_at_last() -> None:
    scripts = [IN + first("LIST", 5000 + n) + ASKED + "< EOF\n" for n in range(UNANSWERED)]
    data = {5000 + n: DataTransport(LISTING) for n in range(UNANSWERED + 1)}
    network = Network(*scripts, IN + first("LIST", 5000 + UNANSWERED) + OUT, data=data)
    profile = Profile(features_asked=True, epsv=True, mlsd=False, list_all=False)
    lister = Lister(profile, lambda: NOW)
    for _ in range(UNANSWERED):
        session = Session.open(LOGIN, profile, network.connect)
        with pytest.raises(NetworkError):
            lister.list(session, "/d")
        session.close()
    session = Session.open(LOGIN, profile, network.connect)
    assert len(lister.list(session, "/d")) == len(LISTED)
    session.close()
    network.assert_finished()


def test_a_zone_that_another_thread_learns_meanwhile_counts(make: MakeScene) -> None:
    scene = make(first("LIST", 5000), LISTING, **PLAIN)

    def now_ns() -> int:
        scene.profile.zone_s = 19_800
        return NOW

    scene.lister = Lister(scene.profile, now_ns)
    assert scene.times() == IN_INDIA


@pytest.mark.parametrize(
    "listing",
    [
        b"",
        b"drwxr-xr-x 2 u g 1 Nov 22 23:20 only a directory\r\n",
        b"-rw-r--r-- 1 u g 1 Jan  1  2025 old\r\n",
        b"+i1.2,m1,r,s7,\tEPLF knows UTC\r\n",
    ],
)
def test_what_has_no_clock_time_is_not_asked_for(make: MakeScene, listing: bytes) -> None:
    scene = make(first("LIST", 5000), listing, **PLAIN)
    scene.times()
    assert scene.profile.zone_s is None


def test_mlsd_is_in_utc(make: MakeScene) -> None:
    listing = b"type=file;size=1;modify=20261122173712; a\r\n"
    scene = make(first("MLSD", 5000), listing, mlsd=True)
    assert scene.times() == {"a": utc_ns(2026, 11, 22, 17, 37, 12)}


# -- sizes ----------------------------------------------------------------------------------------

NAMES = [f"FILE{number}.TXT" for number in range(GROUP_COMMANDS + 1)]
VMS = "".join(f"{name};1   2/4   22-NOV-2026\r\n" for name in NAMES).encode()


def group(names: list[str], *answers: str) -> str:
    asked = "\n>+ ".join(f"SIZE /d/{name}" for name in names)
    return f"> {asked}\n" + "".join(f"< {answer}\n" for answer in answers)


def test_rounded_sizes_are_asked_for_in_groups(make: MakeScene) -> None:
    many = [f"213 {number}" for number in range(GROUP_COMMANDS)]
    script = first("LIST", 5000)
    script += group(NAMES[:-1], *many) + group(NAMES[-1:], "550 Not a plain file")
    scene = make(script, VMS, **PLAIN)
    expected = {name: number for number, name in enumerate(NAMES[:-1])}
    assert scene.sizes() == {**expected, NAMES[-1]: 1024}


def test_a_server_without_size_is_asked_once(
    make: MakeScene, caplog: pytest.LogCaptureFixture
) -> None:
    script = first("LIST", 5000) + group(NAMES[:-1], *["500 what?"] * GROUP_COMMANDS)
    scene = make(script + transfer("LIST", 5001), VMS, VMS, **PLAIN)
    for _ in range(2):
        assert set(scene.sizes().values()) == {1024}
    untold = f"/d: the server does not tell the size of {len(NAMES)} files"
    assert [message[: len(untold)] for message in caplog.messages] == [untold] * 2


def test_a_server_that_hangs_up_on_size_is_listed_at_last() -> None:
    listing = b"type=file; b\r\n"
    scripts = [IN + first("MLSD", 5000 + n) + "> SIZE /d/b\n< EOF\n" for n in range(UNANSWERED)]
    data = {5000 + n: DataTransport(listing) for n in range(UNANSWERED + 1)}
    network = Network(*scripts, IN + first("MLSD", 5000 + UNANSWERED) + OUT, data=data)
    profile = Profile(features_asked=True, epsv=True, mlsd=True)
    lister = Lister(profile, lambda: NOW)
    for _ in range(UNANSWERED):
        session = Session.open(LOGIN, profile, network.connect)
        with pytest.raises(NetworkError):
            lister.list(session, "/d")
        session.close()
    session = Session.open(LOGIN, profile, network.connect)
    assert list(lister.list(session, "/d")) == ["b"]
    session.close()
    network.assert_finished()


def test_a_missing_size_fact_is_asked_for(make: MakeScene) -> None:
    listing = b"type=file;size=5; a\r\ntype=file; b\r\ntype=dir; c\r\n"
    scene = make(first("MLSD", 5000) + group(["b"], "213 77"), listing, mlsd=True)
    assert scene.sizes() == {"a": 5, "b": 77, "c": 0}


# -- what is missing is said ----------------------------------------------------------------------


CUT = "226 Output truncated to 2 matches"


@pytest.mark.parametrize("end", [CUT, f"226-Options: -a -l\n< {CUT}"])
def test_a_listing_that_the_server_cut(
    make: MakeScene, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    listing = b"type=file;size=1; a\r\ntype=file;size=1; b\r\n"
    scene = make(first("MLSD", 5000, end), listing, mlsd=True)
    assert list(scene.sizes()) == ["a", "b"]
    (message,) = caplog.messages
    assert message.startswith("/d: the server cut the listing at 2 names")


def test_a_whole_listing_is_not_said_to_be_cut(
    make: MakeScene, caplog: pytest.LogCaptureFixture
) -> None:
    scene = make(first("MLSD", 5000, "226 2 matches total"), b"type=dir; a\r\n", mlsd=True)
    scene.sizes()
    assert caplog.messages == []


def test_odd_lines_are_counted_and_said_once(
    make: MakeScene, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["a", "a", ".", "..", "/", "../x", "a/b", "x" * 2000, ""]
    lines = [f"-rw-r--r-- 1 u g 1 Jan  1  2025 {name}" for name in names] + ["rubbish \x1b[2J"]
    scene = make(first("LIST", 5000), "\r\n".join(lines).encode(), **PLAIN)
    assert list(scene.sizes()) == ["a"]
    (message,) = caplog.messages
    assert message.startswith("/d: 7 lines of the listing skipped, such as -rw-r--r--")
    assert message.isprintable()


def test_a_directory_without_end_is_refused_and_the_connection_kept(
    make: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LISTING_LINES", 2)
    endless = b"".join(b"type=dir; %d\r\n" % number for number in range(100_000))
    script = first("MLSD", 5000, "426 cut") + transfer("MLSD", 5001)
    scene = make(script, endless, b"type=dir; a\r\n", mlsd=True)
    with pytest.raises(DirectoryTooLargeError, match="/d: too large: more than 2 lines"):
        scene.sizes()
    assert scene.session.usable()
    assert scene.sizes() == {"a": 0}


# -- a server that does not answer MLSD ----------------------------------------------------------

SILENT = "> CWD /d\n>+ EPSV\n< 250 ok\n< 229 (|||5000|)\n> MLSD\n"
LINE = b"-rw-r--r-- 1 u g 1 Jan  1  2025 a\r\n"


@pytest.fixture
def silent_remote() -> Iterator[tuple[FtpRemote, Profile]]:
    """MLSD is not answered; LIST, on a second connection, is."""
    scripts = [IN + SILENT, IN + first("LIST", 5001) + OUT]
    data = {5000: DataTransport(), 5001: DataTransport(LINE)}
    network = Network(*scripts, data=data)
    features = Features(frozenset({"MLST", "MLSD"}))
    profile = Profile(features_asked=True, features=features, epsv=True, list_all=False)
    pool = Pool(lambda: Session.open(LOGIN, profile, network.connect), 2, 1.0)
    yield FtpRemote(pool, profile), profile
    pool.close()
    network.assert_finished()


def test_mlsd_that_is_not_answered_is_followed_by_list(
    silent_remote: tuple[FtpRemote, Profile], caplog: pytest.LogCaptureFixture
) -> None:
    remote, profile = silent_remote
    assert list(remote.list("/d")) == ["a"]
    assert profile.mlsd is False
    assert [m for m in caplog.messages if re.search("not answer MLSD; using LIST", m)]


def test_a_server_that_answers_nothing_is_not_blamed_for_mlsd() -> None:
    network = Network(
        IN + SILENT, IN + SILENT.replace("MLSD", "LIST"), data={5000: DataTransport()}
    )
    profile = Profile(
        features_asked=True, features=Features(frozenset({"MLST"})), epsv=True, list_all=False
    )
    lister = Lister(profile, lambda: NOW)
    for error in (MlsdSilentError, DeadlineError):
        session = Session.open(LOGIN, profile, network.connect)
        with pytest.raises(error):
            lister.list(session, "/d")
        session.close()
    assert profile.mlsd is None
    network.assert_finished()


def test_mlsd_known_to_work_is_not_given_up_for_one_silence(make: MakeScene) -> None:
    network = Network(IN + SILENT, data={5000: DataTransport()})
    profile = Profile(
        features_asked=True, features=Features(frozenset({"MLST"})), epsv=True, mlsd=True
    )
    session = Session.open(LOGIN, profile, network.connect)
    with pytest.raises(DeadlineError):
        Lister(profile, lambda: NOW).list(session, "/d")
    session.close()
    assert profile.mlsd is True
