"""What only Pure-FTPd does, in a mount of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mounts import mounted
from servers import pureftpd_server

pytestmark = pytest.mark.mounted

SHOWN = 10_000  # its LimitRecursion, as shipped


def test_a_listing_that_it_cuts_is_said_and_the_rest_is_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(SHOWN + 50):
        (tmp_path / f"many/{number:05}").write_bytes(b"content")
    with pureftpd_server(str(tmp_path)) as server, mounted(server.url) as mount:
        shown = set(os.listdir(f"{mount.path}/many"))
        assert SHOWN - 10 < len(shown) <= SHOWN  # it counts `.` and `..`
        assert f"the server cut the listing at {SHOWN} names" in mount.log()
        hidden = next(name for name in os.listdir(tmp_path / "many") if name not in shown)
        with open(f"{mount.path}/many/{hidden}", "rb") as file:
            assert file.read() == b"content"
