"""`LightsailDatabase`: PostgreSQL or MySQL of Lightsail, reached by the Lightsail servers of the account's region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from ..servers.checks import check_known
from ..servers.forms import AWS_ZONE, Form
from ..servers.grantee import Grantee
from ..servers.sizes import memory_mib
from .authorities import authority_of
from .common import (
    AppDatabase,
    DatabaseArgs,
    check_certificate,
    check_choice,
    check_identifier,
    cloud_name,
    finish,
    new_password,
)
from .rds import BYTES_A_CONNECTION

DEFAULT_SIZE = "micro_2_0"
BLUEPRINTS = {"postgresql": "postgres", "mysql": "mysql"}
DEFAULT_VERSIONS = {"postgresql": "16", "mysql": "8.0"}

BUNDLE = Form(r"(micro|small|medium|large|\d*xlarge)(_ha)?_\d+_\d+", "bundle of Lightsail databases", "micro_2_0")
_VERSION = Form(r"\d+(\.\d+)?", "major version", "16")


class LightsailDatabaseArgs(DatabaseArgs):
    """All may be left out. The region and the credentials are the provider's."""

    servers: NotRequired[Sequence[pulumi.Input[Grantee]]]
    """Needs not be said, and is taken as with other databases: Lightsail lets every instance of the account in the
    region connect, and nobody else."""
    engine: NotRequired[str]
    """"postgresql" (default) or "mysql"."""
    version: NotRequired[str]
    """Major version; default: "16" of PostgreSQL, "8.0" of MySQL."""
    size: NotRequired[str]
    """Bundle; one with `_ha_` has a standby. Default: "micro_2_0" (1 GiB of memory)."""
    availability_zone: NotRequired[str]
    """Default: chosen by Lightsail, in the provider's region."""
    user: NotRequired[str]
    """The master user, which the app uses; default: "app"."""
    ca_certificate: NotRequired[pulumi.Input[str]]
    """PEM of the authority that its certificate is verified by; default: Amazon's for the region."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags of the database; default: none."""


class LightsailDatabase(AppDatabase):
    """A private database of Lightsail, backed up every day (kept for seven).

    Unless `experiment` is set, it is protected: `pulumi destroy` says so and removes nothing; a final snapshot is
    made when that was taken away.
    """

    def __init__(
        self, name: str, args: LightsailDatabaseArgs | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = args or {}
        _check(args)
        super().__init__("slipway:index:LightsailDatabase", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        engine, size = args.get("engine", "postgresql"), args.get("size", DEFAULT_SIZE)
        password = new_password(name, child)
        database = _database(self, name, args, password)
        finish(
            self,
            {
                "engine": engine,
                "host": database.master_endpoint_address,
                "port": database.master_endpoint_port,
                "name": args.get("name", "app"),
                "user": args.get("user", "app"),
                "ca_certificate": args.get("ca_certificate") or database.arn.apply(_authority),
                "connections": connections(engine, size),
            },
            password,
        )


def connections(engine: str, size: str) -> int:
    """How many connections a database of this bundle admits by Amazon's defaults; 0: its memory is not known."""
    memory = memory_mib("lightsail", {"bundle": size})
    return memory * 1024**2 // BYTES_A_CONNECTION[engine] if memory else 0


def _check(args: LightsailDatabaseArgs) -> None:
    check_known(args, LightsailDatabaseArgs)
    check_choice("engine", args.get("engine", "postgresql"), list(BLUEPRINTS))
    _VERSION.check("version", args.get("version"))
    BUNDLE.check("size", args.get("size"))
    AWS_ZONE.check("availability_zone", args.get("availability_zone"))
    check_identifier("name", args.get("name", "app"))
    check_identifier("user", args.get("user", "app"), 16)
    check_certificate(args.get("ca_certificate"))


def _database(
    component: LightsailDatabase, name: str, args: LightsailDatabaseArgs, password: pulumi.Output[str]
) -> aws.lightsail.Database:
    engine, experiment = args.get("engine", "postgresql"), args.get("experiment", False)
    version, size = args.get("version", DEFAULT_VERSIONS[engine]), args.get("size", DEFAULT_SIZE)
    # What makes another database makes another name: both are there for a while, and so are their last snapshots.
    suffix = random.RandomId(
        f"{name}-id",
        byte_length=4,
        keepers={
            "engine": engine,
            "version": version,
            "size": size,
            "name": args.get("name", "app"),
            "user": args.get("user", "app"),
        },
        opts=pulumi.ResourceOptions(parent=component),
    ).hex
    identifier = suffix.apply(lambda digits: f"{cloud_name(name, 200)}-{digits}")
    return aws.lightsail.Database(
        f"{name}-database",
        relational_database_name=identifier,
        blueprint_id=f"{BLUEPRINTS[engine]}_{version.replace('.', '_')}",
        bundle_id=size,
        availability_zone=args.get("availability_zone"),
        master_database_name=args.get("name", "app"),
        master_username=args.get("user", "app"),
        master_password=password,
        publicly_accessible=False,
        backup_retention_enabled=True,
        skip_final_snapshot=experiment,
        final_snapshot_name=None if experiment else identifier.apply(lambda text: f"{text}-final"),
        apply_immediately=True,
        tags=args.get("tags"),
        opts=pulumi.ResourceOptions(parent=component, protect=not experiment),
    )


def _authority(arn: str) -> str:
    try:
        return authority_of(arn)
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None
