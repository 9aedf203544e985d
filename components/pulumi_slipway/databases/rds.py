"""`RdsDatabase`: PostgreSQL or MySQL on Amazon RDS, reached by the granted servers on EC2 alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NotRequired

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from ..servers.checks import check_known
from ..servers.forms import SUBNET, Form
from ..servers.grantee import Grantee
from ..servers.sizes import memory_mib
from .authorities import IDENTIFIER, authority_of
from .common import (
    AppDatabase,
    DatabaseArgs,
    check_certificate,
    check_choice,
    check_identifier,
    cloud_name,
    finish,
    known_grantees,
    new_password,
)

DEFAULT_SIZE = "db.t4g.micro"
DEFAULT_STORAGE = 20
DEFAULT_RETENTION = 7
ENGINES = {"postgresql": "postgres", "mysql": "mysql"}
DEFAULT_VERSIONS = {"postgresql": "17", "mysql": "8.4"}
VERSIONS = {"postgresql": r"\d{2}", "mysql": r"\d+\.\d+"}
PORTS = {"postgresql": 5432, "mysql": 3306}
FORCE_TLS = {"postgresql": "rds.force_ssl", "mysql": "require_secure_transport"}
BYTES_A_CONNECTION = {"postgresql": 9531392, "mysql": 12582880}
"""RDS's own defaults: max_connections is the memory of the class divided by this."""

CLASS = Form(r"db\.[a-z][a-z0-9-]*\.(micro|small|medium|large|\d*xlarge)", "instance class of RDS", "db.t4g.micro")


class RdsDatabaseArgs(DatabaseArgs):
    """`servers` is required. The region and the credentials are the provider's."""

    servers: Sequence[pulumi.Input[Grantee]]
    """`server.grantee` of each `Ec2Server` that may connect; nobody else may."""
    engine: NotRequired[str]
    """"postgresql" (default) or "mysql"."""
    version: NotRequired[str]
    """Major version; a greater one upgrades the database, which is off meanwhile. Minor versions come by themselves.
    Default: "17" of PostgreSQL, "8.4" of MySQL."""
    size: NotRequired[str]
    """Instance class; default: "db.t4g.micro" (1 GiB of memory)."""
    storage: NotRequired[int]
    """GiB (gp3, encrypted), which can be enlarged later; default: 20."""
    user: NotRequired[str]
    """The master user, which the app uses; default: "app"."""
    vpc_id: NotRequired[pulumi.Input[str]]
    """The VPC that it is in; default: that of `subnet_ids`, or the region's default VPC."""
    subnet_ids: NotRequired[Sequence[pulumi.Input[str]]]
    """Subnets in at least two zones, best private ones; default: all of the default VPC. (It has no public address
    in any of them.)"""
    backup_retention: NotRequired[int]
    """Days that automated backups are kept, 7 to 35; default: 7, with `experiment` none."""
    multi_az: NotRequired[bool]
    """A standby in another zone, for twice the price; default: false."""
    ca_certificate: NotRequired[pulumi.Input[str]]
    """PEM of the authority that its certificate is verified by; default: Amazon's for the region."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags of all that is made; default: none."""


class RdsDatabase(AppDatabase):
    """A private database on RDS: encrypted, backed up, TLS for everybody, its certificate's authority pinned.

    Made are a security group with a rule for each server, a subnet group, a parameter group that enforces TLS, the
    master password and the instance. Unless `experiment` is set, it is protected three times: by Pulumi, by RDS's
    deletion protection, and by a final snapshot when both were taken away.
    """

    def __init__(self, name: str, args: RdsDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        _check(args)
        super().__init__("slipway:index:RdsDatabase", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        engine = args.get("engine", "postgresql")
        password = new_password(name, child)
        vpc_id, subnet_ids = _network(args, pulumi.InvokeOptions(parent=self))
        group, rules = _firewall(self, name, args, PORTS[engine], vpc_id)
        instance = _instance(self, name, args, password, group, subnet_ids)
        finish(
            self,
            {
                "engine": engine,
                # known only once the servers may connect: who uses it waits for that, too
                "host": pulumi.Output.all(instance.address, *(rule.id for rule in rules)).apply(lambda known: known[0]),
                "port": PORTS[engine],
                "name": args.get("name", "app"),
                "user": args.get("user", "app"),
                "ca_certificate": args.get("ca_certificate") or instance.arn.apply(_authority),
                "connections": connections(engine, args.get("size", DEFAULT_SIZE)),
            },
            password,
        )


def connections(engine: str, size: str) -> int:
    """How many connections an instance of this class admits by RDS's defaults; 0: its memory is not known. A little
    too many: RDS keeps some of the memory for itself."""
    memory = memory_mib("ec2", {"instance_type": size.removeprefix("db.")})
    return min(memory * 1024**2 // BYTES_A_CONNECTION[engine], 5000) if memory else 0


def _check(args: RdsDatabaseArgs) -> None:
    check_known(args, RdsDatabaseArgs)
    engine = args.get("engine", "postgresql")
    check_choice("engine", engine, list(ENGINES))
    version = args.get("version", DEFAULT_VERSIONS[engine])
    if not re.fullmatch(VERSIONS[engine], version):
        raise ValueError(
            f"version: {version!r} is no major version of {engine}; give one as {DEFAULT_VERSIONS[engine]}"
        )
    CLASS.check("size", args.get("size"))
    check_identifier("name", args.get("name", "app"))
    check_identifier("user", args.get("user", "app"), 16)
    storage, experiment = args.get("storage", DEFAULT_STORAGE), args.get("experiment", False)
    if not 20 <= storage <= 65536:
        raise ValueError(f"storage: {storage!r} GiB are out of range; give 20 to 65536")
    retention = args.get("backup_retention", DEFAULT_RETENTION)
    if not (0 if experiment else DEFAULT_RETENTION) <= retention <= 35:
        raise ValueError(
            f"backup_retention: {retention!r} days are out of range; give 7 to 35 (fewer only with experiment)"
        )
    subnets = args.get("subnet_ids")
    for number, subnet in enumerate(subnets or ()):
        SUBNET.check(f"subnet_ids[{number}]", subnet)
    if subnets is not None and len(subnets) < 2:
        raise ValueError("subnet_ids: RDS wants subnets in at least two availability zones; give two or more")
    if "vpc_id" in args and subnets is None:
        raise ValueError("vpc_id: given without subnet_ids; give subnets of that VPC in two zones, or leave it out")
    check_certificate(args.get("ca_certificate"))


def _network(
    args: RdsDatabaseArgs, opts: pulumi.InvokeOptions
) -> tuple[pulumi.Input[str], pulumi.Input[Sequence[pulumi.Input[str]]]]:
    """The VPC and the subnets."""
    if "subnet_ids" in args:
        first = args["subnet_ids"][0]
        return args.get("vpc_id") or aws.ec2.get_subnet_output(id=first, opts=opts).vpc_id, args["subnet_ids"]
    vpc_id = aws.ec2.get_vpc_output(default=True, opts=opts).id
    filters = vpc_id.apply(lambda known: [aws.ec2.GetSubnetsFilterArgs(name="vpc-id", values=[known])])
    return vpc_id, aws.ec2.get_subnets_output(filters=filters, opts=opts).ids


def _firewall(
    database: RdsDatabase, name: str, args: RdsDatabaseArgs, port: int, vpc_id: pulumi.Input[str]
) -> tuple[aws.ec2.SecurityGroup, list[aws.vpc.SecurityGroupIngressRule]]:
    """A security group that lets the granted servers' groups in, and nothing out: a database calls nobody."""
    child, tags = pulumi.ResourceOptions(parent=database), _tags(name, args)
    group = aws.ec2.SecurityGroup(
        f"{name}-firewall", description="The clients of a Slipway database", vpc_id=vpc_id, tags=tags, opts=child
    )
    groups = known_grantees(
        args["servers"], "security_group", "has no security group of EC2, and RDS admits servers on EC2 only"
    )
    rules = [
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-firewall-server-{number}",
            security_group_id=group.id,
            referenced_security_group_id=granted,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            tags=tags,
            opts=child,
        )
        for number, granted in enumerate(groups, start=1)
    ]
    return group, rules


def _instance(
    database: RdsDatabase,
    name: str,
    args: RdsDatabaseArgs,
    password: pulumi.Output[str],
    group: aws.ec2.SecurityGroup,
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
) -> aws.rds.Instance:
    child, tags = pulumi.ResourceOptions(parent=database), _tags(name, args)
    engine, experiment = args.get("engine", "postgresql"), args.get("experiment", False)
    version = args.get("version", DEFAULT_VERSIONS[engine])
    subnets = aws.rds.SubnetGroup(
        f"{name}-subnets", description="The subnets of a Slipway database", subnet_ids=subnet_ids, tags=tags, opts=child
    )
    parameters = aws.rds.ParameterGroup(
        f"{name}-parameters",
        description="TLS for every client of a Slipway database",
        family=f"{ENGINES[engine]}{version}",
        parameters=[
            aws.rds.ParameterGroupParameterArgs(name=FORCE_TLS[engine], value="1", apply_method="pending-reboot")
        ],
        tags=tags,
        opts=child,
    )
    # What makes another instance makes another name: both are there for a while, and so are their last snapshots.
    suffix = random.RandomId(
        f"{name}-id",
        byte_length=4,
        keepers={"engine": engine, "name": args.get("name", "app"), "user": args.get("user", "app")},
        opts=child,
    ).hex
    identifier = suffix.apply(lambda digits: f"{cloud_name(name, 63 - 9)}-{digits}")
    return aws.rds.Instance(
        f"{name}-instance",
        identifier=identifier,
        engine=ENGINES[engine],
        engine_version=version,  # RDS's minor version may differ, without a difference to Pulumi
        auto_minor_version_upgrade=True,
        allow_major_version_upgrade=True,
        engine_lifecycle_support="open-source-rds-extended-support-disabled",
        instance_class=args.get("size", DEFAULT_SIZE),
        allocated_storage=args.get("storage", DEFAULT_STORAGE),
        storage_type="gp3",
        storage_encrypted=True,
        db_name=args.get("name", "app"),
        username=args.get("user", "app"),
        password=password,
        port=PORTS[engine],
        publicly_accessible=False,
        multi_az=args.get("multi_az", False),
        db_subnet_group_name=subnets.name,
        vpc_security_group_ids=[group.id],
        parameter_group_name=parameters.name,
        ca_cert_identifier=IDENTIFIER,
        backup_retention_period=args.get("backup_retention", 0 if experiment else DEFAULT_RETENTION),
        copy_tags_to_snapshot=True,
        delete_automated_backups=experiment,
        deletion_protection=not experiment,
        skip_final_snapshot=experiment,
        final_snapshot_identifier=None if experiment else identifier.apply(lambda text: f"{text}-final"),
        apply_immediately=True,
        tags=tags,
        opts=pulumi.ResourceOptions(parent=database, protect=not experiment),
    )


def _authority(arn: str) -> str:
    try:
        return authority_of(arn)
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None


def _tags(name: str, args: RdsDatabaseArgs) -> dict[str, pulumi.Input[str]]:
    return {"Name": cloud_name(name, 255), **args.get("tags", {})}
