"""What the driver needs of its host, and what it says where that is missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.process import succeeds

ALTERNATIVES: Final = (
    "The target `local`, today the only one, needs a Linux machine with root: another one, or a Linux virtual machine."
)

# program: Debian package that has it
TO_RUN: Final = {
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "flock": "util-linux",
}
TO_BUILD: Final = {"mmdebstrap": "mmdebstrap"}
KEYRINGS: Final = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)
KEYRINGS_PACKAGE: Final = "debian-archive-keyring"  # which Ubuntu does not have by itself

# Handed on through sudo, which drops the rest. (PIP_, UV_ and proxy settings go into the machines.)
_ENVIRONMENT_PREFIXES: Final = ("PIP_", "UV_", "SLIPWAY_LOCAL_")
_ENVIRONMENT_NAMES: Final = ("PYTHONPATH", "http_proxy", "https_proxy", "no_proxy", "all_proxy")


def require_linux() -> None:
    """Raise `LocalError` on any system but Linux."""
    if sys.platform != "linux":
        raise LocalError(f"local machines need Linux, and this is {sys.platform}. {ALTERNATIVES}")


def become_root(arguments: Sequence[str]) -> None:
    """Return as root; otherwise start this command again through ``sudo -n``, or raise `LocalError`."""
    if os.geteuid() == 0:
        return
    if shutil.which("sudo") is None or not succeeds(["sudo", "-n", "true"]):
        raise LocalError(
            "local machines need root, and `sudo -n` does not give it without a password: "
            f"run this as root, or `sudo -v` first. {ALTERNATIVES}"
        )
    _through_sudo(arguments)


def _through_sudo(arguments: Sequence[str]) -> NoReturn:
    # By name only: values (an index URL may hold a password) must not be on a command line.
    names = [
        name
        for name in os.environ
        if name.startswith(_ENVIRONMENT_PREFIXES) or name.lower() in {n.lower() for n in _ENVIRONMENT_NAMES}
    ]
    keep = [f"--preserve-env={','.join(sorted(names))}"] if names else []
    command = [sys.executable, "-m", "pulumi_slipway.local", *arguments]
    os.execvp("sudo", ["sudo", "-n", *keep, "--", *command])  # noqa: S606 - no shell is wanted


def require_programs(programs: dict[str, str]) -> None:
    """Raise `LocalError` naming the missing programs and the packages that have them."""
    # A root shell without the sbin folders in PATH is common (su without a dash)
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = {program: package for program, package in programs.items() if shutil.which(program) is None}
    if missing:
        raise LocalError(
            f"{', '.join(missing)} missing: `apt-get install {' '.join(sorted(set(missing.values())))}` "
            f"(or your system's packages of that kind). {ALTERNATIVES}"
        )


def keyring() -> str | None:
    """The file with the keys that Debian's packages are signed with; None: it is missing."""
    return next((path for path in KEYRINGS if Path(path).exists()), None)


def require_keyring() -> None:
    """Raise `LocalError` naming the package that has the keys of Debian's packages, where they are missing."""
    if keyring() is None:
        raise LocalError(f"{KEYRINGS[0]} is missing: `apt-get install {KEYRINGS_PACKAGE}`. {ALTERNATIVES}")


def require_user_namespaces() -> None:
    """Raise `LocalError` where the kernel gives no user namespaces, which keep a machine's root off the host."""
    limit = Path("/proc/sys/user/max_user_namespaces")
    if not Path("/proc/self/ns/user").exists() or (limit.exists() and limit.read_text().strip() == "0"):
        raise LocalError(
            "the kernel allows no user namespaces, without which a machine's root would be root here: "
            f"`sysctl user.max_user_namespaces=10000`. {ALTERNATIVES}"
        )
