"""Packages of the operating system that local machines stand on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from tools.common import CHECKOUT, ToolError, run, say

PROGRAMS = {"git": "git", "ssh": "openssh-client", "curl": "curl"}
"""Program that must be found → the Debian package that ships it; besides those of the driver of local machines."""


def ensure() -> None:
    """Install the programs that are missing with apt. Raises ToolError where that cannot be done."""
    needed = {**PROGRAMS, **_of_local_machines()}
    missing = sorted({package for program, package in needed.items() if _which(program) is None})
    if missing:
        apt_install(missing)


def _of_local_machines() -> dict[str, str]:
    sys.path.append(str(CHECKOUT / "components"))
    from pulumi_slipway.local import requirements  # standard library only, like everything here

    return {**requirements.TO_RUN, **requirements.TO_BUILD}


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages as root, or through `sudo -n`; says so. Raises ToolError when it cannot."""
    wanted = " ".join(packages)
    if sys.platform != "linux" or shutil.which("apt-get") is None:
        raise ToolError(
            f"needed and not found: {wanted}. Local machines need Linux with apt; elsewhere take another "
            "target in Pulumi.<stack>.yaml, such as an existing server over SSH."
        )
    prefix: list[str] = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise ToolError(f"needed and not found: {wanted}. Install it as root: apt-get install {wanted}")
        prefix = ["sudo", "-n", "--preserve-env=http_proxy,https_proxy,no_proxy"]
    say(f"installing with apt: {wanted}")
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    try:
        run([*apt, "update"], quiet=True)
        run([*apt, "install", "--yes", "--no-install-recommends", *packages], quiet=True)
    except ToolError as error:
        raise ToolError(f"{error}\nInstall it by hand and run this again: apt-get install {wanted}") from error


def _which(program: str) -> str | None:
    # Debian keeps these in folders that a user's PATH leaves out.
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
