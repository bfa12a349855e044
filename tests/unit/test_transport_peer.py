from __future__ import annotations

import socket

import pytest

from ftpfs.errors import NetworkError
from ftpfs.session.transport import TcpTransport


def test_a_peer_that_is_gone_is_an_error_of_the_network() -> None:
    with socket.socket() as unconnected:
        transport = TcpTransport(unconnected, 1.0)
        with pytest.raises(NetworkError):
            _ = transport.peer_host
