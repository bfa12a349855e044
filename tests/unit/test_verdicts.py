"""What is learnt of a server, and what of that the next mount acts upon."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from fakes.script import DataTransport, Network

from ftpfs.cli.link import profile_of
from ftpfs.config import LIMIT_KEPT_S, VERDICT_NO_KEPT_S, VERDICT_YES_KEPT_S
from ftpfs.errors import DeadlineError, OutOfStepError, UsageError
from ftpfs.options import WITHOUT, MountOptions, parse_options
from ftpfs.remote.listing import Lister, MlsdSilentError
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.profile import VERDICTS, Profile
from ftpfs.session.verdicts import VerdictFile
from ftpfs.wire.features import NO_FEATURES, Features

SERVER = "ftpes://joe@server.example:2121/"
FEATURES = Features(frozenset({"SIZE", "MLST", "MLSD"}))


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(tmp_path: Path) -> VerdictFile:
    return VerdictFile(str(tmp_path / "servers"), SERVER)


def known(clock: Clock, **verdicts: Any) -> Profile:
    profile = Profile(now_s=clock, **verdicts)
    profile.meet(FEATURES)
    return profile


def loaded(kept: VerdictFile, clock: Clock) -> Profile:
    profile = Profile(now_s=clock)
    kept.load(profile)
    return profile


# -- kept and read --------------------------------------------------------------------------------


def test_the_next_mount_knows(kept: VerdictFile, clock: Clock) -> None:
    kept.save(known(clock, mlsd=False, grouping=True, connection_limit=2))
    profile = loaded(kept, clock)
    assert (profile.mlsd, profile.grouping, profile.connection_limit) == (False, True, 2)
    assert profile.unproven("mlsd")
    assert profile.unproven("grouping")
    profile.grouping = True
    assert not profile.unproven("grouping")


def test_what_the_server_makes_of_names_is_kept(kept: VerdictFile, clock: Clock) -> None:
    before = known(clock, telnet=True, mff=False, appends=False)
    before.learn_names({"a dot at the end": False, "the character ':'": True})
    kept.save(before)
    profile = loaded(kept, clock)
    assert (profile.telnet, profile.mff, profile.appends) == (True, False, False)
    assert profile.keeps == {"a dot at the end": False, "the character ':'": True}
    clock.now_s += VERDICT_NO_KEPT_S
    later = loaded(kept, clock)
    assert later.keeps == {"the character ':'": True}
    later.learn_names({"a dot at the end": True})
    later.meet(Features(frozenset({"ANOTHER"})))
    assert later.keeps == {"a dot at the end": True}, "another server: what was seen here stays"


@pytest.mark.parametrize("names", [[], {"x": True}, {"x": [1, 2]}, {"x": [True, "now"]}])
def test_damaged_verdicts_on_names(kept: VerdictFile, clock: Clock, names: object) -> None:
    kept.save(known(clock, mlsd=True))
    with open(kept.path, encoding="utf-8") as file:
        content = json.load(file)
    with open(kept.path, "w", encoding="utf-8") as file:
        json.dump({**content, "names": names}, file)
    assert not loaded(kept, clock).believed


@pytest.mark.parametrize(("name", "value"), [("replaces", False), ("patches", True), ("zone_s", 0)])
def test_what_is_never_kept(kept: VerdictFile, clock: Clock, name: str, value: object) -> None:
    """The zone changes with the season; on the others hangs the only good copy."""
    kept.save(known(clock, mlsd=True, **{name: value}))
    with open(kept.path, encoding="utf-8") as file:
        content = json.load(file)
    assert set(content["verdicts"]) == {"mlsd"}
    content["verdicts"][name] = [value, clock.now_s]
    with open(kept.path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    assert loaded(kept, clock).believed == {"mlsd"}


AGES = {
    "a yes": ({"mlsd": True}, VERDICT_YES_KEPT_S),
    "a no": ({"mlsd": False}, VERDICT_NO_KEPT_S),
    "a limit": ({"connection_limit": 2}, LIMIT_KEPT_S),
    "how long to idle": ({"idle_s": 90.5}, VERDICT_NO_KEPT_S),
}


@pytest.mark.parametrize(("verdict", "age_s"), AGES.values(), ids=AGES)
def test_verdicts_age(kept: VerdictFile, clock: Clock, verdict: dict[str, int], age_s: int) -> None:
    [(name, value)] = verdict.items()
    kept.save(known(clock, **verdict))
    clock.now_s += age_s - 601
    assert getattr(loaded(kept, clock), name) == value
    clock.now_s += 602
    assert getattr(loaded(kept, clock), name) is None


def test_a_no_that_is_acted_upon_does_not_grow_younger(kept: VerdictFile, clock: Clock) -> None:
    """Else it would never be tried again by one who mounts each day."""
    kept.save(known(clock, epsv=False))
    clock.now_s += VERDICT_NO_KEPT_S - 1000
    profile = loaded(kept, clock)
    profile.meet(FEATURES)
    kept.save(profile)
    clock.now_s += 1000
    assert loaded(kept, clock).epsv is None


def test_a_yes_that_is_seen_again_grows_younger(kept: VerdictFile, clock: Clock) -> None:
    kept.save(known(clock, mlsd=True))
    clock.now_s += VERDICT_YES_KEPT_S - 1000
    kept.save(known(clock, mlsd=True))
    clock.now_s += 2000
    assert loaded(kept, clock).mlsd is True


def test_a_clock_that_was_wrong(kept: VerdictFile, clock: Clock) -> None:
    kept.save(known(clock, mlsd=True))
    clock.now_s -= 86_400
    assert loaded(kept, clock).mlsd is None


def test_another_version_of_the_server_is_known_nothing_of(kept: VerdictFile, clock: Clock) -> None:
    kept.save(known(clock, mlsd=False, epsv=False))
    profile = loaded(kept, clock)
    profile.epsv = False  # found out before FEAT was asked: this stays
    profile.meet(Features(FEATURES.names | {"MFMT"}))
    assert (profile.mlsd, profile.epsv) == (None, False)
    same = loaded(kept, clock)
    same.meet(FEATURES)
    assert same.mlsd is False


def test_nothing_is_kept_of_a_server_that_was_not_logged_in_to(
    kept: VerdictFile, clock: Clock
) -> None:
    kept.save(Profile(now_s=clock, tls13=False))
    assert not os.path.exists(kept.path)


def test_the_file_is_the_users_alone(kept: VerdictFile, clock: Clock) -> None:
    kept.save(known(clock, mlsd=True))
    assert stat.S_IMODE(os.stat(kept.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(kept.path)).st_mode) == 0o700
    assert os.listdir(os.path.dirname(kept.path)) == [os.path.basename(kept.path)]


def test_it_is_written_only_for_something_new(kept: VerdictFile, clock: Clock) -> None:
    profile = known(clock, mlsd=True)
    kept.save(profile)
    os.unlink(kept.path)
    profile.mlsd = True
    kept.save(profile)
    assert not os.path.exists(kept.path)
    profile.mlsd = False
    kept.save(profile)
    assert os.path.exists(kept.path)


DAMAGED = {
    "empty": "",
    "cut": '{"format": 1, "server": "ftpes',
    "no text": "\udcff\udc80",
    "a list": "[1, 2]",
    "deep": "[" * 60_000,
    "an older format": json.dumps({"format": 0, "server": SERVER}),
    "another server's": json.dumps(
        {"format": 1, "server": "ftp://other/", "features": [], "verdicts": {"mlsd": [True, 1.8e9]}}
    ),
    "wrong types": json.dumps(
        {"format": 1, "server": SERVER, "features": [], "verdicts": {"mlsd": ["yes", 1.8e9]}}
    ),
    "a limit of 0": json.dumps(
        {
            "format": 1,
            "server": SERVER,
            "features": [],
            "verdicts": {"connection_limit": [0, 1.8e9]},
        }
    ),
    "no time": json.dumps(
        {"format": 1, "server": SERVER, "features": [], "verdicts": {"mlsd": [True, "now"]}}
    ),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_or_foreign_file_is_as_none(
    kept: VerdictFile, clock: Clock, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    os.makedirs(os.path.dirname(kept.path))
    with open(kept.path, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    caplog.set_level("DEBUG")
    profile = loaded(kept, clock)
    assert not profile.believed
    assert "not used" in caplog.text
    kept.save(known(clock, mlsd=True))
    assert loaded(kept, clock).mlsd is True


def test_names_of_a_newer_version_are_ignored(kept: VerdictFile, clock: Clock) -> None:
    kept.save(known(clock, mlsd=True))
    with open(kept.path, encoding="utf-8") as file:
        content = json.load(file)
    content["verdicts"] |= {"teleports": ["fast", clock.now_s], "now_s": [True, clock.now_s]}
    with open(kept.path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    profile = loaded(kept, clock)
    assert profile.believed == {"mlsd"}


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "servers").write_text("a file")
    kept = VerdictFile(str(tmp_path / "servers"), SERVER)
    kept.save(known(clock, mlsd=True))
    assert loaded(kept, clock).mlsd is None


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", WITHOUT)
def test_each_word_decides_its_verdicts(word: str) -> None:
    profile = profile_of(parse_options([f"without={word}"]))
    for name in WITHOUT[word]:
        setattr(profile, name, True)
        assert getattr(profile, name) is False
        assert name in VERDICTS


def test_an_option_decides_and_is_not_kept(kept: VerdictFile, clock: Clock) -> None:
    kept.save(known(clock, mlsd=True, epsv=True))
    profile = profile_of(parse_options(["without=mlsd+replace"]))
    profile.now_s = clock
    kept.load(profile)
    profile.mlsd = True
    assert (profile.mlsd, profile.mlst, profile.replaces, profile.epsv) == (
        False,
        False,
        False,
        True,
    )
    profile.meet(FEATURES)
    kept.save(profile)
    assert loaded(kept, clock).mlsd is None


def test_tls_12_by_option_is_not_learnt(kept: VerdictFile, clock: Clock) -> None:
    profile = profile_of(MountOptions(tls_max="1.2"))
    assert profile.tls13 is False
    profile.meet(FEATURES)
    kept.save(profile)
    assert loaded(kept, clock).tls13 is None


@pytest.mark.parametrize("text", ["", "mlsd,epsv", "mlsd+", "MLSD", "stor"])
def test_what_cannot_be_done_without(text: str) -> None:
    if "," in text:
        with pytest.raises(UsageError, match="epsv"):
            parse_options([f"without={text}"])
        return
    with pytest.raises(UsageError, match="mlsd, epsv, grouping, list_a, rest, replace"):
        parse_options([f"without={text}"])


# -- what turns out wrong -------------------------------------------------------------------------

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
IN = "< 220 hi\n> USER joe\n< 230 in\n> TYPE I\n< 200 ok\n"
LISTED = b"type=file;size=3; a\r\n"
UNIX = b"drwxr-xr-x 2 0 0 0 Jan 1 2020 .\r\n-rw-r--r-- 1 0 0 3 Jan  1  2020 a\r\n"


def believing(**verdicts: bool) -> Profile:
    profile = Profile(features_asked=True, zone_s=0)
    for name, value in verdicts.items():
        profile.believe(name, value, profile.now_s())
    return profile


def names(network: Network, profile: Profile) -> list[str]:
    session = Session.open(LOGIN, profile, network.connect)
    try:
        return list(Lister(profile, lambda: 1_800_000_000 * 10**9).list(session, "/d"))
    finally:
        session.close()


DIRECTORY = "> CWD /d\n>+ EPSV\n< 250 ok\n< 229 (|||5000|)\n"
OUT = "> QUIT\n"


def test_mlsd_that_is_gone() -> None:
    gone = DIRECTORY + "> MLSD\n< 500 what?\n"
    listed = "> EPSV\n< 229 (|||5001|)\n> LIST -a\n< 150 here\n< 226 done\n"
    data = {5000: DataTransport(), 5001: DataTransport(content=UNIX)}
    network = Network(IN + gone + listed + OUT, data=data)
    profile = believing(mlsd=True, epsv=True)
    assert names(network, profile) == ["a"]
    assert profile.mlsd is False
    assert not profile.believed
    network.assert_finished()


def test_mlsd_that_hangs_now() -> None:
    network = Network(IN + DIRECTORY + "> MLSD\n", data={5000: DataTransport()})
    profile = believing(mlsd=True, epsv=True)
    with pytest.raises(MlsdSilentError):
        names(network, profile)
    assert profile.mlsd is False


def test_mlsd_that_was_seen_here_and_hangs_is_a_lost_network() -> None:
    network = Network(IN + DIRECTORY + "> MLSD\n", data={5000: DataTransport()})
    profile = Profile(features_asked=True, mlsd=True, epsv=True)
    with pytest.raises(DeadlineError) as caught:
        names(network, profile)
    assert not isinstance(caught.value, MlsdSilentError)


def test_epsv_that_is_refused_now() -> None:
    refused = "> CWD /d\n>+ EPSV\n< 250 ok\n< 500 what?\n> PASV\n< 227 (10,0,0,1,19,136)\n"
    listed = "> MLSD\n< 150 here\n< 226 done\n"
    data = {5000: DataTransport(content=LISTED)}
    network = Network(IN + refused + listed + OUT, data=data)
    profile = believing(epsv=True)
    assert names(network, profile) == ["a"]
    assert profile.epsv is False
    network.assert_finished()


def test_pasv_proves_nothing_about_epsv() -> None:
    passive = "> CWD /d\n>+ PASV\n< 250 ok\n< 227 (10,0,0,1,19,136)\n"
    listed = "> MLSD\n< 150 here\n< 226 done\n"
    network = Network(IN + passive + listed + OUT, data={5000: DataTransport(content=LISTED)})
    profile = believing(epsv=False)
    assert names(network, profile) == ["a"]
    assert profile.believed == {"epsv"}


def test_commands_that_are_thrown_away_now() -> None:
    """A kept yes to grouping does not make each mount fail that comes after."""
    network = Network(IN + "> NOOP\n>+ NOOP\n< 200 ok\n")
    profile = believing(grouping=True)
    session = Session.open(LOGIN, profile, network.connect)
    with pytest.raises(OutOfStepError):
        session.exchange(("NOOP", None), ("NOOP", None))
    session.close()
    assert profile.grouping is False


def test_list_a_that_is_taken_for_a_name_now() -> None:
    first = DIRECTORY + "> LIST -a\n< 150 here\n< 226 done\n"
    second = "> EPSV\n< 229 (|||5001|)\n> LIST\n< 150 here\n< 226 done\n"
    data = {5000: DataTransport(), 5001: DataTransport(content=UNIX)}
    network = Network(IN + first + second + OUT, data=data)
    profile = believing(list_all=True, mlsd=False, epsv=True)
    assert names(network, profile) == ["a"]
    assert profile.list_all is False
    network.assert_finished()


def test_no_features_at_all_are_the_same_server(kept: VerdictFile, clock: Clock) -> None:
    """Most old servers have no FEAT: that is no reason to begin anew each time."""
    profile = Profile(now_s=clock, mlsd=False)
    profile.meet(NO_FEATURES)
    kept.save(profile)
    again = loaded(kept, clock)
    again.meet(NO_FEATURES)
    assert again.mlsd is False
