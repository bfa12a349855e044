"""Lends sessions. Knows no verb.

Shared by all threads. `_changed` (a Condition) guards every field below it; sockets are opened
and closed outside of it. A request waits in one of two queues, metadata before transfers, first
come first served in each, so that a long read cannot starve `stat`:

- transfers never hold more than limit - 1 sessions, where the limit is 2 or more: one is always
  there for metadata;
- with a limit of 1 the only session goes to whoever is first, and a running stream sees
  `lease.wanted` and gives it back;
- what may be asked for soon is fetched over sessions that nobody waits for (`reserve`): never the
  last one, and given back as soon as anybody waits.

The limit sinks to what is open when the server refuses one more (421, 530 "too many"), at the login
or later, and rises again by one after LIMIT_TRIED_AGAIN_S, at once by another where that went well.
A password that was accepted before, and is refused while sessions are open, means the same.
Where nothing of ours is open, others have taken every place: then it is tried again until the
request's time is over, but for the first one of all, which is told at once.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from ftpfs.config import LIMIT_PAUSE_S, LIMIT_TRIED_AGAIN_S, SPARES_PAUSE_S
from ftpfs.errors import ConnectionLimitError, DeadlineError, LoginError, NetworkError
from ftpfs.session.connection import OpenSession, Session

log = logging.getLogger(__name__)


class Purpose(enum.Enum):
    METADATA = "metadata"
    TRANSFER = "transfer"
    SPARE = "spare"  # a transfer that nobody asked for yet


class Lease:
    """Ownership of one session until `release`; also a context manager."""

    def __init__(self, pool: Pool, session: Session, purpose: Purpose, fresh: bool) -> None:
        self._pool = pool
        self.session = session
        self.purpose = purpose
        self.fresh = fresh  # just opened: a failure is not that of a connection gone stale

    @property
    def wanted(self) -> bool:
        """Whether somebody waits who could be served with this session."""
        return self._pool.waits_for(self)

    def release(self) -> None:
        """Give the session back; a broken one is closed. May be called twice."""
        self._pool.give_back(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class Pool:
    """Sessions of one server, at most `limit` at a time: what the server allows by our knowledge,
    and never more than `most`."""

    def __init__(
        self,
        open_session: OpenSession,
        limit: int,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        most: int | None = None,
    ) -> None:
        # set once
        self._open_session = open_session
        self._timeout_s = timeout_s
        self._clock = clock
        # guarded by _changed
        self._changed = threading.Condition()
        self._limit = limit
        self._most = max(limit, most or limit)
        self._rises_s: float | None = None  # when; None: so long after the next `close_idle`
        self._idle: list[tuple[Session, float]] = []  # with the time it became idle
        self._leased: set[Lease] = set()
        self._opening = 0
        self._opening_transfers = 0
        self._queues: dict[Purpose, deque[object]] = {
            p: deque() for p in (Purpose.METADATA, Purpose.TRANSFER)
        }
        self._yielding: set[Lease] = set()  # told to come back: one for each request that waits
        self._spares_from_s = 0.0  # none before
        self._closed = False
        self._welcome = False  # the server has let us in before

    @property
    def limit(self) -> int:
        """How many sessions the server is known, or configured, to allow."""
        with self._changed:
            return self._limit

    def make_room(self, sessions: int) -> None:
        """Allow at least so many where fewer were asked for, unless the server has refused that."""
        with self._changed:
            if self._limit == self._most < sessions:
                self._limit = self._most = sessions
                self._changed.notify_all()

    def lease(self, purpose: Purpose, wait_s: float | None = None) -> Lease:
        """A session for the caller alone, waited for as long as one reply or for `wait_s` seconds.

        Raises DeadlineError when none comes free in time, and what opening one raises.
        """
        deadline = self._clock() + (self._timeout_s if wait_s is None else wait_s)
        while True:
            session, stale = self._next_session(purpose, deadline)
            for old in stale:
                old.close()
            if session is not None:
                return self._lend(session, purpose, fresh=False)
            try:
                session = self._open_session()
            except ConnectionLimitError as error:
                if not self._learn_limit(purpose, error) and not self._try_later(deadline):
                    raise
                continue
            except LoginError as error:
                if not self._learn_limit(purpose, error):
                    raise
                continue
            except BaseException:
                self._opened(purpose)
                raise
            return self._lend(session, purpose, fresh=True)

    def reserve(self) -> bool:
        """Room for a session that nobody waits for, if there is any; then `lease_reserved` or
        `cancel`. Never blocks."""
        with self._changed:
            if self._closed or any(self._queues.values()):
                return False
            if self._clock() < self._spares_from_s:
                return False
            if self._limit < 3 or self._transfers_locked() >= self._limit - 1:
                return False
            if len(self._leased) + self._opening >= self._limit:
                return False
            self._count_locked(Purpose.SPARE, 1)
            return True

    def lease_reserved(self) -> Lease:
        """The session that was reserved. Raises what opening one raises; the room is gone then, and
        where it is no limit of the server's, none is reserved for SPARES_PAUSE_S."""
        with self._changed:
            session, stale = self._warmest_locked()
        for old in stale:
            old.close()
        if session is not None:
            return self._lend(session, Purpose.SPARE, fresh=False)
        try:
            session = self._open_session()
        except (ConnectionLimitError, LoginError) as error:
            self._learn_limit(Purpose.SPARE, error)
            raise
        except BaseException:
            with self._changed:
                self._spares_from_s = self._clock() + SPARES_PAUSE_S
            self.cancel()
            raise
        return self._lend(session, Purpose.SPARE, fresh=True)

    def cancel(self) -> None:
        """What was reserved is not needed."""
        self._opened(Purpose.SPARE)

    def close(self) -> None:
        """Close idle sessions now and leased ones as they come back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for session, _ in idle:
            session.close()

    def abandon(self) -> None:
        """Close this process's copies of idle sessions without a word: a child has them now."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
        for session, _ in idle:
            session.abandon()

    # -- taking -------------------------------------------------------------------------------

    def _next_session(
        self, purpose: Purpose, deadline: float
    ) -> tuple[Session | None, list[Session]]:
        """An idle session, or None when the caller may open one; and sessions to be closed."""
        ticket = object()
        with self._changed:
            queue = self._queues[purpose]
            queue.append(ticket)
            try:
                while not self._may_take_locked(ticket, purpose):
                    left = deadline - self._clock()
                    if left <= 0:
                        raise DeadlineError(
                            f"no connection came free within {self._timeout_s:g} s"
                            f" (limit {self._limit})"
                        )
                    self._changed.wait(left)
                return self._take_locked(purpose)
            finally:
                queue.remove(ticket)
                self._changed.notify_all()

    def _may_take_locked(self, ticket: object, purpose: Purpose) -> bool:
        if self._closed:
            raise NetworkError("the mount is shutting down")
        if self._queues[purpose][0] is not ticket:
            return False
        if purpose is Purpose.TRANSFER:
            if self._transfers_locked() >= max(1, self._limit - 1):
                return False
            if self._limit == 1 and self._queues[Purpose.METADATA]:
                return False
        return len(self._leased) + self._opening < self._limit

    def _transfers_locked(self) -> int:
        lent = sum(lease.purpose is not Purpose.METADATA for lease in self._leased)
        return lent + self._opening_transfers

    def _take_locked(self, purpose: Purpose) -> tuple[Session | None, list[Session]]:
        # Counted as being opened until _lend, so that the limit holds in between.
        self._count_locked(purpose, 1)
        return self._warmest_locked()

    def _warmest_locked(self) -> tuple[Session | None, list[Session]]:
        """The idle session that was used last; and those that are of no use any more."""
        stale: list[Session] = []
        now = self._clock()
        while self._idle:
            session, since = self._idle.pop()
            if _is_good(session, now - since):
                return session, stale
            stale.append(session)
        return None, stale

    def _count_locked(self, purpose: Purpose, step: int) -> None:
        self._opening += step
        self._opening_transfers += step if purpose is not Purpose.METADATA else 0

    def _lend(self, session: Session, purpose: Purpose, *, fresh: bool) -> Lease:
        lease = Lease(self, session, purpose, fresh)
        with self._changed:
            self._count_locked(purpose, -1)
            self._leased.add(lease)
            self._welcome = True
            if fresh and len(self._leased) + len(self._idle) == self._limit:
                self._rises_s = 0.0  # the server may allow more
        return lease

    def _opened(self, purpose: Purpose) -> None:
        with self._changed:
            self._count_locked(purpose, -1)
            self._changed.notify_all()

    def _learn_limit(self, purpose: Purpose, error: ConnectionLimitError | LoginError) -> bool:
        """Whether to queue up, now that the server refused one more session.

        False where no session of ours is open, or about to be: then waiting would not help.
        """
        with self._changed:
            self._count_locked(purpose, -1)
            self._changed.notify_all()
            meant = self._welcome or isinstance(error, ConnectionLimitError)
            return meant and self._sink_locked()

    def _sink_locked(self) -> bool:
        """The server takes no more sessions than there are; False where there is none."""
        mine = len(self._leased) + len(self._idle) + self._opening
        if 0 < mine < self._limit:
            self._limit = mine
            self._rises_s = None
            log.warning("the server allows %d connections; using no more", mine)
        return mine > 0

    def _try_later(self, deadline: float) -> bool:
        """Wait a moment, where the server has let us in before: others have taken every place."""
        with self._changed:
            left = deadline - self._clock()
            if not self._welcome or self._closed or left <= 0:
                return False
            self._changed.wait(min(left, LIMIT_PAUSE_S))
            return True

    # -- giving back --------------------------------------------------------------------------

    def give_back(self, lease: Lease) -> None:
        """Take a lease's session back; nothing happens when it was given back before."""
        session = lease.session
        with self._changed:
            if lease not in self._leased:
                return
            self._leased.remove(lease)
            self._yielding.discard(lease)
            keep = not session.broken and not self._closed
            if keep:
                self._idle.append((session, self._clock()))
            elif session.over_limit:
                self._sink_locked()
            self._changed.notify_all()
        if not keep:
            session.close()

    def waits_for(self, lease: Lease) -> bool:
        """Whether a request waits that this lease's session would serve, and no other lease has
        been told so for it: four streams that made room for one request would begin anew, all."""
        with self._changed:
            if lease not in self._leased:
                return False
            waiting = len(self._queues[Purpose.TRANSFER])
            if lease.purpose is Purpose.SPARE or self._limit == 1:
                waiting += len(self._queues[Purpose.METADATA])
            if len(self._yielding) < waiting:
                self._yielding.add(lease)
            return waiting > 0 and lease in self._yielding

    def close_idle(self) -> None:
        """Close sessions unused for long, or closed by the server, and let the limit rise; called
        now and then by the mount's thread."""
        now = self._clock()
        with self._changed:
            self._rise_locked(now)
            good = [(s, since) for s, since in self._idle if _is_good(s, now - since)]
            stale = [each[0] for each in self._idle if each not in good]
            self._idle = good
        for session in stale:
            session.close()

    def _rise_locked(self, now: float) -> None:
        """Let one more connection be tried, where the last refusal is long ago."""
        if self._rises_s is None:
            self._rises_s = now + LIMIT_TRIED_AGAIN_S
        elif self._limit < self._most and now >= self._rises_s:
            self._limit += 1
            self._rises_s = None
            log.debug("%d connections may be tried again", self._limit)
            self._changed.notify_all()


def _is_good(session: Session, idle_s: float) -> bool:
    """Whether an idle session is in step, and the server will not close it any moment."""
    return idle_s <= session.idle_s and session.usable()
