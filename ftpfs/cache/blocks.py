"""Blocks of file content in memory, least recently used first out, within a bound of bytes.

Shared by all threads; `_lock` guards the cachetools cache. A block's bytes are written by the
one stream that fills it and read by others up to `end`, which only grows and is set after the
bytes are in place.
"""

from __future__ import annotations

import threading

from cachetools import LRUCache

from ftpfs.config import BLOCK_BYTES, READ_CACHE_BYTES

Key = tuple[int, int]
"""(number of the file version, index of the block)."""


class Block:
    """Part of a file from `index * BLOCK_BYTES`, filled from `start` to `end` (within it)."""

    __slots__ = ("data", "end", "start")

    def __init__(self, start: int) -> None:
        self.data = memoryview(bytearray(BLOCK_BYTES))
        self.start = start
        self.end = start


class BlockCache:
    """All blocks of a mount."""

    def __init__(self, max_bytes: int = READ_CACHE_BYTES) -> None:
        self._lock = threading.Lock()
        self._blocks: LRUCache[Key, Block] = LRUCache(max(1, max_bytes // BLOCK_BYTES))

    def put(self, file: int, index: int, block: Block) -> None:
        with self._lock:
            self._blocks[file, index] = block

    def copy(self, file: int, offset: int, target: memoryview) -> int:
        """Bytes put into `target` from `offset` on, of the one block that holds it; 0 if none."""
        index, at = divmod(offset, BLOCK_BYTES)
        with self._lock:
            block = self._blocks.get((file, index))
        if block is None or not block.start <= at < block.end:
            return 0
        count = min(len(target), block.end - at)
        target[:count] = block.data[at : at + count]
        return count

    def drop(self, file: int) -> None:
        """Forget every block of one file version."""
        with self._lock:
            for key in [key for key in self._blocks if key[0] == file]:
                del self._blocks[key]
