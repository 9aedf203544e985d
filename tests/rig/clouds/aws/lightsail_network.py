"""Lightsail: an instance's open ports, and static addresses.

Sources: hashicorp/terraform-provider-aws, `internal/service/lightsail/{instance_public_ports,static_ip*}.go` ("TF");
botocore's model. What TF does at a deletion matters with Pulumi, which creates the replacement first: closing the old
list's ports closes those that the new list has, too, and detaching an address is done by the address's name.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from ...resources import Call
from ...values import Properties
from .. import network
from ..account import Account
from . import api
from .common import known, refusal
from .lightsail import LightsailResource
from .settling import STATIC_IP, Attachment


class InstancePublicPorts(Attachment):
    """All open ports of an instance: the list takes the place of what was open. Removing it closes the ports in it."""

    takes = ("instanceName", "portInfos", "region")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        if known(inputs["portInfos"]) and not inputs["portInfos"]:
            yield "portInfos", "at least 1 item is required"
        for index, port in enumerate(inputs["portInfos"] if known(inputs["portInfos"]) else ()):
            allowed = ("tcp", "all", "udp", "icmp", "icmpv6")
            if known(port) and known(port["protocol"]) and port["protocol"] not in allowed:
                yield f"portInfos[{index}].protocol", f"expected to be one of {', '.join(allowed)}"
            for name in ("fromPort", "toPort"):
                if known(port) and known(port[name]) and not 0 <= port[name] <= 65535:
                    yield f"portInfos[{index}].{name}", f"expected to be in the range (0 - 65535), got {port[name]}"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region = inputs["instanceName"], inputs["region"]
        doing = f"unable to create public ports for instance {name}"
        instance = account.thing(instance_key(name, region))
        if instance is None:
            raise refusal(doing, "NotFoundException", f"The Instance does not exist: {name}")
        api.validate(doing, "lightsail", "PutInstancePublicPorts", instanceName=name, portInfos=inputs["portInfos"])
        ports = [_port(doing, port) for port in inputs["portInfos"]]
        account.put(instance_key(name, region), {**instance, "ports": ports})
        words = "".join(f"{port['protocol']}-{port['fromPort']}-{port['toPort']}\n" for port in inputs["portInfos"])
        return f"{name}-{zlib.crc32(words.encode())}", {**inputs, "portInfos": ports}

    def seen(self, account: Account, identity: str, state: Properties) -> Properties | None:
        instance = account.thing(instance_key(state["instanceName"], state["region"]))
        if instance is None or not instance["ports"]:
            return None
        return {**state, "portInfos": instance["ports"]}

    def undo(self, account: Account, identity: str, state: Properties) -> None:
        key = instance_key(state["instanceName"], state["region"])
        instance = account.thing(key)
        if instance is not None:
            gone = [_span(port) for port in state["portInfos"]]
            left = [port for port in instance["ports"] if _span(port) not in gone]
            account.put(key, {**instance, "ports": left})


class StaticIp(LightsailResource):
    """A public address that stays."""

    takes = ("name", "region")
    replacing = ("name",)
    kind = "StaticIp"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region = inputs["name"], inputs["region"]
        doing = f"creating Lightsail Static IP ({name})"
        api.validate(doing, "lightsail", "AllocateStaticIp", staticIpName=name)
        self.free(account, doing, name, region)
        address = network.reserve(account)
        attributes = {**inputs, **self.described(name, region), "ipAddress": address, "supportCode": "rig"}
        return name, self.keep(account, name, region, attributes, address=address, instance="")

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        super().unmake(account, thing, state, call)
        network.release(account, thing["address"])


class StaticIpAttachment(Attachment):
    """The instance that a static address leads to. Its id is the address's name, and removing it detaches that address
    from whatever instance has it then: a replacement that deletes last leaves it attached to none."""

    takes = ("instanceName", "region", "staticIpName")

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        doing, region, name = "creating Lightsail Static IP Attachment", inputs["region"], inputs["staticIpName"]
        api.validate(doing, "lightsail", "AttachStaticIp", staticIpName=name, instanceName=inputs["instanceName"])
        instance, ip = instance_key(inputs["instanceName"], region), account.thing(static_ip_key(name, region))
        if ip is None:
            raise refusal(doing, "NotFoundException", f"The StaticIp does not exist: {name}")
        if account.thing(instance) is None:
            raise refusal(doing, "NotFoundException", f"The Instance does not exist: {inputs['instanceName']}")
        for key, other in account.things(STATIC_IP).items():
            if other["instance"] == instance and key != static_ip_key(name, region):
                text = f"The instance {inputs['instanceName']} already has the static IP {other['name']}"
                raise refusal(doing, "InvalidInputException", text)
        account.put(static_ip_key(name, region), {**ip, "instance": instance})
        return name, {**inputs, "ipAddress": ip["address"]}

    def seen(self, account: Account, identity: str, state: Properties) -> Properties | None:
        ip = account.thing(static_ip_key(state["staticIpName"], state["region"]))
        if ip is None or not ip["instance"]:
            return None
        return {**state, "instanceName": ip["instance"].rsplit(":", 1)[1], "ipAddress": ip["address"]}

    def undo(self, account: Account, identity: str, state: Properties) -> None:
        key = static_ip_key(state["staticIpName"], state["region"])
        ip = account.thing(key)
        if ip is not None:
            account.put(key, {**ip, "instance": ""})


def _port(doing: str, port: Mapping[str, Any]) -> dict[str, Any]:
    """A port as the service keeps it: open to everybody when nobody is named."""
    if port["protocol"] in ("tcp", "udp") and port["fromPort"] > port["toPort"]:
        text = f"The port range {port['fromPort']}-{port['toPort']} is invalid"
        raise refusal(doing, "InvalidInputException", text)
    named = any(port.get(name) for name in ("cidrs", "ipv6Cidrs", "cidrListAliases"))
    return {**port} if named else {**port, "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"]}


def _span(port: Mapping[str, Any]) -> tuple[str, int, int]:
    return (port["protocol"], port["fromPort"], port["toPort"])


def instance_key(name: str, region: str) -> str:
    """The thing of the instance of that name."""
    return f"lightsail/instance:{region}:{name}"


def static_ip_key(name: str, region: str) -> str:
    """The thing of the static address of that name."""
    return f"lightsail/staticIp:{region}:{name}"
