"""The bytes of files: read, written, appended to, changed in the middle, replaced."""

from __future__ import annotations

import os
import tempfile
import threading
import time

import pytest
from contract.serving import BYTES, JOIN_S, SECOND_NS, Served
from fakes.memory import MemoryRemote

from ftpfs.errors import AbsentError, IsDirectoryError, TransferError, UnsupportedError
from ftpfs.remote.api import Fingerprint


@pytest.mark.operation("read")
def test_store_and_read(served: Served) -> None:
    served.store("/file", BYTES)
    assert served.read("/file") == BYTES
    assert served.remote.list("/")["file"].size == len(BYTES)


@pytest.mark.operation("read")
@pytest.mark.parametrize("offset", [1, 100_000, len(BYTES) - 1, len(BYTES)])
def test_read_from_an_offset(served: Served, offset: int) -> None:
    served.store("/file", BYTES)
    assert served.read("/file", offset) == BYTES[offset:]


@pytest.mark.operation("write")
def test_what_store_tells(served: Served) -> None:
    before = time.time_ns() // SECOND_NS * SECOND_NS
    stored = served.store("/file", b"12345")
    assert stored.size == 5
    assert stored.mtime_ns is not None
    assert before - SECOND_NS <= stored.mtime_ns <= time.time_ns() + SECOND_NS
    assert served.remote.stat("/file").mtime_ns == stored.mtime_ns


@pytest.mark.operation("write")
def test_store_replaces(served: Served) -> None:
    served.store("/file", b"long content")
    served.store("/file", b"short")
    assert served.read("/file") == b"short"


@pytest.mark.operation("write")
def test_an_empty_file(served: Served) -> None:
    served.store("/file", b"")
    assert served.read("/file") == b""
    assert served.remote.stat("/file").size == 0


@pytest.mark.operation("write")
def test_store_sends_the_first_bytes_of_the_source(served: Served) -> None:
    with tempfile.TemporaryFile(buffering=0) as source:
        source.write(b"0123456789")
        source.seek(7)
        served.remote.store("/file", source, 4)
    assert served.read("/file") == b"0123"


@pytest.mark.operation("read")
def test_an_early_closed_download_leaves_the_connection_usable(served: Served) -> None:
    served.store("/file", BYTES * 20)
    buffer = memoryview(bytearray(1000))
    logins = served.traffic.logins
    for _ in range(5):
        download = served.remote.open_read("/file", 0)
        assert download.readinto(buffer) > 0
        download.close()
        assert list(served.remote.list("/")) == ["file"]
    download = served.remote.open_read("/file", 5)
    download.close()
    download.close()
    assert served.read("/file", 20 * len(BYTES) - 9) == BYTES[-9:]
    if served.tls and not served.can.survives_cuts:
        served.lacks("a download that is cut short may cost the connection: there is a new one")
        return
    assert served.traffic.logins == logins


@pytest.mark.operation("read")
def test_the_end_is_told_again(served: Served) -> None:
    served.store("/file", b"abc")
    download = served.remote.open_read("/file", 0)
    buffer = memoryview(bytearray(10))
    while download.readinto(buffer):
        pass
    assert download.readinto(buffer) == 0
    download.close()


# -- parts of files and replacements --------------------------------------------------------------


@pytest.mark.operation("write")
def test_fingerprint(served: Served) -> None:
    assert served.remote.fingerprint("/file") is None
    assert served.remote.fingerprint("/absent/file") is None
    stored = served.store("/file", b"12345")
    assert served.remote.fingerprint("/file") == Fingerprint(5, stored.mtime_ns)
    served.remote.set_mtime("/file", 1_000_000_000 * SECOND_NS)
    assert served.remote.fingerprint("/file") == Fingerprint(5, 1_000_000_000 * SECOND_NS)
    served.remote.unlink("/file")
    assert served.remote.fingerprint("/file") is None


@pytest.mark.operation("append")
def test_append_sends_the_end(served: Served) -> None:
    if not served.can.appends:
        served.store("/file", b"0123")
        with pytest.raises(UnsupportedError):
            served.append("/file", b"####456789", 4)
        assert served.read("/file") == b"0123"
        served.lacks("there is no APPE: the file is sent whole")
        return
    served.store("/file", b"0123")
    stored = served.append("/file", b"####456789", 4)
    assert stored.size == 10
    assert stored.mtime_ns is not None
    assert served.read("/file") == b"0123456789"


@pytest.mark.operation("append")
def test_append_goes_on_after_a_part_that_arrived(served: Served) -> None:
    if not served.can.appends:
        return
    served.store("/file", BYTES[:1000])
    served.append("/file", BYTES[:300_000], 1000)
    served.append("/file", BYTES, 300_000)
    assert served.read("/file") == BYTES


@pytest.mark.operation("append")
def test_append_of_nothing(served: Served) -> None:
    if not served.can.appends:
        return
    served.store("/file", b"0123")
    assert served.append("/file", b"0123", 4).size == 4
    assert served.read("/file") == b"0123"


@pytest.mark.operation("append")
def test_append_to_a_file_that_is_longer_is_told(served: Served) -> None:
    if not served.can.appends:
        return
    served.store("/file", b"0123 and another's")
    with pytest.raises(TransferError):
        served.append("/file", b"012345", 4)


PATCHES = {
    "the middle": [(400_000, 404_096)],
    "one byte": [(1, 2)],
    "the last byte": [(len(BYTES) - 1, len(BYTES))],
    "several": [(10, 20), (300_000, 300_001), (900_000, 950_000)],
    "beyond the end": [(len(BYTES), len(BYTES) + 5000)],
    "over the end": [(7, 8), (len(BYTES) - 10, len(BYTES) + 10)],
}


@pytest.mark.operation("change in place")
@pytest.mark.parametrize("ranges", PATCHES.values(), ids=PATCHES)
def test_patch(served: Served, ranges: list[tuple[int, int]]) -> None:
    served.store("/file", BYTES)
    if not served.can.patches:
        assert not served.remote.can_patch("/file"), "it can: the table is out of date"
        served.lacks("REST + STOR cuts the file, which is sent whole instead")
        return
    size = max(len(BYTES), ranges[-1][1])
    changed = bytearray(BYTES.ljust(size, b"-"))
    for start, end in ranges:
        changed[start:end] = os.urandom(end - start)
    for _ in range(2):  # it may be repeated
        assert served.patch("/file", bytes(changed), *ranges).size == size
        assert served.read("/file") == changed
    assert list(served.remote.list("/")) == ["file"]


@pytest.mark.operation("change in place")
def test_can_patch_is_tried_once_and_leaves_nothing(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/dir/file", b"x")
    can = served.can.patches
    assert served.remote.can_patch("/dir/file") is can
    before = served.sent()
    assert served.remote.can_patch("/dir/file") is can
    assert served.remote.can_patch("/other") is can
    assert served.sent() == before or isinstance(served.remote, MemoryRemote)
    assert list(served.remote.list("/dir")) == ["file"]
    assert list(served.remote.list("/")) == ["dir"]
    assert served.files() == {"dir", "dir/file"}


@pytest.mark.operation("replace")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_replace_keeps_the_mode_and_leaves_no_temporary_file(served: Served, mode: int) -> None:
    served.store("/file", b"old")
    served.remote.chmod("/file", mode)
    stored = served.replace("/file", BYTES, mode)
    assert served.read("/file") == BYTES
    entry = served.remote.list("/")["file"]
    assert (entry.size, entry.mode) == (len(BYTES), mode)
    assert served.remote.fingerprint("/file") == Fingerprint(stored.size, stored.mtime_ns)
    assert served.files() == {"file"}


@pytest.mark.operation("replace")
def test_replace_where_there_was_none(served: Served) -> None:
    served.replace("/file", b"new")
    assert served.read("/file") == b"new"


@pytest.mark.operation("replace")
def test_replace_of_a_directory_destroys_nothing(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/dir/inside", b"precious")
    with pytest.raises(IsDirectoryError):
        served.replace("/dir", b"x")
    assert served.files() == {"dir", "dir/inside"}
    served.store("/file", b"old")
    served.replace("/file", b"new")
    assert served.read("/file") == b"new"


@pytest.mark.operation("replace")
def test_replace_in_a_directory_that_is_gone(served: Served) -> None:
    with pytest.raises(AbsentError):
        served.replace("/absent/file", b"x")
    served.store("/file", b"old")
    served.replace("/file", b"new")  # nothing was concluded from it
    assert served.read("/file") == b"new"


@pytest.mark.operation("replace")
def test_a_reader_of_the_servers_file_sees_the_old_or_the_new_content(served: Served) -> None:
    versions = [bytes([number]) * (400_000 + number) for number in range(6)]
    served.store("/file", versions[0])
    found: list[bytes] = []
    absent: list[int] = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            try:
                found.append(served.data("file"))
            except FileNotFoundError:
                absent.append(1)

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for version in versions[1:]:
            served.replace("/file", version)
    finally:
        stop.set()
        reader.join(JOIN_S)
    assert len(found) > len(versions)
    assert set(found) <= set(versions)
    if served.can.overwrites:
        assert not absent
    else:
        served.lacks("the old file steps aside: for a moment there is none of that name")
    assert served.data("file") == versions[-1]
