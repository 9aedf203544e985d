"""Use the checkout's Pulumi engine from a test, each with a backend of its own.

    def test_something(engine: Engine, tmp_path: Path) -> None:
        project = engine.project("import pulumi; pulumi.export('answer', 42)")
        engine.pulumi("up", "--yes", "--skip-preview", project=project)
        assert engine.outputs()["answer"] == 42

The fixture `engine` is in `conftest.py` here; elsewhere make an `Engine(tmp_path / "engine")` and call `close()` at
the end. For the Automation API pass `engine.automation()` as options, or use `engine.inline(program)`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pulumi import automation

from tools import engine, setup
from tools.common import VENV

TIMEOUT = 240
"""Seconds that one command of the CLI may take."""


class Engine:
    """The CLI with its own backend, passphrase and home, in a folder that is the test's to remove."""

    def __init__(self, folder: Path, stack: str = "dev", project_name: str = "rigtest") -> None:
        self.folder = folder
        self.stack = stack
        self.project_name = project_name
        ready = setup.ensure()
        self.program = Path(ready.program)
        self.rig = ready.rig
        """Whether the rig stands in for the official plug-ins: what is measured then says nothing about those."""
        home = folder / "home"
        home.mkdir(parents=True)
        shared = engine.HOME / "plugins"
        (home / "plugins").symlink_to(shared.resolve())
        (folder / "state").mkdir()
        (folder / "passphrase").write_text("only for tests")
        self.env: dict[str, str] = {
            **setup.variables(ready),
            "PATH": os.pathsep.join([str(self.program.parent), os.environ.get("PATH", os.defpath)]),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
            "PULUMI_ERROR_OUTPUT_STRING": "1",
        }
        self._projects: list[Path] = []

    def environment(self) -> dict[str, str]:
        """The whole environment for a child process."""
        inherited = {name: value for name, value in os.environ.items() if name not in setup.OVERRULING}
        return {**inherited, **self.env}

    def project(self, program: str, *, config: dict[str, Any] | None = None, venv: Path = VENV) -> Path:
        """A new project with one stack, whose program is this text; answers its folder."""
        folder = self.folder / f"project-{len(self._projects)}"
        folder.mkdir()
        options = {"toolchain": "uv", "virtualenv": str(venv)}
        runtime = json.dumps({"name": "python", "options": options})  # which is YAML too
        (folder / "Pulumi.yaml").write_text(f"name: {self.project_name}\nruntime: {runtime}\n")
        if config:
            values = {f"{self.project_name}:{key}": value for key, value in config.items()}
            (folder / f"Pulumi.{self.stack}.yaml").write_text(json.dumps({"config": values}))
        (folder / "__main__.py").write_text(program)
        self._projects.append(folder)
        if len(self._projects) == 1:
            self.pulumi("stack", "init", self.stack, project=folder)
        return folder

    def pulumi(
        self, *arguments: str, project: Path, check: bool = True, timeout: float = TIMEOUT, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run one command in the project; its output, both streams together, is in `stdout`."""
        return subprocess.run(
            [self.program, *arguments, "--non-interactive"],
            cwd=project,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=check,
            timeout=timeout,
            **more,
        )

    def up(self, project: Path, *arguments: str, check: bool = True) -> str:
        """`pulumi up` without a preview; answers what it printed."""
        return self.pulumi(
            "up", "--yes", "--skip-preview", "--stack", self.stack, *arguments, project=project, check=check
        ).stdout

    def resources(self) -> list[dict[str, Any]]:
        """What the state file holds, the stack itself included; secrets are in it encrypted."""
        path = self.folder / "state" / ".pulumi" / "stacks" / self.project_name / f"{self.stack}.json"
        latest = json.loads(path.read_text())["checkpoint"].get("latest") or {}
        return list(latest.get("resources") or [])

    def resource(self, name: str) -> dict[str, Any]:
        """The resource of that name."""
        return next(entry for entry in self.resources() if entry["urn"].endswith(f"::{name}"))

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; a secret one is an object with its ciphertext."""
        root = next(entry for entry in self.resources() if entry["type"] == "pulumi:pulumi:Stack")
        return dict(root.get("outputs") or {})

    def automation(self) -> automation.LocalWorkspaceOptions:
        """Options for stacks of the Automation API."""
        return automation.LocalWorkspaceOptions(
            env_vars=self.env,
            pulumi_home=self.env["PULUMI_HOME"],
            pulumi_command=automation.PulumiCommand(root=str(self.program.parent.parent)),
        )

    def inline(self, program: Callable[[], None]) -> automation.Stack:
        """A stack of the Automation API with a program in this process, which needs no language host."""
        return automation.create_or_select_stack(self.stack, self.project_name, program=program, opts=self.automation())

    def close(self) -> None:
        """Destroy what is left in the stack."""
        if self._projects and len(self.resources()) > 0:
            self.pulumi(
                "destroy", "--yes", "--skip-preview", "--stack", self.stack, project=self._projects[0], check=False
            )
