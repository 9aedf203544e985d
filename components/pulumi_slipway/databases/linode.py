"""`LinodeDatabase`: a managed PostgreSQL of Linode, reached by the granted servers alone."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NotRequired

import pulumi
import pulumi_linode as linode
import pulumi_random as random

from ..servers.checks import check_known
from ..servers.forms import LINODE_REGION, LINODE_TYPE, Form
from ..servers.grantee import Grantee
from ..servers.linode import DEFAULT_REGION
from .common import (
    AppDatabase,
    DatabaseArgs,
    check_certificate,
    check_choice,
    cloud_name,
    finish,
    known_grantees,
)

DEFAULT_SIZE = "g6-nanode-1"
DEFAULT_VERSION = "17"
NAME = "defaultdb"
"""The one database of a new server. Nothing but a client of PostgreSQL makes another one."""

_VERSION = Form(r"\d{2}", "major version of PostgreSQL", DEFAULT_VERSION)


class LinodeDatabaseArgs(DatabaseArgs):
    """`servers` is required; `name` can only be "defaultdb", the database that Linode makes. The credentials are the
    provider's."""

    servers: Sequence[pulumi.Input[Grantee]]
    """`server.grantee` of each `LinodeServer` that may connect; nobody else may."""
    engine: NotRequired[str]
    """"postgresql" (default)."""
    version: NotRequired[str]
    """Major version; default: "17"."""
    region: NotRequired[str]
    """Where it is, best where the servers are; default: "eu-central", as that of `LinodeServer`."""
    size: NotRequired[str]
    """Type of a node; it can only grow. Default: "g6-nanode-1" (1 GiB of memory)."""
    nodes: NotRequired[int]
    """1, or 2 or 3 with standby nodes; default: 1."""
    ca_certificate: NotRequired[pulumi.Input[str]]
    """PEM of the authority that its certificate is verified by; default: what Linode says it is."""


class LinodeDatabase(AppDatabase):
    """A managed PostgreSQL, used as Linode makes it: its one database, its one user, both of which it owns.

    It has a public address; its allow list names the granted servers alone, and TLS is required. Linode knows no groups
    of servers: while one is replaced, both of its machines are on the list, and the next `pulumi up` finds the former
    one gone and takes it off. How many connections it admits is not documented. Unless `experiment` is set, it is
    protected: `pulumi destroy` says so and removes nothing. Its daily backups go with it.
    """

    def __init__(self, name: str, args: LinodeDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        _check(args)
        super().__init__("slipway:index:LinodeDatabase", name, None, opts)
        addresses = known_grantees(args["servers"], "address", "has no public address that it connects from")
        suffix = random.RandomId(
            f"{name}-id",
            byte_length=3,
            opts=pulumi.ResourceOptions(parent=self),
        ).hex
        database = linode.DatabasePostgresqlV2(
            f"{name}-database",
            label=suffix.apply(lambda digits: f"{cloud_name(name, 32 - 7)}-{digits}"),
            engine_id=f"postgresql/{args.get('version', DEFAULT_VERSION)}",
            region=args.get("region", DEFAULT_REGION),
            type=args.get("size", DEFAULT_SIZE),
            cluster_size=args.get("nodes", 1),
            allow_lists=_allowed(args["servers"], addresses),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=not args.get("experiment", False),
                # when it is maintained is Linode's choice; in another region it would be another, empty database
                ignore_changes=["updates", "region"],
                additional_secret_outputs=["rootPassword"],
            ),
        )
        finish(
            self,
            {
                "engine": "postgresql",
                "host": database.host_primary,
                "port": database.port,
                "name": NAME,
                # Linode's plug-in has all of these as secrets, which but one they are not
                "user": pulumi.Output.unsecret(database.root_username),
                "ca_certificate": args.get("ca_certificate")
                or pulumi.Output.unsecret(database.ca_cert).apply(authority),
                "connections": 0,
            },
            database.root_password,
        )


def authority(text: str) -> str:
    """The certificate authority in PEM, also where it is told in base64, as the API has it."""
    return text if text.lstrip().startswith("-----BEGIN") else base64.b64decode(text).decode()


def _allowed(
    servers: Sequence[pulumi.Input[Grantee]], addresses: Sequence[pulumi.Output[str]]
) -> pulumi.Output[list[str]]:
    """The servers, and machines whose place they are just taking."""
    former = [pulumi.Output.from_input(server).apply(lambda known: known.get("former", "")) for server in servers]

    def listed(known: Sequence[str]) -> list[str]:
        leaving = [address for address in known[len(addresses) :] if address]
        if leaving:
            pulumi.log.info(
                f"{', '.join(leaving)} may connect to the database until the new machine has taken over: the next "
                "`pulumi up` takes that off its allow list"
            )
        return [_network(address) for address in dict.fromkeys([*known[: len(addresses)], *leaving])]

    return pulumi.Output.all(*addresses, *former).apply(listed)


def _network(address: str) -> str:
    return address if "/" in address else f"{address}/{128 if ':' in address else 32}"


def _check(args: LinodeDatabaseArgs) -> None:
    check_known(args, LinodeDatabaseArgs)
    check_choice("engine", args.get("engine", "postgresql"), ["postgresql"])
    for key, form in (("version", _VERSION), ("region", LINODE_REGION), ("size", LINODE_TYPE)):
        form.check(key, args.get(key))
    if args.get("name", NAME) != NAME:
        raise ValueError(f"name: {args.get('name')!r} cannot be made by Slipway on Linode; leave it out ({NAME!r})")
    if args.get("nodes", 1) not in (1, 2, 3):
        raise ValueError(f"nodes: {args.get('nodes')!r} is out of range; give 1 to 3")
    check_certificate(args.get("ca_certificate"))
