"""Real machines for tests: `with machine() as box: box.root_shell("...")`.

Each is a fresh Debian with a name of its own, booted by the local machine driver and removed at the end, also when the
test fails. The first one of a day may have to build the image (half a minute).
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COMPONENTS = Path(__file__).parents[1] / "components"


def driver(*arguments: str, stdin: str = "", timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the driver as people do, and return what it did; an exit code other than 0 is no exception here."""
    environment = os.environ | {"PYTHONPATH": str(_COMPONENTS)}
    return subprocess.run([sys.executable, "-m", "pulumi_slipway.local", *arguments], input=stdin, text=True,
                          capture_output=True, timeout=timeout, check=False, env=environment)  # fmt: skip


def drive(*arguments: str, stdin: str = "", timeout: float = 300) -> dict[str, Any]:
    """Run the driver and return its answer; its own words are in the failure."""
    done = driver(*arguments, stdin=stdin, timeout=timeout)
    assert done.returncode == 0, f"driver {' '.join(arguments)}: {done.stderr}"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@dataclass
class Machine:
    """A machine made for one test."""

    name: str
    id: str
    address: str
    debian: int
    options: Sequence[str] = ()

    def root_shell(
        self, command: str, stdin: str | bytes | None = None, timeout: float = 60, *, check: bool = True
    ) -> str:
        """Run a shell command as root in the machine and return its stdout.

        It comes in from below, not by SSH. `timeout` in seconds. With `check`, an exit code other than 0 is a failure
        that shows both outputs.
        """
        done = self.root_run(["sh", "-c", command], stdin, timeout)
        if check:
            assert done.returncode == 0, f"`{command}` exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def root_run(
        self, command: Sequence[str], stdin: str | bytes | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in the machine; the caller judges its exit code and outputs."""
        text = stdin.decode() if isinstance(stdin, bytes) else stdin or ""
        return driver(*self.options, "exec", self.name, "--", *command, stdin=text, timeout=timeout)

    def status(self) -> dict[str, Any]:
        """What the driver knows of it."""
        return drive(*self.options, "status", self.name)

    def stop(self) -> None:
        """Power it off in good order."""
        drive(*self.options, "stop", self.name)

    def kill(self) -> None:
        """Cut its power."""
        drive(*self.options, "stop", "--now", self.name)

    def start(self) -> None:
        """Start it and wait until it can be reached."""
        drive(*self.options, "start", self.name)

    def reboot(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()


@contextmanager
def machine(
    user_data: str | None = None,
    debian: int = 13,
    *,
    name: str | None = None,
    memory: int | None = None,
    options: Sequence[str] = (),
) -> Iterator[Machine]:
    """A new machine, with cloud-init done (well or not); removed at the end.

    `memory` is a limit in MiB; `options` go before the driver's command (`--state DIR`).
    """
    name = name or f"test-{secrets.token_hex(4)}"
    limit = ("--memory", str(memory)) if memory else ()
    wanted = user_data or "#cloud-config\n{}\n"
    try:
        made = drive(*options, "create", name, "--debian", str(debian), *limit, stdin=wanted)
        box = Machine(name, made["id"], made["address"], made["debian"], options)
        box.root_shell("cloud-init status --wait >/dev/null", timeout=300, check=False)
        yield box
    finally:
        driver(*options, "remove", name)
