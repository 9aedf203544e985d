"""The `pulumi` on PATH of a checkout keeps the CLI from writing into committed stack files (tools/wrapper.py)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
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


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., str]:
    """Which settings file and stack a CLI would get that is run through the wrapper of a checkout."""
    checkout = tmp_path / "checkout"
    for name in ("Pulumi.yaml", "sub/deeper/file", "other/Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.two.yaml"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("name: checkout\n")
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\nfile=${PULUMI_OPTION_CONFIG_FILE:-}\necho "${file##*/} ${PULUMI_STACK:-}"\n')
    program.chmod(0o755)
    script = wrapper.write(program, checkout)

    def run(line: str, cwd: str = "") -> str:
        environment = {"PATH": os.environ["PATH"], "PULUMI_STACK": "dev", "SLIPWAY_STACK": "dev"}
        command = [script, *line.format(checkout=checkout).split()]
        return subprocess.run(
            command, cwd=checkout / cwd, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    return run


@pytest.mark.parametrize(
    ("line", "cwd"),
    [
        ("-s two up", ""),
        ("--stack two --non-interactive up", ""),
        ("--stack=organization/checkout/two -v 3 --color never up", ""),
        ("--logtostderr -v=3 preview -m -s -stwo", ""),
        ("-C {checkout} destroy -s=two", "/"),
        ("up --cwd={checkout}/sub -s two", "/tmp"),
        ("--tracing file:x refresh --stack two", "sub/deeper"),
        ("-C .. up -s two", "other"),
    ],
)
def test_a_deployment_is_known_wherever_its_options_stand_and_it_is_started(
    shown: Callable[..., str], line: str, cwd: str
) -> None:
    assert shown(line, cwd) == "Pulumi.two.yaml dev"


def test_the_stack_of_the_environment_counts_in_its_checkout_alone(shown: Callable[..., str]) -> None:
    assert shown("up", "sub") == "Pulumi.dev.yaml dev"
    assert shown("config set up x") == "dev"
    assert shown("--config-file x up") == "dev"
    assert shown("up", "other") == ""
    assert shown("-C other up -s two") == ""
    assert shown("-C /nowhere up") == ""
