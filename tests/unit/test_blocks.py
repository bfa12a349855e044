from __future__ import annotations

import random

import pytest

from ftpfs.cache import blocks
from ftpfs.cache.blocks import Block, BlockCache
from ftpfs.config import BLOCK_BYTES, COPIED_ASIDE_BYTES, READ_BLOCKS


def fill(cache: BlockCache, file: int, index: int, data: bytes, start: int = 0) -> Block:
    block = cache.new(file, index, start)
    block.data[start : start + len(data)] = data
    block.end = start + len(data)
    cache.leave(block)
    return block


def copied(cache: BlockCache, file: int, offset: int, size: int) -> bytes:
    target = bytearray(size)
    return bytes(target[: cache.copy(file, offset, memoryview(target))])


def test_copies_what_is_there() -> None:
    cache = BlockCache()
    fill(cache, 1, 2, b"content", start=10)
    base = 2 * BLOCK_BYTES
    assert copied(cache, 1, base + 10, 100) == b"content"
    assert copied(cache, 1, base + 12, 3) == b"nte"
    assert copied(cache, 1, base + 16, 9) == b"t"


def test_gives_nothing_of_what_is_not_there() -> None:
    cache = BlockCache()
    fill(cache, 1, 2, b"content", start=10)
    base = 2 * BLOCK_BYTES
    for file, offset in ((1, base + 9), (1, base + 17), (1, 10), (1, BLOCK_BYTES + 10), (2, base)):
        assert copied(cache, file, offset, 5) == b""


def test_a_block_grows_while_it_is_read() -> None:
    cache = BlockCache()
    block = fill(cache, 1, 0, b"one")
    assert copied(cache, 1, 3, 5) == b""
    block.data[3:6] = b"two"
    block.end = 6
    assert copied(cache, 1, 3, 5) == b"two"


def test_a_read_ends_with_the_block() -> None:
    cache = BlockCache()
    fill(cache, 1, 0, b"ab", start=BLOCK_BYTES - 2)
    fill(cache, 1, 1, b"cd")
    assert copied(cache, 1, BLOCK_BYTES - 2, 4) == b"ab"
    assert copied(cache, 1, BLOCK_BYTES, 4) == b"cd"


def test_holds_no_more_than_its_bound_and_lets_the_least_used_go() -> None:
    cache = BlockCache(max_bytes=3 * BLOCK_BYTES)
    for index in range(3):
        fill(cache, 1, index, b"%d" % index)
    assert copied(cache, 1, 0, 1) == b"0"  # used again
    fill(cache, 1, 3, b"3")
    kept = [index for index in range(4) if copied(cache, 1, index * BLOCK_BYTES, 1)]
    assert kept == [0, 2, 3]


def test_drop_forgets_one_file() -> None:
    cache = BlockCache()
    for file in (1, 2):
        for index in (0, 1):
            fill(cache, file, index, b"x")
    cache.drop(1, 2 * BLOCK_BYTES)
    assert [copied(cache, file, 0, 1) for file in (1, 2)] == [b"", b"x"]
    assert copied(cache, 1, BLOCK_BYTES, 1) == b""


def test_memory_is_used_again_and_what_was_in_it_is_not_seen() -> None:
    cache = BlockCache(max_bytes=BLOCK_BYTES)
    old = fill(cache, 1, 0, b"secret")
    fill(cache, 2, 0, b"x")  # the old one falls out
    new = cache.new(3, 0, 0)
    assert new.data is old.data
    assert copied(cache, 3, 0, 6) == b""


def test_memory_that_is_still_written_into_is_not_used_again() -> None:
    cache = BlockCache(max_bytes=BLOCK_BYTES)
    filling = cache.new(1, 0, 0)
    blocks = [cache.new(2, index, 0) for index in range(3)]
    assert all(block.data is not filling.data for block in blocks)
    cache.drop(2, 3 * BLOCK_BYTES)
    assert all(cache.new(3, n, 0).data is not filling.data for n in range(3))


def test_memory_of_a_dropped_block_is_used_again_once_its_writer_has_left() -> None:
    cache = BlockCache()
    block = cache.new(1, 0, 0)
    cache.drop(1, BLOCK_BYTES)
    assert cache.new(1, 0, 0).data is not block.data
    cache.leave(block)
    assert cache.new(1, 1, 0).data is block.data


def test_memory_that_is_copied_out_of_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = BlockCache()
    block = fill(cache, 1, 0, b"a" * BLOCK_BYTES)
    copy = blocks._copy

    def slow(target: memoryview, source: memoryview) -> None:
        cache.drop(1, BLOCK_BYTES)
        fill(cache, 2, 0, b"b" * BLOCK_BYTES)
        copy(target, source)

    monkeypatch.setattr(blocks, "_copy", slow)
    assert copied(cache, 1, 0, BLOCK_BYTES) == b"a" * BLOCK_BYTES
    assert cache.new(1, 0, 0).data is block.data


def read_whole(cache: BlockCache, file: int, index: int, part: int = BLOCK_BYTES) -> None:
    for offset in reversed(range(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES, part)):
        assert len(copied(cache, file, offset, part)) == part


@pytest.mark.parametrize("part", [BLOCK_BYTES, BLOCK_BYTES // 4, COPIED_ASIDE_BYTES // 2])
def test_a_reader_in_order_takes_the_memory_of_a_few_blocks(part: int) -> None:
    cache = BlockCache()
    memory = set()
    for index in range(20):
        memory.add(id(fill(cache, 1, index, bytes(BLOCK_BYTES)).data.obj))
        read_whole(cache, 1, index, part)
    assert len(memory) == READ_BLOCKS + 1
    left = [index for index in range(20) if cache.holds(1, index * BLOCK_BYTES)]
    assert left == list(range(20 - READ_BLOCKS - 1, 20))


def test_a_block_with_an_unread_byte_stays_where_others_were_read() -> None:
    cache = BlockCache()
    content = bytes(BLOCK_BYTES)
    for index in range(20):
        fill(cache, 1, index, content)
        if index == 3:
            assert len(copied(cache, 1, 3 * BLOCK_BYTES + 1, BLOCK_BYTES)) == BLOCK_BYTES - 1
        else:
            read_whole(cache, 1, index)
    for index in range(20, 40):
        fill(cache, 1, index, content)
    assert cache.holds(1, 3 * BLOCK_BYTES)


def test_a_block_that_is_read_again_and_again_stays_until_it_is_full() -> None:
    cache = BlockCache()
    filling = cache.new(1, 0, 0)
    filling.end = BLOCK_BYTES // 2
    for _ in range(4):
        assert copied(cache, 1, 0, BLOCK_BYTES) == bytes(filling.end)
    for index in range(20):
        fill(cache, 2, index, bytes(BLOCK_BYTES))
        read_whole(cache, 2, index)
    assert cache.holds(1, 0)


def test_blocks_that_may_be_read_again_stay_while_there_is_room() -> None:
    cache = BlockCache()
    for index in range(20):
        fill(cache, 1, index, bytes(BLOCK_BYTES))
        target = memoryview(bytearray(BLOCK_BYTES))
        assert cache.copy(1, index * BLOCK_BYTES, target, again=True) == BLOCK_BYTES
    assert all(cache.holds(1, index * BLOCK_BYTES) for index in range(20))


def test_a_block_that_began_in_the_middle_is_read_with_the_rest() -> None:
    cache = BlockCache()
    for index in range(2 * READ_BLOCKS):
        fill(cache, 1, index, b"end", start=BLOCK_BYTES - 3)
        assert copied(cache, 1, (index + 1) * BLOCK_BYTES - 3, 3) == b"end"
    assert not cache.holds(1, BLOCK_BYTES - 1)


@pytest.mark.parametrize("size", [1, COPIED_ASIDE_BYTES - 1, COPIED_ASIDE_BYTES, BLOCK_BYTES - 3])
def test_what_is_copied_goes_no_further_than_its_target(size: int) -> None:
    cache = BlockCache()
    content = random.Random(size).randbytes(BLOCK_BYTES)
    fill(cache, 1, 0, content)
    target = bytearray(size + 1)
    assert cache.copy(1, 2, memoryview(target)[:size]) == size
    assert target == content[2 : 2 + size] + b"\0"


def test_a_block_replaced_by_a_new_one_is_gone() -> None:
    cache = BlockCache()
    fill(cache, 1, 0, b"old content")
    fill(cache, 1, 0, b"new")
    assert copied(cache, 1, 0, 20) == b"new"
