"""What a request for an EC2 instance names, found in the account and the catalogue or refused.

The refusals are those of the EC2 API reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...values import Properties
from ..account import Account
from . import api, catalog
from .catalog import Image
from .common import of_type, refusal
from .keys import decoded
from .places import Places
from .settling import GROUP

USER_DATA_LIMIT = 16384
"""Bytes, before base64 (user guide, "Run commands when you launch an EC2 instance")."""


class Wish:
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
            if group != default and thing.get("type") != GROUP:
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
        data = decoded(self.inputs["userDataBase64"]) or b""
        if len(data) > USER_DATA_LIMIT:
            text = f"User data is limited to {USER_DATA_LIMIT} bytes"
            raise refusal(self.doing, "InvalidParameterValue", text)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data
