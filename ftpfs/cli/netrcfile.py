"""All that ~/.netrc says, in its order: Python's netrc keeps only the last entry of each host."""

from __future__ import annotations

import netrc
from typing import NamedTuple


class Entry(NamedTuple):
    """`user` and `password` are "" where the entry has none."""

    host: str
    user: str
    password: str


def read() -> list[Entry]:
    """Raises FileNotFoundError, another OSError, or netrc.NetrcParseError, also for a file that
    others may read."""
    return _Netrc().hosts.entries


_Login = tuple[str, str, str]


class _Hosts(dict[str, _Login]):
    """What the parser fills, and each entry that it put in."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def __setitem__(self, host: str, login: _Login) -> None:
        super().__setitem__(host, login)
        if login:  # first it puts in an empty one
            user, _, password = login
            self.entries.append(Entry(host, user, password))


class _Netrc(netrc.netrc):
    def __init__(self) -> None:
        self._hosts = _Hosts()
        super().__init__()

    @property
    def hosts(self) -> _Hosts:
        return self._hosts

    @hosts.setter
    def hosts(self, empty: dict[str, _Login]) -> None:
        """The parser begins with a dictionary of its own, which is not wanted."""
