"""Random operations on a mount and on a local directory give the same results.

Each step is done on both; its result or errno is compared, then the names, sizes and contents of
both trees. At each remount, when all is sent, the server's own directory is compared too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from mounts import Mount, assert_ended, assert_healthy, ftpfs, home_directory, mount_at
from servers import Running, Server, pyftpdlib_server, vsftpd_server

pytestmark = [pytest.mark.mounted, pytest.mark.timeout(3600)]

SERVERS: dict[str, Callable[[str], Running]] = {
    "pyftpdlib": pyftpdlib_server,
    "pyftpdlib-list": lambda root: pyftpdlib_server(root, mlsd=False),
    "vsftpd": vsftpd_server,
}
MODES = {"default": (), "writeback": ("writeback",)}
LONG = bool(os.environ.get("FTPFS_TEST_LONG"))
EXAMPLES = 1000 if LONG else 40
STEPS = 60 if LONG else 40

SAME_MEANING = {
    # libfuse cannot name an unlinked file to us, and the kernel's fstat carries no handle.
    ("fstat of an unlinked file", 0): {errno.ESTALE},
}
"""(operation, errno on the local disk; 0 is success): what the mount may say instead."""

PATHS = st.sampled_from(["a", "b", "d", "e", "d/a", "d/b", "d/e", "e/a", "d/e/a"])
OFFSETS = st.sampled_from([0, 1, 100, 4095, 4096, 9000])
SIZES = st.sampled_from([0, 1, 50, 4096, 5000, 12_000])
DATA = st.builds(lambda byte, size: bytes([byte]) * size, st.integers(1, 255), SIZES)
ACCESS = st.sampled_from([os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
MODIFIERS = st.sets(st.sampled_from([os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_APPEND]))

_serial = itertools.count(1)


@dataclasses.dataclass
class Open:
    """One file opened on both sides; the second is the local one."""

    mounted: int
    local: int
    flags: int


class World:
    """A server, its mount, and a local directory beside them."""

    def __init__(self, server: Server, options: tuple[str, ...], home: str, path: str) -> None:
        self.server = server
        self._options = options
        self._home = home
        self.mountpoint = path
        self.local = f"{home}/local"
        os.mkdir(self.local)
        self.mount()

    def mount(self) -> None:
        self.mounted: Mount = mount_at(self._home, self.mountpoint, self.server.url, *self._options)

    @contextlib.contextmanager
    def unmounted(self) -> Iterator[str]:
        """The server's directory, with everything sent; mounted again after the block."""
        self.unmount()
        try:
            yield self.server.root
        finally:
            self.mount()

    def unmount(self) -> None:
        done = ftpfs("umount", self.mountpoint, home=self._home)
        assert (done.returncode, done.stderr) == (0, "")
        assert_ended(self.mounted.pid)
        assert_healthy(self.mounted)


class Machine(RuleBasedStateMachine):
    """The operations. A class of its own for each world is derived from it."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.name = f"example-{next(_serial)}"
        self.local = f"{self.world.local}/{self.name}"
        self.mounted = f"{self.world.mountpoint}/{self.name}"
        self.files: list[Open] = []
        self.contents = True
        for directory in (self.local, self.mounted):
            os.mkdir(directory)

    @initialize(contents=st.booleans())
    def begin(self, contents: bool) -> None:
        """A few files are there. Reading all of them after each step is a disturbance, too: not
        in every example."""
        self.contents = contents
        self.same("mkdir", os.mkdir, "d")
        for path, data in (("a", b"a" * 5000), ("b", b""), ("d/a", b"d" * 100)):
            self.same("save", save, path, data=data)

    # -- doing it twice -----------------------------------------------------------------------

    def both(self, operation: str, mounted: Callable[[], Any], local: Callable[[], Any]) -> Any:
        """Results of an operation that succeeds on both sides, else None."""
        found, wanted = _attempt(mounted), _attempt(local)
        if isinstance(wanted, OSError) or isinstance(found, OSError):
            assert _meaning(found) in _allowed(operation, wanted), f"{operation}: {found!r}"
            return None
        return found, wanted

    def same(self, operation: str, function: Callable[..., Any], *paths: str, **more: Any) -> None:
        """An operation on paths, whose result is the same."""
        results = self.both(
            operation,
            lambda: function(*(f"{self.mounted}/{path}" for path in paths), **more),
            lambda: function(*(f"{self.local}/{path}" for path in paths), **more),
        )
        assert results is None or results[0] == results[1], operation

    def same_on(self, operation: str, file: Open, function: Callable[..., Any], *more: Any) -> None:
        results = self.both(
            operation,
            lambda: function(file.mounted, *more),
            lambda: function(file.local, *more),
        )
        assert results is None or results[0] == results[1], operation

    def check(self) -> None:
        """Both trees are the same, and every open file."""
        assert tree(self.mounted, self.contents) == tree(self.local, self.contents)
        for file in self.files:
            named = os.fstat(file.local).st_nlink
            operation = "fstat" if named else "fstat of an unlinked file"
            self.same_on(operation, file, lambda fd: os.fstat(fd).st_size)
            if self.contents and file.flags & os.O_ACCMODE != os.O_WRONLY:
                self.same_on("pread", file, os.pread, 30_000, 0)

    # -- open files ---------------------------------------------------------------------------

    @rule(path=PATHS, access=ACCESS, modifiers=MODIFIERS)
    def open(self, path: str, access: int, modifiers: set[int]) -> None:
        flags = access | sum(modifiers)
        if access == os.O_RDONLY:
            flags &= ~os.O_TRUNC  # POSIX leaves open what that does
        if len(self.files) > 5:
            self.close(0)
        results = self.both(
            "open",
            lambda: os.open(f"{self.mounted}/{path}", flags, 0o644),
            lambda: os.open(f"{self.local}/{path}", flags, 0o644),
        )
        if results is not None:
            mounted, local = results
            file = Open(mounted, local, flags)
            self.files.append(file)
            if stat.S_ISDIR(os.fstat(file.local).st_mode):
                self.close(-1)
        self.check()

    def pick(self, number: int) -> Open:
        return self.files[number % len(self.files)]

    @precondition(lambda self: self.files)
    @rule(number=st.integers(0, 5), offset=OFFSETS, size=SIZES)
    def pread(self, number: int, offset: int, size: int) -> None:
        self.same_on("pread", self.pick(number), os.pread, size, offset)

    @precondition(lambda self: self.files)
    @rule(number=st.integers(0, 5), offset=OFFSETS, data=DATA)
    def pwrite(self, number: int, offset: int, data: bytes) -> None:
        """With O_APPEND it appends, on Linux."""
        self.same_on("pwrite", self.pick(number), os.pwrite, data, offset)
        self.check()

    @precondition(lambda self: self.files)
    @rule(number=st.integers(0, 5), data=DATA)
    def write(self, number: int, data: bytes) -> None:
        self.same_on("write", self.pick(number), os.write, data)
        self.check()

    @precondition(lambda self: self.files)
    @rule(number=st.integers(0, 5), size=SIZES)
    def ftruncate(self, number: int, size: int) -> None:
        self.same_on("ftruncate", self.pick(number), os.ftruncate, size)
        self.check()

    @precondition(lambda self: self.files)
    @rule(number=st.integers(0, 5))
    def fsync(self, number: int) -> None:
        self.same_on("fsync", self.pick(number), os.fsync)
        self.check()

    @precondition(lambda self: self.files)
    @rule(number=st.integers(0, 5))
    def close_one(self, number: int) -> None:
        self.close(number % len(self.files))
        self.check()

    def close(self, index: int) -> None:
        self.same_on("close", self.files.pop(index), os.close)

    # -- names --------------------------------------------------------------------------------

    @rule(path=PATHS, size=SIZES)
    def truncate(self, path: str, size: int) -> None:
        self.same("truncate", lambda name: os.truncate(name, size), path)
        self.check()

    @rule(old=PATHS, new=PATHS)
    def rename(self, old: str, new: str) -> None:
        self.same("rename", os.rename, old, new)
        self.check()

    @rule(path=PATHS)
    def unlink(self, path: str) -> None:
        self.same("unlink", os.unlink, path)
        self.check()

    @rule(path=PATHS)
    def mkdir(self, path: str) -> None:
        self.same("mkdir", os.mkdir, path)
        self.check()

    @rule(path=PATHS)
    def rmdir(self, path: str) -> None:
        self.same("rmdir", os.rmdir, path)
        self.check()

    @rule(path=PATHS)
    def look(self, path: str) -> None:
        self.same("stat", facts, path)
        self.same("listdir", lambda name: sorted(os.listdir(name)), path)

    @rule(path=PATHS)
    def read(self, path: str) -> None:
        self.same("read", content, path)

    @rule(path=PATHS, data=DATA)
    def save(self, path: str, data: bytes) -> None:
        """What most programs do."""
        self.same("save", save, path, data=data)
        self.check()

    # -- the mount ----------------------------------------------------------------------------

    @rule(dice=st.integers(1, 8))
    def remount(self, dice: int) -> None:
        """Not each time: it takes as long as a hundred other steps."""
        if dice == 6:
            while self.files:
                self.close(0)
            with self.world.unmounted() as root:
                assert tree(f"{root}/{self.name}", True) == tree(self.local, True)
            assert tree(self.mounted, True) == tree(self.local, True)

    def teardown(self) -> None:
        for file in self.files:
            os.close(file.local)
            with contextlib.suppress(OSError):  # compared before, or the test has failed
                os.close(file.mounted)
        try:
            assert tree(self.mounted, True) == tree(self.local, True)
        finally:
            shutil.rmtree(self.local)
            shutil.rmtree(self.mounted)


def _attempt(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except OSError as error:
        return error


def _meaning(result: object) -> int:
    """The errno of a failure, else 0."""
    if not isinstance(result, OSError):
        return 0
    assert result.errno is not None
    return result.errno


def _allowed(operation: str, wanted: Any) -> set[int]:
    number = _meaning(wanted)
    return {number} | SAME_MEANING.get((operation, number), set())


def facts(path: str) -> tuple[bool, int]:
    """Whether it is a directory, and a file's size."""
    status = os.stat(path)
    is_directory = stat.S_ISDIR(status.st_mode)
    return is_directory, 0 if is_directory else status.st_size


def content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def save(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def tree(top: str, contents: bool) -> dict[str, object]:
    """Everything below a directory: names, sizes, and contents if wanted."""
    found: dict[str, object] = {}
    for name in os.listdir(top):
        path = f"{top}/{name}"
        is_directory, size = facts(path)
        if is_directory:
            found[name] = tree(path, contents)
        else:
            found[name] = (size, content(path) if contents else b"")
    return found


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    kind, mode = request.param
    root = f"{tmp_path}/root"
    os.mkdir(root)
    with SERVERS[kind](root) as server, home_directory() as (home, path):
        made = World(server, MODES[mode], home, path)
        yield made
        made.unmount()


@pytest.mark.parametrize(
    "world",
    list(itertools.product(SERVERS, MODES)),
    indirect=True,
    ids=lambda param: "-".join(param),
)
def test_a_mount_does_what_a_local_directory_does(world: World) -> None:
    machine = type("Machine", (Machine,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
