"""The `pulumi` on PATH of a checkout keeps the CLI from writing into committed stack files (tools/wrapper.py)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools import wrapper

from .engine import Engine

SETTINGS = """# A comment, and a layout that Pulumi would not leave as it is.
config:
  checkout:app:   { path: somewhere }

  checkout:list:
  - one
"""
PROGRAM = """
import pulumi, pulumi_random as random
pulumi.export("path", pulumi.Config().require_object("app")["path"])
pulumi.export("word", random.RandomPassword("word", length=8).result)
"""


@pytest.fixture
def checkout(engine: Engine) -> Path:
    """A project with a settings file, and the wrapper for it."""
    engine.project_name = "checkout"
    folder = engine.project(PROGRAM)
    (folder / "Pulumi.dev.yaml").write_text(SETTINGS)
    wrapper.write(engine.program, folder)
    return folder


def run(engine: Engine, checkout: Path, *arguments: str, cwd: Path | None = None) -> str:
    environment = engine.environment()
    environment["PATH"] = f"{checkout / '.slipway' / 'bin'}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=cwd or checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout


def test_no_deployment_touches_the_settings_file(engine: Engine, checkout: Path) -> None:
    """For the selected stack and a named one; from the first `up` on, when the stack has no salt outside its state."""
    run(engine, checkout, "up", "--yes", "--skip-preview")
    run(engine, checkout, "preview", "--expect-no-changes", "-s", "dev")
    run(engine, checkout, "refresh", "--yes", "--skip-preview", "--stack=dev")
    run(engine, checkout, "destroy", "--yes", "--skip-preview", "--stack", "dev")
    assert (checkout / "Pulumi.dev.yaml").read_text() == SETTINGS


def test_an_edit_of_the_settings_file_counts_at_once(engine: Engine, checkout: Path) -> None:
    run(engine, checkout, "up", "--yes", "--skip-preview")
    assert engine.outputs()["path"] == "somewhere"
    (checkout / "Pulumi.dev.yaml").write_text(SETTINGS.replace("somewhere", "elsewhere"))
    run(engine, checkout, "up", "--yes", "--skip-preview")
    assert engine.outputs()["path"] == "elsewhere"
    assert "2 unchanged" in run(engine, checkout, "up", "--yes", "--skip-preview")


def test_the_secrets_stay_readable_over_runs(engine: Engine, checkout: Path) -> None:
    run(engine, checkout, "up", "--yes", "--skip-preview")
    shown = run(engine, checkout, "stack", "output", "word", "--show-secrets", "-s", "dev").strip()
    run(engine, checkout, "up", "--yes", "--skip-preview")
    assert run(engine, checkout, "stack", "output", "word", "--show-secrets", "-s", "dev").strip() == shown
    assert len(shown) == 8


def test_a_change_by_pulumi_config_is_written_to_the_file_itself(engine: Engine, checkout: Path) -> None:
    run(engine, checkout, "config", "set", "--path", "app.path", "set by hand")
    assert "set by hand" in (checkout / "Pulumi.dev.yaml").read_text()
    run(engine, checkout, "up", "--yes", "--skip-preview")
    assert engine.outputs()["path"] == "set by hand"


def test_a_file_that_is_named_and_other_projects_are_left_alone(engine: Engine, checkout: Path) -> None:
    named = checkout / "named.yaml"
    named.write_text(SETTINGS.replace("somewhere", "named"))
    run(engine, checkout, "up", "--yes", "--skip-preview", "--config-file", str(named))
    assert engine.outputs()["path"] == "named"
    other = engine.project("import pulumi; pulumi.export('here', 1)")
    run(engine, checkout, "up", "--yes", "--skip-preview", "--stack", "dev", cwd=other)
    assert engine.outputs() == {"here": 1}
