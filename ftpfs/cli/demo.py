"""`ftpfs demo [DIR]`: an FTP server with sample files, mounted, and a tour of it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from typing import NoReturn

import click

from ftpfs.cli import background
from ftpfs.cli.mount import mount_in_background
from ftpfs.cli.umount import unmount
from ftpfs.demo import server
from ftpfs.errors import MountError
from ftpfs.fuse import binding as fuse_binding
from ftpfs.fuse import mount as fuse_mount
from ftpfs.options import MountOptions
from ftpfs.url import parse_url

_START_S = 30.0
"""A demo server that has not been mounted by then ends: nobody is coming."""

_TOUR = (
    "ls -l {mnt}",
    "cat {mnt}/readme.txt",
    "cp {mnt}/readme.txt {local}/copy.txt",
    "sh -c 'echo written through the mount >> {local}/copy.txt'",
    "cp {local}/copy.txt {mnt}/back.txt",
    "tail -n 1 {mnt}/back.txt",
    "mkdir {mnt}/new",
    "mv {mnt}/back.txt {mnt}/new/moved.txt",
    "ls -lR {mnt}/new",
    "rm {mnt}/new/moved.txt",
    "rmdir {mnt}/new",
    "ls {mnt}",
)


@click.command()
@click.argument("directory", type=click.Path(), required=False)
@click.option("--keep", is_flag=True, help="Leave it mounted at the end.")
def demo(directory: str | None, keep: bool) -> None:
    """Start a small FTP server with sample files, mount it at DIR, and work in it.

    Without DIR a temporary directory is used.
    """
    binding = fuse_binding.load()
    fuse_mount.check_host(binding)
    work = tempfile.mkdtemp(prefix="ftpfs-demo-")
    path = _mount_directory(directory, work)
    try:
        _start(binding, work, path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    try:
        _tour(path, os.path.join(work, "local"))
    finally:
        if not keep:
            unmount(path)
            _say(f"unmounted {path}")
    if keep:
        _say(f"mounted at {path}; end it with: ftpfs umount {shlex.quote(path)}")


def _mount_directory(directory: str | None, work: str) -> str:
    wanted = directory or os.path.join(work, "mnt")
    os.makedirs(wanted, exist_ok=True)
    return fuse_mount.check_mountpoint(wanted)


def _start(binding: fuse_binding.Binding, work: str, path: str) -> None:
    """The server in the background, with the files it serves, and the mount of it."""
    files = os.path.join(work, "server")
    os.makedirs(files)
    os.makedirs(os.path.join(work, "local"))
    server.check_available()
    server.sample_files(files)
    port = _start_server(files, work, path)
    url = f"ftp://demo:demo@127.0.0.1:{port}/"
    click.echo(f"# an FTP server on port {port} of this machine, mounted with:")
    click.echo(f"$ ftpfs mount {url} {shlex.quote(path)}")
    mount_in_background(binding, parse_url(url), path, MountOptions())


def _start_server(files: str, work: str, path: str) -> int:
    """The port of a server in a process of its own, which ends when `path` is unmounted."""
    receive, send = os.pipe()
    if os.fork() == 0:
        os.close(receive)
        _serve(files, work, path, send)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        said = pipe.read()
    if not said.isdigit():
        reason = said.decode("utf-8", "replace") or "it ended without a word"
        raise MountError(f"the demo server did not start: {reason}")
    return int(said)


def _serve(files: str, work: str, path: str, send: int) -> NoReturn:
    """The server's process: tell the port, serve, take the files away."""

    def ready(port: int) -> None:
        os.write(send, str(port).encode())
        os.close(send)

    try:
        background.detach()
        server.serve(files, ready=ready, stop=_Unmounted(path))
    except Exception as error:
        os.write(send, str(error).encode("utf-8", "replace"))
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os._exit(0)


class _Unmounted:
    """True once the mount was there and is gone, or did not come in time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen = False
        self._deadline = time.monotonic() + _START_S

    def __call__(self) -> bool:
        if fuse_mount.find_mount(self._path) is not None:
            self._seen = True
            return False
        return self._seen or time.monotonic() > self._deadline


def _tour(path: str, local: str) -> None:
    """Run the commands one after the other, each shown with its result."""
    for template in _TOUR:
        command = template.format(mnt=shlex.quote(path), local=shlex.quote(local))
        _say(command, "$")
        done = subprocess.run(shlex.split(command), check=False)
        if done.returncode != 0:
            raise MountError(f"{command}: failed with exit code {done.returncode}")


def _say(text: str, mark: str = "#") -> None:
    click.echo(f"{mark} {text}")
