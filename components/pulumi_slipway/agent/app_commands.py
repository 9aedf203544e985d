"""Commands of an app that the agent runs: as the app, in one of its releases; never two at once, whoever was killed."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from . import files, paths, run, users, variables
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .run import Deadline
from .slot import app_environment, work_folder


def run_as_app(app: AppPaths, record: dict[str, Any], command: str, deadline: Deadline, what: str) -> None:
    """Run a shell command in the app's folder of a release, with its variables. Raises `AgentError` when it fails."""
    note = _note(app)
    environment = app_environment(app, record, app.venvs / record["venv"], variables.load(app, record["env"]))

    def remember(group: int) -> None:
        note.write_text(str(group))

    try:
        run.step(
            command,
            users.require(app.app),
            work_folder(app, record),
            environment,
            deadline,
            what,
            on_start=remember,
        )
    finally:
        note.unlink(missing_ok=True)


def wait_for_predecessor(app: AppPaths, deadline: Deadline) -> None:
    """A migration whose agent was killed may still run: two at once would do harm, and so would killing it."""
    note = _note(app)
    try:
        group = int(note.read_text())
    except (FileNotFoundError, ValueError):
        return
    told = False
    while _lives(group):
        if deadline.left <= 0:
            raise AgentError(f"a release command of an interrupted run (process group {group}) still runs")
        if not told:
            say(f"waiting for a release command of an interrupted run (process group {group})")
            told = True
        time.sleep(0.1)
    note.unlink(missing_ok=True)


def _lives(group: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def _note(app: AppPaths) -> Path:
    """Where the process group of a running command is noted; gone after a reboot, like the process."""
    return files.folder(paths.volatile() / "steps", 0o700) / app.app
