"""Lines of MLSD and MLST."""

from __future__ import annotations

from functools import lru_cache

from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.timeval import UNKNOWN_S, parse_time

_MAX_SIZE = (1 << 63) - 1  # what a file offset can hold; more is a broken fact

_KINDS = {"file": Kind.FILE, "dir": Kind.DIRECTORY}
_UNIX_LINKS = ("os.unix=slink", "os.unix=symlink")


def parse_facts(line: str) -> Entry | None:
    """The entry of one MLSx line without its CRLF; None for the directory itself or its parent.

    Modification times are exact to a second, sizes in bytes; a file without a size has a rough
    one. A fact with an unreadable value is left out. The name is everything after the first
    blank, not checked. Raises ValueError when the line has no facts or no name. RFC 3659 7.2 to
    7.5.
    """
    text, _, name = line.lstrip(" ").partition(" ")
    if text[-1:] != ";":
        text, name = _unusually_split(line.lstrip(" "))
    if "=" not in text or not name:
        raise ValueError("not a line of MLSx")
    facts = _facts(text)
    type_fact = facts.get("type", "file")
    kind, target = _KINDS.get(type_fact), None
    if kind is None:
        if type_fact.lower() in ("cdir", "pdir"):
            return None
        kind, target = _other_kind(type_fact)
    size = _size(facts.get("size") or facts.get("sizd") or "")
    if size is None:
        size = rough(0) if kind is Kind.FILE else 0
    mtime_ns, precision_s = _time(facts.get("modify", ""))
    mode = _mode(facts.get("unix.mode", ""), facts.get("perm"), kind)
    return Entry(name, kind, size, mtime_ns, precision_s, mode, target)


def _unusually_split(line: str) -> tuple[str, str]:
    """Facts and name of a line without a `;` right ahead of its first blank.

    Drafts of the RFC had none there; a Windows server writes a tab for the blank; and ProFTPD
    gives the target of a link as it is, blanks and all.
    """
    text, _, name = line.partition(" ")
    if "\t" in text:
        text, _, name = line.partition("\t")
    elif "slink:" in text.lower():
        target, end, after = line.partition("; ")
        if end:
            return target, after
    return text, name


def _facts(text: str) -> dict[str, str]:
    facts = {}
    for fact in text.split(";"):
        key, _, value = fact.partition("=")
        facts[key.lower()] = value
    return facts


def _other_kind(type_fact: str) -> tuple[Kind, str | None]:
    if known := _KINDS.get(type_fact.lower()):
        return known, None
    # ProFTPD: OS.unix=slink:target or OS.unix=symlink, as FactsOptions says.
    link, _, target = type_fact.partition(":")
    if link.lower() in _UNIX_LINKS:
        return Kind.SYMLINK, target or None
    return Kind.OTHER, None


def _size(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= 19:
        size = int(text)
        return size if size <= _MAX_SIZE else None
    return None


def _time(text: str) -> tuple[int, int]:
    try:
        return parse_time(text), 1
    except ValueError:
        return 0, UNKNOWN_S


@lru_cache(maxsize=1024)
def _mode(unix_mode: str, perm: str | None, kind: Kind) -> int | None:
    """Permission bits: those told, or such as say the same as the perm fact. RFC 3659 7.5.5."""
    digits = unix_mode.lower().removeprefix("0o")  # pyftpdlib writes 0o644
    if digits.isascii() and digits.isdigit() and len(digits) <= 11 and not set(digits) & {*"89"}:
        return int(digits, 8) & 0o7777
    if perm is None:
        return None
    if kind is Kind.DIRECTORY:
        return 0o755 if set(perm.lower()) & set("cmp") else 0o555
    if kind is Kind.FILE:
        return 0o644 if set(perm.lower()) & set("wa") else 0o444
    return None
