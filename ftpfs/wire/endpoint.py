"""The address of a data connection: out of the reply to PASV or EPSV, into PORT or EPRT."""

from __future__ import annotations

import re

from ftpfs.errors import ProtocolError
from ftpfs.wire.reply import Reply

_EXTENDED = re.compile(r"([!-/:-~])\1\1([0-9]{1,5})\1")
_SIX_NUMBERS = re.compile(r"(?<![0-9])" + r" ?, ?".join([r"([0-9]{1,3})"] * 6) + r"(?![0-9])")


def parse_endpoint(reply: Reply) -> tuple[str | None, int]:
    """Host and port to connect to; host None in the EPSV form: the control connection's.

    The shape decides, not the code: some boxes answer EPSV with 227 or PASV with 229, and
    consoles leave the brackets out. Raises ProtocolError without a port in 1..65535.
    RFC 959 4.1.2, RFC 1123 4.1.2.6, RFC 2428 3.
    """
    host: str | None = None
    port = 0
    if not reply.ok:
        pass
    elif extended := _EXTENDED.search(reply.text):
        port = int(extended[2])
    elif six := _SIX_NUMBERS.search(reply.text):
        host, port = _from_numbers([int(number) for number in six.groups()])
    if not 1 <= port <= 65535:
        raise ProtocolError(f"the server named no usable data port: {reply}")
    return host, port


def format_eprt(host: str, port: int) -> str:
    """The argument of EPRT: `|1|192.0.2.1|5000|`, without an IPv6 address's zone. RFC 2428 2."""
    family = 2 if ":" in host else 1
    return f"|{family}|{host.partition('%')[0]}|{port}|"


def format_port(host: str, port: int) -> str:
    """The argument of PORT: `192,0,2,1,19,136`; for IPv4 alone. RFC 959 5.3.2."""
    return ",".join([*host.split("."), str(port // 256), str(port % 256)])


def _from_numbers(numbers: list[int]) -> tuple[str | None, int]:
    if max(numbers) > 255:
        return None, 0
    return ".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5]
