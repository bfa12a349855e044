from __future__ import annotations

import pytest

from ftpfs.wire.features import NO_FEATURES, parse_features
from ftpfs.wire.reply import Reply, ReplyParser

ANSWERS = {
    "vsftpd": (
        b"211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n"
        b" TVFS\r\n211 End\r\n",
        {"EPRT", "EPSV", "MDTM", "PASV", "REST", "SIZE", "TVFS"},
    ),
    "no blank, lower case": (
        b"211-ext\r\nsize\r\nMdtm\r\n211 end\r\n",
        {"SIZE", "MDTM"},
    ),
    "code on each line": (b"211-ext\r\n211-SIZE\r\n211- MDTM\r\n211 end\r\n", {"SIZE", "MDTM"}),
    "none": (b"211 No features\r\n", set()),
    "empty lines": (b"211-x\r\n\r\n UTF8\r\n211 End\r\n", {"UTF8"}),
    "MLST stands for MLSD": (b"211-x\r\n MLST size*;\r\n211 End\r\n", {"MLST", "MLSD"}),
    "MLSD alone": (b"211-x\r\n MLSD\r\n211 End\r\n", {"MLSD"}),
    "unknown command": (b"500 FEAT not understood\r\n", set()),
    "two lines of refusal": (b"502-x\r\n SIZE\r\n502 y\r\n", set()),
}


@pytest.mark.parametrize(("raw", "names"), ANSWERS.values(), ids=ANSWERS)
def test_names(raw: bytes, names: set[str]) -> None:
    parser = ReplyParser()
    parser.feed(raw)
    reply = parser.next_reply()
    assert reply is not None
    assert parse_features(reply).names == names


def test_facts_of_proftpd() -> None:
    line = " MLST modify*;perm*;Size*;type*;unique;UNIX.mode*;"
    features = parse_features(Reply(211, ("Features:", line, "End")))
    assert features.mlst_facts == ("modify", "perm", "size", "type", "unique", "unix.mode")
    assert features.enabled_facts == ("modify", "perm", "size", "type", "unix.mode")


def test_facts_with_blanks_between() -> None:
    features = parse_features(Reply(211, ("x", " MLST size*; modify;", "End")))
    assert features.mlst_facts == ("size", "modify")
    assert features.enabled_facts == ("size",)


def test_names_in_any_case() -> None:
    features = parse_features(Reply(211, ("x", " Rest STREAM", " size", "End")))
    assert features.names == {"REST", "SIZE"}
    assert not NO_FEATURES.names
