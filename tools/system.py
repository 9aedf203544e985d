"""Packages of the operating system that local machines stand on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from tools.common import CHECKOUT, ToolError, run, say

PROGRAMS = {"git": "git", "ssh": "openssh-client", "curl": "curl"}
"""Program that must be found → the Debian package that ships it; besides those of the driver of local machines."""


def ensure() -> None:
    """Install the programs that are missing with apt. Raises ToolError when apt fails.

    Where there is no way to install them it says so and goes on: other targets than local machines do without, and the
    driver of those tells what it lacks.
    """
    needed = {**PROGRAMS, **_of_local_machines()}
    missing = sorted({package for program, package in needed.items() if _which(program) is None})
    if not missing:
        return
    obstacle = _obstacle()
    if obstacle:
        say(f"not found, and needed for local machines: {', '.join(missing)}. {obstacle}")
    else:
        apt_install(missing)


def _of_local_machines() -> dict[str, str]:
    sys.path.append(str(CHECKOUT / "components"))
    from pulumi_slipway.local import requirements  # standard library only, like everything here

    return {**requirements.TO_RUN, **requirements.TO_BUILD}


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
        return "This system has no apt: install it by your system's means, or use another target than local machines."
    if os.geteuid() != 0 and not _sudo():
        return "Neither root nor `sudo -n` can be used: install it as root."
    return ""


def _sudo() -> bool:
    return (
        shutil.which("sudo") is not None
        and subprocess.run(["sudo", "-n", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    )


def _which(program: str) -> str | None:
    # Debian keeps these in folders that a user's PATH leaves out.
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
