"""Cloud firewalls: they apply to the droplets that they name by id or by tag, on both networks of these."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call
from ...values import UNKNOWN, Properties
from ..account import Account
from ..rented import Thing, canonical, now
from . import rules, service, traffic

_SIDES = {"inbound": "source", "outbound": "destination"}
_ABSENT = ("LoadBalancerUids", "KubernetesIds")
_DROPLETS, _TAGS, _RULES = 10, 5, 50
"""docs.digitalocean.com, "Cloud Firewall Limits"."""


class Firewall(service.DigitalOceanResource):
    """Rules of what may pass; whatever no rule of a droplet's firewalls allows is dropped, outbound too."""

    noun = "firewall"
    path = "/v2/firewalls"
    autoname: ClassVar = {"name": 255}
    unordered = ("inboundRules", "outboundRules", "dropletIds", "tags")
    replacing = ()

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """What the plug-in refuses (`firewall/firewalls.go`, `resource_firewall.go`), and what the rig has not."""
        yield from service.empty_failures(inputs, "name")
        yield from service.tags_failures(inputs)
        if not inputs.get("inboundRules") and not inputs.get("outboundRules"):
            yield "inboundRules", "At least one rule must be specified"
        for side, prefix in _SIDES.items():
            wishes = inputs.get(f"{side}Rules", [])
            for index, rule in enumerate(wishes if wishes != UNKNOWN else []):
                if rule != UNKNOWN:
                    for name, reason in _rule_failures(rule, side, prefix):
                        yield f"{side}Rules[{index}].{name}", reason

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        identity = str(uuid.uuid4())
        with account.locked(service.CLOUD):
            thing = {**_wishes(account, identity, inputs), "created_at": now()}
            service.put(account, identity, service.FIREWALL, thing)
        traffic.settle(account)
        return identity

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.FIREWALL)
        if thing is None:
            return None
        there = account.things(service.DROPLET)
        told: Properties = {
            "name": thing["name"],
            "status": "succeeded",
            "createdAt": thing["created_at"],
            "pendingChanges": [],
        }
        # A list is told where it was given, or where there is something that was not
        for name, value in (
            ("dropletIds", [droplet for droplet in thing["droplets"] if str(droplet) in there]),
            ("tags", thing["tags"]),
            ("inboundRules", [_told(rule, "source") for rule in thing["inbound"]]),
            ("outboundRules", [_told(rule, "destination") for rule in thing["outbound"]]),
        ):
            if value or name in state:
                told[name] = _in_the_order_of(state.get(name, []), value)
        return told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        wishes = _wishes(account, identity, inputs)
        with service.changing(account, identity, service.FIREWALL, "firewall") as thing:
            thing.update(wishes)
        traffic.settle(account)

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        account.drop(identity)
        traffic.settle(account)


def _rule_failures(rule: Mapping[str, Any], side: str, prefix: str) -> Iterator[tuple[str, str]]:
    protocol = rule["protocol"]
    if protocol not in ("tcp", "udp", "icmp", UNKNOWN):
        yield "protocol", f'expected protocol to be one of ["tcp" "udp" "icmp"], got {protocol}'
    if protocol in ("tcp", "udp") and not rule.get("portRange"):
        yield "portRange", f"`port_range` of {side} rules is required if protocol is `tcp` or `udp`"
    if rule.get("action", "allow") not in ("allow", UNKNOWN):
        yield "action", "not supported by this stand-in: it has rules that allow only"
    for absent in _ABSENT:
        if rule.get(prefix + absent):
            yield prefix + absent, "not supported by this stand-in: the rig has none of these"


def _wishes(account: Account, identity: str, inputs: Properties) -> Thing:
    """What the API makes of the inputs; raises ServiceError where it refuses them."""
    rules.name_of_firewall(inputs["name"])
    # The message: users of terraform-provider-digitalocean ("409 duplicate name")
    others = [thing for key, thing in account.things(service.FIREWALL).items() if key != identity]
    if any(thing["name"] == inputs["name"] for thing in others):
        raise rules.refuse("duplicate name", 409)
    droplets, tags = inputs.get("dropletIds", []), inputs.get("tags", [])
    sides = {side: [_kept(rule, prefix) for rule in inputs.get(f"{side}Rules", [])] for side, prefix in _SIDES.items()}
    everything = sides["inbound"] + sides["outbound"]
    if len(droplets) > _DROPLETS or len(tags) > _TAGS or len(everything) > _RULES:
        raise rules.refuse(f"a firewall has at most {_DROPLETS} droplets, {_TAGS} tags and {_RULES} rules")
    for rule in everything:
        rules.ports(rule["protocol"], rule["ports"])
        rules.addresses(rule["addresses"])
        if not (rule["addresses"] or rule["droplets"] or rule["tags"]):
            raise rules.refuse("a rule must specify at least one source or destination")
    _check_there(account, droplets, tags, everything)
    return {"name": inputs["name"], "droplets": droplets, "tags": tags, **sides}


def _check_there(account: Account, droplets: list[int], tags: list[str], everything: list[Thing]) -> None:
    """Droplets and tags that are named exist; openapi, `firewall_rule.yml`: `existing_tags_array`."""
    known = account.things(service.DROPLET)
    for droplet in [*map(str, droplets), *(entry for rule in everything for entry in rule["droplets"])]:
        if droplet not in known:
            raise rules.refuse(f"droplet {droplet} does not exist")
    existing = service.tags_of_the_account(account)
    for tag in [*tags, *(entry for rule in everything for entry in rule["tags"])]:
        if tag not in existing:
            raise rules.refuse(f"tag {tag!r} does not exist: something has to have it first")


def _kept(rule: Mapping[str, Any], prefix: str) -> Thing:
    return {
        "protocol": rule["protocol"],
        "ports": rule.get("portRange", ""),
        "addresses": rule.get(f"{prefix}Addresses", []),
        "droplets": [str(droplet) for droplet in rule.get(f"{prefix}DropletIds", [])],
        "tags": rule.get(f"{prefix}Tags", []),
    }


def _told(rule: Thing, prefix: str) -> Properties:
    told: Properties = {"protocol": rule["protocol"]}
    # The API answers "0" for all ports, which the plug-in tells as `all`, and for ICMP not at all
    if rule["protocol"] != "icmp":
        told["portRange"] = "all" if rule["ports"] in ("0", "all") else rule["ports"]
    for name, value in (
        ("Addresses", rule["addresses"]),
        ("DropletIds", [int(droplet) for droplet in rule["droplets"]]),
        ("Tags", rule["tags"]),
    ):
        if value:
            told[prefix + name] = value
    return told


def _in_the_order_of(known: list[Any], value: list[Any]) -> list[Any]:
    """As the state has it when it is the same but for the order, which these lists have none of."""
    same = sorted(map(canonical, known)) == sorted(map(canonical, value))
    return known if same else value
