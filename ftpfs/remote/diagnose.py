"""What a negative reply means.

A code is not yet a meaning: 550 may be absent, forbidden, not empty; vsftpd has one text per
command for every cause. So: the code where it is clear, else the text (ProFTPD, Pure-FTPd,
pyftpdlib and IIS give the system's), else what is known of the names involved. Some texts are
only half clear: what is there has the last word on these.

A lost connection never gets here: it is a NetworkError, and no reply.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ftpfs.errors import (
    AbsentError,
    BusyError,
    CrossDeviceError,
    DeniedError,
    ExistsError,
    InvalidNameError,
    IsDirectoryError,
    NameTooLongError,
    NoSpaceError,
    NotDirectoryError,
    NotEmptyError,
    PassingError,
    QuotaError,
    RefusedError,
    UnsupportedError,
)
from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.reply import Reply

Meaning = type[RefusedError]

_NAME_BYTES = 255  # of ext4, XFS, NTFS and most others


class State(NamedTuple):
    """What is there: the entry at the path, whether its parent exists (and lets us in), whether
    it has children."""

    target: Entry | None
    parent_exists: bool
    has_children: bool = False
    parent_closed: bool = False


class Look(Protocol):
    """Asks the server what is there; `briefly`: only what the path itself names."""

    def __call__(self, *, briefly: bool) -> State: ...


# -- tables ---------------------------------------------------------------------------------------

_CODES: dict[int, Meaning] = {
    425: PassingError,  # "Operation not permitted" here speaks of a socket (ProFTPD)
    452: NoSpaceError,
    500: UnsupportedError,
    502: UnsupportedError,
    504: UnsupportedError,
    530: DeniedError,
    532: DeniedError,
}

_VERB_CODES: dict[tuple[str, int], Meaning] = {
    ("MKD", 521): ExistsError,  # RFC 1639's habit, still that of some storage gateways
}

# Lower case. In order: "does not exist" must be found before "exist", "in use" before "already".
_TEXTS: tuple[tuple[Meaning, tuple[str, ...]], ...] = (
    (
        NoSpaceError,
        (
            "no space",
            "disk full",
            "disk is full",
            "insufficient storage",
            "insufficient space",
            "insufficient disk",
            "not enough space",
            "not enough disk",
            "out of space",
        ),
    ),
    (QuotaError, ("quota", "exceeded storage", "storage allocation", "allocation exceeded")),
    (NotEmptyError, ("not empty", "n't empty")),
    (CrossDeviceError, ("cross-device",)),
    (NameTooLongError, ("name too long", "path too long", "name is too long", "path is too long")),
    (
        NotDirectoryError,
        ("not a directory", "directory name is invalid"),  # the latter: Windows, for a file
    ),
    (IsDirectoryError, ("is a directory", "not a regular file", "not a plain file")),
    (
        AbsentError,
        (
            "no such",
            "not found",
            "not exist",
            "n't exist",
            "non-exist",
            "nonexist",
            "cannot find",
            "can't find",
            "could not find",
            "unable to find",
            "file missing",
        ),
    ),
    (
        BusyError,
        ("in use", "being used", "busy", "locked", "in progress", "sharing violation"),
    ),
    (ExistsError, ("exists", "already exist")),
    (
        InvalidNameError,
        (
            "prohibited",  # Pure-FTPd, of a file or directory name
            "invalid directory name",  # ProFTPD
            "invalid argument",
            "invalid character",
            "illegal character",
            "syntax is incorrect",  # Windows: filename, directory name or volume label
            "filename invalid",  # FileZilla Server
            "name not valid",
            "not a valid file name",
            "invalid file name",
            "invalid filename",
            "invalid name",
            "illegal name",
            "name not allowed",
        ),
    ),
    (
        DeniedError,
        (
            "denied",
            "not permitted",
            "forbidden",
            "read-only",
            "read only",
            "not allowed",
            "no permission",
            "not authorized",
            "privilege",
        ),
    ),
)

# Said by servers of what is really something else: the entry decides, where there is one.
_DOUBTFUL = (InvalidNameError, DeniedError)

# Where neither text nor state tell; the first three speak of the transfer.
_LAST_CODES: dict[int, Meaning] = {
    426: PassingError,
    451: RefusedError,
    551: RefusedError,
    503: RefusedError,
    552: QuotaError,
}

_ABOUT_THE_DISK = (NoSpaceError, QuotaError)
_CREATING = ("MKD", "STOR", "APPE", "RNTO")


# -- the meaning ----------------------------------------------------------------------------------


def diagnose(verb: str, path: str, reply: Reply, look: Look, names: str = "") -> RefusedError:
    """The exception for a refused command. `look` asks the server, only where need be; `names`
    is the path as the server has it, whose words are not taken for the server's."""
    meaning = _VERB_CODES.get((verb, reply.code)) or _CODES.get(reply.code)
    if meaning is None:
        meaning = by_text(reply, names or path)
        if meaning is None or meaning in _DOUBTFUL:
            meaning = by_length(path) or _by_looking(verb, reply.code, look, meaning)
    return meaning(f"{path}: {verb} refused: {reply}")


def by_text(reply: Reply, names: str) -> Meaning | None:
    """The meaning of a reply whose text is known, else None."""
    text = _without(names, reply.text.lower())
    found = next((meaning for meaning, phrases in _TEXTS if _any_in(phrases, text)), None)
    if reply.code == 426 and found not in _ABOUT_THE_DISK:
        found = None  # a socket's strerror
    return found or _LAST_CODES.get(reply.code)


def _any_in(phrases: tuple[str, ...], text: str) -> bool:
    return any(phrase in text for phrase in phrases)


def _without(names: str, text: str) -> str:
    """The text without those names that would be read as a meaning: "not found.txt: denied"."""
    for name in names.lower().split("/"):
        if any(_any_in(phrases, name) for _, phrases in _TEXTS):
            text = text.replace(name, "")
    return text


def by_length(path: str) -> Meaning | None:
    """The meaning of any refusal of a name that no usual file system can have."""
    longest = max(len(name.encode("utf-8", "surrogateescape")) for name in path.split("/"))
    return NameTooLongError if longest > _NAME_BYTES else None


def _by_looking(verb: str, code: int, look: Look, said: Meaning | None) -> Meaning:
    return by_state(verb, code, look(briefly=said is DeniedError), said)


def by_state(verb: str, code: int, state: State, said: Meaning | None = None) -> Meaning:
    """The meaning of a reply that says nothing clear, or `said`, from what is there."""
    found = _creating(verb, state) if verb in _CREATING else _reaching(verb, state)
    if found is DeniedError:
        return said or _REST.get(code, DeniedError)
    if found is AbsentError and said is DeniedError:
        return said  # what we may not see looks absent
    return found


_REST: dict[int, Meaning] = {
    450: BusyError,
    501: InvalidNameError,
}


def _reaching(verb: str, state: State) -> Meaning:
    if state.target is None:
        return DeniedError if state.parent_closed else AbsentError
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
