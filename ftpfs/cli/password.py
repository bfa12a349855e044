"""Where the password comes from, and how it is kept from being seen."""

from __future__ import annotations

import os
import re
import sys

from ftpfs.cli.signals import INTERRUPT, handled
from ftpfs.errors import UsageError
from ftpfs.url import ANONYMOUS, ANONYMOUS_PASSWORD, Location

VARIABLE = "FTPFS_PASSWORD"


def complete(location: Location) -> Location:
    """The location with user and password: from the URL, ~/.netrc, FTPFS_PASSWORD or a prompt.

    Raises UsageError where there is none and nobody to ask.
    """
    location = with_user(location)
    if location.password is not None:
        return location
    if location.user == ANONYMOUS:
        return location.with_password(ANONYMOUS_PASSWORD)
    if VARIABLE in os.environ:
        return location.with_password(os.environ[VARIABLE])
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"no password for {location.user}@{location.host}:"
            f" put it into ~/.netrc or the environment variable {VARIABLE}"
        )
    import getpass

    with handled(INTERRUPT):  # which gets the terminal its echo back
        typed = getpass.getpass(f"Password for {location.user}@{location.host}: ")
    return location.with_password(typed)


def with_user(location: Location) -> Location:
    """The location with the user, and maybe password, that ~/.netrc has for its host."""
    return location if location.password is not None else _from_netrc(location)


def _from_netrc(location: Location) -> Location:
    """By the first entry for the host and its user; where the URL names no user, for the host. One
    without a user is for those that have none of their own."""
    from netrc import NetrcParseError

    from ftpfs.cli import netrcfile

    try:
        known = netrcfile.read()
    except FileNotFoundError:
        return location
    except (NetrcParseError, OSError) as error:
        raise UsageError(f"~/.netrc cannot be used: {error}") from None
    entries = [entry for entry in known if entry.host == location.host and entry.password]
    if location.user != ANONYMOUS:
        of_user = [entry for entry in entries if entry.user == location.user]
        entries = of_user or [entry for entry in entries if not entry.user]
    if not entries:
        return location
    user, password = entries[0].user or location.user, entries[0].password
    return location._replace(user=user).with_password(password)


def hide(password: str | None) -> None:
    """Overwrite the password where `ps` reads this process's arguments and environment.

    Linux keeps both in the process's own memory, at addresses that proc(5) names.
    """
    if not password:
        return
    # Each byte as it is or percent-encoded: a URL may mix the two.
    spelt = b"".join(
        b"(?:%s|(?i:%%%02x))" % (re.escape(bytes([byte])), byte) for byte in os.fsencode(password)
    )
    for start, end in _argument_areas():
        _overwrite(start, end, spelt)


def hide_environment() -> None:
    """Overwrite the value of FTPFS_PASSWORD in the environment that `ps e` shows."""
    if VARIABLE in os.environ:
        secret = os.fsencode(os.environ[VARIABLE])
        for start, end in _argument_areas():
            _overwrite(start, end, b"(?<=" + VARIABLE.encode() + b"=)" + re.escape(secret))


def _argument_areas() -> list[tuple[int, int]]:
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    # proc(5): arg_start is field 48, counted from 1; the first one here is field 3.
    arg_start, arg_end, env_start, env_end = (int(fields[n - 3]) for n in range(48, 52))
    return [(arg_start, arg_end), (env_start, env_end)]


def _overwrite(start: int, end: int, pattern: bytes) -> None:
    import ctypes

    area = (ctypes.c_char * (end - start)).from_address(start)
    for found in re.finditer(pattern, area.raw):
        for index in range(found.start(), found.end()):
            area[index] = b"*"
