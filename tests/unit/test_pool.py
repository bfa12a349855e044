"""The pool on sessions that do nothing. A waiter is known to wait by the clock it has read."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ftpfs.config import IDLE_SESSION_S, LIMIT_TRIED_AGAIN_S, SPARES_PAUSE_S
from ftpfs.errors import (
    ConnectionLimitError,
    DeadlineError,
    FtpfsError,
    LoginError,
    NetworkError,
)
from ftpfs.session.connection import Session
from ftpfs.session.pool import Lease, Pool, Purpose

METADATA, TRANSFER = Purpose.METADATA, Purpose.TRANSFER
JOIN_S = 20.0


class FakeSession:
    def __init__(self) -> None:
        self.broken = False
        self.over_limit = False
        self.idle_s = IDLE_SESSION_S
        self.in_step = True
        self.closed = 0
        self.abandoned = 0

    def usable(self) -> bool:
        return self.in_step and not self.broken

    def close(self) -> None:
        self.closed += 1

    def abandon(self) -> None:
        self.abandoned += 1


class Clock:
    """Real time, moved on by hand, that tells how often each thread has read it.

    A request reads it when it comes, when it may open a session, and, with the pool's lock in its
    hands, each time it finds that it has to wait.
    """

    def __init__(self) -> None:
        self.ahead = 0.0
        self._reads: dict[str, int] = {}
        self._changed = threading.Condition()

    def __call__(self) -> float:
        with self._changed:
            name = threading.current_thread().name
            self._reads[name] = self._reads.get(name, 0) + 1
            self._changed.notify_all()
        return time.monotonic() + self.ahead

    def wait_until_waiting(self, name: str, tries: int) -> None:
        """`tries`: how often it is let through to open a session before."""
        with self._changed:
            reads = 2 + tries
            assert self._changed.wait_for(lambda: self._reads.get(name, 0) >= reads, JOIN_S)


class Server:
    """Opens sessions, at most `room` at a time, and remembers them."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.sessions: list[FakeSession] = []
        self.refused = 0
        self.error: FtpfsError | None = None
        self.before: Callable[[], None] = lambda: None

    def open(self) -> Session:
        self.before()
        if self.error is not None:
            raise self.error
        if sum(s.closed == 0 for s in self.sessions) >= self.room:
            self.refused += 1
            raise ConnectionLimitError("421 too many connections")
        self.sessions.append(FakeSession())
        return self.sessions[-1]  # type: ignore[return-value]  # a fake of it


class Request:
    """A lease asked for on a thread of its own."""

    _numbers = itertools.count(1)

    def __init__(self, pool: Pool, purpose: Purpose, served: list[Request]) -> None:
        self.lease: Lease | None = None
        self.error: FtpfsError | None = None
        self.name = f"request-{next(self._numbers)}"
        self._pool, self._purpose, self._served = pool, purpose, served
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.lease = self._pool.lease(self._purpose)
            self._served.append(self)
        except FtpfsError as error:
            self.error = error
        self._done.set()

    def result(self) -> Lease:
        self._thread.join(JOIN_S)
        assert not self._thread.is_alive(), "not served"
        assert self.lease is not None, self.error
        return self.lease

    def failure(self) -> FtpfsError:
        self._thread.join(JOIN_S)
        assert self.error is not None
        return self.error

    @property
    def waits(self) -> bool:
        return not self._done.is_set()


class Setup:
    def __init__(self, limit: int, room: int = 100, timeout_s: float = JOIN_S) -> None:
        self.server = Server(room)
        self.clock = Clock()
        self.pool = Pool(self.server.open, limit, timeout_s, self.clock)
        self.served: list[Request] = []  # in the order in which they were

    def waiting(self, purpose: Purpose, tries: int = 0) -> Request:
        """A request that waits by now."""
        request = Request(self.pool, purpose, self.served)
        self.clock.wait_until_waiting(request.name, tries)
        assert request.waits
        return request

    def request(self, purpose: Purpose) -> Request:
        return Request(self.pool, purpose, self.served)

    def drained(self) -> None:
        """Nothing is counted any more that is not there."""
        self.pool.close()
        assert all(session.closed == 1 for session in self.server.sessions)
        assert self.pool._opening == self.pool._opening_transfers == 0
        assert not self.pool._leased
        assert not any(self.pool._queues.values())


@contextmanager
def setup(limit: int, room: int = 100, timeout_s: float = JOIN_S) -> Iterator[Setup]:
    it = Setup(limit, room, timeout_s)
    yield it
    it.drained()


# -- one at a time --------------------------------------------------------------------------------


def test_a_session_is_kept_and_lent_again() -> None:
    with setup(limit=3) as it:
        with it.pool.lease(METADATA) as first:
            assert first.fresh
        with it.pool.lease(TRANSFER) as second:
            assert not second.fresh
            assert second.session is first.session
        assert len(it.server.sessions) == 1


def test_the_last_used_session_is_lent_first() -> None:
    with setup(limit=3) as it:
        first, second = it.pool.lease(METADATA), it.pool.lease(METADATA)
        second.release()
        first.release()
        with it.pool.lease(METADATA) as third:
            assert third.session is first.session


def test_release_twice_gives_back_once() -> None:
    with setup(limit=1) as it:
        lease = it.pool.lease(METADATA)
        lease.release()
        lease.release()
        with it.pool.lease(METADATA) as again:
            lease.release()  # of somebody else's by now
            assert not lease.wanted
            assert again.session is lease.session
            waiting = it.waiting(METADATA)
        waiting.result().release()


def test_an_exception_in_the_block_gives_the_session_back() -> None:
    with setup(limit=1) as it:
        with pytest.raises(LoginError), it.pool.lease(METADATA):
            raise LoginError("whatever")
        it.pool.lease(METADATA).release()
        assert len(it.server.sessions) == 1


def test_a_broken_session_is_dropped() -> None:
    with setup(limit=1) as it:
        with it.pool.lease(METADATA) as lease:
            lease.session.broken = True
        assert it.server.sessions[0].closed == 1
        with it.pool.lease(METADATA) as lease:
            assert lease.fresh


def test_a_session_out_of_step_is_dropped_when_it_would_be_lent() -> None:
    with setup(limit=2) as it:
        first, second = it.pool.lease(METADATA), it.pool.lease(METADATA)
        first.release()
        second.release()
        it.server.sessions[1].in_step = False
        with it.pool.lease(METADATA) as lease:
            assert lease.session is first.session
            assert not lease.fresh
        assert [session.closed for session in it.server.sessions] == [0, 1]


def test_a_session_too_long_unused_is_dropped() -> None:
    with setup(limit=1) as it:
        it.pool.lease(METADATA).release()
        it.clock.ahead = IDLE_SESSION_S + 1
        with it.pool.lease(METADATA) as lease:
            assert lease.fresh
        assert it.server.sessions[0].closed == 1


def test_close_idle_closes_only_what_is_too_long_unused() -> None:
    with setup(limit=2) as it:
        old, kept = it.pool.lease(METADATA), it.pool.lease(METADATA)
        old.release()
        it.clock.ahead = IDLE_SESSION_S + 1
        kept.release()
        it.pool.close_idle()
        assert [session.closed for session in it.server.sessions] == [1, 0]
        with it.pool.lease(METADATA) as lease:
            assert lease.session is kept.session


def test_what_opening_raises_reaches_the_caller_and_frees_the_place() -> None:
    with setup(limit=1) as it:
        it.server.error = LoginError("530")
        with pytest.raises(LoginError):
            it.pool.lease(TRANSFER)
        it.server.error = None
        it.pool.lease(TRANSFER).release()


# -- closing --------------------------------------------------------------------------------------


def test_close_ends_idle_sessions_now_and_leased_ones_later() -> None:
    with setup(limit=2) as it:
        idle, leased = it.pool.lease(METADATA), it.pool.lease(METADATA)
        idle.release()
        it.pool.close()
        assert [session.closed for session in it.server.sessions] == [1, 0]
        leased.release()
        assert it.server.sessions[1].closed == 1
        with pytest.raises(NetworkError):
            it.pool.lease(METADATA)


def test_close_wakes_who_waits() -> None:
    with setup(limit=1) as it:
        lease = it.pool.lease(METADATA)
        waiting = it.waiting(METADATA)
        it.pool.close()
        assert type(waiting.failure()) is NetworkError
        lease.release()


def test_abandon_says_nothing_to_the_server() -> None:
    it = Setup(limit=1)
    it.pool.lease(METADATA).release()
    it.pool.abandon()
    assert (it.server.sessions[0].closed, it.server.sessions[0].abandoned) == (0, 1)


# -- waiting --------------------------------------------------------------------------------------


def test_with_a_limit_of_one_they_take_turns() -> None:
    with setup(limit=1) as it:
        lease = it.pool.lease(TRANSFER)
        assert not lease.wanted
        waiting = it.waiting(METADATA)
        assert lease.wanted
        lease.release()
        assert waiting.result().session is lease.session
        waiting.result().release()
        assert len(it.server.sessions) == 1


@pytest.mark.parametrize("purpose", [METADATA, TRANSFER])
def test_waiting_ends_with_an_error(purpose: Purpose) -> None:
    with setup(limit=1, timeout_s=0.01) as it, it.pool.lease(purpose):
        with pytest.raises(DeadlineError, match="limit 1"):
            it.pool.lease(purpose)
        assert not it.pool._queues[purpose]


def test_first_come_first_served() -> None:
    with setup(limit=1) as it:
        lease = it.pool.lease(METADATA)
        requests = [it.waiting(METADATA) for _ in range(3)]
        for request in requests:
            lease.release()
            lease = request.result()
        lease.release()
        assert it.served == requests


def test_one_who_gave_up_does_not_hold_up_the_others() -> None:
    with setup(limit=1, timeout_s=0.2) as it:
        lease = it.pool.lease(METADATA)
        impatient = it.waiting(METADATA)
        it.clock.ahead += 3600  # whoever comes now has an hour more
        patient = it.waiting(METADATA)
        it.clock.ahead -= 3600
        assert isinstance(impatient.failure(), DeadlineError)
        lease.release()
        patient.result().release()


def test_metadata_goes_before_transfers_at_a_limit_of_one() -> None:
    with setup(limit=1) as it:
        for _ in range(3):
            it.served.clear()
            lease = it.pool.lease(TRANSFER)
            transfers = [it.waiting(TRANSFER) for _ in range(5)]
            metadata = it.waiting(METADATA)
            lease.release()
            metadata.result().release()
            for transfer in transfers:
                transfer.result().release()
            assert it.served == [metadata, *transfers]


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_one_session_stays_for_metadata(limit: int) -> None:
    with setup(limit) as it:
        transfers = [it.pool.lease(TRANSFER) for _ in range(limit - 1)]
        late = it.waiting(TRANSFER)
        it.pool.lease(METADATA).release()  # at once, though a transfer waits
        assert late.waits
        assert len(it.server.sessions) == limit
        transfers.pop().release()
        late.result().release()
        for lease in transfers:
            lease.release()


def test_metadata_may_take_every_session() -> None:
    with setup(limit=3) as it:
        leases = [it.pool.lease(METADATA) for _ in range(3)]
        waiting = it.waiting(METADATA)
        leases.pop().release()
        waiting.result().release()
        for lease in leases:
            lease.release()


def test_wanted() -> None:
    with setup(limit=2) as it:
        transfer = it.pool.lease(TRANSFER)
        metadata = it.pool.lease(METADATA)
        assert not transfer.wanted
        waiting = it.waiting(METADATA)
        assert not transfer.wanted, "metadata has a session of its own"
        metadata.release()
        waiting.result().release()
        other = it.waiting(TRANSFER)
        assert transfer.wanted
        transfer.release()
        assert not transfer.wanted, "it was given back"
        other.result().release()


def test_for_each_who_waits_one_is_wanted() -> None:
    with setup(limit=4) as it:
        leases = [it.pool.lease(TRANSFER) for _ in range(3)]
        first = it.waiting(TRANSFER)
        assert [lease.wanted for lease in leases] == [True, False, False]
        second = it.waiting(TRANSFER)
        assert [lease.wanted for lease in reversed(leases)] == [True, False, True]
        leases[0].release()
        first.result().release()
        second.result().release()
        assert not any(lease.wanted for lease in leases), "nobody waits any more"
        for lease in leases:
            lease.release()


# -- the server's limit ---------------------------------------------------------------------------


def test_the_limit_is_learnt_from_a_refused_login() -> None:
    with setup(limit=5, room=2) as it:
        leases = [it.pool.lease(METADATA), it.pool.lease(METADATA)]
        waiting = it.waiting(METADATA, tries=1)
        assert it.server.refused == 1
        assert it.pool.limit == 2
        leases[0].release()
        waiting.result().release()
        leases[1].release()
        assert it.server.refused == 1


def full(it: Setup) -> list[Lease]:
    """All sessions that the server allows, which is known by now."""
    leases = [it.pool.lease(METADATA), it.pool.lease(METADATA)]
    waiting = it.waiting(METADATA, tries=1)
    leases.pop().release()
    leases.append(waiting.result())
    assert (it.server.refused, it.pool.limit) == (1, 2)
    return leases


def test_the_limit_rises_again_after_a_while() -> None:
    """Others had taken places at that time: one more is tried, and another where that goes well."""
    with setup(limit=4, room=2) as it:
        leases = full(it)
        for _ in range(2):
            it.pool.close_idle()
            assert it.pool.limit == 2, "not yet"
        it.server.room = 4
        it.clock.ahead = LIMIT_TRIED_AGAIN_S
        for limit in (3, 4):
            it.pool.close_idle()
            assert it.pool.limit == limit
            leases.append(it.pool.lease(METADATA))
        for lease in leases:
            lease.release()
        assert it.server.refused == 1


def test_a_limit_that_is_still_there_is_no_error() -> None:
    """Who tries one more is refused by the server, and waits for those that are there."""
    with setup(limit=4, room=2) as it:
        leases = full(it)
        it.pool.close_idle()
        it.clock.ahead = LIMIT_TRIED_AGAIN_S
        it.pool.close_idle()
        assert it.pool.limit == 3
        waiting = it.waiting(METADATA, tries=1)
        it.pool.close_idle()
        assert (it.server.refused, it.pool.limit) == (2, 2), "not at once again"
        leases[0].release()
        waiting.result().release()
        leases[1].release()


def test_a_limit_of_an_earlier_mount_rises_too() -> None:
    server, clock = Server(), Clock()
    pool = Pool(server.open, 1, JOIN_S, clock, most=2)
    pool.close_idle()
    assert pool.limit == 1
    clock.ahead = LIMIT_TRIED_AGAIN_S
    for _ in range(2):
        pool.close_idle()
        assert pool.limit == 2
    pool.close()


def test_room_is_made_for_what_cannot_do_with_less_unless_the_server_refused_it() -> None:
    with setup(limit=1) as it, it.pool.lease(METADATA):
        it.pool.make_room(2)
        it.pool.make_room(1)
        assert it.pool.limit == 2
        it.pool.lease(METADATA).release()
    with setup(limit=2, room=1) as it:
        with it.pool.lease(METADATA):
            waiting = it.waiting(METADATA, tries=1)
            it.pool.make_room(2)
            assert it.pool.limit == 1
            assert waiting.waits
        waiting.result().release()


def test_with_the_limit_one_session_is_for_metadata_again() -> None:
    with setup(limit=5, room=2) as it:
        leases = [it.pool.lease(TRANSFER), it.pool.lease(TRANSFER)]
        waiting = it.waiting(TRANSFER, tries=1)
        assert it.pool.limit == 2
        leases[0].release()  # one transfer is all there may be now
        with it.pool.lease(METADATA):
            assert waiting.waits
        leases[1].release()
        waiting.result().release()


def test_a_session_that_the_server_closes_as_one_too_many_lowers_the_limit() -> None:
    with setup(limit=5) as it:
        kept, extra = it.pool.lease(METADATA), it.pool.lease(METADATA)
        extra.session.broken = extra.session.over_limit = True
        extra.release()
        assert it.pool.limit == 1
        kept.release()


def test_where_others_have_taken_every_place_it_is_tried_again() -> None:
    """Ours was closed meanwhile; the second try finds a place."""
    with setup(limit=2, room=0) as it:
        it.server.room = 1
        it.pool.lease(METADATA).release()
        it.clock.ahead = IDLE_SESSION_S + 1
        it.pool.close_idle()
        it.server.room = 0
        it.server.before = lambda: setattr(it.server, "room", min(it.server.refused, 1))
        it.pool.lease(METADATA).release()
        assert it.server.refused == 1
        assert it.pool.limit == 2


def test_a_server_that_allows_less_idling_is_obeyed() -> None:
    with setup(limit=2) as it:
        it.pool.lease(METADATA).release()
        it.server.sessions[0].idle_s = 10.0
        it.clock.ahead = 11.0
        with it.pool.lease(METADATA) as lease:
            assert lease.fresh
        assert it.server.sessions[0].closed == 1


def test_what_the_server_has_closed_is_not_kept() -> None:
    with setup(limit=2) as it:
        it.pool.lease(METADATA).release()
        it.server.sessions[0].in_step = False
        it.pool.close_idle()
        assert it.server.sessions[0].closed == 1


def test_a_refusal_while_nothing_is_open_is_an_error() -> None:
    with setup(limit=5, room=0) as it:
        with pytest.raises(ConnectionLimitError):
            it.pool.lease(METADATA)
        assert it.server.refused == 1  # the first one of all does not wait
        assert it.pool.limit == 5


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_password_refused_while_others_are_open_lowers_the_limit(purpose: Purpose) -> None:
    """It was accepted before: there is room for no more."""
    with setup(limit=5) as it:
        kept = it.pool.lease(METADATA)
        it.server.error = LoginError("530 Login incorrect.")
        if purpose is Purpose.SPARE:
            assert it.pool.reserve()
            with pytest.raises(LoginError):
                it.pool.lease_reserved()
        else:
            waiting = it.waiting(purpose, tries=1)
            kept.release()
            waiting.result().release()
        assert it.pool.limit == 1
        kept.release()


def test_a_password_refused_while_none_is_open_is_not_tried_again() -> None:
    """It was changed: who tries on is locked out."""
    with setup(limit=5) as it:
        it.pool.lease(METADATA).release()
        it.clock.ahead = IDLE_SESSION_S + 1
        it.server.error = LoginError("530 Login incorrect.")
        tries: list[None] = []
        it.server.before = lambda: tries.append(None)
        with pytest.raises(LoginError):
            it.pool.lease(METADATA)
        assert len(tries) == 1
        assert it.pool.limit == 5


def test_a_refusal_while_another_one_logs_in_is_no_error() -> None:
    """Two come at once to a server that takes one: the second waits for the first."""
    with setup(limit=5, room=1) as it:
        logging_in, go_on = threading.Event(), threading.Event()

        def stall() -> None:
            it.server.before = lambda: None
            it.server.room = 0  # its place is taken from now on
            logging_in.set()
            assert go_on.wait(JOIN_S)
            it.server.room = 1

        it.server.before = stall
        first = it.request(METADATA)
        assert logging_in.wait(JOIN_S)
        second = it.waiting(METADATA, tries=1)
        assert it.pool.limit == 1
        go_on.set()
        first.result().release()
        second.result().release()
        assert len(it.server.sessions) == 1


def test_a_reserved_session_is_never_the_last_one() -> None:
    with setup(limit=3) as it:
        assert [it.pool.reserve() for _ in range(3)] == [True, True, False]
        spare = it.pool.lease_reserved()
        it.pool.cancel()
        assert it.pool.reserve()
        it.pool.cancel()
        reading = it.pool.lease(TRANSFER)
        assert not it.pool.reserve(), "that one is for metadata"
        spare.release()
        reading.release()


@pytest.mark.parametrize("limit", [1, 2])
def test_with_few_sessions_none_is_reserved(limit: int) -> None:
    with setup(limit=limit) as it:
        assert not it.pool.reserve()


@pytest.mark.parametrize("purpose", [METADATA, TRANSFER])
def test_a_spare_session_is_wanted_by_anybody(purpose: Purpose) -> None:
    with setup(limit=3) as it:
        assert it.pool.reserve()
        spare = it.pool.lease_reserved()
        assert not spare.wanted
        others = [it.pool.lease(METADATA), it.pool.lease(METADATA)]
        waiting = it.waiting(purpose)
        assert spare.wanted
        assert not it.pool.reserve()
        spare.release()
        waiting.result().release()
        for other in others:
            other.release()


def test_a_reserved_session_that_cannot_be_opened_leaves_its_room() -> None:
    with setup(limit=3) as it:
        assert it.pool.reserve()
        it.server.error = NetworkError("away")
        with pytest.raises(NetworkError):
            it.pool.lease_reserved()
        it.server.error = None
        assert not it.pool.reserve(), "a moment later it is the same"
        it.clock.ahead = SPARES_PAUSE_S
        assert it.pool.reserve()
        it.pool.cancel()


def test_many_at_once_never_exceed_the_limit() -> None:
    with setup(limit=3) as it:
        most = itertools.count()
        held: set[Session] = set()
        lock = threading.Lock()

        def lease_of(purpose: Purpose) -> Lease | None:
            if purpose is not Purpose.SPARE:
                return it.pool.lease(purpose)
            return it.pool.lease_reserved() if it.pool.reserve() else None

        def work(purpose: Purpose) -> None:
            for _ in range(50):
                lent = lease_of(purpose)
                if lent is None:
                    continue
                with lent as lease:
                    with lock:
                        assert lease.session not in held, "lent twice"
                        held.add(lease.session)
                    time.sleep(0)  # the others have their turn
                    with lock:
                        held.remove(lease.session)
                    if purpose is not Purpose.SPARE:
                        next(most)

        threads = [threading.Thread(target=work, args=(p,)) for p in list(Purpose) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(JOIN_S)
        assert next(most) == 8 * 50
        assert len(it.server.sessions) <= 3
