"""The stand-in's side of the API: credentials, errors, ids, and the packet filters that derive from what is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from ...bridged import BridgedConfiguration
from ...values import Properties
from .. import databases, machines, network
from ..account import Account
from ..rented import RentedFunction, RentedResource, ServiceError, Thing, UnauthenticatedError, networks
from . import rules

CLOUD = "linode"
INSTANCE = "linode:index/instance:Instance"
SSH_KEY = "linode:index/sshKey:SshKey"
FIREWALL = "linode:index/firewall:Firewall"
FIREWALL_DEVICE = "linode:index/firewallDevice:FirewallDevice"
RESERVED_IP = "linode:index/reservedIp:ReservedIp"
RESERVED_IP_ASSIGNMENT = "linode:index/reservedIpAssignment:ReservedIpAssignment"
POSTGRESQL = "linode:index/databasePostgresqlV2:DatabasePostgresqlV2"
MYSQL = "linode:index/databaseMysqlV2:DatabaseMysqlV2"
ACCESS_CONTROLS = "linode:index/databaseAccessControls:DatabaseAccessControls"


class LinodeConfiguration(BridgedConfiguration):
    """The plug-in's settings. Without a token a preview works: it makes no request; what does is refused by the API."""


def token(settings: Properties) -> str:
    """The token, from the configuration or the variable that the plug-in reads (`framework_provider_config.go`)."""
    return str(settings.get("token") or os.environ.get("LINODE_TOKEN") or "")


class _Linode:
    cloud: ClassVar[str] = CLOUD
    failures: ClassVar[Mapping[str, str]]
    """What the plug-in says before the API's own words, by what it was doing."""

    def authenticate(self, settings: Properties) -> None:
        if not token(settings):
            raise UnauthenticatedError(401, "Invalid Token")

    def failure(self, doing: str, error: ServiceError) -> str:
        text = f"{self.failures.get(doing, f'Failed {doing}')}: [{error.status}] {error.message}"
        if isinstance(error, UnauthenticatedError):
            text += ". Set linode:token or LINODE_TOKEN"
        return text


class LinodeResource(_Linode, RentedResource):
    """A resource of Linode."""


class LinodeFunction(_Linode, RentedFunction):
    """A function of Linode."""


def number(account: Account) -> int:
    """A new id."""
    return 70_000_000 + account.next(CLOUD)


def put(account: Account, identity: str, kind: str, thing: Mapping[str, Any]) -> None:
    """Keep a thing."""
    account.put(identity, {**thing, "cloud": CLOUD, "type": kind})


def found(account: Account, identity: str, kind: str) -> Thing | None:
    """The thing of this id and type."""
    thing = account.thing(identity)
    return thing if thing is not None and thing["type"] == kind else None


def needed(account: Account, identity: str, kind: str) -> Thing:
    """The thing of this id and type; the API's answer when there is none: 404."""
    thing = found(account, identity, kind)
    if thing is None:
        raise ServiceError(404, "Not found")
    return thing


@contextmanager
def changing(account: Account, identity: str, kind: str) -> Iterator[Thing]:
    """A thing that may be changed in the block, at once for everybody; 404 when there is none."""
    with account.change() as data:
        thing = data["things"].get(identity)
        if thing is None or thing["type"] != kind:
            raise ServiceError(404, "Not found")
        yield thing


def check_label(account: Account, kind: str, text: str, own: str = "") -> None:
    """API: labels of one kind of thing are unique within an account."""
    if any(thing["label"] == text for key, thing in account.things(kind).items() if key != own):
        raise rules.refuse("label", "Label must be unique among your account's")


def settle(account: Account) -> None:
    """Derive all packet filters again; to be called after each change of what they derive from."""
    with account.locked(CLOUD):
        instances = account.things(INSTANCE)
        firewalls = list(account.things(FIREWALL).values())
        for identity, instance in instances.items():
            if machines.get(account, instance["machine"]):  # else it was taken away by itself
                network.set_filter(account, instance["machine"], *filters(firewalls, int(identity)))
        for kind in (POSTGRESQL, MYSQL):
            for thing in account.things(kind).values():
                if databases.get(account, thing["database"]):
                    databases.admit(account, thing["database"], networks(thing["allowed"]))
        with account.change() as data:
            for thing in data["things"].values():
                if thing["type"] == RESERVED_IP and thing["linode"] not in instances:
                    thing.update(linode="", pending=False)


def filters(firewalls: list[Thing], linode: int) -> tuple[Any, Any]:
    """What may come in and go out of a Linode by the firewall that governs it; without one: everything."""
    for firewall in firewalls:
        if linode in firewall["linodes"] and not firewall["disabled"]:
            return (
                rules.passing(firewall["inbound"], firewall["inbound_policy"]),
                rules.passing(firewall["outbound"], firewall["outbound_policy"]),
            )
    return None, None
