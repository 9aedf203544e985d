"""`make live` makes what is billed: it runs for somebody who has said so, and for nobody else."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import live, setup, stack
from tools.common import ToolError

OFFICIAL = setup.Ready(key="", program="pulumi", rig=False, description="", uv="uv")
RIG = setup.Ready(key="", program="pulumi", rig=True, description="", uv="uv")


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that were started; a stack `shop` on a cloud is all that is there."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    (tmp_path / "Pulumi.shop.yaml").write_text("config:\n  slipway:target: droplet\n  slipway:experiment: true\n")
    (tmp_path / "Pulumi.kept.yaml").write_text("config:\n  slipway:target: droplet\n")
    (tmp_path / "Pulumi.here.yaml").write_text("config:\n  slipway:target: local\n")
    monkeypatch.setattr(live, "CHECKOUT", tmp_path)
    monkeypatch.setattr(stack, "CHECKOUT", tmp_path)
    monkeypatch.setattr(stack, "resources", lambda _stack: [])
    monkeypatch.setattr(stack, "ensure", lambda *_: None)
    monkeypatch.setattr(stack, "clear_dead_locks", lambda _stack: None)
    monkeypatch.setattr(setup, "child_environment", lambda _ready: {})
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("sys.stdin", io.StringIO("shop\n"))  # no terminal: nobody typed it
    for name in ("CI", "CONFIRM"):
        monkeypatch.delenv(name, raising=False)
    return commands


@pytest.mark.parametrize("answer", [None, "", "yes", "dev"])
def test_without_the_name_of_the_stack_as_an_answer_nothing_is_started(
    answer: str | None, started: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if answer is not None:
        monkeypatch.setenv("CONFIRM", answer)
    with pytest.raises(ToolError, match="not confirmed: nothing was made"):
        live.check(OFFICIAL, "shop")
    assert started == []
    shown = capsys.readouterr()
    assert "costs below" in shown.out + shown.err


def test_with_that_name_the_checks_are_started(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIRM", "shop")
    assert live.check(OFFICIAL, "shop") == 0
    assert [command[-1] for command in started] == ["tests/live"]


@pytest.mark.parametrize(
    ("ready", "name", "more", "message"),
    [
        (RIG, "shop", {}, "runs on the rig's stand-ins"),
        (OFFICIAL, "dev", {}, "name a stack of its own"),
        (OFFICIAL, "absent", {}, "there is no Pulumi.absent.yaml"),
        (OFFICIAL, "here", {}, "its target is local"),
        (OFFICIAL, "kept", {}, "set slipway:experiment: true"),
        (OFFICIAL, "shop", {"CI": "true"}, "CI never makes what is billed"),
    ],
)
def test_what_speaks_against_it_is_told_whatever_was_confirmed(
    ready: setup.Ready, name: str, more: dict[str, str], message: str,
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for key, value in {"CONFIRM": name, **more}.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ToolError, match=message):
        live.check(ready, name)
    assert started == []


def test_a_stack_that_holds_something_is_not_destroyed_for_a_check(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIRM", "shop")
    monkeypatch.setattr(stack, "resources", lambda _stack: [{"urn": "somebody's"}])
    with pytest.raises(ToolError, match="holds something already"):
        live.check(OFFICIAL, "shop")
    assert started == []
