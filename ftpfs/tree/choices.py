"""What the user chose for a copy."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Existing(enum.Enum):
    """What to do where the target has a file of that name."""

    REPLACE = "replace"
    KEEP = "keep"  # -n
    OLDER = "older"  # -u: replace what is older
    PARTIAL = "partial"  # --continue: replace what is not complete
    DIFFERENT = "different"  # sync: replace what differs in size or time


class Choices(NamedTuple):
    existing: Existing = Existing.REPLACE
    times: bool = False  # the copy gets the time of the source
    modes: bool = False  # and exactly its permission bits
    lenient: bool = False  # where times and bits cannot be set, that is no failure
    checksum: bool = False  # compare hashes where the server has them

    @property
    def resume(self) -> bool:
        """Whether what an earlier attempt left is gone on with."""
        return self.existing in (Existing.PARTIAL, Existing.DIFFERENT)
