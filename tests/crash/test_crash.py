"""The mount's process is killed at a random moment while programs write.

After the next mount of the URL each file on the server holds the last version that was
acknowledged (its close or fsync returned), or the one that was being written: whole, nothing older
and no mixture. Files that were there before count as acknowledged.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mounts import assert_ended, assert_healthy, ftpfs, home_directory, mount_at
from servers import Running, Server, pyftpdlib_server, vsftpd_server

from ftpfs.content.journal import EntryState, read_records

pytestmark = [pytest.mark.mounted, pytest.mark.timeout(1800)]

SERVERS: dict[str, Callable[[str], Running]] = {
    "pyftpdlib": pyftpdlib_server,
    # A STOR whose client died before it connected keeps the file locked for this time, else 60 s.
    "vsftpd": functools.partial(vsftpd_server, accept_timeout=1),
}
MODES = {"default": (), "writeback": ("writeback",)}
LONG = bool(os.environ.get("FTPFS_TEST_LONG"))
ROUNDS = 130 if LONG else 13  # for each server and mode
KINDS = ("new", "overwrite", "append", "change")
WRITER = os.path.join(os.path.dirname(__file__), "writer.py")
KILL_S = (0.05, 0.4)  # after the writers are ready
BIG_BYTES = 20 << 20  # large enough to be changed in place
ENDING_S = 20.0


@dataclass
class Version:
    digest: str
    size: int


@dataclass
class Known:
    """What may be on the server of one file: the last version, and one on its way."""

    acknowledged: Version | None = None
    begun: Version | None = None


@dataclass
class Totals:
    """What the rounds of one test put at stake."""

    rounds: int = 0
    idle: int = 0
    versions: int = 0
    bytes: int = 0
    unsent: int = 0
    unsent_bytes: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds (and {self.idle} with nothing at stake): {self.versions}"
            f" versions of {self.bytes:,} bytes acknowledged; at the kill the journals had"
            f" {self.unsent} entries of {self.unsent_bytes:,} bytes; {self.files} files compared"
        )


@dataclass(frozen=True)
class Template:
    """The files that are there before, to be copied for each round."""

    path: str
    versions: dict[str, Version | None]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    path = str(tmp_path_factory.mktemp("template"))
    sizes = {"big": BIG_BYTES, "log-0": 0, "log-1": 30_000}
    sizes |= {f"old-{n}": 40_000 * n + 1 for n in range(4)}
    for name, size in sizes.items():
        with open(f"{path}/{name}", "wb") as file:
            file.write(random.Random(name).randbytes(size))
    yield Template(path, {name: version_of(f"{path}/{name}") for name in sizes})
    shutil.rmtree(path)


@pytest.mark.parametrize("options", MODES.values(), ids=MODES)
@pytest.mark.parametrize("kind", SERVERS)
def test_what_was_acknowledged_survives_a_kill(
    kind: str,
    options: tuple[str, ...],
    template: Template,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    totals = Totals()
    moments = random.Random(f"{kind} {options}")
    root = f"{tmp_path}/root"
    os.mkdir(root)
    with SERVERS[kind](root) as server:
        while totals.rounds < ROUNDS and not totals.problems:
            shutil.copytree(template.path, root, dirs_exist_ok=True)
            known = {name: Known(version) for name, version in template.versions.items()}
            crash(server, options, moments, known, totals)
            for name in os.listdir(root):
                os.unlink(f"{root}/{name}")
            assert totals.idle <= ROUNDS, "the writers get nothing done"
    with capsys.disabled():
        print(f"\n  {request.node.name.partition('[')[2].rstrip(']')}: {totals}")
    if totals.problems:
        pytest.fail("\n".join(totals.problems), pytrace=False)


def crash(
    server: Server,
    options: tuple[str, ...],
    moments: random.Random,
    known: dict[str, Known],
    totals: Totals,
) -> None:
    """One round, which adds to `totals`; `known` is what the server holds at its beginning."""
    with home_directory() as (home, path):
        mount = mount_at(home, path, server.url, *options)
        seed = totals.rounds + 100 * totals.idle + 1
        with writers(home, path, seed) as records:
            time.sleep(moments.uniform(*KILL_S))
            os.kill(mount.pid, signal.SIGKILL)
            assert_ended(mount.pid)
        before = totals.versions
        for record in records:
            read_record(record, known, totals)
        totals.rounds += totals.versions > before
        totals.idle += totals.versions == before
        count_unsent(home, totals)
        again = mount_at(home, path, server.url, *options)  # clears the dead one away
        done = ftpfs("umount", path, home=home)
        assert done.returncode == 0, done.stderr  # it may speak of what was never closed
        assert_ended(again.pid)
        found = compare(server.root, known, totals)
        left = ftpfs("recover", "--list", server.url, home=home).stdout
        if found:
            last = "".join(again.log().splitlines(keepends=True)[-400:])
            found += [f"left in the journal:\n{left}", f"the end of the log:\n{last}"]
        totals.problems += found
        assert_healthy(again)


@contextlib.contextmanager
def writers(home: str, path: str, seed: int) -> Iterator[list[str]]:
    """Programs of each kind, at work in the block; their records are whole after it."""
    records, running = [], []
    with contextlib.ExitStack() as stack:
        for kind in KINDS:
            records.append(f"{home}/{kind}.jsonl")
            argv = [sys.executable, "-S", "-E", WRITER, kind, path, records[-1], str(seed)]
            process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            running.append(process)
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield records
        for process in running:
            _, said = process.communicate(timeout=ENDING_S)
            assert (process.returncode, said) == (0, "")


def read_record(path: str, known: dict[str, Known], totals: Totals) -> None:
    """Take over what a writer's record says of its files."""
    with open(path, encoding="utf-8") as record:
        for line in record:
            facts = json.loads(line)
            file = known.setdefault(facts["name"], Known())
            version = Version(facts["digest"], facts["size"])
            if facts["what"] == "begun":
                file.begun = version
                continue
            if version != file.acknowledged:
                totals.versions += 1
                totals.bytes += facts["bytes"]
            file.acknowledged = version


def count_unsent(home: str, totals: Totals) -> None:
    """What the killed process had in its journal."""
    for directory in glob.glob(f"{home}/.cache/ftpfs/spool/*/mount-*"):
        for record in read_records(directory):
            if record.state in (EntryState.PENDING, EntryState.SENDING):
                totals.unsent += 1
                totals.unsent_bytes += record.dirty.size


def compare(root: str, known: dict[str, Known], totals: Totals) -> list[str]:
    """What is wrong on the server's disk, a line for each file."""
    names = os.listdir(root)
    problems = [f"{name}: nobody else changed the file" for name in names if "conflict" in name]
    for name, file in known.items():
        if file.acknowledged is None:
            continue  # a new file of which nothing was promised
        totals.files += 1
        found = version_of(f"{root}/{name}")
        if found is None or found not in (file.acknowledged, file.begun):
            problems.append(f"{name}: {found} is none of {file}")
    return problems


def version_of(path: str) -> Version | None:
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    return Version(digest, os.path.getsize(path))
