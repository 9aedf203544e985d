"""What is put into a machine before its first boot: its identity, its address, its user data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pulumi_slipway.local.network import Network
from pulumi_slipway.local.state import UID_BASE, Record

_SEED = "/var/lib/cloud/seed/nocloud"


@dataclass(frozen=True)
class File:
    """A file of a machine, owned by its root."""

    content: bytes | str
    mode: int = 0o644


def first_files(
    record: Record, network: Network, machine_id: str, user_data: bytes, clients: Mapping[str, str]
) -> dict[str, File]:
    """The files of a new machine by path. `clients` are those of `hostconfig.client_files`.

    They are written once: later the disk is the machine's own, links that it made included, and root of the host
    writes nothing there.
    """
    # JSON is YAML; a host name like `1e3` would be a number otherwise
    meta_data = json.dumps({"instance-id": record.id, "local-hostname": record.hostname})
    files = {
        "/etc/machine-id": File(machine_id + "\n", 0o444),
        "/etc/hostname": File(record.hostname + "\n"),
        "/etc/hosts": File(
            f"127.0.0.1 localhost\n127.0.1.1 {record.hostname}\n::1 localhost ip6-localhost ip6-loopback\n"
        ),
        "/etc/systemd/network/10-slipway-local.network": File(
            "[Match]\nName=host0\n\n[Network]\n"
            f"Address={record.address}/{network.subnet.prefixlen}\nGateway={network.gateway}\n"
            "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        ),
        f"{_SEED}/meta-data": File(meta_data + "\n", 0o600),
        f"{_SEED}/user-data": File(user_data, 0o600),
    }
    # What is readable here may hold an index's password that everybody on the host can read too, and no other
    for path, text in clients.items():
        files[path] = File(text, 0o600 if path.startswith("/root/") or "auth.conf" in path else 0o644)
    return files


def write_files(upper: Path, files: Mapping[str, File]) -> None:
    """Write `files` into the upper layer of a machine that has never run."""
    for name, file in files.items():
        path = upper / name.lstrip("/")
        missing = [folder for folder in path.parents if folder.is_relative_to(upper) and not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700 if folder.is_relative_to(upper / "root") else 0o755)
            os.chown(folder, UID_BASE, UID_BASE)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            output.write(file.content if isinstance(file.content, bytes) else file.content.encode())
            os.fchown(descriptor, UID_BASE, UID_BASE)
            os.fchmod(descriptor, file.mode)
