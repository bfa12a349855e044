"""What a negative reply means.

A code is not yet a meaning: 550 may be absent, forbidden, not empty; vsftpd has one text per
command for every cause. So: the code where it is clear, else the text (ProFTPD, Pure-FTPd and
pyftpdlib give strerror's), else what is known of the names involved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ftpfs.errors import (
    AbsentError,
    BusyError,
    DeniedError,
    ExistsError,
    IsDirectoryError,
    NameTooLongError,
    NoSpaceError,
    NotDirectoryError,
    NotEmptyError,
    QuotaError,
    RefusedError,
    UnsupportedError,
)
from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.reply import Reply

Meaning = type[RefusedError]

_NAME_BYTES = 255  # of ext4, XFS, NTFS and most others


@dataclass(frozen=True)
class State:
    """What is there: the entry at the path, whether its parent exists, whether it has children."""

    target: Entry | None
    parent_exists: bool
    has_children: bool = False


_CODES: dict[int, Meaning] = {
    452: NoSpaceError,
    500: UnsupportedError,
    502: UnsupportedError,
    504: UnsupportedError,
    530: DeniedError,
    532: DeniedError,
}

# In order: "does not exist" must be found before "exist".
_TEXTS: tuple[tuple[Meaning, tuple[str, ...]], ...] = (
    (NoSpaceError, ("no space", "disk full", "insufficient storage", "not enough space")),
    (QuotaError, ("quota", "exceeded storage", "allocation exceeded")),
    (NameTooLongError, ("name too long",)),
    (NotEmptyError, ("not empty",)),
    (NotDirectoryError, ("not a directory",)),
    (IsDirectoryError, ("is a directory", "not a regular file", "not a plain file")),
    (AbsentError, ("no such", "not found", "not exist", "n't exist", "cannot find")),
    (ExistsError, ("exists", "already")),
    (DeniedError, ("denied", "not permitted", "forbidden", "read-only", "not allowed")),
)

_CODES_AFTER_TEXT: dict[int, Meaning] = {
    425: RefusedError,  # these three speak of the transfer, not of what the path names
    426: RefusedError,
    451: RefusedError,
    450: BusyError,
    552: QuotaError,
}


def diagnose(verb: str, path: str, reply: Reply, look: Callable[[], State]) -> RefusedError:
    """The exception for a refused command. `look` asks the server, only where need be."""
    meaning = by_reply(reply) or by_length(path) or by_state(verb, look())
    return meaning(f"{path}: {verb} refused: {reply}")


def by_reply(reply: Reply) -> Meaning | None:
    """The meaning of a reply that is clear by its code or text, else None."""
    if reply.code in _CODES:
        return _CODES[reply.code]
    text = reply.text.lower()
    for meaning, phrases in _TEXTS:
        if any(phrase in text for phrase in phrases):
            return meaning
    return _CODES_AFTER_TEXT.get(reply.code)


def by_length(path: str) -> Meaning | None:
    """The meaning of any refusal of a name that no usual file system can have."""
    longest = max(len(name.encode("utf-8", "surrogateescape")) for name in path.split("/"))
    return NameTooLongError if longest > _NAME_BYTES else None


def by_state(verb: str, state: State) -> Meaning:
    """The meaning of a reply that says nothing, from what is there."""
    if verb in ("MKD", "STOR", "APPE", "RNTO"):
        return _creating(verb, state)
    if state.target is None:
        return AbsentError
    directory = state.target.kind is Kind.DIRECTORY
    if verb in ("CWD", "RMD") and not directory:
        return NotDirectoryError
    if verb == "RMD" and state.has_children:
        return NotEmptyError
    if verb in ("RETR", "DELE") and directory:
        return IsDirectoryError
    return DeniedError


def _creating(verb: str, state: State) -> Meaning:
    if not state.parent_exists:
        return AbsentError
    if state.target is not None and verb == "MKD":
        return ExistsError
    if state.target is not None and state.target.kind is Kind.DIRECTORY:
        return IsDirectoryError
    return DeniedError
