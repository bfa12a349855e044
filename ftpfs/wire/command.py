"""Commands of the control connection."""

from __future__ import annotations

import re

from ftpfs.errors import NameRefusedError

_SECRET = re.compile(r"\A(\s*(?:PASS|ACCT)\s).*", re.IGNORECASE | re.DOTALL)
_SECRET_VERBS = frozenset({"PASS", "ACCT"})
_FORBIDDEN = re.compile(rb"[\r\n\0]")

_ANSWERS = {
    "SIZE": (213,),
    "EPSV": (229,),
    "PASV": (227,),
    "PWD": (257,),
    "REST": (350,),
    "RNFR": (350,),
    "FEAT": (211,),
}
"""Codes of success that no other of the commands sent together has."""

TELNET_IAC = b"\xff"
"""The byte that begins a telnet command: also `я` in cp1251 and `ÿ` in latin-1."""

TELNET_PROBE = b"CWD .\xff\xf2\r\n"
"""Goes where the connection is already (`.`) on a server that takes telnet commands (here a data
mark, RFC 854, which does nothing) out of its input; names what is not there on any other."""


def encode_command(verb: str, argument: str | None = None, encoding: str = "utf-8") -> bytes:
    """The line to send, CRLF included: `VERB argument`.

    Raises NameRefusedError when the argument holds CR, LF or NUL, which would be read as a
    second command, or a character that `encoding` lacks. RFC 959 5.3, RFC 2640 3.1.
    """
    line = verb.upper() if argument is None else f"{verb.upper()} {argument}"
    try:
        raw = line.encode(encoding, "surrogateescape")
    except UnicodeEncodeError as error:
        reason = f"cannot be written in the server's encoding {encoding}"
        raise NameRefusedError(f"{_shown(verb, argument)} {reason}") from error
    # The bytes are looked at too: in UTF-16 or EBCDIC a harmless character can hold a line end.
    if _FORBIDDEN.search(raw) or (
        encoding != "utf-8" and _FORBIDDEN.search(line.encode("utf-8", "surrogatepass"))
    ):
        raise NameRefusedError(
            f"{_shown(verb, argument)} holds CR, LF or NUL, which FTP cannot carry"
        )
    return raw + b"\r\n"


def is_plain(argument: str | None, encoding: str) -> bool:
    """Whether `encode_command` takes it, and it needs no `telnet_escaped`, whatever the server."""
    if argument is None or argument.isascii():
        return True
    return encoding == "utf-8" and "\udcff" not in argument


def answers(verb: str, code: int) -> bool:
    """Whether a reply with this code can be the one to `verb`; a refusal always can.

    For commands without a transfer. RFC 959 5.4, RFC 2428 3, RFC 3659 3 to 5.
    """
    if code >= 400:
        return True
    codes = _ANSWERS.get(verb)
    return 200 <= code < 300 if codes is None else code in codes


def telnet_escaped(line: bytes) -> bytes:
    """The line for a server that takes telnet commands out of its input. RFC 959 5.3, RFC 854."""
    return line.replace(TELNET_IAC, TELNET_IAC * 2)


def masked(line: str) -> str:
    """The command line as a log may show it: the argument of PASS and ACCT is hidden."""
    return _SECRET.sub(r"\1****", line)


def _shown(verb: str, argument: str | None) -> str:
    if verb.upper() in _SECRET_VERBS:
        return f"the argument of {verb.upper()}"
    return repr(verb if argument is None else argument)
