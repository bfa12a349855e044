"""What the replies to SIZE and MDTM tell."""

from __future__ import annotations

from ftpfs.wire.reply import Reply
from ftpfs.wire.timeval import parse_time


def number_of(reply: Reply) -> int:
    """The number at the beginning of a reply; 0 where there is none."""
    digits = reply.text.split(" ", 1)[0]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def time_of(reply: Reply) -> int | None:
    """The time in a reply to MDTM, ns; None where it has none. RFC 3659 3."""
    if reply.code != 213:
        return None
    try:
        return parse_time(reply.text.split(" ", 1)[0])
    except ValueError:
        return None
