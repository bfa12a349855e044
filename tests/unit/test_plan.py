from __future__ import annotations

import pytest

from ftpfs.config import MIB, PATCH_MAX_RANGES, PATCH_MIN_BYTES
from ftpfs.content.plan import Plan, choose
from ftpfs.content.ranges import RangeSet

BIG = 2 * PATCH_MIN_BYTES
CREATE, APPEND, PATCH, REPLACE = Plan.CREATE, Plan.APPEND, Plan.PATCH, Plan.REPLACE

TABLE = {
    # what changed: size on the server (None: no file), new size, dirty ranges, plan
    "a new file": (None, 10, [(0, 10)], CREATE),
    "a new and empty file": (None, 0, [], CREATE),
    "the file was empty": (0, 10, [(0, 10)], CREATE),
    "emptied": (10, 0, [], REPLACE),
    "shorter": (10, 5, [], REPLACE),
    "shorter and changed": (BIG, BIG - 1, [(0, 1)], REPLACE),
    "nothing that is known": (10, 10, [], REPLACE),
    "appended": (10, 15, [(10, 15)], APPEND),
    "appended with a hole": (10, 50, [(10, 40), (40, 50)], APPEND),
    "appended to a big file": (BIG, BIG + 1, [(BIG, BIG + 1)], APPEND),
    "appended, and the last byte changed": (10, 15, [(9, 15)], REPLACE),
    "a small file": (10, 10, [(3, 4)], REPLACE),
    "just too small": (PATCH_MIN_BYTES - 1, PATCH_MIN_BYTES - 1, [(3, 4)], REPLACE),
    "just big enough": (PATCH_MIN_BYTES, PATCH_MIN_BYTES, [(3, 4)], PATCH),
    "the middle of a big file": (BIG, BIG, [(MIB, MIB + 4096)], PATCH),
    "middle and beyond the end": (BIG, BIG + 9, [(5, 9), (BIG, BIG + 9)], PATCH),
    "a quarter": (BIG, BIG, [(0, BIG // 4)], PATCH),
    "more than a quarter": (BIG, BIG, [(0, BIG // 4 + 1)], REPLACE),
    "many ranges": (BIG, BIG, [(n * 10, n * 10 + 1) for n in range(PATCH_MAX_RANGES)], PATCH),
    "too many": (BIG, BIG, [(n * 10, n * 10 + 1) for n in range(PATCH_MAX_RANGES + 1)], REPLACE),
}


@pytest.mark.parametrize(("base", "size", "dirty", "plan"), TABLE.values(), ids=TABLE)
def test_choose(base: int | None, size: int, dirty: list[tuple[int, int]], plan: Plan) -> None:
    ranges = RangeSet(*dirty)
    assert choose(base_size=base, size=size, dirty=ranges, patching=True) is plan
    without = REPLACE if plan is PATCH else plan
    assert choose(base_size=base, size=size, dirty=ranges, patching=False) is without
