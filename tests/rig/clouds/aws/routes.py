"""Route tables: which subnets have a way to the internet.

Sources: hashicorp/terraform-provider-aws, `internal/service/ec2/vpc_*route*.go`; the EC2 API reference, "Error codes
for the Amazon EC2 API".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...resources import Call, RefusedError
from ...values import Properties
from ..account import Account
from . import places
from .common import ACCOUNT_ID, all_tags, arn, known, new_id, refusal
from .places import Places
from .settling import SettledResource
from .vpc import IN_USE, bad_cidr


class RouteTable(SettledResource):
    """Routes for some subnets of a VPC."""

    takes = ("vpcId", "routes", "region", "tags")
    replacing = ("vpcId",)
    unordered = ("routes",)

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        if inputs["vpcId"] not in Places.of(account).vpcs(inputs["region"]):
            text = f"The vpc ID '{inputs['vpcId']}' does not exist"
            raise refusal("creating EC2 Route Table", "InvalidVpcID.NotFound", text)
        identity = new_id("rtb")
        for route in inputs.get("routes", []):
            _target(account, {"region": inputs["region"], **route})
        attributes = {
            **inputs,
            "routes": inputs.get("routes", []),
            "arn": arn("ec2", inputs["region"], f"route-table/{identity}"),
            "ownerId": ACCOUNT_ID,
            "propagatingVgws": [],
            "tagsAll": all_tags(inputs, call),
        }
        self.keep(account, identity, inputs["region"], attributes)
        return identity, attributes

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        for route in inputs.get("routes", []):
            _target(account, {"region": inputs["region"], **route})
        return super().change(account, thing, state, inputs, call)

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        used = [key for key, other in account.things(places.ASSOCIATION).items()
                if other["attributes"]["routeTableId"] == call.id]  # fmt: skip
        if used:
            text = f"The routeTable '{call.id}' has dependencies and cannot be deleted."
            raise refusal(f"deleting EC2 Route Table ({call.id})", IN_USE, text)
        super().unmake(account, thing, state, call)


class Route(SettledResource):
    """One route of a table."""

    takes = ("routeTableId", "destinationCidrBlock", "gatewayId", "region")
    replacing = ("routeTableId", "destinationCidrBlock")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        if "destinationCidrBlock" not in inputs:
            yield "destinationCidrBlock", "one of the destinations must be specified"
        if "gatewayId" not in inputs:
            yield "gatewayId", "one of the targets must be specified"
        if known(inputs.get("destinationCidrBlock")) and bad_cidr(inputs["destinationCidrBlock"]):
            yield "destinationCidrBlock", bad_cidr(inputs["destinationCidrBlock"])

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        table, destination = inputs["routeTableId"], inputs["destinationCidrBlock"]
        doing = f"creating Route in Route Table ({table}) with destination ({destination})"
        _table(account, doing, table, inputs["region"])
        _target(account, inputs)
        there = Places.of(account)
        if any(route.get("destinationCidrBlock") == destination for route in there.routes(table)):
            text = f"The route identified by {destination} already exists."
            raise refusal(doing, "RouteAlreadyExists", text)
        identity = f"r-{table}{places.derived_id('', destination)[2:12]}"
        attributes = {
            **inputs,
            "state": "active",
            "origin": "CreateRoute",
            "instanceId": "",
            "instanceOwnerId": "",
            "networkInterfaceId": "",
        }
        self.keep(account, identity, inputs["region"], attributes)
        return identity, attributes

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        _target(account, inputs)
        attributes = {**thing["attributes"], **inputs}
        account.put(call.id, {**thing, "attributes": attributes})
        return attributes


class RouteTableAssociation(SettledResource):
    """The route table of a subnet."""

    takes = ("routeTableId", "subnetId", "region")
    replacing = ("subnetId",)

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        doing = f"creating Route Table Association ({inputs['routeTableId']})"
        _table(account, doing, inputs["routeTableId"], inputs["region"])
        if inputs.get("subnetId") not in Places.of(account).subnets(inputs["region"]):
            text = f"The subnet ID '{inputs.get('subnetId')}' does not exist"
            raise refusal(doing, "InvalidSubnetID.NotFound", text)
        for key, other in account.things(places.ASSOCIATION).items():
            if other["attributes"]["subnetId"] == inputs["subnetId"]:
                text = f"the specified association for route table conflicts with an existing association ({key})"
                raise refusal(doing, "Resource.AlreadyAssociated", text)
        identity = new_id("rtbassoc")
        self.keep(account, identity, inputs["region"], dict(inputs))
        return identity, dict(inputs)

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        _table(account, "replacing Route Table Association", inputs["routeTableId"], inputs["region"])
        account.put(call.id, {**thing, "attributes": dict(inputs)})
        return dict(inputs)


class MainRouteTableAssociation(SettledResource):
    """Another main route table for a VPC."""

    takes = ("routeTableId", "vpcId", "region")
    replacing = ()

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        doing = f"creating Main Route Table Association ({inputs['routeTableId']})"
        _table(account, doing, inputs["routeTableId"], inputs["region"])
        identity = new_id("rtbassoc")
        attributes = {**inputs, "originalRouteTableId": places.derived_id("rtb", inputs["vpcId"])}
        self.keep(account, identity, inputs["region"], attributes)
        return identity, attributes

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        attributes = {**thing["attributes"], **inputs}
        account.put(call.id, {**thing, "attributes": attributes})
        return attributes


def _table(account: Account, doing: str, table: str, region: str) -> None:
    mains = {vpc["mainRouteTableId"] for vpc in Places.of(account).vpcs(region).values()}
    if table not in mains and (account.thing(table) or {}).get("type") != places.TABLE:
        raise refusal(doing, "InvalidRouteTableID.NotFound", f"The routeTable ID '{table}' does not exist")


def _target(account: Account, route: Mapping[str, Any]) -> None:
    gateway = route.get("gatewayId")
    if not gateway:
        raise RefusedError("a route of this stand-in leads to an internet gateway: give gatewayId")
    if (account.thing(gateway) or {}).get("type") != places.GATEWAY:
        text = f"The gateway ID '{gateway}' does not exist"
        raise refusal("creating Route", "InvalidGatewayID.NotFound", text)
