from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.memory import MemoryRemote
from fakes.mount import DIR_CACHE_S, MakeMount, Mount

from ftpfs.options import MountOptions


@pytest.fixture
def make_mount(tmp_path: Path) -> Iterator[MakeMount]:
    """Mounts that are closed in the end, and leave no file in their spool."""
    mounts: list[Mount] = []

    def make(remote: MemoryRemote | None = None, **options: Any) -> Mount:
        spool = str(tmp_path / f"spool-{len(mounts)}")
        chosen = MountOptions(dir_cache=DIR_CACHE_S, **options)
        mounts.append(Mount(spool, remote or MemoryRemote(), chosen))
        return mounts[-1]

    yield make
    for mount in mounts:
        mount.assert_left()


@pytest.fixture
def mount(make_mount: MakeMount) -> Mount:
    return make_mount()


@pytest.fixture
def remote(mount: Mount) -> MemoryRemote:
    return mount.remote


@pytest.fixture
def small_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a test's size are big enough to be changed in place."""
    monkeypatch.setattr("ftpfs.content.plan.PATCH_MIN_BYTES", 1000)
