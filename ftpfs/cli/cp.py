"""`ftpfs cp SOURCE... TARGET`."""

from __future__ import annotations

import os

import click

from ftpfs.cli.operands import Operand, all_spots
from ftpfs.cli.progress import screen_for
from ftpfs.cli.report import OutputError, output_errors
from ftpfs.cli.urlcommand import OperandType, UrlCommand, UrlWork, options_option
from ftpfs.errors import FtpfsError, UsageError
from ftpfs.tree.choices import Choices, Existing
from ftpfs.tree.copy import copy
from ftpfs.tree.events import Failed, quoted
from ftpfs.tree.place import Spot
from ftpfs.tree.stage import Stage, StoppedError
from ftpfs.tree.streams import pour_out

STDIO = "-"


@click.command(cls=UrlCommand)
@click.argument("operands", nargs=-1, type=OperandType(), metavar="SOURCE... TARGET")
@click.option("-r", "-R", "--recursive", is_flag=True, help="Copy directories with all in them.")
@click.option("-p", "preserve", is_flag=True, help="Give the copies the times and modes.")
@click.option("-n", "--no-clobber", is_flag=True, help="Do not replace what is there.")
@click.option("-u", "--update", is_flag=True, help="Replace only what is older.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is copied.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-j", "connections", type=click.IntRange(1), metavar="N", help="Files side by side.")
@click.option("--continue", "resume", is_flag=True, help="Go on with what is there in part.")
@click.option("--checksum", is_flag=True, help="Compare hashes where the server has them.")
@options_option
def cp(
    operands: tuple[str, ...],
    recursive: bool,
    preserve: bool,
    no_clobber: bool,
    update: bool,
    verbose: bool,
    quiet: bool,
    connections: int | None,
    resume: bool,
    checksum: bool,
    options: tuple[str, ...],
) -> int:
    """Copy files from and to servers; SOURCE and TARGET are local paths or URLs.

    Patterns in a quoted URL are expanded. - is standard input or output.
    """
    *sources, target = checked_operands(operands)
    existing = existing_of(no_clobber=no_clobber, update=update, resume=resume)
    choices = Choices(existing, times=preserve, modes=preserve, checksum=checksum)
    stdin = from_stdin(sources, target)
    with UrlWork(options, connections) as work:
        if target == STDIO:
            given = work.operands(sources)
            return work.run(lambda stage: to_stdout(work, given, stage, "cannot open"))
        to = work.target(target)
        given = work.operands([] if stdin else sources)

        def body(stage: Stage) -> None:
            place = target_spot(work, to, stage)
            if place is None:
                return
            if stdin:
                copy([work.places.stdin()], place, stage, choices, recursive=False, into=False)
            elif spots := list(all_spots(work.places, given, stage, "cannot stat")):
                copy(spots, place, stage, choices, recursive=recursive)

        return work.run(body, screen_for(verbose=verbose, quiet=quiet))


def checked_operands(operands: tuple[str, ...]) -> tuple[str, ...]:
    """Raises UsageError where there are too few."""
    if not operands:
        raise UsageError("missing file operand")
    if len(operands) == 1:
        raise UsageError(f"missing destination file operand after {quoted(operands[0])}")
    return operands


def existing_of(*, no_clobber: bool, update: bool, resume: bool) -> Existing:
    if no_clobber + update + resume > 1:
        raise UsageError("of -n, -u and --continue only one can be used")
    if no_clobber:
        return Existing.KEEP
    if update:
        return Existing.OLDER
    return Existing.PARTIAL if resume else Existing.REPLACE


def target_spot(work: UrlWork, target: Operand, stage: Stage) -> Spot | None:
    """The target; None where its server cannot be reached, which was told."""
    try:
        return work.places.spot(target)
    except FtpfsError as error:
        stage.emit(Failed(f"cannot access {quoted(target.shown)}", error))
        return None


# -- standard input and output --------------------------------------------------------------------


def from_stdin(sources: list[str], target: str) -> bool:
    """Whether standard input is the source. Raises UsageError where it cannot be."""
    if STDIO not in sources:
        return False
    if len(sources) > 1 or target == STDIO:
        raise UsageError("- stands for standard input as the only SOURCE, or for output as TARGET")
    return True


def to_stdout(work: UrlWork, operands: list[Operand], stage: Stage, action: str) -> None:
    """Write the content of each, in order."""
    for spot in all_spots(work.places, operands, stage, action):
        try:
            if spot.as_directory:
                spot.stat()
            pour_out(spot, _write_stdout, stage)
        except (StoppedError, OutputError):
            raise
        except FtpfsError as error:
            text = f"{action} {quoted(spot.shown)}" if action else spot.shown
            stage.emit(Failed(text, error))


def _write_stdout(data: memoryview) -> None:
    with output_errors():
        while data:
            data = data[os.write(1, data) :]
