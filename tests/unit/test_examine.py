"""An examination of servers that refuse, lie, hang up or keep what they were given."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from fakes.script import DataTransport, Network

from ftpfs.errors import (
    AbsentError,
    DeniedError,
    FtpfsError,
    NetworkError,
    OutOfStepError,
    RefusedError,
    UnreachableError,
)
from ftpfs.remote.api import Entry, Fingerprint, Kind, Stored
from ftpfs.remote.examine import Examination, TimedConnect
from ftpfs.remote.examine_writing import Scratch
from ftpfs.remote.limits import limits_of
from ftpfs.remote.report import Finding, Protection, Report
from ftpfs.remote.trials import Trials
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
IN = '< 220 hi\n> USER joe\n< 230 in\n> FEAT\n>+ PWD\n< 500 what?\n< 257 "/"\n> TYPE I\n< 200 ok\n'
AGAIN = "< 220 hi\n> USER joe\n< 230 in\n> TYPE I\n< 200 ok\n"
BEGIN = "> SYST\n< 215 UNIX\n" + 5 * "> NOOP\n< 200 ok\n"
ENTERED = '> CWD /\n< 250 ok\n> PWD\n< 257 "/"\n> CWD /\n< 250 ok\n'
SINGLE = "> MLST /\n< 500 what?\n> OPTS UTF8 ON\n< 500 what?\n> AVBL /\n< 500 what?\n"
GROUPED = "> NOOP\n>+ NOOP\n>+ NOOP\n< 200 ok\n< 200 ok\n< 200 ok\n"
LIST = "> LIST\n< 150 here\n< 226 done\n"


def examine(
    *scripts: str, data: dict[int, DataTransport] | None = None, profile: Profile | None = None
) -> tuple[Report, Profile]:
    """The report on a server that allows one connection for each script."""
    network = Network(*scripts, data=data)
    profile = profile or Profile()
    connect = TimedConnect(network.connect)
    examination = Examination(
        lambda: Session.open(LOGIN, profile, connect),
        connect,
        profile,
        max_conns=len(scripts),
        timeout_s=1.0,
    )
    report = examination.run("")
    network.assert_finished()
    return report, profile


def found(report: Report) -> dict[str, bool | None]:
    return {finding.name: finding.verdict for finding in report.findings}


# -- conversations --------------------------------------------------------------------------------


def test_no_data_connection_at_all() -> None:
    """Nothing that needs one is tried: each would wait for its deadline."""
    refused = "> EPSV\n< 500 what?\n> PASV\n< 500 what?\n"
    script = IN + BEGIN + ENTERED + SINGLE + GROUPED + refused + "> QUIT\n"
    report, profile = examine(script)
    verdicts = found(report)
    assert (verdicts["EPSV"], verdicts["PASV"]) == (False, False)
    assert "MLSD" not in verdicts
    assert profile.epsv is None
    assert "No data connection can be opened" in " ".join(report.limits)


def test_pasv_with_an_address_from_behind_a_router() -> None:
    refused = "> EPSV\n< 500 what?\n"
    passive = "> PASV\n< 227 (10,0,0,1,19,136)\n"
    lists = passive + passive + LIST
    ways = passive + "> MLSD\n< 500 what?\n" + passive + LIST
    ways += passive + "> LIST -a\n< 550 -a: no such file\n" + "> STAT /\n< 502 no\n"
    sample = passive + LIST
    script = IN + BEGIN + ENTERED + SINGLE + GROUPED + refused + lists + ways + sample + "> QUIT\n"
    report, profile = examine(script, data={5000: DataTransport()})
    [finding] = [f for f in report.findings if f.name == "PASV"]
    assert finding == Finding(
        "PASV", True, "answers with 10.0.0.1, the server is at server.example", finding.seconds
    )
    assert (profile.epsv, profile.mlsd, profile.list_all) == (False, False, False)
    assert found(report)["REST"] is None  # there is no file to read


def test_a_server_that_goes_away_ends_it() -> None:
    with pytest.raises(UnreachableError):
        examine(IN + BEGIN + ENTERED + "> MLST /\n< EOF\n")


def test_one_that_hangs_up_on_a_command_is_examined_on() -> None:
    first = IN + BEGIN + ENTERED + "> MLST /\n< EOF\n"
    rest = "> OPTS UTF8 ON\n< 200 ok\n> AVBL /\n< 213 1000\n" + GROUPED
    refused = "> CWD /\n>+ EPSV\n< 250 ok\n< 500 what?\n> PASV\n< 500 what?\n"
    report, _ = examine_with_limit(first, AGAIN + rest + refused + "> QUIT\n", max_conns=1)
    verdicts = found(report)
    assert (verdicts["MLST"], verdicts["UTF8"], verdicts["AVBL"]) == (False, True, True)


def examine_with_limit(*scripts: str, max_conns: int) -> tuple[Report, Profile]:
    network = Network(*scripts)
    profile = Profile()
    connect = TimedConnect(network.connect)
    examination = Examination(
        lambda: Session.open(LOGIN, profile, connect),
        connect,
        profile,
        max_conns=max_conns,
        timeout_s=1.0,
    )
    return examination.run(""), profile


# -- trials ---------------------------------------------------------------------------------------


@pytest.fixture
def trials() -> Trials:
    ticks = iter(range(1000))
    pool = Pool(lambda: pytest.fail("a connection was opened"), 1, 1.0)
    return Trials(pool, lambda _: None, lambda: float(next(ticks)))


def test_a_trial_is_timed(trials: Trials) -> None:
    assert trials.run("A", lambda: (True, "well")) == Finding("A", True, "well", 1.0)


def test_a_refusal_is_a_no(trials: Trials) -> None:
    def refused() -> tuple[bool, str]:
        raise DeniedError("not yours")

    assert trials.run("A", refused) == Finding("A", False, "not yours", 1.0)


def test_what_was_learnt_by_a_failure_is_used(trials: Trials) -> None:
    tries: list[int] = []

    def second() -> tuple[bool, str]:
        tries.append(1)
        if len(tries) == 1:
            raise OutOfStepError("one at a time, then")
        return True, ""

    assert trials.run("A", second).verdict is True


# -- the scratch directory ------------------------------------------------------------------------


class Remote:
    """As much of a Remote as Scratch needs. `fail` decides over each call, by verb and path."""

    base = "/home"

    def __init__(self, fail: Callable[[str, str], FtpfsError | None]) -> None:
        self.files: dict[str, bytes] = {}
        self.directories: set[str] = set()
        self._fail = fail

    def _may(self, verb: str, path: str) -> None:
        if error := self._fail(verb, path):
            raise error

    def mkdir(self, path: str) -> None:
        self._may("mkdir", path)
        self.directories.add(path)

    def rmdir(self, path: str) -> None:
        self._may("rmdir", path)
        if any(name.startswith(path + "/") for name in self.files):
            raise RefusedError("not empty")
        if path not in self.directories:
            raise AbsentError(path)
        self.directories.remove(path)

    def store(self, path: str, source: io.BytesIO, size: int) -> Stored:
        self._may("store", path)
        self.files[path] = source.read(size)
        return Stored(size, None)

    def list(self, path: str) -> dict[str, Entry]:
        self._may("list", path)
        if path not in self.directories:
            raise AbsentError(path)
        names = [name.removeprefix(path + "/") for name in self.files]
        return {name: Entry(name, Kind.FILE) for name in names}

    def unlink(self, path: str) -> None:
        self._may("unlink", path)
        if self.files.pop(path, None) is None:
            raise AbsentError(path)

    def fingerprint(self, path: str) -> Fingerprint | None:
        return Fingerprint(0, 0)

    def set_mtime_by(self, way: str, path: str, mtime_ns: int) -> bool:
        return way == "mfmt"  # says so, and does not

    def __getattr__(self, verb: str) -> Callable[..., object]:
        def refused(path: str, *_: object, **__: object) -> object:
            raise self._fail(verb, path) or RefusedError("not here")

        return refused


def scratch(
    trials: Trials, fail: Callable[[str, str], FtpfsError | None]
) -> tuple[Scratch, Remote]:
    remote = Remote(fail)
    return Scratch(remote, Profile(), trials), remote  # type: ignore[arg-type]  # a fake of it


def test_all_is_removed_though_everything_else_is_refused(trials: Trials) -> None:
    made, remote = scratch(trials, lambda verb, path: None)
    made.run()
    assert (remote.files, remote.directories, made.left_behind) == ({}, set(), "")
    verdicts = {finding.name: finding.verdict for finding in trials.findings}
    assert verdicts["writing"] is True
    assert verdicts["APPE"] is False


def test_a_time_that_does_not_take(trials: Trials) -> None:
    made, _ = scratch(trials, lambda verb, path: None)
    made.run()
    [finding] = [finding for finding in trials.findings if finding.name == "MFMT"]
    assert (finding.verdict, finding.detail) == (False, "accepted, but the time is another one")


def test_names_that_are_stored_under_another_name_are_removed_too(
    trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, remote = scratch(trials, lambda verb, path: None)
    store = remote.store

    def renaming(path: str, source: io.BytesIO, size: int) -> Stored:
        return store(path.replace("/ x", "/_x"), source, size)  # as Pure-FTPd does

    monkeypatch.setattr(remote, "store", renaming)
    made.run()
    assert (remote.files, remote.directories) == ({}, set())
    [finding] = [finding for finding in trials.findings if finding.name == "names"]
    assert (finding.verdict, finding.detail) == (False, "a blank first")


@pytest.mark.parametrize(
    "error", [NetworkError("lost"), UnreachableError("gone"), KeyboardInterrupt()]
)
def test_it_is_removed_after_a_failure(trials: Trials, error: BaseException) -> None:
    def fail(verb: str, path: str) -> FtpfsError | None:
        if verb == "append":
            raise error
        return None

    made, remote = scratch(trials, fail)
    if isinstance(error, NetworkError) and not isinstance(error, UnreachableError):
        made.run()
    else:
        with pytest.raises(type(error)):
            made.run()
    assert (remote.files, remote.directories, made.left_behind) == ({}, set(), "")


def test_a_lost_reply_to_mkd(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory may be there all the same."""
    made, remote = scratch(trials, lambda verb, path: None)
    mkdir = remote.mkdir

    def lost(path: str) -> None:
        mkdir(path)
        raise NetworkError("connection lost")

    monkeypatch.setattr(remote, "mkdir", lost)
    made.run()
    assert remote.directories == set()


def test_removing_is_tried_again(trials: Trials) -> None:
    tries: list[str] = []

    def fail(verb: str, path: str) -> FtpfsError | None:
        tries.append(verb)
        return NetworkError("lost") if verb == "rmdir" and tries.count("rmdir") == 1 else None

    made, remote = scratch(trials, fail)
    made.run()
    assert (remote.directories, made.left_behind) == (set(), "")


def test_what_cannot_be_removed_is_named(trials: Trials) -> None:
    made, remote = scratch(
        trials, lambda verb, path: DeniedError("no") if verb == "rmdir" else None
    )
    made.run()
    [directory] = remote.directories
    assert made.left_behind == "/home" + directory


def test_a_directory_that_was_refused_leaves_nothing(trials: Trials) -> None:
    made, _ = scratch(trials, lambda verb, path: DeniedError("no"))
    made.run()
    assert made.left_behind == ""
    assert [finding.name for finding in trials.findings] == ["writing"]


# -- sentences ------------------------------------------------------------------------------------

TLS = Protection("TLSv1.3", "AES", "ab" * 32, True)

SENTENCES = {
    "times": (["MFMT", "MDTM sets", "SITE UTIME"], "Times of files cannot be set"),
    "modes": (["SITE CHMOD"], "Permission bits cannot be set"),
    "replacing": (["RNTO replaces", "replacing"], "No atomic replacement"),
    "replacing in two steps": (["RNTO replaces"], "in between the name is missing"),
    "listing": (["MLSD"], "exact to the minute"),
    "dot files": (["MLSD", "LIST -a"], "begin with a dot may be missing"),
    "no listing": (["MLSD", "LIST"], "cannot be listed"),
    "no data in active mode": (["active mode"], "(-o active): nothing can be listed"),
    "no data": (["EPSV", "PASV"], "No data connection"),
    "rest": (["REST"], "in the middle"),
    "names": (["names"], "Some names cannot be used: because"),
    "connections": (["connections"], "less is done at a time: because"),
    "writing": (["writing"], "Nothing can be written in this directory. (because)"),
}


@pytest.mark.parametrize(("lacking", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_a_sentence_for_what_does_not_work(lacking: list[str], sentence: str) -> None:
    findings = [Finding(name, False, "because") for name in lacking]
    assert sentence in " ".join(limits_of(findings, TLS, offers_tls=True))


@pytest.mark.parametrize("verdict", [True, None])
def test_no_sentence_for_what_works_or_was_not_tried(verdict: bool | None) -> None:
    names = {name for lacking, _ in SENTENCES.values() for name in lacking}
    assert limits_of([Finding(n, verdict, "x") for n in names], TLS, offers_tls=True) == ()


@pytest.mark.parametrize("works", ["MFMT", "MDTM sets", "SITE UTIME"])
def test_one_way_to_set_times_is_enough(works: str) -> None:
    findings = [Finding(n, n == works) for n in ("MFMT", "MDTM sets", "SITE UTIME")]
    assert limits_of(findings, TLS, offers_tls=True) == ()


def test_clear_text_is_said() -> None:
    assert "ftpes://" in limits_of([], None, offers_tls=True)[0]
    assert "ftpes://" not in limits_of([], None, offers_tls=False)[0]
