"""Holds the arrows between the layers of ftpfs, from what its modules import.

    python scripts/check_layers.py CHECKOUT

    cli, demo > fuse > vfs > content > cache > remote > session > wire > the base
    cli > tree > remote

A module may import its own layer and those to the right. The base is what all may import: the
modules directly in ftpfs/. A few outside modules belong to one place (OWNERS), and only the
command line writes to the terminal. Prints `file:line: what is wrong`; exit code 1 if anything.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

PACKAGE = "ftpfs"

# Higher may import lower; layers of one rank do not know each other. cli is above demo:
# `ftpfs demo` runs the demo server.
RANKS = {
    "cli": 8,
    "demo": 7,
    "fuse": 6,
    "vfs": 5,
    "content": 4,
    "cache": 3,
    "tree": 3,
    "remote": 2,
    "session": 1,
    "wire": 0,
}
USERS = {"tree": ("cli",)}  # a layer that not all above it may import: who may
BASE_RANK = -1
BASE = ("__init__", "__version__", "errors", "config", "options", "url")
ENTRY = "__main__"  # `python -m ftpfs`: part of cli

# Outside module: the files (ending in .py) or folders that may import it.
OWNERS = {
    **dict.fromkeys(("socket", "selectors"), ("session/transport.py",)),
    "select": ("session/transport.py", "tree/streams.py"),
    "python_socks": ("session/proxy.py",),
    "ssl": ("session/tls.py",),
    **dict.fromkeys(("mfusepy", "fuse"), ("fuse/",)),
    "errno": ("fuse/errnos.py",),
    **dict.fromkeys(("click", "rich"), ("cli/",)),
}
PRINTERS = ("cli/", "demo/server.py")  # demo/server.py: the line with its port


@dataclass(frozen=True, order=True)
class Violation:
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def main(arguments: list[str]) -> int:
    violations = sorted(check(arguments[0] if arguments else "."))
    for violation in violations:
        print(violation)
    return 1 if violations else 0


def check(checkout: str) -> Iterator[Violation]:
    """Every violation in the package of this checkout."""
    top = os.path.join(checkout, PACKAGE)
    if not os.path.isdir(top):
        yield Violation(top, 1, "no such package")
    for folder, directories, files in os.walk(top):
        directories[:] = [name for name in directories if name != "__pycache__"]
        for name in files:
            if name.endswith(".py"):
                yield from check_file(checkout, os.path.join(folder, name))


def check_file(checkout: str, path: str) -> Iterator[Violation]:
    shown = os.path.relpath(path, checkout)
    inner = os.path.relpath(path, os.path.join(checkout, PACKAGE))  # fuse/errnos.py
    own = inner.removesuffix(".py").split(os.sep)
    rank = rank_of(own)
    if rank is None:
        yield Violation(shown, 1, f"{own[0]} is no layer and not part of the base")
        return
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read(), path)
    for line, module in imports(tree, [PACKAGE, *own]):
        message = judge(inner, "cli" if own[0] == ENTRY else own[0], rank, module.split("."))
        if message:
            yield Violation(shown, line, message)
    if not inner.startswith(PRINTERS):
        for line in prints(tree):
            yield Violation(shown, line, "print: only the command line writes to the terminal")


def judge(inner: str, layer: str, rank: int, module: list[str]) -> str | None:
    """What is wrong with importing `module` in the file `inner`, if anything."""
    if module[0] != PACKAGE:
        owners = OWNERS.get(module[0])
        if owners is None or inner.startswith(owners):
            return None
        return f"imports {module[0]}, which belongs to {' and '.join(owners)}"
    target = rank_of(module[1:])
    if target is None:
        return f"imports {'.'.join(module)}, which is in no layer"
    if module[1] == layer or target == BASE_RANK <= rank:
        return None
    if target >= rank:
        return f"{layer} imports {module[1]}, which is {'above' if target > rank else 'beside'} it"
    if layer not in USERS.get(module[1], (layer,)):
        return f"{layer} imports {module[1]}, which is for {' and '.join(USERS[module[1]])} alone"
    return None


def rank_of(parts: list[str]) -> int | None:
    """The rank of a module, given its path inside the package; None when it has no layer."""
    if not parts or parts[0] in BASE:
        return BASE_RANK
    if parts[0] == ENTRY:
        return RANKS["cli"]
    return RANKS.get(parts[0])


def imports(tree: ast.AST, own: list[str]) -> Iterator[tuple[int, str]]:
    """Line and full name of each module imported, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            # `from . import x` in a/b.py starts from a, two dots from what is above a.
            start = own[: len(own) - node.level] if node.level else []
            module = [*start, *filter(None, [node.module])]
            if module == [PACKAGE]:
                yield from ((node.lineno, f"{PACKAGE}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, ".".join(module)


def prints(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield node.lineno


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
