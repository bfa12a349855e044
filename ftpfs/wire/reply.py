"""Replies of the control connection."""

from __future__ import annotations

import re
from typing import NamedTuple

from ftpfs.config import REPLY_BYTES, REPLY_LINE_BYTES, REPLY_LOOSE_LINES
from ftpfs.errors import ProtocolError

_SHOWN_CHARACTERS = 200
_SIMPLE = re.compile(rb"([1-5][0-9]{2}) ([^\r\n\0]{0,%d})\r\n" % (REPLY_LINE_BYTES - 5))
_CODED = re.compile(r"([1-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


class Reply(NamedTuple):
    """One reply: its code, and the texts of its lines without the codes.

    Inner lines keep their blanks: in the answers to FEAT and MLST they mean something.
    """

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.lines).strip()

    @property
    def preliminary(self) -> bool:
        return self.code // 100 == 1

    @property
    def ok(self) -> bool:
        return self.code // 100 == 2

    @property
    def intermediate(self) -> bool:
        return self.code // 100 == 3

    @property
    def transient(self) -> bool:
        return self.code // 100 == 4

    @property
    def refused(self) -> bool:
        return self.code // 100 in (4, 5)

    def __str__(self) -> str:
        """The reply on one line of at most 200 characters, safe to print on a terminal."""
        line = " ".join(f"{self.code:03d} {self.text}".split())
        if len(line) > _SHOWN_CHARACTERS:
            line = line[: _SHOWN_CHARACTERS - 3] + "..."
        return "".join(char if char.isprintable() else "?" for char in line)


class ReplyParser:
    """Bytes in, replies out: RFC 959 4.2, and what servers make of it.

    Accepts a bare LF, drops NUL bytes, and takes lines without a code ahead of a reply as its
    first lines. Bytes that `encoding` cannot read survive as surrogate escapes.
    """

    def __init__(self, encoding: str = "utf-8") -> None:
        self._encoding = encoding
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer known to hold no line end
        self._code: int | None = None  # of the multi-line reply being read
        self._lines: list[str] = []
        self._size = 0

    @property
    def pending(self) -> bool:
        """Whether something was received that no reply has used up."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes | bytearray) -> None:
        """Take bytes as they were received. Call `next_reply` until None after each."""
        self._buffer += data

    def next_reply(self) -> Reply | None:
        """The next whole reply, None if more bytes are needed.

        Raises ProtocolError beyond REPLY_LINE_BYTES or REPLY_BYTES; the connection is of no use
        then.
        """
        if self._code is None and not self._lines and (simple := _SIMPLE.match(self._buffer)):
            return self._simple(simple)
        while (line := self._next_line()) is not None:
            code = self._take(line)
            if code is not None:
                return self._finished(code)
        return None

    def _simple(self, found: re.Match[bytes]) -> Reply:
        """Nearly all replies, in one step."""
        code, text = found.groups()
        del self._buffer[: found.end()]
        self._searched = 0
        return Reply(int(code), (text.decode(self._encoding, "surrogateescape"),))

    def _next_line(self) -> str | None:
        end = self._buffer.find(b"\n", self._searched)
        if (end if end >= 0 else len(self._buffer)) > REPLY_LINE_BYTES:
            raise ProtocolError(
                f"the server sent a reply line of more than {REPLY_LINE_BYTES} bytes"
            )
        if end < 0:
            self._searched = len(self._buffer)
            return None
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        self._size += end + 1
        if self._size > REPLY_BYTES:
            raise ProtocolError(f"the server sent a reply of more than {REPLY_BYTES} bytes")
        return self._decoded(raw)

    def _decoded(self, raw: bytes) -> str:
        # NUL: the second half of telnet's CR NUL, or a C string sent with its end mark.
        raw = raw.replace(b"\0", b"").removesuffix(b"\r")
        return raw.decode(self._encoding, "surrogateescape")

    def _take(self, line: str) -> int | None:
        """The code when this line ends a reply."""
        coded = _CODED.fullmatch(line)
        code = int(coded[1]) if coded else None
        if coded is None or self._code not in (None, code):
            self._keep_uncoded(line)
            return None
        self._lines.append(coded[3] or "")
        if coded[2] == "-":
            self._code = code
            return None
        return code

    def _keep_uncoded(self, line: str) -> None:
        inside = self._code is not None
        if inside or (line.strip() and len(self._lines) < REPLY_LOOSE_LINES):
            self._lines.append(line)

    def _finished(self, code: int) -> Reply:
        reply = Reply(code, tuple(self._lines))
        self._code = None
        self._lines = []
        self._size = 0
        return reply
