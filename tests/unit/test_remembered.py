from __future__ import annotations

import pytest

from ftpfs.vfs.remembered import Remembered
from ftpfs.wire.entry import Entry, Kind

S = 1_000_000_000
MINUTE, DAY = 60, 86_400


def listed(mtime_s: int, precision_s: int, size: int = 5, mode: int | None = None) -> Entry:
    return Entry("a", Kind.FILE, size, mtime_s * S, precision_s, mode)


def test_nothing_known() -> None:
    entry = listed(60, MINUTE)
    assert Remembered().apply("/a", entry) is entry


# What the mount knows (s), what is listed (s) and how exactly, what is shown (s).
TIMES = {
    "agrees to the minute": (125, 120, MINUTE, 125),
    "agrees at the minute's first second": (120, 120, MINUTE, 120),
    "a minute later on the server": (125, 180, MINUTE, 180),
    "a minute earlier on the server": (180, 120, MINUTE, 120),
    "agrees to the day": (DAY + 5, DAY, DAY, DAY + 5),
    "another day": (2 * DAY, DAY, DAY, DAY),
    "exact and the same": (125, 125, 1, 125),
    "exact and another": (125, 126, 1, 126),
}


@pytest.mark.parametrize(("known", "shows", "precision", "wanted"), TIMES.values(), ids=TIMES)
def test_an_exact_time_holds_while_the_listing_agrees(
    known: int, shows: int, precision: int, wanted: int
) -> None:
    remembered = Remembered()
    remembered.time("/a", 5, known * S)
    assert remembered.apply("/a", listed(shows, precision)).mtime_ns == wanted * S


def test_nanoseconds_within_a_second_are_kept() -> None:
    remembered = Remembered()
    remembered.time("/a", 5, 7 * S + 123)
    assert remembered.apply("/a", listed(7, 1)).mtime_ns == 7 * S + 123


@pytest.mark.parametrize("local", [False, True])
def test_another_size_is_another_file(local: bool) -> None:
    remembered = Remembered()
    remembered.time("/a", 5, 125 * S, local=local)
    assert remembered.apply("/a", listed(120, MINUTE, size=6)).mtime_ns == 120 * S


def test_a_time_that_the_server_cannot_keep_is_shown_whatever_it_lists() -> None:
    remembered = Remembered()
    remembered.time("/a", 5, 125 * S, local=True)
    assert remembered.apply("/a", listed(99_999, 1)).mtime_ns == 125 * S
    remembered.time("/a", 5, 200 * S)  # sent anew
    assert remembered.apply("/a", listed(99_999, 1)).mtime_ns == 99_999 * S


def test_modes() -> None:
    remembered = Remembered()
    remembered.mode("/a", 0o600)
    assert remembered.apply("/a", listed(0, 1, mode=0o644)).mode == 0o600
    remembered.time("/a", 5, 0)
    assert remembered.apply("/a", listed(0, 1, mode=0o644)).mode == 0o600
    remembered.mode("/a", None)
    assert remembered.apply("/a", listed(0, 1, mode=0o644)).mode == 0o644


def test_move() -> None:
    remembered = Remembered()
    for path in ("/d", "/d/x", "/d/sub/y", "/dx"):
        remembered.mode(path, 0o600)
    remembered.move("/d", "/e", tree=True)
    shown = {
        path: remembered.apply(path, listed(0, 1)).mode
        for path in ("/d", "/d/x", "/dx", "/e", "/e/x", "/e/sub/y")
    }
    assert shown == {
        "/d": None,
        "/d/x": None,
        "/dx": 0o600,
        "/e": 0o600,
        "/e/x": 0o600,
        "/e/sub/y": 0o600,
    }


def test_forget() -> None:
    remembered = Remembered()
    remembered.mode("/a", 0o600)
    remembered.forget("/a")
    remembered.forget("/never known")
    assert remembered.apply("/a", listed(0, 1)).mode is None


def test_the_least_used_are_forgotten() -> None:
    remembered = Remembered(limit=2)
    for path in ("/a", "/b", "/c"):
        remembered.mode(path, 0o600)
    shown = [remembered.apply(path, listed(0, 1)).mode for path in ("/a", "/b", "/c")]
    assert shown == [None, 0o600, 0o600]
