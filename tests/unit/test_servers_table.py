from __future__ import annotations

import pytest
from servers.matrix import KINDS, MODES, Kind
from table import FAILED, NOT_RUN, OPERATIONS, PASSED, Cell, from_document


def tables() -> dict[str, list[list[str]]]:
    """The rows of each server's table in docs/SERVERS.md, cell by cell."""
    found: dict[str, list[list[str]]] = {}
    for section in from_document().split("### ")[1:]:
        title, _, text = section.partition("\n")
        rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:1] == "|"]
        found[title] = [row for row in rows if set(row[0]) != {"-"}]
    return found


def test_every_server_has_its_table() -> None:
    assert list(tables()) == [kind.title for kind in KINDS.values()]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_every_mode_and_operation_has_been_run(kind: Kind) -> None:
    """Made anew with: scripts/test tests/contract tests/mounted --write-servers-table"""
    head, *rows = tables()[kind.title]
    assert head == [MODES[mode].title for mode in kind.modes]
    assert [row[0] for row in rows] == list(OPERATIONS)
    cells = [cell for row in rows for cell in row[1:]]
    assert len(cells) == len(OPERATIONS) * len(kind.modes)
    assert all(cell.startswith(PASSED) for cell in cells)
    for mode, why in kind.lacks.items():
        assert MODES[mode].title in from_document()
        assert why in from_document()


def test_a_cell() -> None:
    notes = ["no w"]
    assert Cell().shown(notes) == NOT_RUN
    assert Cell(passed=3).shown(notes) == PASSED
    assert Cell(passed=3, failed=1, limits={"no x": None}).shown(notes) == FAILED
    assert Cell(passed=3, limits={"no x": None, "no y": None}).shown(notes) == "passed (2, 3)"
    assert Cell(passed=1, limits={"no y": None}).shown(notes) == "passed (3)"
    assert notes == ["no w", "no x", "no y"]
