"""From the state of an account to the rules of its packet filters and public addresses: pure text, all at once.

Where the rules are: a packet to a machine leaves the host, or its bridge, through POSTROUTING of the table `mangle`,
wherever it comes from (the host, another machine by the bridge, a mapped public address), after its destination was
translated and before its source is. That is the one place where all of it can be judged, whatever other rules (the
machine driver's, Docker's, ufw's) accept or drop elsewhere. Between machines this needs bridged packets to pass
iptables; `network.py` sees to that.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

METADATA_ADDRESS: Final = "169.254.169.254"
_PORTED: Final = ("tcp", "udp")
_PROTOCOLS: Final = (*_PORTED, "icmp", "all")
EVERYWHERE: Final = "0.0.0.0/0"


@dataclass(frozen=True)
class Opening:
    """What may pass: `protocol` tcp, udp, icmp or all; ports only for tcp and udp; `sources` (of outgoing traffic:
    destinations) are CIDRs or addresses. A CIDR with the public address of a machine means that machine."""

    protocol: str
    first_port: int = 0
    last_port: int = 65535
    sources: Sequence[str] = (EVERYWHERE,)

    def __post_init__(self) -> None:
        if self.protocol not in _PROTOCOLS:
            raise ValueError(f"protocol {self.protocol!r} is none of {', '.join(_PROTOCOLS)}")
        if self.protocol in _PORTED and not 0 <= self.first_port <= self.last_port <= 65535:
            raise ValueError(f"ports {self.first_port} to {self.last_port} are no range within 0 to 65535")
        for source in self.sources:
            ipaddress.ip_network(source, strict=False)

    def matches(self) -> list[str]:
        """What a rule says of protocol and ports."""
        if self.protocol == "all":
            return []
        ports = ["--dport", f"{self.first_port}:{self.last_port}"] if self.protocol in _PORTED else []
        return ["-p", self.protocol, *ports]

    def as_data(self) -> dict[str, Any]:
        """As it is kept in the account."""
        return {
            "protocol": self.protocol,
            "first_port": self.first_port,
            "last_port": self.last_port,
            "sources": list(self.sources),
        }


@dataclass(frozen=True)
class Chains:
    """The names of an account's chains."""

    tag: str

    def of(self, part: str) -> str:
        """Our chain for one of the parts IN, OUT, NAT, METADATA."""
        return f"RIG-{self.tag}-{part}".upper()

    @property
    def jumps(self) -> tuple[tuple[str, str, str], ...]:
        """(table, built-in chain, ours)."""
        return (
            ("mangle", "POSTROUTING", self.of("IN")),
            ("mangle", "FORWARD", self.of("OUT")),
            ("nat", "PREROUTING", self.of("NAT")),
            ("nat", "OUTPUT", self.of("NAT")),
            ("filter", "INPUT", self.of("METADATA")),
        )

    @property
    def owned(self) -> tuple[tuple[str, str], ...]:
        """(table, chain) of all that is ours."""
        return tuple(dict.fromkeys((table, chain) for table, _, chain in self.jumps))


def render(tag: str, data: Mapping[str, Any]) -> str:
    """All rules of the account as `iptables-restore --noflush` takes them; naming a chain there empties it first."""
    chains = Chains(tag)
    inside, outside, nat, metadata = (chains.of(part) for part in ("IN", "OUT", "NAT", "METADATA"))
    machines = [machine for machine in data["machines"].values() if machine["address"]]
    public = _mapped(data)
    return "\n".join(
        [
            "*mangle",
            f":{inside} - [0:0]",
            f":{outside} - [0:0]",
            *(f"-A {inside} {rule}" for rule in _strays(data, public)),
            *(f"-A {inside} {rule}" for one in machines for rule in _incoming(one, public)),
            *(f"-A {outside} {rule}" for one in machines for rule in _outgoing(one, public)),
            "COMMIT",
            "*nat",
            f":{nat} - [0:0]",
            *(f"-A {nat} -d {address} -j DNAT --to-destination {at}" for address, at in public.items()),
            *(f"-A {nat} {rule}" for one in machines for rule in _metadata_nat(one, data)),
            "COMMIT",
            "*filter",
            f":{metadata} - [0:0]",
            *(f"-A {metadata} {rule}" for one in machines for rule in _metadata_accept(one, data)),
            "COMMIT\n",
        ]
    )


def _mapped(data: Mapping[str, Any]) -> dict[str, str]:
    """Public → private address of what is assigned to a machine that has one."""
    pairs = {
        address: data["machines"].get(entry["machine"], {}).get("address", "")
        for address, entry in data["addresses"].items()
    }
    return {address: private for address, private in pairs.items() if private}


def _strays(data: Mapping[str, Any], public: Mapping[str, str]) -> Iterator[str]:
    """Connections to a public address that go on to a machine which had it before."""
    for address in data["addresses"]:
        at = f" ! -d {public[address]}" if address in public else ""
        yield f"-m conntrack --ctorigdst {address} --ctdir ORIGINAL{at} -j DROP"


def _incoming(machine: Mapping[str, Any], public: Mapping[str, str]) -> Iterator[str]:
    to = f"-d {machine['address']}"
    from_host = f"{to} -m addrtype --src-type LOCAL"
    # The host routes between its machines for itself; a shorter way would be one around the rules
    yield f"{to} -p icmp --icmp-type redirect -j DROP"
    yield f"{to} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    if machine["starting"]:
        yield f"{from_host} -p tcp --dport 22 -j RETURN"  # by which the driver sees that it is up
    # The host is a place in the internet, where private addresses lead nowhere
    yield f"{from_host} -m conntrack ! --ctstate DNAT -j DROP"
    openings = machine["filter"]["incoming"]
    if openings is None or machine["filter"]["opened"]:
        return
    yield from _passing(to, "-s", openings, public)
    yield f"{to} -j DROP"


def _outgoing(machine: Mapping[str, Any], public: Mapping[str, str]) -> Iterator[str]:
    openings = machine["filter"]["outgoing"]
    if openings is None or machine["filter"]["opened"]:
        return
    origin = f"-s {machine['address']}"
    yield f"{origin} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    yield from _passing(origin, "-d", openings, public)
    yield f"{origin} -j DROP"


def _passing(
    machine: str, side: str, openings: Sequence[Mapping[str, Any]], public: Mapping[str, str]
) -> Iterator[str]:
    for opening in (Opening(**data) for data in openings):
        for peer in _peers(opening.sources, public):
            there = [] if peer == EVERYWHERE else [side, peer]
            yield " ".join([machine, *there, *opening.matches(), "-j RETURN"])


def _peers(sources: Sequence[str], public: Mapping[str, str]) -> list[str]:
    """The IPv4 networks among the sources, and for public addresses of machines in them the private ones, too, since
    a machine's own packets bear that one here."""
    networks = [ipaddress.ip_network(source, strict=False) for source in sources]
    found = {str(network): None for network in networks if isinstance(network, ipaddress.IPv4Network)}
    if EVERYWHERE in found:
        return [EVERYWHERE]
    for address, private in public.items():
        if any(ipaddress.ip_address(address) in network for network in networks):
            found[f"{private}/32"] = None
    return list(found)


def _metadata_nat(machine: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    if data.get("metadata"):
        place = f"{data['metadata']['gateway']}:{data['metadata']['port']}"
        request = f"-s {machine['address']} -d {METADATA_ADDRESS} -p tcp --dport 80"
        yield f"{request} -j DNAT --to-destination {place}"


def _metadata_accept(machine: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    if data.get("metadata"):
        request = f"-s {machine['address']} -p tcp --dport {data['metadata']['port']}"
        yield f"{request} -m conntrack --ctorigdst {METADATA_ADDRESS} -j ACCEPT"
