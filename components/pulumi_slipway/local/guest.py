"""What is put into a machine before its first boot: its identity, its address, its user data."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.network import Network
from pulumi_slipway.local.state import UID_BASE, Record

_SEED: Final = "/var/lib/cloud/seed/nocloud"
_LOGIN_SETTINGS: Final = "/etc/cloud/cloud.cfg.d/95-slipway-login.cfg"
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PUBLIC_KEY: Final = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+={0,3}( [^\r\n]*)?")


@dataclass(frozen=True)
class File:
    """A file of a machine, owned by its root."""

    content: bytes | str
    mode: int = 0o644


@dataclass(frozen=True)
class Seed:
    """What a machine is told at its first boot, as a cloud's metadata service tells it."""

    user_data: bytes = b""
    public_keys: Sequence[str] = ()
    """One authorized_keys line each."""
    login: str = ""
    """Whose keys they are: `root`, or the name of the image's default user; empty: the name that Debian gives it."""

    def __post_init__(self) -> None:
        if self.login and not _USER.fullmatch(self.login):
            raise LocalError(f"--login {self.login!r} is no user name")
        for key in self.public_keys:
            if not _PUBLIC_KEY.fullmatch(key):
                raise LocalError(f"--public-key {key[:40]!r} is no public SSH key on one line, as in authorized_keys")

    def meta_data(self, record: Record) -> dict[str, Any]:
        """What cloud-init's source NoCloud takes as meta-data."""
        keys = {"public-keys": list(self.public_keys)} if self.public_keys else {}
        return {"instance-id": record.id, "local-hostname": record.hostname, **keys}

    def files(self) -> dict[str, File]:
        """What sets the image up for the login, as clouds set up theirs."""
        if not self.login:
            return {}
        if self.login != "root":
            settings: dict[str, Any] = {"system_info": {"default_user": {"name": self.login}}}
            return {_LOGIN_SETTINGS: File(json.dumps(settings) + "\n")}
        settings = {"disable_root": False, "users": []}
        keys = "".join(f"{key}\n" for key in self.public_keys)
        return {
            _LOGIN_SETTINGS: File(json.dumps(settings) + "\n"),
            "/root/.ssh/authorized_keys": File(keys, 0o600),  # there before user data, whatever these say
        }


def first_files(
    record: Record, network: Network, machine_id: str, seed: Seed, clients: Mapping[str, str]
) -> dict[str, File]:
    """The files of a new machine by path. `clients` are those of `hostconfig.client_files`.

    They are written once: later the disk is the machine's own, links that it made included, and root of the host
    writes nothing there.
    """
    # JSON is YAML; a host name like `1e3` would be a number otherwise
    meta_data = json.dumps(seed.meta_data(record))
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
        f"{_SEED}/user-data": File(seed.user_data, 0o600),
        **seed.files(),
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
