"""Little memory: what is advised, and how `strategy` travels to the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_slipway import WebApp
from pulumi_slipway.app.checked import check
from pulumi_slipway.app.memory import advice
from tests.unit.mocks import HOST, Engine, Recorder, observation


@pytest.mark.parametrize("memory", [256, 480, 639])
def test_stop_first_is_advised_where_two_releases_do_not_fit(memory: int) -> None:
    text = advice("shop", "start-first", {"memory_mb": memory})
    assert text is not None
    assert f"the server has {memory} MB" in text
    assert "strategy: stop-first" in text


@pytest.mark.parametrize(
    ("strategy", "facts"),
    [
        ("start-first", {"memory_mb": 640}),
        ("start-first", {"memory_mb": 980}),
        ("stop-first", {"memory_mb": 480}),
        ("start-first", {}),
        ("start-first", {"memory_mb": None}),
    ],
)
def test_nothing_is_said_where_they_fit_or_it_is_set_or_unknown(strategy: str, facts: dict[str, Any]) -> None:
    assert advice("shop", strategy, facts) is None


def test_another_strategy_is_refused_with_both_that_there_are(app_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"strategy: 'rolling' is neither start-first .* nor stop-first"):
        check({"path": str(app_folder), "strategy": "rolling"})


@pytest.mark.parametrize("strategy", [None, "stop-first"])
def test_the_strategy_is_a_term_of_the_release_and_no_part_of_its_id(
    run: Callable[..., Recorder], engine: Engine, app_folder: Path, strategy: str | None
) -> None:
    engine.observation = observation(facts={"memory_mb": 490})

    def program() -> None:
        args: dict[str, Any] = {"host": pulumi.Output.from_input(HOST), "private_key": "k", "path": str(app_folder)}
        WebApp("app", args | ({"strategy": strategy} if strategy else {}))  # type: ignore[arg-type]

    recorder = run(program)
    document = json.loads(recorder.input("app-1-release", "stdin"))["document"]
    assert document["strategy"] == (strategy or "start-first")
    other = run(lambda: WebApp("app", {"host": HOST, "private_key": "k", "path": str(app_folder)}))
    assert json.loads(other.input("app-1-release", "stdin"))["document"]["release"] == document["release"]
