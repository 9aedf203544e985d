"""What uv makes of requirements for a machine, on this computer: nothing is installed, nothing is built."""

from __future__ import annotations

import re
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

import uv

from . import pylock
from .locked import Locked
from .machine import Machine

_WITHIN = 40.0
"""Seconds for one question: an index that does not answer must not hold up a preview."""
_OFFLINE = re.compile(r"dns error|failed to fetch|error sending request|timed out|connection|client error", re.I)
_NO_WHEELS = re.compile(r"(?:Because |and )?([A-Za-z0-9._-]+)==(\S+) has no (?:usable wheels|wheels with a matching)")


class UnknownError(Exception):
    """Nothing could be found out, for a reason that has nothing to do with the app."""


def pinned(requirements: Sequence[str], constraints: Sequence[str], machine: Machine) -> list[Locked]:
    """What is named, at the versions that would be installed, with the wheels that `machine` can use (no others)."""
    return _compiled(requirements, constraints, machine, ["--no-deps"])


def without_wheel(requirements: Sequence[str], constraints: Sequence[str], machine: Machine) -> tuple[str, str] | None:
    """One package (name, version) of all that this takes that has no wheel for `machine`; None: all have."""
    if not requirements:
        return None
    try:
        _compiled(requirements, constraints, machine, ["--only-binary", ":all:"])
    except FailedError as failed:
        match = _NO_WHEELS.search(str(failed))
        if match:
            return match[1], match[2]
        raise UnknownError(str(failed)) from None
    return None


class FailedError(Exception):
    """uv's own words."""


def _compiled(
    requirements: Sequence[str], constraints: Sequence[str], machine: Machine, options: Sequence[str]
) -> list[Locked]:
    platform = machine.uv_platform()
    if platform is None:
        raise UnknownError(f"uv resolves nothing for {machine.architecture}")
    with tempfile.TemporaryDirectory() as folder:
        limits = Path(folder) / "constraints.txt"
        limits.write_text("\n".join(constraints))
        command = [uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--format", "pylock.toml"]
        target = ["--python-version", ".".join(map(str, machine.minor)), "--python-platform", platform]
        try:
            done = subprocess.run(
                [*command, *target, *options, "--constraints", str(limits), "-"],
                input="\n".join(requirements) + "\n",
                capture_output=True,
                text=True,
                check=False,
                timeout=_WITHIN,
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            raise UnknownError(f"the package index did not answer within {_WITHIN:.0f} s") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        if _OFFLINE.search(said) and "no usable wheels" not in said:
            raise UnknownError(f"the package index cannot be asked: {said[-300:]}")
        raise FailedError(said)
    return pylock.packages(tomllib.loads(done.stdout))
