"""What a server's verdicts mean for who works on a mount of it: sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ftpfs.remote.report import Finding, Protection

_KEPT_HERE = "what a program sets is kept for the life of the mount only (-o strict: an error)"

_ALONE = {
    "replacing": "No atomic replacement: the server does not take a temporary file and a rename. A"
    " changed file is overwritten where it lies, and who reads it meanwhile may see a part.",
    "SITE CHMOD": f"Permission bits cannot be set: no SITE CHMOD; {_KEPT_HERE}.",
    "REST": "Reading in the middle of a file fetches all that is before it: no REST.",
    "REST + STOR": "A small change in a big file sends the whole file: no REST before STOR.",
    "APPE": "Appending to a file sends the whole file: no APPE.",
    "MDTM": "The exact time of a file is not known: no MDTM. A change that keeps the size and comes"
    " within the minute that a listing shows is not noticed.",
    "SIZE": "The size of a file is known from listings only: no SIZE. An upload is confirmed by the"
    " final reply alone.",
    "AVBL": "`df` shows a free space that is made up: the server does not tell it (no AVBL).",
    "UTF8": "Names that are not ASCII may look wrong: the server does not say that it speaks"
    " UTF-8.",
    "grouping": "Each command is waited for before the next: everything takes more round trips.",
    "writing": "Nothing can be written in this directory.",
}

_CAUSED = ("replacing", "SITE CHMOD", "APPE", "writing")
"""Where the server's own words may tell the user what to do about it."""


def limits_of(
    findings: Iterable[Finding], protection: Protection | None, *, offers_tls: bool
) -> tuple[str, ...]:
    """What will not work, or not well, and why. A finding that was not tried says nothing."""
    by_name = {finding.name: finding for finding in findings}
    sentences = [
        *_transport(protection, offers_tls),
        *_listing(by_name),
        *_times(by_name),
        *_replacing(by_name),
        *(_with_cause(name, by_name[name]) for name in _ALONE if _no(by_name, name)),
        *_names(by_name),
        *_connections(by_name),
    ]
    return tuple(sentences)


def _no(by_name: dict[str, Finding], *names: str) -> bool:
    """Whether all of these were tried in vain."""
    return all(name in by_name and by_name[name].verdict is False for name in names)


def _with_cause(name: str, finding: Finding) -> str:
    cause = f" ({finding.detail})" if finding.detail and name in _CAUSED else ""
    return _ALONE[name] + cause


def _transport(protection: Protection | None, offers_tls: bool) -> Iterator[str]:
    if protection is None:
        remedy = " The server offers TLS: use ftpes://." if offers_tls else ""
        yield f"Password, names and files go over the network in clear text.{remedy}"


def _listing(by_name: dict[str, Finding]) -> Iterator[str]:
    if _no(by_name, "active mode"):
        yield (
            "The server cannot open data connections to this machine (-o active): nothing can be"
            f" listed, read or written. ({by_name['active mode'].detail})"
        )
    elif _no(by_name, "EPSV", "PASV"):
        yield (
            "No data connection can be opened: nothing can be listed, read or written. A firewall"
            f" may be in the way. ({by_name['PASV'].detail})"
        )
    elif _no(by_name, "MLSD", "LIST"):
        yield "This directory cannot be listed."
    elif _no(by_name, "MLSD"):
        yield (
            "Times in listings are exact to the minute, those of old files to the day: no MLSD."
            " Names are taken from lines made for people; odd ones may be cut."
        )
        if _no(by_name, "LIST -a"):
            yield "Names that begin with a dot may be missing from listings: no LIST -a."


def _times(by_name: dict[str, Finding]) -> Iterator[str]:
    if _no(by_name, "MFMT", "MDTM sets", "SITE UTIME"):
        yield (
            "Times of files cannot be set: the server has none of MFMT, MDTM with a time and"
            f" SITE UTIME; {_KEPT_HERE}."
        )


def _replacing(by_name: dict[str, Finding]) -> Iterator[str]:
    if _no(by_name, "RNTO replaces") and not _no(by_name, "replacing"):
        yield (
            "Replacing a file takes two renames, as the server does not rename onto one that is"
            " there: in between the name is missing for a moment."
        )


def _names(by_name: dict[str, Finding]) -> Iterator[str]:
    if _no(by_name, "names"):
        yield f"Some names cannot be used: {by_name['names'].detail}."


def _connections(by_name: dict[str, Finding]) -> Iterator[str]:
    finding = by_name.get("connections")
    if finding is not None and finding.verdict is False:
        yield f"Fewer connections than asked for, so less is done at a time: {finding.detail}."
