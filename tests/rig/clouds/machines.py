"""The machines of an account: booted by the local machine driver from user data in the form that the service reads.

A machine is written down before it is made, so that whatever is interrupted can be removed by its name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from . import host, metadata, network
from .account import Account, CloudError
from .filters import Opening

CLOUDS: Final = (*metadata.CLOUDS, "database")
_CREATE_TIMEOUT: Final = 1800.0  # seconds; the first of a kind has to wait for its image
_SHEBANG: Final = "#!/bin/sh\n"


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
    user_data: str | bytes = "",
    form: str = "cloud-init",
    debian: int = 13,
    login: str = "admin",
    public_keys: Sequence[str] = (),
    hostname: str = "",
    metadata: Mapping[str, Any] | None = None,
    incoming: Sequence[Opening] | None = None,
    outgoing: Sequence[Opening] | None = None,
    packages: Sequence[str] = (),
) -> Machine:
    """Boot a new machine and wait until its sshd answers (some seconds; cloud-init goes on after that).

    `cloud`: ec2, lightsail, digitalocean or linode: in whose manner its metadata are served.
    `form`: `cloud-init` (user data as cloud-init reads them: cloud-config, script, compressed) or `script` (one line of
    shell, run once by root at the first boot below a shebang that the service writes; never read as cloud-config).
    `public_keys` go to the user `login`: `root`, or the image's default user, which is then called that.
    `hostname`: any text; what a host name cannot have becomes a dash. `metadata`: what metadata.py serves of it, see
    there. `incoming`, `outgoing`: its packet filter from the first packet on, as in `network.set_filter`.
    `packages`: more of them in its image, not started.
    Raises `CloudError` (nothing is left then) for a multi-line script and when it does not come up.
    """
    if cloud not in CLOUDS:
        raise ValueError(f"cloud {cloud!r} is none of {', '.join(CLOUDS)}")
    read = _as_read(user_data, form)
    name = f"rig-{account.tag}-{account.next('machine')}"
    with account.change() as data:
        data["machines"][name] = {
            "cloud": cloud,
            "address": "",
            "starting": True,
            "user_data": base64.b64encode(read).decode(),
            "public_keys": list(public_keys),
            "hostname": host_name(hostname or name),
            "metadata": dict(metadata or {}),
            "filter": {
                "incoming": network.as_data(incoming),
                "outgoing": network.as_data(outgoing),
                "opened": False,
            },
        }
    try:
        return _boot(account, name, read, debian, login, public_keys, packages)
    except BaseException:
        remove(account, name)
        raise


def get(account: Account, name: str) -> Machine | None:
    """The machine as it is now; None: it is gone."""
    known = account.read()["machines"].get(name)
    if known is None:
        return None
    found = host.drive("status", name)
    return Machine(name, found["address"], known["cloud"], found["running"]) if found["exists"] else None


def start(account: Account, name: str) -> Machine:
    """Start a stopped machine and wait until its sshd answers; user data does not run again."""
    _known(account, name)
    _set(account, name, starting=True)
    network.apply(account)
    try:
        host.drive("start", name)
        found = get(account, name)
        if found is None:
            raise CloudError(f"the machine {name} was removed while it was started")
        # Both may have gone with a restart of the host
        network.look(account, found.address)
        metadata.ensure(account)
    finally:
        _set(account, name, starting=False)
        network.apply(account)
    return found


def stop(account: Account, name: str) -> None:
    """Power it off in good order; it keeps its disk and private address."""
    _known(account, name)
    host.drive("stop", name)


def set_metadata(account: Account, name: str, metadata: Mapping[str, Any]) -> None:
    """Change some of what metadata.py serves of it."""
    known = _known(account, name)
    _set(account, name, metadata=known["metadata"] | dict(metadata))


def run(account: Account, name: str, command: Sequence[str], stdin: str | bytes = "", timeout: float = 60) -> str:
    """Run a command as root in the machine (not by the network) and return its stdout. Raises `CloudError`."""
    _known(account, name)
    return host.inside(name, command, stdin, timeout)


def remove(account: Account, name: str) -> None:
    """Remove the machine with its disk and filter; its public addresses stay, mapped to nothing. Absent is fine."""
    if name not in account.read()["machines"]:
        return
    # By the label, too: the name alone could be another account's, whose folder was copied
    host.drive("remove", name, "--label", _label(account))
    with account.change() as data:
        data["machines"].pop(name, None)
        for entry in data["addresses"].values():
            if entry["machine"] == name:
                entry |= {"machine": "", "since": 0}
    network.apply(account)
    metadata.end_without_machines(account)


def host_name(text: str) -> str:
    """A host name made of any text: lower-case letters, digits and inner dashes, at most 63."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:63].strip("-") or "machine"


def _boot(
    account: Account,
    name: str,
    user_data: bytes,
    debian: int,
    login: str,
    public_keys: Sequence[str],
    packages: Sequence[str],
) -> Machine:
    known = _known(account, name)
    words = ["--debian", str(debian), "--hostname", known["hostname"], "--label", _label(account), "--login", login]
    words += [word for key in public_keys for word in ("--public-key", key.strip())]
    words += [word for package in packages for word in ("--package", package)]
    # Made first and started when all that stands in front of it is there
    made = host.drive("create", name, "--no-start", *words, stdin=user_data, timeout=_CREATE_TIMEOUT)
    _set(account, name, address=made["address"])
    network.look(account, made["address"])
    metadata.ensure(account)
    network.apply(account)
    host.drive("start", name)
    _set(account, name, starting=False)
    network.apply(account)
    return Machine(name, made["address"], known["cloud"], running=True)


def _as_read(user_data: str | bytes, form: str) -> bytes:
    content = user_data.encode() if isinstance(user_data, str) else user_data
    if form == "cloud-init":
        return content
    if form != "script":
        raise ValueError(f"form {form!r} is none of cloud-init, script")
    if not content:
        return b""
    line = content.removesuffix(b"\n")
    if b"\n" in line or b"\r" in line:
        raise CloudError("the launch script has several lines; the service takes a single line of shell")
    return _SHEBANG.encode() + line + b"\n"


def _label(account: Account) -> str:
    return f"account={account.folder}"


def _known(account: Account, name: str) -> dict[str, Any]:
    known: dict[str, Any] | None = account.read()["machines"].get(name)
    if known is None:
        raise CloudError(f"there is no machine {name} in this account")
    return known


def _set(account: Account, name: str, **changes: Any) -> None:
    with account.change() as data:
        if name in data["machines"]:
            data["machines"][name] |= changes
