"""Small things that the URL commands read and print: hashes, columns, quoted names."""

from __future__ import annotations

import pytest

from ftpfs.cli.columns import in_columns, width_of
from ftpfs.remote.hashes import parse_hash
from ftpfs.tree.events import quoted
from ftpfs.wire.reply import Reply

SHA256 = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"


@pytest.mark.parametrize(
    ("text", "digits", "found"),
    [
        (f"SHA-256 0-49 {SHA256} name", 64, SHA256),  # the draft; ProFTPD
        (SHA256.upper(), 64, SHA256),  # XSHA256
        (f'"name" {SHA256}', 64, SHA256),
        ("XCRC 0x9A2B", 8, "00009a2b"),  # without its leading zeros
        ("CRC32=deadbeef", 8, "deadbeef"),
        ("MD5 done", 32, None),
        (SHA256, 32, None),  # another kind
        ("", 64, None),
    ],
)
def test_a_hash_in_a_reply(text: str, digits: int, found: str | None) -> None:
    assert parse_hash(Reply(213, (text,)), digits) == found


def cells(*names: str) -> list[tuple[str, int]]:
    return [(name, width_of(name)) for name in names]


@pytest.mark.parametrize(
    ("names", "width", "text"),
    [
        ([], 10, ""),
        (["a", "b", "c"], 80, "a  b  c\n"),
        (["a", "b", "c"], 4, "a  c\nb\n"),
        (["long", "b", "c", "d"], 9, "long  c\nb     d\n"),
        (["wider than that"], 4, "wider than that\n"),
        (["日本", "b", "c"], 7, "日本  c\nb\n"),
    ],
)
def test_columns(names: list[str], width: int, text: str) -> None:
    assert in_columns(cells(*names), width) == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain", "'plain'"),
        ("it's", "'it'\\''s'"),
        ("\x1b[31m", "'\\033[31m'"),
        ("a\nb", "'a\\012b'"),
        ("\udcff", "'\\377'"),
    ],
)
def test_a_name_in_a_message(name: str, shown: str) -> None:
    assert quoted(name) == shown
