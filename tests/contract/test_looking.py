"""What is there: listings, single entries, and what is absent."""

from __future__ import annotations

import time

import pytest
from contract.serving import SECOND_NS, Served

from ftpfs.errors import (
    AbsentError,
    ExistsError,
    IsDirectoryError,
    NotDirectoryError,
    NotEmptyError,
)
from ftpfs.remote.api import Kind

pytestmark = pytest.mark.operation("list and stat")


def test_an_empty_directory(served: Served) -> None:
    assert served.remote.list("/") == {}


def test_list(served: Served) -> None:
    served.store("/file", b"12345")
    served.store("/.hidden", b"")
    served.remote.mkdir("/dir")
    served.store("/dir/inside", b"")
    found = served.remote.list("/")
    assert sorted(found) == [".hidden", "dir", "file"]
    assert (found["file"].kind, found["file"].size) == (Kind.FILE, 5)
    assert found["dir"].kind is Kind.DIRECTORY
    assert all(entry.name == name for name, entry in found.items())
    assert list(served.remote.list("/dir")) == ["inside"]


def test_times_of_a_listing(served: Served) -> None:
    before = time.time_ns()
    served.store("/file", b"x")
    entry = served.remote.list("/")["file"]
    assert entry.precision_s == served.can.lists_to_s
    slack = (served.can.lists_to_s + 1) * SECOND_NS
    assert before - slack <= entry.mtime_ns <= time.time_ns() + slack


def test_stat(served: Served) -> None:
    before = time.time_ns() // SECOND_NS * SECOND_NS
    served.store("/file", b"12345")
    served.remote.mkdir("/dir")
    file, directory = served.remote.stat("/file"), served.remote.stat("/dir")
    assert (file.name, file.kind, file.size) == ("file", Kind.FILE, 5)
    assert (directory.name, directory.kind) == ("dir", Kind.DIRECTORY)
    assert before - SECOND_NS <= file.mtime_ns <= time.time_ns() + SECOND_NS
    assert served.remote.stat("/").kind is Kind.DIRECTORY


def test_stat_of_a_name_in_a_directory(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/dir/inside", b"1")
    assert served.remote.stat("/dir/inside").name == "inside"


def test_describes(served: Served) -> None:
    served.remote.list("/")
    assert served.remote.describes is served.can.describes


@pytest.mark.operation("errors")
def test_what_is_absent(served: Served) -> None:
    served.remote.mkdir("/dir")
    remote = served.remote
    for path in ("/absent", "/absent/too", "/dir/absent"):
        with pytest.raises(AbsentError):
            remote.stat(path)
        with pytest.raises(AbsentError):
            remote.list(path)
        with pytest.raises(AbsentError):
            remote.open_read(path, 0)
        with pytest.raises(AbsentError):
            remote.unlink(path)
        with pytest.raises(AbsentError):
            remote.rmdir(path)
        with pytest.raises(AbsentError):
            remote.rename(path, "/new")
        with pytest.raises(AbsentError):
            remote.chmod(path, 0o600)
        with pytest.raises(AbsentError):
            remote.set_mtime(path, 0)
    assert list(remote.list("/")) == ["dir"]


@pytest.mark.operation("errors")
def test_the_error_of_one_call_does_not_change_the_next(served: Served) -> None:
    """What a server can do is not concluded from a call that failed for another reason."""
    remote = served.remote
    for call in (remote.stat, remote.list, lambda p: remote.set_mtime(p, 0)):
        with pytest.raises(AbsentError):
            call("/absent")
    served.store("/file", b"x")
    remote.set_mtime("/file", 1_000_000_000 * SECOND_NS)
    remote.chmod("/file", 0o600)
    assert remote.stat("/file").mtime_ns == 1_000_000_000 * SECOND_NS
    assert remote.describes is served.can.describes


@pytest.mark.operation("errors")
def test_a_file_is_no_directory(served: Served) -> None:
    served.store("/file", b"x")
    with pytest.raises(NotDirectoryError):
        served.remote.list("/file")
    with pytest.raises(NotDirectoryError):
        served.remote.rmdir("/file")
    assert served.read("/file") == b"x"


@pytest.mark.operation("errors")
def test_a_directory_is_no_file(served: Served) -> None:
    served.remote.mkdir("/dir")
    with pytest.raises(IsDirectoryError):
        served.read("/dir")
    with pytest.raises(IsDirectoryError):
        served.remote.unlink("/dir")
    with pytest.raises(IsDirectoryError):
        served.store("/dir", b"x")
    assert served.remote.list("/dir") == {}


@pytest.mark.operation("directories")
def test_mkdir_and_rmdir(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.remote.mkdir("/dir/sub")
    assert served.remote.list("/dir")["sub"].kind is Kind.DIRECTORY
    with pytest.raises(NotEmptyError):
        served.remote.rmdir("/dir")
    served.remote.rmdir("/dir/sub")
    served.remote.rmdir("/dir")
    assert served.remote.list("/") == {}


@pytest.mark.operation("directories")
def test_mkdir_of_what_exists(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/file", b"x")
    for path in ("/dir", "/file"):
        with pytest.raises(ExistsError):
            served.remote.mkdir(path)
    assert served.read("/file") == b"x"


@pytest.mark.operation("errors")
def test_an_absent_parent(served: Served) -> None:
    served.store("/file", b"x")
    with pytest.raises(AbsentError):
        served.remote.mkdir("/absent/dir")
    with pytest.raises(AbsentError):
        served.store("/absent/file", b"x")
    with pytest.raises(AbsentError):
        served.remote.rename("/file", "/absent/file")
    assert list(served.remote.list("/")) == ["file"]
