"""Packages of the operating system that local machines stand on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import ModuleType

from tools.common import CHECKOUT, ToolError, run, say

PROGRAMS = {"git": "git", "ssh": "openssh-client", "curl": "curl"}
"""Program that must be found → the Debian package that ships it; besides those of the driver of local machines."""


def ensure() -> None:
    """Install the programs that are missing with apt. Raises ToolError when apt fails.

    Where there is no way to install them it says so and goes on: the driver of local machines tells what it lacks.
    """
    needed = {**PROGRAMS, **_requirements().TO_RUN, **_requirements().TO_BUILD}
    missing = {package for program, package in needed.items() if _which(program) is None}
    requirements = _requirements()
    if requirements.keyring() is None:
        missing.add(requirements.KEYRINGS_PACKAGE)
    if not missing:
        return
    obstacle = _obstacle()
    if obstacle:
        say(f"not found, and needed for local machines: {', '.join(sorted(missing))}. {obstacle}")
    else:
        apt_install(sorted(missing))


def _requirements() -> ModuleType:
    components = str(CHECKOUT / "components")
    if components not in sys.path:
        sys.path.append(components)
    from pulumi_slipway.local import requirements  # standard library only, like everything here

    return requirements


def become_able(purpose: str) -> None:
    """Make sure that `sudo -n` works from here on, asking for the password at most once, now. Root needs nothing.

    `purpose` says what for. Raises ToolError when there is no way, before anything else was done.
    """
    if os.geteuid() == 0 or sys.platform != "linux":
        return  # on another system the driver of local machines says what it needs
    if not _sudo():
        remedy = "run this as root, give yourself sudo without a password, or run `sudo -v` in this terminal first"
        if shutil.which("sudo") is None or not sys.stdin.isatty():
            raise ToolError(f"{purpose} needs root, and `sudo -n` does not give it: {remedy}")
        say(f"{purpose} needs root: sudo may ask for your password, once")
        if subprocess.run(["sudo", "-v"], check=False).returncode or not _sudo():
            raise ToolError(f"{purpose} needs root, and sudo does not give it: {remedy}")
    # What sudo remembers lasts for some minutes, a Go build or the tests for longer.
    threading.Thread(target=_stay_able, daemon=True).start()


def _stay_able() -> None:
    while _sudo():
        time.sleep(60)


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages as root, or through `sudo -n`; says so. Raises ToolError when it cannot."""
    wanted = " ".join(packages)
    obstacle = _obstacle()
    if obstacle:
        raise ToolError(f"needed and not found: {wanted}. {obstacle}")
    say(f"installing with apt: {wanted}")
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    if os.geteuid() != 0:
        apt = ["sudo", "-n", "--preserve-env=http_proxy,https_proxy,no_proxy", *apt]
    try:
        run([*apt, "update"], quiet=True)
        run([*apt, "install", "--yes", "--no-install-recommends", *packages], quiet=True)
    except ToolError as error:
        raise ToolError(f"{error}\nInstall it by hand and run this again: apt-get install {wanted}") from error


def _obstacle() -> str:
    """Why nothing can be installed here; empty when it can."""
    if sys.platform != "linux" or shutil.which("apt-get") is None:
        return "This system has no apt: install it by your system's means."
    if os.geteuid() != 0 and not _sudo():
        return "Neither root nor `sudo -n` can be used: install it as root."
    return ""


def _sudo() -> bool:
    return (
        shutil.which("sudo") is not None
        and subprocess.run(
            ["sudo", "-n", "true"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        ).returncode
        == 0
    )


def _which(program: str) -> str | None:
    # Debian keeps these in folders that a user's PATH leaves out.
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
