"""How to bring a changed file to the server: a pure choice.

what changed                              how it goes
----------------------------------------  ------------------------------------------------
the file is new, or was empty             STOR to its name
only bytes beyond the old end             APPE of these
little of a big file, size not smaller    REST + STOR of the ranges, where the server was
                                          seen to replace in place
anything else                             STOR to a temporary name, RNFR + RNTO; where the
                                          server refuses that, STOR to the name
"""

from __future__ import annotations

import enum

from ftpfs.config import PATCH_MAX_RANGES, PATCH_MAX_SHARE, PATCH_MIN_BYTES
from ftpfs.content.ranges import RangeSet


class Plan(enum.Enum):
    CREATE = "create"
    APPEND = "append"
    PATCH = "patch"
    REPLACE = "replace"


def choose(*, base_size: int | None, size: int, dirty: RangeSet, patching: bool) -> Plan:
    """The plan for a file of `size` bytes of which `dirty` changed; `base_size` bytes are on the
    server (None: no file). `patching` says whether changing a file in place is allowed at all.
    """
    if not base_size:  # an empty file is no good copy to be kept
        return Plan.CREATE
    if size < base_size or not dirty:
        return Plan.REPLACE
    if all(start >= base_size for start, _ in dirty):
        return Plan.APPEND
    small = dirty.size <= size * PATCH_MAX_SHARE and len(list(dirty)) <= PATCH_MAX_RANGES
    if patching and base_size >= PATCH_MIN_BYTES and small:
        return Plan.PATCH
    return Plan.REPLACE
