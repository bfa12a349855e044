"""The same file system on plain fusepy and libfuse 2: a part of the tests of the other files.

They are the same functions; only the mount that they work in is another one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mounted.places import OVER_TLS, served
from mounted.test_programs import (  # noqa: F401 - collected here, too
    test_an_editor_saves_by_rename,
    test_cp_and_mv_between_file_systems_keep_times_and_modes,
    test_dd_writes_in_the_middle,
    test_find_and_du,
    test_git_keeps_a_repository,
    test_ln_is_refused,
    test_mv_within_and_across_directories,
    test_rsync_finds_nothing_to_do_the_second_time,
    test_sed_in_place,
    test_tar_unpacks_with_times_and_packs_the_same,
    test_the_shell_appends,
)
from mounted.test_semantics import (  # noqa: F401 - collected here, too
    test_a_file_renamed_while_open_is_sent_to_its_new_name,
    test_an_unlinked_file_is_never_sent,
    test_an_unlinked_file_stays_readable,
    test_append,
    test_bytes_that_are_no_utf_8_survive,
    test_chmod_and_utime,
    test_close_says_that_the_directory_is_gone,
    test_errors_of_names,
    test_exclusive_creation,
    test_fsync_sends,
    test_holes_read_as_zeros,
    test_mapped_reading,
    test_mapped_writing,
    test_mapped_writing_after_the_descriptor_is_closed,
    test_names_survive,
    test_names_that_ftp_cannot_carry,
    test_own_changes_are_seen_at_once,
    test_read_and_write_through_one_descriptor,
    test_times_and_modes_of_an_open_file,
    test_truncate_by_descriptor,
    test_truncate_by_path,
    test_unsent_bytes_are_read_through_a_second_descriptor,
    test_writing_in_the_middle_of_a_large_file,
)
from mounts import Mount, mounted, process_file
from servers import Server

pytestmark = pytest.mark.mounted


@pytest.fixture(scope="module", autouse=True)
def fusepy() -> Iterator[None]:
    """Every mount of this module is made with fusepy, also those that a test makes itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTPFS_FUSE", "fusepy")
        yield


@pytest.fixture(scope="module", params=["pyftpdlib", "vsftpd", *OVER_TLS])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The servers of the other files but one: the binding does not know MLSD from LIST."""
    yield from served(request.param, str(tmp_path_factory.mktemp("server")))


@pytest.fixture(scope="module")
def mount(server: Server, fusepy: None) -> Iterator[Mount]:
    with mounted(server.url, *server.options) as made:
        yield made


def test_libfuse_2_is_used(mount: Mount) -> None:
    libraries = process_file(mount.pid, "maps")
    assert "/libfuse.so.2" in libraries
    assert "/libfuse3.so" not in libraries
