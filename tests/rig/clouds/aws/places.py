"""Where things are: VPCs and subnets, the default ones of each region included, and whether the internet reaches them.

Every region of an account comes with a default VPC, 172.31.0.0/16 with a public subnet in each zone, a main route table
with an internet gateway, and a default security group (VPC user guide, "Default VPCs"). They are not kept in the
account but derived from its tag. The private addresses of machines are those of the host's bridge, not of a subnet.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..account import Account
from . import catalog
from .common import ACCOUNT_ID, arn

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
GATEWAY = "aws:ec2/internetGateway:InternetGateway"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
MAIN_ASSOCIATION = "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation"


def derived_id(prefix: str, *words: str) -> str:
    """An id that the same words make the same."""
    return f"{prefix}-0{hashlib.sha256('/'.join(words).encode()).hexdigest()[:16]}"


def derived_of_vpc(vpc: str, region: str) -> dict[str, str]:
    """What comes with every VPC."""
    table = derived_id("rtb", vpc)
    return {
        "mainRouteTableId": table,
        "defaultRouteTableId": table,
        "defaultSecurityGroupId": derived_id("sg", vpc),
        "defaultNetworkAclId": derived_id("acl", vpc),
        "dhcpOptionsId": derived_id("dopt", ACCOUNT_ID, region),
    }


@dataclass(frozen=True)
class Places:
    """All networks of an account as they are at one moment."""

    things: dict[str, dict[str, Any]]
    tag: str

    @classmethod
    def of(cls, account: Account) -> Places:
        """The networks of the account now."""
        return cls(account.things(), account.tag)

    def _type(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for identity, thing in self.things.items():
            if thing["type"] == kind:
                yield identity, {**thing["attributes"], "id": identity, "region": thing["region"]}

    def default_vpc(self, region: str) -> dict[str, Any]:
        """The VPC that a region comes with."""
        identity = derived_id("vpc", self.tag, region)
        return {
            "id": identity,
            "region": region,
            "cidrBlock": "172.31.0.0/16",
            "default": True,
            "enableDnsHostnames": True,
            "enableDnsSupport": True,
            "tags": {},
            **derived_of_vpc(identity, region),
        }

    def default_subnets(self, region: str) -> Iterator[dict[str, Any]]:
        """The public subnets that a region comes with, one in each zone."""
        vpc = self.default_vpc(region)["id"]
        for number, zone in enumerate(catalog.zones(region)):
            yield {
                "id": derived_id("subnet", self.tag, zone),
                "region": region,
                "vpcId": vpc,
                "availabilityZone": zone,
                "cidrBlock": f"172.31.{16 * number}.0/20",
                "mapPublicIpOnLaunch": True,
                "defaultForAz": True,
                "tags": {},
            }

    def vpcs(self, region: str) -> dict[str, dict[str, Any]]:
        """All VPCs of a region by id."""
        default = self.default_vpc(region)
        own = {key: {"default": False, "tags": {}, **vpc} for key, vpc in self._type(VPC) if vpc["region"] == region}
        return {default["id"]: default, **own}

    def subnets(self, region: str) -> dict[str, dict[str, Any]]:
        """All subnets of a region by id."""
        own = {
            key: {"defaultForAz": False, "tags": {}, **subnet}
            for key, subnet in self._type(SUBNET)
            if subnet["region"] == region
        }
        return {subnet["id"]: subnet for subnet in self.default_subnets(region)} | own

    @cached_property
    def _tables(self) -> dict[str, str]:
        """The route table of each subnet that was given one, and the main one of each VPC that was given another."""
        found = {
            entry["subnetId"]: entry["routeTableId"] for _, entry in self._type(ASSOCIATION) if "subnetId" in entry
        }
        return found | {entry["vpcId"]: entry["routeTableId"] for _, entry in self._type(MAIN_ASSOCIATION)}

    def gateway_of(self, vpc: str) -> str:
        """The internet gateway of a VPC; empty: none."""
        return next((key for key, gateway in self._type(GATEWAY) if gateway.get("vpcId") == vpc), "")

    def table_of(self, subnet: dict[str, Any]) -> str:
        """The route table of a subnet: its own or the VPC's main one."""
        vpc = subnet["vpcId"]
        return self._tables.get(subnet["id"]) or self._tables.get(vpc) or derived_id("rtb", vpc)

    def routes(self, table: str) -> Iterator[dict[str, Any]]:
        """The routes of a table, written in it or beside it."""
        attributes = self.things.get(table, {}).get("attributes", {})
        for route in attributes.get("routes") or []:
            yield {"destinationCidrBlock": route.get("cidrBlock"), **route}
        for _, route in self._type(ROUTE):
            if route["routeTableId"] == table:
                yield route

    def public(self, subnet: dict[str, Any]) -> bool:
        """Whether traffic finds its way between the subnet and the internet."""
        if subnet.get("defaultForAz"):
            return True
        gateway = self.gateway_of(subnet["vpcId"])
        return bool(gateway) and any(
            route.get("gatewayId") == gateway and route.get("destinationCidrBlock") == "0.0.0.0/0"
            for route in self.routes(self.table_of(subnet))
        )

    def contains(self, cidr: str, subnet: dict[str, Any]) -> bool:
        """Whether a range of addresses has the whole subnet, as all of its machines are meant by that range then."""
        try:
            outer = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            return False
        inner = ipaddress.ip_network(subnet["cidrBlock"])
        return outer.version == 4 and outer.prefixlen > 0 and inner.subnet_of(outer)


def vpc_arn(identity: str, region: str) -> str:
    """The name of a VPC in full."""
    return arn("ec2", region, f"vpc/{identity}")
