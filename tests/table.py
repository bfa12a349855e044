"""The table of docs/SERVERS.md: made by the tests that run on the matrix of servers.

Each test with the marker `operation` fills the cell of its server, its mode and that operation:
passed, or why not. A plugin of pytest, in conftest.py; `--write-servers-table` puts what it has
seen into the document. Whoever runs all of the matrix is told where the document says otherwise.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Generator

import pytest
from servers.matrix import KINDS, MODES, PAIRS

DOCUMENT = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "SERVERS.md"
)
BEGIN, END = "<!-- made by the tests: begin -->", "<!-- made by the tests: end -->"
OPERATIONS = (
    "list and stat",
    "directories",
    "read",
    "write",
    "append",
    "change in place",
    "replace",
    "rename and delete",
    "times",
    "permissions",
    "names",
    "errors",
    "in parallel",
    "mounted",
)
PASSED, FAILED, NOT_RUN = "passed", "**failed**", "not run"

Key = tuple[str, str, str]  # kind, mode, operation


@dataclasses.dataclass
class Cell:
    """What the tests of one operation have shown on one server in one mode."""

    passed: int = 0
    failed: int = 0
    limits: dict[str, None] = dataclasses.field(default_factory=dict)  # in the order they came

    def shown(self, notes: list[str]) -> str:
        """Its text; limits are numbers in brackets, of `notes`, which grow where need be."""
        if self.failed:
            return FAILED
        if not self.passed:
            return NOT_RUN
        notes += [limit for limit in self.limits if limit not in notes]
        numbers = ", ".join(str(notes.index(limit) + 1) for limit in self.limits)
        return f"{PASSED} ({numbers})" if numbers else PASSED


class Table:
    """Collects the outcome of each test that belongs to a cell."""

    def __init__(self, *, write: bool) -> None:
        self._write = write
        self._cells: dict[Key, Cell] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if (key := _key(item)) is not None:
            cell = self._cells.setdefault(key, Cell())
            cell.failed += report.failed
            cell.passed += report.passed and report.when == "call"
            if report.when == "teardown":
                texts = [text for name, text in item.user_properties if name == "limit"]
                cell.limits |= dict.fromkeys(map(str, texts))
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        complete = {key[:2] for key in self._cells} >= set(PAIRS)
        if self._write:
            _put_into_document(self.text())
            terminalreporter.write_line(f"{DOCUMENT}: the table is written")
        elif complete and self.text() != from_document():
            terminalreporter.write_line(
                "docs/SERVERS.md says otherwise: run this with --write-servers-table", yellow=True
            )

    def text(self) -> str:
        """The tables, one for each server."""
        return "\n\n".join(self._of_server(kind) for kind in KINDS)

    def _of_server(self, kind: str) -> str:
        modes = KINDS[kind].modes
        notes: list[str] = []
        rows = [["", *(MODES[mode].title for mode in modes)], ["---"] * (len(modes) + 1)]
        for operation in OPERATIONS:
            cells = [self._cells.get((kind, mode, operation), Cell()) for mode in modes]
            rows.append([operation, *(cell.shown(notes) for cell in cells)])
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        below = [f"({number}) {note}" for number, note in enumerate(notes, 1)]
        below += [f"Without {', '.join(modes)}: {why}" for why, modes in _missing(kind)]
        listed = "\n".join(f"- {line}." for line in below)
        return "\n\n".join([f"### {KINDS[kind].title}", table, *filter(None, [listed])])


def _missing(kind: str) -> list[tuple[str, list[str]]]:
    """Why a server lacks which modes."""
    reasons: dict[str, list[str]] = {}
    for mode, why in KINDS[kind].lacks.items():
        reasons.setdefault(why, []).append(f"*{MODES[mode].title}*")
    return list(reasons.items())


def _key(item: pytest.Item) -> Key | None:
    marker = item.get_closest_marker("operation")
    callspec = getattr(item, "callspec", None)
    pair = callspec.params.get("pair") if callspec else None
    if marker is None or pair not in PAIRS:
        return None
    assert marker.args[0] in OPERATIONS, f"no column for {marker.args[0]}"
    return (*pair, marker.args[0])


# -- the document ---------------------------------------------------------------------------------


def from_document() -> str:
    """The tables as the document has them."""
    return _document().partition(BEGIN)[2].partition(END)[0].strip()


def _put_into_document(text: str) -> None:
    before, _, rest = _document().partition(BEGIN)
    after = rest.partition(END)[2]
    with open(DOCUMENT, "w", encoding="utf-8") as out:
        out.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _document() -> str:
    with open(DOCUMENT, encoding="utf-8") as file:
        return file.read()
