"""The table of faults: none of them can be left out."""

from __future__ import annotations

import importlib

from tests.faults.at_step import STEPS
from tests.faults.table import FAULTS, POWER_STEPS, Row, missing, render

SURVIVED = Row(True, 4.2, 80, 0, "old release", "release", 3)


def test_each_step_of_a_release_has_its_fault_once() -> None:
    assert len(FAULTS) == len(set(FAULTS))
    assert len(STEPS) >= 8
    assert len(POWER_STEPS) >= 8
    assert set(POWER_STEPS) <= set(STEPS)


def test_the_steps_are_the_agents() -> None:
    for module, function, when in STEPS.values():
        assert callable(getattr(importlib.import_module(f"pulumi_slipway.agent.{module}"), function))
        assert when in ("before", "after")


def test_nothing_is_missing_from_a_full_table() -> None:
    rows = dict.fromkeys(FAULTS, SURVIVED)
    assert missing(rows) == []
    assert "?" not in render(rows)
    assert "FAIL" not in render(rows)


def test_a_fault_that_nobody_tried_is_missing_and_shown_so() -> None:
    rows = dict.fromkeys(FAULTS[1:], SURVIVED)
    assert missing(rows) == [FAULTS[0]]
    assert "?" in next(line for line in render(rows).splitlines() if line.startswith(FAULTS[0]))
    assert FAULTS[0] not in render(rows, only=True)


def test_a_fault_that_was_not_survived_is_told_with_what_is_known_of_it() -> None:
    rows = {FAULTS[0]: Row(False, 2.0, 50, 7)}
    line = render(rows, only=True).splitlines()[1]
    assert "7 of 50" in line
    assert "FAIL" in line
