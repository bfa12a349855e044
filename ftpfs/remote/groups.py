"""One command for many paths, several to a packet."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from ftpfs.config import GROUP_COMMANDS
from ftpfs.errors import FtpfsError, NetworkError
from ftpfs.remote.answers import time_of
from ftpfs.remote.calls import Calls
from ftpfs.session.pool import Lease, Purpose
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.reply import Reply

log = logging.getLogger(__name__)

Failures = dict[str, FtpfsError]


class Groups:
    """Changes to many names of one server. Any thread; keeps nothing."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def change(
        self,
        verb: str,
        paths: Sequence[str],
        alone: Callable[[str], None],
        done: type[FtpfsError],
    ) -> Failures:
        """Run `verb` for each path, in order; what went wrong, by path.

        `alone` does one on its own: for those whose reply was lost, where the error `done` means
        that it had been done before.
        """
        failures: Failures = {}
        for plain, group in itertools.groupby(paths, self._calls.is_plain):
            if not plain:
                self._one_by_one(group, alone, failures, ())
                continue
            for some in _batched(group, GROUP_COMMANDS):
                with self._calls.pool.lease(Purpose.METADATA) as lease:
                    lost = self._together(verb, some, lease, failures)
                self._one_by_one(lost, alone, failures, (done,))
        return failures

    def times(self, paths: Sequence[str]) -> dict[str, int]:
        """The exact times of files, ns since the epoch; of those that the server tells."""
        found: dict[str, int] = {}
        for plain, group in itertools.groupby(paths, self._calls.is_plain):
            for some in _batched(group, GROUP_COMMANDS if plain else 1):
                for path, reply in zip(some, self._asked("MDTM", some), strict=True):
                    if (mtime_ns := time_of(reply)) is not None:
                        found[path] = mtime_ns
        return found

    def _asked(self, verb: str, paths: list[str]) -> list[Reply]:
        return self._calls.repeating(
            lambda session: session.exchange(
                *((verb, self._calls.reach(session, path)) for path in paths)
            )
        )

    def _one_by_one(
        self,
        paths: Iterable[str],
        alone: Callable[[str], None],
        failures: Failures,
        done: tuple[type[FtpfsError], ...],
    ) -> None:
        for path in paths:
            try:
                alone(path)
            except done:
                log.debug("%s: done before its reply was lost", path)
            except FtpfsError as error:
                failures[path] = error

    def _together(self, verb: str, group: list[str], lease: Lease, failures: Failures) -> list[str]:
        """Those of the group that nothing was heard of, as the connection was lost."""
        try:
            replies = lease.session.exchange(*((verb, self._calls.server_path(p)) for p in group))
            for path, reply in zip(group, replies, strict=True):
                if not reply.ok:
                    failures[path] = self._explained(verb, path, reply, lease)
        except NetworkError as error:
            log.debug("%s of %d names: connection lost: %s", verb, len(group), error)
            return [path for path in group if path not in failures]
        return []

    def _explained(self, verb: str, path: str, reply: Reply, lease: Lease) -> FtpfsError:
        return self._calls.explain(lease.session, path, ReplyError(verb, reply))


def _batched(paths: Iterable[str], size: int) -> Iterator[list[str]]:
    names = iter(paths)
    while batch := list(itertools.islice(names, size)):
        yield batch
