from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.config import REPLY_BYTES, REPLY_LINE_BYTES, REPLY_LOOSE_LINES
from ftpfs.errors import ProtocolError
from ftpfs.wire.reply import Reply, ReplyParser


def replies(*chunks: bytes, encoding: str = "utf-8") -> list[Reply | str]:
    """What the parser gives for the chunks; a last "error" for a ProtocolError."""
    parser = ReplyParser(encoding)
    found: list[Reply | str] = []
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while (reply := parser.next_reply()) is not None:
                found.append(reply)
    except ProtocolError:
        found.append("error")
    return found


CASES = {
    "vsftpd": (b"220 (vsFTPd 3.0.3)\r\n", Reply(220, ("(vsFTPd 3.0.3)",))),
    "two lines": (b"230-Hello\r\n230 in\r\n", Reply(230, ("Hello", "in"))),
    "vsftpd FEAT": (
        b"211-Features:\r\n EPRT\r\n REST STREAM\r\n211 End\r\n",
        Reply(211, ("Features:", " EPRT", " REST STREAM", "End")),
    ),
    "ProFTPD MLST, blanks kept": (
        b"250-Start of list for a \r\n type=file;size=1; a \r\n250 End of list\r\n",
        Reply(250, ("Start of list for a ", " type=file;size=1; a ", "End of list")),
    ),
    "code on each line": (
        b"211-Features\r\n211-SIZE\r\n211 End\r\n",
        Reply(211, ("Features", "SIZE", "End")),
    ),
    "inner line with another code": (
        b"230-Welcome\r\n331 is not for you\r\n230-\r\n230 ok\r\n",
        Reply(230, ("Welcome", "331 is not for you", "", "ok")),
    ),
    "inner line with a longer number": (
        b"213-Status\r\n2130 files\r\n213 End\r\n",
        Reply(213, ("Status", "2130 files", "End")),
    ),
    "bare LF": (b"220-hi\n220 there\n", Reply(220, ("hi", "there"))),
    "NUL bytes": (b"220 ready\0\r\n\0", Reply(220, ("ready",))),
    "code alone": (b"226\r\n", Reply(226, ("",))),
    "code and blank": (b"226 \r\n", Reply(226, ("",))),
    "end without a blank": (b"230-x\r\n230\r\n", Reply(230, ("x", ""))),
    "banner without a code": (
        b"*** Property of Example ***\r\n\r\n220 FTP\r\n",
        Reply(220, ("*** Property of Example ***", "FTP")),
    ),
    "blank inner lines stay": (b"220-a\r\n\r\n220 b\r\n", Reply(220, ("a", "", "b"))),
}


@pytest.mark.parametrize(("raw", "expected"), CASES.values(), ids=CASES)
def test_reads_a_reply_whole_or_byte_by_byte(raw: bytes, expected: Reply) -> None:
    assert replies(raw) == [expected]
    assert replies(*(bytes([byte]) for byte in raw)) == [expected]


def test_several_replies_in_one_piece() -> None:
    assert replies(b"250 a\r\n350 b\r\n25") == [Reply(250, ("a",)), Reply(350, ("b",))]


def test_bytes_outside_the_encoding_survive() -> None:
    (reply,) = replies(b'257 "/caf\xe9"\r\n')
    assert isinstance(reply, Reply)
    assert reply.text.encode("utf-8", "surrogateescape") == b'"/caf\xe9"'
    assert replies(b"257 \xcf\xee\r\n", encoding="cp1251") == [Reply(257, ("По",))]


def test_pending() -> None:
    parser = ReplyParser()
    assert not parser.pending
    parser.feed(b"2")
    assert parser.pending
    parser.feed(b"20-x\r\n")
    assert parser.next_reply() is None
    assert parser.pending
    parser.feed(b"220 y\r\n\r\n")
    assert parser.next_reply() is not None
    assert parser.pending
    assert parser.next_reply() is None
    assert not parser.pending


def test_line_bound_is_exact() -> None:
    longest = b"220 ".ljust(REPLY_LINE_BYTES - 1, b"x") + b"\r\n"
    assert isinstance(replies(longest)[0], Reply)
    assert replies(b"x" + longest) == ["error"]
    assert replies(b"x" * (REPLY_LINE_BYTES + 1)) == ["error"]


def test_reply_bound() -> None:
    line = b" " + b"x" * 1021 + b"\r\n"
    assert replies(b"211-\r\n", line * (REPLY_BYTES // 1024), b"211 End\r\n") == ["error"]
    assert replies(line * (REPLY_BYTES // 1024 + 1)) == ["error"]


def test_the_bound_is_for_one_reply() -> None:
    reply = b"211-\r\n" + b" x\r\n" * 1000 + b"211 End\r\n"
    assert len(replies(reply * 100)) == 100


def test_a_long_loose_banner_is_cut() -> None:
    (reply,) = replies(b"hello\r\n" * (REPLY_LOOSE_LINES + 9) + b"220 x\r\n")
    assert isinstance(reply, Reply)
    assert reply.lines == ("hello",) * REPLY_LOOSE_LINES + ("x",)


def test_linear_time_for_a_line_of_a_megabyte_and_for_single_bytes() -> None:
    start = time.process_time()
    assert replies(b"2" * 1_000_000) == ["error"]
    many = b"".join(b"250 done\r\n" for _ in range(10_000))
    assert len(replies(many)) == 10_000
    assert len(replies(*(many[at : at + 1] for at in range(len(many))))) == 10_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("code", "true"),
    [
        (150, {"preliminary"}),
        (226, {"ok"}),
        (350, {"intermediate"}),
        (450, {"transient", "refused"}),
        (550, {"refused"}),
    ],
)
def test_classes(code: int, true: set[str]) -> None:
    reply = Reply(code, ("x",))
    names = ("preliminary", "ok", "intermediate", "transient", "refused")
    assert {name for name in names if getattr(reply, name)} == true


def test_str_is_one_short_printable_line() -> None:
    assert str(Reply(550, ("No such", " file "))) == "550 No such file"
    assert str(Reply(550, ("a\x1b[2J\r\udce9",))) == "550 a?[2J ?"
    assert len(str(Reply(220, ("x" * 5000,)))) == 200
    assert str(Reply(226, ("",))) == "226"


PIECES = st.lists(
    st.sampled_from([b"220-", b"220 ", b"331 x", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"a"])
    | st.binary(max_size=6)
)


@given(PIECES, st.sampled_from(["utf-8", "latin-1", "cp1251", "gbk", "shift_jis"]))
def test_chunking_never_changes_the_result(pieces: list[bytes], encoding: str) -> None:
    whole = b"".join(pieces)
    expected = replies(whole, encoding=encoding)
    assert replies(*pieces, encoding=encoding) == expected
    assert replies(*(bytes([byte]) for byte in whole), encoding=encoding) == expected
