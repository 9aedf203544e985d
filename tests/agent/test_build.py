"""Build steps that are not run for nothing: by themselves, without a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pathspec
import pytest

from pulumi_slipway.agent import build, globs, paths, users
from pulumi_slipway.agent.build import Builder, Step
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.agent.paths import AppPaths
from pulumi_slipway.agent.run import Deadline

SHOP = AppPaths("shop")
_FILES = (
    "a.po",
    "x/a.po",
    "x/y/a.po",
    "static/a.css",
    "x/static/a.css",
    "static",
    "x/static",
    "settings/base.py",
    "x/settings/base.py",
    "my-settings.py",
    "a b.txt",
    "[a].txt",
)


@pytest.mark.parametrize(
    "patterns",
    [
        ["*.po"],
        ["/*.po"],
        ["x/*.po"],
        ["x/**/*.po"],
        ["**/y/a.po"],
        ["x/**"],
        ["static/"],
        ["/static/"],
        ["static"],
        ["*", "!*.py", "**/settings/**"],
        ["*settings*.py"],
        ["?.po", "a?b.txt"],
        ["[ab].po", "[!b].po", "[a-c].po"],
        [r"\[a].txt"],
        ["!a.po", "*.po"],
        [],
    ],
)
def test_patterns_mean_the_same_here_and_there(patterns: list[str]) -> None:
    matches, spec = globs.matcher(patterns), pathspec.GitIgnoreSpec.from_lines(patterns)
    assert [name for name in _FILES if matches(name)] == [name for name in _FILES if spec.match_file(name)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(users, "end_processes", lambda _user: None)
    SHOP.work.mkdir(parents=True)
    place = tmp_path / "home"
    place.mkdir()
    (place / "a.po").write_text("one")
    (place / "views.py").write_text("one")
    return place


def built(home: Path, *steps: Step, variables: str = "", tools: str = "") -> Builder:
    user = users.User("nobody", os.geteuid(), os.getegid())
    builder = Builder(SHOP, user, {"PATH": os.environ["PATH"]}, tools)
    builder.run(steps, home, variables, Deadline(20, "the test"))
    builder.keep(home)
    return builder


STEP = Step("cat a.po > a.mo; echo ran >> ../runs", ("*.po",), ("*.mo",))


def again(home: Path, **more: Any) -> int:
    """Builds a fresh copy of the source; how often the command has run so far."""
    (home / "a.mo").unlink(missing_ok=True)
    built(home, STEP, **more)
    assert (home / "a.mo").read_text() == (home / "a.po").read_text()
    return len((home.parent / "runs").read_text().split())


def test_a_step_runs_when_what_it_reads_has_changed(home: Path) -> None:
    assert again(home) == 1
    assert again(home) == 1
    (home / "views.py").write_text("two")
    assert again(home) == 1
    (home / "a.po").write_text("two")
    assert again(home) == 2
    (home / "b.po").write_text("")
    assert again(home) == 3
    assert again(home, variables="others") == 4
    assert again(home, tools="another environment") == 5
    (home / "a.po").write_text("one")
    (home / "b.po").unlink()
    assert again(home) == 5


def test_what_the_source_has_in_place_of_an_output_counts(home: Path) -> None:
    built(home, STEP)
    (home / "a.mo").write_text("committed")
    built(home, STEP)
    assert len((home.parent / "runs").read_text().split()) == 2


def test_what_a_later_step_changed_is_not_kept_as_the_first_ones(home: Path) -> None:
    later = Step("echo more >> a.mo")
    built(home, STEP, later)
    (home / "a.mo").unlink()
    built(home, STEP, later)
    assert (home / "a.mo").read_text() == "onemore\n"
    assert len((home.parent / "runs").read_text().split()) == 2


def test_a_step_that_fails_leaves_nothing_behind(home: Path) -> None:
    broken = Step("echo half > a.mo; exit 1", ("*.po",), ("*.mo",))
    with pytest.raises(AgentError):
        built(home, broken)
    assert not (SHOP.root / "built").exists()


def test_what_no_kept_release_was_made_with_goes(home: Path) -> None:
    first = built(home, STEP).used
    (home / "a.po").write_text("two")
    (home / "a.mo").unlink()
    second = built(home, STEP).used
    assert {path.name for path in build.folder(SHOP).iterdir()} == {*first, *second}
    build.prune(SHOP, [{"built": second}, {}])
    assert {path.name for path in build.folder(SHOP).iterdir()} == set(second)


@pytest.mark.parametrize(
    "given", [3, {"inputs": ["a"], "outputs": ["b"]}, {"run": "x", "inputs": ["a"]}, {"run": "x", "outputs": ["a"]}]
)
def test_a_step_that_is_not_understood_is_refused(given: object) -> None:
    with pytest.raises(AgentError, match="request"):
        Step.read(given)
