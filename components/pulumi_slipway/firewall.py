"""The one list of firewall rules, from which every firewall (ufw, security groups, ...) is rendered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, NotRequired, TypedDict

ANYWHERE = ("0.0.0.0/0", "::/0")


class FirewallRuleArgs(TypedDict):
    """A rule as an argument of a server."""

    name: str
    port: int
    """1 to 65535."""
    protocol: NotRequired[str]
    """"tcp" (default) or "udp"."""
    sources: NotRequired[Sequence[str]]
    """CIDR blocks; default: anywhere."""


@dataclass(frozen=True)
class FirewallRule:
    """Lets `sources` (CIDR blocks) reach `port` over `protocol` ("tcp" or "udp"); all else stays closed."""

    name: str
    port: int
    protocol: str = "tcp"
    sources: tuple[str, ...] = ANYWHERE

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,49}", self.name):  # it becomes a comment in a shell script
            raise ValueError(f"firewall rule {self.name!r}: name it by letters, digits, spaces and . _ -")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"firewall rule {self.name!r}: port {self.port} is out of range; give one of 1 to 65535")
        if self.protocol not in ("tcp", "udp"):
            raise ValueError(f"firewall rule {self.name!r}: protocol {self.protocol!r} is neither tcp nor udp")
        for source in self.sources:
            ip_network(source)  # raises ValueError naming the block

    def for_agent(self) -> dict[str, Any]:
        """As the agent is told of it; no sources: anywhere."""
        sources = [] if self.sources == ANYWHERE else list(self.sources)
        return {"port": self.port, "protocol": self.protocol, "sources": sources}

    def ufw(self) -> str:
        """The ufw commands of this rule, one a line."""
        if self.sources == ANYWHERE:
            return f"ufw allow {self.port}/{self.protocol} comment '{self.name}' >/dev/null"
        return "\n".join(
            f"ufw allow proto {self.protocol} from {source} to any port {self.port} comment '{self.name}' >/dev/null"
            for source in self.sources
        )


DEFAULT_RULES = (FirewallRule("ssh", 22), FirewallRule("http", 80), FirewallRule("https", 443))


def rules_with(more: Sequence[FirewallRuleArgs]) -> tuple[FirewallRule, ...]:
    """The default rules and `more`; raises `ValueError` naming the rule."""
    given = (
        FirewallRule(rule["name"], rule["port"], rule.get("protocol", "tcp"), tuple(rule.get("sources", ANYWHERE)))
        for rule in more
    )
    return (*DEFAULT_RULES, *given)
