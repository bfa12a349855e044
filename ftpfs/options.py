"""What `-o` may say: the options of a mount and of the URL commands."""

from __future__ import annotations

import codecs
import enum
import os
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ftpfs.config import KERNEL_ABSENCE_S, KERNEL_SHARE, KIB, MIB, READ_CACHE_BYTES
from ftpfs.errors import UsageError

WITHOUT = {
    "mlsd": ("mlsd", "mlst"),
    "epsv": ("epsv",),
    "grouping": ("grouping",),
    "list_a": ("list_all",),
    "rest": ("rest",),
    "replace": ("replaces",),
    "appe": ("appends",),
    "mfmt": ("mfmt",),
    "mdtm": ("mdtm_sets",),
    "utime": ("site_utime",),
    "chmod": ("mff", "site_chmod"),
}
"""What `-o without=` can switch off, and the verdicts that decides. A network between may break
epsv and grouping for one user and not for another, which the server's verdicts cannot tell; a
server may answer MLSD, LIST -a, REST, APPE, or a way to set times or permissions, with something
plausible and wrong; in a drop folder the temporary name of a replacement may be taken for a
delivery."""


class TlsMode(enum.Enum):
    """How a server is spoken to."""

    NONE = "no"  # in clear text
    EXPLICIT = "explicit"  # AUTH TLS before the login: RFC 4217
    IMPLICIT = "implicit"  # TLS from the first byte


class ProxyServer(NamedTuple):
    """A proxy; `str` and `repr` give it without user and password."""

    kind: str  # socks5 or http
    host: str
    port: int
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return str(self)


class MountOptions(NamedTuple):
    """What `-o` may say. Names are those of mount(8), sshfs and curl."""

    ro: bool = False
    allow_other: bool = False
    allow_root: bool = False
    default_permissions: bool = False
    uid: int = -1  # -1: the user who mounts
    gid: int = -1
    umask: int = -1  # -1: modes as the server lists them
    dir_cache: float = 20.0  # seconds; others' changes are seen after that
    read_cache: int = READ_CACHE_BYTES  # bytes of file content kept in memory
    max_conns: int = 5  # usual caps of servers are 3 to 8 for each address
    timeout: float = 30.0  # seconds; each wait for the server
    active: bool = False  # the server opens the data connections
    pasv_address: str = "control"  # or server: PASV, and the address in its answer is obeyed
    proxy: ProxyServer | None = None  # for control and data connections
    tls: TlsMode | None = None  # None: what the URL says
    tls_max: str = "1.3"  # 1.2 for servers whose 1.3 is broken
    cafile: str = ""  # PEM file; "": the system's authorities
    fingerprint: str = ""  # of the one certificate to trust, 64 hex digits
    insecure: bool = False  # any certificate will do
    cert: str = ""  # PEM file with the client's certificate, and its key if `key` is ""
    key: str = ""
    writeback: bool = False  # close returns when the local disk has it
    inplace: str = "auto"  # change big files where they lie: auto, never
    spool: str = ""  # directory; "": the user's cache directory
    spool_limit: int = 0  # bytes; 0: 80 % of what is free at mount
    unmount_wait: float = 60.0  # seconds; for unsent files, at unmount
    encoding: str = "utf-8"  # of the names on the server
    without: frozenset[str] = frozenset()  # keys of WITHOUT: never used on this server
    strict: bool = False  # chmod and utimens that the server cannot do fail

    def kernel_cache_s(self) -> float:
        """How long the kernel keeps names and attributes."""
        return self.dir_cache * KERNEL_SHARE

    def kernel_absence_s(self) -> float:
        """How long the kernel keeps that a name is not there."""
        return KERNEL_ABSENCE_S if self.dir_cache else 0.0

    def owner(self) -> tuple[int, int]:
        """User and group id that every file is shown with."""
        return (
            self.uid if self.uid >= 0 else os.getuid(),
            self.gid if self.gid >= 0 else os.getgid(),
        )


_IGNORED = """
    auto noauto user nouser users owner group _netdev nofail defaults dev nodev suid nosuid
    exec noexec atime noatime diratime nodiratime relatime norelatime strictatime lazytime
    async sync dirsync nobootwait _rnetdev
"""
IGNORED_OPTIONS = frozenset(_IGNORED.split())
"""fstab words that mean nothing to a FUSE program: accepted and dropped, as sshfs does."""


def _number(text: str, minimum: float, convert: Callable[[str], Any]) -> Any:
    value = convert(text)
    if not minimum <= value < float("inf"):
        raise ValueError
    return value


def _size(text: str) -> int:
    """Bytes from "500M": a number and one of K, M, G, T (powers of 1024), or none."""
    units = {"K": KIB, "M": MIB, "G": KIB * MIB, "T": MIB * MIB}
    unit = units.get(text[-1:].upper(), 1)
    return int(_number(text[:-1] if unit > 1 else text, 1, int)) * unit


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return parse


def _directory(text: str) -> str:
    return _path(text)


def _some_of(words: Iterable[str]) -> Callable[[str], frozenset[str]]:
    """Words with a `+` between them: the comma separates options."""
    known = frozenset(words)

    def parse(text: str) -> frozenset[str]:
        chosen = frozenset(text.split("+"))
        if not chosen <= known:
            raise ValueError
        return chosen

    return parse


def _path(text: str) -> str:
    if not text:
        raise ValueError
    return os.path.abspath(os.path.expanduser(text))


def _fingerprint(text: str) -> str:
    """64 hex digits from what openssl, browsers and ftpfs itself print."""
    digits = re.sub("^sha256:", "", text.lower()).replace(":", "")
    if re.fullmatch("[0-9a-f]{64}", digits) is None:
        raise ValueError
    return digits


def _encoding(text: str) -> str:
    """Python's name of an encoding in which ASCII is ASCII and no other character holds a byte
    that could be read as a slash or a line end, or is told from ASCII by what came before."""
    plain = "".join(map(chr, range(32, 127)))
    try:
        codec = codecs.lookup(text)
        same = codec.encode(plain)[0] == plain.encode("ascii")
        others = [chr(code).encode(codec.name, "ignore") for code in range(128, 0xD800)]
    except (LookupError, TypeError):  # the latter: codecs from bytes to bytes
        raise ValueError from None
    if not same or any(map(_misleading, others)):
        raise ValueError
    return codec.name


def _misleading(raw: bytes) -> bool:
    return bool(raw) and ((len(raw) > 1 and raw[0] < 128) or min(raw) <= ord("/"))


def _proxy(text: str) -> ProxyServer:
    url = urlsplit(text)  # raises ValueError for a port that is none
    if url.scheme not in ("socks5", "http") or not url.hostname or not url.port:
        raise ValueError
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError
    user, password = unquote(url.username or ""), unquote(url.password or "")
    if any(ord(c) < 32 for c in user + password):
        raise ValueError
    return ProxyServer(url.scheme, url.hostname, url.port, user, password)


_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "uid": ("a user id", lambda t: _number(t, 0, int)),
    "gid": ("a group id", lambda t: _number(t, 0, int)),
    "umask": ("an octal number such as 022", lambda t: _number(t, 0, lambda x: int(x, 8)) & 0o777),
    "dir_cache": ("seconds, 0 or more", lambda t: _number(t, 0, float)),
    "tls": ("explicit, implicit or no", TlsMode),
    "tls_max": ("1.2 or 1.3", _one_of("1.2", "1.3")),
    "cafile": ("a PEM file", _path),
    "fingerprint": ("SHA256: and 64 hex digits, of the certificate", _fingerprint),
    "cert": ("a PEM file", _path),
    "key": ("a PEM file", _path),
    "pasv_address": ("control or server", _one_of("control", "server")),
    "proxy": ("socks5://[user:password@]host:port, or http://...", _proxy),
    "max_conns": ("a number, 1 or more", lambda t: _number(t, 1, int)),
    "encoding": ("an encoding that contains ASCII, such as cp1251, gbk or latin-1", _encoding),
    "inplace": ("auto or never", _one_of("auto", "never")),
    "without": (f"one or more, with + between, of {', '.join(WITHOUT)}", _some_of(WITHOUT)),
    "spool": ("a directory", _path),
    "read_cache": ("a size such as 64M", _size),
    "spool_limit": ("a size such as 500M or 20G", _size),
    "unmount_wait": ("seconds, 0 or more", lambda t: _number(t, 0, float)),
    "timeout": ("seconds, 1 or more", lambda t: _number(t, 1, float)),
}
_SECRET = ("proxy",)  # may hold a password
_FLAGS = frozenset(MountOptions._fields) - _PARSERS.keys()


def parse_options(given: Iterable[str]) -> MountOptions:
    """Options from the texts behind each `-o`, in order; a later one wins.

    Raises UsageError for a word that is unknown or a value that cannot be.
    """
    options = MountOptions()
    for word in (w for text in given for w in text.split(",") if w):
        name, equals, value = word.partition("=")
        if name in IGNORED_OPTIONS or name.startswith(("x-", "comment")):
            continue
        if word == "rw":
            options = options._replace(ro=False)
            continue
        options = options._replace(**{name: _parse_one(name, equals, value)})
    return options


def _parse_one(name: str, equals: str, value: str) -> Any:
    if name in _FLAGS:
        if equals:
            raise UsageError(f"-o {name} takes no value")
        return True
    if name not in _PARSERS:
        known = ", ".join(sorted(_FLAGS | _PARSERS.keys()))
        raise UsageError(f"unknown option -o {name}; known are {known}")
    wanted, parse = _PARSERS[name]
    try:
        return parse(value)
    except (ValueError, OverflowError):
        shown = "..." if name in _SECRET else value
        raise UsageError(f"-o {name}={shown}: {name} must be {wanted}") from None
