from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.errors import NameRefusedError
from ftpfs.wire.command import encode_command, masked


@pytest.mark.parametrize(
    ("verb", "argument", "encoding", "expected"),
    [
        ("noop", None, "utf-8", b"NOOP\r\n"),
        ("CWD", "/a b ", "utf-8", b"CWD /a b \r\n"),
        ("PASS", "", "utf-8", b"PASS \r\n"),
        ("RETR", "é", "utf-8", b"RETR \xc3\xa9\r\n"),
        ("RETR", "é", "latin-1", b"RETR \xe9\r\n"),
        ("RETR", "caf\udce9", "utf-8", b"RETR caf\xe9\r\n"),
        ("site", "CHMOD 644 x", "utf-8", b"SITE CHMOD 644 x\r\n"),
    ],
)
def test_encodes(verb: str, argument: str | None, encoding: str, expected: bytes) -> None:
    assert encode_command(verb, argument, encoding) == expected


@pytest.mark.parametrize("bad", ["a\r\nDELE b", "a\n", "\ra", "a\0b"])
def test_refuses_line_ends_and_nul_and_shows_the_name(bad: str) -> None:
    with pytest.raises(NameRefusedError) as caught:
        encode_command("RETR", bad)
    assert repr(bad) in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "encoding"),
    [("日本", "latin-1"), ("\udc0a", "utf-8")],
    ids=["script", "escaped line feed"],
)
def test_refuses_what_the_encoding_lacks(argument: str, encoding: str) -> None:
    with pytest.raises(NameRefusedError):
        encode_command("RETR", argument, encoding)


def test_a_refused_password_is_not_shown() -> None:
    with pytest.raises(NameRefusedError) as caught:
        encode_command("PASS", "hunter2\n")
    assert "hunter2" not in str(caught.value)


@given(
    st.text() | st.text("\r\n\0\u0a0d\u0d0a\x85\x8e a"),
    st.sampled_from(["utf-8", "latin-1", "gbk", "shift_jis", "utf-16-le", "cp500", "utf-7"]),
)
def test_never_more_than_one_line(argument: str, encoding: str) -> None:
    try:
        line = encode_command("RETR", argument, encoding)
    except NameRefusedError:
        return
    assert line.endswith(b"\r\n")
    assert not {0, 10, 13} & set(line[:-2])


@given(st.binary().filter(lambda raw: not {0, 10, 13} & set(raw)))
def test_any_listed_bytes_can_be_sent_back(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    assert encode_command("RETR", name) == b"RETR " + raw + b"\r\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("PASS hunter2", "PASS ****"),
        ("pass a b\r\n", "pass ****"),
        ("ACCT x", "ACCT ****"),
        ("PASS", "PASS"),
        ("PASV", "PASV"),
        ("PASSAGE x", "PASSAGE x"),
        ("RETR PASS x", "RETR PASS x"),
    ],
)
def test_masked(line: str, expected: str) -> None:
    assert masked(line) == expected
