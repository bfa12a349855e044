"""The operands of the URL commands: local paths and URLs, with what it takes to reach them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple
from urllib.parse import quote

from ftpfs.cli import password
from ftpfs.cli.link import Link
from ftpfs.errors import FtpfsError, UsageError
from ftpfs.options import MountOptions
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.events import Failed, quoted
from ftpfs.tree.globbing import expand, has_pattern
from ftpfs.tree.local import LocalPlace
from ftpfs.tree.place import Spot
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage
from ftpfs.tree.streams import STDIN
from ftpfs.url import Location, parse_url
from ftpfs.wire.pathname import join

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ADDRESS = re.compile(r"(\[.*\]|[^:]*)(:[0-9]*)?")


class Operand(NamedTuple):
    """One operand as it was written. `location` is None for a local path; `raw` is the path of a
    URL, still percent-encoded."""

    shown: str
    location: Location | None = None
    raw: str = ""

    @property
    def as_directory(self) -> bool:
        return self.shown.endswith("/") and bool(self.raw if self.location else self.shown)


def parse(text: str, options: MountOptions) -> Operand:
    """An operand: a URL if it has a scheme, else a local path. Raises UsageError."""
    if not _URL.match(text):
        if not text:
            raise UsageError("an empty operand names nothing")
        return Operand(text)
    location = parse_url(text).with_tls(options.tls)
    password.hide(location.password)
    return Operand(without_password(text), location, text.partition("://")[2].partition("/")[2])


def parse_urls(text: str, options: MountOptions) -> Operand:
    """An operand that must be a URL. Raises UsageError."""
    operand = parse(text, options)
    if operand.location is None:
        raise UsageError(f"{quoted(text)} is not a URL: it should look like ftp://user@host/dir")
    return operand


def without_password(url: str) -> str:
    """The text of a URL as it may be shown, also of one that cannot be used."""
    scheme, found, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    login, at, address = authority.rpartition("@")
    if not at and not _ADDRESS.fullmatch(authority):  # a password with a slash in it
        login, at, address = rest.rpartition("@")
        slash = path = ""
    user, colon, _ = login.partition(":")
    return f"{scheme}{found}{user}@{address}{slash}{path}" if at and colon else url


class Places:
    """The places that operands name; servers are connected to when first used.

    `complete` is for the thread that may ask for a password, and comes first; the rest is for the
    one that works.
    """

    def __init__(self, options: MountOptions, connections: int | None) -> None:
        self._options = options
        self._connections = connections or options.max_conns
        self._complete: dict[object, Location] = {}
        self._links: dict[object, Link] = {}
        self._servers: dict[object, ServerPlace] = {}
        self._refused: dict[object, FtpfsError] = {}
        self._local = LocalPlace()

    def __enter__(self) -> Places:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for link in self._links.values():
            link.close()

    def complete(self, operand: Operand) -> Operand:
        """The operand with user and password, asked for once a server. Raises UsageError, for
        options that its server cannot be reached with, too."""
        if operand.location is None:
            return operand
        key = _account(operand.location)
        if key not in self._complete:
            self._complete[key] = password.complete(operand.location)
        known = self._complete[key]
        location = operand.location._replace(user=known.user, password=known.password)
        if (server := _server_of(location)) not in self._links:
            self._links[server] = Link(location, self._options, self._connections)
        return operand._replace(location=location)

    def spot(self, operand: Operand) -> Spot:
        """The place and path of an operand; logs in. Raises NetworkError, LoginError."""
        if operand.location is None:
            return Spot(self._local, operand.shown, operand.shown, operand.as_directory)
        place = self._server(operand.location)
        path = operand.location.path
        top = "/" if path.startswith("/") else place.server.home()
        return Spot(place, join(top, path), operand.shown, operand.as_directory, top=top)

    def stdin(self) -> Spot:
        return Spot(self._local, STDIN, "-", entry=Entry("-", Kind.OTHER))

    def spots(self, operand: Operand, stage: Stage) -> Iterator[Spot]:
        """The same, patterns in a URL expanded; one that nothing fits stands for itself. Where the
        server does not list all names that may fit, that is told as a failure."""
        spot = self.spot(operand)

        def cut(directory: str, missing: str) -> None:
            shown = quoted(spot.place.shown(directory))
            stage.emit(Failed(f"cannot list all of {shown}: {missing}"))

        found = False
        if operand.location is not None and has_pattern(operand.raw):
            for path, entry in expand(spot.place, spot.top, operand.raw, cut):
                shown = spot.place.shown(path)
                one = Spot(spot.place, path, shown, operand.as_directory, entry, spot.top)
                if one.as_directory and not _is_directory(one):
                    continue  # with a slash behind it a pattern stands for directories
                found = True
                yield one
        if not found:
            yield spot

    def _server(self, location: Location) -> ServerPlace:
        key = _server_of(location)
        if key in self._refused:
            raise self._refused[key]
        if key not in self._servers:
            try:
                self._servers[key] = self._opened(location, key)
            except FtpfsError as error:
                self._refused[key] = (
                    error  # not tried again: three wrong ones, and we are locked out
                )
                raise
        return self._servers[key]

    def _opened(self, location: Location, key: object) -> ServerPlace:
        link = self._links[key]
        home = link.remote.home().rstrip("/") + "/"
        prefix = str(location._replace(path=""))

        def show(path: str) -> str:
            inner = path[len(home) :] if path.startswith(home) else "/" + path.lstrip("/")
            if path + "/" == home:
                inner = ""
            return prefix + quote(inner, safe="/", errors="surrogateescape")

        return ServerPlace(link.remote, key, show, self._connections)


def _is_directory(spot: Spot) -> bool:
    """Whether there is one, or a link to one, where `entry` is known."""
    if spot.entry is not None and spot.entry.kind is not Kind.SYMLINK:
        return spot.entry.kind is Kind.DIRECTORY
    try:
        return spot.stat().kind is Kind.DIRECTORY
    except FtpfsError:
        return False


def _account(location: Location) -> object:
    return _server_of(location), location.password


def _server_of(location: Location) -> object:
    return location.host.lower(), location.port, location.user, location.tls


def all_spots(
    places: Places,
    operands: Sequence[Operand],
    stage: Stage,
    action: str,
    *,
    patterns: bool = True,
) -> Iterator[Spot]:
    """The spots of all operands; one that cannot be reached is told as a failure of `action`."""
    for operand in operands:
        stage.check()
        try:
            if patterns:
                yield from places.spots(operand, stage)
            else:
                yield places.spot(operand)
        except FtpfsError as error:
            text = f"{action} {quoted(operand.shown)}" if action else operand.shown
            stage.emit(Failed(text, error))
