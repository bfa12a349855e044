"""Conversations of the Remote that speaks FTP: what the real servers of the tests do not show."""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from fakes.ftpserver import Talk, ftp_server
from fakes.script import DataTransport, Network
from remotes import connected

from ftpfs.config import REFUSING_DIRECTORIES, SPARES_PAUSE_S
from ftpfs.errors import (
    AbsentError,
    DeniedError,
    FtpfsError,
    LoginError,
    NetworkError,
    ProtocolError,
    QuotaError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.api import Entry, Kind
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool, Purpose
from ftpfs.session.profile import Profile
from ftpfs.wire.features import Features

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
IN = "< 220 hi\n> USER joe\n< 230 in\n> TYPE I\n< 200 ok\n"
OUT = "> QUIT\n< 221 bye\n"
EPSV = "> EPSV\n< 229 (|||5000|)\n"
MakeRemote = Callable[..., FtpRemote]


@pytest.fixture
def make() -> Iterator[MakeRemote]:
    """Remotes on scripts, one for each connection; a kept connection is there from the start."""
    made: list[tuple[Pool, Network]] = []

    def make_remote(
        *scripts: str, data: DataTransport | None = None, mlst: bool = False, **verdicts: Any
    ) -> FtpRemote:
        whole = [IN + script for script in scripts]
        network = Network(*whole, data={5000: data or DataTransport()})
        features = Features(frozenset({"SIZE", "MLST", "MLSD"} if mlst else {"SIZE"}))
        profile = Profile(features_asked=True, features=features, epsv=True, **verdicts)
        pool = Pool(lambda: Session.open(LOGIN, profile, network.connect), 2, 1.0)
        pool.lease(Purpose.METADATA).release()
        made.append((pool, network))
        return FtpRemote(pool, profile)

    yield make_remote
    for pool, network in made:
        pool.close()
        network.assert_finished()


# -- MLST -----------------------------------------------------------------------------------------

MLST = {
    "ProFTPD, the whole path": ("250-Start of list for /d/a b", "/d/a b"),
    "pyftpdlib": ('250-Listing "/d/a b":', "/d/a b"),
    "only the name": ("250-", "a b"),
    "facts in the first line": ("250-type=dir; of /d/a b", "/d/a b"),
}


@pytest.mark.parametrize(("first", "shown"), MLST.values(), ids=MLST)
def test_mlst(make: MakeRemote, first: str, shown: str) -> None:
    script = f"> MLST /d/a b\n< {first}\n<  type=file;size=5; {shown}\n< 250 End\n"
    remote = make(script + OUT, mlst=True)
    entry = remote.stat("/d/a b")
    assert (entry.name, entry.kind, entry.size) == ("a b", Kind.FILE, 5)


PROBED = "> SIZE /a\n>+ MDTM /a\n>+ CWD /a\n< 213 5\n< 213 19700101000007\n< 550 no\n"


def test_a_server_out_of_step_is_asked_again_one_command_at_a_time(make: MakeRemote) -> None:
    """The one that asked sees nothing of it, though the second connection was a new one."""
    lost = "> SIZE /a\n>+ MDTM /a\n>+ CWD /a\n< 213 5\n< 550 no\n"
    single = "> SIZE /a\n< 213 5\n> MDTM /a\n< 213 19700101000007\n> CWD /a\n< 550 no\n"
    remote = make(lost, single + OUT, mlst=False)
    assert remote.stat("/a") == Entry("a", Kind.FILE, 5, 7_000_000_000)


def test_mlst_without_facts_is_asked_for_otherwise(make: MakeRemote) -> None:
    remote = make("> MLST /a\n< 250 ok\n" + PROBED + OUT, mlst=True)
    assert remote.stat("/a") == Entry("a", Kind.FILE, 5, 7_000_000_000)


def test_a_server_without_mlst_is_asked_once(make: MakeRemote) -> None:
    remote = make("> MLST /a\n< 500 what?\n" + PROBED + PROBED + OUT, mlst=True)
    for _ in range(2):
        assert remote.stat("/a").size == 5
    assert not remote.describes


def test_mlst_denied_is_no_absence(make: MakeRemote) -> None:
    remote = make("> MLST /a\n< 550 /a: Permission denied\n" + OUT, mlst=True)
    with pytest.raises(DeniedError):
        remote.stat("/a")


# -- REST -----------------------------------------------------------------------------------------


def test_without_rest_the_beginning_is_read_and_dropped(make: MakeRemote) -> None:
    data = DataTransport(b"0123456789", step=3)
    script = EPSV + "> REST 7\n>+ RETR /a\n< 502 no\n< 150 from the start\n< 426 cut\n"
    again = EPSV + "> RETR /a\n< 150 ok\n< 226 done\n"
    remote = make(script + again + OUT, data=data)
    download = remote.open_read("/a", 7)
    buffer = memoryview(bytearray(20))
    assert bytes(buffer[: download.readinto(buffer)]) == b"789"
    assert download.readinto(buffer) == 0
    download.close()


def test_the_end_of_the_stream_is_not_the_end_of_the_file(make: MakeRemote) -> None:
    script = EPSV + "> RETR /a\n< 150 ok\n< 426 Failure writing network stream.\n"
    remote = make(script + OUT, data=DataTransport(b"0123"))
    download = remote.open_read("/a", 0)
    buffer = memoryview(bytearray(20))
    assert download.readinto(buffer) == 4
    with pytest.raises(TransferError):
        download.readinto(buffer)
    download.close()


# -- connections to spare -------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LoginError("530"), ProtocolError("?"), NetworkError("away")])
def test_a_spare_that_cannot_log_in_is_of_no_more_use(error: FtpfsError) -> None:
    """And gives its room back once, however often it is asked."""
    times = itertools.count(0, SPARES_PAUSE_S)
    pool = Pool(Mock(side_effect=error), 3, 1.0, clock=lambda: next(times))
    spare = FtpRemote(pool, Profile()).spare()
    assert spare is not None
    for _ in range(3):
        with pytest.raises(NetworkError):
            spare.open_read("/a", 0)
    spare.close()
    assert [pool.reserve() for _ in range(3)] == [True, True, False]


# -- kept connections that turn out dead ----------------------------------------------------------


def test_reading_goes_on_over_a_new_connection(make: MakeRemote) -> None:
    new = EPSV + "> RETR /a\n< 150 ok\n< 226 done\n"
    remote = make("> EPSV\n< EOF\n", new + OUT, data=DataTransport(b"content"))
    download = remote.open_read("/a", 0)
    assert download.readinto(memoryview(bytearray(20))) == 7
    download.close()


def test_a_new_connection_that_dies_is_an_error(make: MakeRemote) -> None:
    remote = make("> EPSV\n< EOF\n", "> EPSV\n< EOF\n")
    with pytest.raises(NetworkError):
        remote.open_read("/a", 0)


def test_asking_goes_on_over_a_new_connection(make: MakeRemote) -> None:
    asked = PROBED.partition("<")[0]
    remote = make(asked + "< EOF\n", PROBED + OUT)
    assert remote.stat("/a").size == 5


def test_asking_ends_with_a_new_connection_that_dies(make: MakeRemote) -> None:
    asked = PROBED.partition("<")[0]
    remote = make(asked + "< EOF\n", asked + "< EOF\n")
    with pytest.raises(NetworkError):
        remote.stat("/a")


def test_sending_begins_again_on_a_new_connection(make: MakeRemote) -> None:
    data = DataTransport()
    arrived = AFTER + "< 213 3\n< 213 19700101000005\n"
    sent = STOR + "< 226 done\n" + CHECK + "< 213 5\n< 213 19700101000007\n" + ARMED
    remote = make("> EPSV\n< EOF\n", arrived + sent + OUT, data=data)
    assert remote.store("/a", io.BytesIO(b"01234"), 5).mtime_ns == 7_000_000_000
    assert bytes(data.received) == b"01234"


def test_an_upload_that_never_began_is_not_taken_for_arrived(make: MakeRemote) -> None:
    """The server's file has the same size: it is the old one."""
    data = DataTransport()
    same_size = AFTER + "< 213 5\n< 213 19700101000005\n"
    sent = STOR + "< 226 done\n" + CHECK + "< 213 5\n< 213 19700101000007\n" + ARMED
    remote = make(EPSV + "> STOR /a\n< EOF\n", same_size + sent + OUT, data=data)
    assert remote.store("/a", io.BytesIO(b"01234"), 5).mtime_ns == 7_000_000_000
    assert bytes(data.received) == b"0123401234"


LOOK = "> SIZE /{0}\n>+ MDTM /{0}\n>+ CWD /{0}\n"
THERE, NOT_THERE = "< 213 5\n< 213 19700101000007\n< 550 no\n", "< 550 no\n< 550 no\n< 550 no\n"
RENAME = "> RNFR /a\n>+ RNTO /b\n"


def test_a_rename_whose_reply_was_lost_is_looked_up(make: MakeRemote) -> None:
    looks = LOOK.format("a") + NOT_THERE + LOOK.format("b") + THERE
    make(RENAME + "< EOF\n", looks + OUT).rename("/a", "/b")


def test_a_rename_that_was_lost_is_made_again(make: MakeRemote) -> None:
    looks = LOOK.format("a") + THERE
    make(RENAME + "< EOF\n", looks + RENAME + "< 350 to?\n< 250 ok\n" + OUT).rename("/a", "/b")


def test_a_delete_that_was_lost_is_not_made_twice(make: MakeRemote) -> None:
    make("> DELE /a\n< EOF\n", LOOK.format("a") + NOT_THERE + OUT).unlink("/a")


# -- rename onto an existing file -----------------------------------------------------------------


class Aside:
    """A server that will not rename onto a file: answers as it should, whatever the aside is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.urandom", bytes)

    start = RENAME + "< 350 to?\n< 550 Cannot create a file when that file already exists.\n"
    look = LOOK.format("a") + THERE + LOOK.format("b") + THERE
    away = "> RNFR /b\n>+ RNTO /.b.ftpfs-00000000\n< 350 to?\n< 250 ok\n"
    back = "> RNFR /.b.ftpfs-00000000\n>+ RNTO /b\n< 350 to?\n< 250 ok\n"


def test_the_target_steps_aside(make: MakeRemote, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Aside(monkeypatch)
    there = RENAME + "< 350 to?\n< 250 ok\n"
    gone = "> DELE /.b.ftpfs-00000000\n< 250 ok\n"
    make(server.start + server.look + server.away + there + gone + OUT).rename("/a", "/b")


def test_the_target_comes_back(make: MakeRemote, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Aside(monkeypatch)
    refused = RENAME + "< 350 to?\n< 550 Access is denied.\n" + LOOK.format("b") + NOT_THERE
    remote = make(server.start + server.look + server.away + refused + server.back + OUT)
    with pytest.raises(DeniedError):
        remote.rename("/a", "/b")


def test_nothing_steps_aside_for_a_directory(make: MakeRemote) -> None:
    refused = RENAME + "< 350 to?\n< 550 Access is denied.\n" + LOOK.format("b") + THERE
    directory = LOOK.format("a") + "< 550 no\n< 550 no\n< 250 there\n"
    with pytest.raises(DeniedError):
        make(refused + directory + OUT).rename("/a", "/b")


# -- sending --------------------------------------------------------------------------------------

STOR = EPSV + "> STOR /a\n< 150 go on\n"
AFTER = "> SIZE /a\n>+ MDTM /a\n"
CHECK = AFTER + ">+ EPSV\n"  # the port for the next transfer comes with it
ARMED = "< 229 ok (|||7|)\n"


def test_store_checks_the_size(make: MakeRemote) -> None:
    remote = make(STOR + "< 226 done\n" + CHECK + "< 213 4\n< 213 19700101000007\n" + ARMED + OUT)
    with pytest.raises(TransferError, match="holds 4"):
        remote.store("/a", io.BytesIO(b"01234"), 5)


def test_store_on_a_server_without_size_and_mdtm(make: MakeRemote) -> None:
    remote = make(STOR + "< 226 done\n" + CHECK + "< 502 no\n< 502 no\n" + ARMED + OUT)
    stored = remote.store("/a", io.BytesIO(b"01234"), 5)
    assert (stored.size, stored.mtime_ns) == (5, None)


def test_a_full_disk_in_the_middle_keeps_the_connection(make: MakeRemote) -> None:
    script = STOR + "< 552 Quota exceeded\n> DELE /a\n< 250 ok\n"
    remote = make(script + OUT, data=DataTransport(room=3, breaks=True))
    with pytest.raises(QuotaError):
        remote.store("/a", io.BytesIO(b"01234"), 5)
    remote.unlink("/a")


def test_a_source_that_is_too_short(make: MakeRemote) -> None:
    remote = make(STOR + "< 426 cut\n" + OUT)
    with pytest.raises(TransferError, match="3 of 5"):
        remote.store("/a", io.BytesIO(b"012"), 5)


# -- times ----------------------------------------------------------------------------------------

SET = "> MDTM 19700101000007 /a\n"
LONG = "> SITE UTIME /a 19700101000007 19700101000007 19700101000007 UTC\n"
SHORT = "> SITE UTIME 19700101000007 /a\n"


def test_times_on_a_server_that_cannot_set_them(make: MakeRemote) -> None:
    """It takes the time for a part of the name; asked once, as the file is there."""
    no = "> MFMT 19700101000007 /a\n< 500 what?\n" + SET + "< 550 no such file\n"
    utime = f"{LONG}< 500 what?\n{SHORT}< 500 what?\n"
    remote = make(no + "> MDTM /a\n< 213 20240101000000\n" + utime + OUT)
    for _ in range(2):
        with pytest.raises(UnsupportedError):
            remote.set_mtime("/a", 7_000_000_000)


def test_site_utime_is_looked_at_once(make: MakeRemote) -> None:
    """The time is there: from then on it is believed."""
    script = LONG + "< 200 ok\n> MDTM /a\n< 213 19700101000007\n" + LONG + "< 200 ok\n"
    remote = make(script + OUT, mfmt=False, mdtm_sets=False)
    remote.set_mtime("/a", 7_000_000_000)
    remote.set_mtime("/a", 7_000_000_000)


def test_site_utime_as_proftpd_has_it(make: MakeRemote) -> None:
    script = LONG + "< 501 syntax\n" + SHORT + "< 200 ok\n> MDTM /a\n< 213 19700101000007\n"
    make(script + OUT, mfmt=False, mdtm_sets=False).set_mtime("/a", 7_000_000_000)


def test_site_utime_that_sets_another_time(make: MakeRemote) -> None:
    script = LONG + "< 200 ok\n> MDTM /a\n< 213 19700101010007\n"
    remote = make(script + OUT, mfmt=False, mdtm_sets=False)
    for _ in range(2):
        with pytest.raises(UnsupportedError):
            remote.set_mtime("/a", 7_000_000_000)


def test_site_utime_refused_for_one_file(make: MakeRemote) -> None:
    script = LONG + "< 553 not yours, permission denied\n" + PROBED
    remote = make(script + script + OUT, mfmt=False, mdtm_sets=False)
    for _ in range(2):
        with pytest.raises(DeniedError):
            remote.set_mtime("/a", 7_000_000_000)


def test_an_absent_file_tells_nothing_of_the_server(make: MakeRemote) -> None:
    absent = SET + "< 550 No such file\n> MDTM /a\n< 550 No such file\n"
    remote = make(absent + SET + "< 213 ok\n" + OUT, mfmt=False)
    with pytest.raises(AbsentError):
        remote.set_mtime("/a", 7_000_000_000)
    remote.set_mtime("/a", 7_000_000_000)


# -- permission bits ------------------------------------------------------------------------------

CHMOD = "> SITE CHMOD 600 /{}\n< {}\n"


def modes(make: MakeRemote, *replies: str, **verdicts: Any) -> tuple[FtpRemote, list[bool]]:
    """Whether chmod has a way, for a file after the other; absent replies are not asked for."""
    script = "".join(CHMOD.format(n, reply) for n, reply in enumerate(replies) if reply)
    remote, found = make(script + OUT, **verdicts), []
    for number in range(len(replies)):
        try:
            remote.chmod(f"/{number}", 0o600)
            found.append(True)
        except UnsupportedError:
            found.append(False)
    return remote, found


def test_chmod_that_is_no_command_is_tried_once(make: MakeRemote) -> None:
    assert modes(make, "500 what?", "")[1] == [False, False]


def test_chmod_that_is_superfluous_is_not_done(make: MakeRemote) -> None:
    assert modes(make, "202 superfluous at this site", "")[1] == [False, False]


def test_chmod_refused_for_one_file_is_tried_for_the_next(make: MakeRemote) -> None:
    """Pure-FTPd and others say 501 of an argument that they do not like."""
    assert modes(make, "501 not this one", "200 done", "500 no", "200 done")[1] == [
        False,
        True,
        False,
        True,
    ]


# -- replacing ------------------------------------------------------------------------------------


def replacing(remote: FtpRemote, path: str) -> bool:
    with io.BytesIO(b"new") as source:
        try:
            remote.replace(path, source, 3, None)
        except UnsupportedError:
            return False
    return True


class Picky(Talk):
    """Takes files whose names begin with a dot in `/free` only."""

    def do_stor(self, argument: str) -> None:
        if "/.ftpfs-" in argument and not argument.startswith("/free/"):
            self.say("553 not such a name")
        else:
            super().do_stor(argument)


def test_one_directory_that_takes_no_temporary_names_says_nothing_of_others() -> None:
    with ftp_server(Picky) as server, connected(server.url) as remote:
        server.tree |= {"/free": None, "/closed": None, "/free/a": b"", "/closed/a": b""}
        assert not replacing(remote, "/closed/a")
        assert replacing(remote, "/free/a")
        before = len(server.commands)
        assert not replacing(remote, "/closed/a")
        assert len(server.commands) == before, "it is remembered"
        assert server.tree["/free/a"] == b"new"


def test_where_many_directories_take_none_no_further_one_is_tried() -> None:
    with ftp_server(Picky) as server, connected(server.url) as remote:
        for number in range(REFUSING_DIRECTORIES):
            server.tree |= {f"/{number}": None, f"/{number}/a": b""}
            assert not replacing(remote, f"/{number}/a")
        server.tree |= {"/free": None, "/free/a": b""}
        assert not replacing(remote, "/free/a")
        assert server.verbs().count("STOR") == REFUSING_DIRECTORIES


def test_a_way_to_set_times_that_has_worked_is_not_given_up_for_one_file(make: MakeRemote) -> None:
    time = "19700101000007"
    script = "".join(
        f"> MFMT {time} /{name}\n< {reply}\n"
        for name, reply in (("a", "213 done"), ("b", "500 not this one"), ("c", "213 done"))
    )
    remote = make(script + OUT)
    remote.set_mtime("/a", 7_000_000_000)
    with pytest.raises(UnsupportedError):
        remote.set_mtime("/b", 7_000_000_000)
    remote.set_mtime("/c", 7_000_000_000)


class Moody(Talk):
    """Does not know APPE for one file."""

    def do_appe(self, argument: str) -> None:
        if argument == "/b":
            self.say("502 not this one")
        else:
            super().do_appe(argument)


def test_appe_that_has_worked_is_not_given_up_for_one_file() -> None:
    with ftp_server(Moody) as server, connected(server.url) as remote:
        for name, works in (("a", True), ("b", False), ("c", True)):
            server.tree[f"/{name}"] = b"old"
            with tempfile.TemporaryFile(buffering=0) as source:
                source.write(b"old and new")
                if works:
                    remote.append(f"/{name}", source, 3, 11)
                else:
                    with pytest.raises(UnsupportedError):
                        remote.append(f"/{name}", source, 3, 11)
        assert server.tree["/c"] == b"old and new"
