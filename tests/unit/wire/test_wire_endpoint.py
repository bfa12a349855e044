from __future__ import annotations

import pytest

from ftpfs.errors import ProtocolError
from ftpfs.wire.endpoint import parse_endpoint
from ftpfs.wire.reply import Reply

GOOD = {
    "vsftpd PASV": (227, "Entering Passive Mode (127,0,0,1,156,64).", "127.0.0.1", 40000),
    "no brackets (ftpd on a console)": (
        227,
        "Entering Passive Mode 10,0,0,7,4,1",
        "10.0.0.7",
        1025,
    ),
    "blanks": (227, "Passive (192, 0, 2, 1, 0, 21)", "192.0.2.1", 21),
    "an equals sign": (227, "Entering Passive Mode (=127,0,0,1,4,18)", "127.0.0.1", 1042),
    "zero host": (227, "ok (0,0,0,0,4,0)", "0.0.0.0", 1024),
    "vsftpd EPSV": (229, "Entering Extended Passive Mode (|||6446|)", None, 6446),
    "another delimiter": (229, "Extended (!!!50000!)", None, 50000),
    "EPSV, no brackets": (229, "Extended |||50000|", None, 50000),
    "EPSV form under 227": (227, "Extended (|||50000|)", None, 50000),
    "PASV form under 229": (229, "Passive (127,0,0,1,4,1)", "127.0.0.1", 1025),
}


@pytest.mark.parametrize(("code", "text", "host", "port"), GOOD.values(), ids=GOOD)
def test_reads(code: int, text: str, host: str | None, port: int) -> None:
    assert parse_endpoint(Reply(code, (text,))) == (host, port)


BAD = {
    "nothing": (227, "Entering Passive Mode"),
    "port 0": (227, "(127,0,0,1,0,0)"),
    "five numbers": (227, "(127,0,0,1,4)"),
    "over 255": (227, "(127,0,0,1,256,1)"),
    "host over 255": (227, "(300,0,0,1,4,1)"),
    "long number": (227, "(1127,0,0,1,4,1)"),
    "EPSV port 0": (229, "(|||0|)"),
    "EPSV port too large": (229, "(|||65536|)"),
    "EPSV mixed delimiters": (229, "(|!|50000|)"),
    "digits of another script": (229, "(|||٦٤٤٦|)"),
    "refused": (522, "Use (1,2), not (|||50000|)"),
}


@pytest.mark.parametrize(("code", "text"), BAD.values(), ids=BAD)
def test_refuses(code: int, text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_endpoint(Reply(code, (text,)))
