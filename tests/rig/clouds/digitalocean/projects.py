"""VPCs, and projects, which only sort what an account has.

Machines of the rig share one network, so a VPC keeps nothing apart there: it has a range and members. What keeps others
away are firewalls and trusted sources.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import ClassVar

from ...resources import Call
from ...values import UNKNOWN, Properties
from ..account import Account
from ..rented import ServiceError, is_network, now
from . import rules, service

_KINDS = {"droplet": service.DROPLET, "reservedip": service.RESERVED_IP, "floatingip": service.RESERVED_IP,
          "dbaas": service.CLUSTER}  # fmt: skip


class Vpc(service.DigitalOceanResource):
    """A network of its own range in one region."""

    noun = "VPC"
    path = "/v2/vpcs"
    autoname: ClassVar = {"name": 255}
    replacing = ("region", "ipRange")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """`vpc/resource_vpc.go`."""
        yield from service.empty_failures(inputs, "name", "region")
        if inputs.get("ipRange", UNKNOWN) != UNKNOWN and not is_network(inputs["ipRange"]):
            yield (
                "ipRange",
                f"expected ip_range to be a valid IPv4 Value, got {inputs['ipRange']}: invalid CIDR address",
            )
        if len(inputs.get("description", "")) > 255:
            yield "description", "expected length of description to be in the range (0 - 255)"

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        with account.locked(service.CLOUD):
            rules.vpc(inputs["name"], inputs["region"], inputs.get("ipRange", ""), service.ranges(account))
            self._check_name(account, "", inputs["name"])
            identity = str(uuid.uuid4())
            thing = {
                "name": inputs["name"],
                "region": inputs["region"],
                "description": inputs.get("description", ""),
                "ip_range": inputs.get("ipRange") or service.free_range(account),
                "created_at": now(),
                "default": service.make_default_vpc(account, inputs["region"]),
            }
            service.put(account, identity, service.VPC, thing)
        return identity

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.VPC)
        if thing is None:
            return None
        told = {
            "name": thing["name"],
            "region": thing["region"],
            "ipRange": thing["ip_range"],
            "vpcUrn": f"do:vpc:{identity}",
            "default": thing["default"],
            "createdAt": thing["created_at"],
        }
        return {**told, "description": thing["description"]} if thing["description"] else told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        rules.vpc(inputs["name"], inputs["region"], "", [])
        self._check_name(account, identity, inputs["name"])
        with service.changing(account, identity, service.VPC, "VPC") as thing:
            thing.update(name=inputs["name"], description=inputs.get("description", ""))

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        thing = service.needed(account, identity, service.VPC, "VPC")
        if thing["default"]:
            # openapi, `delete_vpc.yml`: "The default VPC for a region can not be deleted", in a 403
            raise ServiceError(403, "Can not delete default VPC")
        if any(thing.get("vpc") == identity for thing in account.things().values()):
            # openapi, `delete_vpc.yml`: "a VPC that still has members will result in a 403 Forbidden"
            raise ServiceError(403, "Can not delete VPC with members")
        account.drop(identity)

    @staticmethod
    def _check_name(account: Account, identity: str, name: str) -> None:
        others = [thing["name"] for key, thing in account.things(service.VPC).items() if key != identity]
        if name in others:
            raise rules.refuse("a VPC with this name already exists in your account")


class Project(service.DigitalOceanResource):
    """A name for a group of things."""

    noun = "Project"
    path = "/v2/projects"
    autoname: ClassVar = {"name": 175}
    defaults: ClassVar = {"description": "", "purpose": "Web Application"}
    takes = ("name", "description", "purpose", "environment", "resources")
    unordered = ("resources",)
    replacing = ()

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """`project/resource_project.go`."""
        if not 1 <= len(inputs["name"]) <= 175:
            yield "name", "expected length of name to be in the range (1 - 175)"
        for name in ("description", "purpose"):
            if len(inputs[name]) > 255:
                yield name, f"expected length of {name} to be in the range (0 - 255)"
        environment = inputs.get("environment", UNKNOWN)
        if environment != UNKNOWN and environment.lower() not in ("development", "staging", "production"):
            yield (
                "environment",
                (f'expected environment to be one of ["development" "staging" "production"], got {environment}'),
            )

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        _check_urns(account, inputs.get("resources", []))
        identity = str(uuid.uuid4())
        service.put(account, identity, service.PROJECT, {**_of_project(inputs), "urns": [], "created_at": now()})
        _move(account, identity, inputs.get("resources", []))
        return identity

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.PROJECT)
        if thing is None:
            return None
        told = {
            "name": thing["name"],
            "purpose": thing["purpose"],
            "description": thing["description"],
            "resources": _there(account, thing["urns"]),
            "isDefault": False,
            "ownerId": 1,
            "ownerUuid": service.default_project(account),
            "createdAt": thing["created_at"],
            "updatedAt": thing["created_at"],
        }
        return {**told, "environment": thing["environment"]} if thing["environment"] else told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        wishes = inputs.get("resources", state.get("resources", []))
        _check_urns(account, wishes)
        with service.changing(account, identity, service.PROJECT, "project") as thing:
            thing.update(_of_project(inputs), urns=[])
        _move(account, identity, wishes)

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        account.drop(identity)  # what was in it is the default project's then


class ProjectResources(service.DigitalOceanResource):
    """Things that are put into a project, which exists apart from this."""

    noun = "project resources"
    path = "/v2/projects"
    unordered = ("resources",)
    replacing = ("project",)

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        self.change(account, inputs["project"], {}, inputs)
        return str(inputs["project"])

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.PROJECT)
        if thing is None:
            return None
        there = _there(account, thing["urns"])
        return {"project": identity, "resources": [urn for urn in state.get("resources", []) if urn in there]}

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        _check_urns(account, inputs["resources"])
        self._take_out(account, identity, set(state.get("resources", [])) - set(inputs["resources"]))
        _move(account, identity, inputs["resources"])

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        if service.found(account, identity, service.PROJECT):
            self._take_out(account, identity, set(state["resources"]))

    @staticmethod
    def _take_out(account: Account, project: str, urns: set[str]) -> None:
        with service.changing(account, project, service.PROJECT, "project") as thing:
            thing["urns"] = [urn for urn in thing["urns"] if urn not in urns]


def _of_project(inputs: Properties) -> Properties:
    names = ("name", "description", "purpose")
    return {**{name: inputs[name] for name in names}, "environment": inputs.get("environment", "")}


def _move(account: Account, project: str, urns: list[str]) -> None:
    """Put things into a project, out of the one that they are in."""
    with account.change() as data:
        for identity, thing in data["things"].items():
            if thing["type"] == service.PROJECT:
                kept = [urn for urn in thing["urns"] if urn not in urns]
                thing["urns"] = kept + urns if identity == project else kept


def _check_urns(account: Account, urns: list[str]) -> None:
    missing = set(urns) - set(_there(account, urns))
    if missing:
        raise ServiceError(400, f"resource not found or of no kind that a project has: {', '.join(sorted(missing))}")


def _there(account: Account, urns: list[str]) -> list[str]:
    """Those that name something that exists."""
    there = []
    for urn in urns:
        parts = urn.split(":", 2)
        kind = _KINDS.get(parts[1]) if len(parts) == 3 and parts[0] == "do" else None
        if kind and service.found(account, parts[2], kind):
            there.append(urn)
    return there
