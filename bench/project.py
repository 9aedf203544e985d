"""A Pulumi project of the benchmarks' own, inside the checkout's ignored ``.slipway/bench``.

Nothing of the user's is touched: it has its own state, its own copy of the example, its own machine. It is kept where a
run was broken off, so that the next run finds the machine again, and removes it at its end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = CHECKOUT / ".slipway" / "bench"
STACK = "bench"


class BenchError(Exception):
    """A measurement that cannot be made; the message says why."""


def environment() -> dict[str, str]:
    """The environment of ``make -s env`` on top of this process's: engine, plug-ins, passphrase."""
    shell = 'set -e; exports="$(make -s env)"; eval "$exports"; env -0'
    done = subprocess.run(["bash", "-c", shell], cwd=CHECKOUT, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise BenchError("`make -s env` failed: run `make up` once, then try again")
    return dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if "=" in entry)


class Project:
    """One project folder with one stack."""

    def __init__(
        self, name: str, env: Mapping[str, str], program: str, config: Mapping[str, Any] | None = None
    ) -> None:
        self.folder = HOME / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._env = {**env, "PULUMI_BACKEND_URL": f"file://{HOME / 'state'}", "PULUMI_SKIP_UPDATE_CHECK": "true"}
        (HOME / "state").mkdir(exist_ok=True)
        project = {
            "name": name,
            "runtime": {
                "name": "python",
                # The virtual environment of the checkout as it is: nothing is installed or synchronized.
                "options": {"toolchain": "pip", "virtualenv": str(CHECKOUT / ".venv")},
            },
        }
        # JSON is YAML.
        (self.folder / "Pulumi.yaml").write_text(json.dumps(project))
        (self.folder / "__main__.py").write_text(program)
        self.select()
        if config is not None:
            self.configure(config)

    @property
    def exists(self) -> bool:
        """Whether the stack has been made."""
        return self._pulumi("stack", "select", STACK, check=False).returncode == 0

    def select(self) -> None:
        """Make the stack, or find it as an earlier run left it."""
        self._pulumi("stack", "select", "--create", STACK)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Replace the stack's settings; the keys are without the namespace."""
        file = self.folder / f"Pulumi.{STACK}.yaml"
        kept = [line for line in _lines(file) if re.match(r"(encryptionsalt|secretsprovider|encryptedkey):", line)]
        settings = {f"{self.folder.name}:{key}": value for key, value in config.items()}
        file.write_text("\n".join([*kept, "config: " + json.dumps(settings)]) + "\n")

    def up(self, *, seconds: float = 1200) -> str:
        """``pulumi up`` without preview; what it printed. Raises ``BenchError`` with that when it fails."""
        return self._pulumi("up", "--yes", "--skip-preview", seconds=seconds).stdout

    def outputs(self) -> dict[str, Any]:
        """The outputs of the stack."""
        outputs: dict[str, Any] = json.loads(self._pulumi("stack", "output", "--json").stdout)
        return outputs

    def destroy(self) -> None:
        """Destroy what the stack has, then the stack and the folder."""
        self._pulumi("destroy", "--yes", "--skip-preview", seconds=600)
        self._pulumi("stack", "rm", "--yes", STACK)
        shutil.rmtree(self.folder)

    def _pulumi(self, *args: str, seconds: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", *args, "--non-interactive", "--color=never"]
        if args[0] in {"up", "destroy"}:
            command.append(f"--stack={STACK}")
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"`pulumi {' '.join(args)}` took more than {seconds:g} s") from None
        if check and done.returncode != 0:
            raise BenchError(f"`pulumi {' '.join(args)}` failed:\n{done.stdout}")
        return done


def changes(printed: str) -> list[str]:
    """The lines of an update's summary that tell of a change: none, when there was nothing to do."""
    _, _, summary = printed.partition("Resources:")
    return [line.strip() for line in summary.splitlines() if re.match(r"\s+[+~\-]", line)]


def machine_line() -> str:
    """What the measurement ran on."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} processors for everything, the server included; load average {load}"


def table(rows: list[list[str]]) -> str:
    """Rows, the first of them the heading, as a Markdown table with even columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
