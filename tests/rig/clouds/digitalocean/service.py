"""The stand-in's side of the API: credentials, errors, ids, and what every account has from the beginning."""

from __future__ import annotations

import ipaddress
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from ...bridged import BridgedConfiguration
from ...values import UNKNOWN, Properties
from ..account import Account
from ..rented import RentedFunction, RentedResource, ServiceError, Thing, UnauthenticatedError
from . import catalog, rules

CLOUD = "digitalocean"
API = "https://api.digitalocean.com"
DROPLET = "digitalocean:index/droplet:Droplet"
SSH_KEY = "digitalocean:index/sshKey:SshKey"
TAG = "digitalocean:index/tag:Tag"
FIREWALL = "digitalocean:index/firewall:Firewall"
RESERVED_IP = "digitalocean:index/reservedIp:ReservedIp"
RESERVED_IP_ASSIGNMENT = "digitalocean:index/reservedIpAssignment:ReservedIpAssignment"
VPC = "digitalocean:index/vpc:Vpc"
PROJECT = "digitalocean:index/project:Project"
PROJECT_RESOURCES = "digitalocean:index/projectResources:ProjectResources"
CLUSTER = "digitalocean:index/databaseCluster:DatabaseCluster"
DATABASE = "digitalocean:index/databaseDb:DatabaseDb"
DATABASE_USER = "digitalocean:index/databaseUser:DatabaseUser"
DATABASE_FIREWALL = "digitalocean:index/databaseFirewall:DatabaseFirewall"

_OWN = uuid.UUID("4de7ac8b-495b-4884-9a69-1050c6793cd6")
_METHODS = {"creating": "POST", "reading": "GET", "updating": "PUT", "deleting": "DELETE"}


class DigitalOceanConfiguration(BridgedConfiguration):
    """The plug-in's settings. Without a token a preview works: it makes no request; what does is refused by the API."""


def token(settings: Properties) -> str:
    """The token, from the configuration or the variables that the plug-in reads (`provider.go`)."""
    found = settings.get("token") or os.environ.get("DIGITALOCEAN_TOKEN") or os.environ.get("DIGITALOCEAN_ACCESS_TOKEN")
    return str(found or "")


class _DigitalOcean:
    cloud: ClassVar[str] = CLOUD
    noun: ClassVar[str]
    """What the plug-in calls it in its errors."""
    path: ClassVar[str]
    """Where the API has it."""

    def authenticate(self, settings: Properties) -> None:
        if not token(settings):
            raise UnauthenticatedError(401, "Unable to authenticate you")

    def failure(self, doing: str, error: ServiceError) -> str:
        request = f"{_METHODS[doing]} {API}{self.path}"
        text = f"Error {doing.replace('reading', 'retrieving')} {self.noun}: {request}: {error.status} {error.message}"
        if isinstance(error, UnauthenticatedError):
            text += ". Set digitalocean:token, DIGITALOCEAN_TOKEN or DIGITALOCEAN_ACCESS_TOKEN"
        return text


class DigitalOceanResource(_DigitalOcean, RentedResource):
    """A resource of DigitalOcean."""


class DigitalOceanFunction(_DigitalOcean, RentedFunction):
    """A function of DigitalOcean."""


def number(account: Account) -> int:
    """A new id of a thing that has a number."""
    return 400_000_000 + account.next(CLOUD)


def put(account: Account, identity: str, kind: str, thing: Mapping[str, Any]) -> None:
    """Keep a thing."""
    account.put(identity, {**thing, "cloud": CLOUD, "type": kind})


def found(account: Account, identity: str, kind: str) -> Thing | None:
    """The thing of this id and type."""
    thing = account.thing(identity)
    return thing if thing is not None and thing["type"] == kind else None


def needed(account: Account, identity: str, kind: str, what: str) -> Thing:
    """The thing of this id and type; the API's answer when there is none: 404."""
    thing = found(account, identity, kind)
    if thing is None:
        raise ServiceError(404, f"The {what} you were looking for could not be found: {identity}")
    return thing


@contextmanager
def changing(account: Account, identity: str, kind: str, what: str) -> Iterator[Thing]:
    """A thing that may be changed in the block, at once for everybody; 404 when there is none."""
    with account.change() as data:
        thing = data["things"].get(identity)
        if thing is None or thing["type"] != kind:
            raise ServiceError(404, f"The {what} you were looking for could not be found: {identity}")
        yield thing


def tags_failures(inputs: Properties, field: str = "tags") -> Iterator[tuple[str, str]]:
    """What the plug-in says of tags, already in a preview (`tag/tags.go`)."""
    tags = inputs.get(field)
    for tag in tags if isinstance(tags, list) else ():
        if tag != UNKNOWN and not rules.TAG.fullmatch(tag):
            yield (
                field,
                (
                    f"{tag!r}: tags may contain lowercase letters, numbers, colons, dashes, and underscores; "
                    "there is a limit of 255 characters per tag"
                ),
            )


def empty_failures(inputs: Properties, *names: str) -> Iterator[tuple[str, str]]:
    """What the plug-in says of empty text (`validation.NoZeroValues`), already in a preview."""
    for name in names:
        if inputs.get(name) == "":
            yield name, "expected a non-zero value"


def tags_of_the_account(account: Account) -> set[str]:
    """All tags that something has; others do not exist."""
    return {tag for thing in account.things().values() if thing["cloud"] == CLOUD for tag in thing.get("tags", ())}


# -- what an account has by itself: derived, so that an empty account stays empty -------------------------------------


def default_vpc(account: Account, region: str) -> str:
    """The id of the region's default VPC, which everything goes to that is told no other."""
    every = account.things(VPC).items()
    own = [identity for identity, thing in every if thing["default"] and thing["region"] == region]
    return own[0] if own else str(uuid.uuid5(_OWN, f"{account.tag}/vpc/{region}"))


def has_default_vpc(account: Account, region: str) -> bool:
    """Whether the region has its default VPC already, which comes with the first thing that needs one."""
    return bool(account.read()["counters"].get(_default_vpc(region)))


def make_default_vpc(account: Account, region: str) -> bool:
    """Note that the region has its default VPC; whether that is new.

    digitalocean/godo, issue 337: "the first VPC created in a region will become its default", and nobody can delete it.
    """
    return account.next(_default_vpc(region)) == 1


def _default_vpc(region: str) -> str:
    return f"{CLOUD}/default-vpc/{region}"


def default_range(region: str) -> str:
    """The network of the region's default VPC."""
    return f"10.{100 + sorted(catalog.REGIONS).index(region)}.0.0/20"


def vpc_of(account: Account, wish: str | None, region: str) -> str:
    """The VPC that a thing of this region goes to."""
    if not wish:
        make_default_vpc(account, region)
    if not wish or wish == default_vpc(account, region):
        return default_vpc(account, region)
    thing = found(account, wish, VPC)
    if thing is None:
        raise rules.refuse(f"Failed to resolve VPC {wish}")
    if thing["region"] != region:
        raise rules.refuse(f"VPC {wish} is in {thing['region']}, not in {region}")
    return wish


def free_range(account: Account) -> str:
    """openapi, `vpc.yml`: "If no IP range is specified, a `/20` network range is generated that won't conflict"."""
    taken = [ipaddress.ip_network(text) for text in ranges(account)]
    candidates = ipaddress.ip_network("10.200.0.0/14").subnets(new_prefix=20)
    return str(next(network for network in candidates if not any(network.overlaps(other) for other in taken)))


def ranges(account: Account) -> list[str]:
    """The networks of all VPCs of the account."""
    return [*map(default_range, catalog.REGIONS), *(thing["ip_range"] for thing in account.things(VPC).values())]


def default_project(account: Account) -> str:
    """The id of the account's default project."""
    return str(uuid.uuid5(_OWN, f"{account.tag}/project"))


def addresses_with(account: Account, droplets: Sequence[str], tags: Sequence[str]) -> list[str]:
    """The private addresses of droplets by their ids and tags; those that are gone have none."""
    return [
        thing["private_address"]
        for identity, thing in account.things(DROPLET).items()
        if identity in droplets or set(thing["tags"]) & set(tags)
    ]
