"""Security groups and their rules.

Checks of the provider: hashicorp/terraform-provider-aws, `internal/service/ec2/vpc_security_group*.go`; refusals of the
service: the EC2 API reference, "Error codes".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call
from ...values import UNKNOWN, Properties
from ..account import Account
from . import api
from .common import ACCOUNT_ID, all_tags, arn, known, new_id, of_type, refusal
from .places import Places
from .settling import EGRESS, GROUP, INGRESS, PROTOCOLS, SettledResource, groups_of, rule_of
from .vpc import bad_cidr

_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]*")
_SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


class SecurityGroup(SettledResource):
    """A group of machines behind the same rules. The provider takes the service's "everything may leave" away."""

    takes = ("description", "egress", "ingress", "name", "region", "revokeRulesOnDelete", "tags", "vpcId")
    defaults: ClassVar = {"description": "Managed by Pulumi", "revokeRulesOnDelete": False}
    autoname: ClassVar = {"name": 255}
    replacing = ("description", "name", "vpcId")
    unordered = ("egress", "ingress")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        name, description = inputs["name"], inputs["description"]
        if known(name) and (name.startswith("sg-") or len(name) > 255):
            yield "name", "cannot begin with sg-, nor be longer than 255 characters"
        if known(description) and not 1 <= len(description) <= 255:
            yield "description", "expected length to be in the range (1 - 255)"
        for direction in ("ingress", "egress"):
            for rule in inputs.get(direction, []) if inputs.get(direction) != UNKNOWN else []:
                for cidr in rule.get("cidrBlocks", []) if rule != UNKNOWN else []:
                    if known(cidr) and bad_cidr(cidr):
                        yield direction, bad_cidr(cidr)

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region = inputs["name"], inputs["region"]
        doing = f"creating Security Group ({name})"
        there = Places.of(account)
        vpc = inputs.get("vpcId") or there.default_vpc(region)["id"]
        if vpc not in there.vpcs(region):
            raise refusal(doing, "InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist")
        api.validate(doing, "ec2", "CreateSecurityGroup", GroupName=name, Description=inputs["description"], VpcId=vpc)
        for parameter, text in (("GroupDescription", inputs["description"]), ("GroupName", name)):
            if not _DESCRIPTION.fullmatch(text):
                wrong = "Valid descriptions are strings less than 256 characters from the following set: a-zA-Z0-9. "
                raise refusal(doing, "InvalidParameterValue", f"Value ({text}) for parameter {parameter} is invalid. "
                                                              f"{wrong}_-:/()#,@[]+=&;{{}}!$*")  # fmt: skip
        taken = [group["attributes"]["name"] for group in of_type(account, "ec2/securityGroup:SecurityGroup").values()
                 if group["attributes"]["vpcId"] == vpc]  # fmt: skip
        if name in (*taken, "default"):
            raise refusal(
                doing, "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc}'"
            )
        identity = new_id("sg")
        attributes = {
            **inputs,
            "vpcId": vpc,
            "ingress": inputs.get("ingress", []),
            "egress": inputs.get("egress", []),
            "namePrefix": "",
            "arn": arn("ec2", region, f"security-group/{identity}"),
            "ownerId": ACCOUNT_ID,
            "tagsAll": all_tags(inputs, call),
        }
        self.keep(account, identity, region, attributes)
        return identity, attributes

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        users = [key for key, other in account.things().items() if call.id in other.get("groups", [])]
        for kind in (INGRESS, EGRESS):
            for key, rule in account.things(kind).items():
                attributes = rule["attributes"]
                if attributes.get("referencedSecurityGroupId") == call.id != attributes["securityGroupId"]:
                    users.append(key)
        if users:
            text = f"resource {call.id} has a dependent object ({', '.join(users)})"
            raise refusal(f"deleting Security Group ({call.id})", "DependencyViolation", text)
        for kind in (INGRESS, EGRESS):  # the service removes a group with its rules
            for key, rule in account.things(kind).items():
                if rule["attributes"]["securityGroupId"] == call.id:
                    account.drop(key)
        super().unmake(account, thing, state, call)


class SecurityGroupRule(SettledResource):
    """One rule of a group."""

    takes = ("ipProtocol", "securityGroupId", "cidrIpv4", "cidrIpv6", "description", "fromPort", "region", "tags",
             "toPort", "referencedSecurityGroupId")  # fmt: skip
    direction = ""

    def replacing_between(self, old: Properties, new: Properties) -> tuple[str, ...]:
        # "When you modify a rule, you cannot change the rule's source type." (ModifyPlan)
        kinds = {name for name in _SOURCES if (name in old) != (name in new)}
        return ("securityGroupId", "region", *kinds)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        if sum(name in inputs for name in _SOURCES) != 1:
            yield "", f"exactly one of these attributes must be configured: {', '.join(_SOURCES)}"
        if known(inputs.get("cidrIpv4")) and bad_cidr(inputs["cidrIpv4"]):
            yield "cidrIpv4", bad_cidr(inputs["cidrIpv4"])
        if known(inputs.get("cidrIpv6")) and not _is_ipv6_network(inputs["cidrIpv6"]):
            yield "cidrIpv6", f"{inputs['cidrIpv6']!r} is not a valid IPv6 CIDR block"
        for name in ("fromPort", "toPort"):
            if known(inputs.get(name)) and not -1 <= inputs[name] <= 65535:
                yield name, f"value must be between -1 and 65535, got: {inputs[name]}"
            if inputs["ipProtocol"] == "-1" and name in inputs:
                yield name, "must not be defined when ipProtocol is -1, which means all ports"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        self._admissible(account, inputs, "")
        identity = new_id("sgr")
        attributes = {
            **inputs,
            "arn": arn("ec2", inputs["region"], f"security-group-rule/{identity}"),
            "securityGroupRuleId": identity,
            "tagsAll": all_tags(inputs, call),
        }
        self.keep(account, identity, inputs["region"], attributes)
        return identity, attributes

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        self._admissible(account, inputs, call.id)
        fixed = {name: thing["attributes"][name] for name in ("arn", "securityGroupRuleId")}
        attributes = {**inputs, **fixed, "tagsAll": all_tags(inputs, call)}
        account.put(call.id, {**thing, "attributes": attributes})
        return attributes

    def _admissible(self, account: Account, inputs: Properties, identity: str) -> None:
        doing = f"creating VPC Security Group {self.direction.title()} Rule"
        group, other = inputs["securityGroupId"], inputs.get("referencedSecurityGroupId", "")
        defaults = {
            vpc["defaultSecurityGroupId"]: key for key, vpc in Places.of(account).vpcs(inputs["region"]).items()
        }
        networks = {}
        for one in filter(None, (group, other)):
            thing = account.thing(one) or {}
            if thing.get("type") != GROUP and one not in defaults:
                raise refusal(doing, "InvalidGroup.NotFound", f"The security group '{one}' does not exist")
            networks[one] = defaults.get(one) or thing["attributes"]["vpcId"]
        if len(set(networks.values())) > 1:
            text = "You have specified two resources that belong to different networks."
            raise refusal(doing, "InvalidGroup.NotFound", text)
        self._ports(doing, inputs)
        rule = rule_of(inputs)
        present = groups_of(account)
        present.things.pop(identity, None)
        if rule in present.rules(group, self.direction):
            raise _duplicate(doing, inputs)

    def _ports(self, doing: str, inputs: Properties) -> None:
        protocol = inputs["ipProtocol"].lower()
        if protocol not in PROTOCOLS and protocol not in ("icmpv6", "58") and not protocol.isdigit():
            text = f"Invalid value '{protocol}' for IP protocol. Unknown protocol."
            raise refusal(doing, "InvalidParameterValue", text)
        if PROTOCOLS.get(protocol) in ("tcp", "udp"):
            first, last = inputs.get("fromPort"), inputs.get("toPort")
            if first is None or last is None or not 0 <= first <= last:
                text = f"Invalid TCP/UDP port range ({first}:{last})"
                raise refusal(doing, "InvalidParameterValue", text)


class SecurityGroupIngressRule(SecurityGroupRule):
    """What may come in."""

    direction = "ingress"


class SecurityGroupEgressRule(SecurityGroupRule):
    """What may go out."""

    direction = "egress"


def _duplicate(doing: str, inputs: Properties) -> Exception:
    peer = next(inputs[name] for name in _SOURCES if name in inputs)
    ports = f"from port: {inputs.get('fromPort', -1)}, to port: {inputs.get('toPort', -1)}"
    text = f'the specified rule "peer: {peer}, {inputs["ipProtocol"].upper()}, {ports}, ALLOW" already exists'
    return refusal(doing, "InvalidPermission.Duplicate", text)


def _is_ipv6_network(text: str) -> bool:
    try:
        ipaddress.IPv6Network(text)
    except ValueError:
        return False
    return True
