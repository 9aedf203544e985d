"""The agent dies, or the machine with it, at each step of a release."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.faults.at_step import STEPS
from tests.faults.shop import Shop, Told
from tests.faults.table import POWER_STEPS

_DECIDED = list(STEPS).index("decided")


def _each(kind: str, steps: Any) -> list[Any]:
    return [pytest.param(step, marks=pytest.mark.fault(f"{kind}: {step}"), id=step.replace(" ", "-")) for step in steps]


@pytest.mark.parametrize("step", _each("agent killed", STEPS))
def test_an_agent_killed_at_a_step(shop: Shop, told: Told, step: str) -> None:
    with shop.trial(told) as trial:
        new = trial.wants(shop.commit())
        shop.run_to(step, "killed", new)
        # at "decided" the record says so, and the link that nginx follows does not yet
        trial.serves(new if list(STEPS).index(step) > _DECIDED else trial.old)


@pytest.mark.parametrize("step", _each("power cut", POWER_STEPS))
def test_power_cut_at_a_step(shop: Shop, told: Told, step: str) -> None:
    with shop.trial(told, lost=None) as trial:
        new = trial.wants(shop.commit())
        shop.run_to(step, "halted", new)
        shop.server.machine.kill()
        began = time.monotonic()
        shop.server.machine.start()
        shop.wait_for(new if list(STEPS).index(step) >= _DECIDED else trial.old)
        trial.serves(trial.old, new)
        told.serving = f"{told.serving}, {time.monotonic() - began:.1f} s after the cut"
