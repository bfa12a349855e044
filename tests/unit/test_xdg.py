"""Where files of the user lie."""

from __future__ import annotations

import pytest

from ftpfs.cli.xdg import cache_directory, state_directory


@pytest.mark.parametrize("value", [None, "", "relative/cache"])
def test_below_home_where_nothing_usable_is_set(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("HOME", "/home/joe")
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    assert cache_directory() == "/home/joe/.cache/ftpfs"
    assert state_directory() == "/home/joe/.local/state/ftpfs"


def test_where_the_user_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/fast/cache")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert cache_directory() == "/fast/cache/ftpfs"
    assert state_directory() == "/var/state/ftpfs"
