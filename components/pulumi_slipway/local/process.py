"""Starting programs, and telling people about it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from pulumi_slipway.local.errors import LocalError


def say(message: str) -> None:
    """Progress for people, on stderr (stdout carries the one JSON document)."""
    print(f"local: {message}", file=sys.stderr, flush=True)


def run(argv: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
    """Run a short-lived program of the host and return its stdout.

    `timeout` is in seconds. Raises `LocalError` with the program's own words when it fails, is missing or hangs.
    """
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise LocalError(f"the program {argv[0]} is missing on this host") from None
    except subprocess.TimeoutExpired:
        raise LocalError(f"`{' '.join(argv)}` did not end within {timeout:.0f} s") from None
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-2000:]
        raise LocalError(f"`{' '.join(argv)}` failed with exit code {done.returncode}: {words}")
    return done.stdout


def succeeds(argv: Sequence[str]) -> bool:
    """Whether a program of the host exits 0; its output does not matter."""
    return subprocess.run(argv, capture_output=True, check=False, timeout=60).returncode == 0
