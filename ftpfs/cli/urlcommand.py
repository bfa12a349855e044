"""What all URL commands have in common: options, operands, exit codes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ftpfs.cli import password
from ftpfs.cli.conduct import EXIT_FAILURES, EXIT_INTERRUPTED, EXIT_USAGE, Screen, Work, conduct
from ftpfs.cli.operands import Operand, Places, parse, parse_urls, without_password
from ftpfs.cli.report import (
    OutputError,
    StdoutClosedError,
    abandon_output,
    complain,
    flush,
    reason,
)
from ftpfs.errors import FtpfsError, UsageError
from ftpfs.options import parse_options

F = TypeVar("F", bound=Callable[..., Any])


class Warnings(logging.Handler):
    """What other layers find worth a warning, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


class UrlCommand(click.Command):
    """Ends with 0, with 1 when something failed, with 2 when it was called wrongly."""

    usage_exit = EXIT_USAGE
    ends_by_interrupt = True
    """Until it has something to be cleaned up, SIGINT is left to the system."""

    def invoke(self, ctx: click.Context) -> None:
        logging.basicConfig(handlers=[Warnings(logging.WARNING)])
        try:
            code = super().invoke(ctx)
            flush()
        except UsageError as error:
            complain(str(error))
            code = EXIT_USAGE
        except OutputError as error:
            abandon_output()
            if not isinstance(error, StdoutClosedError):
                complain(str(error))
            code = EXIT_FAILURES
        except FtpfsError as error:
            complain(reason(error))
            code = EXIT_FAILURES
        except (KeyboardInterrupt, EOFError):  # the latter where a password is asked for
            complain("interrupted")
            code = EXIT_INTERRUPTED
        ctx.exit(code)


class OperandType(click.ParamType[str]):
    """A local path or a URL; shells complete the former."""

    name = "operand"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


def options_option(command: F) -> F:
    """`-o`, as for a mount."""
    return click.option(
        "-o",
        "options",
        multiple=True,
        metavar="OPT[,OPT...]",
        help="Options of the connection, as for mount: max_conns, timeout, tls, cafile, ...",
    )(command)


class UrlWork:
    """Operands, servers and the exit code of one command; a context manager."""

    def __init__(self, options: Iterable[str], connections: int | None = None) -> None:
        self._options = parse_options(options)
        self.places = Places(self._options, connections)
        self._misused = False

    def __enter__(self) -> UrlWork:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.places.__exit__(kind, error, traceback)

    def urls(self, texts: Iterable[str]) -> list[Operand]:
        """The operands that are URLs; what is none is told, and the others are done."""
        return self._parsed(texts, parse_urls)

    def operands(self, texts: Iterable[str]) -> list[Operand]:
        """The operands; a URL that cannot be one is told, and the others are done."""
        return self._parsed(texts, parse)

    def _parsed(self, texts: Iterable[str], parser: Callable[..., Operand]) -> list[Operand]:
        found = []
        for text in texts:
            try:
                found.append(self.places.complete(parser(text, self._options)))
            except UsageError as error:
                complain(f"{without_password(text)}: {error}")
                self._misused = True
        password.hide_environment()
        return found

    def target(self, text: str) -> Operand:
        """The operand that all the others need. Raises UsageError."""
        return self.places.complete(parse(text, self._options))

    def run(self, work: Work, screen: Screen | None = None) -> int:
        """The exit code of the command."""
        code = conduct(work, screen or Screen())
        return EXIT_USAGE if self._misused and code in (0, EXIT_FAILURES) else code
