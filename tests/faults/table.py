"""The table of faults: which of them there have to be, and how it is printed. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults.at_step import STEPS

POWER_STEPS = ("unpacked", "staged", "migrated", "started", "healthy", "decided", "switched", "drained", "done")
PULUMI_MOMENTS = ("upload", "migration", "healthy")

FAULTS = (
    *(f"agent killed: {step}" for step in STEPS),
    *(f"power cut: {step}" for step in POWER_STEPS),
    *(f"pulumi killed: {moment}" for moment in PULUMI_MOMENTS),
    "SSH cut: in the upload",
    "SSH cut: in the switch",
    "two releases at once: the second waits",
    "two releases at once: the second fails",
    "lock of a dead process",
    "disk full: while staging",
    "disk full: in the journal",
    "file system read-only",
    "package index away: same lock file",
    "package index away: changed lock file",
    "database away at migration",
    "clock: the server's record is of the future",
    "clock: the operator's is of the past",
    "old slot refuses to stop",
    "worker ignores TERM",
    "release folder deleted by hand",
    "environment corrupted by hand",
    "nginx file edited to nonsense",
)


@dataclass(frozen=True)
class Row:
    """What came of one fault. A figure is None where the test did not come that far."""

    passed: bool
    seconds: float
    sent: int | None = None
    lost: int | None = None
    """Requests, from before the fault until after its repair."""
    serving: str | None = None
    """What visitors had meanwhile."""
    up: str | None = None
    """What the next `up` did."""
    rows: int | None = None
    """Rows of the database, all of which were there at the end."""


Rows = Mapping[str, Row]


def missing(rows: Rows) -> list[str]:
    """The faults that have to be shown and are not."""
    return [fault for fault in FAULTS if fault not in rows]


HEAD = ("fault", "serving meanwhile", "requests lost", "next up", "rows kept", "seconds", "")


def render(rows: Rows, only: bool = False) -> str:
    """The table as text: FAIL for a fault that was not survived, `?` for one that was not tried (not with `only`)."""
    shown = [fault for fault in FAULTS if fault in rows or not only]
    lines = [HEAD, *(_cells(fault, rows.get(fault)) for fault in shown)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cells(fault: str, row: Row | None) -> tuple[str, ...]:
    if row is None:
        return (fault, "?", "?", "?", "?", "?", "")
    lost = "?" if row.lost is None else f"{row.lost} of {row.sent}"
    rows = "?" if row.rows is None else f"all {row.rows}"
    return (
        fault,
        row.serving or "?",
        lost,
        row.up or "?",
        rows,
        f"{row.seconds:.1f}",
        "" if row.passed else "FAIL",
    )
