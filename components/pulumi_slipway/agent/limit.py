"""A limit of memory for one process of an app and its children: a control group of its own, which systemd makes.

What goes over its limit is killed by the kernel, which the machine's journal tells, and started again by supervisor.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from .paths import AppPaths, rooted

_SLICE = "system.slice"
_GONE_WITHIN = 5.0
_CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"


def possible() -> bool:
    """Whether the kernel of this server limits memory: control groups of version 2 with their part for memory."""
    try:
        return "memory" in rooted(_CONTROLLERS).read_text().split()
    except OSError:
        return False


def scope(app: AppPaths, slot: str, process: str) -> str:
    """The name of the unit that holds the process, so that there is but one of it."""
    return f"slipway-{app.program(slot, process)}.scope"


def inside(app: AppPaths, slot: str, process: str, memory: int, command: Sequence[str]) -> list[str]:
    """The command that becomes `command` as the app's user, within the limit (MiB)."""
    return [
        *("/usr/bin/systemd-run", "--quiet", "--scope", "--collect", f"--slice={_SLICE}"),
        *(f"--unit={scope(app, slot, process)}", f"--description=Slipway: {process} of {app.app} ({slot})"),
        *(f"--property={line}" for line in [*properties(memory), *_also_of_a_scope()]),
        *(f"--uid={app.app}", f"--gid={app.app}", "--", *command),
    ]


def properties(memory: int) -> list[str]:
    """What systemd is told of the limit (MiB). Without swap: a process that swaps is not within its limit."""
    return [f"MemoryMax={memory}M", "MemorySwapMax=0"]


def end_leftovers(app: AppPaths, slot: str, process: str) -> None:
    """Kill what an earlier run of the process left: after the end of a supervisord that was killed, all of it."""
    group = _group(app, slot, process)
    if not group.exists():
        return
    deadline = time.monotonic() + _GONE_WITHIN
    while group.exists() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            (group / "cgroup.kill").write_text("1")
        time.sleep(0.02)


def _group(app: AppPaths, slot: str, process: str) -> Path:
    return rooted("/sys/fs/cgroup") / _SLICE / scope(app, slot, process)


def _also_of_a_scope() -> list[str]:
    """That one of several children is killed is no reason to stop the others; older versions know no other way."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
        if (version := re.match(r"systemd (\d+)", said)) and int(version[1]) >= 253:
            return ["OOMPolicy=continue"]
    return []
