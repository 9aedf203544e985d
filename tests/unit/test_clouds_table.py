"""The table of the clouds: no cell of it can be left out."""

from __future__ import annotations

from tests.clouds.table import LINES, ROWS, TABLE, Row
from tests.table import Cell, Cells

EC2 = Row("ec2", "rds-postgresql")


def full() -> Cells:
    return {(str(row), line): Cell(True, 1.5) for row in ROWS for line in row.lines}


def test_every_target_has_a_row_for_each_of_its_databases() -> None:
    assert len(ROWS) == len(set(ROWS)) == 25
    assert {row.target for row in ROWS if row.database == "postgresql"} == {row.target for row in ROWS}


def test_nothing_is_missing_from_a_full_table() -> None:
    assert TABLE.missing(full()) == []
    assert "?" not in TABLE.render(full())


def test_a_cell_that_nobody_filled_is_missing() -> None:
    cells = full()
    del cells[str(EC2), "tls"]
    assert TABLE.missing(cells) == ["ec2-rds-postgresql tls"]
    assert "?" in next(line for line in TABLE.render(cells).splitlines() if line.startswith("ec2-rds-postgresql"))


def test_what_failed_is_told_apart() -> None:
    cells = full() | {(str(EC2), "up"): Cell(False, 3.0)}
    assert "FAIL" in TABLE.render(cells)


def test_each_row_shows_lines_of_the_table_only() -> None:
    assert all(set(row.lines) <= set(LINES) for row in ROWS)
