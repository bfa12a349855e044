"""`ftpfs mount URL MOUNTPOINT`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import click

from ftpfs.cli import background, password
from ftpfs.cli.connect import Connected
from ftpfs.errors import MountError
from ftpfs.fuse import binding as fuse_binding
from ftpfs.fuse import mount as fuse_mount
from ftpfs.options import MountOptions, parse_options
from ftpfs.url import Location, parse_url


@click.command()
@click.argument("url")
@click.argument("mountpoint", type=click.Path())
@click.option("-o", "options", multiple=True, metavar="OPT[,OPT...]", help="Mount options.")
@click.option("-f", "--foreground", is_flag=True, help="Stay in the foreground; log to stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Log the conversation with the server.")
def mount(
    url: str, mountpoint: str, options: tuple[str, ...], foreground: bool, verbose: bool
) -> None:
    """Mount the directory that URL names at MOUNTPOINT.

    URL is ftp://[user[:password]@]host[:port][/dir], ftpes:// with TLS, or ftps:// with TLS from
    the first byte; /dir is relative to the login directory, //dir absolute. The password may also
    come from ~/.netrc or FTPFS_PASSWORD, or is asked for.
    """
    location = parse_url(url)
    password.hide(location.password)
    chosen = parse_options(options)
    password.hide(chosen.proxy.password if chosen.proxy else None)
    location = location.with_tls(chosen.tls)
    if fuse_mount.abandoned(mountpoint):
        clear_abandoned(mountpoint)
    path = fuse_mount.check_mountpoint(mountpoint)
    binding = fuse_binding.load()
    fuse_mount.check_host(binding)
    location = password.complete(location)
    password.hide_environment()
    if foreground:
        background.log_to_terminal(verbose=verbose)
        _serve(binding, Connected(location, chosen), location, path, chosen, lambda: None)
        return
    mount_in_background(binding, location, path, chosen, verbose=verbose)


def mount_in_background(
    binding: fuse_binding.Binding,
    location: Location,
    path: str,
    options: MountOptions,
    *,
    verbose: bool = False,
) -> None:
    """Connect, then serve in a child process; returns when the mount answers."""
    connected = Connected(location, options)  # here, so that a wrong password shows at once
    log_path = background.log_file(path)

    def serve(on_ready: Callable[[], None]) -> None:
        background.log_to_file(log_path, verbose=verbose)
        _serve(binding, connected, location, path, options, on_ready)

    try:
        background.in_background(serve)
    finally:
        connected.abandon()
    try:
        os.statvfs(path)
    except OSError as error:
        raise MountError(f"{path}: mounted, but does not answer: {error.strerror}") from error


def _serve(
    binding: fuse_binding.Binding,
    connected: Connected,
    location: Location,
    path: str,
    options: MountOptions,
    on_ready: Callable[[], None],
) -> None:
    def ready() -> None:
        connected.start()
        on_ready()

    # In this order: the lock is held until `connected` has sent what is unsent.
    with background.announce(path, str(location), connected.place), connected:
        filesystem = connected.open()
        fuse_mount.serve(binding, filesystem, str(location), path, options, ready)


def clear_abandoned(mountpoint: str) -> None:
    """Take away a mount whose process was killed."""
    helper = fuse_mount.unmount_command()
    if helper is not None:
        subprocess.run([helper, "-u", "-z", mountpoint], check=False, capture_output=True)
