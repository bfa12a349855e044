"""`ftpfs umount MOUNTPOINT`."""

from __future__ import annotations

import os
import subprocess

import click

from ftpfs.cli import background
from ftpfs.errors import HostError, MountError, UsageError
from ftpfs.fuse import mount as fuse_mount

WAIT_S = 60.0
"""How long to wait for the mount's process to finish sending, after which it is only told."""


@click.command()
@click.argument("mountpoint", type=click.Path())
def umount(mountpoint: str) -> None:
    """Unmount MOUNTPOINT, and wait until everything is on the server."""
    unmount(os.path.realpath(mountpoint))


def unmount(path: str) -> None:
    """Unmount and wait. Raises UsageError where nothing of ours is mounted, MountError if busy."""
    there = fuse_mount.find_mount(path)
    if there is None or there.type != f"fuse.{fuse_mount.SUBTYPE}":
        raise UsageError(f"{path}: no ftpfs is mounted there")
    helper = fuse_mount.unmount_command()
    if helper is None:
        raise HostError("fusermount3 is not installed: install the package fuse3")
    done = subprocess.run([helper, "-u", path], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise MountError(_reason(path, done.stderr))
    if not background.wait_for_end(path, WAIT_S):
        click.echo(f"ftpfs: {path}: unmounted; unsent data is still being sent", err=True)


def _reason(path: str, said: str) -> str:
    if "busy" in said.lower():
        return f"{path}: busy: some program still works there (`fuser -m {path}` names it)"
    return f"{path}: cannot unmount: {' '.join(said.split()) or 'fusermount3 did not say why'}"
