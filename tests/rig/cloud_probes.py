"""For tests of the rig's clouds: an account for a module, and looks at machines from this host and from others."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .clouds import inventory, machines
from .clouds.account import Account
from .clouds.machines import Machine

PATIENCE = 1.0
"""Seconds after which a connection that nobody answers counts as filtered."""


@contextmanager
def account_in(folder: Path) -> Iterator[Account]:
    """A new account; at the end it is emptied, and nothing of it may be left on the host."""
    account = Account.at(folder)
    try:
        yield account
    finally:
        inventory.empty(account)
    assert traces(account) == []


def traces(account: Account) -> list[str]:
    """Whatever on this host bears the account's tag: rules, machines, processes."""
    commands = (["iptables-save"], ["ps", "-eo", "args"], ["find", "/var/lib/slipway/local/machines", "-maxdepth", "1"])
    text = "".join(subprocess.run(words, capture_output=True, text=True, check=False).stdout for words in commands)
    words = (f"rig-{account.tag}", str(account.folder))
    return [line for line in text.splitlines() if any(word.lower() in line.lower() for word in words)]


def answers(address: str, port: int) -> bool:
    """Whether something on this port of a public address accepts a connection of this host."""
    try:
        socket.create_connection((address, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True


def reaches(account: Account, machine: Machine, address: str, port: int) -> bool:
    """Whether something on this port accepts a connection of a machine."""
    look = f"timeout {PATIENCE} bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo yes || echo no"
    return shell(account, machine, look) == "yes\n"


def shell(account: Account, machine: Machine, text: str, stdin: str = "", timeout: float = 60) -> str:
    """Run shell text as root in the machine, not by the network, and return its stdout."""
    return machines.run(account, machine.name, ["bash", "-c", text], stdin, timeout)
