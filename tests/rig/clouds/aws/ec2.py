"""Instances and key pairs. An instance is a machine of the rig, booted from the very user data.

Checks of the provider and what replaces: hashicorp/terraform-provider-aws, `internal/service/ec2/ec2_instance.go` and
`ec2_key_pair.go`; refusals of the service: the EC2 API reference, "Error codes"; requests: botocore's model.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call, RefusedError
from ...values import Properties
from .. import machines, network
from ..account import Account
from . import api, catalog
from .catalog import Image
from .common import AwsResource, all_tags, arn, known, new_id, of_type, refusal
from .places import Places
from .settling import EIP, Groups, SettledResource, groups_of, public_address

USER_DATA_LIMIT = 16384
"""Bytes, before base64 (user guide, "Run commands when you launch an EC2 instance")."""
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


class KeyPair(AwsResource):
    """A public key that new instances let in. Its id is its name."""

    takes = ("keyName", "publicKey", "region", "tags")
    autoname: ClassVar = {"keyName": 255}
    replacing = ("keyName", "publicKey")
    named = True

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region = inputs["keyName"], inputs["region"]
        doing = f"importing EC2 Key Pair ({name})"
        api.validate(doing, "ec2", "ImportKeyPair", KeyName=name, PublicKeyMaterial=inputs["publicKey"])
        words = inputs["publicKey"].split()
        if len(words) < 2 or words[0] not in ("ssh-rsa", "ssh-ed25519") or not _is_key(*words[:2]):
            raise refusal(doing, "InvalidKey.Format", "Key is not in valid OpenSSH public key format")
        if account.thing(self.key(name, region)) is not None:
            raise refusal(doing, "InvalidKeyPair.Duplicate", f"The keypair '{name}' already exists.")
        attributes = {
            **inputs,
            "publicKey": inputs["publicKey"].strip(),
            "keyNamePrefix": "",
            "keyPairId": new_id("key"),
            "keyType": words[0].removeprefix("ssh-"),
            "fingerprint": fingerprint(inputs["publicKey"]),
            "arn": arn("ec2", region, f"key-pair/{name}"),
            "tagsAll": all_tags(inputs, call),
        }
        return name, self.keep(account, name, region, attributes)


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
        if known(inputs.get("userDataBase64")) and _decoded(inputs["userDataBase64"]) is None:
            yield "userDataBase64", "must be base64-encoded"
        yield from _wrong_metadata_options(inputs.get("metadataOptions"))
        volume = inputs.get("rootBlockDevice")
        kind = volume.get("volumeType") if isinstance(volume, dict) else None
        if known(kind) and kind not in _VOLUMES:
            yield "rootBlockDevice.volumeType", f"expected to be one of {', '.join(_VOLUMES)}, got {kind}"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        wish = _Wish(account, inputs)
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
        wish = _Wish(account, inputs)
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
        for key, address in account.things(EIP).items():
            if address.get("instance") == call.id:  # the service takes the association away with the instance
                account.put(key, {**address, "instance": "", "association": ""})
        account.drop(call.id)
        machines.remove(account, thing["machine"])
        if thing.get("address"):
            network.release(account, thing["address"])


class _Wish:
    """What a request for an instance names, found in the account and the catalogue or refused."""

    doing = "creating EC2 Instance"

    def __init__(self, account: Account, inputs: Properties) -> None:
        self.account = account
        self.inputs = inputs
        self.region: str = inputs["region"]

    def image(self) -> Image:
        """The image."""
        found = catalog.image(self.region, self.inputs["ami"])
        if found is None:
            text = f"The image id '[{self.inputs['ami']}]' does not exist"
            code = "InvalidAMIID.NotFound" if self.inputs["ami"].startswith("ami-") else "InvalidAMIID.Malformed"
            raise refusal(self.doing, code, text)
        return found

    def kind(self, image: Image, subnet: Mapping[str, Any]) -> None:
        """Whether the instance type exists, is offered in the zone, and runs the image."""
        name = self.inputs["instanceType"]
        api.validate(self.doing, "ec2", "RunInstances", InstanceType=name, MinCount=1, MaxCount=1)
        described = catalog.instance_type(name)
        zones = catalog.zones_offering(self.region, name)
        if described is None or subnet["availabilityZone"] not in zones:
            text = (
                f"Your requested instance type ({name}) is not supported in your requested Availability Zone "
                f"({subnet['availabilityZone']}). Please retry your request by not specifying an Availability Zone or "
                f"choosing {', '.join(zones) or 'another type'}."
            )
            raise refusal(self.doing, "Unsupported", text)
        if image.architecture not in described["ProcessorInfo"]["SupportedArchitectures"]:
            architectures = ",".join(described["ProcessorInfo"]["SupportedArchitectures"])
            text = (
                f"The architecture '{architectures}' of the specified instance type does not match the architecture "
                f"'{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching "
                "architectures, and try again."
            )
            raise refusal(self.doing, "InvalidParameterValue", text)

    def subnet(self) -> dict[str, Any]:
        """The subnet: the one named, or the default one of the zone named or of the first that has the type."""
        there = Places.of(self.account)
        wanted, zone = self.inputs.get("subnetId"), self.inputs.get("availabilityZone")
        if wanted:
            found = there.subnets(self.region).get(wanted)
            if found is None:
                raise refusal(self.doing, "InvalidSubnetID.NotFound", f"The subnet ID '{wanted}' does not exist")
            if zone and found["availabilityZone"] != zone:
                text = f"The availability zone {zone} is not the one of the subnet {wanted}"
                raise refusal(self.doing, "InvalidParameterValue", text)
            return found
        offering = catalog.zones_offering(self.region, self.inputs["instanceType"])
        candidates = {subnet["availabilityZone"]: subnet for subnet in there.default_subnets(self.region)}
        if zone and zone not in candidates:
            text = f"Invalid availability zone: [{zone}]"
            raise refusal(self.doing, "InvalidParameterValue", text)
        return candidates[zone or next((name for name in candidates if name in offering), next(iter(candidates)))]

    def groups(self, subnet: Mapping[str, Any]) -> list[str]:
        """The security groups: those named, or the VPC's default one."""
        there = Places.of(self.account)
        default = there.vpcs(self.region)[subnet["vpcId"]]["defaultSecurityGroupId"]
        wanted = self.inputs.get("vpcSecurityGroupIds") or [default]
        for group in wanted:
            thing = self.account.thing(group) or {}
            if group != default and thing.get("type") != "aws:ec2/securityGroup:SecurityGroup":
                raise refusal(self.doing, "InvalidGroup.NotFound", f"The security group '{group}' does not exist")
            if group != default and thing["attributes"]["vpcId"] != subnet["vpcId"]:
                text = f"Security group {group} and subnet {subnet['id']} belong to different networks."
                raise refusal(self.doing, "InvalidParameter", text)
        return list(wanted)

    def keys(self) -> list[str]:
        """The public key of the key pair."""
        name = self.inputs.get("keyName")
        if not name:
            return []
        pairs = of_type(self.account, "ec2/keyPair:KeyPair", self.region).values()
        found = [pair["attributes"]["publicKey"] for pair in pairs if pair["name"] == name]
        if not found:
            raise refusal(self.doing, "InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
        return found

    def volume(self, image: Image) -> None:
        """Whether the root volume is large enough for the image."""
        size = (self.inputs.get("rootBlockDevice") or {}).get("volumeSize", 8)
        if size < 8:
            text = f"Volume of size {size}GB is smaller than snapshot of {image.name}, expect size >= 8GB"
            raise refusal(self.doing, "InvalidBlockDeviceMapping", text)

    def user_data(self) -> Any:
        """The user data as the machine reads them."""
        if "userDataBase64" not in self.inputs:
            return self.inputs.get("userData", "")
        data = _decoded(self.inputs["userDataBase64"]) or b""
        if len(data) > USER_DATA_LIMIT:
            text = f"User data is limited to {USER_DATA_LIMIT} bytes"
            raise refusal(self.doing, "InvalidParameterValue", text)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data


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


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _is_key(kind: str, blob: str) -> bool:
    data = _decoded(blob)
    return data is not None and data[4 : 4 + len(kind)] == kind.encode()


def fingerprint(public_key: str) -> str:
    """As the service tells it of imported keys: MD5 of the DER form of an RSA key, SHA-256 of an ED25519 one."""
    from cryptography.hazmat.primitives import serialization

    kind, blob = public_key.split()[:2]
    if kind != "ssh-rsa":
        return base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode()
    key = serialization.load_ssh_public_key(public_key.encode())
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))
