"""`ftpfs COMMAND`: the commands, and how their failures are told."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import click

from ftpfs import __version__
from ftpfs.cli.demo import demo
from ftpfs.cli.doctor import doctor
from ftpfs.cli.mount import mount
from ftpfs.cli.pending import pending, recover
from ftpfs.cli.umount import umount
from ftpfs.errors import FtpfsError, HostError, UsageError

# mount(8), "EXIT STATUS"
EXIT_USAGE = 1
EXIT_SYSTEM = 2
EXIT_INTERRUPTED = 8
EXIT_MOUNT = 32

_PASSWORD_IN_URL = re.compile(r"(://[^/@\s:]*):[^\s]*@")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="ftpfs")
def cli() -> None:
    """Mount FTP servers, and work in them with ordinary programs."""


cli.add_command(mount)
cli.add_command(umount)
cli.add_command(demo)
cli.add_command(pending)
cli.add_command(recover)
cli.add_command(doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Exits as mount(8) does; a failure is one line on stderr."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a command."""
    try:
        cli.main(arguments, prog_name="ftpfs", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except click.ClickException as error:
        return _fail(error.format_message(), EXIT_USAGE)
    except UsageError as error:
        return _fail(str(error), EXIT_USAGE)
    except HostError as error:
        return _fail(str(error), EXIT_SYSTEM)
    except FtpfsError as error:
        return _fail(str(error), EXIT_MOUNT)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    return 0


def _fail(message: str, code: int) -> int:
    one_line = " ".join(message.split())
    click.echo("ftpfs: " + _PASSWORD_IN_URL.sub(r"\1:***@", one_line), err=True)
    return code
