"""Instances of EC2. An instance is a machine of the rig, booted from the very user data.

Checks of the provider and what replaces: hashicorp/terraform-provider-aws, `internal/service/ec2/ec2_instance.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call, RefusedError
from ...values import Properties
from .. import machines, network
from ..account import Account
from . import catalog
from .catalog import Image
from .common import all_tags, arn, known, new_id, refusal
from .keys import decoded
from .launching import USER_DATA_LIMIT, Wish
from .places import Places
from .settling import EIP, Groups, SettledResource, groups_of, public_address

METADATA_DEFAULTS = {
    "httpEndpoint": "enabled",
    "httpProtocolIpv6": "disabled",
    "httpPutResponseHopLimit": 1,
    "httpTokens": "optional",
    "instanceMetadataTags": "disabled",
}
_ONE_OF = {
    "httpEndpoint": ("enabled", "disabled"),
    "httpTokens": ("optional", "required"),
    "instanceMetadataTags": ("enabled", "disabled"),
}
_VOLUMES = ("standard", "io1", "io2", "gp2", "sc1", "st1", "gp3")


class Instance(SettledResource):
    """A machine."""

    takes = (
        "ami", "associatePublicIpAddress", "availabilityZone", "creditSpecification", "disableApiStop",
        "disableApiTermination", "ebsOptimized", "forceDestroy", "getPasswordData", "instanceType", "keyName",
        "metadataOptions", "monitoring", "region", "rootBlockDevice", "sourceDestCheck", "subnetId", "tags",
        "userData", "userDataBase64", "userDataReplaceOnChange", "volumeTags", "vpcSecurityGroupIds",
    )  # fmt: skip
    defaults: ClassVar = {
        "forceDestroy": False,
        "getPasswordData": False,
        "sourceDestCheck": True,
        "userDataReplaceOnChange": False,
    }
    replacing = ("ami", "associatePublicIpAddress", "availabilityZone", "ebsOptimized", "keyName", "subnetId",
                 "rootBlockDevice.encrypted", "rootBlockDevice.kmsKeyId")  # fmt: skip
    unordered = ("vpcSecurityGroupIds",)

    def replacing_between(self, old: Properties, new: Properties) -> tuple[str, ...]:
        data = ("userData", "userDataBase64") if new.get("userDataReplaceOnChange") else ()
        return (*self.replacing, *data, "region")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        for name in ("ami", "instanceType"):
            if name not in inputs:
                yield name, f"one of `{name},launchTemplate` must be specified"
        if "userData" in inputs and "userDataBase64" in inputs:
            yield "userData", "conflicts with userDataBase64"
        data = inputs.get("userData")
        if known(data) and len(data.encode()) > USER_DATA_LIMIT:
            yield "userData", f"expected length to be in the range (0 - {USER_DATA_LIMIT}), got {len(data.encode())}"
        if known(inputs.get("userDataBase64")) and decoded(inputs["userDataBase64"]) is None:
            yield "userDataBase64", "must be base64-encoded"
        yield from _wrong_metadata_options(inputs.get("metadataOptions"))
        volume = inputs.get("rootBlockDevice")
        kind = volume.get("volumeType") if isinstance(volume, dict) else None
        if known(kind) and kind not in _VOLUMES:
            yield "rootBlockDevice.volumeType", f"expected to be one of {', '.join(_VOLUMES)}, got {kind}"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        wish = Wish(account, inputs)
        image, subnet = wish.image(), wish.subnet()
        groups = wish.groups(subnet)
        keys = wish.keys()
        wish.kind(image, subnet)
        wish.volume(image)
        data = wish.user_data()
        identity = new_id("i")
        options = {**METADATA_DEFAULTS, **(inputs.get("metadataOptions") or {})}
        if not image.genuine:
            call.log(f"the rig boots Debian {image.debian} in place of {image.name}")
        present: Groups = groups_of(account)
        machine = machines.create(
            account,
            cloud="ec2",
            user_data=data,
            debian=image.debian,
            login=image.login,
            public_keys=keys,
            hostname=identity,
            metadata=_metadata(identity, inputs, options),
            incoming=present.openings(groups, inputs["region"], "ingress"),
            outgoing=present.openings(groups, inputs["region"], "egress"),
        )
        owned: dict[str, Any] = {"machine": machine.name, "groups": groups, "subnet": subnet["id"]}
        try:
            if inputs.get("associatePublicIpAddress", subnet.get("mapPublicIpOnLaunch", False)):
                owned["address"] = network.reserve(account)
            attributes = {
                **{name: value for name, value in inputs.items() if name not in ("userDataBase64", "tags")},
                **({"tags": inputs["tags"]} if "tags" in inputs else {}),
                **_fixed(identity, inputs, image, subnet),
                "metadataOptions": options,
                "tagsAll": all_tags(inputs, call),
            }
            self.keep(account, identity, inputs["region"], attributes, **owned)
        except BaseException:
            machines.remove(account, machine.name)
            raise
        return identity, attributes

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        identity, _ = super().create(inputs, call)
        found = self.read(identity, inputs, call)  # its public address leads to it since the settling
        if found is None:
            raise RefusedError(f"the instance {identity} went away while it was made")
        return identity, found

    def found(self, account: Account, identity: str, thing: Mapping[str, Any]) -> Properties | None:
        machine = machines.get(account, thing["machine"])
        if machine is None:
            return None
        there = Places.of(account)
        region, subnet = thing["region"], there.subnets(thing["region"]).get(thing["subnet"], {})
        vpc = there.vpcs(region).get(subnet.get("vpcId", ""), {})
        public = public_address(there.things, EIP, "instance", identity) or (
            thing.get("address", "") if machine.running else ""
        )
        dashed = public.replace(".", "-")
        named = public and vpc.get("enableDnsHostnames")
        return {
            **thing["attributes"],
            "instanceState": "running" if machine.running else "stopped",
            "privateIp": machine.address,
            "privateDns": f"ip-{machine.address.replace('.', '-')}.{region}.compute.internal",
            "publicIp": public,
            "publicDns": f"ec2-{dashed}.{region}.compute.amazonaws.com" if named else "",
            "associatePublicIpAddress": thing["attributes"].get("associatePublicIpAddress", bool(public)),
            "vpcSecurityGroupIds": thing["groups"],
            "securityGroups": [],
        }

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        super().update(state, inputs, call)
        found = self.read(call.id, {**state, **inputs}, call)
        if found is None:
            raise RefusedError(f"the instance {call.id} does not exist (any more)")
        return found

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        wish = Wish(account, inputs)
        old = thing["attributes"]
        subnet = Places.of(account).subnets(inputs["region"])[thing["subnet"]]
        image = wish.image()
        if "vpcSecurityGroupIds" in inputs:
            thing["groups"] = wish.groups(subnet)
        restarts = inputs["instanceType"] != old["instanceType"] or any(
            inputs.get(name) != state.get(name) for name in ("userData", "userDataBase64")
        )
        if restarts:
            wish.kind(image, subnet)
            wish.user_data()
            if old.get("disableApiStop"):
                text = f"The instance '{call.id}' may not be stopped. Modify its 'disableApiStop' instance attribute."
                raise refusal(f"stopping EC2 Instance ({call.id})", "OperationNotPermitted", text)
            _restart(account, thing)
        options = {**old["metadataOptions"], **(inputs.get("metadataOptions") or {})}
        machines.set_metadata(account, thing["machine"], _metadata(call.id, inputs, options))
        kept = {name: old[name] for name in _fixed(call.id, inputs, image, subnet) if name in old}
        volume = {**old["rootBlockDevice"], **(inputs.get("rootBlockDevice") or {})}
        attributes = {
            **{name: value for name, value in inputs.items() if name != "userDataBase64"},
            **kept,
            "disableApiStop": inputs.get("disableApiStop", old["disableApiStop"]),
            "disableApiTermination": inputs.get("disableApiTermination", old["disableApiTermination"]),
            "monitoring": inputs.get("monitoring", old["monitoring"]),
            "rootBlockDevice": volume,
            "metadataOptions": options,
            "tagsAll": all_tags(inputs, call),
        }
        account.put(call.id, {**thing, "attributes": attributes})
        return attributes

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        attributes = thing["attributes"]
        if attributes.get("disableApiTermination") and not state.get("forceDestroy"):
            text = (
                f"The instance '{call.id}' may not be terminated. Modify its 'disableApiTermination' instance attribute"
                " and try again."
            )
            raise refusal(f"deleting EC2 Instance ({call.id})", "OperationNotPermitted", text)
        account.drop(call.id)
        machines.remove(account, thing["machine"])
        if thing.get("address"):
            network.release(account, thing["address"])


def _fixed(identity: str, inputs: Properties, image: Image, subnet: Mapping[str, Any]) -> Properties:
    """The outputs that only the service decides, and what it fills in."""
    described = catalog.instance_type(inputs["instanceType"]) or {}
    given = inputs.get("rootBlockDevice") or {}
    gp3 = given.get("volumeType", "gp2") == "gp3"
    processor = described.get("VCpuInfo", {})
    return {
        "arn": arn("ec2", inputs["region"], f"instance/{identity}"),
        "availabilityZone": subnet["availabilityZone"],
        "subnetId": subnet["id"],
        "primaryNetworkInterfaceId": new_id("eni"),
        "tenancy": "default",
        "keyName": inputs.get("keyName", ""),
        "disableApiStop": inputs.get("disableApiStop", False),
        "disableApiTermination": inputs.get("disableApiTermination", False),
        "ebsOptimized": inputs.get("ebsOptimized", False),
        "monitoring": inputs.get("monitoring", False),
        "instanceInitiatedShutdownBehavior": "stop",
        "iamInstanceProfile": "",
        "hostId": "",
        "outpostArn": "",
        "passwordData": "",
        "placementGroup": "",
        "ipv6Addresses": [],
        "ipv6AddressCount": 0,
        "secondaryPrivateIps": [],
        "ebsBlockDevices": [],
        "ephemeralBlockDevices": [],
        "networkInterfaces": [],
        "cpuOptions": {
            "coreCount": processor.get("DefaultCores", 1),
            "threadsPerCore": processor.get("DefaultThreadsPerCore", 1),
        },
        "rootBlockDevice": {
            "deleteOnTermination": True,
            "deviceName": image.root_device,
            "encrypted": False,
            "iops": 3000 if gp3 else 100,
            "throughput": 125 if gp3 else 0,
            "volumeId": new_id("vol"),
            "volumeSize": 8,
            "volumeType": "gp2",
            **given,
        },
    }


def _metadata(identity: str, inputs: Properties, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the machine's metadata service says of it."""
    return {
        "instance_id": identity,
        "region": inputs["region"],
        "image": inputs["ami"],
        "type": inputs["instanceType"],
        "key_name": inputs.get("keyName", ""),
        "http_tokens": options["httpTokens"],
        "http_put_response_hop_limit": options["httpPutResponseHopLimit"],
        "http_endpoint": options["httpEndpoint"],
    }


def _restart(account: Account, thing: dict[str, Any]) -> None:
    """Stop and start: an address that the service had lent goes back, another one comes."""
    machines.stop(account, thing["machine"])
    if thing.get("address"):
        network.release(account, thing["address"])
        thing["address"] = network.reserve(account)
    machines.start(account, thing["machine"])


def _wrong_metadata_options(options: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(options, dict):
        return
    for name, allowed in _ONE_OF.items():
        if known(options.get(name)) and options[name] not in allowed:
            yield f"metadataOptions.{name}", f"expected to be one of {', '.join(allowed)}, got {options[name]}"
    hops = options.get("httpPutResponseHopLimit")
    if known(hops) and not 1 <= hops <= 64:
        yield "metadataOptions.httpPutResponseHopLimit", f"expected to be in the range (1 - 64), got {hops}"
