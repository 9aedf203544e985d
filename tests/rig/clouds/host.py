"""Programs of the host: the local machine driver, `ip` and `iptables`, as root or through sudo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .account import CloudError

ROOT: Final = Path(__file__).resolve().parents[3]
_SBIN: Final = ":/usr/local/sbin:/usr/sbin:/sbin"


def run(command: Sequence[str], stdin: str = "", *, timeout: float = 60, check: bool = True) -> str:
    """Run a short-lived program as root and return its stdout.

    Raises `CloudError` with the program's own words when it is missing, hangs, or (with `check`) fails.
    """
    return _finished(["sudo", "-n", *command] if os.geteuid() else list(command), stdin, timeout, check=check).stdout


def succeeds(command: Sequence[str]) -> bool:
    """Whether the program exits 0."""
    words = ["sudo", "-n", *command] if os.geteuid() else list(command)
    return _finished(words, "", 60, check=False).returncode == 0


def drive(*arguments: str, stdin: bytes = b"", timeout: float = 300) -> dict[str, Any]:
    """Run the local machine driver and return its answer. Raises `CloudError` with its message."""
    done = _finished([sys.executable, "-m", "pulumi_slipway.local", *arguments], stdin, timeout)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def inside(machine: str, command: Sequence[str], stdin: str | bytes, timeout: float) -> str:
    """Run a command as root in a machine of the driver and return its stdout. Raises `CloudError` when it fails."""
    words = [sys.executable, "-m", "pulumi_slipway.local", "exec", machine, "--", *command]
    return _finished(words, stdin, timeout, shown=f"{command[0]} in {machine}").stdout


def started(process: int) -> str:
    """When a process was started, in the kernel's own count; empty: it has ended. With its id that means it alone."""
    try:
        # After the command's name, which may hold anything, are the state and, as the 20th field, the start time
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _finished(
    command: Sequence[str], stdin: str | bytes, timeout: float, *, check: bool = True, shown: str = ""
) -> subprocess.CompletedProcess[str]:
    shown = shown or " ".join(command[:6])
    path = os.environ.get("PATH", os.defpath) + _SBIN
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "components")}
    given = stdin if isinstance(stdin, bytes) else stdin.encode()
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=timeout, check=False, env=environment)
    except FileNotFoundError:
        raise CloudError(f"the program {command[0]} is missing on this host") from None
    except subprocess.TimeoutExpired:
        raise CloudError(f"`{shown}` did not end within {timeout:.0f} s") from None
    stdout, stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if check and done.returncode:
        words = (stderr or stdout).strip()[-2000:]
        raise CloudError(f"`{shown}` failed with exit code {done.returncode}: {words}")
    return subprocess.CompletedProcess(command, done.returncode, stdout, stderr)
