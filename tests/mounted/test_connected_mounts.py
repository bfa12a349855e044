"""Mounts over connections of other kinds: through a proxy, active, over IPv6."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from mounts import mounted
from proxies import proxy_server
from servers import Server, commands, vsftpd_server

pytestmark = pytest.mark.mounted

SECRET = "s3cr%2Ct"  # with a comma, which would end the option


def assert_works(place: str, server: Server) -> None:
    with open(f"{place}/file", "wb") as out:
        out.write(b"content")
    with open(f"{place}/file", "rb") as file:
        assert file.read() == b"content"
    assert os.listdir(place) == os.listdir(server.root) == ["file"]


def test_through_a_proxy(tmp_path: Path) -> None:
    """Whose password shows nowhere."""
    with (
        vsftpd_server(str(tmp_path)) as server,
        proxy_server("socks5", "joe", "s3cr,t") as proxy,
    ):
        option = f"proxy=socks5://joe:{SECRET}@127.0.0.1:{proxy.port}"
        with mounted(server.url, option) as mount:
            assert_works(mount.path, server)
            with open(f"/proc/{mount.pid}/cmdline", encoding="utf-8") as shown:
                places = [shown.read(), mount.log()]
            assert f"127.0.0.1:{proxy.port}" in places[0]
            assert not any("s3cr" in text for text in places)
        assert len(proxy.targets) > 1


def test_active(tmp_path: Path) -> None:
    with vsftpd_server(str(tmp_path)) as server:
        with mounted(server.url, "active") as mount:
            assert_works(mount.path, server)
        assert not any(command in ("EPSV", "PASV") for command in commands(server))


def test_over_ipv6(tmp_path: Path) -> None:
    with vsftpd_server(str(tmp_path), listen=False, listen_ipv6=True) as server:
        with mounted(server.url.replace("127.0.0.1", "[::1]")) as mount:
            assert_works(mount.path, server)
        assert "EPSV" in commands(server)


def test_the_address_that_the_server_names(tmp_path: Path) -> None:
    with vsftpd_server(str(tmp_path), pasv_address="127.0.0.2") as server:
        with (
            mounted(server.url, "pasv_address=server") as mount,
            pytest.raises(OSError, match=os.strerror(errno.EHOSTUNREACH)),
        ):
            os.listdir(mount.path)  # nobody listens there
        with mounted(server.url) as mount:
            assert_works(mount.path, server)
