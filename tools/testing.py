"""Run the tests, part by part, and tell where the time goes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tools import setup, system
from tools.common import CHECKOUT, VENV, ToolError, say

PARTS = ("unit", "rig", "agent", "e2e", "examples")
LONG = {
    "long": "what takes minutes a file: the rig's clouds, carried data, existing machines, databases: about 30 minutes",
    "clouds": "every target with every database: about 35 minutes on 2 cores",
    "faults": "what may go wrong in a release, as one table: about 10 minutes on 2 cores",
    "apps": "apps of every kind, from the first preview to the last down: about 15 minutes on 2 cores",
}
"""Parts that only run when they are asked for, with what to expect."""
WITH_MACHINES = {"agent", "e2e", *LONG}
_LONG_TESTS = ("rig", "agent", "e2e")
"""Parts that have tests marked as long."""
_TWO_AT_A_TIME = ("unit", "rig", "agent")
"""Parts whose files have nothing to do with each other; those of e2e share a checkout that is launched once."""
NO_TESTS = 5
"""pytest's exit status when it has collected none."""


def run_parts(wanted: Sequence[str]) -> int:
    """Run the parts wanted (all without any), go on after a failing one, end with a table; answer the exit status."""
    known = (*PARTS, *LONG)
    unknown = set(wanted) - set(known)
    if unknown:
        raise ToolError(f"no such part of the tests: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    for part in filter(LONG.__contains__, wanted):
        say(f"{part}: {LONG[part]}")
    if not wanted:
        say("all tests: about 20 minutes on 2 cores, most of them e2e; rig and agent some minutes, the others seconds")
    if not wanted or WITH_MACHINES & set(wanted):
        system.become_able("testing with machines of this host's own")
    ready = setup.ensure()
    say(ready.description)
    environment = setup.child_environment(ready)
    rows = []
    for part in wanted or PARTS:
        for name, command in _commands(ready, part):
            say(f"tests: {name}")
            begun = time.monotonic()
            status = subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode
            outcome = {0: "passed", NO_TESTS: "none"}.get(status, "FAILED")
            rows.append((name, outcome, time.monotonic() - begun))
    for name, outcome, seconds in rows:
        say(f"{name:24} {outcome:8} {seconds:7.1f} s")
    say(f"{'all':24} {'':8} {sum(seconds for _, _, seconds in rows):7.1f} s")
    return int(any(outcome == "FAILED" for _, outcome, _ in rows))


def _commands(ready: setup.Ready, part: str) -> list[tuple[str, list[str | Path]]]:
    slowest = ["--durations=15", "--durations-min=1"]
    if part != "examples":
        python = VENV / "bin" / "python"
        tests = [Path("tests") / folder for folder in (_LONG_TESTS if part == "long" else (part,))]
        return [(part, [python, "-m", "pytest", *slowest, *_options(part), *tests])]
    return [_of_example(ready, tests) for tests in sorted(CHECKOUT.glob("examples/*/tests"))]


def _options(part: str) -> list[str]:
    if part in ("clouds", "apps"):
        return ["-n", "2", "--dist", "loadscope"]
    if part == "faults":
        return []
    together = ["-n", "2", "--dist", "loadfile"] if part in _TWO_AT_A_TIME else []
    return [*together, "-m", "long" if part == "long" else "not long"]


def _of_example(ready: setup.Ready, tests: Path) -> tuple[str, list[str | Path]]:
    """An example's own tests, in an environment of what the example asks for: it is a project of its own."""
    app = tests.parent
    command: list[str | Path] = [ready.uv, "run", "--quiet", "--isolated", "--no-project", "--directory", app]
    command += ["--python", VENV / "bin" / "python", "--with", "pytest"]
    for requirements in sorted(app.glob("requirements*.txt")):
        command += ["--with-requirements", requirements]
    return f"examples/{app.name}", [*command, "python", "-m", "pytest", "-p", "no:cacheprovider", "tests"]
