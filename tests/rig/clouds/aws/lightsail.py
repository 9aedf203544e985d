"""Lightsail: key pairs and instances.

Sources: hashicorp/terraform-provider-aws, `internal/service/lightsail/*.go` ("TF"); botocore's model ("API"); the
Lightsail user guide ("guide"). Names are the ids, and one name is had by one thing of a region only (guide, "Names").
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call
from ...values import Properties
from .. import machines, network
from ..account import Account
from . import api, catalog
from .common import all_tags, arn, known, refusal
from .keys import fingerprint
from .settling import STATIC_IP, SettledResource

REGIONS = (
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3",
    "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "us-east-1", "us-east-2",
    "us-west-2",
)  # fmt: skip
BLUEPRINTS = {
    "debian_11": ("admin", 12),
    "debian_12": ("admin", 12),
    "ubuntu_20_04": ("ubuntu", 12),
    "ubuntu_22_04": ("ubuntu", 12),
    "ubuntu_24_04": ("ubuntu", 13),
}
"""The images that this stand-in boots: the login, and the Debian that it boots for them."""
Size = tuple[int, float, int]
"""vCPUs, GiB of memory, GiB of disk."""
BUNDLE = r"([0-9a-z]+)(?:_ipv6)?_3_0"
SIZES: dict[str, Size] = {
    "nano": (2, 0.5, 20), "micro": (2, 1.0, 40), "small": (2, 2.0, 60), "medium": (2, 4.0, 80),
    "large": (2, 8.0, 160), "xlarge": (4, 16.0, 320), "2xlarge": (8, 32.0, 640),
}  # fmt: skip
OPEN_AT_FIRST = tuple(
    {"protocol": "tcp", "fromPort": port, "toPort": port, "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"]}
    for port in (22, 80)
)
"""Guide, "Instance firewalls": 22 and 80 are open at first, 443 is not."""
_KINDS = ("keyPair:KeyPair", "instance:Instance", "staticIp:StaticIp", "database:Database")


class LightsailResource(SettledResource):
    """A thing with a name of its own in a region."""

    autoname: ClassVar = {"name": 255}
    named = True
    kind = ""
    """The service's word for it."""

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        if known(inputs.get("region")) and inputs["region"] not in REGIONS:
            yield "region", f"Lightsail is not available in {inputs['region']}; it is in {', '.join(REGIONS)}"

    def free(self, account: Account, doing: str, name: str, region: str) -> None:
        """Refuse a name that something has already."""
        for kind in _KINDS:
            if account.thing(f"lightsail/{kind.split(':')[0]}:{region}:{name}"):
                text = f"Some names are already in use: {name}"
                raise refusal(doing, "InvalidInputException", text)

    def described(self, name: str, region: str) -> Properties:
        """What the service says of every thing."""
        return {"arn": arn("lightsail", region, f"{self.kind}/{name}"), "region": region}


class KeyPair(LightsailResource):
    """A public key, of the kind ssh-rsa only (API, ImportKeyPair)."""

    takes = ("name", "publicKey", "region", "tags")
    replacing = ("name", "publicKey")
    kind = "KeyPair"

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        if "publicKey" not in inputs:
            yield "publicKey", "this stand-in imports keys and makes none: give the public key"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region, key = inputs["name"], inputs["region"], inputs["publicKey"].strip()
        doing = f"creating Lightsail Key Pair ({name})"
        api.validate(doing, "lightsail", "ImportKeyPair", keyPairName=name, publicKeyBase64=key)
        self.free(account, doing, name, region)
        if not re.match(r"ssh-rsa AAAAB3NzaC1yc2E\S+", key):
            text = "The public key is invalid: a base64-encoded public key of the ssh-rsa type is wanted."
            raise refusal(doing, "InvalidInputException", text)
        attributes = {
            **inputs,
            **self.described(name, region),
            "fingerprint": fingerprint(key),
            "encryptedFingerprint": "",
            "encryptedPrivateKey": "",
            "privateKey": "",
            "namePrefix": "",
            "tagsAll": all_tags(inputs, call),
        }
        return name, self.keep(account, name, region, attributes)


class Instance(LightsailResource):
    """A machine. Its user data are one line of shell, run once at the first boot."""

    takes = ("availabilityZone", "blueprintId", "bundleId", "ipAddressType", "keyPairName", "name", "region", "tags",
             "userData")  # fmt: skip
    defaults: ClassVar = {"ipAddressType": "dualstack"}
    replacing = ("availabilityZone", "blueprintId", "bundleId", "keyPairName", "name", "userData")
    kind = "Instance"

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        name = inputs["name"]
        if known(name) and not re.fullmatch(r"[a-zA-Z0-9][\w.-]{0,253}[a-zA-Z0-9]", name, re.ASCII):
            yield "name", "must begin and end with an alphanumeric character, and have letters, digits, -, _ and . only"
        zone, region = inputs["availabilityZone"], inputs.get("region")
        if known(zone) and known(region) and not zone.startswith(region):
            yield "availabilityZone", f"must be within the same region as provider region: {region}"
        kind = inputs["ipAddressType"]
        if known(kind) and kind not in ("dualstack", "ipv4", "ipv6"):
            yield "ipAddressType", f"expected to be one of dualstack, ipv4, ipv6, got {kind}"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region = inputs["name"], inputs["region"]
        doing = f"creating Lightsail Instance ({name})"
        api.validate(doing, "lightsail", "CreateInstances", instanceNames=[name], bundleId=inputs["bundleId"],
                     availabilityZone=inputs["availabilityZone"], blueprintId=inputs["blueprintId"],
                     keyPairName=inputs.get("keyPairName"), userData=inputs.get("userData"))  # fmt: skip
        api.validate(doing, "lightsail", "GetInstance", instanceName=name)
        self.free(account, doing, name, region)
        cpus, memory, _ = bundle(doing, inputs["bundleId"], BUNDLE, SIZES)
        if inputs["blueprintId"] not in BLUEPRINTS:
            text = f"A blueprint with id {inputs['blueprintId']} does not exist; there are {', '.join(BLUEPRINTS)}"
            raise refusal(doing, "InvalidInputException", text)
        check_zone(doing, inputs["availabilityZone"], region)
        login, debian = BLUEPRINTS[inputs["blueprintId"]]
        if inputs["blueprintId"] != "debian_12":
            call.log(f"the rig boots Debian {debian} in place of {inputs['blueprintId']}")
        machine = machines.create(
            account,
            cloud="lightsail",
            user_data=_launch_script(doing, inputs.get("userData", "")),
            form="script",
            debian=debian,
            login=login,
            public_keys=_keys(account, doing, inputs),
            hostname=name,
            metadata={"instance_id": name, "region": region, "type": inputs["bundleId"], "http_tokens": "optional"},
            incoming=[network.Opening("tcp", port["fromPort"], port["toPort"]) for port in OPEN_AT_FIRST],
        )
        try:
            attributes = {
                **inputs,
                **self.described(name, region),
                "cpuCount": cpus,
                "ramSize": memory,
                "createdAt": now(),
                "ipv6Addresses": [],
                "keyPairName": inputs.get("keyPairName", "LightsailDefaultKeyPair"),
                "username": login,
                "tagsAll": all_tags(inputs, call),
            }
            owned = {"machine": machine.name, "address": network.reserve(account), "ports": list(OPEN_AT_FIRST)}
            self.keep(account, name, region, attributes, **owned)
        except BaseException:
            machines.remove(account, machine.name)
            raise
        return name, {**attributes, **(self.found(account, name, account.thing(self.key(name, region)) or {}) or {})}

    def found(self, account: Account, identity: str, thing: Mapping[str, Any]) -> Properties | None:
        machine = machines.get(account, thing["machine"])
        if machine is None:
            return None
        static = [ip["address"] for ip in account.things(STATIC_IP).values()
                  if ip.get("instance") == self.key(identity, thing["region"])]  # fmt: skip
        return {
            **thing["attributes"],
            "isStaticIp": bool(static),
            "publicIpAddress": static[0] if static else thing["address"],
            "privateIpAddress": machine.address,
        }

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        super().change(account, thing, state, inputs, call)
        now = account.thing(self.key(call.id, thing["region"])) or {}
        return {**inputs, **(self.found(account, call.id, now) or {})}

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        super().unmake(account, thing, state, call)
        machines.remove(account, thing["machine"])
        network.release(account, thing["address"])


def bundle(doing: str, name: str, pattern: str, sizes: Mapping[str, Size]) -> Size:
    """What a bundle has; its name is of this pattern, with the size as its first group."""
    match = re.fullmatch(pattern, name)
    if match is None or match.group(1) not in sizes:
        text = f"A bundle with id {name} does not exist; the sizes are {', '.join(sizes)}, the pattern {pattern}"
        raise refusal(doing, "InvalidInputException", text)
    return sizes[match.group(1)]


def check_zone(doing: str, zone: str, region: str) -> None:
    if zone not in catalog.zones(region):
        text = f"The availability zone {zone} does not exist; {region} has {', '.join(catalog.zones(region))}"
        raise refusal(doing, "InvalidInputException", text)


def _launch_script(doing: str, text: str) -> str:
    """TF, documentation of `user_data`: "only accepts a single lined string", a launch script."""
    if "\n" in text.strip("\n") or "\r" in text:
        raise refusal(
            doing, "InvalidInputException", "user data of Lightsail are a single line of shell; these are more"
        )
    if text.startswith("#cloud-config"):
        raise refusal(doing, "InvalidInputException", "user data of Lightsail are a launch script, never cloud-config")
    return text.strip("\n")


def _keys(account: Account, doing: str, inputs: Properties) -> list[str]:
    name = inputs.get("keyPairName")
    if not name:
        return []
    pair = account.thing(f"lightsail/keyPair:{inputs['region']}:{name}")
    if pair is None:
        raise refusal(doing, "NotFoundException", f"The KeyPair does not exist: {name}")
    return [pair["attributes"]["publicKey"].strip()]


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
