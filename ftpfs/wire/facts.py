"""Lines of MLSD and MLST."""

from __future__ import annotations

from contextlib import suppress

from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.timeval import UNKNOWN_S, parse_time

_MAX_SIZE = (1 << 63) - 1  # what a file offset can hold; more is a broken fact

_UNIX_LINKS = ("os.unix=slink", "os.unix=symlink")


def parse_facts(line: str) -> Entry | None:
    """The entry of one MLSx line without its CRLF; None for the directory itself or its parent.

    Modification times are exact to a second, sizes in bytes. A fact with an unreadable value is
    left out. The name is everything after the first blank, not checked. Raises ValueError when
    the line has no facts or no name. RFC 3659 7.2 to 7.5.
    """
    text, _, name = line.lstrip(" ").partition(" ")
    if "=" not in text or not name:
        raise ValueError("not a line of MLSx")
    facts = _split(text)
    type_fact = facts.get("type", "file")
    if type_fact.lower() in ("cdir", "pdir"):
        return None
    kind, target = _kind(type_fact)
    size = _size(facts.get("size") or facts.get("sizd") or "")
    mtime_ns, precision_s = _time(facts.get("modify", ""))
    return Entry(name, kind, size, mtime_ns, precision_s, _mode(facts, kind), target)


def _split(text: str) -> dict[str, str]:
    facts = {}
    for fact in text.split(";"):
        key, _, value = fact.partition("=")
        facts[key.lower()] = value
    return facts


def _kind(type_fact: str) -> tuple[Kind, str | None]:
    known = _KINDS.get(type_fact.lower())
    if known:
        return known, None
    # ProFTPD: OS.unix=slink:target or OS.unix=symlink, as FactsOptions says.
    link, _, target = type_fact.partition(":")
    if link.lower() in _UNIX_LINKS:
        return Kind.SYMLINK, target or None
    return Kind.OTHER, None


_KINDS = {"file": Kind.FILE, "dir": Kind.DIRECTORY}


def _size(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 19:
        size = int(text)
        return size if size <= _MAX_SIZE else 0
    return 0


def _time(text: str) -> tuple[int, int]:
    try:
        return parse_time(text), 1
    except ValueError:
        return 0, UNKNOWN_S


def _mode(facts: dict[str, str], kind: Kind) -> int | None:
    mode = facts.get("unix.mode", "").removeprefix("0o")  # pyftpdlib writes 0o644
    if mode.isascii() and mode.isdigit() and len(mode) <= 11:
        with suppress(ValueError):
            return int(mode, 8) & 0o7777
    perm = facts.get("perm")
    return None if perm is None else _mode_of_perm(perm.lower(), kind)


def _mode_of_perm(perm: str, kind: Kind) -> int | None:
    """Permission bits that say the same as the perm fact. RFC 3659 7.5.5."""
    if kind is Kind.DIRECTORY:
        return 0o755 if set(perm) & set("cmp") else 0o555
    if kind is Kind.FILE:
        return 0o644 if set(perm) & set("wa") else 0o444
    return None
