"""`ftpfs cat URL...`."""

from __future__ import annotations

import click

from ftpfs.cli.cp import to_stdout
from ftpfs.cli.urlcommand import OperandType, UrlCommand, UrlWork, options_option
from ftpfs.errors import UsageError


@click.command(cls=UrlCommand)
@click.argument("urls", nargs=-1, type=OperandType(), metavar="URL...")
@options_option
def cat(urls: tuple[str, ...], options: tuple[str, ...]) -> int:
    """Write the content of files on servers to standard output."""
    if not urls:
        raise UsageError("missing operand")
    with UrlWork(options) as work:
        operands = work.urls(urls)
        return work.run(lambda stage: to_stdout(work, operands, stage, ""))
