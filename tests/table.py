"""A table of what a suite has shown: which cells there have to be, and how it is printed. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What came out of one line of one row."""

    passed: bool
    seconds: float


Cells = dict[tuple[str, str], Cell]
"""By row and line."""


@dataclass(frozen=True)
class Table:
    """The cells that have to be there: of each row, the lines that say something of it."""

    title: str
    lines: Sequence[str]
    rows: Mapping[str, Sequence[str]]

    def missing(self, cells: Cells) -> list[str]:
        """The cells that have to be there and are not."""
        return [f"{row} {line}" for row, lines in self.rows.items() for line in lines if (row, line) not in cells]

    def render(self, cells: Cells, rows: Iterable[str] | None = None) -> str:
        """The table, or these rows of it, as text: seconds of what passed, FAIL, `?` for what is missing, a dash where
        nothing is to be shown."""
        wide, columns = max(map(len, self.rows)), [max(8, len(line)) for line in self.lines]
        shown = [row for row in self.rows if rows is None or row in set(rows)]
        text = [["", *self.lines], *([row, *(self._cell(row, line, cells) for line in self.lines)] for row in shown)]
        return "\n".join(
            f"{first:{wide}} " + " ".join(f"{cell:>{width}}" for cell, width in zip(rest, columns, strict=True))
            for first, *rest in text
        )

    def _cell(self, row: str, line: str, cells: Cells) -> str:
        cell = cells.get((row, line))
        if cell is None:
            return "?" if line in self.rows[row] else "-"
        return f"{cell.seconds:.1f} s" if cell.passed else "FAIL"
