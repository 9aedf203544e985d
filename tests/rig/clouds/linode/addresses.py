"""Reserved IPs: public addresses that outlive Linodes.

An address that a running Linode is given is its own at once for the API, but the machine does not know of it until it
is booted again by the service: that is when Network Helper writes its network configuration. The rig has such an
address lead nowhere until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ...resources import Call, RefusedError
from ...values import Properties
from .. import machines, network
from ..account import Account
from ..rented import ServiceError
from . import instances, rules, service
from .catalog import REGIONS


class ReservedIp(service.LinodeResource):
    """A public address in a region."""

    failures: ClassVar = {"creating": "Failed to reserve IP address", "deleting": "Failed to delete reserved IP"}
    takes = ("region", "tags")
    unordered = ("tags",)
    replacing = ("region",)

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        if "Reserved IPs" not in (REGIONS[inputs["region"]].capabilities if inputs["region"] in REGIONS else ()):
            raise rules.refuse("region", "region is not valid")
        address = network.reserve(account)
        thing = {
            "address": address,
            "region": inputs["region"],
            "tags": inputs.get("tags", []),
            "linode": "",
            "pending": False,
            "rdns": f"{address.replace('.', '-')}.ip.linodeusercontent.com",
        }
        service.put(account, address, service.RESERVED_IP, thing)
        return address

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.RESERVED_IP)
        if thing is None:
            return None
        linode = thing["linode"]
        owner = service.found(account, linode, service.INSTANCE) if linode else None
        return {
            **_network(identity),
            "region": thing["region"],
            "tags": thing["tags"],
            "address": identity,
            "public": True,
            "rdns": thing["rdns"],
            "linodeId": int(linode or 0),
            "assignedEntities": [_entity(linode, owner["label"])] if owner else [],
            "vpcNat11s": [],
        }

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        with service.changing(account, identity, service.RESERVED_IP) as thing:
            thing["tags"] = inputs.get("tags", [])

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        if service.found(account, identity, service.RESERVED_IP):
            network.release(account, identity)
            account.drop(identity)


class ReservedIpAssignment(service.LinodeResource):
    """A reserved IP that a Linode is given; with `applyImmediately` it is rebooted, so that it knows."""

    failures: ClassVar = {
        "creating": "Failed to assign reserved IP to instance",
        "reading": "Unable to Refresh Reserved IP",
        "deleting": "Failed to Delete IP",
    }
    defaults: ClassVar = {"public": True, "applyImmediately": False}
    # `instancereservedipassignment/framework_schema.go`
    replacing = ("linodeId", "public")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        if inputs["public"] is False:
            yield "public", "not supported by this stand-in: its reserved IPs are public"

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        address, linode = inputs["address"], str(inputs["linodeId"])
        target = service.needed(account, linode, service.INSTANCE)
        with account.locked(service.CLOUD):
            check_free(account, address, target["region"])
            machine = machines.get(account, target["machine"])
            running = machine is not None and machine.running
            with service.changing(account, address, service.RESERVED_IP) as thing:
                # Off, it is configured when it is booted next, too
                thing.update(linode=linode, pending=True, rdns=inputs.get("rdns", thing["rdns"]))
        if inputs["applyImmediately"] and running:
            instances.reboot(account, linode)
        elif running:
            call.log(f"{address} is not configured in the running Linode before its next reboot (applyImmediately)")
        return str(address)

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.RESERVED_IP)
        if thing is None:
            return None
        owner = service.found(account, thing["linode"], service.INSTANCE) if thing["linode"] else None
        return {
            **_network(identity),
            "address": identity,
            "linodeId": int(thing["linode"] or 0),  # 0 is what the plug-in makes of an address that is nobody's
            "public": True,
            "region": thing["region"],
            "rdns": thing["rdns"],
            "tags": thing["tags"],
            "assignedEntity": _entity(thing["linode"], owner["label"]) if owner else None,
            "vpcNat11s": [],
        }

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        if inputs["address"] != state["address"]:
            # `framework_resource.go`, `Update`: it looks at `rdns` only, so that nothing would move
            raise RefusedError("the plug-in changes nothing for another `address`: use `replace_on_changes` for it")
        with service.changing(account, identity, service.RESERVED_IP) as thing:
            thing["rdns"] = inputs.get("rdns", thing["rdns"])

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        address, linode = state["address"], str(state["linodeId"])
        with account.locked(service.CLOUD):
            thing = service.found(account, address, service.RESERVED_IP)
            owner = service.found(account, linode, service.INSTANCE)
            if thing is None or owner is None or thing["linode"] != linode:
                return  # `framework_resource.go`, `Delete`: a 404 is no error
            if instances.public_addresses(account, linode, owner) == [address]:
                # API, "Assign IP addresses": "All Linodes need to have at least one public IPv4 address"
                raise ServiceError(400, "A Linode must have at least one public IPv4 address")
            network.unassign(account, address)
            with service.changing(account, address, service.RESERVED_IP) as kept:
                kept.update(linode="", pending=False)


def check_free(account: Account, address: str, region: str) -> None:
    """That an address may be given to a Linode of this region: reserved here, in that region, and nobody's.

    docs, Reserved IPs: "it can't be moved across regions". That one which is another Linode's is refused rather than
    taken from that is not documented: the strict side, on which an assignment is to be deleted before it is replaced.
    """
    thing = service.found(account, address, service.RESERVED_IP)
    if thing is None:
        raise rules.refuse("address", f"{address} is not a reserved IP of this account")
    if thing["region"] != region:
        raise rules.refuse("address", f"The Linode is in {region}, the address in {thing['region']}")
    if thing["linode"]:
        raise rules.refuse("address", f"{address} is assigned to the Linode {thing['linode']}")


def configure(account: Account, linode: str, machine: str) -> None:
    """What Network Helper does at a boot."""
    with account.locked(service.CLOUD):
        for address, thing in account.things(service.RESERVED_IP).items():
            if thing["linode"] == linode and thing["pending"]:
                network.assign(account, address, machine)
                with service.changing(account, address, service.RESERVED_IP) as kept:
                    kept["pending"] = False


def _network(address: str) -> Properties:
    gateway = address.rsplit(".", 1)[0] + ".1"
    return {"gateway": gateway, "prefix": 24, "subnetMask": "255.255.255.0", "type": "ipv4", "reserved": True}


def _entity(linode: str, label: str) -> Properties:
    return {"id": int(linode), "label": label, "type": "linode", "url": f"/v4/linode/instances/{linode}"}
