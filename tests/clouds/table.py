"""The table of targets and databases: which cells there have to be, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from pulumi_slipway.settings.models import Target
from pulumi_slipway.settings.together import databases_of

TARGETS = ("local", "existing", "ec2", "lightsail", "droplet", "linode")
assert set(TARGETS) == set(get_args(Target))
ON_SERVER = ("postgresql", "mariadb")
WITH_FIREWALL = ("ec2", "lightsail", "droplet", "linode")
"""Targets whose cloud filters what comes to a machine."""

LINES = ("up", "again", "release", "cloud firewall", "ufw", "tls", "third machine", "replaced", "destroy")


@dataclass(frozen=True)
class Row:
    """One stack: a target with a database."""

    target: str
    database: str

    def __str__(self) -> str:
        return f"{self.target}-{self.database}"

    @property
    def managed(self) -> bool:
        """Whether the database is a service of the cloud, beside the server."""
        return self.database not in (*ON_SERVER, "sqlite")

    @property
    def lines(self) -> Iterator[str]:
        """What has to be shown of it; the firewalls know nothing of databases, so one row a target shows them."""
        yield from ("up", "again", "release", "destroy")
        if self.database == "sqlite":
            yield "ufw"
            if self.target in WITH_FIREWALL:
                yield "cloud firewall"
        else:
            yield "third machine"
        if self.managed:
            yield "tls"
        if self.managed or (self.database == "sqlite" and self.target != "existing"):
            yield "replaced"


ROWS = tuple(Row(target, database) for target in TARGETS for database in sorted(databases_of(target), reverse=True))


@dataclass(frozen=True)
class Cell:
    """What came out of one line of one row."""

    passed: bool
    seconds: float


Cells = dict[tuple[str, str], Cell]
"""By row and line."""


def missing(cells: Cells) -> list[str]:
    """The cells that have to be there and are not."""
    return [f"{row} {line}" for row in ROWS for line in row.lines if (str(row), line) not in cells]


def render(cells: Cells, rows: Sequence[Row] = ROWS) -> str:
    """The table as text: seconds of what passed, FAIL, `?` for what is missing, a dash where nothing is to be shown."""
    width = max(len(str(row)) for row in ROWS)
    head = " ".join([" " * width, *(f"{line:>14}" for line in LINES)])
    return "\n".join([head, *(_row(row, cells, width) for row in rows)])


def _row(row: Row, cells: Cells, width: int) -> str:
    return " ".join([f"{row!s:{width}}", *(f"{_cell(row, line, cells):>14}" for line in LINES)])


def _cell(row: Row, line: str, cells: Cells) -> str:
    cell = cells.get((str(row), line))
    if cell is None:
        return "?" if line in row.lines else "-"
    return f"{cell.seconds:.1f} s" if cell.passed else "FAIL"
