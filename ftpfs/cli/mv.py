"""`ftpfs mv SOURCE... TARGET`."""

from __future__ import annotations

import click

from ftpfs.cli.cp import checked_operands, existing_of, target_spot
from ftpfs.cli.operands import all_spots
from ftpfs.cli.progress import screen_for
from ftpfs.cli.urlcommand import OperandType, UrlCommand, UrlWork, options_option
from ftpfs.tree.choices import Choices
from ftpfs.tree.moving import move
from ftpfs.tree.stage import Stage


@click.command(cls=UrlCommand)
@click.argument("operands", nargs=-1, type=OperandType(), metavar="SOURCE... TARGET")
@click.option("-n", "--no-clobber", is_flag=True, help="Do not replace what is there.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is moved.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-j", "connections", type=click.IntRange(1), metavar="N", help="Files side by side.")
@options_option
def mv(
    operands: tuple[str, ...],
    no_clobber: bool,
    verbose: bool,
    quiet: bool,
    connections: int | None,
    options: tuple[str, ...],
) -> int:
    """Rename files on a server, or move them from and to servers.

    From one place to another each SOURCE is copied, times and modes included, and removed when
    its copy is whole.
    """
    *sources, target = checked_operands(operands)
    existing = existing_of(no_clobber=no_clobber, update=False, resume=False)
    choices = Choices(existing, times=True, modes=True, lenient=True)
    with UrlWork(options, connections) as work:
        to = work.target(target)
        given = work.operands(sources)

        def body(stage: Stage) -> None:
            place = target_spot(work, to, stage)
            if place is not None:
                spots = list(all_spots(work.places, given, stage, "cannot stat"))
                if spots:
                    move(spots, place, stage, choices)

        return work.run(body, screen_for(verbose=verbose, quiet=quiet))
