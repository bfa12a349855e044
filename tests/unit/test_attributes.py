from __future__ import annotations

import os
import stat
from types import SimpleNamespace
from typing import Any

import pytest

from ftpfs.fuse.attributes import Attributes
from ftpfs.options import MountOptions
from ftpfs.remote.api import Entry, Kind

FILE, DIRECTORY, LINK, OTHER = Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.OTHER

MODES = [
    # kind, the server's bits, umask of the mount (-1: none), st_mode
    (FILE, None, -1, stat.S_IFREG | 0o644),
    (FILE, 0o751, -1, stat.S_IFREG | 0o751),
    (FILE, 0, -1, stat.S_IFREG),
    (FILE, 0o4755, -1, stat.S_IFREG | 0o4755),
    (DIRECTORY, None, -1, stat.S_IFDIR | 0o755),
    (DIRECTORY, 0o1777, -1, stat.S_IFDIR | 0o1777),
    (LINK, None, -1, stat.S_IFLNK | 0o777),
    (OTHER, 0o660, -1, stat.S_IFIFO | 0o660),
    (FILE, 0o600, 0o022, stat.S_IFREG | 0o644),
    (FILE, 0o700, 0o022, stat.S_IFREG | 0o744),
    (FILE, 0o755, 0o077, stat.S_IFREG | 0o700),
    (FILE, None, 0, stat.S_IFREG | 0o666),
    (DIRECTORY, 0o500, 0o022, stat.S_IFDIR | 0o755),
    (LINK, None, 0o077, stat.S_IFLNK | 0o777),
]


@pytest.mark.parametrize(("kind", "bits", "umask", "wanted"), MODES)
def test_mode(kind: Kind, bits: int | None, umask: int, wanted: int) -> None:
    attributes = Attributes(MountOptions(umask=umask))
    assert attributes.mode(Entry("a", kind, mode=bits)) == wanted


def filled(entry: Entry, options: MountOptions = MountOptions()) -> Any:  # noqa: B008 - frozen
    times = {f"st_{t}timespec": SimpleNamespace(tv_sec=-1, tv_nsec=-1) for t in "mca"}
    st = SimpleNamespace(**times)
    Attributes(options).fill(st, entry)
    return st


def test_fill() -> None:
    st = filled(Entry("a", FILE, 1025, 7_000_000_009), MountOptions(uid=12, gid=34))
    assert (st.st_mode, st.st_nlink, st.st_uid, st.st_gid) == (stat.S_IFREG | 0o644, 1, 12, 34)
    assert (st.st_size, st.st_blocks) == (1025, 3)
    for spec in (st.st_mtimespec, st.st_ctimespec, st.st_atimespec):
        assert (spec.tv_sec, spec.tv_nsec) == (7, 9)


def test_the_owner_is_who_mounts() -> None:
    st = filled(Entry("a", FILE))
    assert (st.st_uid, st.st_gid) == (os.getuid(), os.getgid())


def test_a_time_before_1970() -> None:
    st = filled(Entry("a", FILE, mtime_ns=-1))
    assert (st.st_mtimespec.tv_sec, st.st_mtimespec.tv_nsec) == (-1, 999_999_999)


def test_an_empty_file_has_no_blocks() -> None:
    assert filled(Entry("a", FILE)).st_blocks == 0


def test_each_entry_of_a_listing_has_its_own_attributes() -> None:
    """All are filled into one struct, of which what stays the same is left as it is."""
    st = filled(Entry("first", OTHER))
    fill = Attributes(MountOptions()).filler(st)
    for kind, mode, mtime_ns, size in (
        (FILE, 0o644, 5 * 10**9 + 7, 1000),
        (FILE, 0o600, 5 * 10**9 + 7, 1000),
        (DIRECTORY, 0o600, 6 * 10**9, 0),
        (DIRECTORY, None, 6 * 10**9, 0),
        (FILE, 0o644, 5 * 10**9 + 7, 1),
    ):
        entry = Entry("name", kind, size, mtime_ns, mode=mode)
        fill(entry)
        assert st == filled(entry)
        assert stat.S_ISDIR(st.st_mode) == (kind is DIRECTORY)
