"""Reading through the whole file system: what is kept, what is fetched ahead, what has changed."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fakes.memory import MemoryRemote
from fakes.mount import DIR_CACHE_S, MakeMount, Mount
from waiting import eventually

from ftpfs.config import AHEAD_FILE_BYTES, BLOCK_BYTES, MIB
from ftpfs.content.reader import Reader
from ftpfs.errors import AbsentError, ChangedError, NetworkError
from ftpfs.remote.api import Stored

S = 1_000_000_000
WAIT_S = 20.0
OLD = 1_000 * S
BIG = 8 * BLOCK_BYTES


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


# -- kept between opens ---------------------------------------------------------------------------


def opened(remote: MemoryRemote, path: str = "/f") -> int:
    return remote.count("open_read", path)


def test_a_file_opened_again_while_it_is_put_away_costs_nothing(
    mount: Mount, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel does not wait for a release: the next open must not pass it."""
    remote.put("/f", b"content", mtime_ns=OLD)
    entered, go = threading.Event(), threading.Event()
    rest = Reader.rest

    def slow(reader: Reader) -> None:
        entered.set()
        assert go.wait(WAIT_S)
        rest(reader)

    handle = mount.fs.open("/f", os.O_RDONLY)
    assert mount.fs.read_into(handle, memoryview(bytearray(7)), 0) == 7
    monkeypatch.setattr(Reader, "rest", slow)
    found: list[bool] = []

    def again() -> None:
        found.append(mount.fs.pages(mount.fs.open("/f", os.O_RDONLY)).keeps)

    threads = [threading.Thread(target=mount.fs.release, args=(handle,))]
    threads[0].start()
    assert entered.wait(WAIT_S)
    threads.append(threading.Thread(target=again))
    threads[1].start()
    threads[1].join(0.2)  # time enough to pass
    go.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert found == [True]


def test_a_file_read_again_costs_nothing(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/f", b"content")
    assert mount.content("/f") == b"content"
    calls = len(remote.calls)
    assert mount.content("/f") == b"content"
    assert remote.calls[calls:] == []


def test_an_unchanged_file_is_read_again_from_memory_after_a_new_listing(
    mount: Mount, remote: MemoryRemote
) -> None:
    remote.put("/f", b"content")
    mount.content("/f")
    mount.now += DIR_CACHE_S + 1
    assert mount.content("/f") == b"content"
    assert opened(remote) == 1


def test_a_change_that_was_noticed_is_read(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/f", b"old one")
    mount.content("/f")
    remote.put("/f", b"new one", mtime_ns=OLD + S)
    mount.now += DIR_CACHE_S + 1
    assert mount.content("/f") == b"new one"


def test_a_file_that_may_have_changed_within_its_second_is_read_anew(
    mount: Mount, remote: MemoryRemote
) -> None:
    now = time.time_ns() // S * S
    remote.put("/f", b"old one", mtime_ns=now)
    mount.content("/f")
    remote.put("/f", b"new one", mtime_ns=now)
    mount.now += DIR_CACHE_S + 1
    assert mount.content("/f") == b"new one"


def test_within_the_minute_of_a_server_that_lists_minutes(make_mount: MakeMount) -> None:
    remote = MemoryRemote(describes=False, precision_s=60)
    mount = make_mount(remote)
    minute = time.time_ns() // (60 * S) * 60 * S
    remote.put("/f", b"old one", mtime_ns=minute)
    mount.names("/")
    mount.content("/f")
    remote.put("/f", b"new one", mtime_ns=minute + S)
    mount.now += DIR_CACHE_S + 1
    assert mount.content("/f") == b"new one"


def test_what_this_mount_wrote_and_another_client_wrote_in_the_same_minute(
    make_mount: MakeMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The own time is known to the second, that of the other one is listed to the minute."""
    remote = MemoryRemote(describes=False, precision_s=60)
    mount = make_mount(remote)
    mount.save("/f", b"old one")
    minute = time.time_ns() // (60 * S) * 60 * S
    remote._file("/f").mtime_ns = minute
    mount.fs.utimens("/f", minute)
    late = minute + 45 * S
    monkeypatch.setattr("ftpfs.vfs.edited.time.time_ns", lambda: late)
    assert mount.content("/f") == b"old one"
    remote.put("/f", b"new one", mtime_ns=minute + 40 * S)
    mount.now += DIR_CACHE_S + 1
    mount.names("/")
    assert mount.content("/f") == b"new one"


def overwritten(mount: Mount) -> None:
    mount.save("/f", b"new one", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)


def overwritten_in_part(mount: Mount) -> None:
    handle = mount.open("/f", os.O_WRONLY)
    mount.write(handle, b"new")
    mount.close(handle)


def truncated(mount: Mount) -> None:
    mount.fs.truncate("/f", 3)


def copied_over(mount: Mount) -> None:
    """cp -p of another file of the same size and time."""
    handle = mount.create("/f", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    mount.write(handle, b"new one")
    mount.fs.utimens("/f", OLD, handle)
    mount.close(handle)
    assert mount.fs.getattr("/f").mtime_ns == OLD


def renamed_over(mount: Mount) -> None:
    mount.save("/g", b"new one")
    mount.fs.utimens("/g", OLD)
    mount.fs.rename("/g", "/f")
    assert mount.fs.getattr("/f").mtime_ns == OLD


def unlinked_and_made_anew(mount: Mount) -> None:
    mount.fs.unlink("/f")
    copied_over(mount)


@pytest.mark.parametrize(
    ("change", "content"),
    [
        (overwritten, b"new one"),
        (overwritten_in_part, b"new one"),
        (truncated, b"old"),
        (copied_over, b"new one"),
        (renamed_over, b"new one"),
        (unlinked_and_made_anew, b"new one"),
    ],
)
def test_own_changes_are_read(
    mount: Mount, remote: MemoryRemote, change: Callable[[Mount], None], content: bytes
) -> None:
    remote.put("/f", b"old one")
    assert mount.content("/f") == b"old one"
    change(mount)
    assert remote.data("/f") == content
    assert mount.content("/f") == content
    mount.now += DIR_CACHE_S + 1
    assert mount.content("/f") == content


def test_a_renamed_directory_takes_no_content_with_it(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/a/f", b"of a")
    remote.put("/b/f", b"of b")
    for path in ("/a/f", "/b/f"):
        mount.content(path)
    mount.fs.rename("/a", "/c")
    mount.fs.rename("/b", "/a")
    assert (mount.content("/a/f"), mount.content("/c/f")) == (b"of b", b"of a")


def test_what_was_unlinked_is_gone(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/f", b"content")
    mount.content("/f")
    mount.fs.unlink("/f")
    with pytest.raises(AbsentError):
        mount.open("/f")


# -- never a mixture ------------------------------------------------------------------------------


def settled(mount: Mount) -> None:
    """Stop the running transfers of all open files, as a pause of some seconds does."""
    for file in set(mount.fs._files._files.values()):
        if file._reader is not None:
            file._reader.stop_streams()


def test_a_file_replaced_between_two_opens(mount: Mount, remote: MemoryRemote) -> None:
    """Within the cache's time, of the same size: what is kept of the old one is not completed."""
    old, new = noise(BIG, 1), noise(BIG, 2)
    remote.put("/f", old)
    handle = mount.open("/f")
    assert mount.read(handle, 4096) == old[:4096]
    mount.close(handle)
    remote.put("/f", new, mtime_ns=OLD + S)
    handle = mount.open("/f")
    with pytest.raises(ChangedError):
        mount.read(handle, 4096, BIG - 4096)
    mount.close(handle)
    assert mount.content("/f") == new[:MIB]


def test_a_file_replaced_while_it_is_open(mount: Mount, remote: MemoryRemote) -> None:
    old, new = noise(BIG, 1), noise(BIG, 2)
    remote.put("/f", old)
    handle = mount.open("/f")
    assert mount.read(handle, 4096) == old[:4096]
    settled(mount)
    remote.put("/f", new, mtime_ns=OLD + S)
    with pytest.raises(ChangedError):
        mount.read(handle, 4096, BIG - 4096)
    assert mount.read(handle, 4096) == old[:4096]
    other = mount.open("/f")
    assert mount.read(other, 4096, BIG - 4096) == new[-4096:]
    with pytest.raises(ChangedError):
        mount.read(handle, 4096)
    mount.close(handle)
    mount.close(other)


@pytest.mark.parametrize("size", [BIG // 2, 2 * BIG])
def test_while_a_file_is_open_its_version_is_shown(
    mount: Mount, remote: MemoryRemote, size: int
) -> None:
    """The kernel ends reads at the size it was told last, whatever was open before."""
    remote.put("/f", noise(BIG))
    handle = mount.open("/f")
    remote.put("/f", noise(size, 2), mtime_ns=OLD + S)
    mount.now += DIR_CACHE_S + 1
    assert mount.fs.getattr("/f").size == BIG
    assert mount.fs.getattr(None, handle).size == BIG
    assert listed_size(mount, "f") == BIG
    mount.close(handle)
    assert mount.fs.getattr("/f").size == size
    assert listed_size(mount, "f") == size


def listed_size(mount: Mount, name: str) -> int:
    handle = mount.fs.opendir("/")
    try:
        return dict(mount.fs.readdir(handle))[name].size
    finally:
        mount.fs.releasedir(handle)


@pytest.mark.parametrize("told", ["by path", "by listing"])
def test_a_file_that_changed_since_the_kernel_was_told_its_size(
    mount: Mount, remote: MemoryRemote, told: str
) -> None:
    """From a listing whose time is over when the file is opened: nobody had read it before."""
    remote.put("/f", b"old")
    mount.names()
    mount.now += DIR_CACHE_S - 1
    if told == "by path":
        mount.fs.getattr("/f")
    else:
        mount.names()
    remote.put("/f", b"longer", mtime_ns=OLD + S)
    mount.now += 2
    handle = mount.open("/f")
    assert mount.fs.pages(handle).bypasses
    assert mount.read(handle) == b"longer"
    mount.close(handle)
    mount.now += DIR_CACHE_S
    handle = mount.open("/f")
    assert not mount.fs.pages(handle).bypasses
    mount.close(handle)


@pytest.mark.parametrize("listing", [False, True])
def test_what_was_changed_from_here_the_kernel_knows(
    mount: Mount, remote: MemoryRemote, listing: bool
) -> None:
    remote.put("/f", b"old")
    remote.put("/g", b"another")

    def told() -> None:
        if listing:
            mount.names()
        else:
            mount.fs.getattr("/f")

    def bypasses() -> bool:
        handle = mount.open("/f")
        try:
            return mount.fs.pages(handle).bypasses
        finally:
            mount.close(handle)

    told()
    mount.save("/f", b"longer")
    assert not bypasses()
    told()
    writer = mount.open("/f", os.O_WRONLY)
    mount.write(writer, b"longer yet")
    assert not bypasses()
    mount.fs.fsync(writer)
    assert not bypasses()
    mount.close(writer)
    told()
    mount.fs.truncate("/f", 1)
    assert not bypasses()
    told()
    mount.fs.rename("/g", "/f")
    assert not bypasses()


def test_an_open_file_that_others_removed_is_not_shown(mount: Mount, remote: MemoryRemote) -> None:
    remote.put("/f", b"content")
    handle = mount.open("/f")
    remote.unlink("/f")
    mount.now += DIR_CACHE_S + 1
    assert mount.absent("/f")
    assert mount.names() == []
    mount.close(handle)
    mount.save("/f", b"anew")
    assert remote.data("/f") == b"anew"


def test_a_file_that_others_removed_while_it_is_open_is_made_anew(
    mount: Mount, remote: MemoryRemote
) -> None:
    remote.put("/f", b"content")
    handle = mount.open("/f")
    remote.unlink("/f")
    mount.now += DIR_CACHE_S + 1
    mount.save("/f", b"anew")
    assert remote.data("/f") == b"anew"
    mount.close(handle)


def test_two_versions_open_at_a_time(mount: Mount, remote: MemoryRemote) -> None:
    """Who has the longer one must not be told that it ends where the shorter one does."""
    remote.put("/f", noise(BIG))
    older = mount.open("/f")
    remote.put("/f", b"shorter", mtime_ns=OLD + S)
    mount.now += DIR_CACHE_S + 1
    newer = mount.open("/f")
    mount.now += DIR_CACHE_S + 1  # longer than the kernel keeps a size
    assert mount.fs.pages(mount.open("/f")).bypasses
    assert mount.fs.getattr("/f").size == BIG
    assert mount.fs.getattr(None, newer).size == BIG
    assert listed_size(mount, "f") == BIG
    assert mount.read(newer) == b"shorter"
    with pytest.raises(ChangedError):
        mount.read(older)
    mount.close(newer)
    assert mount.fs.getattr("/f").size == BIG
    mount.close(older)
    assert mount.fs.getattr("/f").size == 7
    assert mount.fs.pages(mount.open("/f")).bypasses, "the kernel may have the size until it asks"
    mount.now += DIR_CACHE_S + 1
    assert not mount.fs.pages(mount.open("/f")).bypasses


@pytest.mark.parametrize("change", ["unlink", "rename away", "rename onto"])
def test_names_that_change_with_two_versions_open(
    mount: Mount, remote: MemoryRemote, change: str
) -> None:
    remote.put("/f", noise(BIG))
    older = mount.open("/f")
    remote.put("/f", b"shorter", mtime_ns=OLD + S)
    mount.now += DIR_CACHE_S + 1
    newer = mount.open("/f")
    mount.save("/g", b"another")
    if change == "unlink":
        mount.fs.unlink("/f")
        mount.save("/f", b"anew")
    elif change == "rename away":
        mount.fs.rename("/f", "/h")
        assert mount.fs.getattr("/h").size == BIG
        mount.save("/f", b"anew")
    else:
        mount.fs.rename("/g", "/f")
    assert mount.fs.getattr("/f").size == len(remote.data("/f"))
    mount.close(older)
    mount.close(newer)
    assert not mount.fs._files._outdated


@pytest.mark.parametrize("size", [300_000, BIG])
def test_a_file_that_is_open_is_opened_anew_by_its_time_in_minutes(
    make_mount: MakeMount, size: int
) -> None:
    """On a server that lists minutes, and of the same size."""
    remote = MemoryRemote(describes=False, precision_s=60)
    mount = make_mount(remote)
    old, new = noise(size, 1), noise(size, 2)
    remote.put("/f", old, mtime_ns=OLD)
    mount.names()
    first = mount.open("/f")
    assert mount.read(first, size) == old
    remote.put("/f", new, mtime_ns=OLD + 60 * S)
    mount.now += DIR_CACHE_S + 1
    assert mount.content("/f") == new[:MIB]
    mount.close(first)


def test_a_file_sent_to_a_server_with_another_clock_and_no_mdtm_is_the_same_version(
    make_mount: MakeMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = MemoryRemote(describes=False, precision_s=60)
    mount = make_mount(remote)
    taken = remote._taken

    def untold(*arguments: Any) -> Stored:
        return taken(*arguments)._replace(mtime_ns=None)

    remote.put("/f", b"old", mtime_ns=OLD)
    mount.names()
    writer = mount.open("/f", os.O_RDWR | os.O_TRUNC)
    mount.write(writer, b"content")
    monkeypatch.setattr(remote, "_taken", untold)
    mount.fs.flush(writer)
    remote.set_mtime("/f", remote.mtime_ns("/f") - 7200 * S)
    mount.now += DIR_CACHE_S + 1
    mount.close(mount.open("/f"))
    assert not mount.fs._files._outdated
    mount.close(writer)


def found_another(make_mount: MakeMount) -> tuple[Mount, int, bytes]:
    """A mount of a server that lists minutes, where a file was read of which the server has another
    version within the minute: nothing else tells. With its handle, and the other version."""
    remote = MemoryRemote(describes=False, precision_s=60)
    mount = make_mount(remote)
    old, new = noise(BIG, 1), noise(BIG, 2)
    remote.put("/f", old, mtime_ns=OLD)
    mount.names()
    handle = mount.open("/f")
    assert mount.read(handle, 4096) == old[:4096]
    settled(mount)
    remote.put("/f", new, mtime_ns=OLD + S)
    with pytest.raises(ChangedError):
        mount.read(handle, 4096, BIG - 4096)
    return mount, handle, new


def test_a_file_is_opened_anew_once_a_read_found_another_version(make_mount: MakeMount) -> None:
    mount, first, new = found_another(make_mount)
    assert mount.content("/f") == new[:MIB]
    mount.close(first)
    assert mount.content("/f") == new[:MIB]


def test_what_was_found_to_be_another_version_is_not_kept(make_mount: MakeMount) -> None:
    mount, first, new = found_another(make_mount)
    mount.close(first)
    assert mount.content("/f") == new[:MIB]


@pytest.mark.parametrize("size", [5000, BLOCK_BYTES])
def test_a_small_file_is_read_in_one_go(mount: Mount, remote: MemoryRemote, size: int) -> None:
    """Who reads its beginning only, and the rest after a pause, sees one version."""
    old = noise(size, 1)
    remote.put("/f", old)
    handle = mount.open("/f")
    assert mount.read(handle, 100) == old[:100]
    eventually(lambda: remote.moved == size, "the rest is not fetched")
    remote.put("/f", noise(size, 2), mtime_ns=OLD + S)
    settled(mount)
    assert mount.read(handle, size) == old
    mount.close(handle)


def test_a_small_file_that_broke_off_is_not_completed_by_another_version(
    mount: Mount, remote: MemoryRemote
) -> None:
    old, new = noise(200_000, 1), noise(200_000, 2)
    remote.put("/f", old)
    mount.names("/")
    handle = mount.open("/f")
    first = remote.stall_next("readinto")
    begun = threading.Thread(target=lambda: mount.read(handle, 100))
    begun.start()
    assert first.reached.wait(WAIT_S)
    second = remote.stall_next("readinto")
    first.go.set()
    begun.join()
    assert second.reached.wait(WAIT_S)
    remote.put("/f", new, mtime_ns=OLD + S)
    remote.fail_next("readinto", NetworkError("lost"))
    second.go.set()
    with pytest.raises(ChangedError):
        mount.read(handle, 200_000)
    mount.close(handle)


@pytest.mark.parametrize("size", [5000, 300_000, BIG])
@pytest.mark.parametrize("more", [-1, 1])
def test_a_file_of_another_size_than_was_listed(
    mount: Mount, remote: MemoryRemote, size: int, more: int
) -> None:
    """The kernel would end it at the size it was told: an error, and the next open has it all."""
    remote.put("/f", noise(size, 1))
    mount.names()
    new = noise(size + more, 2)
    remote.put("/f", new, mtime_ns=OLD + S)
    handle = mount.open("/f")
    with pytest.raises(ChangedError):
        mount.read(handle, size)
    mount.close(handle)
    assert mount.content("/f") == new[:MIB]


def test_a_file_that_is_longer_by_now_on_a_server_that_tells_no_size(
    mount: Mount,
    remote: MemoryRemote,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    open_read = remote.open_read
    monkeypatch.setattr(remote, "open_read", lambda path, offset, identify: open_read(path, offset))
    remote.put("/f", noise(5000, 1))
    mount.names()
    new = noise(6000, 2)
    remote.put("/f", new, mtime_ns=OLD + S)
    handle = mount.open("/f")
    assert mount.read(handle) == new[:5000]
    reader = mount.fs._files.handle(handle).file._reader
    assert reader is not None
    eventually(lambda: reader.outgrown, "nobody looks whether there is more")
    mount.close(handle)
    assert "/f: longer on the server than the 5000 bytes read" in caplog.text
    handle = mount.open("/f")
    assert mount.fs.pages(handle) == (False, True), "the kernel has it as long as it was"
    assert mount.read(handle) == new
    mount.close(handle)


@pytest.mark.parametrize("ahead", [False, True])
def test_a_small_file_that_fell_out_of_memory_is_not_completed_by_another_version(
    make_mount: MakeMount, ahead: bool
) -> None:
    """On a server that lists minutes, within the minute."""
    remote = MemoryRemote(describes=False, precision_s=60)
    mount = make_mount(remote)
    files = small_files(remote, 6)
    name = list(files)[-1]
    if ahead:
        ahead_of(mount, remote, files, 4)
    mount.names("/d")
    handle = mount.open(name)
    assert mount.read(handle, 100) == files[name][:100]
    reader = mount.fs._files.handle(handle).file._reader
    assert reader is not None
    settled(mount)
    reader._blocks.drop(reader._source.file, reader.size)
    remote.put(name, noise(len(files[name]), 9), mtime_ns=remote.mtime_ns(name) + S)
    with pytest.raises(ChangedError):
        mount.read(handle, 100, 100)
    mount.close(handle)


@pytest.mark.parametrize("change", ["time", "append"])
def test_a_file_changed_from_here_while_it_is_read(
    mount: Mount, remote: MemoryRemote, change: str
) -> None:
    """The server shows another time then, and it is no other version."""
    old = noise(BIG, 1)
    remote.put("/f", old)
    handle = mount.open("/f", os.O_RDWR)
    assert mount.read(handle, 4096) == old[:4096]
    settled(mount)
    if change == "time":
        mount.fs.utimens("/f", 5 * S)
    else:
        mount.write(handle, b"more", BIG)
        mount.fs.fsync(handle)
    assert mount.read(handle, 4096, BIG - 4096) == old[-4096:]
    mount.close(handle)


def test_a_read_that_waits_while_another_open_finds_a_new_version(
    mount: Mount, remote: MemoryRemote
) -> None:
    old, new = noise(BIG, 1), noise(BIG, 2)
    remote.put("/f", old)
    handle = mount.open("/f")
    assert mount.read(handle, 4096) == old[:4096]
    settled(mount)
    found: list[object] = []

    def read() -> None:
        try:
            found.append(mount.read(handle, 4096, BIG - 4096))
        except ChangedError as error:
            found.append(error)

    stall = remote.stall_next("open_read")
    waits = threading.Thread(target=read)
    waits.start()
    assert stall.reached.wait(WAIT_S)
    remote.put("/f", new, mtime_ns=OLD + S)
    mount.now += DIR_CACHE_S + 1
    other = mount.open("/f")
    stall.go.set()
    waits.join(WAIT_S)
    assert len(found) == 1
    assert isinstance(found[0], ChangedError)
    mount.close(handle)
    mount.close(other)


# -- small files ahead ----------------------------------------------------------------------------


def small_files(remote: MemoryRemote, count: int, size: int = 3000) -> dict[str, bytes]:
    files = {f"/d/f{n:03}": noise(size, n) for n in range(count)}
    for path, data in files.items():
        remote.put(path, data)
    return files


@pytest.mark.parametrize("spares", [1, 3])
def test_each_file_of_a_directory_is_fetched_once(
    mount: Mount, remote: MemoryRemote, spares: int
) -> None:
    files = small_files(remote, 100)
    remote.spares = spares
    mount.names("/d")
    for path, data in files.items():
        assert mount.content(path) == data
    assert {path: opened(remote, path) for path in files} == dict.fromkeys(files, 1)
    in_turn = [path for path in files if path not in remote.ahead]
    assert set(list(files)[:2]) <= set(in_turn)
    assert len(remote.ahead) > 50


def test_nothing_is_fetched_ahead_without_a_pattern(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 50)
    remote.spares = 2
    mount.names("/d")
    for path in list(files)[::-3]:
        assert mount.content(path) == files[path]
    assert remote.ahead == []


def test_no_more_is_fetched_than_a_program_may_want(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 100)
    remote.spares = 2
    mount.names("/d")
    for path in list(files)[:2]:
        mount.content(path)
    eventually(lambda: remote.spares == 2, "the connections are kept")
    assert 0 < len(remote.ahead) <= 32
    assert set(remote.ahead) <= set(list(files)[2:34])


def test_large_files_are_not_fetched_ahead(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 4, AHEAD_FILE_BYTES + 1)
    remote.spares = 2
    mount.names("/d")
    for path in list(files)[:3]:
        assert mount.content(path) == files[path][:MIB]
    assert remote.ahead == []


def ahead_of(mount: Mount, remote: MemoryRemote, files: dict[str, bytes], count: int) -> None:
    """Read two, and wait until `count` more are here."""
    remote.spares = 1
    mount.names("/d")
    for path in list(files)[:2]:
        assert mount.content(path) == files[path]
    eventually(lambda: remote.spares == 1 and len(remote.ahead) == count, "not fetched")


def test_what_was_fetched_ahead_and_unlinked(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 6)
    ahead_of(mount, remote, files, 4)
    mount.fs.unlink("/d/f003")
    with pytest.raises(AbsentError):
        mount.open("/d/f003")


def test_what_was_fetched_ahead_and_written(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 6)
    ahead_of(mount, remote, files, 4)
    mount.save("/d/f003", b"new", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    assert mount.content("/d/f003") == b"new"


def test_what_was_fetched_ahead_and_replaced(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 6)
    ahead_of(mount, remote, files, 4)
    mount.fs.rename("/d/f002", "/d/f003")
    mount.fs.rename("/d/f005", "/d/f002")
    assert mount.content("/d/f003") == files["/d/f002"]
    assert mount.content("/d/f002") == files["/d/f005"]
    assert mount.content("/d/f004") == files["/d/f004"]


def test_what_was_fetched_ahead_and_changed_by_others(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 6)
    ahead_of(mount, remote, files, 4)
    remote.put("/d/f003", b"new", mtime_ns=OLD + S)
    mount.now += DIR_CACHE_S + 1
    assert mount.content("/d/f003") == b"new"


def test_what_is_longer_by_now_when_it_is_fetched_ahead(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 20)
    mount.names("/d")
    longer = {name: data + b"more" for name, data in files.items()}
    for name in sorted(files)[:4]:
        assert mount.content(name) == files[name]
    for name, data in longer.items():
        remote.put(name, data, mtime_ns=OLD + S)
    remote.spares = 2
    for name in sorted(files)[4:]:
        for _ in range(2):
            try:
                assert mount.content(name) == longer[name]
            except ChangedError:
                continue
        assert mount.content(name) == longer[name]


@pytest.mark.parametrize("method", ["open_read", "readinto"])
def test_a_spare_connection_that_dies_is_not_seen(
    mount: Mount, remote: MemoryRemote, method: str
) -> None:
    files = small_files(remote, 30)
    remote.spares = 2
    mount.names("/d")
    for number, (path, data) in enumerate(files.items()):
        if number == 2:  # the two that begin are read; what is fetched now is ahead
            eventually(lambda: remote.spares == 2, "the connections are kept")
        assert mount.content(path) == data
        if number == 0:
            for _ in range(3):
                remote._breaks.clear()
        if number == 1:
            break
    eventually(lambda: remote.spares == 2, "the connections are kept")
    for _ in range(2):
        remote.fail_next(method, NetworkError("lost"))
    more = small_files(remote, 60)
    for path in list(more)[30:32]:
        remote.works_again()
        mount.now += DIR_CACHE_S + 1
        assert mount.content(path) == more[path]
    for path, data in files.items():
        assert mount.content(path) == data


def test_who_reads_what_is_being_fetched_waits_for_it(mount: Mount, remote: MemoryRemote) -> None:
    files = small_files(remote, 5)
    remote.spares = 1
    mount.names("/d")
    paths = list(files)
    mount.content(paths[0])
    handle = mount.open(paths[1])
    mount.read(handle)  # its own transfer is over: the next one is that of the fetcher
    mount.close(handle)
    for path in paths[2:]:
        assert mount.content(path) == files[path]
    assert {path: opened(remote, path) for path in files} == dict.fromkeys(files, 1)


def test_files_dropped_for_want_of_a_connection_are_fetched_in_a_later_pass(
    mount: Mount, remote: MemoryRemote
) -> None:
    """What was once expected and not fetched may be fetched ahead all the same."""
    files = small_files(remote, 20)
    mount.names("/d")
    for path in list(files)[:2]:
        mount.content(path)  # the others are expected, and dropped at once
    remote.spares = 1
    for path in list(files)[:2]:
        mount.content(path)
    eventually(lambda: len(remote.ahead) == 18, "not fetched")


def test_a_second_pass_over_more_than_fits_into_memory(make_mount: MakeMount) -> None:
    mount = make_mount(read_cache=MIB)
    remote = mount.remote
    files = small_files(remote, 160, 100_000)
    mount.names("/d")
    for path, data in files.items():
        assert mount.content(path) == data
    remote.spares = 2
    remote.ahead.clear()
    for path, data in files.items():
        assert mount.content(path) == data
    assert len(remote.ahead) > 10


def test_no_more_ahead_than_a_small_cache_holds(make_mount: MakeMount) -> None:
    """Else each file would have fallen out when its turn comes, and be fetched twice."""
    mount = make_mount(read_cache=MIB)
    remote = mount.remote
    files = small_files(remote, 120, 100_000)
    remote.spares = 2
    mount.names("/d")
    for path, data in files.items():
        assert mount.content(path) == data
    twice = [path for path in files if opened(remote, path) > 1]
    assert twice == []


def test_a_big_file_with_the_smallest_cache(make_mount: MakeMount) -> None:
    mount = make_mount(read_cache=1)
    data = noise(20 * BLOCK_BYTES + 77)
    mount.remote.put("/f", data)
    handle = mount.open("/f")
    found = b"".join(mount.read(handle, 1 << 17, at) for at in range(0, len(data), 1 << 17))
    assert found == data
    assert opened(mount.remote) < 4
    mount.close(handle)


# -- listings ahead -------------------------------------------------------------------------------


def tree(remote: MemoryRemote, wide: int = 12, deep: int = 2) -> list[str]:
    paths = [f"/t/d{n:02}" for n in range(wide)]
    if deep > 1:
        paths += [f"{path}/s{n}" for path in paths for n in range(2)]
    for path in paths:
        remote.put(f"{path}/file", b"x")
    return sorted(["/t", *paths])


def rested(mount: Mount) -> None:
    """Whatever was to be fetched ahead is here: the program was slower than the server."""
    fetchers = mount.fs._fetchers
    eventually(
        lambda: not fetchers._jobs and fetchers._idle == len(fetchers._threads), "jobs are left"
    )


def walked(mount: Mount, path: str) -> list[str]:
    """What `find` does: depth first, in the order of the listing."""
    rested(mount)
    handle = mount.fs.opendir(path)
    entries = mount.fs.readdir(handle)
    mount.fs.releasedir(handle)
    below = [f"{path}/{name}" for name, entry in entries if entry.kind.value == "directory"]
    return [path, *(found for each in below for found in walked(mount, each))]


def test_each_directory_of_a_tree_is_listed_once(mount: Mount, remote: MemoryRemote) -> None:
    paths = tree(remote)
    remote.spares = 2
    assert walked(mount, "/t") == paths
    assert {path: remote.count("list", path) for path in paths} == dict.fromkeys(paths, 1)
    assert len(remote.ahead) > len(paths) // 2


def test_breadth_first(mount: Mount, remote: MemoryRemote) -> None:
    """What `ls -R` does when it asks by levels."""
    paths = tree(remote, deep=1)
    remote.spares = 2
    for path in paths:
        mount.names(path)
        rested(mount)
    assert {path: remote.count("list", path) for path in paths} == dict.fromkeys(paths, 1)
    assert len(remote.ahead) > len(paths) // 2


def test_who_looks_around_has_nothing_listed_for_him(mount: Mount, remote: MemoryRemote) -> None:
    paths = tree(remote)
    remote.spares = 2
    for path in ("/t", paths[-1], paths[4], "/t"):
        mount.names(path)
    assert remote.ahead == []


def test_a_directory_that_is_gone_when_it_is_listed_ahead(
    mount: Mount, remote: MemoryRemote
) -> None:
    paths = tree(remote, deep=1)
    remote.spares = 1
    mount.names("/t")
    gone = paths[5]
    remote._directory(gone).children.clear()
    remote.rmdir(gone)
    for path in paths[1:]:
        if path != gone:
            assert mount.names(path) == ["file"]
    with pytest.raises(AbsentError):
        mount.names(gone)


def test_what_is_made_here_while_its_directory_is_listed_ahead(
    mount: Mount, remote: MemoryRemote
) -> None:
    paths = tree(remote, deep=1)
    remote.spares = 1
    mount.names("/t")
    stall = remote.stall_next("list")
    found = threading.Thread(target=lambda: mount.names(paths[1]))
    found.start()
    assert stall.reached.wait(WAIT_S)
    mount.save(f"{paths[2]}/new", b"x")
    stall.go.set()
    found.join(WAIT_S)
    assert mount.names(paths[2]) == ["file", "new"]
