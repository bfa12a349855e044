"""A random exerciser of one file, after fsx: every way to read and write it, in any order.

The file is compared with a buffer in memory at each read, its size after each operation, and the
server's own file whenever everything has been sent. A seed gives the same operations each time.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mounts import mounted
from servers import Running, pyftpdlib_server, vsftpd_server

pytestmark = pytest.mark.mounted

SERVERS: dict[str, Callable[[str], Running]] = {
    "pyftpdlib": pyftpdlib_server,
    "vsftpd": vsftpd_server,
}
OPERATIONS = 20_000
MAX_BYTES = 256 << 10
MAX_STEP_BYTES = 32 << 10
BIG_BYTES = 20 << 20  # large enough to be changed in place
SHOWN = 50  # operations shown when one fails


class Exerciser:
    """One file, what it must hold, and the operations so far."""

    def __init__(self, path: str, seed: int, max_bytes: int) -> None:
        self.path = path
        self._random = random.Random(seed)
        self._max = max_bytes
        with open(path, "a+b") as file:
            file.seek(0)
            self.expected = bytearray(file.read())
        self.log: deque[str] = deque(maxlen=SHOWN)
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR)
        self._end_fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)

    def close(self) -> None:
        os.close(self._end_fd)
        os.close(self._fd)

    def run(self, operations: int, weights: dict[str, float]) -> None:
        chosen = self._random.choices(list(weights), list(weights.values()), k=operations)
        for number, name in enumerate(chosen):
            self.log.append(f"{number}: {name}")
            operation: Callable[[], None] = getattr(self, name)
            operation()
            assert os.fstat(self._fd).st_size == len(self.expected), "size"

    # -- operations ---------------------------------------------------------------------------

    def pread(self) -> None:
        offset, length = self._span(len(self.expected))
        if self._random.random() < 0.5:  # past the kernel's cache, to the file system
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        self._compare(offset, os.pread(self._fd, length, offset), length)

    def mmap_read(self) -> None:
        if not self.expected:
            return
        offset, length = self._span(len(self.expected))
        with mmap.mmap(self._fd, len(self.expected), access=mmap.ACCESS_READ) as mapping:
            self._compare(offset, mapping[offset : offset + length], length)

    def _compare(self, offset: int, found: bytes, length: int) -> None:
        wanted = bytes(self.expected[offset : offset + length])
        if found != wanted:
            pairs = enumerate(zip(found, wanted, strict=False))
            first = next((n for n, (a, b) in pairs if a != b), min(len(found), len(wanted)))
            pytest.fail(
                f"{len(found)} bytes for {len(wanted)}, first difference at {offset + first}"
            )

    def pwrite(self) -> None:
        # Now and then beyond the end, which leaves a hole.
        limit = min(len(self.expected) + 4096, self._max - MAX_STEP_BYTES)
        offset, length = self._span(limit)
        data = self._random.randbytes(length)
        assert os.pwrite(self._fd, data, offset) == length
        self._grow(offset)
        self.expected[offset : offset + length] = data

    def mmap_write(self) -> None:
        if not self.expected:
            return
        offset, length = self._span(len(self.expected))
        length = min(length, len(self.expected) - offset)
        data = self._random.randbytes(length)
        with mmap.mmap(self._fd, len(self.expected)) as mapping:
            mapping[offset : offset + length] = data
            mapping.flush()
        self.expected[offset : offset + length] = data

    def append(self) -> None:
        length = self._random.randrange(1, 4096)
        if len(self.expected) + length > self._max:
            return
        data = self._random.randbytes(length)
        assert os.write(self._end_fd, data) == length
        self.expected += data

    def ftruncate(self) -> None:
        size = self._new_size()
        os.ftruncate(self._fd, size)
        self._resize(size)

    def truncate(self) -> None:
        size = self._new_size()
        os.truncate(self.path, size)
        self._resize(size)

    def fsync(self) -> None:
        os.fsync(self._fd)

    def reopen(self) -> None:
        self.close()
        self._open()

    # -- the reference ------------------------------------------------------------------------

    def _span(self, limit: int) -> tuple[int, int]:
        """An offset up to `limit`, often on a page's border or 0, and a length."""
        offset = self._random.randrange(limit + 1)
        kind = self._random.random()
        if kind < 0.3:
            offset -= offset % 4096
        elif kind < 0.33:
            offset = 0
        length = self._random.choice((1, 100, 4096, MAX_STEP_BYTES))
        length = self._random.randrange(1, length + 1)
        self._note(f"{offset}+{length}")
        return offset, length

    def _new_size(self) -> int:
        near = max(0, len(self.expected) + self._random.randrange(-9000, 9000))
        anywhere = self._random.randrange(self._max)
        size = min(self._random.choice((near, near, anywhere)), self._max)
        self._note(f"{len(self.expected)} to {size}")
        return size

    def _note(self, text: str) -> None:
        self.log[-1] += f" {text}"

    def _grow(self, size: int) -> None:
        self.expected += bytes(max(0, size - len(self.expected)))

    def _resize(self, size: int) -> None:
        self._grow(size)
        del self.expected[size:]


@contextlib.contextmanager
def exerciser(
    kind: str, root: str, seed: int, *options: str, size: int = 0, max_bytes: int = MAX_BYTES
) -> Iterator[Exerciser]:
    """An exerciser of a file of `size` bytes; at its end the server's file is compared."""
    os.mkdir(root)
    with open(f"{root}/file", "wb") as file:
        file.write(random.Random(seed).randbytes(size))
    try:
        with SERVERS[kind](root) as server, mounted(server.url, *options) as mount:
            made = Exerciser(f"{mount.path}/file", seed, max_bytes)
            try:
                yield made
            except BaseException as error:
                error.add_note("the last operations:\n" + "\n".join(made.log))
                raise
            finally:
                made.close()
        with open(f"{root}/file", "rb") as file:
            assert file.read() == bytes(made.expected), "on the server"
        assert os.listdir(root) == ["file"]
    finally:
        os.unlink(f"{root}/file")


WEIGHTS = {
    "pread": 40,
    "pwrite": 40,
    "append": 8,
    "ftruncate": 10,
    "truncate": 0.3,  # these send the file
    "fsync": 0.4,
    "reopen": 0.4,
    "mmap_read": 0.4,
    "mmap_write": 0.4,
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", SERVERS)
def test_20000_operations_agree_with_a_buffer(kind: str, seed: int, tmp_path: Path) -> None:
    with exerciser(kind, f"{tmp_path}/root", seed) as file:
        file.run(OPERATIONS, WEIGHTS)


@pytest.mark.parametrize("kind", SERVERS)
def test_5000_operations_agree_with_a_buffer_while_workers_send(kind: str, tmp_path: Path) -> None:
    with exerciser(kind, f"{tmp_path}/root", 4, "writeback") as file:
        file.run(OPERATIONS // 4, {**WEIGHTS, "reopen": 2, "mmap_read": 2})


@pytest.mark.parametrize("options", [(), ("writeback",)], ids=["default", "writeback"])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_large_file_is_changed_in_place_as_a_buffer_is(
    kind: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    weights = dict.fromkeys(("append", "fsync", "reopen"), 8.0)
    weights |= {"pread": 40, "pwrite": 40, "mmap_write": 1}
    root, limit = f"{tmp_path}/root", BIG_BYTES + (4 << 20)
    with exerciser(kind, root, 5, *options, size=BIG_BYTES, max_bytes=limit) as file:
        file.run(1000, weights)
