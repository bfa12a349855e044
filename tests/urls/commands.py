"""The URL commands as processes, the coreutils beside them, and trees to compare."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mounts import environment
from servers import Running, Server, pyftpdlib_server, vsftpd_server

KINDS: dict[str, Callable[..., Running]] = {
    "pyftpdlib": pyftpdlib_server,
    "pyftpdlib-list": lambda root: pyftpdlib_server(root, mlsd=False),
    "vsftpd": vsftpd_server,
}
WAIT_S = 60.0


@dataclass(frozen=True)
class Place:
    """A directory on a server, `root` on its disk, and a local one."""

    server: Server
    name: str
    root: Path
    local: Path
    home: Path

    def url(self, path: str = "") -> str:
        """The URL of a path below the directory, with the password."""
        return f"{self.server.url}{self.name}" + (f"/{path}" if path else "")

    def shown(self, path: str = "") -> str:
        """The same as messages have it."""
        return self.url(path).replace(f":{self.server.password}@", "@")

    def ftpfs(
        self, *arguments: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> Done:
        """Run a command in the local directory, to its end."""
        command, *operands = map(str, arguments)
        options = [word for option in self.server.options for word in ("-o", option)]
        return run(
            [sys.executable, "-m", "ftpfs", command, *options, *operands],
            self.local,
            stdin,
            command_environment(str(self.home), env),
        )

    def good(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """The output of a command that must succeed without a word on stderr."""
        done = self.ftpfs(*arguments, stdin=stdin)
        assert done.err == ""
        assert done.code == 0
        return done.out


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def command_environment(home: str, env: dict[str, str] | None = None) -> dict[str, str]:
    return {**environment(home), "LC_ALL": "C.UTF-8", "TZ": "UTC", **(env or {})}


def run(argv: list[str], cwd: Path, stdin: bytes, env: dict[str, str]) -> Done:
    done = subprocess.run(
        argv, cwd=cwd, input=stdin, env=env, capture_output=True, timeout=WAIT_S, check=False
    )
    out, err = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return Done(done.returncode, out, err)


def coreutils(*argv: str, cwd: Path) -> Done:
    """The namesake on a local copy; its name in messages is replaced by ours."""
    program = shutil.which(argv[0])
    assert program is not None
    done = run([argv[0], *argv[1:]], cwd, b"", {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"})
    return Done(done.code, done.out, done.err.replace(f"{argv[0]}: ", "ftpfs: "))


def same_as(program: str, place: Place, operands: list[str]) -> None:
    """Both do and say the same, on the server and in a local copy of it."""
    lay(place.root)
    lay(place.local)
    flags = [word for word in operands if word.startswith("-")]
    paths = [word for word in operands if not word.startswith("-")]
    theirs = coreutils(program, *operands, cwd=place.local)
    ours = place.ftpfs(program, *flags, *map(place.url, paths))
    said = ours.err.replace(place.shown() + "/", "")
    wanted = theirs.err.replace("\u2018", "'").replace("\u2019", "'")
    assert (ours.code, said) == (theirs.code, wanted)
    assert tree(place.root) == tree(place.local)


# -- trees ----------------------------------------------------------------------------------------


def tree(top: Path) -> dict[str, str]:
    """What is below a directory: the hash of each file, "dir", or the target of a link."""
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            what = f"-> {os.readlink(path)}"
        elif path.is_dir():
            what = "dir"
        else:
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        found[os.fsencode(path.relative_to(top)).decode("utf-8", "surrogateescape")] = what
    return found


def lay(top: Path) -> None:
    """Some files and directories with telling names."""
    (top / "dir" / "sub").mkdir(parents=True)
    (top / "dir" / "file").write_text("in dir")
    (top / "full").mkdir()
    (top / "full" / "dir").mkdir()
    (top / "full" / "dir" / "x").write_text("x")
    (top / "empty").mkdir()
    (top / "file").write_text("file")
    (top / "other").write_text("other")


def plant(top: Path, *, seed: int = 1) -> None:
    """A tree with much of what trees have: depth, empty files and directories, odd names, a file
    of more than one piece, some times and permission bits."""
    rng = random.Random(seed)
    names = ["a.txt", "with blank", "ümläut", "quo'te\"s", "[brackets]*?", "-dash", ".hidden", "ü"]
    for directory in ("", "one", "one/two", "one/two/three", "päth with blank", "empty"):
        folder = top / directory
        folder.mkdir(parents=True, exist_ok=True)
        if directory == "empty":
            continue
        for name in names:
            (folder / name).write_bytes(rng.randbytes(rng.choice([0, 1, 100, 5000, 70_000])))
    (top / "one" / "large").write_bytes(rng.randbytes(700_000))
    for n, path in enumerate(sorted(top.rglob("*"))):
        if path.is_file():
            path.chmod([0o644, 0o600, 0o755][n % 3])
            os.utime(path, (1_600_000_000 + n * 86_400, 1_600_000_000 + n * 86_400))


_serial = itertools.count(1)


def made_place(server: Server, tmp_path: Path) -> Iterator[Place]:
    """A fresh directory on the server and on this machine, for a fixture."""
    name = f"{server.name}-{next(_serial)}"
    root = Path(server.root, name)
    local = tmp_path / name / "local"
    home = tmp_path / name / "home"
    for directory in (root, local, home):
        directory.mkdir(parents=True)
    yield Place(server, name, root, local, home)
    shutil.rmtree(root)
