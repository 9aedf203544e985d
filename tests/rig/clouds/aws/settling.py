"""From what the account's things say to what stands in front of its machines: packet filters and public addresses.

All is derived anew from the things after each change of one, here and behind Pulumi's back. A group's rules apply to
its members; a rule that names a group means the private addresses of that group's members.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ...resources import Call, RefusedError
from ...values import Properties
from .. import databases, machines, network
from ..account import Account, CloudError
from ..network import Opening
from .common import AwsResource, opened
from .places import Places

INSTANCE = "aws:ec2/instance:Instance"
DATABASE = "aws:rds/instance:Instance"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
EIP = "aws:ec2/eip:Eip"
LIGHTSAIL = "aws:lightsail/instance:Instance"
LIGHTSAIL_DATABASE = "aws:lightsail/database:Database"
STATIC_IP = "aws:lightsail/staticIp:StaticIp"
PROTOCOLS = {
    "-1": "all",
    "all": "all",
    "6": "tcp",
    "tcp": "tcp",
    "17": "udp",
    "udp": "udp",
    "1": "icmp",
    "icmp": "icmp",
}


class SettledResource(AwsResource):
    """A resource whose every change is followed by a settling."""

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        identity, outputs = super().create(inputs, call)
        try:
            self._settle()
        except BaseException:  # nothing may be left that the engine does not know of
            with contextlib.suppress(RefusedError):
                self.delete({**inputs, **outputs}, dataclasses.replace(call, id=identity))
            raise
        return identity, outputs

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        outputs = super().update(state, inputs, call)
        self._settle()
        return outputs

    def delete(self, state: Properties, call: Call) -> None:
        super().delete(state, call)
        self._settle()

    def _settle(self) -> None:
        with opened() as account:
            settle(account)


class Attachment(SettledResource):
    """A resource that is no thing of the account but something said of another thing, which is what is read."""

    replacing = None

    def read(self, identity: str, state: Properties, call: Call) -> Properties | None:
        if not state:
            raise RefusedError(f"{self.token} cannot be imported")
        with opened() as account:
            return self.seen(account, identity, state)

    def delete(self, state: Properties, call: Call) -> None:
        with opened() as account:
            self.undo(account, call.id, state)
        self._settle()

    def seen(self, account: Account, identity: str, state: Properties) -> Properties | None:
        """All outputs as they are now; None when there is nothing of it."""
        raise NotImplementedError

    def undo(self, account: Account, identity: str, state: Properties) -> None:
        """Take it away."""
        raise NotImplementedError


@dataclass(frozen=True)
class Rule:
    """One rule of a group, in the words of the service."""

    protocol: str
    first: int | None
    last: int | None
    cidr: str = ""
    group: str = ""

    def opening(self, sources: Iterable[str]) -> Opening | None:
        """The opening of the packet filter; None for what it has no notion of (IPv6)."""
        protocol = PROTOCOLS.get(self.protocol)
        addresses = tuple(sources)
        if protocol is None or not addresses or ":" in self.cidr:
            return None
        if protocol in ("all", "icmp"):
            return Opening(protocol, sources=addresses)
        return Opening(protocol, self.first or 0, 65535 if self.last is None else self.last, addresses)


@dataclass(frozen=True)
class Groups:
    """All security groups, their rules and their members at one moment."""

    things: dict[str, dict[str, Any]]
    places: Places
    addresses: Mapping[str, str] = field(default_factory=dict)
    """The private address of each instance and database that runs."""

    def rules(self, group: str, direction: str) -> Iterator[Rule]:
        """The rules of a group; `direction` is ingress or egress."""
        thing = self.things.get(group)
        if thing is None:  # a VPC's default group: everything from itself, everything to anywhere
            yield Rule("-1", None, None, group=group) if direction == "ingress" else Rule("-1", None, None, "0.0.0.0/0")
            return
        for inline in thing["attributes"].get(direction) or []:
            ports = (inline["protocol"], inline["fromPort"], inline["toPort"])
            for cidr in [*inline.get("cidrBlocks", []), *inline.get("ipv6CidrBlocks", [])]:
                yield Rule(*ports, cidr)
            for other in [*inline.get("securityGroups", []), *([group] if inline.get("self") else [])]:
                yield Rule(*ports, group=other)
        kind = INGRESS if direction == "ingress" else EGRESS
        for rule in self.things.values():
            if rule["type"] == kind and rule["attributes"]["securityGroupId"] == group:
                yield rule_of(rule["attributes"])

    @cached_property
    def members(self) -> dict[str, list[str]]:
        """The private addresses of each group's members."""
        found: dict[str, list[str]] = {}
        for identity, address in self.addresses.items():
            for group in self.things[identity].get("groups", []):
                found.setdefault(group, []).append(address)
        return found

    def peers(self, rule: Rule, region: str) -> Iterator[str]:
        """The addresses that a rule means: of members, or of a range and the machines in the subnets within it."""
        if rule.group:
            yield from self.members.get(rule.group, [])
            return
        yield rule.cidr
        subnets = self.places.subnets(region)
        for identity, address in self.addresses.items():
            thing = self.things[identity]
            subnet = subnets.get(thing.get("subnet", ""))
            if subnet is not None and thing["region"] == region and self.places.contains(rule.cidr, subnet):
                yield address

    def openings(self, groups: Iterable[str], region: str, direction: str) -> list[Opening]:
        """What the groups together let pass."""
        rules = [rule for group in groups for rule in self.rules(group, direction)]
        found = (rule.opening(self.peers(rule, region)) for rule in rules)
        return [opening for opening in found if opening is not None]

    def sources(self, groups: Iterable[str], region: str, port: int) -> list[str]:
        """Who may come to one TCP port."""
        return sorted(
            {
                source
                for opening in self.openings(groups, region, "ingress")
                if opening.protocol == "all" or opening.protocol == "tcp"
                if opening.protocol == "all" or opening.first_port <= port <= opening.last_port
                for source in opening.sources
            }
        )


def rule_of(attributes: Mapping[str, Any]) -> Rule:
    """The rule that a rule resource is."""
    return Rule(
        attributes["ipProtocol"].lower(),
        attributes.get("fromPort"),
        attributes.get("toPort"),
        attributes.get("cidrIpv4") or attributes.get("cidrIpv6") or "",
        attributes.get("referencedSecurityGroupId", ""),
    )


def groups_of(account: Account) -> Groups:
    """The security groups as they are now."""
    things = account.things()
    addresses = {}
    for identity, thing in things.items():
        if thing["type"] == INSTANCE:
            machine = machines.get(account, thing["machine"])
            addresses |= {identity: machine.address} if machine else {}
        elif thing["type"] == DATABASE:
            database = databases.get(account, thing["database"])
            addresses |= {identity: database.address} if database else {}
    return Groups(things, Places(things, account.tag), addresses)


def settle(account: Account) -> None:
    """Make filters and public addresses what the account's things say."""
    with account.locked("aws"):
        _free_addresses(account)
        groups = groups_of(account)
        for identity, thing in groups.things.items():
            with _unless_gone(account, identity):
                if thing["type"] == INSTANCE:
                    _settle_instance(account, groups, identity, thing)
                elif thing["type"] == DATABASE:
                    port = thing["attributes"]["port"]
                    sources = groups.sources(thing["groups"], thing["region"], port)
                    databases.admit(account, thing["database"], sources)
                elif thing["type"] == LIGHTSAIL:
                    _settle_lightsail(account, groups, identity, thing)
                elif thing["type"] == LIGHTSAIL_DATABASE:
                    databases.admit(account, thing["database"], list(_lightsail_sources(account, groups, thing)))


def _free_addresses(account: Account) -> None:
    """The service takes the association of an address away with its instance."""
    things = account.things()
    for key, thing in things.items():
        if thing["type"] in (EIP, STATIC_IP) and thing["instance"] and thing["instance"] not in things:
            account.put(key, {**thing, "instance": "", "association": ""})


@contextlib.contextmanager
def _unless_gone(account: Account, identity: str) -> Iterator[None]:
    """What another thread or process removes meanwhile needs no settling."""
    try:
        yield
    except CloudError:
        if account.thing(identity) is not None:
            raise


def _settle_instance(account: Account, groups: Groups, identity: str, thing: Mapping[str, Any]) -> None:
    machine, region = thing["machine"], thing["region"]
    network.set_filter(
        account,
        machine,
        groups.openings(thing["groups"], region, "ingress"),
        groups.openings(thing["groups"], region, "egress"),
    )
    wanted = public_address(groups.things, EIP, "instance", identity) or thing.get("address", "")
    subnet = groups.places.subnets(region).get(thing["subnet"])
    reachable = subnet is not None and groups.places.public(subnet)
    _assign(account, machine, wanted if reachable else "")


def _settle_lightsail(account: Account, groups: Groups, identity: str, thing: Mapping[str, Any]) -> None:
    openings = []
    for port in thing["ports"]:
        if port["protocol"] == "icmpv6":
            continue
        sources = tuple(port.get("cidrs") or ())
        ends = (0, 65535) if port["protocol"] in ("all", "icmp") else (port["fromPort"], port["toPort"])
        openings.append(Opening(port["protocol"], *ends, sources))
    network.set_filter(account, thing["machine"], openings)
    static = public_address(groups.things, STATIC_IP, "instance", identity)
    _assign(account, thing["machine"], static or thing.get("address", ""))


def _lightsail_sources(account: Account, groups: Groups, thing: Mapping[str, Any]) -> Iterator[str]:
    """A public database is open to everybody, another one to the account's instances in its region."""
    if thing["attributes"]["publiclyAccessible"]:
        yield "0.0.0.0/0"
    for other in groups.things.values():
        if other["type"] == LIGHTSAIL and other["region"] == thing["region"]:
            machine = machines.get(account, other["machine"])
            if machine is not None:
                yield machine.address


def public_address(things: Mapping[str, Mapping[str, Any]], kind: str, key: str, identity: str) -> str:
    """The static address that a machine was given; empty: none."""
    return next(
        (str(thing["address"]) for thing in things.values() if thing["type"] == kind and thing.get(key) == identity), ""
    )


def _assign(account: Account, machine: str, wanted: str) -> None:
    """Have one public address lead to a machine, and no other."""
    present = network.addresses_of(account, machine)
    for address in present:
        if address != wanted:
            network.unassign(account, address)
    if wanted and wanted not in present:
        network.assign(account, wanted, machine)
