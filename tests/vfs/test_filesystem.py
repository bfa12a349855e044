"""The whole file system on a server in memory, without FUSE."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest
from fakes.memory import MemoryRemote
from fakes.mount import CREATE, DIR_CACHE_S, MakeMount, Mount

from ftpfs.config import ABSENCE_S, FREE_BYTES_UNKNOWN, RELIST_S
from ftpfs.errors import (
    AbsentError,
    BadHandleError,
    ChangedError,
    DeniedError,
    ExistsError,
    FtpfsError,
    InvalidError,
    IsDirectoryError,
    NameRefusedError,
    NetworkError,
    NoSpaceError,
    NotDirectoryError,
    NotEmptyError,
    NotPermittedError,
    QuotaError,
    ReadOnlyError,
    UnsupportedError,
)
from ftpfs.remote.api import Kind

S = 1_000_000_000
JOIN_S = 60.0
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4


# -- writing --------------------------------------------------------------------------------------


def test_create_write_flush_read(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file", os.O_CREAT | os.O_RDWR)
    mount.write(handle, b"content")
    assert not remote.exists("/file"), "sent before it was asked for"
    mount.fs.flush(handle)
    assert remote.data("/file") == b"content"
    assert mount.read(handle) == b"content"
    mount.fs.release(handle)
    assert remote.count("store") == 1
    assert mount.content("/file") == b"content"


def test_an_empty_file_is_made(mount: Mount, remote: MemoryRemote) -> None:
    mount.save("/file", b"")
    assert remote.data("/file") == b""
    assert remote.count("store") == 1


def test_readers_see_what_is_not_sent(mount: Mount, remote: MemoryRemote) -> None:
    writer = mount.create("/file")
    mount.write(writer, b"unsent")
    reader = mount.open("/file")
    assert mount.read(reader) == b"unsent"
    assert mount.fs.getattr("/file").size == 6
    assert mount.fs.getattr(None, reader).size == 6
    mount.write(writer, b"more", 6)
    assert mount.read(reader, offset=4) == b"ntmore"
    assert remote.uploads() == []
    assert remote.count("open_read") == 0
    mount.close(reader)  # a reader's close sends nothing
    assert remote.uploads() == []
    mount.close(writer)
    assert remote.data("/file") == b"unsentmore"


def test_seek_and_write(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file")
    mount.write(handle, b"0123456789")
    mount.write(handle, b"AB", 4)
    mount.write(handle, b"Z", 9)
    mount.close(handle)
    assert remote.data("/file") == b"0123AB678Z"


def test_sparse(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file", os.O_CREAT | os.O_RDWR)
    mount.write(handle, b"end", 100_000)
    assert mount.read(handle, 10, 99_995) == b"\0\0\0\0\0end"
    mount.close(handle)
    assert remote.data("/file") == bytes(100_000) + b"end"


def test_an_existing_file_keeps_the_rest(mount: Mount, remote: MemoryRemote) -> None:
    old = bytes(range(256)) * 3000
    remote.put("/file", old)
    handle = mount.open("/file", os.O_RDWR)
    mount.write(handle, b"NEW", 300_000)
    assert mount.read(handle, 9, 299_997) == old[299_997:300_000] + b"NEW" + old[300_003:300_006]
    mount.close(handle)
    assert remote.data("/file") == old[:300_000] + b"NEW" + old[300_003:]
    assert remote.uploads() == ["replace"]


def test_a_file_written_anew_from_the_start_is_not_fetched(
    mount: Mount, remote: MemoryRemote
) -> None:
    remote.put("/file", b"0123")
    handle = mount.open("/file", os.O_WRONLY)
    mount.write(handle, b"abcd")
    mount.close(handle)
    assert remote.data("/file") == b"abcd"
    assert remote.count("open_read") == 0


def test_append(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/log", b"one\n")
    handle = mount.open("/log", os.O_WRONLY | os.O_APPEND)
    mount.write(handle, b"two\n", 0)
    mount.write(handle, b"three\n", 0)
    mount.close(handle)
    assert remote.data("/log") == b"one\ntwo\nthree\n"


def test_two_who_append(mount: Mount, remote: MemoryRemote) -> None:
    mount.save("/log", b"")
    handles = [mount.open("/log", os.O_WRONLY | os.O_APPEND) for _ in range(2)]
    for line, handle in enumerate(handles * 2):
        mount.write(handle, b"%d" % line, 0)
    for handle in handles:
        mount.close(handle)
    assert remote.data("/log") == b"0123"


def test_o_excl(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"old")
    with pytest.raises(ExistsError):
        mount.create("/file", CREATE | os.O_EXCL)
    handle = mount.create("/new", CREATE | os.O_EXCL)
    with pytest.raises(ExistsError):
        mount.create("/new", CREATE | os.O_EXCL)
    mount.close(handle)
    assert remote.data("/file") == b"old"


def test_create_without_excl_opens_what_is_there(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"old content")
    mount.save("/file", b"OLD")
    assert remote.data("/file") == b"OLD content"


def test_o_trunc(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"old content")
    handle = mount.open("/file", os.O_WRONLY | os.O_TRUNC)
    assert mount.fs.getattr("/file").size == 0
    assert remote.data("/file") == b"old content"
    mount.write(handle, b"new")
    mount.close(handle)
    assert remote.data("/file") == b"new"
    assert remote.count("open_read") == 0


def test_o_trunc_alone_empties_the_file(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"old content")
    mount.close(mount.open("/file", os.O_WRONLY | os.O_TRUNC))
    assert remote.data("/file") == b""


def test_o_trunc_that_fails_leaves_no_handle(
    mount: Mount, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(24, "Too many open files")

    remote.put("/file", b"old content")
    with monkeypatch.context() as patch:
        patch.setattr(os, "memfd_create", full)
        with pytest.raises(NoSpaceError):
            mount.open("/file", os.O_WRONLY | os.O_TRUNC)
    assert mount.fs._files._handles == {}
    assert mount.fs._files._files == {}


@pytest.mark.parametrize(("size", "wanted"), [(3, b"012"), (10, b"0123456789"), (0, b"")])
def test_truncate_by_path_is_sent_at_once(
    mount: Mount, remote: MemoryRemote, size: int, wanted: bytes
) -> None:
    remote.put("/file", b"0123456789")
    mount.fs.truncate("/file", size)
    assert remote.data("/file") == wanted
    assert remote.uploads() == ["replace"] * (size != 10)


def test_truncate_up(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"01")
    mount.fs.truncate("/file", 5)
    assert remote.data("/file") == b"01\0\0\0"


def test_truncate_by_handle_is_sent_at_close(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"0123456789")
    handle = mount.open("/file", os.O_RDWR)
    mount.fs.truncate(None, 4, handle)
    mount.fs.truncate(None, 6, handle)
    assert mount.read(handle) == b"0123\0\0"
    assert remote.uploads() == []
    mount.close(handle)
    assert remote.data("/file") == b"0123\0\0"


def test_truncate_to_less_than_nothing(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"0123")
    with pytest.raises(InvalidError):
        mount.fs.truncate("/file", -1)
    assert remote.data("/file") == b"0123"


def test_nothing_is_sent_when_nothing_changed(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"content")
    handle = mount.open("/file", os.O_RDWR)
    assert mount.read(handle) == b"content"
    mount.fs.flush(handle)
    mount.close(handle)
    mount.save("/new", b"x")
    handle = mount.open("/new", os.O_WRONLY)
    mount.fs.flush(handle)
    mount.close(handle)
    assert remote.uploads("/file") == []
    assert remote.count("store", "/new") == 1


def test_each_flush_sends_what_is_new_since(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file")
    for number in range(3):
        mount.write(handle, b"%d" % number, number)
        mount.fs.flush(handle)
        mount.fs.flush(handle)
        assert remote.data("/file") == b"012"[: number + 1]
    mount.fs.release(handle)
    assert remote.uploads() == ["store", "append", "append"]


def test_a_missing_parent_is_told_at_close(mount: Mount) -> None:
    handle = mount.create("/absent/file")  # the kernel has looked for the parent before
    with pytest.raises(AbsentError):
        mount.close(handle)
    mount.keeps = ["/absent/file"]


def test_a_file_is_no_parent(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"x")
    with pytest.raises(NotDirectoryError):
        mount.create("/file/below")


# -- errors of sending ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [QuotaError("full"), NetworkError("lost"), DeniedError("no")])
def test_an_error_of_sending_reaches_who_flushes(
    mount: Mount, remote: MemoryRemote, error: FtpfsError
) -> None:
    handle = mount.create("/file", os.O_CREAT | os.O_RDWR)
    mount.write(handle, b"content")
    remote.fail_next("store", error)
    with pytest.raises(type(error)):
        mount.fs.flush(handle)
    assert mount.read(handle) == b"content"
    assert mount.fs.getattr("/file").size == 7
    mount.fs.flush(handle)
    assert remote.data("/file") == b"content"
    mount.fs.release(handle)
    assert remote.count("store") == 2


def test_an_error_of_fetching_the_rest_reaches_who_flushes(
    mount: Mount, remote: MemoryRemote
) -> None:
    remote.put("/file", b"0123456789")
    handle = mount.open("/file", os.O_WRONLY)
    mount.write(handle, b"AB", 3)
    remote.fail_next("open_read", NetworkError("lost"))
    with pytest.raises(NetworkError):
        mount.fs.flush(handle)
    assert remote.data("/file") == b"0123456789"
    mount.close(handle)
    assert remote.data("/file") == b"012AB56789"


def test_after_an_error_nobody_saw_release_does_not_try_again(
    mount: Mount, remote: MemoryRemote
) -> None:
    """The program was told at close; what follows is the server's state, not a late surprise."""
    handle = mount.create("/file")
    mount.write(handle, b"content")
    remote.fail_next("store", QuotaError("full"))
    with pytest.raises(QuotaError):
        mount.close(handle)
    assert remote.count("store") == 1
    assert mount.absent("/file")
    mount.keeps = ["/file"]


def test_what_was_never_flushed_is_sent_at_release(mount: Mount, remote: MemoryRemote) -> None:
    """As is written through a mapping after the descriptor was closed."""
    handle = mount.create("/file")
    mount.fs.flush(handle)
    mount.write(handle, b"late")
    mount.fs.release(handle)
    assert remote.data("/file") == b"late"


def test_the_time_and_mode_asked_for_survive_a_lost_connection(
    mount: Mount, remote: MemoryRemote
) -> None:
    handle = mount.create("/file", mode=0o600)
    mount.write(handle, b"content")
    mount.fs.utimens(None, 5 * S, handle)
    remote.fail_next("set_mtime", NetworkError("lost"))
    with pytest.raises(NetworkError):
        mount.fs.flush(handle)
    mount.close(handle)
    assert remote.mtime_ns("/file") == 5 * S
    assert remote.mode("/file") == 0o600


def test_a_time_set_while_the_file_is_sent_is_not_lost(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file", mode=0o600)
    mount.write(handle, b"content")
    stall = remote.stall_next("chmod")  # the last thing that sending does
    sender = threading.Thread(target=mount.fs.flush, args=(handle,))
    sender.start()
    assert stall.reached.wait(JOIN_S)
    setter = threading.Thread(target=mount.fs.utimens, args=("/file", 5 * S))
    setter.start()
    setter.join(0.1)  # it may wait for the sender, or come first: the time counts in any case
    stall.go.set()
    for thread in (sender, setter):
        thread.join(JOIN_S)
        assert not thread.is_alive()
    mount.close(handle)
    assert remote.mtime_ns("/file") == 5 * S
    assert mount.fs.getattr("/file").mtime_ns == 5 * S


def test_a_writer_waits_while_the_file_is_sent(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file")
    mount.write(handle, b"first")
    stall = remote.stall_next("store")
    sender = threading.Thread(target=mount.fs.flush, args=(handle,))
    sender.start()
    assert stall.reached.wait(JOIN_S)
    writer = threading.Thread(target=mount.fs.write, args=(handle, b"FIRST", 0))
    writer.start()
    stall.go.set()
    for thread in (sender, writer):
        thread.join(JOIN_S)
        assert not thread.is_alive()
    assert remote.data("/file") == b"first", "one version, no mixture"
    mount.close(handle)
    assert remote.data("/file") == b"FIRST"


# -- reading --------------------------------------------------------------------------------------


def test_read_from_anywhere(mount: Mount, remote: MemoryRemote) -> None:
    data = os.urandom(1_500_000)
    remote.put("/file", data)
    handle = mount.open("/file")
    for offset in (0, 1_000_000, 65_536, 1_499_990, 500_000, 1_500_000, 2_000_000):
        assert mount.read(handle, 100_000, offset) == data[offset : offset + 100_000]
    mount.close(handle)


def test_a_sequential_reader_costs_one_download(mount: Mount, remote: MemoryRemote) -> None:
    data = os.urandom(3_000_000)
    remote.put("/file", data)
    handle = mount.open("/file")
    found = b"".join(mount.read(handle, 65_536, at) for at in range(0, len(data), 65_536))
    mount.close(handle)
    assert found == data
    assert remote.count("open_read") == 1
    assert remote.moved == len(data)


def test_the_servers_file_is_shorter_than_it_was(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", bytes(1000))
    handle = mount.open("/file", os.O_RDWR)
    remote.put("/file", bytes(400))
    with pytest.raises(ChangedError):
        mount.read(handle, 1000, 0)
    mount.write(handle, b"x", 900)
    with pytest.raises(ChangedError):
        mount.fs.flush(handle)
    assert remote.data("/file") == bytes(400), "a part of a file was sent"
    mount.fs.release(handle)
    mount.keeps = ["/file"]


def test_an_error_of_reading_reaches_the_reader(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"content")
    handle = mount.open("/file")
    for error in (DeniedError("no"), NetworkError("lost")):
        remote.fail_next("open_read", error)
        with pytest.raises(type(error)):
            mount.read(handle)
    assert mount.read(handle) == b"content"
    mount.close(handle)


def test_a_file_opened_again_in_another_version(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"old version")
    old = mount.open("/file")
    remote.put("/file", b"new", mtime_ns=9000 * S)
    mount.now += DIR_CACHE_S + 1
    new = mount.open("/file")
    assert mount.read(new) == b"new"
    with pytest.raises(ChangedError):  # it never mixes the two
        mount.read(old)
    mount.close(old)
    mount.close(new)


def test_a_file_opened_again_unchanged(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"content")
    handles = [mount.open("/file")]
    mount.now += DIR_CACHE_S + 1
    handles.append(mount.open("/file"))
    assert [mount.read(handle) for handle in handles] == [b"content"] * 2
    assert remote.count("open_read") == 1
    for handle in handles:
        mount.close(handle)


# -- handles --------------------------------------------------------------------------------------


def test_unknown_handles(mount: Mount) -> None:
    calls: list[Callable[[], object]] = [
        lambda: mount.read(99),
        lambda: mount.write(99, b"x"),
        lambda: mount.fs.flush(99),
        lambda: mount.fs.truncate(None, 0, 99),
        lambda: mount.fs.getattr(None, 99),
        lambda: mount.fs.readdir(99),
        lambda: mount.fs.utimens(None, 0, 99),
        lambda: mount.fs.chmod(None, 0o600, 99),
    ]
    for call in calls:
        with pytest.raises(BadHandleError):
            call()
    mount.fs.release(99)
    mount.fs.releasedir(99)


def test_a_handle_is_for_what_it_was_opened_for(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"content")
    reader, writer = mount.open("/file"), mount.open("/file", os.O_WRONLY)
    with pytest.raises(BadHandleError):
        mount.write(reader, b"x")
    with pytest.raises(BadHandleError):
        mount.read(writer)
    for handle in (reader, writer):
        mount.close(handle)
        with pytest.raises(BadHandleError):
            mount.read(handle)
    assert remote.uploads() == []


def test_what_cannot_be_opened(mount: Mount, remote: MemoryRemote) -> None:
    remote.make_directory("/dir")
    remote.put_link("/link", "file")
    with pytest.raises(IsDirectoryError):
        mount.open("/dir")
    with pytest.raises(AbsentError):
        mount.open("/absent")
    with pytest.raises(DeniedError):
        mount.open("/link")
    assert mount.fs._files._handles == {}


# -- unlink ---------------------------------------------------------------------------------------


def test_unlink(mount: Mount, remote: MemoryRemote) -> None:
    mount.save("/file", b"x")
    mount.fs.unlink("/file")
    assert not remote.exists("/file")
    assert mount.absent("/file")
    with pytest.raises(AbsentError):
        mount.fs.unlink("/file")


def test_unlink_of_an_open_file_keeps_its_data(mount: Mount, remote: MemoryRemote) -> None:
    data = os.urandom(700_000)
    remote.put("/file", data)
    handle = mount.open("/file", os.O_RDWR)
    assert mount.read(handle, 10) == data[:10]
    mount.fs.unlink("/file")
    assert not remote.exists("/file")
    assert mount.absent("/file")
    assert mount.names() == []
    assert mount.read(handle, 700_000) == data
    mount.write(handle, b"NEW")
    assert mount.read(handle, 5) == b"NEW" + data[3:5]
    assert mount.fs.getattr(None, handle).size == len(data)
    mount.close(handle)
    assert not remote.exists("/file")
    assert remote.uploads() == []


def test_unlink_of_a_file_never_sent(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file", os.O_CREAT | os.O_RDWR)
    mount.write(handle, b"temporary")
    mount.fs.unlink("/file")
    assert mount.absent("/file")
    assert mount.read(handle) == b"temporary"
    mount.fs.chmod(None, 0o600, handle)
    mount.fs.utimens(None, 0, handle)
    mount.close(handle)
    assert {call[0] for call in remote.calls} <= {"list", "stat"}


def test_unlink_of_a_file_whose_first_sending_broke_off(mount: Mount, remote: MemoryRemote) -> None:
    """What arrived of it before that is removed too."""
    handle = mount.create("/file")
    mount.write(handle, b"content")
    remote.fail_next("store", NetworkError("lost in the middle"))
    with pytest.raises(NetworkError):
        mount.fs.flush(handle)
    remote.put("/file", b"con")
    mount.fs.unlink("/file")
    assert not remote.exists("/file")
    mount.fs.release(handle)
    assert not remote.exists("/file")


def test_unlink_refused_leaves_the_open_file_as_it_was(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"content")
    handle = mount.open("/file", os.O_RDWR)
    mount.write(handle, b"CON")
    remote.fail_next("unlink", DeniedError("no"))
    with pytest.raises(DeniedError):
        mount.fs.unlink("/file")
    assert mount.read(handle) == b"CONtent"
    mount.close(handle)
    assert remote.data("/file") == b"CONtent"


def test_a_new_file_of_the_name_of_an_unlinked_open_one(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"old")
    old = mount.open("/file")
    mount.fs.unlink("/file")
    mount.save("/file", b"new one")
    assert mount.read(old) == b"old"
    assert mount.content("/file") == b"new one"
    mount.close(old)
    assert remote.data("/file") == b"new one"


# -- rename ---------------------------------------------------------------------------------------


def test_rename(mount: Mount, remote: MemoryRemote) -> None:
    mount.save("/old", b"content")
    mount.fs.rename("/old", "/new")
    assert mount.absent("/old")
    assert mount.content("/new") == b"content"
    assert mount.names() == ["new"]
    assert remote.count("store") == 1


def test_rename_of_a_file_not_sent_yet(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/old")
    mount.write(handle, b"first")
    mount.fs.rename("/old", "/new")
    assert remote.data("/new") == b"first"
    mount.write(handle, b"later", 5)
    assert mount.fs.getattr("/new").size == 10
    assert mount.fs.getattr("/new").name == "new"
    mount.close(handle)
    assert remote.data("/new") == b"firstlater"
    assert not remote.exists("/old")


def test_rename_of_an_open_file(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/old", b"content")
    handle = mount.open("/old", os.O_RDWR)
    mount.fs.rename("/old", "/new")
    assert mount.read(handle) == b"content"
    mount.write(handle, b"C")
    mount.close(handle)
    assert remote.data("/new") == b"Content"
    assert not remote.exists("/old")


def test_rename_of_a_directory_with_open_files_below(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/dir/sub/read", b"content")
    reader = mount.open("/dir/sub/read")
    writer = mount.create("/dir/sub/write")
    mount.write(writer, b"unsent")
    mount.fs.rename("/dir", "/moved")
    assert mount.read(reader) == b"content"
    mount.write(writer, b"+", 6)
    mount.close(writer)
    mount.close(reader)
    assert remote.data("/moved/sub/write") == b"unsent+"
    assert mount.names("/moved/sub") == ["read", "write"]
    assert mount.absent("/dir")
    assert mount.absent("/dir/sub/read")
    with pytest.raises(AbsentError):
        mount.names("/dir/sub")


def test_rename_of_a_name_that_only_begins_alike(mount: Mount, remote: MemoryRemote) -> None:
    remote.make_directory("/dir")
    handle = mount.create("/dir2")
    mount.write(handle, b"x")
    mount.fs.rename("/dir", "/moved")
    assert remote.uploads() == []
    mount.close(handle)
    assert remote.data("/dir2") == b"x"


def test_save_by_rename_onto_a_file_that_is_open(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"old version")
    reader = mount.open("/file")
    mount.save("/file.tmp", b"new version!")
    mount.fs.rename("/file.tmp", "/file")
    assert mount.read(reader) == b"old version"
    assert mount.content("/file") == b"new version!"
    mount.close(reader)
    assert mount.names() == ["file"]
    assert remote.data("/file") == b"new version!"


def test_rename_onto_a_file_not_sent_yet(mount: Mount, remote: MemoryRemote) -> None:
    writer = mount.create("/new", os.O_CREAT | os.O_RDWR)
    mount.write(writer, b"replaced")
    mount.save("/old", b"content")
    mount.fs.rename("/old", "/new")
    assert mount.read(writer) == b"replaced"
    mount.close(writer)
    assert remote.data("/new") == b"content"
    assert mount.names() == ["new"]


def test_rename_refused_leaves_both_as_they_were(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/old", b"old")
    remote.put("/new", b"new")
    handle = mount.open("/new", os.O_RDWR)
    mount.write(handle, b"NEW")
    remote.fail_next("rename", DeniedError("no"))
    with pytest.raises(DeniedError):
        mount.fs.rename("/old", "/new")
    mount.close(handle)
    assert remote.data("/new") == b"NEW"
    assert mount.content("/old") == b"old"


def test_rename_whose_sending_fails(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/old")
    mount.write(handle, b"content")
    remote.fail_next("store", QuotaError("full"))
    with pytest.raises(QuotaError):
        mount.fs.rename("/old", "/new")
    assert remote.count("rename") == 0
    mount.close(handle)
    assert remote.data("/old") == b"content"


def test_rename_to_itself(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"x")
    mount.fs.rename("/file", "/file")
    assert remote.count("rename") == 0


def test_rename_noreplace(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/old", b"old")
    remote.put("/new", b"new")
    with pytest.raises(ExistsError):
        mount.fs.rename("/old", "/new", RENAME_NOREPLACE)
    assert remote.data("/new") == b"new"
    mount.fs.rename("/old", "/other", RENAME_NOREPLACE)
    assert remote.data("/other") == b"old"


def test_rename_noreplace_onto_a_file_not_sent_yet(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/old", b"old")
    handle = mount.create("/new")
    mount.write(handle, b"new")
    with pytest.raises(ExistsError):
        mount.fs.rename("/old", "/new", RENAME_NOREPLACE)
    mount.close(handle)
    assert remote.data("/new") == b"new"


@pytest.mark.parametrize("flags", [RENAME_EXCHANGE, RENAME_WHITEOUT, RENAME_EXCHANGE | 1])
def test_rename_flags_that_ftp_does_not_have(
    mount: Mount, remote: MemoryRemote, flags: int
) -> None:
    remote.put("/old", b"old")
    remote.put("/new", b"new")
    with pytest.raises(InvalidError):
        mount.fs.rename("/old", "/new", flags)
    assert (remote.data("/old"), remote.data("/new")) == (b"old", b"new")


def test_rename_onto_a_directory(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/full/inside", b"x")
    remote.make_directory("/empty")
    remote.make_directory("/dir")
    remote.put("/file", b"x")
    with pytest.raises(IsDirectoryError):
        mount.fs.rename("/file", "/empty")
    with pytest.raises(NotEmptyError):
        mount.fs.rename("/dir", "/full")
    with pytest.raises(NotDirectoryError):
        mount.fs.rename("/dir", "/file")
    assert remote.count("rename") == 0
    mount.fs.rename("/full", "/empty")
    assert mount.names("/empty") == ["inside"]


def test_rename_of_what_is_absent(mount: Mount) -> None:
    with pytest.raises(AbsentError):
        mount.fs.rename("/absent", "/new")


# -- directories ----------------------------------------------------------------------------------


def test_mkdir_and_rmdir(mount: Mount, remote: MemoryRemote) -> None:
    mount.fs.mkdir("/dir", 0o755)
    mount.fs.mkdir("/dir/sub", 0o700)
    assert mount.fs.getattr("/dir").kind is Kind.DIRECTORY
    assert mount.names("/dir") == ["sub"]
    assert remote.count("chmod", "/dir") == 0  # the server's umask decides
    assert remote.mode("/dir/sub") == 0o700
    with pytest.raises(NotEmptyError):
        mount.fs.rmdir("/dir")
    with pytest.raises(ExistsError):
        mount.fs.mkdir("/dir/sub", 0o755)
    mount.fs.rmdir("/dir/sub")
    mount.fs.rmdir("/dir")
    assert mount.names() == []


def test_a_new_directory_is_not_listed(mount: Mount, remote: MemoryRemote) -> None:
    mount.fs.mkdir("/dir", 0o755)
    before = len(remote.calls)
    assert mount.names("/dir") == []
    assert mount.absent("/dir/x")
    assert len(remote.calls) == before


def test_rmdir_with_unsent_files_below(mount: Mount, remote: MemoryRemote) -> None:
    mount.fs.mkdir("/dir", 0o755)
    handle = mount.create("/dir/file")
    with pytest.raises(NotEmptyError):
        mount.fs.rmdir("/dir")
    assert remote.count("rmdir") == 0
    mount.close(handle)
    assert remote.data("/dir/file") == b""


def test_opendir_shows_what_is_not_sent(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/dir/b", b"12")
    remote.put("/dir/sub/x", b"")
    new, changed = mount.create("/dir/a"), mount.open("/dir/b", os.O_WRONLY | os.O_APPEND)
    below = mount.create("/dir/sub/new")
    mount.write(new, b"12345")
    mount.write(changed, b"3")
    handle = mount.fs.opendir("/dir")
    shown = {name: entry.size for name, entry in mount.fs.readdir(handle)}
    assert shown == {"a": 5, "b": 3, "sub": 0}
    mount.fs.unlink("/dir/a")
    assert [name for name, _ in mount.fs.readdir(handle)] == ["a", "b", "sub"], "as it was opened"
    mount.fs.releasedir(handle)
    assert mount.names("/dir") == ["b", "sub"]
    for handle in (new, changed, below):
        mount.close(handle)


def changed_while_listed(mount: Mount, change: Callable[[], None]) -> dict[str, bool]:
    handle = mount.fs.opendir("/d")
    try:
        before = mount.fs.readdir(handle)
        change()
        assert mount.fs.readdir(handle) == before, "places in it must stay"
        return mount.fs.changed(handle)
    finally:
        mount.fs.releasedir(handle)


def test_what_is_changed_while_its_directory_is_read(mount: Mount, remote: MemoryRemote) -> None:
    """So that the kernel is not told what was before."""
    for name in ("a", "b", "c"):
        remote.put(f"/d/{name}", b"content")
    remote.make_directory("/d/sub")
    remote.put("/e/a", b"content")
    fs = mount.fs

    def written() -> None:
        mount.save("/d/a", b"more", os.O_WRONLY | os.O_TRUNC)

    changes: list[tuple[Callable[[], None], dict[str, bool]]] = [
        (lambda: None, {}),
        (lambda: mount.save("/e/a", b"more"), {}),
        (lambda: fs.chmod("/d/a", 0o600), {"a": True}),
        (lambda: fs.utimens("/d/a", 5 * S), {"a": True}),
        (lambda: fs.truncate("/d/a", 3), {"a": True}),
        (written, {"a": True}),
        (lambda: mount.save("/d/new", b"new"), {"new": True}),
        (lambda: fs.unlink("/d/new"), {"new": False}),
        (lambda: fs.rename("/d/a", "/d/b"), {"a": False, "b": True}),
        (lambda: fs.rename("/d/b", "/e/b"), {"b": False}),
        (lambda: fs.rmdir("/d/sub"), {"sub": False}),
        (lambda: fs.mkdir("/d/sub", 0o755), {"sub": True}),
    ]
    for number, (change, wanted) in enumerate(changes):
        assert changed_while_listed(mount, change) == wanted, number


def test_an_open_file_that_is_removed_while_its_directory_is_read(
    mount: Mount, remote: MemoryRemote
) -> None:
    remote.put("/d/a", b"content")
    handle = mount.open("/d/a", os.O_RDWR)

    def removed() -> None:
        mount.fs.unlink("/d/a")
        mount.write(handle, b"more")

    assert changed_while_listed(mount, removed) == {"a": False}
    mount.close(handle)


def test_what_is_changed_while_its_directory_is_listed(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/d/a", b"content")
    stall = remote.stall_next("list")
    handles: list[int] = []
    opens = threading.Thread(target=lambda: handles.append(mount.fs.opendir("/d")))
    opens.start()
    assert stall.reached.wait(JOIN_S)
    mount.fs.unlink("/d/a")
    stall.go.set()
    opens.join(JOIN_S)
    assert mount.fs.changed(handles[0]) == {"a": False}
    mount.fs.releasedir(handles[0])
    with pytest.raises(BadHandleError):
        mount.fs.changed(handles[0])


def test_an_open_file_is_listed_under_its_own_name(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/dir/file", b"12")
    handle = mount.open("/dir/file", os.O_WRONLY)
    mount.write(handle, b"x")
    assert mount.names("/dir") == ["file"]
    mount.close(handle)


def test_names_are_sorted(mount: Mount, remote: MemoryRemote) -> None:
    for name in ("b", "a", "ü", "C", "\udcff"):
        remote.put(f"/{name}", b"")
    assert mount.names() == sorted(["b", "a", "ü", "C", "\udcff"])


def test_opendir_of_what_is_no_directory(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"")
    with pytest.raises(NotDirectoryError):
        mount.fs.opendir("/file")
    with pytest.raises(AbsentError):
        mount.fs.opendir("/absent")


def test_the_root_answers_without_the_network(mount: Mount, remote: MemoryRemote) -> None:
    assert mount.fs.getattr("/").kind is Kind.DIRECTORY
    assert mount.fs.space().free == FREE_BYTES_UNKNOWN
    mount.fs.access("/", write=True)
    assert remote.calls == []


def test_space(mount: Mount, remote: MemoryRemote) -> None:
    remote.free = 5000
    assert mount.fs.space().free == 5000
    assert mount.fs.space().total >= 5000
    remote.free = 0
    assert mount.fs.space().free > 0, "file managers refuse to copy into 0"


# -- attributes -----------------------------------------------------------------------------------


def test_chmod(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"x")
    mount.fs.chmod("/file", 0o600)
    assert remote.mode("/file") == 0o600
    assert mount.fs.getattr("/file").mode == 0o600


def test_chmod_of_the_root(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"x")
    assert mount.names() == ["file"]
    mount.fs.chmod("/", 0o700)
    assert remote.mode("/") == 0o700
    assert mount.fs.getattr("/").mode == 0o700
    assert mount.names() == ["file"]


def test_chmod_of_a_file_not_sent_yet(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file")
    mount.fs.chmod("/file", 0o600)
    assert mount.fs.getattr("/file").mode == 0o600
    assert remote.count("chmod") == 0
    mount.close(handle)
    assert remote.mode("/file") == 0o600


@pytest.mark.parametrize(("mode", "sent"), [(0o644, 0), (0o666, 0), (0o600, 1), (0o755, 1)])
def test_the_mode_of_a_new_file(mount: Mount, remote: MemoryRemote, mode: int, sent: int) -> None:
    """Usual modes are left to the server's umask: one round trip less for each file."""
    mount.save("/file", b"x", mode=mode)
    assert remote.count("chmod") == sent
    assert remote.mode("/file") == (mode if sent else 0o644)


def test_a_mode_that_the_server_cannot_set_is_kept_here(make_mount: MakeMount) -> None:
    mount = make_mount()
    mount.remote.sets_mode = False
    mount.remote.put("/file", b"x")
    mount.fs.chmod("/file", 0o600)
    mount.save("/new", b"x", mode=0o700)
    mount.now += DIR_CACHE_S + 1
    assert mount.fs.getattr("/file").mode == 0o600
    assert mount.fs.getattr("/new").mode == 0o700
    assert mount.remote.mode("/file") == 0o644
    mount.fs.rename("/file", "/moved")
    mount.now += DIR_CACHE_S + 1
    assert mount.fs.getattr("/moved").mode == 0o600


def test_a_time_that_the_server_cannot_set_is_kept_here(make_mount: MakeMount) -> None:
    mount = make_mount()
    mount.remote.sets_time = False
    mount.remote.put("/file", b"x")
    mount.fs.utimens("/file", 5 * S + 7)
    mount.now += DIR_CACHE_S + 1
    assert mount.fs.getattr("/file").mtime_ns == 5 * S + 7
    assert mount.remote.mtime_ns("/file") == 1000 * S


def test_strict(make_mount: MakeMount) -> None:
    mount = make_mount(strict=True)
    mount.remote.put("/file", b"x")
    mount.fs.chmod("/file", 0o600)
    mount.fs.utimens("/file", 5 * S)
    mount.remote.sets_mode = mount.remote.sets_time = False
    with pytest.raises(UnsupportedError):
        mount.fs.chmod("/file", 0o640)
    with pytest.raises(UnsupportedError):
        mount.fs.utimens("/file", 6 * S)
    entry = mount.fs.getattr("/file")
    assert (entry.mode, entry.mtime_ns) == (0o600, 5 * S)


@pytest.mark.parametrize("strict", [False, True])
def test_chmod_and_utimens_of_what_is_absent(make_mount: MakeMount, strict: bool) -> None:
    mount = make_mount(strict=strict)
    for call in (mount.fs.chmod, mount.fs.utimens):
        with pytest.raises(AbsentError):
            call("/absent", 0o600)
    mount.remote.put("/file", b"x")
    mount.fs.getattr("/file")
    mount.remote.unlink("/file")  # by somebody else
    for call in (mount.fs.chmod, mount.fs.utimens):
        with pytest.raises(AbsentError):
            call("/file", 0o600)


def test_utimens(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"x")
    mount.fs.utimens("/file", 5 * S + 999)
    assert remote.mtime_ns("/file") == 5 * S
    assert mount.fs.getattr("/file").mtime_ns == 5 * S  # what it will be listed with
    mount.fs.utimens("/file", None)
    assert remote.count("set_mtime") == 1
    mount.fs.utimens("/", 5 * S)
    assert remote.count("set_mtime") == 1


def test_a_file_touched_while_it_is_read_is_the_same_version(
    mount: Mount, remote: MemoryRemote
) -> None:
    """Programs set nanoseconds, servers keep seconds."""
    remote.put("/file", b"content")
    reader = mount.open("/file")
    mount.fs.utimens("/file", 5 * S + 999)
    assert mount.fs.getattr(None, reader).mtime_ns == 5 * S
    other = mount.open("/file")
    assert mount.read(reader) == mount.read(other) == b"content"
    mount.close(other)
    mount.close(reader)


def test_utimens_of_a_file_not_sent_yet(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file")
    mount.write(handle, b"x")
    mount.fs.utimens(None, 5 * S, handle)
    assert mount.fs.getattr("/file").mtime_ns == 5 * S
    assert remote.count("set_mtime") == 0
    mount.close(handle)
    assert remote.mtime_ns("/file") == 5 * S
    assert mount.fs.getattr("/file").mtime_ns == 5 * S


def test_a_write_after_utimens_makes_it_now_again(mount: Mount, remote: MemoryRemote) -> None:
    handle = mount.create("/file")
    mount.fs.utimens(None, 5 * S, handle)
    mount.write(handle, b"x")
    mount.close(handle)
    assert remote.count("set_mtime") == 0
    assert remote.mtime_ns("/file") > 5 * S


def test_exact_times_on_a_server_that_lists_minutes(make_mount: MakeMount) -> None:
    """What `rsync -a` and `cp -p` set is what they find the next time."""
    mount = make_mount(MemoryRemote(describes=False, precision_s=60))
    mount.save("/file", b"content")
    mount.fs.utimens("/file", 1_000_000_007 * S)
    sent = mount.fs.getattr("/file")
    mount.now += DIR_CACHE_S + 1
    handle = mount.fs.opendir("/")
    listed = dict(mount.fs.readdir(handle))["file"]
    mount.fs.releasedir(handle)
    assert listed.mtime_ns == sent.mtime_ns == 1_000_000_007 * S
    mount.fs.rename("/file", "/new")
    mount.now += DIR_CACHE_S + 1
    assert mount.fs.getattr("/new").mtime_ns == 1_000_000_007 * S
    mount.remote.put("/new", b"CONTENT", 1_000_000_100 * S)  # by somebody else
    mount.now += DIR_CACHE_S + 1
    assert mount.fs.getattr("/new").mtime_ns == 1_000_000_080 * S


def test_chown(make_mount: MakeMount) -> None:
    mount = make_mount(uid=1000, gid=2000)
    mount.remote.put("/file", b"x")
    for uid, gid in ((1000, 2000), (-1, 2000), (1000, -1), (-1, -1)):
        mount.fs.chown("/file", uid, gid)
    for uid, gid in ((0, -1), (-1, 0), (2000, 1000)):
        with pytest.raises(NotPermittedError):
            mount.fs.chown("/file", uid, gid)
    with pytest.raises(AbsentError):
        mount.fs.chown("/absent", 1000, 2000)


def test_links_cannot_be_made(mount: Mount, remote: MemoryRemote) -> None:
    with pytest.raises(NotPermittedError):
        mount.fs.refuse_link("/link")
    assert remote.calls == []


TARGETS = {
    # link, its target as the server lists it, what readlink gives (None: refused)
    "beside": ("/dir/link", "file", "file"),
    "up and down": ("/dir/link", "../other/file", "../other/file"),
    "the root itself": ("/dir/link", "..", ".."),
    "out of the mount": ("/dir/link", "../../etc/passwd", None),
    "out and in again": ("/dir/link", "../../srv/data/file", None),
    "absolute in the mount": ("/dir/link", "/srv/data/other/file", "../other/file"),
    "absolute outside": ("/dir/link", "/etc/passwd", None),
    "absolute and up": ("/dir/link", "/srv/data/../../etc", None),
    "a name that begins alike": ("/dir/link", "/srv/data2/file", None),
}


@pytest.mark.parametrize(("link", "target", "wanted"), TARGETS.values(), ids=TARGETS)
def test_readlink_stays_inside(
    mount: Mount, remote: MemoryRemote, link: str, target: str, wanted: str | None
) -> None:
    remote.base = "/srv/data"
    remote.make_directory("/dir")
    remote.put_link(link, target)
    if wanted is None:
        with pytest.raises(NotPermittedError):
            mount.fs.readlink(link)
    else:
        assert mount.fs.readlink(link) == wanted


def test_readlink_of_what_is_no_link(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"x")
    with pytest.raises(InvalidError):
        mount.fs.readlink("/file")
    with pytest.raises(AbsentError):
        mount.fs.readlink("/absent")


# -- read-only, names -----------------------------------------------------------------------------


def test_read_only(make_mount: MakeMount) -> None:
    mount = make_mount(ro=True)
    mount.remote.put("/file", b"content")
    mount.remote.make_directory("/dir")
    calls: list[Callable[[], object]] = [
        lambda: mount.create("/new"),
        lambda: mount.create("/file"),
        lambda: mount.open("/file", os.O_WRONLY),
        lambda: mount.open("/file", os.O_RDWR),
        lambda: mount.fs.truncate("/file", 0),
        lambda: mount.fs.mkdir("/new", 0o755),
        lambda: mount.fs.rmdir("/dir"),
        lambda: mount.fs.unlink("/file"),
        lambda: mount.fs.rename("/file", "/new"),
        lambda: mount.fs.chmod("/file", 0o600),
        lambda: mount.fs.utimens("/file", 0),
        lambda: mount.fs.access("/file", write=True),
    ]
    for call in calls:
        with pytest.raises(ReadOnlyError):
            call()
    assert mount.content("/file") == b"content"
    mount.fs.access("/file", write=False)
    assert {call[0] for call in mount.remote.calls} <= {"list", "stat", "open_read", "readinto"}


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a\0b"])
def test_names_that_cannot_be_sent(mount: Mount, remote: MemoryRemote, name: str) -> None:
    path = f"/{name}"
    calls: list[Callable[[], object]] = [
        lambda: mount.fs.getattr(path),
        lambda: mount.create(path),
        lambda: mount.open(path),
        lambda: mount.fs.truncate(path, 0),
        lambda: mount.fs.opendir(path),
        lambda: mount.fs.mkdir(path, 0o755),
        lambda: mount.fs.rmdir(path),
        lambda: mount.fs.unlink(path),
        lambda: mount.fs.rename(path, "/new"),
        lambda: mount.fs.rename("/new", path),
        lambda: mount.fs.chmod(path, 0o600),
        lambda: mount.fs.utimens(path, 0),
        lambda: mount.fs.chown(path, -1, -1),
        lambda: mount.fs.readlink(path),
        lambda: mount.fs.access(path, write=False),
    ]
    for call in calls:
        with pytest.raises(NameRefusedError):
            call()
    assert remote.calls == []


# -- what others do -------------------------------------------------------------------------------


@pytest.mark.parametrize("describes", [True, False])
def test_a_name_not_found_is_asked_for_again_after_a_second(
    make_mount: MakeMount, describes: bool
) -> None:
    mount = make_mount(MemoryRemote(describes=describes))
    assert mount.names() == []
    assert mount.absent("/file")
    mount.remote.put("/file", b"12")
    before = len(mount.remote.calls)
    mount.now += ABSENCE_S
    assert mount.absent("/file")
    assert len(mount.remote.calls) == before
    mount.now += 0.1
    assert mount.fs.getattr("/file").size == 2
    assert mount.names() == ["file"]


def test_an_absence_is_asked_for_once_a_second(mount: Mount, remote: MemoryRemote) -> None:
    assert mount.names() == []
    for _ in range(3):
        mount.now += ABSENCE_S + 0.1
        for _ in range(5):
            assert mount.absent("/file")
    # A second name is looked for soon after the first: the directory is listed for all of them.
    assert (remote.count("stat"), remote.count("list")) == (1, 3)
    mount.now += RELIST_S + 0.1
    assert mount.absent("/file")
    assert (remote.count("stat"), remote.count("list")) == (2, 3)


def test_changes_of_others_are_seen_after_the_caches_time(
    mount: Mount, remote: MemoryRemote
) -> None:
    remote.put("/file", b"1")
    assert mount.names() == ["file"]
    remote.put("/file", b"123")
    remote.put("/other", b"")
    before = len(remote.calls)
    mount.now += DIR_CACHE_S - 0.1
    assert mount.fs.getattr("/file").size == 1
    assert mount.names() == ["file"]
    assert len(remote.calls) == before
    mount.now += 0.2
    assert mount.fs.getattr("/file").size == 3
    assert mount.names() == ["file", "other"]


def test_own_changes_are_seen_at_once_and_cost_no_listing(
    mount: Mount, remote: MemoryRemote
) -> None:
    remote.make_directory("/dir")
    assert mount.names() == ["dir"]
    mount.save("/file", b"123")
    assert mount.fs.getattr("/file").size == 3
    mount.fs.mkdir("/new", 0o755)
    mount.fs.rename("/file", "/dir/moved")
    mount.fs.rmdir("/new")
    assert mount.names() == ["dir"]
    assert mount.fs.getattr("/dir/moved").size == 3
    mount.fs.unlink("/dir/moved")
    assert mount.absent("/dir/moved")
    assert remote.count("list", "/") == 1


def test_a_walk_lists_each_directory_once(mount: Mount, remote: MemoryRemote) -> None:
    for number in range(50):
        remote.put(f"/dir/{number:02}", bytes(number))
    names = mount.names("/dir")
    assert [mount.fs.getattr(f"/dir/{name}").size for name in names] == list(range(50))
    assert remote.count("list") == 1
    assert remote.count("stat") == 0


def test_the_first_name_is_asked_for_alone_and_its_siblings_by_a_listing(
    mount: Mount, remote: MemoryRemote
) -> None:
    for name in ("a", "b", "c"):
        remote.put(f"/dir/{name}", b"x")
    mount.fs.getattr("/dir/a")
    assert (remote.count("stat"), remote.count("list")) == (1, 0)
    for name in ("b", "c", "a"):
        mount.fs.getattr(f"/dir/{name}")
    assert (remote.count("stat"), remote.count("list")) == (1, 1)


def test_a_lost_network_is_no_absence(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/file", b"x")
    for method in ("stat", "list"):
        remote.fail_next(method, NetworkError("lost"))
    with pytest.raises(NetworkError):
        mount.fs.getattr("/file")
    with pytest.raises(NetworkError):
        mount.names()
    assert mount.fs.getattr("/file").size == 1


def test_what_others_removed(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/dir/file", b"x")
    assert mount.names("/dir") == ["file"]
    remote.unlink("/dir/file")
    with pytest.raises(AbsentError):
        mount.fs.unlink("/dir/file")
    assert mount.names("/dir") == []
    remote.rmdir("/dir")
    with pytest.raises(AbsentError):
        mount.fs.rmdir("/dir")
    assert mount.names() == []


# -- the end --------------------------------------------------------------------------------------


def test_close_sends_what_is_open_and_unsent(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/changed", b"0123")
    new, changed = mount.create("/new"), mount.open("/changed", os.O_WRONLY)
    failed, gone = mount.create("/failed"), mount.create("/gone")
    for handle in (new, changed, failed, gone):
        mount.write(handle, b"AB")
    remote.fail_next("store", QuotaError("full"))
    with pytest.raises(QuotaError):
        mount.fs.flush(failed)
    mount.fs.unlink("/gone")
    mount.fs.close()
    assert remote.data("/new") == b"AB"
    assert remote.data("/changed") == b"AB23"
    assert not remote.exists("/failed")
    assert not remote.exists("/gone")
    mount.keeps = ["/failed"]


def test_close_goes_on_after_an_error(mount: Mount, remote: MemoryRemote) -> None:
    for name in ("a", "b"):
        mount.write(mount.create(f"/{name}"), b"x")
    remote.fail_next("store", NetworkError("lost"))
    mount.fs.close()
    assert remote.count("store") == 2
    assert remote.exists("/a") != remote.exists("/b")
    mount.keeps = ["/b" if remote.exists("/a") else "/a"]
