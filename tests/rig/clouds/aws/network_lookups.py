"""Questions for networks: hashicorp/terraform-provider-aws, `internal/service/ec2/vpc_*data_source.go`."""

from __future__ import annotations

from typing import Any

from ...resources import Call, RefusedError
from ...values import Properties
from . import catalog
from .common import ACCOUNT_ID, AwsFunction, arn, opened
from .places import Places, vpc_arn
from .questions import Facts, all_known, matching


def _one(found: list[Facts], what: str) -> Facts:
    if not found:
        raise RefusedError(f"no matching EC2 {what} found")
    if len(found) > 1:
        raise RefusedError(
            f"multiple EC2 {what}s matched; use additional constraints to reduce matches to a single EC2 {what}"
        )
    return found[0]


def _vpc_facts(vpc: Facts) -> dict[str, Any]:
    return {
        "vpc": vpc,
        "vpc-id": vpc["id"],
        "cidr": vpc["cidrBlock"],
        "is-default": vpc["default"],
        "isDefault": vpc["default"],
        "state": "available",
        "tags": vpc["tags"],
    }


def _subnet_facts(subnet: Facts) -> dict[str, Any]:
    return {
        "subnet": subnet,
        "subnet-id": subnet["id"],
        "vpc-id": subnet["vpcId"],
        "cidr-block": subnet["cidrBlock"],
        "availability-zone": subnet["availabilityZone"],
        "availability-zone-id": catalog.zone_id(subnet["availabilityZone"]),
        "default-for-az": subnet["defaultForAz"],
        "defaultForAz": subnet["defaultForAz"],
        "map-public-ip-on-launch": subnet["mapPublicIpOnLaunch"],
        "state": "available",
        "tags": subnet["tags"],
    }


_FILTERS: dict[str, str] = {
    "id": "{}-id",
    "vpcId": "vpc-id",
    "cidrBlock": "cidr",
    "default": "isDefault",
    "defaultForAz": "defaultForAz",
    "availabilityZone": "availability-zone",
    "availabilityZoneId": "availability-zone-id",
    "state": "state",
}


def _filters(inputs: Properties, kind: str) -> list[Facts]:
    """The arguments of a question as filters, and the filters that it has."""
    found = []
    for name, label in _FILTERS.items():
        if inputs.get(name):  # the provider leaves `default: false` out, too
            value = str(inputs[name])
            wanted = "true" if inputs[name] is True else value
            name_of = label.format(kind) if name != "cidrBlock" else {"vpc": "cidr", "subnet": "cidr-block"}[kind]
            found.append({"name": name_of, "values": [wanted]})
    tags = [{"name": f"tag:{key}", "values": [value]} for key, value in inputs.get("tags", {}).items()]
    return [*found, *tags, *inputs.get("filters", [])]


class GetVpc(AwsFunction):
    """One VPC, the default one for instance."""

    takes = ("cidrBlock", "default", "filters", "id", "region", "state", "tags")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(all_known(inputs), call)
        with opened() as account:
            vpcs = Places.of(account).vpcs(region)
        vpc = _one(matching(map(_vpc_facts, vpcs.values()), _filters(inputs, "vpc"), "VPCs"), "VPC")["vpc"]
        association = {"associationId": f"vpc-cidr-assoc-{vpc['id'][4:]}", "cidrBlock": vpc["cidrBlock"]}
        return {
            "filters": inputs.get("filters"),
            "id": vpc["id"],
            "arn": vpc_arn(vpc["id"], region),
            "region": region,
            "cidrBlock": vpc["cidrBlock"],
            "cidrBlockAssociations": [{**association, "state": "associated"}],
            "default": vpc["default"],
            "dhcpOptionsId": vpc["dhcpOptionsId"],
            "enableDnsHostnames": vpc["enableDnsHostnames"],
            "enableDnsSupport": vpc["enableDnsSupport"],
            "enableNetworkAddressUsageMetrics": False,
            "instanceTenancy": "default",
            "ipv6AssociationId": "",
            "ipv6CidrBlock": "",
            "ipv6CidrBlockAssociations": [],
            "mainRouteTableId": vpc["mainRouteTableId"],
            "ownerId": ACCOUNT_ID,
            "state": "available",
            "tags": vpc["tags"],
        }


class GetSubnets(AwsFunction):
    """The ids of subnets."""

    takes = ("filters", "region", "tags")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(all_known(inputs), call)
        with opened() as account:
            subnets = Places.of(account).subnets(region)
        found = matching(map(_subnet_facts, subnets.values()), _filters(inputs, "subnet"), "subnets")
        ids = [facts["subnet-id"] for facts in found]
        return {**inputs, "id": region, "region": region, "ids": ids, "tags": inputs.get("tags", {})}


class GetSubnet(AwsFunction):
    """One subnet."""

    takes = ("availabilityZone", "availabilityZoneId", "cidrBlock", "defaultForAz", "filters", "id", "region", "state",
             "tags", "vpcId")  # fmt: skip

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(all_known(inputs), call)
        with opened() as account:
            subnets = Places.of(account).subnets(region)
        found = matching(map(_subnet_facts, subnets.values()), _filters(inputs, "subnet"), "subnets")
        subnet = _one(found, "Subnet")["subnet"]
        return {
            "filters": inputs.get("filters"),
            "id": subnet["id"],
            "arn": arn("ec2", region, f"subnet/{subnet['id']}"),
            "region": region,
            "vpcId": subnet["vpcId"],
            "availabilityZone": subnet["availabilityZone"],
            "availabilityZoneId": catalog.zone_id(subnet["availabilityZone"]),
            "cidrBlock": subnet["cidrBlock"],
            "defaultForAz": subnet["defaultForAz"],
            "mapPublicIpOnLaunch": subnet["mapPublicIpOnLaunch"],
            "assignIpv6AddressOnCreation": False,
            "availableIpAddressCount": 4000,
            "ipv6CidrBlock": "",
            "ipv6CidrBlockAssociationId": "",
            "ipv6Native": False,
            "outpostArn": "",
            "ownerId": ACCOUNT_ID,
            "state": "available",
            "tags": subnet["tags"],
        }
