"""`ftpfs COMMAND`: the commands, and how their failures are told."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence

import click

from ftpfs import __version__
from ftpfs.cli.signals import raise_interrupt
from ftpfs.errors import FtpfsError, HostError, UsageError

# mount(8), "EXIT STATUS"
EXIT_USAGE = 1
EXIT_SYSTEM = 2
EXIT_INTERRUPTED = 8
EXIT_MOUNT = 32

_is_url = re.compile(r"ftp(?:e?s)?://").match
_PASSWORD_IN_URL = re.compile(r"(://[^/\s:]*):[^\s]*@")

COMMANDS = {
    "mount": ("mount", "Mount the directory that a URL names."),
    "umount": ("umount", "Unmount, when everything is on the server."),
    "pending": ("pending", "List what is not on the server yet."),
    "recover": ("pending", "Send what a mount left behind."),
    "doctor": ("doctor", "Find out what a server can do, and what is wrong."),
    "demo": ("demo", "Start a small server, mount it, and look around."),
    "ls": ("ls", "List directories and files on servers."),
    "cat": ("cat", "Write the content of files on servers."),
    "cp": ("cp", "Copy files from and to servers."),
    "mv": ("mv", "Rename files on a server, or move them from and to servers."),
    "rm": ("rm", "Remove files on servers."),
    "mkdir": ("mkdir", "Make directories on servers."),
    "rmdir": ("mkdir", "Remove empty directories on servers."),
    "sync": ("sync", "Make one directory a copy of another."),
    "completion": ("completion", "Print the completion script for a shell."),
}
"""The module of each command, and what it does, so that one can be run, and all be listed, without
loading the others."""


class Commands(click.Group):
    """Loads a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ftpfs.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """mount(8) and fstab know no commands: `ftpfs URL MOUNTPOINT -o ...` mounts."""
        if _is_url(args[0]):
            args = ["mount", *args]
        name, command, rest = super().resolve_command(ctx, args)
        if not getattr(command, "ends_by_interrupt", False):
            raise_interrupt()
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="ftpfs")
def cli() -> None:
    """Mount FTP servers, and work in them with ordinary programs or without a mount."""


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a command."""
    try:
        code = cli.main(arguments, prog_name="ftpfs", standalone_mode=False)
    except click.Abort:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except click.ClickException as error:
        return _fail(error.format_message(), _usage_exit(error))
    except UsageError as error:
        return _fail(str(error), EXIT_USAGE)
    except HostError as error:
        return _fail(str(error), EXIT_SYSTEM)
    except FtpfsError as error:
        return _fail(str(error), EXIT_MOUNT)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    from ftpfs.cli.report import complain  # loaded by a mount only where it fails

    one_line = " ".join(message.split())
    complain(_PASSWORD_IN_URL.sub(r"\1:***@", one_line))
    return code


def _usage_exit(error: click.ClickException) -> int:
    """How the command that was called wrongly ends: not all do so as mount(8)."""
    context = getattr(error, "ctx", None)
    return getattr(context and context.command, "usage_exit", EXIT_USAGE)
