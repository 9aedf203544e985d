"""RDS: subnet groups and parameter groups.

Sources: hashicorp/terraform-provider-aws, `internal/service/rds/{subnet_group,parameter_group,validate}.go`; the RDS
user guide, "Working with parameter groups".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call
from ...values import Properties
from .. import databases
from ..account import Account
from . import api, catalog
from .common import AwsResource, all_tags, arn, known, refusal
from .engines import Parameters
from .places import Places
from .settling import DATABASE


def wrong_identifier(name: str, what: str = "identifier") -> str:
    """TF validIdentifier: why a text is no identifier; empty when it is one."""
    if not re.fullmatch(r"[0-9a-z-]+", name):
        return f'only lowercase alphanumeric characters and hyphens allowed in "{what}"'
    if not name[0].isalpha():
        return f'first character of "{what}" must be a letter'
    if "--" in name:
        return f'"{what}" cannot contain two consecutive hyphens'
    return f'"{what}" cannot end with a hyphen' if name.endswith("-") else ""


class SubnetGroup(AwsResource):
    """The subnets that a database may be in."""

    takes = ("description", "name", "region", "subnetIds", "tags")
    defaults: ClassVar = {"description": "Managed by Pulumi"}
    autoname: ClassVar = {"name": 255}
    replacing = ("name",)
    unordered = ("subnetIds",)
    named = True

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        name = inputs["name"]
        if known(name) and (not re.fullmatch(r"[0-9a-z_ .-]{1,255}", name) or name.lower() == "default"):
            yield "name", "only lowercase alphanumeric characters, hyphens, underscores, periods, and spaces allowed"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name = inputs["name"]
        if account.thing(self.key(name, inputs["region"])):
            text = f"The DB subnet group '{name}' already exists."
            raise refusal(f"creating RDS DB Subnet Group ({name})", "DBSubnetGroupAlreadyExists", text)
        return name, self._kept(account, name, inputs, call)

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        return self._kept(account, call.id, inputs, call)

    def _kept(self, account: Account, name: str, inputs: Properties, call: Call) -> Properties:
        doing, region = f"creating RDS DB Subnet Group ({name})", inputs["region"]
        api.validate(doing, "rds", "CreateDBSubnetGroup", DBSubnetGroupName=name, SubnetIds=inputs["subnetIds"],
                     DBSubnetGroupDescription=inputs["description"])  # fmt: skip
        there = Places.of(account).subnets(region)
        subnets = [there.get(identity) for identity in inputs["subnetIds"]]
        vpcs = {subnet["vpcId"] for subnet in subnets if subnet}
        if None in subnets or len(vpcs) != 1:
            raise refusal(doing, "InvalidSubnet", "Some input subnets are invalid or not all of one VPC.")
        zones = sorted({subnet["availabilityZone"] for subnet in subnets if subnet})
        if len(zones) < 2:
            text = (
                "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: "
                f"{', '.join(zones)}. Add subnets to cover at least 2 AZs."
            )
            raise refusal(doing, "DBSubnetGroupDoesNotCoverEnoughAZs", text)
        attributes = {
            **inputs,
            "arn": arn("rds", region, f"subgrp:{name}"),
            "namePrefix": "",
            "supportedNetworkTypes": ["IPV4"],
            "vpcId": vpcs.pop(),
            "tagsAll": all_tags(inputs, call),
        }
        return self.keep(account, name, region, attributes)

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        for _, other in account.things(DATABASE).items():
            if other["attributes"]["dbSubnetGroupName"] == call.id and other["region"] == thing["region"]:
                text = (
                    f"Cannot delete the subnet group '{call.id}' because at least one database instance: "
                    f"{other['name']} is still using it."
                )
                raise refusal(f"deleting RDS DB Subnet Group ({call.id})", "InvalidDBSubnetGroupStateFault", text)
        super().unmake(account, thing, state, call)


class ParameterGroup(AwsResource):
    """Settings of an engine. Those of a database that is there change when they may do so without a restart."""

    takes = ("description", "family", "name", "parameters", "region", "skipDestroy", "tags")
    defaults: ClassVar = {"description": "Managed by Pulumi", "skipDestroy": False}
    autoname: ClassVar = {"name": 255}
    replacing = ("description", "family", "name")
    named = True

    def filled(self, inputs: Properties, old: Properties, name: str, seed: bytes, settings: Properties) -> Properties:
        filled = super().filled(inputs, old, name, seed, settings)
        if isinstance(filled.get("parameters"), list):
            filled["parameters"] = [{"applyMethod": "immediate", **one} if isinstance(one, dict) else one
                                    for one in filled["parameters"]]  # fmt: skip
        return filled

    def differences(self, old: Properties, new: Properties) -> Iterator[tuple[str, str, bool]]:
        # A set to the provider, in which another method alone is no difference: pulumi-aws, pkg/rds/parameter_group.go
        yield from super().differences(_as_set(old), _as_set(new))

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        name = inputs["name"]
        if known(name) and (wrong_identifier(name.replace(".", ""), "name") or len(name) > 255):
            yield "name", f"parameter group {wrong_identifier(name.replace('.', ''), 'name') or 'name is too long'}"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region, doing = inputs["name"], inputs["region"], f"creating RDS DB Parameter Group ({inputs['name']})"
        api.validate(doing, "rds", "CreateDBParameterGroup", DBParameterGroupName=name,
                     DBParameterGroupFamily=inputs["family"], Description=inputs["description"])  # fmt: skip
        if inputs["family"] not in catalog.families():
            text = f"ParameterGroupFamily {inputs['family']} is not a valid parameter group family"
            raise refusal(doing, "InvalidParameterValue", text)
        if account.thing(self.key(name, region)):
            raise refusal(doing, "DBParameterGroupAlreadyExists", f"Parameter group {name} already exists")
        Parameters.of(inputs).check(f"modifying RDS DB Parameter Group ({name})")
        attributes = {
            **inputs,
            "arn": arn("rds", region, f"pg:{name}"),
            "namePrefix": "",
            "parameters": inputs.get("parameters", []),
            "tagsAll": all_tags(inputs, call),
        }
        return name, self.keep(account, name, region, attributes)

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        Parameters.of(inputs).check(f"modifying RDS DB Parameter Group ({call.id})")
        attributes = {**thing["attributes"], **inputs, "tagsAll": all_tags(inputs, call)}
        attributes["parameters"] = inputs.get("parameters", [])
        account.put(self.key(call.id, thing["region"]), {**thing, "attributes": attributes})
        for other in account.things(DATABASE).values():
            if other["attributes"]["parameterGroupName"] == call.id and other["region"] == thing["region"]:
                now = Parameters.of(attributes).at_once()
                databases.configure(account, other["database"], **now.of_server(other["attributes"]["instanceClass"]))
        return attributes

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        for other in account.things(DATABASE).values():
            if other["attributes"]["parameterGroupName"] == call.id and other["region"] == thing["region"]:
                text = "One or more database instances are still members of this parameter group " + call.id
                raise refusal(f"deleting RDS DB Parameter Group ({call.id})", "InvalidDBParameterGroupState", text)
        if not state.get("skipDestroy"):
            super().unmake(account, thing, state, call)


def _as_set(inputs: Properties) -> Properties:
    listed = inputs.get("parameters")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return inputs
    plain = sorted(({"name": one.get("name"), "value": one.get("value")} for one in listed), key=str)
    return {**inputs, "parameters": plain}


def subnet_group_key(name: str, region: str) -> str:
    """The thing of the subnet group of that name."""
    return f"rds/subnetGroup:{region}:{name}"


def parameter_group_key(name: str, region: str) -> str:
    """The thing of the parameter group of that name."""
    return f"rds/parameterGroup:{region}:{name}"
