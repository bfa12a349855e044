"""ftp://, ftpes:// and ftps:// URLs, as curl and lftp read them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote

from ftpfs.errors import UsageError
from ftpfs.options import TlsMode

DEFAULT_PORT = 21
IMPLICIT_PORT = 990
SCHEMES = {"ftp": TlsMode.NONE, "ftpes": TlsMode.EXPLICIT, "ftps": TlsMode.IMPLICIT}
ANONYMOUS = "anonymous"
ANONYMOUS_PASSWORD = "anonymous@"


class Location(NamedTuple):
    """A server, a user on it and a directory.

    `path` is "" for the login directory, "a/b" relative to it, "/a/b" absolute. `password` is
    None where the URL has none, and never shows in `repr` or `str`.
    """

    host: str
    port: int = DEFAULT_PORT
    user: str = ANONYMOUS
    password: str | None = None
    path: str = ""
    tls: TlsMode = TlsMode.NONE

    def __str__(self) -> str:
        """The URL without the password."""
        scheme = next(word for word, tls in SCHEMES.items() if tls is self.tls)
        user = "" if self.user == ANONYMOUS else _encoded(self.user, safe="") + "@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _default_port(self.tls) else f":{self.port}"
        return f"{scheme}://{user}{host}{port}/{_encoded(self.path, safe='/')}"

    def __repr__(self) -> str:
        return str(self)

    def with_password(self, password: str) -> Location:
        _refuse_control_characters("password", password)
        return self._replace(password=password)

    def with_tls(self, tls: TlsMode | None) -> Location:
        """What `-o tls=` makes of an ftp:// URL; None leaves it as it is.

        Raises UsageError where the URL says something else: never less than what it asks for.
        """
        if tls in (None, self.tls):
            return self
        if self.tls is not TlsMode.NONE:
            raise UsageError(f"-o tls={tls.value} contradicts the URL: {self}")
        port = _default_port(tls) if self.port == DEFAULT_PORT else self.port
        return self._replace(tls=tls, port=port)


def parse_url(text: str) -> Location:
    """The location that a URL names: `ftp://[user[:password]@]host[:port][/dir]`.

    ftpes:// is FTP with AUTH TLS (RFC 4217), ftps:// with TLS from the first byte, on port 990.
    `/dir` is relative to the login directory, `//dir` (or `/%2Fdir`) absolute. `#` and `?` have
    no meaning in FTP and belong to the path. Raises UsageError.
    """
    scheme, found, rest = text.partition("://")
    if not found:
        raise UsageError("not a URL: it should look like ftp://user@host/dir")
    tls = SCHEMES.get(scheme.lower())
    if tls is None:
        raise UsageError(f"unknown scheme {scheme}://; known are ftp://, ftpes:// and ftps://")
    authority, _, path = rest.partition("/")
    login, at, address = authority.rpartition("@")
    user, _, password = login.partition(":")
    host, port = _split_address(address, _default_port(tls))
    location = Location(
        host=host,
        port=port,
        user=_decoded("user", user) or ANONYMOUS,
        password=_decoded("password", password) if ":" in login else None,
        path=_decoded("path", path).rstrip("/") or ("/" if _decoded("path", path) else ""),
        tls=tls,
    )
    if at and not user:
        raise UsageError("the URL has an @ but no user before it")
    return location


def _default_port(tls: TlsMode) -> int:
    return IMPLICIT_PORT if tls is TlsMode.IMPLICIT else DEFAULT_PORT


def _split_address(address: str, default_port: int) -> tuple[str, int]:
    host, port = address, ""
    if address.startswith("["):
        host, closed, tail = address[1:].partition("]")
        if not closed or (tail and not tail.startswith(":")):
            raise UsageError("an IPv6 address must stand in brackets: ftp://[::1]:2121/")
        _check_ipv6(host)
        port = tail[1:]
    elif address.count(":") == 1:
        host, _, port = address.partition(":")
    elif ":" in address:
        raise UsageError("an IPv6 address must stand in brackets: ftp://[::1]:2121/")
    if not host:
        raise UsageError("the URL has no host: it should look like ftp://user@host/dir")
    return _decoded("host", host), _port(port) if port else default_port


def _check_ipv6(host: str) -> None:
    import ipaddress  # seldom needed, and slow to load

    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise UsageError(f"[{host}] is not an IPv6 address") from None


def _port(text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= 5
    if not digits or not 0 < int(text) < 65536:
        raise UsageError(
            "the port in the URL is not a number from 1 to 65535"
            " (a / or : in the password is written %2F or %3A)"
        )
    return int(text)


def _encoded(plain: str, safe: str) -> str:
    return quote(plain, safe=safe, errors="surrogateescape")


def _decoded(part: str, text: str) -> str:
    plain = unquote(text, errors="surrogateescape")
    _refuse_control_characters(part, plain)
    return plain


def _refuse_control_characters(part: str, text: str) -> None:
    if any(c in text for c in "\r\n\0"):
        raise UsageError(f"the {part} in the URL holds a CR, LF or NUL, which FTP cannot carry")
