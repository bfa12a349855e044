"""What reaches the server, when, and what stays in the journal when it does not."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.memory import MemoryRemote
from fakes.mount import MakeMount, Mount
from waiting import eventually

from ftpfs.config import MEMORY_SPOOL_BYTES
from ftpfs.content.journal import EntryState, Record, read_records
from ftpfs.content.space import Space
from ftpfs.content.store import abandoned
from ftpfs.errors import (
    ChangedError,
    DeniedError,
    FtpfsError,
    NetworkError,
    NoSpaceError,
    NotEmptyError,
    QuotaError,
    UnsupportedError,
)
from ftpfs.vfs.openfile import OpenFile

S = 1_000_000_000
JOIN_S = 60.0
WRITE = os.O_CREAT | os.O_RDWR
APPEND = os.O_WRONLY | os.O_APPEND


def records(mount: Mount) -> list[Record]:
    return read_records(mount.store.directory)


def states(mount: Mount) -> list[tuple[str, str]]:
    return [(record.path, record.state.value) for record in records(mount)]


def sent(mount: Mount) -> None:
    """Wait until the background has nothing left to do."""
    assert mount.fs.drain() == 0


def started(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def joined(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(JOIN_S)
        assert not thread.is_alive()


def away(mount: Mount, method: str) -> None:
    """The next send is lost, and the background pauses."""
    mount.remote.fail_next(method, NetworkError("away"))


@pytest.fixture
def writeback(make_mount: MakeMount) -> Mount:
    return make_mount(writeback=True)


# -- sending at close -----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [QuotaError("full"), NetworkError("lost"), DeniedError("no")])
def test_a_failed_send_keeps_the_whole_data(mount: Mount, error: FtpfsError) -> None:
    mount.remote.put("/file", b"0123456789")
    handle = mount.open("/file", os.O_WRONLY)
    mount.write(handle, b"AB", 3)
    mount.remote.fail_next("replace", error)
    with pytest.raises(type(error)):
        mount.close(handle)
    (record,) = records(mount)
    assert (record.state, record.tries, record.error) == (EntryState.FAILED, 1, str(error))
    assert not list(record.present.gaps(0, record.size))
    assert mount.store.journal.content(record) == b"012AB56789"
    assert mount.remote.data("/file") == b"0123456789"
    assert mount.content("/file") == b"0123456789"
    mount.keeps = ["/file"]


def test_a_failed_send_is_not_repeated_by_itself(mount: Mount) -> None:
    mount.remote.fail_next("store", QuotaError("full"))
    with pytest.raises(QuotaError):
        mount.save("/file", b"content")
    again = mount.remounted()
    assert again.fs.recover(again.found) == 0
    assert again.fs.recover(again.found, retry=True) == 1
    sent(again)
    assert again.remote.data("/file") == b"content"


def test_what_succeeds_the_second_time_leaves_no_entry(mount: Mount) -> None:
    handle = mount.create("/file")
    mount.write(handle, b"content")
    mount.remote.fail_next("store", NetworkError("lost"))
    with pytest.raises(NetworkError):
        mount.fs.flush(handle)
    assert states(mount) == [("/file", "failed")]
    mount.close(handle)
    assert records(mount) == []


def test_an_unsent_change_has_an_entry_from_the_second_write_on(mount: Mount) -> None:
    handle = mount.create("/file")
    mount.write(handle, b"x")
    assert states(mount) == []
    mount.write(handle, b"y")
    assert states(mount) == [("/file", "open")]
    mount.close(handle)
    assert records(mount) == []


def test_an_append_sends_only_what_was_appended(mount: Mount) -> None:
    mount.remote.put("/log", bytes(100_000))
    for number in range(5):
        handle = mount.open("/log", APPEND)
        mount.write(handle, b"line %d\n" % number)
        mount.close(handle)
    assert mount.remote.uploads() == ["append"] * 5
    assert (mount.remote.received, mount.remote.moved) == (5 * 7, 0)
    assert mount.remote.data("/log")[100_000:] == b"".join(b"line %d\n" % n for n in range(5))


def test_an_append_where_the_server_has_none_sends_the_whole(mount: Mount) -> None:
    """What is there already is fetched: nothing may wait for the append that did not happen."""
    mount.remote.put("/log", b"first\n")
    mount.remote.fail_next("append", UnsupportedError("no APPE"))
    handle = mount.open("/log", APPEND)
    mount.write(handle, b"second\n")
    mount.close(handle)
    assert mount.remote.uploads() == ["append", "replace"]
    assert mount.remote.data("/log") == b"first\nsecond\n"
    assert records(mount) == []


@pytest.mark.usefixtures("small_patches")
def test_a_small_change_in_a_big_file_moves_little(mount: Mount) -> None:
    old = os.urandom(3_000_000)
    mount.remote.put("/big", old)
    for number in (1, 2):
        handle = mount.open("/big", os.O_RDWR)
        mount.write(handle, bytes([number]) * 4096, 1_000_000)
        mount.close(handle)
    assert mount.remote.uploads() == ["patch", "patch"]
    assert (mount.remote.received, mount.remote.moved) == (2 * 4096, 0)
    assert mount.remote.data("/big") == old[:1_000_000] + b"\2" * 4096 + old[1_004_096:]
    assert records(mount) == []


@pytest.mark.usefixtures("small_patches")
def test_inplace_never(make_mount: MakeMount) -> None:
    mount = make_mount(inplace="never")
    mount.remote.put("/big", bytes(100_000))
    handle = mount.open("/big", os.O_RDWR)
    mount.write(handle, b"x", 50_000)
    mount.close(handle)
    assert mount.remote.uploads() == ["replace"]


@pytest.mark.usefixtures("small_patches")
@pytest.mark.parametrize("after", [0, 1000, 4096])
def test_a_broken_change_in_place_is_in_the_journal_and_repaired(mount: Mount, after: int) -> None:
    old = os.urandom(300_000)
    mount.remote.put("/big", old)
    handle = mount.open("/big", os.O_RDWR)
    mount.write(handle, b"x" * 4096, 100_000)
    mount.remote.break_next("patch", after, NetworkError("lost"))
    with pytest.raises(NetworkError):
        mount.fs.flush(handle)
    (record,) = records(mount)
    assert (record.state, record.in_place) == (EntryState.FAILED, True)
    mount.fs.flush(handle)
    mount.close(handle)
    assert mount.remote.data("/big") == old[:100_000] + b"x" * 4096 + old[104_096:]
    assert mount.remote.uploads() == ["patch", "patch"]


@pytest.mark.usefixtures("small_patches")
def test_a_database_on_a_server_that_lists_minutes(make_mount: MakeMount) -> None:
    """Opened for reading first, it is still known to be the same for writing, and patched."""
    mount = make_mount(MemoryRemote(describes=False, precision_s=60))
    mount.remote.put("/db", bytes(100_000), mtime_ns=1_000_000_007 * S)
    assert mount.names() == ["db"]
    reader = mount.open("/db")
    for _ in range(2):
        writer = mount.open("/db", os.O_RDWR)
        mount.write(writer, b"page", 50_000)
        mount.close(writer)
        mount.now += 100
    assert mount.remote.uploads() == ["patch", "patch"]
    assert mount.read(reader, 4, 50_000) == b"page"
    mount.close(reader)


@pytest.mark.usefixtures("small_patches")
def test_a_time_that_only_the_mount_knows_is_no_change_of_the_file(mount: Mount) -> None:
    mount.remote.sets_time = False
    mount.remote.put("/db", bytes(100_000))
    mount.fs.utimens("/db", 5 * S)
    for how in (os.O_RDWR, os.O_RDWR):
        handle = mount.open("/db", how)
        mount.write(handle, b"page", 50_000)
        mount.fs.utimens(None, 6 * S, handle)
        mount.close(handle)
        mount.now += 100
    assert mount.remote.uploads() == ["patch", "patch"]


def test_two_writers_of_one_file(mount: Mount) -> None:
    mount.remote.put("/file", b"0123456789")
    one, other = (mount.open("/file", os.O_RDWR) for _ in range(2))
    mount.write(one, b"A", 0)
    mount.write(other, b"B", 9)
    assert mount.read(one) == mount.read(other) == b"A12345678B"
    mount.close(one)
    assert mount.remote.data("/file") == b"A12345678B"
    mount.write(other, b"C", 5)
    mount.close(other)
    assert mount.remote.data("/file") == b"A1234C678B"
    assert len(mount.remote.uploads()) == 2


def test_a_writer_beside_one_that_only_closes(mount: Mount) -> None:
    writer, idle = mount.create("/file"), mount.open("/file", os.O_WRONLY)
    mount.write(writer, b"content")
    mount.close(idle)  # sends what there is: nobody knows who wrote it
    assert mount.remote.data("/file") == b"content"
    mount.close(writer)
    assert mount.remote.uploads() == ["store"]


def test_unlink_while_open_sends_nothing(mount: Mount) -> None:
    mount.remote.put("/old", b"content")
    old, new = mount.open("/old", os.O_RDWR), mount.create("/new", WRITE)
    for handle in (old, new):
        mount.write(handle, b"CON")
    for path in ("/old", "/new"):
        mount.fs.unlink(path)
    assert (mount.read(old), mount.read(new)) == (b"CONtent", b"CON")
    for handle in (old, new):
        mount.write(handle, b"more", 3)
        mount.fs.fsync(handle)
        mount.close(handle)
    assert mount.remote.uploads() == []
    assert records(mount) == []


# -- no space -------------------------------------------------------------------------------------


@pytest.mark.parametrize("writeback", [False, True])
def test_a_full_spool_is_told_and_the_server_is_untouched(
    make_mount: MakeMount, writeback: bool
) -> None:
    mount = make_mount(spool_limit=1000, writeback=writeback)
    mount.remote.put("/old", b"old content")
    new, old = mount.create("/new"), mount.open("/old", os.O_WRONLY | os.O_TRUNC)
    for handle in (new, old):
        mount.write(handle, bytes(300))
        with pytest.raises(NoSpaceError):
            mount.write(handle, bytes(701), 300)
        for _ in range(2):
            with pytest.raises(NoSpaceError):
                mount.fs.flush(handle)
        mount.fs.release(handle)
    assert mount.remote.uploads() == []
    assert mount.remote.data("/old") == b"old content"
    assert mount.absent("/new")
    assert mount.content("/old") == b"old content"
    mount.save("/other", bytes(1000))
    sent(mount)
    assert mount.remote.data("/other") == bytes(1000)


def test_who_makes_room_and_goes_on_is_sent(make_mount: MakeMount) -> None:
    mount = make_mount(spool_limit=1000)
    handle = mount.create("/file")
    mount.write(handle, bytes(900))
    with pytest.raises(NoSpaceError):
        mount.write(handle, bytes(200), 900)
    mount.fs.truncate(None, 500, handle)
    mount.write(handle, b"end", 500)
    mount.close(handle)
    assert mount.remote.data("/file") == bytes(500) + b"end"


def test_a_first_write_that_finds_no_space_changes_nothing(make_mount: MakeMount) -> None:
    mount = make_mount(spool_limit=10)
    mount.remote.put("/file", b"old content")
    handle = mount.open("/file", os.O_RDWR)
    with pytest.raises(NoSpaceError):
        mount.write(handle, bytes(11))
    assert mount.read(handle) == b"old content"
    mount.close(handle)
    assert mount.remote.uploads() == []


def test_reading_goes_on_beside_a_full_spool(make_mount: MakeMount) -> None:
    mount = make_mount(spool_limit=10)
    mount.remote.put("/file", b"0123456789" * 10)
    handle = mount.open("/file", os.O_RDWR)
    mount.write(handle, b"ABCDE", 3)
    mount.write(handle, b"FGHIJ", 95)
    assert mount.read(handle) == b"012ABCDE89" + b"0123456789" * 8 + b"01234FGHIJ"
    assert mount.read(handle, 4, 1) == b"12AB"
    with pytest.raises(NoSpaceError):  # a replacement takes the whole file
        mount.close(handle)
    assert mount.remote.uploads() == []
    mount.keeps = ["/file"]


# -- write-back -----------------------------------------------------------------------------------


def test_close_returns_while_the_server_is_stalled(writeback: Mount) -> None:
    mount = writeback
    stall = mount.remote.stall_next("store")
    mount.save("/file", b"content")
    assert stall.reached.wait(JOIN_S)
    assert mount.content("/file") == b"content"
    assert mount.fs.getattr("/file").size == 7
    assert mount.names() == ["file"]
    assert states(mount) == [("/file", "pending")]
    stall.go.set()
    sent(mount)
    assert mount.remote.data("/file") == b"content"
    assert records(mount) == []
    assert mount.fs._files._files == {}


def test_several_files_go_side_by_side(writeback: Mount) -> None:
    stalls = [writeback.remote.stall_next("store") for _ in range(3)]
    for number in range(3):
        writeback.save(f"/{number}", b"x")
    for stall in stalls:
        assert stall.reached.wait(JOIN_S)
    for stall in stalls:
        stall.go.set()
    sent(writeback)


def test_fsync_waits_for_the_server(writeback: Mount) -> None:
    handle = writeback.create("/file")
    writeback.write(handle, b"content")
    stall = writeback.remote.stall_next("store")
    waiting = started(lambda: writeback.fs.fsync(handle))
    assert stall.reached.wait(JOIN_S)
    waiting.join(0.05)
    assert waiting.is_alive()
    stall.go.set()
    joined(waiting)
    assert writeback.remote.data("/file") == b"content"
    writeback.close(handle)
    sent(writeback)
    assert writeback.remote.uploads() == ["store"]


def test_fsync_waits_for_what_the_background_sends(writeback: Mount) -> None:
    handle = writeback.create("/file")
    writeback.write(handle, b"content")
    stall = writeback.remote.stall_next("store")
    writeback.fs.flush(handle)
    assert stall.reached.wait(JOIN_S)
    waiting = started(lambda: writeback.fs.fsync(handle))
    waiting.join(0.05)
    assert waiting.is_alive()
    stall.go.set()
    joined(waiting)
    assert writeback.remote.data("/file") == b"content"
    writeback.close(handle)


def test_a_write_while_the_file_is_sent_waits_by_default(mount: Mount) -> None:
    handle = mount.create("/file")
    mount.write(handle, b"first")
    stall = mount.remote.stall_next("store")
    sender = started(lambda: mount.fs.flush(handle))
    assert stall.reached.wait(JOIN_S)
    writer = started(lambda: mount.write(handle, b"FIRST"))
    writer.join(0.05)
    assert writer.is_alive()
    stall.go.set()
    joined(sender, writer)
    assert mount.remote.data("/file") == b"first"
    mount.close(handle)
    assert mount.remote.data("/file") == b"FIRST"


def test_with_writeback_both_versions_arrive_in_order(writeback: Mount) -> None:
    mount = writeback
    stall, second = mount.remote.stall_next("store"), mount.remote.stall_next("replace")
    mount.save("/file", b"first version")
    assert stall.reached.wait(JOIN_S)
    mount.save("/file", b"SECOND")  # does not wait
    assert mount.content("/file") == b"SECONDversion"
    assert [path for path, _ in states(mount)] == ["/file", "/file"]
    stall.go.set()
    assert second.reached.wait(JOIN_S)
    assert mount.remote.data("/file") == b"first version", "as it was acknowledged"
    second.go.set()
    sent(mount)
    assert mount.remote.data("/file") == b"SECONDversion"
    assert records(mount) == []


def test_superseded_versions_are_dropped(writeback: Mount) -> None:
    mount = writeback
    stall = mount.remote.stall_next("store")
    mount.save("/file", b"0")
    assert stall.reached.wait(JOIN_S)
    for number in range(1, 6):
        mount.save("/file", b"%d" % number * number, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    assert len(records(mount)) == 2
    assert list(Path(mount.store.directory).glob("spool-*")) == [], "small: in the journal"
    stall.go.set()
    sent(mount)
    assert mount.remote.data("/file") == b"5" * 5
    assert len(mount.remote.uploads()) == 2


def test_it_is_tried_again_while_the_server_is_away(
    writeback: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ftpfs.vfs.writeback.RETRY_FIRST_S", 0.01)
    for _ in range(3):
        writeback.remote.fail_next("store", NetworkError("away"))
    with caplog.at_level(logging.WARNING):
        writeback.save("/file", b"content")
        eventually(lambda: writeback.remote.exists("/file"), "the file is sent")
        sent(writeback)
    assert writeback.remote.uploads() == ["store"] * 4
    assert caplog.text.count("not sent, again in") == 3
    assert records(writeback) == []


def test_the_pause_doubles(writeback: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftpfs.vfs.writeback.RETRY_FIRST_S", 0.001)
    monkeypatch.setattr("ftpfs.vfs.writeback.RETRY_MAX_S", 0.004)
    for _ in range(5):
        writeback.remote.fail_next("store", NetworkError("away"))
    seen = []
    away = writeback.fs._files._writeback._away

    def note(file: OpenFile, error: NetworkError) -> None:
        away(file, error)
        seen.append(writeback.fs._files._writeback._delay_s)

    monkeypatch.setattr(writeback.fs._files._writeback, "_away", note)
    writeback.save("/file", b"content")
    eventually(lambda: writeback.remote.exists("/file"), "the file is sent")
    assert seen == [0.001, 0.002, 0.004, 0.004, 0.004]


def test_a_lost_send_says_so_in_the_journal(writeback: Mount) -> None:
    writeback.remote.fail_next("store", NetworkError("away"))
    writeback.save("/file", b"content")
    eventually(lambda: records(writeback) and records(writeback)[0].tries, "it has been tried")
    (record,) = records(writeback)
    assert (record.state, record.tries, record.error) == (EntryState.PENDING, 1, "away")
    sent(writeback)  # draining tries at once


def test_what_is_refused_stays_as_failed_and_is_said(
    writeback: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    writeback.remote.fail_next("store", QuotaError("552 full"))
    with caplog.at_level(logging.ERROR):
        writeback.save("/file", b"content")
        sent(writeback)
    assert "/file: not sent, see `ftpfs recover`: 552 full" in caplog.text
    assert states(writeback) == [("/file", "failed")]
    assert writeback.remote.uploads() == ["store"]
    assert writeback.absent("/file")
    writeback.keeps = ["/file"]


@pytest.mark.usefixtures("small_patches")
def test_a_broken_change_in_place_is_repaired_before_the_later_version_goes(
    writeback: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = writeback
    monkeypatch.setattr("ftpfs.vfs.writeback.RETRY_FIRST_S", 0.01)
    old = os.urandom(300_000)
    mount.remote.put("/big", old)
    handle = mount.open("/big", os.O_RDWR)
    stall = mount.remote.stall_next("patch")
    mount.remote.break_next("patch", 1000, NetworkError("lost"))
    mount.write(handle, b"x" * 4096, 100_000)
    mount.fs.flush(handle)
    assert stall.reached.wait(JOIN_S)
    mount.write(handle, b"y" * 10, 200_000)
    mount.close(handle)
    stall.go.set()
    sent(mount)
    wanted = bytearray(old)
    wanted[100_000:104_096] = b"x" * 4096
    wanted[200_000:200_010] = b"y" * 10
    assert mount.remote.data("/big") == wanted
    assert mount.remote.uploads() == ["patch", "patch", "patch"]


def test_nobody_spins_while_a_file_is_sent_by_fsync(writeback: Mount) -> None:
    handle = writeback.create("/file")
    writeback.write(handle, b"content")
    stall = writeback.remote.stall_next("store")
    waiting = started(lambda: writeback.fs.fsync(handle))
    assert stall.reached.wait(JOIN_S)
    writeback.write(handle, b"more", 7)
    writeback.fs.flush(handle)  # gives the background something of the same file
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.15
    stall.go.set()
    joined(waiting)
    writeback.close(handle)
    sent(writeback)
    assert writeback.remote.data("/file") == b"contentmore"


# -- names of what is pending ---------------------------------------------------------------------


def test_unlink_of_a_pending_file(writeback: Mount) -> None:
    away(writeback, "store")
    writeback.save("/file", b"content")
    eventually(lambda: writeback.remote.count("store"), "it has been tried")
    writeback.fs.unlink("/file")
    assert writeback.absent("/file")
    assert not writeback.remote.exists("/file")
    sent(writeback)
    assert writeback.remote.uploads() == ["store"]
    assert records(writeback) == []


def test_unlink_of_a_pending_file_of_which_a_part_arrived(writeback: Mount) -> None:
    writeback.remote.break_next("store", 3, NetworkError("lost"))
    writeback.save("/file", b"content")
    eventually(lambda: records(writeback) and records(writeback)[0].tries, "it has been tried")
    assert writeback.remote.data("/file") == b"con"
    writeback.fs.unlink("/file")
    assert not writeback.remote.exists("/file")


def test_unlink_of_a_pending_change(writeback: Mount) -> None:
    writeback.remote.put("/file", b"old content")
    away(writeback, "append")
    handle = writeback.open("/file", APPEND)
    writeback.write(handle, b"!")
    writeback.close(handle)
    eventually(lambda: writeback.remote.count("append"), "it has been tried")
    writeback.fs.unlink("/file")
    sent(writeback)
    assert not writeback.remote.exists("/file")
    writeback.save("/file", b"new")
    sent(writeback)
    assert writeback.remote.data("/file") == b"new"


def test_rename_of_a_pending_file(writeback: Mount) -> None:
    away(writeback, "store")
    writeback.save("/old", b"content")
    eventually(lambda: writeback.remote.count("store"), "it has been tried")
    writeback.fs.rename("/old", "/new")
    assert writeback.content("/new") == b"content"
    assert writeback.absent("/old")
    sent(writeback)
    assert writeback.remote.data("/new") == b"content"
    assert not writeback.remote.exists("/old")


def test_save_by_rename(writeback: Mount) -> None:
    writeback.remote.put("/file", b"old")
    for number in range(5):
        writeback.save("/file.tmp", b"new %d" % number)
        writeback.fs.rename("/file.tmp", "/file")
        assert writeback.content("/file") == b"new %d" % number
    sent(writeback)
    assert writeback.remote.data("/file") == b"new 4"
    assert writeback.names() == ["file"]


def test_rename_of_a_directory_with_pending_files(writeback: Mount) -> None:
    writeback.fs.mkdir("/dir", 0o755)
    away(writeback, "store")
    writeback.save("/dir/a", b"a")
    writeback.save("/dir/b", b"b")
    open_one = writeback.create("/dir/c", WRITE)
    writeback.write(open_one, b"c")
    with pytest.raises(NotEmptyError):
        writeback.fs.rmdir("/dir")
    eventually(lambda: writeback.remote.count("store"), "it has been tried")
    writeback.fs.rename("/dir", "/moved")
    writeback.write(open_one, b"C", 1)
    writeback.close(open_one)
    sent(writeback)
    assert writeback.names("/moved") == ["a", "b", "c"]
    for path, data in (("/moved/a", b"a"), ("/moved/b", b"b"), ("/moved/c", b"cC")):
        assert writeback.remote.data(path) == data
    assert not writeback.remote.exists("/dir")


def test_a_pending_file_is_replaced_by_another(writeback: Mount) -> None:
    away(writeback, "store")
    writeback.save("/target", b"old")
    eventually(lambda: writeback.remote.count("store"), "it has been tried")
    writeback.save("/source", b"new content")
    writeback.fs.rename("/source", "/target")
    sent(writeback)
    assert writeback.remote.data("/target") == b"new content"
    assert writeback.names() == ["target"]


def test_times_and_modes_of_what_is_pending(writeback: Mount) -> None:
    away(writeback, "store")
    writeback.save("/file", b"content")
    eventually(lambda: writeback.remote.count("store"), "it has been tried")
    writeback.fs.utimens("/file", 5 * S)
    writeback.fs.chmod("/file", 0o600)
    writeback.fs.truncate("/file", 3)
    writeback.fs.utimens("/file", 6 * S)
    sent(writeback)
    assert writeback.remote.data("/file") == b"con"
    assert (writeback.remote.mtime_ns("/file"), writeback.remote.mode("/file")) == (6 * S, 0o600)


# -- unmounting and recovery ----------------------------------------------------------------------


def test_unmount_waits_until_all_is_sent(writeback: Mount) -> None:
    stall = writeback.remote.stall_next("store")
    writeback.save("/file", b"content")
    closing = started(writeback.fs.close)
    closing.join(0.05)
    assert closing.is_alive()
    stall.go.set()
    joined(closing)
    assert writeback.remote.data("/file") == b"content"


def left_by(mount: Mount, *paths: str, data: bytes = b"content") -> Mount:
    """Files that were acknowledged while the server was away, found by the next mount."""
    for path in paths:
        mount.remote.fail_next("store", NetworkError("away"))
        mount.remote.fail_next("store", NetworkError("away"))
        mount.save(path, data)
    return mount.remounted()


@pytest.fixture
def impatient(make_mount: MakeMount) -> Mount:
    return make_mount(writeback=True, unmount_wait=0.05)


@pytest.mark.parametrize("size", [0, 7, MEMORY_SPOOL_BYTES, MEMORY_SPOOL_BYTES + 1])
def test_unmount_leaves_what_the_next_mount_sends(impatient: Mount, size: int) -> None:
    data = os.urandom(size)
    mount = left_by(impatient, "/a", "/b", data=data)
    in_files = {bool(r.spool) for s in mount.found for r in s.journal.records()}
    assert in_files == {size > MEMORY_SPOOL_BYTES}
    assert mount.fs.recover(mount.found) == 2
    sent(mount)
    assert (mount.remote.data("/a"), mount.remote.data("/b")) == (data, data)


def test_what_is_recovered_can_be_read_before_it_is_sent(impatient: Mount) -> None:
    mount = left_by(impatient, "/a")
    assert mount.fs.recover(mount.found) == 1
    assert mount.content("/a") == b"content"
    sent(mount)


@pytest.mark.parametrize("writeback", [False, True])
def test_what_is_recovered_is_tried_until_it_is_sent(
    impatient: Mount, monkeypatch: pytest.MonkeyPatch, writeback: bool
) -> None:
    monkeypatch.setattr("ftpfs.vfs.writeback.RETRY_FIRST_S", 0.01)
    mount = left_by(impatient, "/file")
    if not writeback:
        mount = mount.remounted(writeback=False)
    mount.remote.fail_next("fingerprint", NetworkError("away"))
    mount.remote.fail_next("store", NetworkError("away"))
    mount.fs.recover(mount.found)
    eventually(lambda: mount.remote.exists("/file"), "the file is sent")
    sent(mount)


def test_the_last_version_of_a_path_is_recovered(impatient: Mount) -> None:
    stall = impatient.remote.stall_next("store")
    impatient.remote.fail_next("store", NetworkError("away"))
    for _ in range(9):
        impatient.remote.fail_next("replace", NetworkError("away"))
        impatient.remote.fail_next("store", NetworkError("away"))
    impatient.save("/file", b"first")
    assert stall.reached.wait(JOIN_S)
    impatient.save("/file", b"SECOND version")
    assert len(records(impatient)) == 2
    copy = impatient.copied()  # as SIGKILL leaves it now
    stall.go.set()
    mount = impatient.remounted(place=copy)
    assert mount.fs.recover(mount.found) == 1
    sent(mount)
    assert mount.remote.data("/file") == b"SECOND version"


def test_two_dead_mounts_with_one_path(impatient: Mount) -> None:
    first = left_by(impatient, "/file", data=b"one")
    second = left_by(first.remounted(unmount_wait=0.05), "/file", data=b"two!")
    assert len(second.found) == 2
    assert second.fs.recover(second.found) == 2
    eventually(lambda: second.fs.drain() == 0, "all is sent")
    names = sorted(second.names())
    assert names[0] == "file"
    assert names[1].startswith("file.conflict-")
    assert {second.remote.data(f"/{name}") for name in names} == {b"one", b"two!"}


def test_an_entry_without_its_spool_file_is_said(
    impatient: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    mount = left_by(impatient, "/file")
    journal = mount.found[0].journal
    (record,) = journal.records()
    journal.put(replace(record, spool="spool-gone"), durable=True)
    with caplog.at_level(logging.ERROR):
        assert mount.fs.recover(mount.found) == 0
    assert "/file: cannot be recovered" in caplog.text
    assert mount.found[0].journal.records()[0].state is EntryState.FAILED
    mount.keeps = ["/file"]


# -- conflicts ------------------------------------------------------------------------------------


def conflicts(mount: Mount) -> list[str]:
    return [name for name in mount.remote.list("/") if ".conflict-" in name]


def test_where_others_made_the_file_meanwhile_the_local_version_goes_beside_it(
    impatient: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    mount = left_by(impatient, "/file")
    mount.remote.put("/file", b"theirs", mtime_ns=9000 * S)
    with caplog.at_level(logging.WARNING):
        mount.fs.recover(mount.found)
        sent(mount)
    (name,) = conflicts(mount)
    assert mount.remote.data("/file") == b"theirs"
    assert mount.remote.mtime_ns("/file") == 9000 * S
    assert mount.remote.data(f"/{name}") == b"content"
    said = [r for r in caplog.records if name in r.getMessage()]
    assert [(r.levelname, r.getMessage()) for r in said] == [
        ("WARNING", f"/file: changed on the server; the local version goes to /{name}")
    ]
    assert sorted(mount.names()) == ["file", name]


def test_what_arrived_before_the_crash_is_not_sent_again(impatient: Mount) -> None:
    mount = left_by(impatient, "/file")
    mount.remote.put("/file", b"content", mtime_ns=9000 * S)
    before = len(mount.remote.uploads())
    mount.fs.recover(mount.found)
    sent(mount)
    assert len(mount.remote.uploads()) == before
    assert conflicts(mount) == []
    assert mount.fs.getattr("/file").mtime_ns == 9000 * S


def test_a_part_that_arrived_is_completed(impatient: Mount) -> None:
    mount = left_by(impatient, "/file")
    mount.remote.put("/file", b"cont")
    mount.fs.recover(mount.found)
    sent(mount)
    assert mount.remote.data("/file") == b"content"
    assert conflicts(mount) == []


@pytest.mark.usefixtures("small_patches")
def test_a_change_in_place_that_was_cut_off_is_repeated(impatient: Mount) -> None:
    old = os.urandom(300_000)
    impatient.remote.put("/big", old)
    for after in (5, 1000):
        impatient.remote.break_next("patch", after, NetworkError("lost"))
    handle = impatient.open("/big", os.O_RDWR)
    impatient.write(handle, b"x" * 4096, 100_000)
    impatient.close(handle)
    mount = impatient.remounted()
    assert mount.remote.data("/big") not in (old, old[:100_000] + b"x" * 4096 + old[104_096:])
    mount.fs.recover(mount.found)
    sent(mount)
    assert mount.remote.data("/big") == old[:100_000] + b"x" * 4096 + old[104_096:]
    assert conflicts(mount) == []
    assert mount.remote.moved == 0


@pytest.mark.usefixtures("small_patches")
def test_what_lacks_the_old_files_bytes_stays_in_the_journal(
    impatient: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    impatient.remote.put("/big", bytes(300_000))
    for _ in range(2):
        impatient.remote.fail_next("patch", NetworkError("away"))
    handle = impatient.open("/big", os.O_RDWR)
    impatient.write(handle, b"x" * 10, 100_000)
    impatient.close(handle)
    mount = impatient.remounted()
    mount.remote.put("/big", b"theirs, and shorter")
    with caplog.at_level(logging.ERROR):
        mount.fs.recover(mount.found)
        sent(mount)
    (record,) = mount.found[0].journal.records()
    assert record.state is EntryState.FAILED
    assert "lacks what only the old file had" in record.error
    assert "lacks what only the old file had" in caplog.text
    assert mount.remote.data("/big") == b"theirs, and shorter"
    assert conflicts(mount) == []
    mount.keeps = ["/big"]


def test_a_version_that_waited_longer_than_names_are_cached_is_compared(
    writeback: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = writeback
    mount.remote.put("/file", b"old content")
    away(mount, "replace")
    handle = mount.open("/file", os.O_RDWR)
    mount.write(handle, b"OLD")
    mount.fs.flush(handle)
    eventually(lambda: mount.remote.count("replace"), "it has been tried")
    mount.remote.put("/file", b"theirs", mtime_ns=9000 * S)
    monkeypatch.setattr(type(mount.namespace), "now_ns", lambda _: time.time_ns() + 60 * S)
    sent(mount)
    (name,) = conflicts(mount)
    assert mount.remote.data("/file") == b"theirs"
    assert mount.remote.data(f"/{name}") == b"OLD content"
    mount.write(handle, b"!", 11)  # who has it open goes on with the local version
    mount.close(handle)
    sent(mount)
    assert mount.remote.data("/file") == b"theirs"
    assert mount.remote.data(f"/{name}") == b"OLD content!"
    mount.now += 100
    assert mount.content("/file") == b"theirs"


def test_a_fresh_version_costs_no_comparison(writeback: Mount) -> None:
    writeback.save("/file", b"content")
    sent(writeback)
    assert writeback.remote.count("fingerprint") == 0


def test_a_recovered_file_keeps_the_mode_of_the_one_it_replaces(impatient: Mount) -> None:
    impatient.remote.put("/file", b"old content")
    impatient.remote.chmod("/file", 0o600)
    for _ in range(2):
        away(impatient, "replace")
    handle = impatient.open("/file", os.O_RDWR)
    impatient.write(handle, b"OLD")
    impatient.close(handle)
    mount = impatient.remounted()
    mount.fs.recover(mount.found)
    sent(mount)
    assert mount.remote.data("/file") == b"OLD content"
    assert mount.remote.mode("/file") == 0o600


def test_retrying_what_was_refused_meets_the_same_comparison(mount: Mount) -> None:
    mount.remote.put("/file", b"old content")
    mount.remote.fail_next("replace", QuotaError("full"))
    with pytest.raises(QuotaError):
        mount.save("/file", b"OLD")
    again = mount.remounted()
    again.remote.put("/file", b"theirs", mtime_ns=9000 * S)
    again.fs.recover(again.found, retry=True)
    sent(again)
    (name,) = conflicts(again)
    assert again.remote.data("/file") == b"theirs"
    assert again.remote.data(f"/{name}") == b"OLD content"


def test_a_default_close_tells_of_a_shorter_file(mount: Mount) -> None:
    mount.remote.put("/file", b"old content")
    handle = mount.open("/file", os.O_RDWR)
    mount.write(handle, b"OLD")
    mount.remote.put("/file", b"short")
    with pytest.raises(ChangedError):
        mount.close(handle)
    assert mount.remote.data("/file") == b"short"
    mount.keeps = ["/file"]


def test_a_recovered_file_whose_directory_is_gone_stays_in_the_journal(impatient: Mount) -> None:
    impatient.fs.mkdir("/dir", 0o755)
    mount = left_by(impatient, "/dir/file")
    mount.remote.rmdir("/dir")
    mount.fs.recover(mount.found)
    sent(mount)
    assert mount.found[0].journal.records()[0].state is EntryState.FAILED
    mount.keeps = ["/dir/file"]


def test_stores_of_running_mounts_are_left_alone(writeback: Mount) -> None:
    stall = writeback.remote.stall_next("store")
    writeback.save("/file", b"content")
    assert stall.reached.wait(JOIN_S)
    assert abandoned(writeback.spool, Space(1)) == []
    stall.go.set()


def test_a_version_that_arrived_just_before_the_crash_is_no_conflict_for_the_next(
    writeback: Mount,
) -> None:
    """The process died after the server had renamed, with a later version acknowledged."""
    writeback.remote.put("/file", b"old content")
    stall = writeback.remote.stall_next("replace")
    for content in (b"first version", b"second"):
        handle = writeback.open("/file", os.O_WRONLY | os.O_TRUNC)
        writeback.write(handle, content)
        writeback.close(handle)
        assert stall.reached.wait(JOIN_S)
    copy = writeback.copied()
    stall.go.set()
    sent(writeback)
    mount = writeback.remounted(copy)
    mount.remote.put("/file", b"first version", mtime_ns=5000 * S)
    assert mount.fs.recover(mount.found) == 1
    sent(mount)
    assert conflicts(mount) == []
    assert mount.remote.data("/file") == b"second"


# -- handles that come and go ---------------------------------------------------------------------


def test_a_late_release_does_not_send_what_another_handle_has_not_closed(mount: Mount) -> None:
    """The kernel does not wait for RELEASE: it may come after the next open."""
    first = mount.create("/file")
    mount.write(first, b"first")
    mount.fs.flush(first)
    second = mount.open("/file", os.O_WRONLY | os.O_TRUNC)
    mount.fs.release(first)
    assert mount.remote.data("/file") == b"first"
    mount.write(second, b"second")
    mount.close(second)
    assert mount.remote.data("/file") == b"second"


def test_a_file_created_for_reading_only_is_on_the_server_after_close(mount: Mount) -> None:
    mount.close(mount.create("/file", os.O_CREAT | os.O_RDONLY))
    assert mount.remote.data("/file") == b""
