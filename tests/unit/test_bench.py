"""What the benchmarks read out of Pulumi's words, and how they tell their verdict."""

from __future__ import annotations

import pytest

from bench import noop, release_speed
from bench.project import changes, table
from bench.release_under_load import HEADING, Run, report_problems, row
from bench.result import LoadResult, Sample

NOTHING = """Updating (dev):

    pulumi:pulumi:Stack slipway-dev
Resources:
    21 unchanged

Duration: 1s
"""
SOMETHING = """Updating (dev):

 ~  command:remote:Command app-1-release updated (2s) [diff: ~environment]
Resources:
    ~ 1 updated
    +-1 replaced
    19 unchanged

Duration: 4s
"""


def result(*answers: tuple[str | None, float]) -> LoadResult:
    samples = [
        Sample(due, due, due + 0.01, 200 if marker else None, marker, None if marker else "reset")
        for marker, due in answers
    ]
    return LoadResult("https://10.0.0.2/", 1.0, len(samples), False, 0.0, samples)


def test_an_update_without_changes_is_told_from_one_with_them() -> None:
    assert changes(NOTHING) == []
    assert changes(SOMETHING) == ["~ 1 updated", "+-1 replaced"]


def test_a_table_has_even_columns() -> None:
    assert table([["a", "bcd"], ["efgh", ""]]) == "| a    | bcd |\n|------|-----|\n| efgh |     |"


@pytest.mark.parametrize(("seconds", "status", "verdict"), [(2.0, 0, "within"), (2.9, 1, "ABOVE")])
def test_an_up_with_nothing_to_do_has_a_limit(
    capsys: pytest.CaptureFixture[str], seconds: float, status: int, verdict: str
) -> None:
    times = {"make up": [seconds, 3.0, 1.9], "pulumi up": [1.5, 1.6, 1.7], "empty program": [1.0, 1.1, 0.9]}
    assert noop.report(times) == status
    printed = capsys.readouterr().out
    assert verdict in printed
    assert "make up" in printed


def test_a_release_without_loss_shows_both_versions_and_the_moment() -> None:
    run = Run(result(("version-0", 0.0), ("version-0", 1.0), ("version-1", 2.0)), "version-0", "version-1", 3.2)
    assert run.problem is None
    cells = dict(zip(HEADING, row(run), strict=True))
    assert cells["failed"] == "0 of 3"
    assert cells["answers old / new"] == "2 / 1"
    assert cells["last old / first new"] == "1.010 s / 2.010 s"
    assert cells["old after new"] == "0"


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([("version-0", 0.0), (None, 1.0), ("version-1", 2.0)], "1 requests failed"),
        ([("version-0", 0.0), ("version-0", 1.0)], "not inside the load"),
        ([("version-1", 0.0), ("version-1", 1.0)], "not inside the load"),
        ([("version-0", 0.0), ("other", 1.0), ("version-1", 2.0)], "not inside the load"),
    ],
)
def test_a_release_that_lost_a_request_or_was_not_seen_is_no_success(
    answers: list[tuple[str | None, float]], problem: str
) -> None:
    run = Run(result(*answers), "version-0", "version-1", 3.2)
    assert problem in (run.problem or "")


def test_a_load_that_ended_too_early_counts_unless_a_longer_one_followed(capsys: pytest.CaptureFixture[str]) -> None:
    early = Run(result(("version-0", 0.0)), "version-0", "version-1", 9.0, 2.0, "what Pulumi said")
    longer = Run(result(("version-1", 0.0), ("version-2", 1.0)), "version-1", "version-2", 9.0, 2.0)
    none = Run(result(("version-1", 0.0)), "version-1", None, None)
    assert early.missed
    assert report_problems([none, early, longer]) == 0
    assert report_problems([early, none]) == 1
    assert "what Pulumi said" in capsys.readouterr().out


def test_a_lost_request_counts_although_a_longer_load_followed() -> None:
    lost = Run(result(("version-0", 0.0), (None, 1.0)), "version-0", "version-1", 9.0)
    longer = Run(result(("version-1", 0.0), ("version-2", 1.0)), "version-1", "version-2", 9.0)
    assert report_problems([lost, longer]) == 1


def test_the_median_of_each_step_is_told() -> None:
    assert release_speed.medians([{"a": 1.0, "b": 5.0}, {"a": 3.0, "b": 4.0}, {"a": 2.0, "b": 9.0}]) == {
        "a": 2.0,
        "b": 5.0,
    }


@pytest.mark.parametrize(
    ("to_live", "whole", "rollback", "above"),
    [(0.85, 2.5, 1.0, 0), (0.95, 2.5, 1.0, 1), (0.85, 2.8, 1.0, 1), (0.85, 2.5, 1.2, 1), (0.95, 2.8, 1.2, 3)],
)
def test_a_release_has_limits_for_each_of_its_parts(
    capsys: pytest.CaptureFixture[str], to_live: float, whole: float, rollback: float, above: int
) -> None:
    release = {"agent: stage": 0.1, "whole": whole, "live after": 2.0, "to live": to_live}
    plain = {"whole": 4.0, "live after": 3.9, "without service": 2.0}
    near = {
        "import": {"whole": 0.6, "cpu": 0.58},
        "release": release,
        "plain": plain,
        "rollback": {"to live": rollback},
        "empty": {"whole": 0.6},
        "plugins": {"whole": 1.2},
    }
    status = release_speed.report({"near": near, "far": {"release": release, "plain": plain}})
    printed = capsys.readouterr().out
    assert printed.count("ABOVE") == above
    assert status == (1 if above else 0)
    assert "was busy" not in printed
    assert "0.51" in printed, "its time to live in parts of the plain way's"
    assert all(f"- {name}: " in printed for name in release_speed.CONNECTIONS)
