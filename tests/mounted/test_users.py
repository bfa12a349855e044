"""Mounts of an unprivileged user, through the setuid fusermount3, and who may enter whose."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator

import pytest
from mounts import (
    User,
    environment,
    ftpfs,
    hiding,
    home_directory,
    is_mounted,
    mount_line,
    mounted,
)
from servers import Server

pytestmark = pytest.mark.mounted


def as_user(user: User, command: str, *, cwd: str = "/") -> subprocess.CompletedProcess[str]:
    """Run a line of shell as this user."""
    return subprocess.run(
        [*user.prefix, "/bin/sh", "-c", command],
        cwd=cwd,
        env={**environment("/"), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


def succeeds(user: User, command: str) -> str:
    done = as_user(user, command)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def files(vsftpd: Server) -> Iterator[str]:
    """A folder of the server with a file in it; its URL path."""
    folder = tempfile.mkdtemp(dir=vsftpd.root)
    os.mkdir(f"{folder}/folder")
    for name in ("file", "folder/inner"):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as out:
            out.write("content\n")
    yield os.path.basename(folder)
    shutil.rmtree(folder)


def test_a_user_mounts_works_and_unmounts(vsftpd: Server, files: str, nobody: User) -> None:
    with mounted(vsftpd.url + files, *vsftpd.options, user=nobody) as mount:
        assert f"user_id={nobody.uid}" in mount_line(mount.path)
        assert "fuse.ftpfs" in mount_line(mount.path)
        assert os.stat(f"/proc/{mount.pid}").st_uid == nobody.uid
        assert succeeds(nobody, f"ls {mount.path}") == "file\nfolder\n"
        assert succeeds(nobody, f"stat -c '%u %g' {mount.path}/file") == "65534 65534\n"
        work = "cp file copy && echo more >> copy && mv copy folder && mkdir new && rm file"
        succeeds(nobody, f"cd {mount.path} && {work}")
        assert succeeds(nobody, f"cat {mount.path}/folder/copy") == "content\nmore\n"
    root = f"{vsftpd.root}/{files}"
    assert sorted(os.listdir(root)) == ["folder", "new"]
    with open(f"{root}/folder/copy", encoding="utf-8") as file:
        assert file.read() == "content\nmore\n"


def test_nobody_else_may_enter_not_even_root(vsftpd: Server, files: str, nobody: User) -> None:
    with mounted(vsftpd.url + files, *vsftpd.options, user=nobody) as mount:
        for call in (os.listdir, os.stat):
            with pytest.raises(PermissionError):
                call(mount.path)
        assert succeeds(nobody, f"ls {mount.path}/folder") == "inner\n"


def test_a_user_may_not_enter_the_mount_of_root(vsftpd: Server, files: str, nobody: User) -> None:
    with mounted(vsftpd.url + files, *vsftpd.options) as mount:
        assert sorted(os.listdir(mount.path)) == ["file", "folder"]
        done = as_user(nobody, f"ls {mount.path}")
        assert done.returncode != 0
        assert "Permission denied" in done.stderr


def test_allow_other(vsftpd: Server, files: str, nobody: User) -> None:
    with mounted(vsftpd.url + files, *vsftpd.options, "allow_other") as mount:
        assert succeeds(nobody, f"cat {mount.path}/file {mount.path}/folder/inner") == (
            "content\ncontent\n"
        )
        assert succeeds(nobody, f"cd {mount.path}/folder && ls") == "inner\n"


def test_allow_other_with_permissions_checked(vsftpd: Server, files: str, nobody: User) -> None:
    os.chmod(f"{vsftpd.root}/{files}/file", 0o600)
    with mounted(vsftpd.url + files, *vsftpd.options, "allow_other,default_permissions") as mount:
        assert succeeds(nobody, f"cat {mount.path}/folder/inner") == "content\n"
        for command in (f"cat {mount.path}/file", f"touch {mount.path}/new"):
            assert "Permission denied" in as_user(nobody, command).stderr


def test_allow_other_is_for_root_to_allow(vsftpd: Server, files: str, nobody: User) -> None:
    with home_directory(nobody) as (home, path):
        done = ftpfs(
            *("mount", vsftpd.url + files, path, *vsftpd.words, "-o", "allow_other"),
            home=home,
            prefix=(*hiding("mount --bind /dev/null /etc/fuse.conf"), *nobody.prefix),
            python=nobody.python,
        )
        assert done.returncode == 32
        assert done.stderr.startswith("ftpfs: allow_other is not allowed: root has to put")
        assert done.stderr.count("\n") == 1
        assert not is_mounted(path)


def test_owner_and_mask(vsftpd: Server, files: str) -> None:
    os.chmod(f"{vsftpd.root}/{files}/folder/inner", 0o755)
    with mounted(vsftpd.url + files, *vsftpd.options, "uid=1234,gid=2345", "umask=027") as mount:
        shown = {}
        for name in ("", "file", "folder", "folder/inner"):
            status = os.stat(f"{mount.path}/{name}")
            assert (status.st_uid, status.st_gid) == (1234, 2345)
            shown[name] = stat.S_IMODE(status.st_mode)
        assert shown == {"": 0o750, "file": 0o640, "folder": 0o750, "folder/inner": 0o750}
        os.chown(f"{mount.path}/file", 1234, 2345)
        with pytest.raises(PermissionError):
            os.chown(f"{mount.path}/file", 0, 0)


def test_modes_of_the_server_are_shown(vsftpd: Server, files: str) -> None:
    os.chmod(f"{vsftpd.root}/{files}/file", 0o640)
    with mounted(vsftpd.url + files, *vsftpd.options) as mount:
        status = os.stat(f"{mount.path}/file")
        assert stat.S_IMODE(status.st_mode) == 0o640
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())


def test_read_only(vsftpd: Server, files: str) -> None:
    with mounted(vsftpd.url + files, *vsftpd.options, "ro") as mount:
        assert "ro" in mount_line(mount.path).split(" ")[3].split(",")
        with open(f"{mount.path}/file", encoding="utf-8") as file:
            assert file.read() == "content\n"
        at = mount.path
        for call in (
            lambda: os.open(f"{at}/file", os.O_WRONLY),
            lambda: os.open(f"{at}/new", os.O_WRONLY | os.O_CREAT),
            lambda: os.unlink(f"{at}/file"),
            lambda: os.mkdir(f"{at}/new"),
            lambda: os.rmdir(f"{at}/folder"),
            lambda: os.rename(f"{at}/file", f"{at}/other"),
            lambda: os.chmod(f"{at}/file", 0o600),
            lambda: os.utime(f"{at}/file"),
            lambda: os.truncate(f"{at}/file", 0),
        ):
            with pytest.raises(OSError, match="Read-only") as caught:
                call()
            assert caught.value.errno == errno.EROFS
    assert sorted(os.listdir(f"{vsftpd.root}/{files}")) == ["file", "folder"]


def test_root_unmounts_what_a_user_mounted(vsftpd: Server, files: str, nobody: User) -> None:
    with home_directory(nobody) as (home, path):
        done = ftpfs(
            *("mount", vsftpd.url + files, path, *vsftpd.words),
            home=home,
            prefix=nobody.prefix,
            python=nobody.python,
        )
        assert (done.returncode, done.stderr) == (0, "")
        done = ftpfs("umount", path, home=home)
        assert (done.returncode, done.stderr) == (0, "")
        assert not is_mounted(path)


def test_a_user_may_not_unmount_what_root_mounted(vsftpd: Server, files: str, nobody: User) -> None:
    with mounted(vsftpd.url + files, *vsftpd.options) as mount, home_directory(nobody) as (home, _):
        done = ftpfs("umount", mount.path, home=home, prefix=nobody.prefix, python=nobody.python)
        assert done.returncode == 32
        assert done.stderr.startswith(f"ftpfs: {mount.path}: cannot unmount: ")
        assert done.stderr.count("\n") == 1
        assert os.path.exists(f"{mount.path}/file")
