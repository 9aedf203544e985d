"""Cloud firewalls, and the Linodes that they govern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call
from ...values import UNKNOWN, Properties
from ..account import Account
from ..rented import Thing, now
from . import rules, service

_SIDES = ("inbound", "outbound")
_ACTIONS = ("ACCEPT", "DROP", UNKNOWN)
_PROTOCOLS = ("ALL", "TCP", "UDP", "ICMP", "IPENCAP", UNKNOWN)


class Firewall(service.LinodeResource):
    """Ordered rules and two policies; the first rule that speaks of some traffic decides."""

    failures: ClassVar = {
        "creating": "Failed to create Firewall",
        "updating": "Failed to update Firewall",
        "reading": "Failed to get Firewall",
        "deleting": "Failed to delete Firewall",
    }
    defaults: ClassVar = {"disabled": False}
    takes = ("disabled", "inboundPolicy", "inbounds", "label", "linodes", "outboundPolicy", "outbounds", "tags")
    unordered = ("linodes", "tags")
    replacing = ()
    computed = ("updated",)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """`firewall/framework_schema_resource.go`."""
        if inputs["label"] != UNKNOWN and not 3 <= len(inputs["label"]) <= 64:
            yield "label", "string length must be between 3 and 64"
        for side in _SIDES:
            if inputs[f"{side}Policy"] not in _ACTIONS:
                yield f"{side}Policy", f'value must be one of: ["ACCEPT" "DROP"], got: {inputs[f"{side}Policy"]}'
            wishes = inputs.get(f"{side}s", [])
            for index, rule in enumerate(wishes if wishes != UNKNOWN else []):
                if rule != UNKNOWN:
                    for name, reason in _rule_failures(rule):
                        yield f"{side}s[{index}].{name}", reason

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        identity = str(service.number(account))
        with account.locked(service.CLOUD):
            thing = {**_wishes(account, identity, inputs), "created": now(), "updated": now(), "devices": {}}
            service.put(account, identity, service.FIREWALL, thing)
        service.settle(account)
        return identity

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.FIREWALL)
        if thing is None:
            return None
        there = account.things(service.INSTANCE)
        linodes = [linode for linode in thing["linodes"] if str(linode) in there]
        told: Properties = {
            "label": thing["label"],
            "disabled": thing["disabled"],
            "inboundPolicy": thing["inbound_policy"],
            "outboundPolicy": thing["outbound_policy"],
            "linodes": linodes,
            "nodebalancers": [],
            "interfaces": [],
            "tags": thing["tags"],
            "devices": [_device(linode, there[str(linode)]["label"]) for linode in linodes],
            "status": "disabled" if thing["disabled"] else "enabled",
            "created": thing["created"],
            "updated": thing["updated"],
            "version": 1,
            "fingerprint": "",
        }
        for side in _SIDES:
            if thing[side] or f"{side}s" in state:
                told[f"{side}s"] = [_told(rule) for rule in thing[side]]
        return told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        wishes = _wishes(account, identity, inputs)
        if "linodes" not in inputs:
            del wishes["linodes"]  # what devices have added stays
        with service.changing(account, identity, service.FIREWALL) as thing:
            thing.update(wishes, updated=now())
        service.settle(account)

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        account.drop(identity)
        service.settle(account)


class FirewallDevice(service.LinodeResource):
    """One Linode that a firewall governs."""

    failures: ClassVar = {"creating": "Failed to Create Firewall Device", "deleting": "Failed to Delete Device"}
    defaults: ClassVar = {"entityType": "linode"}
    replacing = None

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        if inputs["entityType"] not in ("linode", UNKNOWN):
            yield "entityType", f"not supported by this stand-in: the rig has no {inputs['entityType']}"

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        firewall, linode = str(inputs["firewallId"]), inputs["entityId"]
        identity = str(service.number(account))
        with account.locked(service.CLOUD):
            thing = service.needed(account, firewall, service.FIREWALL)
            _check_linodes(account, firewall, [linode], thing["disabled"])
            with service.changing(account, firewall, service.FIREWALL) as kept:
                kept["linodes"].append(linode)
                kept["devices"][identity] = {"linode": linode, "created": now()}
        service.settle(account)
        return identity

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, str(state["firewallId"]), service.FIREWALL)
        device = thing and thing["devices"].get(identity)
        if not thing or not device or device["linode"] not in thing["linodes"]:
            return None
        return {
            "firewallId": state["firewallId"],
            "entityId": device["linode"],
            "entityType": "linode",
            "created": device["created"],
            "updated": device["created"],
        }

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        if service.found(account, str(state["firewallId"]), service.FIREWALL):
            with service.changing(account, str(state["firewallId"]), service.FIREWALL) as thing:
                thing["devices"].pop(identity, None)
                thing["linodes"] = [linode for linode in thing["linodes"] if linode != state["entityId"]]
            service.settle(account)


def _rule_failures(rule: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if rule["action"] not in _ACTIONS:
        yield "action", f'value must be one of: ["ACCEPT" "DROP"], got: {rule["action"]}'
    if rule["protocol"] not in _PROTOCOLS and not (rule["protocol"].isdecimal() and int(rule["protocol"]) < 256):
        yield "protocol", f'value must be one of: ["ALL" "TCP" "UDP" "ICMP" "IPENCAP"], got: {rule["protocol"]}'
    if rule["label"] != UNKNOWN and not 3 <= len(rule["label"]) <= 64:
        yield "label", "string length must be between 3 and 64"
    if rule.get("ports") == "":
        yield "ports", "string length must be at least 1"
    for name in ("ipv4s", "ipv6s"):
        if rule.get(name) == []:
            yield name, "list must contain at least 1 elements"


def _wishes(account: Account, identity: str, inputs: Properties) -> Thing:
    """What the API makes of the inputs; raises ServiceError where it refuses them."""
    # The plug-in lets 64 characters pass, the API 32
    rules.label(inputs["label"], 3, 32, letter_first=True)
    service.check_label(account, service.FIREWALL, inputs["label"], identity)
    sides = {side: [_kept(rule) for rule in inputs.get(f"{side}s", [])] for side in _SIDES}
    everything = [rule for rules_of_side in sides.values() for rule in rules_of_side]
    if len(everything) > rules.RULES:
        raise rules.refuse("rules", f"A Firewall may have up to {rules.RULES} rules")
    for rule in everything:
        rules.firewall_rule(rule)
    linodes = inputs.get("linodes", [])
    _check_linodes(account, identity, linodes, inputs["disabled"])
    return {
        "label": inputs["label"],
        "disabled": inputs["disabled"],
        "inbound_policy": inputs["inboundPolicy"],
        "outbound_policy": inputs["outboundPolicy"],
        "linodes": linodes,
        "tags": inputs.get("tags", []),
        **sides,
    }


def _check_linodes(account: Account, firewall: str, linodes: list[int], disabled: bool) -> None:
    """API, "Create a firewall device": a Linode can be governed by one enabled firewall."""
    there, others = account.things(service.INSTANCE), account.things(service.FIREWALL)
    for linode in linodes:
        if str(linode) not in there:
            raise rules.refuse("devices.linodes", f"Linode {linode} not found")
        for key, other in others.items():
            if key != firewall and linode in other["linodes"] and not (disabled or other["disabled"]):
                raise rules.refuse("devices.linodes", f"Linode {linode} already has an active firewall ({key})")


def _kept(rule: Mapping[str, Any]) -> Thing:
    return {
        "label": rule["label"],
        "action": rule["action"],
        "protocol": rule["protocol"],
        "ports": rule.get("ports", ""),
        "ipv4": rule.get("ipv4s", []),
        "ipv6": rule.get("ipv6s", []),
        "description": rule.get("description", ""),
    }


def _told(rule: Thing) -> Properties:
    told = {name: rule[name] for name in ("label", "action", "protocol", "description")}
    given = {"ports": rule["ports"], "ipv4s": rule["ipv4"], "ipv6s": rule["ipv6"]}
    return {**told, **{name: value for name, value in given.items() if value}}


def _device(linode: int, label: str) -> Properties:
    return {"id": linode, "entityId": linode, "label": label, "type": "linode", "url": f"/v4/linode/instances/{linode}"}
