"""Reserved IPs: public addresses that outlive droplets and can be moved between those of their region."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from ...resources import Call
from ...values import UNKNOWN, Properties
from .. import network
from ..account import Account
from ..rented import ServiceError, is_network
from . import catalog, rules, service

LIMIT = 3
"""docs.digitalocean.com, "Reserved IP Limits": "By default, you can reserve three reserved IPs per account"."""


class ReservedIp(service.DigitalOceanResource):
    """An address; the droplet that it is assigned to keeps its own one too."""

    noun = "reserved IP"
    path = "/v2/reserved_ips"
    takes = ("region", "dropletId")
    replacing = ("region",)

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        region = inputs["region"].lower()
        if region not in catalog.REGIONS:
            raise rules.refuse(f"region {region!r} does not exist")
        with account.locked(service.CLOUD):
            if len(account.things(service.RESERVED_IP)) >= LIMIT:
                raise rules.refuse(f"You have reached the limit of {LIMIT} reserved IPs; more are given on request.")
            address = network.reserve(account)
            thing = {"address": address, "region": region, "droplet": ""}
            service.put(account, address, service.RESERVED_IP, thing)
        if inputs.get("dropletId"):
            assign(account, address, str(inputs["dropletId"]))
        return address

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.RESERVED_IP)
        if thing is None:
            return None
        told = {"region": thing["region"], "ipAddress": identity, "reservedIpUrn": f"do:reservedip:{identity}"}
        # `reservedip/resource_reserved_ip.go`: the droplet is told only if one was asked for here, and there is one
        if state.get("dropletId") and thing["droplet"]:
            told["dropletId"] = int(thing["droplet"])
        return told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        if inputs.get("dropletId"):
            assign(account, identity, str(inputs["dropletId"]))
        else:
            unassign(account, identity)

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        service.needed(account, identity, service.RESERVED_IP, "reserved IP")
        network.release(account, identity)
        account.drop(identity)


class ReservedIpAssignment(service.DigitalOceanResource):
    """The assignment of a reserved IP to a droplet; any change is a new one, which moves the address at once."""

    noun = "reserved IP"
    path = "/v2/reserved_ips"
    replacing = None

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        if inputs["ipAddress"] != UNKNOWN and (not is_network(inputs["ipAddress"]) or "/" in inputs["ipAddress"]):
            yield "ipAddress", f"expected ip_address to contain a valid IPv4 address, got: {inputs['ipAddress']}"
        if inputs["dropletId"] == 0:
            yield "dropletId", "expected a non-zero value"

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        assign(account, inputs["ipAddress"], str(inputs["dropletId"]))
        return f"{inputs['dropletId']}-{inputs['ipAddress']}-{secrets.token_hex(8)}"

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        # `reservedip/resource_reserved_ip_assignment.go`: an address that is gone is an error, not a gone assignment
        thing = service.needed(account, state["ipAddress"], service.RESERVED_IP, "reserved IP")
        return {} if thing["droplet"] == str(state["dropletId"]) else None

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        thing = service.needed(account, state["ipAddress"], service.RESERVED_IP, "reserved IP")
        if thing["droplet"] == str(state["dropletId"]):  # else it has been moved on
            unassign(account, state["ipAddress"])


def assign(account: Account, address: str, droplet: str) -> None:
    """Give the address to a droplet, away from any other.

    docs.digitalocean.com, "Reserved IP Limits": "Droplets cannot have more than one reserved IP"; "How to Reassign or
    Unassign": "to different Droplets within the same datacenter".
    """
    with account.locked(service.CLOUD):
        thing = service.needed(account, address, service.RESERVED_IP, "reserved IP")
        target = service.found(account, droplet, service.DROPLET)
        if target is None:
            raise ServiceError(404, f"The droplet you were looking for could not be found: {droplet}")
        if target["region"] != thing["region"]:
            raise rules.refuse(f"the droplet is in {target['region']}, the reserved IP in {thing['region']}")
        others = account.things(service.RESERVED_IP)
        if any(key != address and other["droplet"] == droplet for key, other in others.items()):
            raise rules.refuse("The droplet already has a reserved IP assigned to it.")
        network.assign(account, address, target["machine"])
        _note(account, address, droplet)


def unassign(account: Account, address: str) -> None:
    """Take the address from its droplet."""
    with account.locked(service.CLOUD):
        service.needed(account, address, service.RESERVED_IP, "reserved IP")
        network.unassign(account, address)
        _note(account, address, "")


def _note(account: Account, address: str, droplet: str) -> None:
    with service.changing(account, address, service.RESERVED_IP, "reserved IP") as thing:
        thing["droplet"] = droplet
