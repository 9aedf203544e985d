"""Who watches over a running machine: a unit of the host's systemd, or control groups of our own where it has none.

Either way the keeper (`machine-runner.sh`) runs apart from whoever called, so that the machine outlives them, and all
processes of a machine are in one control group, so that none of them is ever missed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.process import run, succeeds

_RUNNER: Final = Path(__file__).with_name("machine-runner.sh")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_KILL_TIMEOUT: Final = 20.0  # seconds
_MAX_TASKS: Final = 16384  # a fork bomb stays in its machine; systemd's own number for containers
# Of the older kind: where systemd in a machine looks for itself, and those that a caller may be limited by
_V1_CONTROLLERS: Final = ("name=systemd", "memory", "pids", "freezer")


def start(machine_id: str, folder: Path, lower: Path, command: Sequence[str], memory_mib: int | None) -> None:
    """Start the keeper of a machine; its output, the machine's console, goes to `folder`/console.log.

    Returns at once. Raises `LocalError` when systemd refuses.
    """
    keeper = ["sh", str(_RUNNER), "keep", str(folder), str(lower), *command]
    console = folder / "console.log"
    if _has_systemd():
        # Delegate: the machine's systemd makes groups of its own below ours
        properties = ["Delegate=yes", "KillMode=mixed", f"TasksMax={_MAX_TASKS}", "TimeoutStopSec=40",
                      f"StandardOutput=truncate:{console}", f"StandardError=append:{console}"]  # fmt: skip
        if memory_mib:
            properties.append(f"MemoryMax={memory_mib}M")
        options = [f"--property={text}" for text in properties]
        run(["systemd-run", "--quiet", "--collect", f"--unit={_unit(machine_id)}", "--slice=machine.slice",
             f"--description=Local machine {folder.name}",
             "--setenv=SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", *options, "--", *keeper])  # fmt: skip
        return
    groups = [base / "slipway" / machine_id for base in _hierarchies()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    _limit(groups, memory_mib)
    environment = {
        "PATH": os.environ["PATH"],
        "SLIPWAY_CGROUPS": " ".join(map(str, groups)),
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    }
    with console.open("w") as output:
        subprocess.Popen(keeper, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=environment,
                         start_new_session=True)  # fmt: skip


def kill(machine_id: str) -> None:
    """End all processes of a machine at once, as a power cut does, and wait until they are gone."""
    deadline = time.monotonic() + _KILL_TIMEOUT
    if _has_systemd():
        # It fails as soon as systemd has forgotten the unit
        while succeeds(["systemctl", "kill", "--signal=KILL", _unit(machine_id)]):
            if time.monotonic() > deadline:
                raise LocalError(f"the unit {_unit(machine_id)} does not end: `systemctl status` tells more")
            time.sleep(0.05)
        return
    groups = [base / "slipway" / machine_id for base in _hierarchies()]
    while processes := {process for group in groups for process in _processes(group)}:
        if time.monotonic() > deadline:
            raise LocalError(f"processes of {machine_id} do not end: {sorted(processes)}")
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
    for group in groups:
        _remove_group(group)


def join(process: int) -> None:
    """Move this process into the control groups of `process`, so that it shares the machine's limits and its end."""
    lines = Path(f"/proc/{process}/cgroup").read_text().splitlines()
    groups = {name: path for _, name, path in (line.split(":", 2) for line in lines)}
    for base, name in _mounted().items():
        if name in groups:
            # A controller that the caller may not be moved in limits nothing that matters here
            with contextlib.suppress(OSError):
                (base / groups[name].lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))


def _unit(machine_id: str) -> str:
    return f"slipway-{machine_id}.service"


def _has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def _mounted() -> dict[Path, str]:
    """Mount point → name in /proc/PID/cgroup (empty for version 2) of the hierarchies that a machine lives in."""
    found: dict[Path, str] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            found[Path(left.split()[4])] = ""
        elif kind == "cgroup":
            names = [name for name in _V1_CONTROLLERS if name in options.split(" ")[-1].split(",")]
            if names:
                found[Path(left.split()[4])] = names[0]
    return found


def _hierarchies() -> list[Path]:
    found = sorted(_mounted())
    if not found:
        raise LocalError(f"no control groups are mounted at {_CGROUPS}: `mount -t cgroup2 none {_CGROUPS}`")
    return found


def _limit(groups: Sequence[Path], memory_mib: int | None) -> None:
    for group in groups:
        # Version 2 hands controllers down only where that is asked for, from the top; best effort, since a group that
        # holds processes itself may not
        for folder in (group.parent.parent, group.parent):
            for controller in ("memory", "pids"):
                with contextlib.suppress(OSError):
                    (folder / "cgroup.subtree_control").write_text(f"+{controller}")
    _write_limit(groups, ("pids.max",), _MAX_TASKS)
    if memory_mib and not _write_limit(groups, ("memory.max", "memory.limit_in_bytes"), memory_mib << 20):
        raise LocalError("--memory: this host's control groups cannot limit memory here; leave it out")


def _write_limit(groups: Sequence[Path], names: Sequence[str], value: int) -> bool:
    """Write the limit where there is a file of one of the `names` (those of both versions); whether there was."""
    files = [group / name for group in groups for name in names if (group / name).exists()]
    for file in files:
        file.write_text(str(value))
    return bool(files)


def _processes(group: Path) -> Iterator[int]:
    for file in [group / "cgroup.procs", *group.rglob("cgroup.procs")]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield from map(int, file.read_text().split())


def _remove_group(group: Path) -> None:
    """Remove a group with all groups below it, and the folder of all groups when it was the last."""
    folders = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
    for folder in [*folders, group, group.parent]:
        with contextlib.suppress(OSError):
            folder.rmdir()
