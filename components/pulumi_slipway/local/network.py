"""The private network of the machines: one bridge, its rules, the addresses on it.

Machines reach the world through the host (masqueraded) and each other over the bridge. The host reaches the
machines. Nobody else reaches them, and they reach no service of the host itself: only replies go there.

The rules are iptables rules in chains of our own, jumped to from the top of INPUT, FORWARD and POSTROUTING, because
that is where Docker and ufw drop what they do not know; an accepting rule in another table would not help there.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.process import run, succeeds
from pulumi_slipway.local.state import State, read_json, write_json

# One lock for all state folders of the host: the routes that a subnet is chosen by are the host's
HOST_LOCK: Final = Path("/run/slipway-local/network.lock")
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
# There while we are the one who switched forwarding on; as short-lived as the switch itself
_FORWARDING_IS_OURS: Final = Path("/run/slipway-local/forwarding")
_BRIDGE_PREFIX: Final = "slipway"  # of all state folders
_ADDRESS_GIVEN: Final = "3"  # NET_ADDR_SET in the kernel's netdevice.h
_LINK_LOCAL: Final = "169.254.0.0/16"  # where clouds serve their metadata, credentials of the host among them


@dataclass(frozen=True)
class Network:
    """The network of one state folder. The bridge has the subnet's first address."""

    bridge: str
    subnet: IPv4Network

    @property
    def gateway(self) -> IPv4Address:
        """The host's own address on the bridge."""
        return self.subnet[1]

    def chain(self, part: str) -> str:
        """Our chain for one of the parts IN, FORWARD, NAT."""
        return f"{self.bridge.upper()}-{part}"

    @property
    def jumps(self) -> tuple[tuple[str, ...], ...]:
        """(table, built-in chain, match and target): the rules that lead into our chains."""
        return (
            ("filter", "INPUT", "-i", self.bridge, "-j", self.chain("IN")),
            ("filter", "FORWARD", "-i", self.bridge, "-j", self.chain("FORWARD")),
            ("filter", "FORWARD", "-o", self.bridge, "-j", self.chain("FORWARD")),
            ("nat", "POSTROUTING", "-s", str(self.subnet), "!", "-o", self.bridge, "-j", self.chain("NAT")),
        )

    def rules(self) -> str:
        """Our chains as `iptables-restore --noflush` takes them; naming a chain there empties it first."""
        inside, forward, nat = self.chain("IN"), self.chain("FORWARD"), self.chain("NAT")
        replies = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        return f"""\
*filter
:{inside} - [0:0]
-A {inside} {replies}
-A {inside} -j DROP
:{forward} - [0:0]
-A {forward} -i {self.bridge} -o {self.bridge} -j ACCEPT
-A {forward} -o {self.bridge} {replies}
-A {forward} -o {self.bridge} -j DROP
-A {forward} -o {_BRIDGE_PREFIX}+ -j DROP
-A {forward} -d {_LINK_LOCAL} -j DROP
-A {forward} -j ACCEPT
COMMIT
*nat
:{nat} - [0:0]
-A {nat} -j MASQUERADE
COMMIT
"""


def ensure(state: State, avoid: Iterable[str] = ()) -> Network:
    """Bring up the state's network, whatever part of it is there. To be called with `HOST_LOCK` held.

    `avoid` are addresses that machines must be able to reach elsewhere (name servers). Raises `LocalError` when
    no private subnet is free.
    """
    path = state.root / "network.json"
    known = read_json(path)
    if known is None:
        subnet = choose_subnet(_networks_in_use(avoid))
        known = {"bridge": f"{_BRIDGE_PREFIX}{state.tag}", "subnet": str(subnet)}
        write_json(path, known)
    network = Network(known["bridge"], IPv4Network(known["subnet"]))
    _ensure_bridge(network)
    _ensure_rules(network)
    if _FORWARDING.read_text().strip() == "0":
        _FORWARDING_IS_OURS.touch()
        _FORWARDING.write_text("1\n")
    return network


def remove(state: State) -> None:
    """Take the state's network away, whatever part of it is there. To be called with `HOST_LOCK` held."""
    path = state.root / "network.json"
    known = read_json(path)
    if known is None:
        return
    network = Network(known["bridge"], IPv4Network(known["subnet"]))
    for table, chain, *rule in network.jumps:
        while succeeds(["iptables", "-w", "-t", table, "-D", chain, *rule]):
            pass
    for table, part in (("filter", "IN"), ("filter", "FORWARD"), ("nat", "NAT")):
        if succeeds(["iptables", "-w", "-t", table, "-F", network.chain(part)]):
            run(["iptables", "-w", "-t", table, "-X", network.chain(part)])
    if _link_exists(network.bridge):
        run(["ip", "link", "delete", network.bridge])
    if _FORWARDING_IS_OURS.exists() and not _others_forward():
        _FORWARDING.write_text("0\n")
        _FORWARDING_IS_OURS.unlink()
    path.unlink()


def unplug(machine_id: str) -> None:
    """Take a machine off the bridge whose power was cut; systemd-nspawn does it for one that ends by itself.

    The end of all processes is not enough. A connection that has something left to say, to somebody who is gone, stays
    in the kernel for up to two minutes, and with it the machine's network namespace: its link is then in the way of
    its next start, and its address answers beside the next machine that has it, whose connections it breaks.
    """
    succeeds(["ip", "link", "delete", f"vb-{machine_id}"])


def in_use() -> bool:
    """Whether any state folder of this host has a network, and so machines."""
    return any(Path("/sys/class/net").glob(f"{_BRIDGE_PREFIX}*"))


def free_address(network: Network, taken: Iterable[str]) -> str:
    """An address for a new machine: the one after the highest in use, so that the last one is not soon reused.

    Raises `LocalError` when the network is full.
    """
    used = {IPv4Address(address) for address in taken}
    hosts = list(network.subnet.hosts())[1:]
    start = hosts.index(max(used)) + 1 if used else 0
    for address in hosts[start:] + hosts[:start]:
        if address not in used:
            return str(address)
    raise LocalError(f"all {len(hosts)} addresses of {network.subnet} are in use: remove machines first")


def choose_subnet(in_use: Iterable[IPv4Network]) -> IPv4Network:
    """The first private /24 that none of the networks `in_use` touches. Raises `LocalError` when there is none."""
    busy = list(in_use)
    for candidate in _candidates():
        if not any(candidate.overlaps(other) for other in busy):
            return candidate
    raise LocalError("no private /24 is free on this host: its routes cover 10/8, 172.16/12 and 192.168/16")


def _candidates() -> Iterator[IPv4Network]:
    # Far from where home routers, Docker, Kubernetes and clouds begin
    for text in ("10.213.0.0/16", "172.30.0.0/16", "192.168.192.0/18", "10.0.0.0/8"):
        yield from IPv4Network(text).subnets(new_prefix=24)


def _networks_in_use(avoid: Iterable[str]) -> list[IPv4Network]:
    """What the host has routes to or addresses in (the default route aside), and the addresses to `avoid`."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    destinations = [route["dst"] for route in routes if route["dst"] != "default"]
    networks = []
    for text in [*destinations, *avoid]:
        network = ipaddress.ip_network(text, strict=False)
        if isinstance(network, IPv4Network) and network.prefixlen > 0:
            networks.append(network)
    return networks


def _ensure_bridge(network: Network) -> None:
    if not _link_exists(network.bridge):
        run(["ip", "link", "add", network.bridge, "type", "bridge"])
    _keep_hardware_address(Path("/sys/class/net", network.bridge))
    # No IPv6 on the host's side, or machines would reach its services by link-local addresses
    ipv6 = Path(f"/proc/sys/net/ipv6/conf/{network.bridge}/disable_ipv6")
    if ipv6.exists():
        ipv6.write_text("1\n")
    run(["ip", "addr", "replace", f"{network.gateway}/{network.subnet.prefixlen}", "dev", network.bridge])
    run(["ip", "link", "set", network.bridge, "up"])


def _keep_hardware_address(bridge: Path) -> None:
    """Give the bridge the hardware address that it has, for good.

    One that was not given is the lowest of its ports' (`br_stp_recalculate_bridge_id` in Linux): it changes with a
    machine that comes or goes, and the others keep on sending to the address before, up to a minute.
    """
    if (bridge / "addr_assign_type").read_text().strip() != _ADDRESS_GIVEN:
        run(["ip", "link", "set", bridge.name, "address", (bridge / "address").read_text().strip()])


def _ensure_rules(network: Network) -> None:
    run(["iptables-restore", "--wait", "--noflush"], stdin=network.rules())
    for table, chain, *rule in network.jumps:
        if not succeeds(["iptables", "-w", "-t", table, "-C", chain, *rule]):
            run(["iptables", "-w", "-t", table, "-I", chain, *rule])


def _link_exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _others_forward() -> bool:
    """Whether Docker, libvirt, another state folder may rely on forwarding by now: there are rules or bridges then."""
    policy_and_rules = run(["iptables", "-w", "-S", "FORWARD"]).splitlines()
    bridges = any(Path("/sys/class/net").glob("*/bridge"))
    return policy_and_rules != ["-P FORWARD ACCEPT"] or bridges
