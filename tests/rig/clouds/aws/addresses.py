"""Elastic IP addresses: public addresses of the account, which move from instance to instance.

An instance loses the address that the service had lent it when it is associated with one of these, and gets another one
after that (user guide, "Elastic IP addresses"). Checks and what replaces: hashicorp/terraform-provider-aws,
`internal/service/ec2/ec2_eip.go`, `ec2_eip_association.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...resources import Call
from ...values import Properties
from .. import machines, network
from ..account import Account
from .common import all_tags, arn, known, new_id, refusal
from .places import Places
from .settling import EIP, INSTANCE, Attachment, SettledResource


class Eip(SettledResource):
    """A public address."""

    takes = ("domain", "instance", "region", "tags")
    replacing = ("domain",)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        if known(inputs.get("domain")) and inputs["domain"] != "vpc":
            yield "domain", f"expected to be one of vpc, standard (retired with EC2-Classic), got {inputs['domain']}"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        identity = new_id("eipalloc")
        address = network.reserve(account)
        attributes = {
            **{name: value for name, value in inputs.items() if name != "instance"},
            "allocationId": identity,
            "arn": arn("ec2", inputs["region"], f"elastic-ip/{identity}"),
            "domain": "vpc",
            "networkBorderGroup": inputs["region"],
            "publicIp": address,
            "publicDns": f"ec2-{address.replace('.', '-')}.{inputs['region']}.compute.amazonaws.com",
            "publicIpv4Pool": "amazon",
            "carrierIp": "",
            "customerOwnedIp": "",
            "ptrRecord": "",
            "tagsAll": all_tags(inputs, call),
        }
        thing = {"address": address, "instance": "", "association": ""}
        self.keep(account, identity, inputs["region"], attributes, **thing)
        if inputs.get("instance"):
            associate(account, identity, inputs["instance"])
        found = account.thing(identity)
        assert found is not None
        return identity, self.found(account, identity, found)

    def found(self, account: Account, identity: str, thing: Mapping[str, Any]) -> Properties:
        instance = account.thing(thing["instance"]) if thing["instance"] else None
        machine = machines.get(account, instance["machine"]) if instance else None
        interface = instance["attributes"]["primaryNetworkInterfaceId"] if instance else ""
        return {
            **thing["attributes"],
            "associationId": thing["association"],
            "instance": thing["instance"],
            "networkInterface": interface,
            "privateIp": machine.address if machine else "",
        }

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        super().change(account, thing, state, {key: inputs[key] for key in inputs if key != "instance"}, call)
        if "instance" in inputs and inputs["instance"] != thing["instance"]:
            disassociate(account, thing["association"])
            associate(account, call.id, inputs["instance"])
        now = account.thing(call.id)
        assert now is not None
        return self.found(account, call.id, now)

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        if thing["association"] and not state.get("associationId"):
            text = f"Address {thing['address']} is in use"
            raise refusal(f"deleting EC2 EIP ({call.id})", "InvalidIPAddress.InUse", text)
        network.release(account, thing["address"])
        super().unmake(account, thing, state, call)


class EipAssociation(Attachment):
    """The instance that an address leads to. A second one moves the address."""

    takes = ("allocationId", "allowReassociation", "instanceId", "publicIp", "region")

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        doing = "creating EC2 EIP Association"
        allocation = inputs.get("allocationId") or next(
            (key for key, eip in account.things(EIP).items() if eip["address"] == inputs.get("publicIp")), ""
        )
        if (account.thing(allocation) or {}).get("type") != EIP:
            text = f"The allocation ID '{allocation or inputs.get('publicIp')}' does not exist"
            raise refusal(doing, "InvalidAllocationID.NotFound", text)
        identity = associate(account, allocation, inputs.get("instanceId", ""))
        return identity, self.seen(account, identity, inputs) or inputs

    def seen(self, account: Account, identity: str, state: Properties) -> Properties | None:
        for key, address in account.things(EIP).items():
            instance = account.thing(address["instance"])
            if address["association"] == identity and instance is not None:
                machine = machines.get(account, instance["machine"])
                return {
                    **state,
                    "allocationId": key,
                    "instanceId": address["instance"],
                    "networkInterfaceId": instance["attributes"]["primaryNetworkInterfaceId"],
                    "privateIpAddress": machine.address if machine else "",
                    "publicIp": address["address"],
                }
        return None

    def undo(self, account: Account, identity: str, state: Properties) -> None:
        disassociate(account, identity)


def associate(account: Account, allocation: str, instance: str) -> str:
    """Lead an address to an instance, away from any other; the id of the association."""
    doing = f"associating EC2 EIP ({allocation})"
    thing = account.thing(instance)
    if thing is None or thing["type"] != INSTANCE:
        raise refusal(doing, "InvalidInstanceID.NotFound", f"The instance ID '{instance}' does not exist")
    there = Places.of(account)
    subnet = there.subnets(thing["region"])[thing["subnet"]]
    if not subnet.get("defaultForAz") and not there.gateway_of(subnet["vpcId"]):
        text = f"Network {subnet['vpcId']} is not attached to any internet gateway"
        raise refusal(doing, "Gateway.NotAttached", text)
    for key, other in account.things(EIP).items():
        if other["instance"] == instance and key != allocation:
            account.put(key, {**other, "instance": "", "association": ""})
    address = account.thing(allocation)
    assert address is not None
    identity = new_id("eipassoc")
    account.put(allocation, {**address, "instance": instance, "association": identity})
    return identity


def disassociate(account: Account, association: str) -> None:
    """End an association; one that has ended already is fine."""
    for key, address in account.things(EIP).items():
        if association and address["association"] == association:
            account.put(key, {**address, "instance": "", "association": ""})
