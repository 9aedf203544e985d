"""uv: the one on PATH, else one installed from the package index into the user's cache."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import system
from tools.common import CHECKOUT, VENV, answer, cache, made_atomically, run, say

REQUIREMENT = "uv>=0.8,<1"


def find() -> Path:
    """A usable uv; installs one if there is none. Raises ToolError when that fails."""
    on_path = shutil.which("uv")
    if on_path and _usable(answer([on_path, "--version"])):
        return Path(on_path)
    target = cache() / "uv" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    with made_atomically(target, "installing uv") as scratch:
        if scratch is not None:
            say("installing uv into the cache folder, once")
            _install(scratch)
    return target / "bin" / "uv"


def _usable(version: str) -> bool:
    """Whether a uv reads the committed lock file: 0.8 is the first that writes its revision."""
    try:
        major, minor = (int(part) for part in version.split()[1].split(".")[:2])
    except (IndexError, ValueError):
        return False
    return (major, minor) >= (0, 8)


def _install(folder: Path) -> None:
    # `pip --target` also works where the system's environment is marked as externally managed.
    if importlib.util.find_spec("pip") is not None:
        run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, REQUIREMENT])
        return
    if importlib.util.find_spec("ensurepip") is None:  # Debian splits it off into python3-venv
        system.apt_install(["python3-venv"])
    run([sys.executable, "-m", "venv", folder / "venv"])
    run([folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--target", folder, REQUIREMENT])
    shutil.rmtree(folder / "venv")


def sync(program: Path) -> None:
    """Bring the checkout's virtual environment to what the lock file says."""
    command: list[str | Path] = [program, "sync", "--locked", "--quiet"]
    if not (VENV / "bin" / "python").exists():
        say("installing the Python packages of uv.lock into .venv")
        # The interpreter that runs this is new enough; uv would prefer one of its own.
        command += ["--python", getattr(sys, "_base_executable", sys.executable)]
    run(command, cwd=CHECKOUT, env={"UV_PYTHON_DOWNLOADS": os.environ.get("UV_PYTHON_DOWNLOADS", "never")})
    _compile()


_BULKY = r"/(pulumi_aws|pulumi_digitalocean|pulumi_linode|moto|botocore|boto3)/"
"""Thousands of modules, of which a stack imports a few, if any: those are compiled when they are."""


def _compile() -> None:
    """Compile the packages ahead: it halves the first `up`, whose programs all start at once."""
    packages = next(VENV.glob("lib/python*/site-packages"))
    command: list[str | Path] = [VENV / "bin" / "python", "-m", "compileall", "-qq", "-j", "0", "-x", _BULKY, packages]
    subprocess.run(command, cwd=CHECKOUT, check=False)  # what cannot be compiled is never imported
