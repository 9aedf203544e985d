"""The one list of firewall rules, from which every firewall (ufw, security groups, ...) is rendered."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

ANYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class FirewallRule:
    """Lets `sources` (CIDR blocks) reach `port` over `protocol` ("tcp" or "udp"); all else stays closed."""

    name: str
    port: int
    protocol: str = "tcp"
    sources: tuple[str, ...] = ANYWHERE

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError(f"firewall rule {self.name!r}: port {self.port} is not between 1 and 65535")
        if self.protocol not in ("tcp", "udp"):
            raise ValueError(f"firewall rule {self.name!r}: protocol {self.protocol!r} is neither tcp nor udp")
        for source in self.sources:
            ip_network(source)  # raises ValueError naming the block

    def ufw(self) -> str:
        """The ufw commands of this rule, one a line."""
        if self.sources == ANYWHERE:
            return f"ufw allow {self.port}/{self.protocol} comment '{self.name}' >/dev/null"
        return "\n".join(
            f"ufw allow proto {self.protocol} from {source} to any port {self.port} comment '{self.name}' >/dev/null"
            for source in self.sources
        )


DEFAULT_RULES = (FirewallRule("ssh", 22), FirewallRule("http", 80), FirewallRule("https", 443))
