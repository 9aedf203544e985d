"""`DigitalOceanDatabase`: a managed cluster of PostgreSQL or MySQL, reached by the granted droplets alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NotRequired

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_random as random

from ..servers.checks import check_known
from ..servers.droplet import DEFAULT_REGION
from ..servers.forms import DO_REGION, DO_TAG, PROJECT, VPC_UUID, Form
from ..servers.grantee import Grantee
from ..servers.sizes import memory_mib
from .common import (
    AppDatabase,
    DatabaseArgs,
    check_certificate,
    check_choice,
    check_identifier,
    cloud_name,
    finish,
    known_grantees,
)

DEFAULT_SIZE = "db-s-1vcpu-1gb"
ENGINES = {"postgresql": "pg", "mysql": "mysql"}
DEFAULT_VERSIONS = {"postgresql": "17", "mysql": "8"}
VERSIONS = {"postgresql": r"\d{2}", "mysql": r"\d(\.\d)?"}
# docs.digitalocean.com, limits of PostgreSQL and MySQL: for each GB, and kept back by the service
CONNECTIONS = {"postgresql": (25, 3), "mysql": (75, 0)}

SIZE = Form(r"(db|gd|m|so)[a-z0-9_]*(-[a-z0-9_]+)*-\d+vcpu-\d+gb", "size of database nodes", "db-s-1vcpu-1gb")


class DigitalOceanDatabaseArgs(DatabaseArgs):
    """`servers` is required. The credentials are the provider's."""

    servers: Sequence[pulumi.Input[Grantee]]
    """`server.grantee` of each `DropletServer` that may connect, one at least; nobody else may."""
    engine: NotRequired[str]
    """"postgresql" (default) or "mysql"."""
    version: NotRequired[str]
    """Major version; default: "17" of PostgreSQL, "8" of MySQL."""
    region: NotRequired[str]
    """Where it is: the servers' region, or they do not reach it. Default: "fra1", as that of `DropletServer`."""
    size: NotRequired[str]
    """Size of a node; it can only grow. Default: "db-s-1vcpu-1gb"."""
    nodes: NotRequired[int]
    """1, or 2 or 3 with standby nodes (which the smallest sizes cannot have); default: 1."""
    user: NotRequired[str]
    """The app's user of MySQL; default: "app". With PostgreSQL it is always the cluster's `doadmin`: from PostgreSQL
    15 on, users that DigitalOcean makes have no right to make a table, and nothing outside of the cluster can grant
    it to them."""
    vpc_uuid: NotRequired[pulumi.Input[str]]
    """Id of the VPC that it is in: the servers', or they do not reach it. Default: the region's default VPC."""
    project_id: NotRequired[pulumi.Input[str]]
    """Id of the project to show it in; default: the account's default project."""
    ca_certificate: NotRequired[pulumi.Input[str]]
    """PEM of the authority that its certificate is verified by; default: what DigitalOcean says it is."""
    tags: NotRequired[Sequence[str]]
    """Tags of the cluster; default: none."""


class DigitalOceanDatabase(AppDatabase):
    """A database of a managed cluster, by the private network.

    Made are the cluster, its firewall (trusted sources: without them, everybody may connect), the database, and a
    user with MySQL. The service makes the password and backs it up every day; those backups go with the cluster.
    Unless `experiment` is set, the cluster is protected: `pulumi destroy` says so and removes nothing. (MySQL's users
    authenticate by `caching_sha2_password`, for which PyMySQL needs nothing more as long as TLS is used.)
    """

    def __init__(self, name: str, args: DigitalOceanDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        _check(args)
        super().__init__("slipway:index:DigitalOceanDatabase", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        engine = args.get("engine", "postgresql")
        cluster = _cluster(self, name, args, engine)
        firewall = digitalocean.DatabaseFirewall(
            f"{name}-firewall",
            cluster_id=cluster.id,
            rules=[
                _source(server, droplet)
                for server, droplet in zip(
                    args["servers"],
                    known_grantees(
                        args["servers"], "droplet", "is no droplet, and the cluster is private to DigitalOcean"
                    ),
                    strict=True,
                )
            ],
            opts=child,
        )
        kept = pulumi.ResourceOptions(parent=self, protect=not args.get("experiment", False))
        database = digitalocean.DatabaseDb(
            f"{name}-database", cluster_id=cluster.id, name=args.get("name", "app"), opts=kept
        )
        user, password = cluster.user, cluster.password
        if engine == "mysql":
            # one after the other: the service refuses changes while it makes another one
            made = digitalocean.DatabaseUser(
                f"{name}-user",
                cluster_id=cluster.id,
                name=args.get("user", "app"),
                opts=pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[database])),
            )
            user, password = made.name, made.password
        authority = args.get("ca_certificate") or digitalocean.get_database_ca_output(
            cluster_id=cluster.id, opts=pulumi.InvokeOptions(parent=self)
        ).apply(lambda found: found.certificate)
        finish(
            self,
            {
                "engine": engine,
                # known only once the servers may connect: who uses it waits for that, too
                "host": pulumi.Output.all(cluster.private_host, firewall.id).apply(lambda known: known[0]),
                "port": cluster.port,
                "name": database.name,
                "user": user,
                "ca_certificate": authority,
                "connections": connections(engine, args.get("size", DEFAULT_SIZE)),
            },
            password,
        )


def _source(server: pulumi.Input[Grantee], droplet: pulumi.Output[str]) -> digitalocean.DatabaseFirewallRuleArgs:
    """A server by its tag, which both of its machines have while one takes the other's place; else by its droplet."""
    tag = pulumi.Output.from_input(server).apply(lambda known: str(known.get("tag", "")))
    return digitalocean.DatabaseFirewallRuleArgs(
        type=tag.apply(lambda name: "tag" if name else "droplet"),
        value=pulumi.Output.all(tag, droplet).apply(lambda known: known[0] or known[1]),
    )


def connections(engine: str, size: str) -> int:
    """How many connections a cluster of nodes of this size admits; 0: its memory is not known."""
    memory = memory_mib("droplet", {"size": size})
    each, kept_back = CONNECTIONS[engine]
    return memory // 1024 * each - kept_back if memory else 0


def _check(args: DigitalOceanDatabaseArgs) -> None:
    check_known(args, DigitalOceanDatabaseArgs)
    engine = args.get("engine", "postgresql")
    check_choice("engine", engine, list(ENGINES))
    version = args.get("version", DEFAULT_VERSIONS[engine])
    if not re.fullmatch(VERSIONS[engine], version):
        raise ValueError(
            f"version: {version!r} is no major version of {engine}; give one as {DEFAULT_VERSIONS[engine]}"
        )
    for key, form in (("region", DO_REGION), ("size", SIZE), ("vpc_uuid", VPC_UUID), ("project_id", PROJECT)):
        form.check(key, args.get(key))
    check_identifier("name", args.get("name", "app"))
    if "user" in args:
        if engine == "postgresql":
            raise ValueError("user: PostgreSQL on DigitalOcean is used by the cluster's doadmin; leave it out")
        check_identifier("user", args["user"])
    if not 1 <= args.get("nodes", 1) <= 3:
        raise ValueError(f"nodes: {args.get('nodes')!r} is out of range; give 1 to 3")
    if not args["servers"]:
        raise ValueError("servers: none; a cluster without trusted sources admits everybody: give one grantee at least")
    for number, tag in enumerate(args.get("tags", ())):
        DO_TAG.check(f"tags[{number}]", tag)
    check_certificate(args.get("ca_certificate"))


def _cluster(
    database: DigitalOceanDatabase, name: str, args: DigitalOceanDatabaseArgs, engine: str
) -> digitalocean.DatabaseCluster:
    # the name is unique in the account, and two clusters are there while one replaces the other
    suffix = random.RandomId(
        f"{name}-id", byte_length=3, keepers={"engine": engine}, opts=pulumi.ResourceOptions(parent=database)
    ).hex
    return digitalocean.DatabaseCluster(
        f"{name}-cluster",
        name=suffix.apply(lambda digits: f"{cloud_name(name, 63 - 7)}-{digits}"),
        engine=ENGINES[engine],
        version=args.get("version", DEFAULT_VERSIONS[engine]),
        region=args.get("region", DEFAULT_REGION),
        size=args.get("size", DEFAULT_SIZE),
        node_count=args.get("nodes", 1),
        private_network_uuid=args.get("vpc_uuid"),
        project_id=args.get("project_id"),
        tags=args.get("tags"),
        opts=pulumi.ResourceOptions(
            parent=database,
            protect=not args.get("experiment", False),
            # The first grows by itself where autoscaling is switched on. The others stay where the rows are: another
            # region, project or VPC, also one that a preview does not know yet, would be another, empty cluster.
            ignore_changes=["storageSizeMib", "region", "projectId", "privateNetworkUuid"],
            additional_secret_outputs=["password", "uri", "privateUri", "uiPassword", "uiUri"],
        ),
    )
