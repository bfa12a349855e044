"""Names in columns, sorted downwards, as ls has them on a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_GAP = 2  # blanks between two columns


def in_columns(cells: Sequence[tuple[str, int]], width: int) -> str:
    """Texts, each with the number of characters that it takes, in as few lines as fit."""
    if not cells:
        return ""
    rows = next((n for n in range(1, len(cells)) if _needed(cells, n) <= width), len(cells))
    widths = _widths(cells, rows)
    lines = []
    for row in range(rows):
        line = list(zip(cells[row::rows], widths, strict=False))
        *padded, (last, _) = line
        text = "".join(cell + " " * (space + _GAP - taken) for (cell, taken), space in padded)
        lines.append(f"{text}{last[0]}\n")
    return "".join(lines)


def _widths(cells: Sequence[tuple[str, int]], rows: int) -> list[int]:
    return [
        max(taken for _, taken in cells[start : start + rows])
        for start in range(0, len(cells), rows)
    ]


def _needed(cells: Sequence[tuple[str, int]], rows: int) -> int:
    widths = _widths(cells, rows)
    return sum(widths) + _GAP * (len(widths) - 1)


def width_of(text: str) -> int:
    """How many places a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
