"""One version of a file, read over streams whose every byte the test lets through."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from fakes.turns import Paced, Turns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import eventually

from ftpfs.cache.blocks import BlockCache
from ftpfs.config import (
    AHEAD_FILE_BYTES,
    AHEAD_WHOLE_BYTES,
    BLOCK_BYTES,
    KIB,
    SKIP_GAP_BYTES,
    STREAMS_PER_FILE,
    WINDOW_ELSEWHERE_BYTES,
    WINDOW_FIRST_BYTES,
    WINDOW_MAX_BYTES,
)
from ftpfs.content.reader import Reader
from ftpfs.content.segments import Verdict
from ftpfs.content.stream import Source, State, Stream
from ftpfs.content.streams import Streams
from ftpfs.errors import (
    ChangedError,
    DeniedError,
    FtpfsError,
    NetworkError,
    TransferError,
    UnsupportedError,
)
from ftpfs.remote.api import Download, Fingerprint

PAGE = 4096
SEGMENT = 2 * BLOCK_BYTES
AHEAD = 3 * SEGMENT


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


BIG = noise(24 * BLOCK_BYTES + 1000)
SMALL = noise(10_000)

MakeReader = Callable[..., tuple[Turns, Reader]]


@pytest.fixture
def make_reader() -> Iterator[MakeReader]:
    """Readers whose streams are gone, and whose spares are back, when the test ends."""
    made: list[tuple[Turns, Reader, int]] = []

    def make(
        data: bytes = BIG, spares: int = 0, verdict: Verdict | None = None
    ) -> tuple[Turns, Reader]:
        server = Turns(data, spares)
        reader = Reader(server.ways(verdict), len(data), BlockCache())
        made.append((server, reader, spares))
        return server, reader

    yield make
    for server, reader, spares in made:
        reader.close()
        server.let_all_go()
        nothing_left(server, spares)


def nothing_left(server: Turns, spares: int) -> None:
    server.until(lambda: all(d.closed for d in server.downloads), "a download left open")
    server.until(lambda: server.spares == spares, "a spare connection left")


def read(server: Turns, reader: Reader, offset: int, size: int) -> bytes:
    """A read that gets what it waits for; nothing beyond it is let through."""

    def short() -> list[Paced]:
        return [d for d in server._standing() if d.at < offset + size]

    with server.reading(reader, offset, size) as one:
        while True:
            server.until(lambda: one.done or bool(short()), "nobody fetches")
            if one.done:
                break
            for download in short():
                download.give_some(min(64 * KIB, offset + size - download.at))
    assert one.error is None, one.error
    assert one.data is not None
    return one.data


# -- one stream -----------------------------------------------------------------------------------


def test_a_read_waits_for_its_own_bytes_only(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    with server.reading(reader, 0, PAGE) as first:
        server.waiting(1)[0].give(PAGE)
    assert first.data == BIG[:PAGE]
    assert server.moved == PAGE, "the window was waited for"


def test_a_stream_runs_no_further_ahead_than_its_window(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    with server.reading(reader, 0, PAGE):
        server.waiting(1)
        server.let_all_go()
    (stream,) = reader._streams._running
    server_limit = PAGE + WINDOW_FIRST_BYTES
    with reader._changed:
        assert reader._changed.wait_for(lambda: stream.state.value == "paused", 10)
    assert server.downloads[0].at <= server_limit


def test_the_window_of_a_sequential_reader_is_bounded(make_reader: MakeReader) -> None:
    server, reader = make_reader(bytes(4 * WINDOW_MAX_BYTES))
    server.let_all_go()
    target = memoryview(bytearray(128 * KIB))
    for offset in range(0, 2 * WINDOW_MAX_BYTES, len(target)):
        assert reader.read_into(target, offset) == len(target)
        assert server.downloads[0].at <= offset + len(target) + WINDOW_MAX_BYTES + BLOCK_BYTES
    assert len(server.downloads) == 1


def test_who_reads_elsewhere_moves_little(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    server.let_all_go()
    offset = 10 * BLOCK_BYTES + 5
    target = memoryview(bytearray(PAGE))
    assert reader.read_into(target, offset) == PAGE
    assert target == BIG[offset : offset + PAGE]
    assert server.downloads[0].offset == offset
    assert server.downloads[0].wide is False
    reader.stop_streams()
    server.until(lambda: server.downloads[0].closed, "the transfer goes on")
    assert server.moved <= PAGE + WINDOW_ELSEWHERE_BYTES


def test_what_is_in_memory_costs_nothing(make_reader: MakeReader) -> None:
    server, reader = make_reader(SMALL)
    assert read(server, reader, 0, 1 << 16) == SMALL
    assert read(server, reader, 5000, 100) == SMALL[5000:5100]
    assert len(server.downloads) == 1


def test_the_end_of_the_file(make_reader: MakeReader) -> None:
    server, reader = make_reader(SMALL)
    assert read(server, reader, len(SMALL) - 10, 100) == SMALL[-10:]
    assert read(server, reader, len(SMALL), 100) == b""
    assert read(server, reader, len(SMALL) + 5, 100) == b""


def test_a_read_slightly_ahead_waits(make_reader: MakeReader) -> None:
    """The requests of one sequential reader come out of order."""
    server, reader = make_reader()
    ahead = 128 * KIB
    with server.reading(reader, ahead, PAGE) as second, server.reading(reader, 0, PAGE) as first:
        (download,) = server.waiting(1)
        download.give(ahead + PAGE)
    assert (first.data, second.data) == (BIG[:PAGE], BIG[ahead : ahead + PAGE])
    assert [d.offset for d in server.downloads] == [0]


def test_a_small_gap_is_read_through(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    read(server, reader, 0, PAGE)
    position = server.downloads[0].at
    assert read(server, reader, position + SKIP_GAP_BYTES, PAGE)
    assert len(server.downloads) == 1
    position = server.downloads[0].at
    assert read(server, reader, position + SKIP_GAP_BYTES + PAGE, PAGE)
    assert len(server.downloads) == 2


def test_streams_of_one_file_are_bounded_and_the_oldest_goes(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    places = [n * 6 * BLOCK_BYTES for n in range(STREAMS_PER_FILE + 2)]
    for offset in places:
        assert read(server, reader, offset, PAGE) == BIG[offset : offset + PAGE]
    server.let_all_go()
    gone = server.downloads[:2]
    server.until(lambda: all(d.closed for d in gone), "the oldest streams are still there")
    assert [d.closed for d in server.downloads[2:]] == [False] * STREAMS_PER_FILE
    assert len(reader._streams._running) == STREAMS_PER_FILE


def test_readers_of_many_places_do_not_end_each_others_streams(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    places = [n * 4 * BLOCK_BYTES for n in range(STREAMS_PER_FILE + 3)]
    with contextlib.ExitStack() as stack:
        reads = [stack.enter_context(server.reading(reader, at, PAGE)) for at in places]
        served: set[Paced] = set()
        while not all(one.done for one in reads):
            server.until(
                lambda: all(one.done for one in reads) or bool(set(server._standing()) - served),
                "nobody fetches",
            )
            for download in set(server._standing()) - served:
                served.add(download)
                download.give_some(PAGE)
    assert [one.data for one in reads] == [BIG[at : at + PAGE] for at in places]
    assert [d for d in server.downloads if d.at == d.offset] == [], "ended before it was of use"


def test_two_readers_share_what_was_read(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    for offset in range(0, 4 * BLOCK_BYTES, BLOCK_BYTES):
        for _ in range(2):
            assert read(server, reader, offset, BLOCK_BYTES) == BIG[offset : offset + BLOCK_BYTES]
    assert len(server.downloads) == 1
    assert server.spans[0][0] == 0


def test_two_readers_that_wait_for_the_same_bytes(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    with server.reading(reader, 0, PAGE) as one, server.reading(reader, 0, PAGE) as other:
        server.waiting(1)[0].give(PAGE)
    assert one.data == other.data == BIG[:PAGE]
    assert len(server.downloads) == 1


def test_an_idle_stream_gives_its_connection_to_who_waits(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    read(server, reader, 0, PAGE)
    server.let_all_go()
    server.want()
    server.until(lambda: server.downloads[0].closed, "the connection is kept")
    assert read(server, reader, 20 * BLOCK_BYTES, PAGE) == BIG[20 * BLOCK_BYTES :][:PAGE]


def test_a_busy_stream_gives_way_after_its_turn(
    make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on where it was, with another connection: the reader sees no gap."""
    monkeypatch.setattr(Streams.begin, "__defaults__", (0.0,))
    server, reader = make_reader()
    size = 4 * BLOCK_BYTES
    with server.reading(reader, 0, size) as one:
        (first,) = server.waiting(1)
        first.give(1000)
        server.waiting(1)
        server.want()
        first.give_some(1000)
        server.until(lambda: first.closed, "it goes on")
        server.wanted = False
        server.let_all_go()
    assert one.data == BIG[:size]
    assert server.downloads[1].offset == 2000


def test_a_read_in_line_begins_no_stream_when_the_reader_is_closed(
    make_reader: MakeReader,
) -> None:
    """The server has another version by then."""
    server, reader = make_reader()
    places = [n * 8 * BLOCK_BYTES for n in range(STREAMS_PER_FILE)]
    with contextlib.ExitStack() as stack:
        for at in places:
            stack.enter_context(server.reading(reader, at, PAGE))
        server.waiting(STREAMS_PER_FILE)
        late = stack.enter_context(server.reading(reader, 20 * BLOCK_BYTES, PAGE))
        eventually(lambda: reader._streams._line, "the read is in line")
        reader.close()
        server.until(lambda: late.done, "it waits on")
        server.let_all_go()
    assert isinstance(late.error, ChangedError)
    assert len(server.downloads) == STREAMS_PER_FILE


# -- without REST ---------------------------------------------------------------------------------


@pytest.fixture
def skipping(make_reader: MakeReader) -> tuple[Turns, Reader]:
    server, reader = make_reader()
    server.seeks, server.behind = False, 10 * BLOCK_BYTES
    return server, reader


def test_what_comes_before_the_offset_is_dropped(skipping: tuple[Turns, Reader]) -> None:
    server, reader = skipping
    server.let_all_go()
    target = memoryview(bytearray(PAGE))
    assert reader.read_into(target, 10 * BLOCK_BYTES) == PAGE
    assert target == BIG[10 * BLOCK_BYTES :][:PAGE]


def test_a_stream_that_skips_can_be_stopped(skipping: tuple[Turns, Reader]) -> None:
    server, reader = skipping
    with server.reading(reader, 10 * BLOCK_BYTES, PAGE) as one:
        (download,) = server.waiting(1)
        reader.close()
        download.give(PAGE)
        server.until(lambda: download.closed, "it goes on")
    assert isinstance(one.error, ChangedError)


def test_a_stream_that_skips_gives_way_after_its_turn(
    skipping: tuple[Turns, Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, reader = skipping
    monkeypatch.setattr(Streams.begin, "__defaults__", (0.0,))
    monkeypatch.setattr("ftpfs.content.stream.SKIP_TURN_S", 0.0)
    with server.reading(reader, 10 * BLOCK_BYTES, PAGE) as one:
        (first,) = server.waiting(1)
        server.want()
        first.give(PAGE)
        server.until(lambda: first.closed, "it goes on")
        server.wanted = False
        server.let_all_go()
    assert one.data == BIG[10 * BLOCK_BYTES :][:PAGE]


def test_a_read_waits_as_long_as_something_is_skipped(
    skipping: tuple[Turns, Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, reader = skipping
    monkeypatch.setattr("ftpfs.content.reader.READ_WAIT_S", 0.5)
    with server.reading(reader, 10 * BLOCK_BYTES, PAGE) as one:
        for _ in range(12):
            server.waiting(1)[0].give(PAGE)
            time.sleep(0.1)
        assert not one.done
        server.let_all_go()
    assert one.data == BIG[10 * BLOCK_BYTES :][:PAGE]


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_refusal_reaches_the_reader(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    server.refusals.append(DeniedError("/f: 550"))
    with server.reading(reader, 0, PAGE) as one:
        pass
    assert isinstance(one.error, DeniedError)
    assert read(server, reader, 0, PAGE) == BIG[:PAGE]


def test_an_error_reaches_all_who_wait(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    with server.reading(reader, 0, PAGE) as one, server.reading(reader, PAGE, PAGE) as other:
        (download,) = server.waiting(1)
        with reader._changed:
            stream = reader._streams._running[0]
        while len(stream.waiting) < 2:
            assert not one.done
            assert not other.done
        download.fail()
    assert isinstance(one.error, NetworkError)
    assert isinstance(other.error, NetworkError)


BREAKS = {
    "lost": lambda d: d.fail(),
    "broken off, as the final reply says": lambda d: d.fail(TransferError("426 broken off")),
    "closed as if that were all": lambda d: d.end(),
}


@pytest.mark.parametrize("breaks", BREAKS.values(), ids=BREAKS)
def test_a_transfer_that_breaks_is_continued_from_the_last_byte(
    make_reader: MakeReader, breaks: Callable[[Paced], None]
) -> None:
    server, reader = make_reader()
    size = 3 * BLOCK_BYTES
    with server.reading(reader, 0, size) as one:
        server.waiting(1)[0].give(BLOCK_BYTES + 1000)
        breaks(server.waiting(1)[0])
        server.opened(2)
        server.let_all_go()
    assert one.error is None
    assert one.data == BIG[:size]
    assert [d.offset for d in server.downloads] == [0, BLOCK_BYTES + 1000]


@pytest.mark.parametrize("breaks", BREAKS.values(), ids=BREAKS)
def test_a_transfer_that_breaks_just_where_the_next_read_begins(
    make_reader: MakeReader, breaks: Callable[[Paced], None]
) -> None:
    server, reader = make_reader()
    with server.reading(reader, 0, PAGE):
        server.waiting(1)[0].give(PAGE)
    with server.reading(reader, PAGE, PAGE) as one:
        stream = reader._streams._running[0]
        server.waiting(1)
        while not stream.waiting:
            assert not one.done
        breaks(server.downloads[0])
        server.opened(2)
        server.let_all_go()
    assert one.error is None
    assert one.data == BIG[PAGE : 2 * PAGE]
    assert [d.offset for d in server.downloads] == [0, PAGE]


@pytest.mark.parametrize("breaks", BREAKS.values(), ids=BREAKS)
def test_a_transfer_that_breaks_without_a_byte_is_an_error(
    make_reader: MakeReader, breaks: Callable[[Paced], None]
) -> None:
    server, reader = make_reader()
    with server.reading(reader, 0, PAGE) as one:
        breaks(server.waiting(1)[0])
    assert isinstance(one.error, NetworkError | TransferError)


def test_a_file_that_got_shorter(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    server.data = BIG[: 2 * BLOCK_BYTES + 7]
    with server.reading(reader, 0, 3 * BLOCK_BYTES) as one:
        server.waiting(1)
        server.let_all_go()
    assert isinstance(one.error, ChangedError)
    assert read(server, reader, 0, BLOCK_BYTES) == BIG[:BLOCK_BYTES], "what it had is not lost"


def test_a_file_that_got_longer_is_read_up_to_its_size(make_reader: MakeReader) -> None:
    server, reader = make_reader(SMALL)
    server.data = SMALL + b"more"
    server.let_all_go()
    target = memoryview(bytearray(len(SMALL) + 100))
    assert reader.read_into(target, 0) == len(SMALL)
    assert target[: len(SMALL)] == SMALL


def test_identified_as_another_version(make_reader: MakeReader) -> None:
    _, reader = make_reader()
    size = len(BIG)
    reader.identity.confirmed(Fingerprint(size, 5_000_000_000), size, reader.identity.epoch)
    reader.identity.confirmed(Fingerprint(size, 5_999_000_000), size, reader.identity.epoch)
    reader.identity.confirmed(Fingerprint(size, None), size, reader.identity.epoch)
    for other in (Fingerprint(size, 6_000_000_000), Fingerprint(size + 1, 5_000_000_000)):
        with pytest.raises(ChangedError):
            reader.identity.confirmed(other, size, reader.identity.epoch)


def test_what_was_asked_before_this_mount_changed_the_file_does_not_count(
    make_reader: MakeReader,
) -> None:
    _, reader = make_reader()
    epoch, longer = reader.identity.epoch, len(BIG) + 7
    reader.identity.changed_here(None)
    assert not reader.identity.confirmed(Fingerprint(len(BIG), 5_000_000_000), len(BIG), epoch)
    assert reader.identity.confirmed(
        Fingerprint(longer, 9_000_000_000), longer, reader.identity.epoch
    )


def test_the_version_is_remembered_when_the_streams_are_stopped(make_reader: MakeReader) -> None:
    """Blocks stay, so what is read next must be of the same version."""
    server, reader = make_reader()
    reader.identity.confirmed(Fingerprint(len(BIG), 5_000_000_000), len(BIG), reader.identity.epoch)
    read(server, reader, 0, PAGE)
    reader.stop_streams()
    with pytest.raises(ChangedError):
        reader.identity.confirmed(
            Fingerprint(len(BIG), 6_000_000_000), len(BIG), reader.identity.epoch
        )


def test_nothing_new_is_read_once_it_is_closed(make_reader: MakeReader) -> None:
    """The server has another version by now: a read that waits must not go on with that one."""
    server, reader = make_reader()
    with server.reading(reader, 0, 2 * BLOCK_BYTES) as one:
        server.waiting(1)[0].give(PAGE)
        reader.close()
        server.let_all_go()
    assert isinstance(one.error, ChangedError)
    assert len(server.downloads) == 1


def test_two_streams_that_meet_in_one_block(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    middle = 5 * BLOCK_BYTES + BLOCK_BYTES // 2
    with server.reading(reader, middle, PAGE) as late:
        server.waiting(1)
        begin = middle - SKIP_GAP_BYTES - BLOCK_BYTES
        with server.reading(reader, begin, middle + PAGE - begin) as early:
            server.waiting(2)
            server.let_all_go()
    assert late.data == BIG[middle : middle + PAGE]
    assert early.data == BIG[begin : middle + PAGE]


# -- ahead of its reader --------------------------------------------------------------------------


def test_a_file_fetched_ahead_is_there(make_reader: MakeReader) -> None:
    server, reader = make_reader(SMALL, spares=1)
    server.let_all_go()
    spare = server.spare()
    assert spare is not None
    reader.expect()
    reader.fetch(spare)
    assert server.spares == 0, "the spare is its owner's to give back"
    spare.close()
    assert read(server, reader, 0, 1 << 16) == SMALL
    assert [d.spare is spare for d in server.downloads] == [True]


def fetching(server: Turns, reader: Reader) -> threading.Thread:
    """The thread of somebody who fetches it."""
    spare = server.spare()
    assert spare is not None

    def run() -> None:
        try:
            reader.fetch(spare)
        except NetworkError:
            pass
        finally:
            spare.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_who_reads_what_is_expected_waits_for_it(make_reader: MakeReader) -> None:
    server, reader = make_reader(SMALL, spares=1)
    server.let_all_go()
    reader.expect()
    with server.reading(reader, 0, 1 << 16) as one:
        thread = fetching(server, reader)
    thread.join()
    assert one.data == SMALL
    assert len(server.downloads) == 1


def test_who_reads_what_is_not_expected_any_more_fetches_it(make_reader: MakeReader) -> None:
    server, reader = make_reader(SMALL, spares=1)
    server.let_all_go()
    reader.expect()
    with server.reading(reader, 0, 1 << 16) as one:
        reader.unexpected()
    assert one.data == SMALL
    fetching(server, reader).join()
    assert [d.spare for d in server.downloads] == [None], "fetched by its reader, and once"


def test_patience_with_a_fetch_that_does_not_come(
    make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftpfs.content.reader.EXPECTED_S", 0.01)
    server, reader = make_reader(SMALL, spares=1)
    server.let_all_go()
    reader.expect()
    assert reader.read_into(memoryview(bytearray(100)), 0) == 100
    fetching(server, reader).join()
    assert len(server.downloads) == 1


@pytest.mark.parametrize("after", [0, 5000])
@pytest.mark.parametrize("error", [NetworkError("lost"), TransferError("426"), DeniedError("550")])
def test_a_fetch_that_fails_is_not_seen_by_its_reader(
    make_reader: MakeReader, error: FtpfsError, after: int
) -> None:
    server, reader = make_reader(SMALL, spares=1)
    reader.expect()
    with server.reading(reader, 0, 1 << 16) as one:
        thread = fetching(server, reader)
        (download,) = server.waiting(1)
        if after:
            download.give(after)
        server.waiting(1)
        download.fail(error)
        thread.join()
        server.opened(2)
        server.let_all_go()
    assert one.error is None
    assert one.data == SMALL
    assert [d.offset for d in server.downloads] == [0, 0]


@pytest.mark.parametrize("size", [AHEAD_WHOLE_BYTES, AHEAD_WHOLE_BYTES + 1])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_fetched_file_that_has_another_size_by_now(
    make_reader: MakeReader, size: int, more: int
) -> None:
    """What is longer is read as far as it was listed; what is shorter is another version."""
    server, reader = make_reader(noise(size), spares=1)
    server.data = noise(size + 1)[: size + more]
    server.let_all_go()
    reader.expect()
    fetching(server, reader).join()
    with server.reading(reader, 0, size) as one:
        pass
    if more < 0:
        assert isinstance(one.error, ChangedError)
    else:
        assert one.data == server.data[:size]
        assert len(server.downloads) == 1


def test_a_file_that_arrives_is_waited_for_as_long_as_it_takes(
    make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow line, a second transfer would only take from the first."""
    monkeypatch.setattr("ftpfs.content.reader.EXPECTED_S", 0.01)
    server, reader = make_reader(SMALL, spares=1)
    reader.expect()
    thread = fetching(server, reader)
    (download,) = server.waiting(1)
    with server.reading(reader, 0, 1 << 16) as one:
        time.sleep(0.05)  # longer than EXPECTED_S
        download.give(len(SMALL))
    thread.join()
    assert one.data == SMALL
    assert len(server.downloads) == 1


def test_who_reads_what_has_arrived_does_not_wait_for_the_final_reply(
    make_reader: MakeReader,
) -> None:
    server, reader = make_reader(SMALL + b"longer", spares=1)
    reader.size = len(SMALL)
    reader.expect()
    thread = fetching(server, reader)
    with server.reading(reader, 0, 1 << 16) as one:
        server.waiting(1)[0].give(len(SMALL))
    assert one.data == SMALL
    server.waiting(1)
    server.let_all_go()
    thread.join()


def test_the_end_of_a_fetch_does_not_call_off_the_next_one(make_reader: MakeReader) -> None:
    """The block may have fallen out before the final reply of its transfer came."""
    server, reader = make_reader(SMALL + b"longer", spares=1)
    reader.size = len(SMALL)
    reader.expect()
    thread = fetching(server, reader)
    server.waiting(1)[0].give(len(SMALL))
    server.waiting(1)  # for the end of the file: its content is here
    reader._blocks.drop(reader._source.file, len(SMALL))
    assert reader.expect()
    server.let_all_go()
    thread.join()
    assert not reader.expect(), "that it is expected was forgotten"


def test_a_large_file_that_was_closed_leaves_its_memory_and_is_read_anew(
    make_reader: MakeReader,
) -> None:
    server, reader = make_reader(BIG)
    server.let_all_go()
    first = read(server, reader, 0, BLOCK_BYTES)
    reader.rest()
    assert read(server, reader, PAGE, PAGE) == first[PAGE : 2 * PAGE]
    assert [d.offset for d in server.downloads] == [0, 0]


def test_a_small_file_that_was_closed_is_kept(make_reader: MakeReader) -> None:
    server, reader = make_reader(noise(AHEAD_FILE_BYTES))
    server.let_all_go()
    first = read(server, reader, 0, BLOCK_BYTES)
    reader.rest()
    assert read(server, reader, 0, BLOCK_BYTES) == first
    assert len(server.downloads) == 1


def test_of_two_streams_the_nearest_is_waited_for(make_reader: MakeReader) -> None:
    server, reader = make_reader(BIG, spares=0)
    there = SKIP_GAP_BYTES + 3 * PAGE
    for count, offset in enumerate((0, there), 1):
        with server.reading(reader, offset, PAGE) as one:
            server.waiting(count)[-1].give(2 * PAGE)
        assert one.data == BIG[offset:][:PAGE]
    behind, nearest = server.downloads
    behind.give(8 * PAGE)  # by now, it is near enough as well
    with server.reading(reader, there + 2 * PAGE, PAGE) as one:
        nearest.give(PAGE)
    assert one.data == BIG[there + 2 * PAGE :][:PAGE]
    assert len(server.downloads) == 2


def test_a_fetch_is_not_cut_short_as_soon_as_somebody_waits(make_reader: MakeReader) -> None:
    """It is a small file, which would have to be fetched again."""
    server, reader = make_reader(noise(2 * AHEAD_WHOLE_BYTES), spares=1)
    reader.expect()
    with server.reading(reader, 0, 1 << 16) as one:
        thread = fetching(server, reader)
        server.want()
        server.waiting(1)[0].give(1)
        server.let_all_go()
        thread.join()
    assert one.data == server.data[: 1 << 16]
    assert len(server.downloads) == 1


def test_a_fetch_gives_way_in_the_middle(
    make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file that takes its time."""
    monkeypatch.setattr(Streams.begin, "__defaults__", (0.0,))
    server, reader = make_reader(noise(2 * AHEAD_WHOLE_BYTES), spares=1)
    reader.expect()
    with server.reading(reader, 0, 1 << 16) as one:
        thread = fetching(server, reader)
        server.want()
        server.waiting(1)[0].give(1)
        thread.join()
        server.until(lambda: server.returned == 1, "the spare is kept")
        server.wanted = False
        server.opened(2)
        server.let_all_go()
    assert one.data == server.data[: 1 << 16]


def test_nothing_is_fetched_of_what_was_closed(make_reader: MakeReader) -> None:
    server, reader = make_reader(SMALL, spares=1)
    reader.expect()
    reader.close()
    fetching(server, reader).join()
    assert server.downloads == []


# -- side by side ---------------------------------------------------------------------------------


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of two blocks; the network is what a reader waits for, whatever the clock says."""
    for name, value in [
        ("content.segments.SEGMENT_BYTES", SEGMENT),
        ("content.segments.SEGMENTS_AHEAD_BYTES", AHEAD),
        ("content.segments.SEGMENTS_AFTER_BYTES", BLOCK_BYTES),
        ("content.segments.SEGMENTS_BELOW_BPS", float("inf")),
        ("content.segments.SEGMENTS_JUDGED_BYTES", 1 << 60),
    ]:
        monkeypatch.setattr(f"ftpfs.{name}", value)


def beside(server: Turns, reader: Reader) -> None:
    """Read until further connections are used: the reader waits for the first block's successor."""
    assert read(server, reader, 0, BLOCK_BYTES) == BIG[:BLOCK_BYTES]
    position = server.downloads[0].at
    with server.reading(reader, position, PAGE):
        server.opened(2)
        server.downloads[0].give(PAGE)


@pytest.mark.usefixtures("small_segments")
def test_a_starved_reader_gets_more_connections(make_reader: MakeReader) -> None:
    server, reader = make_reader(spares=2)
    beside(server, reader)
    server.opened(3)
    assert server.spares == 0
    first, second = (d.offset for d in server.downloads[1:3])
    assert first % BLOCK_BYTES == 0
    assert second == first + SEGMENT


@pytest.mark.usefixtures("small_segments")
def test_a_reader_that_was_behind_and_has_caught_up_gets_them_too(make_reader: MakeReader) -> None:
    server, reader = make_reader(noise(80 * BLOCK_BYTES), spares=2)
    with server.reading(reader, 0, PAGE):
        server.waiting(1)[0].give(PAGE + WINDOW_FIRST_BYTES)
    server.until(lambda: reader._streams._running[0].state is State.PAUSED, "it runs on")
    for offset in range(PAGE, 4 * BLOCK_BYTES, PAGE):
        assert read(server, reader, offset, PAGE) == server.data[offset : offset + PAGE]
    server.opened(3)


@pytest.mark.usefixtures("small_segments")
def test_no_more_than_is_close_ahead(make_reader: MakeReader) -> None:
    server, reader = make_reader(spares=50)
    beside(server, reader)
    furthest = reader._streams._segments._furthest
    assert max(d.offset for d in server.downloads) < furthest + AHEAD
    assert len(server.downloads) <= 1 + AHEAD // SEGMENT


@pytest.mark.usefixtures("small_segments")
def test_without_a_spare_connection_it_goes_on_alone(make_reader: MakeReader) -> None:
    server, reader = make_reader()
    for offset in range(0, len(BIG), BLOCK_BYTES):
        assert read(server, reader, offset, BLOCK_BYTES) == BIG[offset:][:BLOCK_BYTES]
    assert server.spans == [(0, len(BIG))]


@pytest.mark.usefixtures("small_segments")
def test_segments_give_way_at_once_and_the_reader_goes_on(make_reader: MakeReader) -> None:
    server, reader = make_reader(spares=2)
    beside(server, reader)
    server.opened(3)
    server.spares = -10  # no other ones
    server.want()
    for download in server.downloads[1:3]:
        download.give(1)
    server.until(lambda: server.returned == 2, "the spares are kept")
    server.wanted = False
    offset = BLOCK_BYTES
    while offset < len(BIG):
        data = read(server, reader, offset, BLOCK_BYTES)
        assert data == BIG[offset : offset + len(data)]
        offset += len(data)
    server.spares = 2


@pytest.mark.usefixtures("small_segments")
def test_a_read_behind_the_last_segment_is_left_to_who_comes_there(
    make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel asks for what will be read next before the other has come that far."""
    monkeypatch.setattr("ftpfs.content.segments.SEGMENTS_AHEAD_BYTES", SEGMENT)
    server, reader = make_reader(spares=1)
    beside(server, reader)
    end = server.downloads[1].offset + SEGMENT
    for offset in range(BLOCK_BYTES, end - PAGE, PAGE):
        read(server, reader, offset, PAGE)
    with server.reading(reader, end, PAGE) as later:
        read(server, reader, end - PAGE, PAGE)
        read(server, reader, end, PAGE)
    assert later.data == BIG[end : end + PAGE]
    assert len(server.downloads) == 2


@pytest.mark.usefixtures("small_segments")
def test_a_reader_that_goes_elsewhere_takes_no_segments_with_it(make_reader: MakeReader) -> None:
    """What lies between is not wanted: a player that jumps to the end of a film."""
    server, reader = make_reader(noise(80 * BLOCK_BYTES), spares=2)
    data = server.data
    assert read(server, reader, 0, BLOCK_BYTES) == data[:BLOCK_BYTES]
    position = server.downloads[0].at
    with server.reading(reader, position, PAGE):
        server.opened(3)
        server.downloads[0].give(PAGE)
    there = 70 * BLOCK_BYTES
    assert read(server, reader, there, PAGE) == data[there : there + PAGE]
    server.let_all_go()
    server.until(lambda: server.spares == 2, "segments of what is not read are fetched")
    between = [d for d in server.downloads if 12 * BLOCK_BYTES < d.offset < there]
    assert between == []


@pytest.mark.usefixtures("small_segments")
def test_where_it_does_not_help_it_stops(
    make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftpfs.content.segments.SEGMENTS_JUDGED_BYTES", SEGMENT)
    monkeypatch.setattr("ftpfs.content.segments.SEGMENTS_GAIN", float("inf"))
    verdict = Verdict()
    server, reader = make_reader(spares=2, verdict=verdict)
    for offset in range(0, len(BIG), BLOCK_BYTES):
        assert read(server, reader, offset, BLOCK_BYTES) == BIG[offset:][:BLOCK_BYTES]
    assert not reader._streams._segments.on
    assert verdict.not_before > 0
    assert server.moved == len(BIG), "the bytes came once"
    with_spares = [d for d in server.downloads if d.spare is not None]
    assert 0 < len(with_spares) <= 3


@pytest.mark.usefixtures("small_segments")
def test_what_one_transfer_brought_before_does_not_count_as_help(
    make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what arrived since there are several says whether they help."""
    monkeypatch.setattr("ftpfs.content.segments.SEGMENTS_JUDGED_BYTES", 1 << 50)
    verdict = Verdict(not_before=float("inf"))
    server, reader = make_reader(spares=1, verdict=verdict)
    for offset in range(0, 8 * BLOCK_BYTES, BLOCK_BYTES):
        read(server, reader, offset, BLOCK_BYTES)
    verdict.not_before = 0.0
    before = server.downloads[0].at
    with server.reading(reader, before, PAGE):
        server.opened(2)
        server.let_all_go()
    server.until(lambda: server.spares == 1, "the segments are fetched")
    assert reader._streams._segments._received <= server.moved - before


@pytest.mark.usefixtures("small_segments")
def test_where_no_transfer_can_begin_in_the_middle_there_is_one(make_reader: MakeReader) -> None:
    """Found out by the first one that was to: the others would read all from the start again."""
    server, reader = make_reader(spares=2)
    read(server, reader, 0, BLOCK_BYTES)
    position = server.downloads[0].at
    server.refusals += [UnsupportedError("no REST")] * 2
    with server.reading(reader, position, PAGE):
        server.until(lambda: server.returned == 2, "nobody has tried")
        server.seeks = False
        server.downloads[0].give(PAGE)
    offset = BLOCK_BYTES
    while offset < len(BIG):
        data = read(server, reader, offset, BLOCK_BYTES)
        assert data == BIG[offset : offset + len(data)]
        offset += len(data)
    assert [d.offset for d in server.downloads] == [0]


@pytest.mark.usefixtures("small_segments")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_segments_cover_the_file_exactly_once(data: st.DataObject) -> None:
    """Whatever the speeds of the connections, and in whatever order their bytes come."""
    spares = data.draw(st.integers(0, 5), "spares")
    draw = random.Random(data.draw(st.integers(0, 1 << 32), "order"))
    speeds = [draw.choice((1, 3, 40)) for _ in range(32)]
    piece = draw.choice((PAGE, 100_000, BLOCK_BYTES))
    server = Turns(BIG, spares)
    reader = Reader(server.ways(), len(BIG), BlockCache())
    found = bytearray()
    ended = threading.Event()

    def run() -> None:
        target = memoryview(bytearray(piece))
        while count := reader.read_into(target, len(found)):
            found.extend(target[:count])
        with server.changed:
            ended.set()
            server.changed.notify_all()

    program = threading.Thread(target=run)
    program.start()
    try:
        while True:
            server.until(lambda: ended.is_set() or bool(server._standing()), "nobody fetches")
            standing = server.waiting(0)
            if ended.is_set() or not standing:
                break
            weights = [speeds[server.downloads.index(d) % 32] for d in standing]
            draw.choices(standing, weights)[0].give_some(draw.choice((1000, 60_000, BLOCK_BYTES)))
    finally:
        server.let_all_go()
        program.join(20)
        reader.close()
    assert bytes(found) == BIG
    server.until(lambda: server.spares == spares, "a spare connection left")
    end = 0
    for start, stop in server.spans:
        assert start == end, (server.spans, server.downloads)
        end = stop
    assert end == len(BIG)


def test_a_stream_that_is_stopped_before_it_begins_asks_for_no_connection() -> None:
    asked: list[int] = []

    def open_read(offset: int) -> Download:
        asked.append(offset)
        raise NetworkError("nobody wants it any more")

    changed = threading.Condition()
    source = Source(1, 10, BlockCache(), lambda: None)
    stream = Stream(source, open_read, (0, 10), changed, lambda _: None, lambda each: each.end)
    with changed:
        stream.stop_locked()
    stream.run()
    assert asked == []
    assert (stream.state, stream.error) == (State.ENDED, None)
