"""Hashes of files that servers compute: HASH (draft-bryan-ftpext-hash) and the older X commands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ftpfs.remote.calls import Calls
from ftpfs.session.connection import Session
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.reply import Reply

KINDS = {
    # hashlib's name, or crc32: HASH's name, hex digits, X commands
    "sha256": ("SHA-256", 64, ("XSHA256",)),
    "sha512": ("SHA-512", 128, ("XSHA512",)),
    "sha1": ("SHA-1", 40, ("XSHA1", "XSHA")),
    "md5": ("MD5", 32, ("XMD5", "MD5")),
    "crc32": ("CRC32", 8, ("XCRC",)),
}
"""What servers offer, the best first."""


class Hashes:
    """For one server. Any thread; keeps nothing."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def kinds(self) -> Iterator[str]:
        """What the server says it can compute, the best first; what HASH offers is found out."""
        features = self._calls.profile.features
        for kind, (_, _, verbs) in KINDS.items():
            if "HASH" in features.names or any(verb in features.names for verb in verbs):
                yield kind

    def of(self, path: str, kind: str) -> str | None:
        """The hash of a file, hex digits; None where the server does not give that kind after all.

        Raises what a refusal means for the file: AbsentError and so on.
        """
        return self._calls.repeating(lambda session: self._of(session, path, kind))

    def _of(self, session: Session, path: str, kind: str) -> str | None:
        features = self._calls.profile.features
        name, digits, verbs = KINDS[kind]
        server_path = self._calls.reach(session, path)
        if "HASH" in features.names and session.command("OPTS", f"HASH {name}").ok:
            return self._read(session, path, "HASH", session.command("HASH", server_path), digits)
        for verb in verbs:
            if verb in features.names:
                return self._read(session, path, verb, session.command(verb, server_path), digits)
        return None

    def _read(
        self, session: Session, path: str, verb: str, reply: Reply, digits: int
    ) -> str | None:
        if reply.refused:
            raise self._calls.explain(session, path, ReplyError(verb, reply))
        return parse_hash(reply, digits)


def parse_hash(reply: Reply, digits: int) -> str | None:
    """The hash in a reply, lower case: `213 SHA-256 0-49 HEX name`, `250 HEX`, `250 XCRC HEX`.

    A CRC may lack its leading zeros. None where there is none.
    """
    shortest = 1 if digits == 8 else digits
    for word in re.split(r"[\s\"=]+", reply.text):
        if re.fullmatch(r"(?:0[xX])?[0-9A-Fa-f]+", word):
            bare = word.lower().removeprefix("0x")
            if shortest <= len(bare) <= digits:
                return bare.rjust(digits, "0")
    return None
