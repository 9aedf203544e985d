"""What all databases share: their outputs, the servers that they admit, names and checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
import pulumi_random as random

from ..servers.grantee import Grantee
from .contract import Database
from .url import database_url

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_RESERVED = {
    *("admin", "all", "awsadmin", "azure_superuser", "information_schema", "innodb", "mysql", "performance_schema"),
    *("pg_catalog", "postgres", "public", "rdsadmin", "rdsrepladmin", "root", "select", "sys", "template0"),
    *("template1", "user"),
}


class DatabaseArgs(TypedDict):
    """What every database can be told."""

    name: NotRequired[str]
    """Name of the database; default: "app"."""
    experiment: NotRequired[bool]
    """Protect nothing, so that `pulumi destroy` leaves nothing that is billed; default: false."""


class AppDatabase(pulumi.ComponentResource):
    """A database as an app uses it, wherever it is."""

    database: pulumi.Output[Database]
    """How to reach it, for a `WebApp`. Holds no secret."""
    password: pulumi.Output[str]
    """Secret."""
    url: pulumi.Output[str]
    """Secret: its URL in the plain form, for programs of your own. It asks for TLS with the server verified, where the
    connection crosses a network; the certificate authority is in `database`."""


def finish(component: AppDatabase, described: dict[str, pulumi.Input[Any]], password: pulumi.Input[str]) -> None:
    """Sets the outputs. What is known of `described` is known in a preview, whatever else is not."""
    component.database = cast("pulumi.Output[Database]", pulumi.Output.from_input(described))
    component.password = pulumi.Output.secret(password)
    component.url = pulumi.Output.secret(
        pulumi.Output.all(component.database, component.password).apply(lambda known: database_url(known[0], known[1]))
    )
    component.register_outputs({"database": component.database, "password": component.password, "url": component.url})


def new_password(name: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Letters and digits: what every engine and every cloud takes, and nothing has to be quoted."""
    return random.RandomPassword(f"{name}-password", length=32, special=False, opts=opts).result


def cloud_name(name: str, limit: int) -> str:
    """`project-stack-name` as clouds take names: lower-case letters, digits and single dashes, a letter first."""
    text = "-".join((pulumi.get_project(), pulumi.get_stack(), name)).lower()
    plain = re.sub(r"[^a-z0-9]+", "-", text).lstrip("-0123456789")
    return plain[:limit].rstrip("-")


def known_grantees(servers: Sequence[pulumi.Input[Grantee]], key: str, missing: str) -> list[pulumi.Output[str]]:
    """The text `key` of each server; an error that says `missing` for one that has none."""

    def text(number: int, server: pulumi.Input[Grantee]) -> pulumi.Output[str]:
        def needed(value: str) -> str:
            if not value:
                raise pulumi.RunError(f"servers[{number}]: {missing}")
            return value

        return pulumi.Output.from_input(server)[key].apply(needed)

    return [text(number, server) for number, server in enumerate(servers)]


def check_identifier(key: str, value: str, longest: int = 31) -> None:
    """Raises `ValueError` for what cannot name a database or a user everywhere."""
    if not _NAME.fullmatch(value) or len(value) > longest:
        raise ValueError(
            f"{key}: {value!r} cannot be used; give 1 to {longest} lower-case letters, digits and _, beginning with "
            "a letter"
        )
    if value in _RESERVED or value.startswith("pg_"):
        raise ValueError(f"{key}: {value!r} is reserved by database servers; take another one, such as app")


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    """Raises `ValueError` for what is none of `choices`."""
    if value not in choices:
        raise ValueError(f"{key}: {value!r} is not known here; take one of {', '.join(choices)}")


def check_certificate(value: pulumi.Input[str] | None) -> None:
    """Raises `ValueError` for what is no certificate in PEM; what is not known yet passes."""
    if isinstance(value, str) and ("-----BEGIN CERTIFICATE-----" not in value or "PRIVATE KEY" in value):
        raise ValueError("ca_certificate: not a certificate in PEM; give the text of the file, from its BEGIN line on")
