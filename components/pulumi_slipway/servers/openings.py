"""From the one list of firewall rules to what clouds want to be told: each port once, with its sources by family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from ..firewall import FirewallRule


@dataclass(frozen=True)
class Opening:
    """A port that these networks (CIDR blocks) reach; all rules of the same protocol and port are in it."""

    name: str
    protocol: str
    port: int
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        return (*self.ipv4, *self.ipv6)


def openings(rules: Iterable[FirewallRule]) -> tuple[Opening, ...]:
    """What `rules` open, in their order. Clouds refuse a port, or a source of it, that is given twice: rules of the
    same port are one opening, and a network that lies in another is left out."""
    together: dict[tuple[str, int], list[FirewallRule]] = {}
    for rule in rules:
        together.setdefault((rule.protocol, rule.port), []).append(rule)
    return tuple(_opening(same) for same in together.values())


def check_openings(rules: Iterable[FirewallRule], limit: int, what: str) -> None:
    """Raises `ValueError` when `rules` open more than the `limit` of a cloud's firewall (`what`)."""
    opened = openings(rules)
    if len(opened) > limit:
        raise ValueError(
            f"firewall: {len(opened)} ports with 22, 80 and 443 are more than the {limit} of {what}; leave some out"
        )


def _opening(rules: Sequence[FirewallRule]) -> Opening:
    networks = [ip_network(source) for rule in rules for source in rule.sources]
    ipv4 = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    ipv6 = collapse_addresses(network for network in networks if isinstance(network, IPv6Network))
    first = rules[0]
    return Opening(first.name, first.protocol, first.port, tuple(map(str, ipv4)), tuple(map(str, ipv6)))
