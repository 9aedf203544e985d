"""What every unit test runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.unit.mocks import Engine, Monitor, Recorder


@pytest.fixture(autouse=True)
def strict_outputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An Output in an f-string is an error, and no test writes into the user's cache."""
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def engine() -> Iterator[Engine]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield Engine()
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def run(engine: Engine) -> Callable[..., Recorder]:
    """Runs a program under mocks and returns what it registered, once all has landed."""

    def run_program(program: Callable[[], Any], preview: bool = False) -> Recorder:
        monitor = Monitor(engine)
        pulumi.runtime.set_mocks(engine, project="slipway", stack="dev", preview=preview, monitor=monitor)

        @pulumi.runtime.test
        def build() -> Any:
            program()

        build()
        return Recorder(engine, monitor)

    return run_program


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program has warned of."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    return said


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    """A small Flask application."""
    folder = tmp_path / "guestbook"
    (folder / "static").mkdir(parents=True)
    (folder / "static" / "site.css").write_text("body {}")
    (folder / "app.py").write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    (folder / "requirements.txt").write_text("flask\n")
    return folder
