"""`ftpfs doctor URL`: what a server can do, how fast, and what will not work on a mount of it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftpfs.cli import background, password
from ftpfs.cli.connect import examined
from ftpfs.config import KIB, MIB
from ftpfs.errors import TransferError, UsageError
from ftpfs.options import parse_options
from ftpfs.remote.report import Finding, Protection, Report, Timing
from ftpfs.url import Location, parse_url

_WORDS = {True: "yes", False: "no", None: "-"}


@click.command()
@click.argument("url")
@click.option("--write", is_flag=True, help="Try writing too, in a scratch directory, removed.")
@click.option("--json", "json_file", metavar="FILE", help="Write all of it as JSON; - for stdout.")
@click.option("-o", "options", multiple=True, metavar="OPT[,OPT...]", help="Mount options.")
@click.option("-v", "--verbose", is_flag=True, help="Log the conversation with the server.")
def doctor(
    url: str, write: bool, json_file: str | None, options: tuple[str, ...], verbose: bool
) -> None:
    """Examine the server and directory that URL names: what works there, and how fast.

    Nothing is changed on the server, unless --write allows a scratch directory. What is found out
    is remembered for the next mounts.
    """
    location = parse_url(url)
    password.hide(location.password)
    chosen = parse_options(options)
    password.hide(chosen.proxy.password if chosen.proxy else None)
    location = password.complete(location.with_tls(chosen.tls))
    password.hide_environment()
    if verbose:
        background.log_to_terminal(verbose=True)
    else:
        logging.getLogger("ftpfs").addHandler(logging.NullHandler())  # the report says it all
    with _file_for(json_file) as write_json, _progress() as on_step:
        report = examined(location, chosen, write=write, on_step=on_step)
        write_json(_as_json(location, report))
    if json_file != "-":
        _show(location, report)
    if report.left_behind:
        raise TransferError(f"{_printable(report.left_behind)}: could not be removed again")


@contextmanager
def _file_for(path: str | None) -> Iterator[Callable[[str], None]]:
    """Where the JSON goes; opened before the work begins. Raises UsageError."""
    if path is None:
        yield lambda _: None
    elif path == "-":
        yield click.echo
    else:
        try:
            file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - closed below
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            with file:
                yield lambda text: print(text, file=file)
        except BaseException:
            os.unlink(path)  # there is nothing in it
            raise


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """What is being tried, on a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("connecting") as status:
        yield lambda name: status.update(Text(f"trying {name}"))


def _as_json(location: Location, report: Report) -> str:
    content: dict[str, Any] = {"url": str(location), **asdict(report)}
    return json.dumps(_plain(content), indent=1)


def _plain(value: Any) -> Any:
    """Without the bytes that are no text, which JSON cannot carry."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


# -- for people ------------------------------------------------------------------------------------


def _show(location: Location, report: Report) -> None:
    console = Console(width=None if os.isatty(1) else 200, highlight=False)
    system = f" ({report.system})" if report.system else ""
    console.print(_text(f"{location}{system}, directory {report.directory}"))
    for line in _protection_lines(report.protection):
        console.print(_text(line))
    console.print()
    console.print(_timing_table(report.timings))
    console.print()
    console.print(_finding_table(report.findings))
    console.print()
    console.print("What will not work, or not well:" if report.limits else "Everything works.")
    for sentence in report.limits:
        console.print(_text(f"- {sentence}"))


def _protection_lines(protection: Protection | None) -> Iterator[str]:
    if protection is None:
        return
    resumed = {
        True: "resume its session",
        False: "do not resume its session",
        None: "were not seen",
    }[protection.resumed]
    yield f"{protection.version}, {protection.cipher}; data connections {resumed}"
    yield f"certificate SHA256:{protection.fingerprint}"


def _timing_table(timings: tuple[Timing, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("step", "time", "rate"):
        table.add_column(column)
    for timing in timings:
        rate = f"{timing.rate / MIB:.1f} MiB/s" if timing.rate is not None else ""
        if timing.rate is not None and timing.rate < MIB:
            rate = f"{timing.rate / KIB:.1f} KiB/s"
        table.add_row(timing.name, f"{timing.seconds * 1000:.1f} ms", rate)
    return table


def _finding_table(findings: tuple[Finding, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("what", "works", "time", "remark"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        seconds = "" if finding.seconds is None else f"{finding.seconds * 1000:.1f} ms"
        word = Text(_WORDS[finding.verdict], style="red" if finding.verdict is False else "")
        table.add_row(finding.name, word, seconds, _text(finding.detail))
    return table


def _text(text: str) -> Text:
    """What a server said: no markup, and nothing that a terminal would obey."""
    return Text(_printable(text))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
