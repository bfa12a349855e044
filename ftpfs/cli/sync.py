"""`ftpfs sync SOURCE TARGET`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ftpfs.cli.conduct import Screen
from ftpfs.cli.cp import target_spot
from ftpfs.cli.progress import screen_for
from ftpfs.cli.report import put
from ftpfs.cli.urlcommand import OperandType, UrlCommand, UrlWork, options_option
from ftpfs.remote.api import Entry, Kind
from ftpfs.tree.choices import Choices, Existing
from ftpfs.tree.events import quoted
from ftpfs.tree.place import Spot
from ftpfs.tree.plan import Plan
from ftpfs.tree.stage import Stage
from ftpfs.tree.syncing import carry_out_sync, plan_sync

CHOICES = Choices(Existing.DIFFERENT, times=True, lenient=True)


@click.command(cls=UrlCommand)
@click.argument("source", type=OperandType(), metavar="SOURCE")
@click.argument("target", type=OperandType(), metavar="TARGET")
@click.option("--delete", is_flag=True, help="Remove what only TARGET has.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is done.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
@click.option("-j", "connections", type=click.IntRange(1), metavar="N", help="Files side by side.")
@options_option
def sync(
    source: str,
    target: str,
    delete: bool,
    dry_run: bool,
    verbose: bool,
    quiet: bool,
    connections: int | None,
    options: tuple[str, ...],
) -> int:
    """Make the directory TARGET a copy of the directory SOURCE, by size and time.

    Local paths or URLs. Files get the time of their source, so that a second run finds them equal;
    a run that broke off is gone on with by the next one.
    """
    with UrlWork(options, connections) as work:
        ends = [work.target(source), work.target(target)]
        screen = screen_for(verbose=verbose, quiet=quiet)
        done: list[bool] = []

        def body(stage: Stage) -> None:
            here, there = (target_spot(work, end, stage) for end in ends)
            if here is None or there is None:
                return
            plan = plan_sync(here, there, stage, CHOICES, delete=delete)
            if plan is None:
                return
            if dry_run:
                for line in described(plan, here, there, delete=delete):
                    screen.say(line)
            else:
                carry_out_sync(plan, here, there, stage, CHOICES, delete=delete)
            done.append(True)

        code = work.run(body, screen)
        if done and not quiet and not dry_run:
            put(summarised(screen) + "\n")
        return code


def described(plan: Plan, source: Spot, target: Spot, *, delete: bool) -> list[str]:
    """What a plan would do, a line each."""
    lines = _removals(plan.cleared, target)
    lines += [
        f"would make directory {quoted(target.place.shown(each.target))}"
        for each in plan.directories
    ]
    lines += [
        f"would copy {quoted(source.place.shown(each.source))}"
        f" to {quoted(target.place.shown(each.target))}"
        for each in [*plan.links, *plan.files]
    ]
    return lines + (_removals(plan.surplus, target) if delete else [])


def _removals(names: Sequence[tuple[str, Entry]], target: Spot) -> list[str]:
    return [
        f"would remove {'directory ' if entry.kind is Kind.DIRECTORY else ''}"
        f"{quoted(target.place.shown(path))}"
        for path, entry in names
    ]


def summarised(screen: Screen) -> str:
    tally = screen.tally
    files = "1 file" if tally.copied == 1 else f"{tally.copied} files"
    return (
        f"copied {files} ({tally.copied_bytes} bytes), removed {tally.removed},"
        f" unchanged {tally.kept}, failed {tally.failed}"
    )
