"""`ftpfs pending [MOUNTPOINT|URL]` and `ftpfs recover URL`: what is not on the server yet."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table

from ftpfs.cli import password
from ftpfs.cli.connect import Connected, spool_root
from ftpfs.content.journal import EntryState, Record, read_records
from ftpfs.content.space import Space
from ftpfs.content.store import Store, abandoned, directories, place_of
from ftpfs.errors import JournalError, TransferError, UsageError
from ftpfs.fuse import mount as fuse_mount
from ftpfs.options import MountOptions, parse_options
from ftpfs.url import parse_url

_UNLIMITED = Space(1 << 62)


@dataclass(frozen=True)
class Item:
    """A record, and the spool directory that it lies in."""

    directory: str
    record: Record

    @property
    def name(self) -> str:
        """What the user calls it by: unique among all spool directories of a place."""
        return f"{os.path.basename(self.directory).rpartition('-')[2]}.{self.record.id}"


@click.command()
@click.argument("target", required=False, metavar="[MOUNTPOINT|URL]")
@click.option("-o", "options", multiple=True, metavar="OPT[,OPT...]", help="spool=DIR, if used.")
def pending(target: str | None, options: tuple[str, ...]) -> None:
    """List files that are not on the server yet: age, size, tries, last error."""
    chosen = parse_options(options)
    password.hide(chosen.proxy.password if chosen.proxy else None)
    items = [item for place in _places(target, chosen) for item in _items(place)]
    _show([item for item in items if item.record.state is not EntryState.OPEN])


@click.command()
@click.argument("url")
@click.option("--list", "only_list", is_flag=True, help="List the entries; change nothing.")
@click.option("--retry", is_flag=True, help="Send refused and interrupted entries too.")
@click.option("--export", nargs=2, metavar="ID FILE", help="Copy an entry to a local file.")
@click.option("--discard", metavar="ID", help="Delete an entry for good.")
@click.option("-o", "options", multiple=True, metavar="OPT[,OPT...]", help="Mount options.")
def recover(
    url: str,
    only_list: bool,
    retry: bool,
    export: tuple[str, str] | None,
    discard: str | None,
    options: tuple[str, ...],
) -> None:
    """Send what a mount of URL left behind; or list, export or discard it.

    Entries that were refused, or interrupted before the program closed the file, are only sent
    with --retry.
    """
    location = parse_url(url)
    password.hide(location.password)
    chosen = parse_options(options)
    password.hide(chosen.proxy.password if chosen.proxy else None)
    location = password.with_user(location.with_tls(chosen.tls))
    place = place_of(spool_root(chosen), str(location))
    if only_list:
        _show(_items(place))
    elif export is not None:
        _export(place, *export)
    elif discard is not None:
        _discard(place, discard)
    else:
        with Connected(password.complete(location), chosen) as connected:
            left = connected.recover(retry=retry)
        _show(_items(place))
        if left:
            raise TransferError(f"{left} files are still not on the server")


def _places(target: str | None, options: MountOptions) -> list[str]:
    root = spool_root(options)
    if target is None:
        return [os.path.join(root, name) for name in sorted(os.listdir(root))]
    if "://" in target:
        location = parse_url(target)
        password.hide(location.password)
        location = location.with_tls(options.tls)
        return [place_of(root, str(password.with_user(location)))]
    mounted = fuse_mount.find_mount(os.path.realpath(target))
    if mounted is None or mounted.type != f"fuse.{fuse_mount.SUBTYPE}":
        raise UsageError(f"{target}: no ftpfs is mounted there")
    return [place_of(root, mounted.source)]


def _items(place: str) -> list[Item]:
    return [Item(d, record) for d in directories(place) for record in read_records(d)]


def _show(items: list[Item]) -> None:
    if not items:
        click.echo("nothing is waiting to be sent")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "state", "age", "bytes", "tries", "path", "last error"):
        table.add_column(column, overflow="fold")
    for item in items:
        record = item.record
        age_s = max(0, time.time_ns() - record.created_ns) // 1_000_000_000
        error = record.error or "-"
        values = (item.name, record.state.value, f"{age_s} s", record.size, record.tries)
        table.add_row(*map(str, values), _printable(record.path), _printable(error))
    Console(width=None if os.isatty(1) else 200).print(table)


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _export(place: str, name: str, target: str) -> None:
    store, record = _find(place, name)
    try:
        spool = store.spool_of(record)
        spool.export(target)
        spool.close(keep=True)
    finally:
        store.close()
    if spool.missing():
        click.echo(f"ftpfs: {target}: bytes that were never here are zeros", err=True)


def _discard(place: str, name: str) -> None:
    store, record = _find(place, name)
    try:
        with suppress(JournalError):  # the spool file is gone already
            store.spool_of(record).close()
        store.journal.remove(record)
    finally:
        store.close()


def _find(place: str, name: str) -> tuple[Store, Record]:
    """An entry of a process that is gone, its store locked. Raises UsageError, JournalError."""
    found: tuple[Store, Record] | None = None
    for store in abandoned(place, _UNLIMITED):
        records = [r for r in store.journal.records() if Item(store.directory, r).name == name]
        if records and found is None:
            found = (store, records[0])
        else:
            store.close()
    if found is None:
        if any(item.name == name for item in _items(place)):
            raise JournalError(f"{name}: belongs to a mount that is running: unmount it first")
        raise UsageError(f"{name}: no such entry; `ftpfs recover --list URL` shows them")
    return found
