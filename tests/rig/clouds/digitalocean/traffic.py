"""Who may reach what: from the firewalls and trusted sources that the account keeps to the packet filters in force.

docs.digitalocean.com, "Cloud Firewalls": a droplet without a firewall is open; with one or several, what none of them
allows is blocked, inbound and outbound. "By default, database clusters are accessible from any source".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import databases, machines, network
from ..account import Account
from ..network import Opening
from ..rented import EVERYBODY, Thing, networks
from . import rules, service


def settle(account: Account) -> None:
    """Derive all packet filters again; to be called after each change of what they derive from."""
    with account.locked(service.CLOUD):
        firewalls = list(account.things(service.FIREWALL).values())
        droplets = account.things(service.DROPLET)
        for identity, droplet in droplets.items():
            if machines.get(account, droplet["machine"]):  # else it was taken away by itself, and a refresh sees that
                mine = [firewall for firewall in firewalls if _covers(firewall, identity, droplet)]
                incoming = openings(account, mine, "inbound") if mine else None
                outgoing = openings(account, mine, "outbound") if mine else None
                network.set_filter(account, droplet["machine"], incoming, outgoing)
        for cluster in account.things(service.CLUSTER).values():
            if databases.get(account, cluster["database"]):
                databases.admit(account, cluster["database"], sources(account, cluster["rules"]))
        with account.change() as data:
            for thing in data["things"].values():
                if thing["type"] == service.RESERVED_IP and thing["droplet"] not in droplets:
                    thing["droplet"] = ""


def openings(account: Account, firewalls: Sequence[Mapping[str, Any]], side: str) -> list[Opening]:
    """What these firewalls together let pass on this side."""
    return [opening(account, rule) for firewall in firewalls for rule in firewall[side]]


def opening(account: Account, rule: Mapping[str, Any]) -> Opening:
    """One rule, of whatever side, with droplets and tags as the addresses that they stand for now."""
    first, last = rules.ports(rule["protocol"], rule["ports"])
    there = [*networks(rule["addresses"]), *service.addresses_with(account, rule["droplets"], rule["tags"])]
    return Opening(rule["protocol"], first, last, there)


def sources(account: Account, trusted: Sequence[Mapping[str, str]]) -> list[str]:
    """Whom a database cluster admits."""
    if not trusted:
        return [EVERYBODY]
    of = {kind: [rule["value"] for rule in trusted if rule["type"] == kind] for kind in ("ip_addr", "droplet", "tag")}
    return [*of["ip_addr"], *service.addresses_with(account, of["droplet"], of["tag"])]


def _covers(firewall: Thing, identity: str, droplet: Thing) -> bool:
    return int(identity) in firewall["droplets"] or bool(set(firewall["tags"]) & set(droplet["tags"]))
