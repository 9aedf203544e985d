"""Networks: VPC, subnet, internet gateway, route tables. They decide where public addresses lead and what a group's
rules may name; the machines themselves are all on the host's one bridge.

Which inputs replace is in hashicorp/terraform-provider-aws, `internal/service/ec2/vpc_*.go` (ForceNew).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call
from ...values import Properties
from ..account import Account
from . import catalog, places
from .common import ACCOUNT_ID, AwsResource, all_tags, arn, known, new_id, of_type, refusal
from .places import Places
from .settling import SettledResource

IN_USE = "DependencyViolation"


def _network(cidr: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError:
        return None


def bad_cidr(cidr: str) -> str:
    """Why a text is no range of IPv4 addresses, as the provider says it; empty when it is one."""
    try:
        ipaddress.IPv4Network(cidr)
    except ValueError:
        try:
            right = ipaddress.IPv4Network(cidr, strict=False)
        except ValueError:
            return f"{cidr!r} is not a valid IPv4 CIDR block"
        return f"{cidr!r} is not a valid IPv4 CIDR block; did you mean {str(right)!r}?"
    return ""


class Vpc(AwsResource):
    """A virtual network of its own."""

    takes = ("cidrBlock", "enableDnsHostnames", "enableDnsSupport", "instanceTenancy", "region", "tags")
    defaults: ClassVar = {"enableDnsSupport": True, "instanceTenancy": "default"}
    replacing = ("cidrBlock",)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        if not known(inputs.get("cidrBlock")):
            return
        wrong = bad_cidr(inputs["cidrBlock"])
        network = _network(inputs["cidrBlock"])
        if wrong:
            yield "cidrBlock", wrong
        elif network is not None and not 16 <= network.prefixlen <= 28:
            yield "cidrBlock", f"expected {network} to contain a network value with between 16 and 28 significant bits"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        if "cidrBlock" not in inputs:
            raise refusal("creating EC2 VPC", "MissingParameter", "The request must contain the parameter CidrBlock")
        identity = new_id("vpc")
        attributes = {
            **inputs,
            **places.derived_of_vpc(identity, inputs["region"]),
            "enableDnsHostnames": inputs.get("enableDnsHostnames", False),
            "enableNetworkAddressUsageMetrics": False,
            "arn": places.vpc_arn(identity, inputs["region"]),
            "ownerId": ACCOUNT_ID,
            "ipv6AssociationId": "",
            "ipv6CidrBlock": "",
            "ipv6CidrBlockNetworkBorderGroup": "",
            "tagsAll": all_tags(inputs, call),
        }
        return identity, self.keep(account, identity, inputs["region"], attributes)

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        for kind in ("ec2/subnet:Subnet", "ec2/securityGroup:SecurityGroup", "ec2/internetGateway:InternetGateway"):
            for key, other in of_type(account, kind).items():
                if other["attributes"].get("vpcId") == call.id:
                    text = f"The vpc '{call.id}' has dependencies and cannot be deleted: {key}"
                    raise refusal(f"deleting EC2 VPC ({call.id})", IN_USE, text)
        super().unmake(account, thing, state, call)


class Subnet(AwsResource):
    """A part of a VPC in one zone."""

    takes = ("vpcId", "cidrBlock", "availabilityZone", "mapPublicIpOnLaunch", "region", "tags")
    defaults: ClassVar = {"mapPublicIpOnLaunch": False}
    replacing = ("vpcId", "cidrBlock", "availabilityZone")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        if known(inputs.get("cidrBlock")) and bad_cidr(inputs["cidrBlock"]):
            yield "cidrBlock", bad_cidr(inputs["cidrBlock"])

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        doing, region = "creating EC2 Subnet", inputs["region"]
        there = Places.of(account)
        vpc = there.vpcs(region).get(inputs["vpcId"])
        if vpc is None:
            raise refusal(doing, "InvalidVpcID.NotFound", f"The vpc ID '{inputs['vpcId']}' does not exist")
        wanted, whole = _network(inputs.get("cidrBlock", "")), ipaddress.IPv4Network(vpc["cidrBlock"])
        if wanted is None or not 16 <= wanted.prefixlen <= 28 or not wanted.subnet_of(whole):
            raise refusal(doing, "InvalidSubnet.Range", f"The CIDR '{wanted}' is invalid.")
        for subnet in there.subnets(region).values():
            if subnet["vpcId"] == vpc["id"] and wanted.overlaps(ipaddress.IPv4Network(subnet["cidrBlock"])):
                raise refusal(doing, "InvalidSubnet.Conflict", f"The CIDR '{wanted}' conflicts with another subnet")
        zones = catalog.zones(region)
        zone = inputs.get("availabilityZone") or zones[0]
        if zone not in zones:
            text = (
                f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in "
            )
            raise refusal(
                doing, "InvalidParameterValue", f"{text}the following availability zones: {', '.join(zones)}."
            )
        identity = new_id("subnet")
        attributes = {
            **inputs,
            "availabilityZone": zone,
            "availabilityZoneId": catalog.zone_id(zone),
            "assignIpv6AddressOnCreation": False,
            "arn": arn("ec2", region, f"subnet/{identity}"),
            "ownerId": ACCOUNT_ID,
            "ipv6CidrBlock": "",
            "ipv6CidrBlockAssociationId": "",
            "privateDnsHostnameTypeOnLaunch": "ip-name",
            "tagsAll": all_tags(inputs, call),
        }
        return identity, self.keep(account, identity, region, attributes)

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        users = [key for key, other in account.things().items() if other.get("subnet") == call.id]
        for _, group in of_type(account, "rds/subnetGroup:SubnetGroup").items():
            if call.id in group["attributes"]["subnetIds"]:
                users.append(group["name"])
        if users:
            text = f"The subnet '{call.id}' has dependencies and cannot be deleted: {', '.join(users)}"
            raise refusal(f"deleting EC2 Subnet ({call.id})", IN_USE, text)
        super().unmake(account, thing, state, call)


class InternetGateway(SettledResource):
    """The way between a VPC and the internet."""

    takes = ("vpcId", "region", "tags")
    replacing = ()

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        identity = new_id("igw")
        self._attachable(account, identity, inputs)
        attributes = {
            **inputs,
            "arn": arn("ec2", inputs["region"], f"internet-gateway/{identity}"),
            "ownerId": ACCOUNT_ID,
            "vpcId": inputs.get("vpcId", ""),
            "tagsAll": all_tags(inputs, call),
        }
        self.keep(account, identity, inputs["region"], attributes)
        return identity, attributes

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        if thing["attributes"].get("vpcId") != inputs.get("vpcId"):
            self._attachable(account, call.id, inputs)
        return super().change(account, thing, state, inputs, call)

    def _attachable(self, account: Account, identity: str, inputs: Properties) -> None:
        vpc = inputs.get("vpcId")
        if not vpc:
            return
        doing = f"attaching EC2 Internet Gateway ({identity}) to VPC ({vpc})"
        there = Places.of(account)
        if vpc not in there.vpcs(inputs["region"]):
            raise refusal(doing, "InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist")
        if there.gateway_of(vpc) or there.vpcs(inputs["region"])[vpc]["default"]:
            text = f"resource {vpc} is already attached to network {there.gateway_of(vpc) or vpc}"
            raise refusal(doing, "Resource.AlreadyAssociated", text)

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        vpc = thing["attributes"].get("vpcId")
        subnets = Places.of(account).subnets(thing["region"])
        for other in account.things().values():
            if other.get("address") and subnets.get(other.get("subnet", ""), {}).get("vpcId") == vpc:
                text = f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) first."
                raise refusal(f"detaching EC2 Internet Gateway ({call.id})", IN_USE, text)
        super().unmake(account, thing, state, call)
