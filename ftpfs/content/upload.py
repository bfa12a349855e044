"""Brings one version of a file to the server, by the cheapest way that is safe there.

Called by the thread that closes the file, or by a write-back worker. Holds nothing; what is
learnt of the server is in the Remote.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

from ftpfs.content.plan import Plan, choose
from ftpfs.content.ranges import RangeSet
from ftpfs.content.spool import Spool
from ftpfs.errors import ChangedError, UnsupportedError
from ftpfs.remote.api import Fingerprint, Remote, Stored

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """What is to be sent: `spool` holds `size` bytes, of which `dirty` differ from `base`, the
    file on the server (None: there is none). `mode`: permission bits of the file it replaces."""

    path: str
    spool: Spool
    size: int
    base: Fingerprint | None
    dirty: RangeSet
    mode: int | None


@dataclass(frozen=True)
class Steps:
    """What the sender's owner does on the way: `complete` brings the missing bytes into the
    spool; `secure` puts spool and journal on the disk before the server's only good copy is
    touched; `untouched` says that it was not, after all."""

    complete: Callable[[], None]
    secure: Callable[[], None]
    untouched: Callable[[], None]


class Uploader:
    """Chooses and carries out the plan."""

    def __init__(self, remote: Remote, *, patching: bool) -> None:
        self._remote = remote
        self._patching = patching

    def _choose(self, version: Version) -> Plan:
        return choose(
            base_size=None if version.base is None else version.base.size,
            size=version.size,
            dirty=version.dirty,
            patching=self._patching,
        )

    def needs_all(self, version: Version) -> bool:
        """Whether sending takes the whole content, not only what changed."""
        return self._choose(version) in (Plan.CREATE, Plan.REPLACE)

    def send(self, version: Version, steps: Steps, *, again: bool = False) -> Stored:
        """The server has the version when this returns.

        `again`: an attempt to change the file in place broke off; the server's file is in
        between, and only the same ranges, or the whole, make it right.
        """
        plan = self._choose(version)
        there = None
        if plan in (Plan.APPEND, Plan.PATCH):
            there = self._changeable(plan, version, again=again)
            plan = Plan.REPLACE if there is None else plan
        log.debug("%s: %s, %d bytes changed", version.path, plan.value, version.dirty.size)
        if plan is Plan.APPEND and there is not None:
            try:
                return self._append(version, steps, there)
            except UnsupportedError as error:
                log.info("%s: sent whole: %s", version.path, error)
                steps.untouched()
        if plan is Plan.PATCH and (ranges := self._addressable(version)) is not None:
            return self._patch(version, steps, ranges)
        if version.base is not None and version.spool.missing() and not again:
            self._check_unchanged(version, version.base)
        steps.complete()
        version.spool.extend()
        if plan is Plan.CREATE:
            return self._remote.store(version.path, version.spool.file, version.size)
        return self._replace(version, steps)

    def _changeable(self, plan: Plan, version: Version, *, again: bool) -> Fingerprint | None:
        """The server's file, if it is still the one that the changes were made to."""
        if plan is Plan.PATCH and not self._remote.can_patch(version.path):
            return None
        now = self._remote.fingerprint(version.path)
        base = version.base
        if now is None or base is None:
            return None
        if again:
            return now if base.size <= now.size <= version.size else None
        return now if now.matches(base) else None

    def _check_unchanged(self, version: Version, base: Fingerprint) -> None:
        """Raises ChangedError where the bytes missing here would come from another version."""
        now = self._remote.fingerprint(version.path)
        if now is None or not now.matches(base):
            raise ChangedError(
                f"{version.path}: changed on the server since it was opened; the two are not mixed"
            )

    def _append(self, version: Version, steps: Steps, there: Fingerprint) -> Stored:
        """Goes on behind what a broken append left there."""
        if there.size == version.size:
            return Stored(there.size, there.mtime_ns)
        steps.secure()
        version.spool.extend()
        return self._remote.append(version.path, version.spool.file, there.size, version.size)

    def _addressable(self, version: Version) -> list[tuple[int, int]] | None:
        """The ranges that REST + STOR can reach; None where that does not do.

        Offset 0 it cannot: STOR there cuts the file (vsftpd, ProFTPD, pyftpdlib). A change that
        begins there is sent from byte 1 on if byte 0 stays the same, as in the first page of a
        database, which has a fixed text there and changes with every transaction.
        """
        ranges = list(version.dirty)
        start, end = ranges[0]
        if start > 0:
            return ranges
        if self._first_byte(version.path) != os.pread(version.spool.file.fileno(), 1, 0):
            return None
        return [(1, end), *ranges[1:]] if end > 1 else ranges[1:]

    def _first_byte(self, path: str) -> bytes:
        buffer = bytearray(1)
        with contextlib.closing(self._remote.open_read(path, 0)) as download:
            return bytes(buffer[: download.readinto(memoryview(buffer))])

    def _patch(self, version: Version, steps: Steps, ranges: list[tuple[int, int]]) -> Stored:
        steps.secure()
        version.spool.extend()
        return self._remote.patch(version.path, version.spool.file, ranges, version.size)

    def _replace(self, version: Version, steps: Steps) -> Stored:
        try:
            return self._remote.replace(
                version.path, version.spool.file, version.size, version.mode
            )
        except UnsupportedError as error:
            log.info("%s: replaced where it lies: %s", version.path, error)
        steps.secure()
        return self._remote.store(version.path, version.spool.file, version.size)
