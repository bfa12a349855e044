"""Blocks of file content in memory, least recently used first out, within a bound of bytes.

Shared by all threads; `_lock` guards every field. The memory of a block that fell out is used for
the next one, once nobody writes into it or copies out of it: fresh memory costs a page fault and a
zeroing for every 4 KiB, a fifth of the time of a fast sequential read. For the same reason a block
that was read to the last byte makes room for the next one long before the bound is reached: what
was in it is in the kernel's page cache now, but for reads that go past that, and memory that was
used a moment ago is in the processor's (512 MB in order: a tenth less time).
"""

from __future__ import annotations

import ctypes
import mmap
import threading

from cachetools import LRUCache

from ftpfs.config import (
    BLOCK_BYTES,
    COPIED_ASIDE_BYTES,
    READ_BLOCKS,
    READ_CACHE_BYTES,
    SPARE_BLOCKS,
)

Key = tuple[int, int]
"""(number of the file version, index of the block)."""

_PAGE = 4096
_Byte = ctypes.c_char


class Block:
    """Part of a file from `index * BLOCK_BYTES`, filled from `start` to `end` (within it).

    The one stream that fills it writes beyond `end` and then moves `end`. `users`: that stream,
    and those who copy; `gone`: it fell out, and its memory is free when there are none. `unread`:
    how many of its bytes were not copied out of it yet, if none was twice.
    """

    __slots__ = ("data", "end", "gone", "start", "unread", "users")

    def __init__(self, data: memoryview, start: int) -> None:
        self.data = data
        self.start = start
        self.end = start
        self.unread = len(data) - start
        self.users = 1
        self.gone = False


class _Blocks(LRUCache[Key, Block]):
    """Keeps the memory of whole blocks that fall out for the next ones."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, getsizeof=lambda block: len(block.data))
        self._spare: list[memoryview] = []
        self._read: dict[Key, None] = {}  # those without an unread byte, in order

    def __delitem__(self, key: Key) -> None:
        block = self[key]
        super().__delitem__(key)
        self._read.pop(key, None)
        block.gone = True
        self.free(block)

    def free(self, block: Block) -> None:
        """Its memory is for another one if nobody uses it."""
        whole = len(block.data) == BLOCK_BYTES
        if whole and not block.users and len(self._spare) < SPARE_BLOCKS:
            self._spare.append(block.data)

    def memory(self) -> memoryview:
        """That of a whole block."""
        if not self._spare and len(self._read) > READ_BLOCKS:
            del self[next(iter(self._read))]
        return self._spare.pop() if self._spare else _memory(BLOCK_BYTES)

    def was_read(self, key: Key, count: int) -> None:
        block = self[key]
        block.unread -= count
        if block.unread <= 0 and block.end == BLOCK_BYTES:
            self._read[key] = None


def _memory(size: int) -> memoryview:
    """Of a whole block only the pages that are written are taken; a bytearray is zeroed at once."""
    if size < BLOCK_BYTES:
        return memoryview(bytearray(size))
    return memoryview(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def _copy(target: memoryview, source: memoryview) -> None:
    """Many bytes, while other threads run Python: a slice would be assigned with its lock held."""
    to, start = _Byte.from_buffer(target), _Byte.from_buffer(source)
    ctypes.memmove(ctypes.addressof(to), ctypes.addressof(start), len(source))


class BlockCache:
    """All blocks of a mount."""

    def __init__(self, max_bytes: int = READ_CACHE_BYTES) -> None:
        self._lock = threading.Lock()
        self.max_bytes = max(BLOCK_BYTES, max_bytes)  # set once
        self._blocks = _Blocks(self.max_bytes)

    def new(self, file: int, index: int, start: int, size: int = BLOCK_BYTES) -> Block:
        """An empty block for the caller to fill from `start` on; then `leave`.

        `size`: how many bytes of the file lie in it; a small file takes no more memory than that.
        """
        size = min(-(-size // _PAGE) * _PAGE, BLOCK_BYTES)
        with self._lock:
            self._blocks.pop((file, index), None)
            data = self._blocks.memory() if size == BLOCK_BYTES else _memory(size)
            block = self._blocks[file, index] = Block(data, start)
            return block

    def put(self, file: int, data: memoryview) -> None:
        """Keep the whole of a file that fits into one block; the memory is the cache's now."""
        with self._lock:
            block = self._blocks[file, 0] = Block(data, 0)
            block.end, block.users = len(data), 0

    def leave(self, block: Block) -> None:
        """The caller does not write into the block, or copy out of it, any more."""
        with self._lock:
            block.users -= 1
            if block.gone:
                self._blocks.free(block)

    def copy(self, file: int, offset: int, target: memoryview, *, again: bool = False) -> int:
        """Bytes put into `target` from `offset` on, of the one block that holds it; 0 if none.

        `again`: the caller has no page cache, and may come back for them.
        """
        index, at = divmod(offset, BLOCK_BYTES)
        with self._lock:
            block = self._blocks.get((file, index))
            if block is None or not block.start <= at < block.end:
                return 0
            count = min(len(target), block.end - at)
            if not again:
                self._blocks.was_read((file, index), count)
            if count < COPIED_ASIDE_BYTES:
                target[:count] = block.data[at : at + count]
                return count
            block.users += 1
        try:
            _copy(target, block.data[at : at + count])
        finally:
            self.leave(block)
        return count

    def holds(self, file: int, offset: int) -> bool:
        """Whether the byte at `offset` is here."""
        index, at = divmod(offset, BLOCK_BYTES)
        with self._lock:
            block = self._blocks.get((file, index))
            return block is not None and block.start <= at < block.end

    def drop(self, file: int, size: int) -> None:
        """Forget every block of one file version of `size` bytes."""
        count = -(-size // BLOCK_BYTES)
        with self._lock:
            if count > len(self._blocks):
                keys = [key for key in self._blocks if key[0] == file]
            else:
                keys = [(file, index) for index in range(count) if (file, index) in self._blocks]
            for key in keys:
                del self._blocks[key]
