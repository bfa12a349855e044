"""A program that writes in a mount until the mount dies, and keeps a record outside of it.

    python writer.py KIND DIRECTORY RECORD SEED

Each line of the record is JSON: `begun` when a version is about to be written, `acknowledged` when
the close or fsync of it has returned. `digest` is that of the whole file, `size` its length,
`bytes` how much of it this version wrote. Files that are there already are versions, too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import random
import sys
from collections.abc import Callable, Iterator

DEAD = (errno.ENOTCONN, errno.ECONNABORTED)
MAX_BYTES = 200_000
FSYNCED = 0.3  # share of versions that are synced before they are closed


class Writer:
    def __init__(self, directory: str, record: str, seed: int) -> None:
        self._directory = directory
        self._random = random.Random(seed)
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._contents: dict[str, bytearray] = {}
        self._serial = seed * 1000

    # -- the programs -------------------------------------------------------------------------

    def new(self) -> None:
        """A file of a new name."""
        self._serial += 1
        self._write_whole(f"new-{self._serial}", os.O_CREAT | os.O_EXCL)

    def overwrite(self) -> None:
        """A file that is there is written anew."""
        self._write_whole(f"old-{self._random.randrange(4)}", os.O_TRUNC)

    def _write_whole(self, name: str, flags: int) -> None:
        data = self._random.randbytes(self._random.randrange(1, MAX_BYTES))
        with self._version(name, data, len(data)) as acknowledge:
            fd = os.open(self._path(name), os.O_WRONLY | flags)
            with self._closing(fd):
                self._write_all(fd, data)
                self._sometimes_synced(fd, acknowledge)

    def append(self) -> None:
        """Lines are added to a file, several while it is open."""
        name = f"log-{self._random.randrange(2)}"
        content = self._content(name)
        fd = os.open(self._path(name), os.O_WRONLY | os.O_APPEND)
        with contextlib.ExitStack() as closed_last:
            for _ in range(self._random.randrange(1, 4)):
                os.fsync(fd)
                closed_last.close()  # the version before is acknowledged
                line = self._random.randbytes(self._random.randrange(1, 5000))
                content += line
                closed_last.enter_context(self._version(name, content, len(line)))
                self._write_all(fd, line)
            os.close(fd)

    def change(self) -> None:
        """A large file is changed in several places."""
        content = self._content("big")
        spots = [self._random.randrange(len(content) - 9000) for _ in range(4)]
        data = [self._random.randbytes(self._random.randrange(1, 9000)) for _ in spots]
        for offset, piece in zip(spots, data, strict=True):
            content[offset : offset + len(piece)] = piece
        with self._version("big", content, sum(map(len, data))) as acknowledge:
            fd = os.open(self._path("big"), os.O_RDWR)
            with self._closing(fd):
                for offset, piece in zip(spots, data, strict=True):
                    assert os.pwrite(fd, piece, offset) == len(piece)
                self._sometimes_synced(fd, acknowledge)

    # -- common -------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"

    def _content(self, name: str) -> bytearray:
        """What a file holds that only this program writes to."""
        if name not in self._contents:
            with open(self._path(name), "rb") as file:
                self._contents[name] = bytearray(file.read())
        return self._contents[name]

    def _write_all(self, fd: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            done += os.write(fd, data[done : done + 70_000])

    @contextlib.contextmanager
    def _closing(self, fd: int) -> Iterator[None]:
        try:
            yield
        finally:
            os.close(fd)

    def _sometimes_synced(self, fd: int, acknowledge: Callable[[], None]) -> None:
        if self._random.random() < FSYNCED:
            os.fsync(fd)
            acknowledge()

    def _begin(self, name: str, content: bytes | bytearray, count: int) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        facts = {"name": name, "digest": digest, "size": len(content), "bytes": count}
        self._say("begun", **facts)
        return facts

    @contextlib.contextmanager
    def _version(
        self, name: str, content: bytes | bytearray, count: int
    ) -> Iterator[Callable[[], None]]:
        """A version; acknowledged at the end of the block, or before by calling what is given."""
        facts = self._begin(name, content, count)
        yield lambda: self._say("acknowledged", **facts)
        self._say("acknowledged", **facts)

    def _say(self, what: str, **facts: object) -> None:
        os.write(self._record, json.dumps({"what": what, **facts}).encode() + b"\n")


def main(kind: str, directory: str, record: str, seed: str) -> int:
    writer = Writer(directory, record, int(seed))
    program: Callable[[], None] = getattr(writer, kind)
    if kind == "change":
        writer._content("big")  # which takes a while
    print("ready", flush=True)
    while True:
        try:
            program()
        except OSError as error:
            if error.errno in DEAD:
                return 0
            raise


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
