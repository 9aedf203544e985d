"""The machines of an account: booted by the local machine driver from user data in the form that the service reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .account import Account


@dataclass(frozen=True)
class Machine:
    """A machine. `name` is the driver's, `address` its private address, `cloud` whose metadata it is served."""

    name: str
    address: str
    cloud: str
    running: bool


def create(
    account: Account,
    *,
    cloud: str,
    user_data: str = "",
    form: str = "cloud-init",
    debian: int = 13,
    login: str = "admin",
    public_keys: Sequence[str] = (),
    hostname: str = "",
    metadata: Mapping[str, Any] | None = None,
    incoming: Sequence[Any] | None = None,
    outgoing: Sequence[Any] | None = None,
) -> Machine:
    """Boot a new machine and wait until its sshd answers (some seconds; cloud-init goes on after that).

    `cloud`: ec2, lightsail, digitalocean or linode: in whose manner its metadata are served.
    `form`: `cloud-init` (user data as cloud-init reads them: cloud-config, script, compressed) or `script` (one line of
    shell, run once by root at the first boot below a shebang that the service writes; never read as cloud-config).
    `public_keys` go to the user `login`: `root`, or the image's default user, which is then called that.
    `hostname`: any text; what a host name cannot have becomes a dash. `metadata`: what metadata.py serves of it, see
    there. `incoming`, `outgoing`: its packet filter from the first packet on, as in `network.set_filter`.
    Raises `CloudError` (nothing is left then) for a multi-line script and when it does not come up.
    """


def get(account: Account, name: str) -> Machine | None:
    """The machine as it is now; None: it is gone."""


def start(account: Account, name: str) -> Machine:
    """Start a stopped machine and wait until its sshd answers; user data does not run again."""


def stop(account: Account, name: str) -> None:
    """Power it off in good order; it keeps its disk and private address."""


def set_metadata(account: Account, name: str, metadata: Mapping[str, Any]) -> None:
    """Change some of what metadata.py serves of it."""


def run(account: Account, name: str, command: Sequence[str], stdin: str = "", timeout: float = 60) -> str:
    """Run a command as root in the machine (not by the network) and return its stdout. Raises `CloudError`."""


def remove(account: Account, name: str) -> None:
    """Remove the machine with its disk and filter; its public addresses stay, mapped to nothing. Absent is fine."""
