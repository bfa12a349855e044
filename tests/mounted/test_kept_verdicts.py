"""What one mount has learnt of a server, the next one knows; and what an option says counts."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounted.places import vsftpd_with
from mounts import assert_ended, ftpfs, home_directory, mount_at, watched
from servers import Server, commands, pyftpdlib_server
from waiting import eventually

pytestmark = pytest.mark.mounted

Home = tuple[str, str]


@pytest.fixture
def home() -> Iterator[Home]:
    with home_directory() as made:
        yield made


@pytest.fixture
def vsftpd(spoken: str, tmp_path: Path) -> Iterator[Server]:
    with vsftpd_with(spoken, str(tmp_path)) as server:
        yield server


def touch_through_a_mount(server: Server, home: Home, name: str, *options: str) -> list[str]:
    """The commands of a mount that does nothing but set a file's time."""
    with watched(server) as seen:
        mount = mount_at(*home, server.url, *server.options, *options)
        os.utime(f"{mount.path}/{name}", (1e9, 1e9))
        done = ftpfs("umount", mount.path, home=home[0])
        assert (done.returncode, done.stderr) == (0, "")
        assert_ended(mount.pid)
    assert os.stat(f"{server.root}/{name}").st_mtime == 1e9
    return seen.verbs()


def test_the_second_mount_knows(vsftpd: Server, home: Home) -> None:
    """vsftpd has no MFMT: that is asked once, not once a mount."""
    for name in "ab":
        with open(f"{vsftpd.root}/{name}", "w"):
            pass
    assert "MFMT" in touch_through_a_mount(vsftpd, home, "a")
    assert "MFMT" not in touch_through_a_mount(vsftpd, home, "b")


def test_a_damaged_file_is_no_harm(vsftpd: Server, home: Home) -> None:
    with open(f"{vsftpd.root}/a", "w"):
        pass
    touch_through_a_mount(vsftpd, home, "a")
    [kept] = glob.glob(home[0] + "/.cache/ftpfs/servers/*")
    with open(kept, "r+b") as file:
        file.write(b"\0\xff{")
    assert "MFMT" in touch_through_a_mount(vsftpd, home, "a")
    assert "MFMT" not in touch_through_a_mount(vsftpd, home, "a")


def test_what_is_left_out_is_not_used(tmp_path: Path, home: Home) -> None:
    with pyftpdlib_server(str(tmp_path)) as server:
        (tmp_path / "a").write_text("content")
        mount = mount_at(*home, server.url, "without=mlsd+epsv+grouping+replace+appe+mfmt+chmod")
        with open(f"{mount.path}/a", "r+") as file:
            file.write("C")
        os.chmod(f"{mount.path}/a", 0o600)
        os.utime(f"{mount.path}/a", (1e9, 1e9))
        with open(f"{mount.path}/a", "a") as file:
            file.write("!")
        assert os.listdir(mount.path) == ["a"]
        assert ftpfs("umount", mount.path, home=home[0]).returncode == 0
        eventually(lambda: "QUIT" in commands(server), "the mount has logged out")
        assert_ended(mount.pid)
        assert (tmp_path / "a").read_text() == "Content!"
        assert "SITE CHMOD" not in {command[:10] for command in commands(server)}
        verbs = {command.split(" ")[0] for command in commands(server)}
    assert not {"MLSD", "MLST", "EPSV", "RNTO", "APPE", "MFMT"} & verbs
    assert {"LIST", "PASV", "STOR"} <= verbs
