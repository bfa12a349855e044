"""`ftpfs ls URL...`."""

from __future__ import annotations

import locale
from contextlib import suppress
from functools import partial

import click

from ftpfs.cli.listed import Layout, Named, Printer, collation
from ftpfs.cli.operands import all_spots
from ftpfs.cli.urlcommand import OperandType, UrlCommand, UrlWork, options_option
from ftpfs.errors import FtpfsError, NotDirectoryError, UsageError
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.ahead import Ahead
from ftpfs.tree.copy import hands_of
from ftpfs.tree.events import Failed, quoted
from ftpfs.tree.place import Spot, below
from ftpfs.tree.stage import Stage
from ftpfs.tree.walk import LEADS_BACK, Above, leads_back, missing_of
from ftpfs.wire.timeval import UNKNOWN_S


@click.command(cls=UrlCommand, context_settings={"help_option_names": ["--help"]})
@click.argument("urls", nargs=-1, type=OperandType(), metavar="URL...")
@click.option("-l", "long", is_flag=True, help="Mode, size and time too.")
@click.option("-a", "--all", "every", is_flag=True, help="Names that begin with a dot too.")
@click.option("-R", "--recursive", is_flag=True, help="The directories below too.")
@click.option("-h", "--human-readable", "human", is_flag=True, help="Sizes as 1.2K, 3.4M.")
@click.option("-d", "--directory", "itself", is_flag=True, help="Directories as names.")
@click.option("-1", "single", is_flag=True, help="One name a line.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one object a name.")
@options_option
def ls(
    urls: tuple[str, ...],
    long: bool,
    every: bool,
    recursive: bool,
    human: bool,
    itself: bool,
    single: bool,
    as_json: bool,
    options: tuple[str, ...],
) -> int:
    """List directories and files on servers. Patterns in a quoted URL are expanded."""
    if not urls:
        raise UsageError("missing operand: which URL is to be listed?")
    with suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "")
    layout = Layout(long=long, every=every, human=human, single=single, json=as_json)
    with UrlWork(options) as work:
        operands = work.urls(urls)

        def body(stage: Stage) -> None:
            spots = all_spots(work.places, operands, stage, "cannot access")
            with Printer(layout) as printer:
                lister = Lister(printer, stage, recursive=recursive, itself=itself, long=long)
                lister.show(list(spots), headings=recursive or len(operands) > 1)

        return work.run(body)


_UNKNOWN = Entry(".", Kind.DIRECTORY, precision_s=UNKNOWN_S)
"""`.` and `..`: servers list them seldom, and nobody asks what they look like."""


class Lister:
    """Lists operands: first the files among them, then the directories."""

    def __init__(
        self, printer: Printer, stage: Stage, *, recursive: bool, itself: bool, long: bool
    ) -> None:
        self._printer = printer
        self._stage = stage
        self._recursive = recursive
        self._itself = itself
        self._long = long

    def show(self, spots: list[Spot], *, headings: bool) -> None:
        files: list[Named] = []
        directories: list[tuple[Spot, dict[str, Entry]]] = []
        for spot in spots:
            self._stage.check()
            try:
                entries = None if self._itself else self._entries(spot)
                if entries is None:
                    files.append(Named(spot.shown, self._entry(spot), partial(str, spot.shown)))
                else:
                    directories.append((spot, entries))
            except FtpfsError as error:
                self._stage.emit(Failed(f"cannot access {quoted(spot.shown)}", error))
        if files:
            self._printer.group(files, None, total=False)
        directories.sort(key=lambda named: collation(named[0].shown))
        for spot, entries in directories:
            several = headings or len(spots) > 1
            with Ahead(spot.place, hands_of(spot.place)) as ahead:
                self._tree(spot, entries, ahead, headings=several)

    def _entries(self, spot: Spot) -> dict[str, Entry] | None:
        """What is in the directory; None where there is a file, or a link that is shown as one."""
        if spot.as_directory:
            return spot.place.list(spot.path)
        known = spot.entry
        if known is not None and known.kind is Kind.SYMLINK and self._long:
            return None
        if known is not None and known.kind in (Kind.FILE, Kind.OTHER):
            return None
        try:
            return spot.place.list(spot.path)
        except NotDirectoryError:
            return None

    def _entry(self, spot: Spot) -> Entry:
        if spot.as_directory:
            return spot.stat()
        return spot.entry or spot.place.describe(spot.path)

    def _tree(self, spot: Spot, entries: dict[str, Entry], ahead: Ahead, *, headings: bool) -> None:
        """A directory, and with `recursive` those below it, depth first."""
        inner = self._directory(spot, spot.path, entries, ahead, headings=headings)
        waiting: list[tuple[str, Above]] = [(each, (entries, ())) for each in inner]
        while waiting:
            self._stage.check()
            path, above = waiting.pop()
            try:
                listing = ahead.list(path)
            except FtpfsError as error:
                text = f"cannot open directory {quoted(spot.place.shown(path))}"
                self._stage.emit(Failed(text, error))
                continue
            if spot.place.hides_links and leads_back(spot.place, path, listing, above):
                shown = quoted(spot.place.shown(path))
                self._stage.emit(Failed(f"cannot open directory {shown}: {LEADS_BACK}"))
                continue
            inner = self._directory(spot, path, listing, ahead, headings=True)
            waiting += [(each, (listing, above)) for each in inner]

    def _directory(
        self,
        spot: Spot,
        path: str,
        entries: dict[str, Entry],
        ahead: Ahead,
        *,
        headings: bool,
    ) -> list[str]:
        """Show one; the directories in it that are to be shown too, the last one first."""
        place, printer = spot.place, self._printer
        shown = {name: e for name, e in entries.items() if not printer.hidden(name)}
        inner = [below(path, name) for name in sorted(shown) if shown[name].kind is Kind.DIRECTORY]
        if self._recursive:
            ahead.expect(inner)
        if missing := missing_of(entries):
            text = f"cannot list all of {quoted(place.shown(path))}: {missing}"
            self._stage.emit(Failed(text))
        heading = spot.shown if path == spot.path else place.shown(path)
        names = [
            Named(name, entry, partial(place.shown, below(path, name)))
            for name, entry in shown.items()
        ]
        names += [Named(name, _UNKNOWN, partial(str, name)) for name in printer.dots]
        printer.group(names, heading if headings else None, total=True)
        return inner[::-1] if self._recursive else []
