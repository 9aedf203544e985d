"""What databases on this machine need of it: packages, memory, and a way to ask their servers."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import adoption, apt, files, paths, run
from .errors import AgentError
from .progress import clean, say
from .run import TAIL, Deadline
from .users import User

LEAST_MIB = 400
"""Free memory and swap that a server of a database needs to be installed and to run beside an app."""

_INSTALL_WITHIN = 900.0
_ROOT = User("root", 0, 0)


def install(packages: Sequence[str]) -> None:
    """Install packages of the distribution; nothing that is installed is ever removed for them. On a machine that is
    to be given back it is noted what came."""
    with adoption.noting():
        _install(packages)


def _install(packages: Sequence[str]) -> None:
    free = available_mib(Path("/proc/meminfo").read_text())
    if free < LEAST_MIB:
        raise AgentError(
            f"memory: {free} MiB are free (swap included), and a database server needs {LEAST_MIB}: take a larger "
            "machine, a database outside of it, or SQLite"
        )
    say(f"installing {' '.join(packages)}")
    apt.install(packages, Deadline(_INSTALL_WITHIN, "installing"))


def ask(command: Sequence[str], text: str, user: User = _ROOT, timeout: float = 60.0) -> str:
    """Run a client of a database as a user of the system with `text` on stdin; what it printed.

    Raises `AgentError` with what it said when it fails.
    """
    try:
        done = subprocess.run(
            list(command),
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd="/",
            env={"PATH": run.SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent"},
            user=user.uid,
            group=user.gid,
            extra_groups=[],
        )
    except FileNotFoundError as error:
        raise AgentError(f"{command[0]} is not installed on this server") from error
    except subprocess.TimeoutExpired as error:
        raise AgentError(f"{command[0]} did not end within {timeout:.0f} s") from error
    if done.returncode != 0:
        raise AgentError(f"{command[0]} failed", [clean(line) for line in done.stderr.splitlines()[-TAIL:]])
    return done.stdout


def put(path: Path, text: str) -> bool:
    """Have the file with this content; whether it was not so."""
    if path.is_file() and path.read_text() == text:
        return False
    files.write_atomic(path, text.encode(), 0o644)
    return True


def memory_mib() -> int:
    """Memory of the machine in MiB, or its limit where it is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, ValueError):  # none
        limits.append(int(paths.rooted("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits) // 1024**2


def available_mib(meminfo: str) -> int:
    """Free memory and swap, of the text of /proc/meminfo."""
    found = {key: int(value) for key, value in re.findall(r"^(\w+): +(\d+) kB$", meminfo, re.M)}
    return (found.get("MemAvailable", 0) + found.get("SwapFree", 0)) // 1024


def sized_for(text: str, memory: int) -> int:
    """The memory to size a server for: that of the settings in force (`text`) as long as it is about the same, since
    what a machine says of its memory differs by a little from kernel to kernel, and a change means a restart."""
    match = re.search(r"sized for (\d+) MiB", text)
    before = int(match[1]) if match else 0
    return before if abs(before - memory) <= memory // 10 else memory


def connections(memory: int, cpus: int) -> int:
    """How many connections to admit: enough for two releases of gunicorn's workers with some on top, as far as
    memory goes."""
    return max(20, min(memory // 20, 40 + 16 * cpus, 400))


def buffers_mib(memory: int) -> int:
    """MiB of the server's cache: an eighth, as the app lives on the same machine."""
    return max(32, min(memory // 8, 4096))
