"""`ftpfs umount MOUNTPOINT`."""

from __future__ import annotations

import os
import subprocess
import time

import click

from ftpfs.cli import background
from ftpfs.content.journal import EntryState, Record, read_records
from ftpfs.content.store import directories
from ftpfs.errors import HostError, JournalError, MountError, UsageError
from ftpfs.fuse import mount as fuse_mount

WAIT_S = 3600.0
"""Backstop: the mount's process ends by itself, `unmount_wait` seconds after the unmount."""

STEP_S = 1.0
"""How often the number of unsent files is shown while waiting."""


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
    place = background.spool_of(path)
    done = subprocess.run([helper, "-u", path], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise MountError(_reason(path, done.stderr))
    _wait(path, place)


def _wait(path: str, place: str | None) -> None:
    """Wait for the mount's process to have sent what is unsent, and say how much that is."""
    said, deadline = 0, time.monotonic() + WAIT_S
    while not background.wait_for_end(path, STEP_S) and time.monotonic() < deadline:
        count = _unsent(place) if place is not None else 0
        if count not in (0, said):
            click.echo(f"ftpfs: {path}: waiting until {count} files are sent", err=True)
            said = count
    left = _unsent(place) if place is not None else 0
    if left:
        click.echo(
            f"ftpfs: {path}: {left} files are not sent; the next mount, or `ftpfs recover`,"
            " sends them",
            err=True,
        )


def _unsent(place: str) -> int:
    """How many acknowledged files wait in the journals of a place."""
    records = [record for d in directories(place) for record in _records(d)]
    return sum(r.state in (EntryState.PENDING, EntryState.SENDING) for r in records)


def _records(directory: str) -> list[Record]:
    try:
        return read_records(directory)
    except JournalError:
        return []  # the process that used it has just taken it away


def _reason(path: str, said: str) -> str:
    if "busy" in said.lower():
        return f"{path}: busy: some program still works there (`fuser -m {path}` names it)"
    return f"{path}: cannot unmount: {' '.join(said.split()) or 'fusermount3 did not say why'}"
