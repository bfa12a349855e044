"""`ftpfs rm URL...`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from ftpfs.cli.conduct import Screen
from ftpfs.cli.operands import all_spots
from ftpfs.cli.urlcommand import OperandType, UrlCommand, UrlWork, options_option
from ftpfs.errors import UsageError
from ftpfs.tree.events import Failed, quoted
from ftpfs.tree.place import Spot
from ftpfs.tree.removing import remove
from ftpfs.tree.stage import Stage


@click.command(cls=UrlCommand)
@click.argument("urls", nargs=-1, type=OperandType(), metavar="URL...")
@click.option("-r", "-R", "--recursive", is_flag=True, help="Remove directories with all in them.")
@click.option("-f", "--force", is_flag=True, help="What is not there is no failure.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is removed.")
@options_option
def rm(
    urls: tuple[str, ...], recursive: bool, force: bool, verbose: bool, options: tuple[str, ...]
) -> int:
    """Remove files on servers. Patterns in a quoted URL are expanded."""
    if not urls and not force:
        raise UsageError("missing operand")
    with UrlWork(options) as work:
        operands = work.urls(urls)

        def body(stage: Stage) -> None:
            spots = all_spots(work.places, operands, stage, "cannot remove")
            chosen = list(_removable(spots, stage) if recursive else spots)
            remove(chosen, stage, recursive=recursive, force=force)

        return work.run(body, Screen(verbose=verbose))


def _removable(spots: Iterable[Spot], stage: Stage) -> Iterator[Spot]:
    """Without what a slip of the finger names: the root, and a login directory."""
    for spot in spots:
        if spot.path.rstrip("/") == "":
            stage.emit(Failed(f"it is dangerous to operate recursively on {quoted(spot.shown)}"))
        elif spot.name in (".", "..") or spot.at_top:
            text = "refusing to remove '.' or '..' directory: skipping"
            stage.emit(Failed(f"{text} {quoted(spot.shown)}"))
        else:
            yield spot
