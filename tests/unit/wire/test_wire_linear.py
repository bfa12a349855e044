"""No line takes longer than its length asks for.

Two ways: the expressions have no shape that can backtrack for ever, and lines made to provoke it
cost no more than in proportion when they grow.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterable, Iterator
from re import _constants as opcodes  # type: ignore[attr-defined]  # no stubs
from re import _parser as expressions  # type: ignore[attr-defined]  # no stubs
from types import ModuleType
from typing import Any

import pytest

import ftpfs.wire
from ftpfs.config import LISTING_LINE_BYTES, REPLY_BYTES
from ftpfs.errors import ProtocolError
from ftpfs.wire.entry import Entry
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.lazily import Lazy
from ftpfs.wire.listing import Clock, ListParser
from ftpfs.wire.reply import ReplyParser
from ftpfs.wire.timeval import utc_ns

# -- the expressions ------------------------------------------------------------------------------

REPEATS = (opcodes.MAX_REPEAT, opcodes.MIN_REPEAT)
MANY = 1_000  # a repeat that may go on for longer is without bound
Parsed = Iterable[tuple[object, Any]]  # operations, each with its argument


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(ftpfs.wire.__path__, "ftpfs.wire."):
        yield importlib.import_module(found.name)


def patterns() -> dict[str, re.Pattern[str]]:
    """Every expression of the wire layer."""
    found: dict[str, re.Pattern[str]] = {}
    for module in modules():
        for value in vars(module).values():
            for item in value if isinstance(value, tuple | list) else (value,):
                lazy = isinstance(item, Lazy)
                pattern = item.expression if lazy else getattr(item, "__self__", item)
                if isinstance(pattern, re.Pattern) and pattern not in found.values():
                    found[f"{module.__name__} {len(found)}: {pattern.pattern[:60]}"] = pattern
    return found


def inner(argument: object) -> Iterator[Parsed]:
    """The parts of a parsed expression that one of its operations holds."""
    if isinstance(argument, expressions.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for item in argument:
            yield from inner(item)


def unbounded(tree: Parsed, inside: bool = False) -> Iterator[bool]:
    """For each repeat without bound whether it stands in another one."""
    for operation, argument in tree:
        endless = operation in REPEATS and argument[1] > MANY
        if endless:
            yield inside
        for part in inner(argument):
            yield from unbounded(part, inside or endless)


def ends_with_repeat(tree: Parsed) -> bool:
    """Whether the last thing in an expression is a repeat without bound."""
    operation, argument = list(tree)[-1]
    if operation is opcodes.SUBPATTERN:
        return ends_with_repeat(argument[-1])
    if operation in REPEATS and argument[:2] == (0, 1):
        return ends_with_repeat(argument[2])
    return operation in REPEATS and argument[1] > MANY


def is_safe(pattern: re.Pattern[str]) -> bool:
    tree = expressions.parse(pattern.pattern, pattern.flags)
    endless = list(unbounded(tree))
    if any(endless):
        return False
    return len(endless) <= 1 or (len(endless) == 2 and ends_with_repeat(tree))


PATTERNS = patterns()


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_no_expression_can_backtrack_for_ever(pattern: re.Pattern[str]) -> None:
    assert is_safe(pattern)


def test_the_check_finds_what_is_unsafe() -> None:
    assert len(PATTERNS) > 30
    for text in (r"(a+)+b", r"(?:a|b*)*c", r"a*b*c", r".*,.*,.*"):
        assert not is_safe(re.compile(text))
    for text in (r"a*b", r"(?:ab)*", r"a.*? b(?P<name>.+)", r"x{1,40}y{1,40}.*"):
        assert is_safe(re.compile(text))


# -- lines ----------------------------------------------------------------------------------------

HARD = {
    "digits": "-rw-r--r-- " + "1" * 65_000,
    "numbers": "-rw-r--r-- " + "1 " * 32_000,
    "blanks": "-rw-r--r--" + " " * 65_000,
    "blanks ahead": " " * 65_000,
    "numbers ahead": "1 " * 32_000,
    "wide numbers": "-rw-r--r-- " + ("1" + " " * 40) * 1_500,
    "half dates": "-rw-r--r-- " + "1 Nov 22 " * 7_000,
    "half devices": "-rw-r--r-- " + "1, 1" * 16_000,
    "half a local date": "-rw-r--r-- " + "1 22. 11\u6708 " * 6_000,
    "signs": "-rw-r--r-- 1 u g 1 " + "1\u6708" * 30_000,
    "half ISO dates": "-rw-r--r-- " + "1 2026-11-22 " * 5_000,
    "years": "-rw-r--r-- " + "2026 " * 13_000,
    "groups": "-rw-r--r-- 1 " + "a1" * 32_000,
    "arrows": "lrwxrwxrwx 1 u g 9 Nov 22 17:37 " + "a -> " * 12_000,
    "DOS blanks": "11-22-26 " + " " * 65_000,
    "DOS size": "11-22-26  17:37 " + "1," * 32_000,
    "EPLF": "+" + "s1," * 21_000,
    "EPLF mode": "+up" + "7" * 64_000 + "\ta",
    "NetWare": "d [RWCEAFMS] " + "a " * 32_000,
    "NetWare numbers": "d [RWCEAFMS] " + "1 " * 32_000,
    "VMS": "A.B;1 " + "1 " * 32_000,
    "VMS clocks": "A.B;1 " + "17:37:12.3 " * 5_900,
    "VMS name": "A" * 64_000 + ";1",
    "z/OS": "WYOSPT 3420   2003/05/21  " + "1 PS " * 12_000,
    "z/OS member": "A 01.01 " + "2004/06/22 " * 5_900,
    "OS/400": "QSYS " + "1 " * 32_000,
    "OS/400 name": "QSYS 77824 02/23/00 15:09:55 *DIR " + "/" * 64_000,
    "VxWorks": "512 FEB-11-1980 12:34:56 " + "a " * 32_000,
    "NonStop": "A 101 528 6-Apr-07 14:21:18 " + "255," * 16_000,
    "facts": "type=file;" * 6_500,
    "facts of a link": "type=OS.unix=slink:" + "a " * 32_000,
    "tabs": "size=1" + "\t" * 64_000,
}  # fmt: skip

LineParser = Callable[[str], Entry | None]


def cost_s(parser: Callable[[], LineParser], line: str) -> float:
    """Processor time for a line, the least of several tries."""

    def once() -> float:
        parse = parser()
        start = time.process_time()
        with contextlib.suppress(ValueError):
            parse(line)
        return time.process_time() - start

    return min(once() for _ in range(3))


def new_parser() -> LineParser:
    return ListParser(Clock(utc_ns(2026, 11, 22, 18)))


@pytest.mark.parametrize("line", HARD.values(), ids=HARD)
@pytest.mark.parametrize("parser", [new_parser, lambda: parse_facts], ids=["LIST", "MLSD"])
def test_a_line_four_times_as_long_costs_four_times_as_much(
    line: str, parser: Callable[[], LineParser]
) -> None:
    """A cost that grows with the square of the length would be 16 times as much."""
    assert len(line) <= LISTING_LINE_BYTES
    quarter = cost_s(parser, line[: len(line) // 4])
    noise_s = 0.002
    assert cost_s(parser, line) < 9 * (quarter + noise_s)


# -- replies --------------------------------------------------------------------------------------


def steps_to_refuse(data: bytes, step: int) -> int:
    """How many bytes are taken until the parser refuses; in pieces of `step`."""
    parser = ReplyParser()
    for at in range(0, len(data), step):
        parser.feed(data[at : at + step])
        try:
            while parser.next_reply() is not None:
                pass
        except ProtocolError:
            return at + step
    raise AssertionError("never refused")


@pytest.mark.parametrize("step", [1, 16 * 1024])
def test_a_line_of_a_megabyte_is_refused_at_its_bound(step: int) -> None:
    assert steps_to_refuse(b"220 " + b"x" * 1_000_000, step) <= 16 * 1024


def test_a_reply_without_end_is_refused_at_its_bound() -> None:
    endless = b"220-\r\n" + b" line\r\n" * 200_000
    assert steps_to_refuse(endless, 1024) <= REPLY_BYTES + 1024
    assert steps_to_refuse(b"\0" * 1_000_000, 1024) <= 16 * 1024
    assert steps_to_refuse(b"\0\r\n" * 1_000_000, 1024) <= REPLY_BYTES + 1024
