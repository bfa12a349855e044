"""`ftpfs mkdir URL...` and `ftpfs rmdir URL...`."""

from __future__ import annotations

import click

from ftpfs.cli.conduct import Screen
from ftpfs.cli.operands import all_spots
from ftpfs.cli.urlcommand import OperandType, UrlCommand, UrlWork, options_option
from ftpfs.errors import UsageError
from ftpfs.tree.directories import make, remove_empty
from ftpfs.tree.stage import Stage


@click.command(cls=UrlCommand)
@click.argument("urls", nargs=-1, type=OperandType(), metavar="URL...")
@click.option("-p", "--parents", is_flag=True, help="Those above too; what is there is no failure.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is made.")
@options_option
def mkdir(urls: tuple[str, ...], parents: bool, verbose: bool, options: tuple[str, ...]) -> int:
    """Make directories on servers."""
    if not urls:
        raise UsageError("missing operand")
    with UrlWork(options) as work:
        operands = work.urls(urls)

        def body(stage: Stage) -> None:
            action = "cannot create directory"
            spots = all_spots(work.places, operands, stage, action, patterns=False)
            make(list(spots), stage, parents=parents)

        return work.run(body, Screen(verbose=verbose))


@click.command(cls=UrlCommand)
@click.argument("urls", nargs=-1, type=OperandType(), metavar="URL...")
@click.option("-p", "--parents", is_flag=True, help="Then those above, as the URL names them.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is removed.")
@options_option
def rmdir(urls: tuple[str, ...], parents: bool, verbose: bool, options: tuple[str, ...]) -> int:
    """Remove empty directories on servers. Patterns in a quoted URL are expanded."""
    if not urls:
        raise UsageError("missing operand")
    with UrlWork(options) as work:
        operands = work.urls(urls)

        def body(stage: Stage) -> None:
            spots = all_spots(work.places, operands, stage, "failed to remove")
            remove_empty(list(spots), stage, parents=parents)

        return work.run(body, Screen(verbose=verbose))
