"""`ftpfs completion SHELL`: what a shell needs to complete the commands and their options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ftpfs.cli.report import put
from ftpfs.cli.urlcommand import UrlCommand

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=UrlCommand)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> int:
    """Print the completion script for SHELL: bash, zsh or fish.

    bash:  ftpfs completion bash > ~/.local/share/bash-completion/completions/ftpfs
    zsh:   ftpfs completion zsh > a directory of $fpath, as _ftpfs
    fish:  ftpfs completion fish > ~/.config/fish/completions/ftpfs.fish
    """
    from ftpfs.cli.commands import cli

    kind = get_completion_class(shell)
    assert kind is not None
    put(kind(cli, {}, "ftpfs", "_FTPFS_COMPLETE").source() + "\n")
    return 0
