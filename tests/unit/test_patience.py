"""What the server cannot do at the moment is tried again where that is safe: 421, 425, 426, 450."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes.script import DataTransport, Network

from ftpfs.config import PASSING_PAUSES_S
from ftpfs.errors import BrokenOffError, BusyError, NetworkError, PassingError, TransferError
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.wire.features import Features

LOGIN = Login("server.example", 21, "joe", "secret", timeout_s=7.0)
IN = "< 220 hi\n> USER joe\n< 230 in\n> TYPE I\n< 200 ok\n"
OUT = "> QUIT\n< 221 bye\n"
EPSV = "> EPSV\n< 229 (|||5000|)\n"
LIST = "> CWD /\n>+ EPSV\n< 250 ok\n< 229 (|||5000|)\n> LIST\n"
LIST_HERE = EPSV + "> LIST\n"
LINE = b"-rw-r--r-- 1 u g 1 Jan  1  2025 a\r\n"
RETR = EPSV + "> RETR /a\n"
STOR = EPSV + "> STOR /a\n< 150 ok\n"
CHECKED = "> SIZE /a\n>+ MDTM /a\n>+ EPSV\n< 213 5\n< 213 19700101000007\n< 229 (|||5000|)\n"
PAUSES = list(PASSING_PAUSES_S)


class Scene:
    """A remote on scripts, one for each connection; `pauses` are those it would have made."""

    def __init__(self, *scripts: str, content: bytes = b"", **verdicts: Any) -> None:
        self.data = DataTransport(content)
        self.network = Network(*[IN + script for script in scripts], data={5000: self.data})
        features = Features(frozenset({"SIZE"}))
        profile = Profile(
            features_asked=True, features=features, epsv=True, list_all=False, zone_s=0, **verdicts
        )
        self.pool = Pool(lambda: Session.open(LOGIN, profile, self.network.connect), 2, 1.0)
        self.pauses: list[float] = []
        self.remote = FtpRemote(self.pool, profile, lambda: 0, self.pauses.append)

    def store(self) -> None:
        self.remote.store("/a", io.BytesIO(b"01234"), 5)

    def end(self) -> None:
        self.pool.close()
        self.network.assert_finished()


@pytest.fixture
def make() -> Iterator[Callable[..., Scene]]:
    made: list[Scene] = []

    def scene(*scripts: str, **more: Any) -> Scene:
        made.append(Scene(*scripts, **more))
        return made[-1]

    yield scene
    for each in made:
        each.end()


MOMENTARY = ["425 no port free", "426 cut", "450 busy"]


@pytest.mark.parametrize("said", MOMENTARY)
def test_a_listing(make: Callable[..., Scene], said: str) -> None:
    scene = make(LIST + f"< {said}\n" + LIST_HERE + "< 150 ok\n< 226 done\n" + OUT, content=LINE)
    assert list(scene.remote.list("/")) == ["a"]
    assert scene.pauses == PAUSES[:1]


def test_a_listing_that_is_cut_at_the_end(make: Callable[..., Scene]) -> None:
    again = LIST_HERE + "< 150 ok\n< 226 done\n"
    scene = make(LIST + "< 150 ok\n< 426 cut\n" + again + OUT, content=b"")
    assert list(scene.remote.list("/")) == []
    assert scene.pauses == PAUSES[:1]


@pytest.mark.parametrize("said", MOMENTARY)
def test_a_download(make: Callable[..., Scene], said: str) -> None:
    scene = make(RETR + f"< {said}\n" + RETR + "< 150 ok\n< 226 done\n" + OUT, content=b"c")
    download = scene.remote.open_read("/a", 0)
    assert download.readinto(memoryview(bytearray(5))) == 1
    assert download.readinto(memoryview(bytearray(5))) == 0
    assert scene.pauses == PAUSES[:1]


def test_a_download_that_broke_off_may_go_on(make: Callable[..., Scene]) -> None:
    """As a lost connection may: what reads it begins another one there."""
    scene = make(RETR + "< 150 ok\n< 426 cut\n" + OUT, content=b"c")
    download = scene.remote.open_read("/a", 0)
    download.readinto(memoryview(bytearray(5)))
    with pytest.raises(BrokenOffError) as caught:
        download.readinto(memoryview(bytearray(5)))
    assert isinstance(caught.value, NetworkError)


def test_tries_are_bounded(make: Callable[..., Scene]) -> None:
    scene = make((RETR + "< 450 busy\n") * (len(PAUSES) + 1) + OUT)
    with pytest.raises(BusyError):
        scene.remote.open_read("/a", 0)
    assert scene.pauses == PAUSES


@pytest.mark.parametrize("said", ["421 going down", "500 OOPS: vsf_sysutil_bind"])
def test_last_words_to_a_new_connection(make: Callable[..., Scene], said: str) -> None:
    scene = make(RETR + f"< {said}", RETR + "< 150 ok\n< 226 done\n" + OUT, content=b"")
    scene.remote.open_read("/a", 0).close()
    assert scene.pauses == PAUSES[:1]


@pytest.mark.parametrize("said", MOMENTARY)
def test_an_upload_is_sent_again(make: Callable[..., Scene], said: str) -> None:
    scene = make(STOR + f"< {said}\n" + STOR + "< 226 done\n" + CHECKED + OUT)
    scene.store()
    assert scene.pauses == PAUSES[:1]


def append(there: str) -> str:
    asked = f"> SIZE /a\n>+ MDTM /a\n< 213 {there}\n< 213 19700101000007\n"
    return EPSV + "> APPE /a\n< 150 ok\n< 426 cut\n" + asked


def test_an_append_goes_on_from_where_the_file_ends(make: Callable[..., Scene]) -> None:
    script = append("4") + EPSV + "> APPE /a\n< 150 ok\n< 226 done\n" + CHECKED
    scene = make(script + OUT)
    scene.remote.append("/a", io.BytesIO(b"01234"), 2, 5)
    assert bytes(scene.data.received) == b"234" + b"4"


def test_an_append_to_a_file_that_is_not_as_it_should_be_is_not_made_again(
    make: Callable[..., Scene],
) -> None:
    scene = make(append("9") + OUT)
    with pytest.raises(TransferError, match="not appended a second time"):
        scene.remote.append("/a", io.BytesIO(b"01234"), 2, 5)
    assert scene.pauses == []


def test_what_cannot_be_repeated_is_said_at_once(make: Callable[..., Scene]) -> None:
    scene = make("> DELE /a\n< 450 busy\n" + OUT)
    with pytest.raises(PassingError, match="450 busy"):
        scene.remote.unlink("/a")
    assert scene.pauses == []
