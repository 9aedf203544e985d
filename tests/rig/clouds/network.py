"""Public addresses, and packet filters in front of the machines of an account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .account import Account

OPERATOR: Final = "198.51.100.1"
"""The address from which this host reaches public addresses: the operator's, somewhere in the internet."""


@dataclass(frozen=True)
class Opening:
    """What may pass: `protocol` tcp, udp, icmp or all; ports only for tcp and udp; `sources` (of outgoing traffic:
    destinations) are CIDRs or addresses. A CIDR with the public address of a machine means that machine."""

    protocol: str
    first_port: int = 0
    last_port: int = 65535
    sources: Sequence[str] = ("0.0.0.0/0",)


def reserve(account: Account) -> str:
    """A public address (203.0.113.0/24) that nobody on this host has; nothing answers there until it is assigned."""


def assign(account: Account, address: str, machine: str) -> None:
    """Map a reserved address to a machine (its name), away from any other; a machine may have several."""


def unassign(account: Account, address: str) -> None:
    """Map the address to nothing; it stays reserved."""


def release(account: Account, address: str) -> None:
    """Give the address back; an absent one is fine."""


def addresses_of(account: Account, machine: str) -> list[str]:
    """The public addresses of a machine, the oldest assignment first."""


def set_filter(
    account: Account, machine: str, incoming: Sequence[Opening] | None, outgoing: Sequence[Opening] | None = None
) -> None:
    """Let new connections to a machine pass that an opening admits, and no other; None: everything passes.

    Replies always pass. `outgoing` is the same for connections that the machine begins (its metadata excepted).
    """


def open_filter(account: Account, machine: str) -> None:
    """Take the filter away for a test, whatever is set meanwhile, until `close_filter`."""


def close_filter(account: Account, machine: str) -> None:
    """Put the filter, as it was set last, in force again."""
