"""scripts/check_layers.py: what it forbids, what it lets pass, and that ftpfs itself is clean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPT = CHECKOUT / "scripts" / "check_layers.py"


def run(checkout: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(checkout)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def write(checkout: Path, name: str, source: str) -> None:
    path = checkout / "ftpfs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")


FORBIDDEN = [
    # file, its source from line 2 on, how the message begins
    ("wire/reply.py", "import ftpfs.session.connection", "wire imports session"),
    ("session/connection.py", "from ftpfs.remote import ports", "session imports remote"),
    ("cache/blocks.py", "from ftpfs.content.pages import Page", "cache imports content"),
    ("vfs/tree.py", "from ftpfs import fuse", "vfs imports fuse"),
    ("remote/plain.py", "from ..vfs.tree import Tree", "remote imports vfs"),
    ("wire/deep/list.py", "from ...cli import main", "wire imports cli"),
    ("fuse/mount.py", "def f():\n    import ftpfs.cli.main", "fuse imports cli"),
    ("config.py", "from .wire import reply", "config imports wire"),
    ("tree/walk.py", "import ftpfs.cache.blocks", "tree imports cache, which is beside it"),
    ("cache/blocks.py", "import ftpfs.tree.walk", "cache imports tree, which is beside it"),
    ("vfs/files.py", "from ftpfs.tree import walk", "vfs imports tree, which is for cli alone"),
    ("vfs/tree.py", "import ftpfs.nowhere.x", "imports ftpfs.nowhere.x, which is in no layer"),
    ("remote/plain.py", "import socket", "imports socket, which belongs to session/transport.py"),
    ("session/login.py", "from ssl import SSLContext", "imports ssl, which belongs to"),
    ("session/transport.py", "import ssl", "imports ssl, which belongs to session/tls.py"),
    ("session/tls.py", "import socket", "imports socket, which belongs to session/transport.py"),
    ("wire/reply.py", "import selectors", "imports selectors, which belongs to"),
    ("vfs/tree.py", "import errno", "imports errno, which belongs to fuse/errnos.py"),
    ("cli/mount.py", "from mfusepy import FUSE", "imports mfusepy, which belongs to fuse/"),
    ("cli/mount.py", "import fuse", "imports fuse, which belongs to fuse/"),
    ("demo/tour.py", "import rich.table", "imports rich, which belongs to cli/"),
    ("vfs/tree.py", "from click import echo", "imports click, which belongs to cli/"),
    ("vfs/tree.py", "print('here')", "print: "),
    ("helpers/misc.py", "x = 1", "helpers is no layer"),
]

ALLOWED = [
    ("cli/main.py", "import click, rich\nimport ftpfs.demo.server, ftpfs.fuse\nprint(1)"),
    ("__main__.py", "from ftpfs.cli.main import main"),
    ("content/pages.py", "from ftpfs.cache.blocks import Block\nfrom . import window"),
    ("cli/cp.py", "from ftpfs.tree import walk"),
    ("tree/walk.py", "from ftpfs.remote.api import Entry\nimport ftpfs.tree.place, ftpfs.config"),
    ("fuse/errnos.py", "import errno\nfrom mfusepy import FuseOSError"),
    ("fuse/mount.py", "import fuse\nfrom ..vfs import tree"),
    ("session/transport.py", "import socket, select, selectors"),
    ("session/tls.py", "import ssl"),
    ("demo/server.py", "print('PORT 1')"),
    ("wire/reply.py", "from ftpfs.errors import ProtocolError\nfrom ftpfs import __version__"),
    ("wire/reply.py", "import re\nself.print(1)"),
    ("url.py", "from . import errors"),
]


@pytest.mark.parametrize(("name", "source", "message"), FORBIDDEN)
def test_says_file_line_and_reason(tmp_path: Path, name: str, source: str, message: str) -> None:
    write(tmp_path, name, f'"""A module."""\n{source}\n')
    code, lines = run(tmp_path)
    assert code == 1
    line = 1 if message.startswith("helpers") else source.count("\n") + 2
    assert len(lines) == 1
    assert lines[0].startswith(f"ftpfs/{name}:{line}: {message}")


@pytest.mark.parametrize(("name", "source"), ALLOWED)
def test_lets_pass(tmp_path: Path, name: str, source: str) -> None:
    write(tmp_path, name, f"{source}\n")
    assert run(tmp_path) == (0, [])


def test_lists_all_of_a_bad_tree_in_order(tmp_path: Path) -> None:
    write(tmp_path, "wire/reply.py", "import socket\nprint(1)\n")
    write(tmp_path, "cache/blocks.py", "import errno\n")
    code, lines = run(tmp_path)
    assert code == 1
    assert [line.split(": ")[0] for line in lines] == [
        "ftpfs/cache/blocks.py:1",
        "ftpfs/wire/reply.py:1",
        "ftpfs/wire/reply.py:2",
    ]


def test_a_checkout_without_the_package_is_no_success(tmp_path: Path) -> None:
    assert run(tmp_path)[0] == 1


def test_ftpfs_keeps_its_own_arrows() -> None:
    assert run(CHECKOUT) == (0, [])
