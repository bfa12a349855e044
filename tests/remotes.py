"""A Remote on any server, by the URL and the options that a mount of it would have.

with connected("ftp://demo:demo@127.0.0.1:2121/", "timeout=2") as remote:
    remote.list("/")
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from ftpfs.cli.link import security_of
from ftpfs.options import parse_options
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.transport import connect_tcp
from ftpfs.url import parse_url

_COMMANDS = logging.getLogger("ftpfs.session")


@dataclass
class Traffic:
    """What this side has done so far."""

    commands: int = 0
    logins: int = 0


@contextlib.contextmanager
def connected(
    url: str, *options: str, path: str = "", traffic: Traffic | None = None
) -> Iterator[FtpRemote]:
    """A Remote whose root is `path` on the server; every connection is closed at the end."""
    location, chosen = parse_url(url), parse_options(options)
    seen = traffic or Traffic()
    assert location.password is not None
    user = (location.user, location.password)
    login = Login(location.host, location.port, *user, chosen.timeout, location.tls)
    security = security_of(location, chosen)
    profile = Profile(encoding=chosen.encoding, tls13=False if chosen.tls_max == "1.2" else None)

    def open_session() -> Session:
        seen.logins += 1
        return Session.open(login, profile, connect_tcp, security)

    pool = Pool(open_session, chosen.max_conns, chosen.timeout)
    remote = FtpRemote(pool, profile)
    try:
        with _counted(seen):
            remote.enter(path)
            yield remote
        assert not pool._leased, "a lease was not given back"
    finally:
        pool.close()


class _Counter(logging.Handler):
    """Counts the commands in the log of the sessions."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__(logging.DEBUG)
        self._traffic = traffic

    def emit(self, record: logging.LogRecord) -> None:
        self._traffic.commands += str(record.msg).startswith(">")


@contextlib.contextmanager
def _counted(traffic: Traffic) -> Iterator[None]:
    counter = _Counter(traffic)
    level = _COMMANDS.level
    _COMMANDS.addHandler(counter)
    _COMMANDS.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        _COMMANDS.setLevel(level)
        _COMMANDS.removeHandler(counter)
