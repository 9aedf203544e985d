"""What kind of machine answers, asked as any user may, before anything is brought to it: pure but for one command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .ssh import Connection

ARCHITECTURES = ("amd64", "arm64", "armhf")
"""For each of them uv, by which environments are made, has wheels."""
OLDEST_PYTHON = (3, 11)
_NEW_ENOUGH = "Debian 12, Ubuntu 24.04 and Raspberry Pi OS 12, or newer, are"

# For any shell that a POSIX `sh` can be started from; each line of its output is KEY=VALUE.
_SCRIPT = """\
[ -r /etc/os-release ] && . /etc/os-release
echo "kernel=$(uname -s)"
echo "id=${ID-}"
echo "like=${ID_LIKE-}"
echo "name=${PRETTY_NAME-}"
[ -d /run/systemd/system ] && echo "systemd=yes"
echo "architecture=$(dpkg --print-architecture 2>/dev/null)"
echo "processor=$(uname -m)"
echo "python=$(/usr/bin/python3 -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
echo "uid=$(id -u)"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
echo "sudo=$(command -v sudo)"
"""


class UnsupportedError(Exception):
    """This machine cannot be a server of Slipway's; the message says why, and what would help."""


@dataclass(frozen=True)
class Probe:
    """A machine as it describes itself."""

    kernel: str
    id: str
    like: str
    name: str
    systemd: bool
    architecture: str
    processor: str
    python: str
    """As "3.13"; empty: there is none."""
    uid: int
    sudo: str
    """Where it is; empty: nowhere."""


def ask(connection: Connection) -> Probe:
    """Raises `SshError` when the machine does not answer."""
    result = connection.run("sh -s", stdin=_SCRIPT, timeout=30)
    return read(dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line))


def read(found: Mapping[str, str]) -> Probe:
    uid = found.get("uid", "")
    return Probe(
        kernel=found.get("kernel", ""),
        id=found.get("id", ""),
        like=found.get("like", ""),
        name=found.get("name", "") or found.get("id", "") or "an unknown system",
        systemd=found.get("systemd") == "yes",
        architecture=found.get("architecture", ""),
        processor=found.get("processor", ""),
        python=found.get("python", ""),
        uid=int(uid) if uid.isdigit() else -1,
        sudo=found.get("sudo", ""),
    )


def check(probe: Probe, user: str) -> None:
    """Raises `UnsupportedError` for a machine that cannot be supported, whoever logs in."""
    if probe.kernel != "Linux":
        raise UnsupportedError(f"the machine runs {probe.kernel or 'no Linux'}: {_NEW_ENOUGH} supported")
    if "debian" not in (probe.id, *probe.like.split()):
        raise UnsupportedError(
            f"the machine runs {probe.name}, which is not of the family of Debian: {_NEW_ENOUGH} supported"
        )
    if not probe.systemd:
        raise UnsupportedError(
            "the machine was not started by systemd (a container, perhaps), which keeps servers running: "
            "take a machine or a virtual machine with systemd"
        )
    if probe.processor.startswith("armv6"):
        raise UnsupportedError(
            f"the machine's processor is {probe.processor} (a Raspberry Pi Zero or 1), for which there is no uv: "
            "take a Raspberry Pi 2, Zero 2 or newer"
        )
    if probe.architecture not in ARCHITECTURES:
        raise UnsupportedError(
            f"the machine's architecture is {probe.architecture or probe.processor}: "
            f"{', '.join(ARCHITECTURES)} are supported"
        )
    check_python(probe.python)
    if probe.uid != 0 and not probe.sudo:
        raise UnsupportedError(
            f"there is no sudo on the machine, and {user} is not root: install it (apt-get install sudo) and let "
            f"{user} use it (adduser {user} sudo), or set user to root"
        )


def check_python(version: str) -> None:
    """None at all is fine: it is a package like others."""
    if not version:
        return
    if tuple(int(part) for part in version.split(".")) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise UnsupportedError(
            f"/usr/bin/python3 of the machine is {version}, older than {oldest}: {_NEW_ENOUGH} supported"
        )
