"""A machine as somebody has it already: Debian with sshd, and a user who may sudo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.machines import Machine, machine


@dataclass(frozen=True)
class Plain:
    """The machine, and how its owner logs in."""

    machine: Machine
    user: str
    private_key: str
    host_key: str


@contextmanager
def plain_machine() -> Iterator[Plain]:
    """A plain machine; removed at the end."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    user = {
        "name": "admin",
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "ssh_authorized_keys": [public.decode()],
    }
    with machine("#cloud-config\n" + json.dumps({"users": [user]}) + "\n") as box:
        host_key = box.root_shell("cat /etc/ssh/ssh_host_ed25519_key.pub")
        yield Plain(box, "admin", private.decode(), " ".join(host_key.split()[:2]))
