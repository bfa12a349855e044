"""Names and attributes that change."""

from __future__ import annotations

import pytest
from contract.serving import SECOND_NS, Served

from ftpfs.errors import AbsentError, IsDirectoryError, RefusedError, UnsupportedError


@pytest.mark.operation("times")
@pytest.mark.parametrize("seconds", [0, 1, 951_827_696, 1_900_000_000])
def test_set_mtime_is_exact_to_a_second(served: Served, seconds: int) -> None:
    served.store("/file", b"x")
    served.remote.set_mtime("/file", seconds * SECOND_NS + 999_999_999)
    assert served.remote.stat("/file").mtime_ns == seconds * SECOND_NS
    assert served.read("/file") == b"x"


@pytest.mark.operation("permissions")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o400])
def test_chmod(served: Served, mode: int) -> None:
    served.store("/file", b"x")
    served.remote.chmod("/file", mode)
    assert served.remote.list("/")["file"].mode == mode


@pytest.mark.operation("permissions")
def test_chmod_of_a_directory(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.remote.chmod("/dir", 0o700)
    assert served.remote.list("/")["dir"].mode == 0o700


@pytest.mark.operation("rename and delete")
def test_unlink(served: Served) -> None:
    served.store("/file", b"x")
    served.store("/other", b"y")
    served.remote.unlink("/file")
    assert list(served.remote.list("/")) == ["other"]


@pytest.mark.operation("rename and delete")
def test_rename(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/file", b"content")
    served.remote.rename("/file", "/dir/new name")
    assert list(served.remote.list("/")) == ["dir"]
    assert served.read("/dir/new name") == b"content"


@pytest.mark.operation("rename and delete")
def test_rename_onto_a_file_replaces_it(served: Served) -> None:
    served.store("/old", b"new content")
    served.store("/new", b"old")
    served.remote.rename("/old", "/new")
    assert list(served.remote.list("/")) == ["new"]
    assert served.read("/new") == b"new content"


@pytest.mark.operation("rename and delete")
def test_rename_of_a_directory(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.remote.mkdir("/dir/sub")
    served.store("/dir/sub/file", b"content")
    served.remote.rename("/dir", "/moved")
    assert list(served.remote.list("/")) == ["moved"]
    assert served.read("/moved/sub/file") == b"content"


@pytest.mark.operation("rename and delete")
def test_a_directory_does_not_replace_a_file(served: Served) -> None:
    served.remote.mkdir("/dir")
    served.store("/file", b"precious")
    with pytest.raises(RefusedError) as caught:
        served.remote.rename("/dir", "/file")
    assert not isinstance(caught.value, AbsentError | UnsupportedError)
    assert sorted(served.remote.list("/")) == ["dir", "file"]
    assert served.read("/file") == b"precious"


@pytest.mark.operation("rename and delete")
def test_a_file_does_not_replace_a_directory(served: Served) -> None:
    served.store("/file", b"content")
    served.remote.mkdir("/dir")
    served.store("/dir/inside", b"precious")
    with pytest.raises(IsDirectoryError):
        served.remote.rename("/file", "/dir")
    assert served.read("/dir/inside") == b"precious"
    assert served.read("/file") == b"content"
