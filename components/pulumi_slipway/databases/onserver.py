"""`OnServerDatabase`: PostgreSQL or MariaDB of the distribution, on the app's own server."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NotRequired

import pulumi
import pulumi_random as random

from ..observe import DatabaseObservation, check_observed, observe_database
from ..remote import Target, agent, presence
from ..servers.checks import check_known
from .common import AppDatabase, DatabaseArgs, check_choice, check_identifier, finish, new_password

ENGINES = ("postgresql", "mariadb")
HOST = "127.0.0.1"


class OnServerDatabaseArgs(DatabaseArgs):
    """`host` and `private_key` are required. With `experiment`, the database is dropped when it is destroyed; without,
    its user is locked and its rows stay on the server."""

    host: pulumi.Input[Mapping[str, Any]]
    """`server.host` of any Slipway server."""
    private_key: pulumi.Input[str]
    """`server.private_key`."""
    machine: NotRequired[pulumi.Resource]
    """`server.machine`: what is on it need not be removed when it goes itself. Default: the machine stays."""
    engine: NotRequired[str]
    """"postgresql" (default) or "mariadb"."""
    user: NotRequired[str]
    """The app's user, who owns the database; default: as `name`."""
    observe: NotRequired[bool]
    """Ask the server whether it is there in each preview and up; default: true."""


class OnServerDatabase(AppDatabase):
    """A database with a user of its own, in a server of PostgreSQL or MariaDB that is installed where it is missing.

    It listens on the loopback address alone, and is sized to the machine's memory. It lives and dies with the machine:
    unlike `shared/`, it is not brought over to a server's next generation, and no backups are made.
    """

    def __init__(self, name: str, args: OnServerDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        _check(args)
        super().__init__("slipway:index:OnServerDatabase", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        target = Target(
            pulumi.Output.from_input(args["host"]),  # type: ignore[arg-type]
            pulumi.Output.secret(args["private_key"]),
            args.get("machine"),
        )
        engine, database = args.get("engine", "postgresql"), args.get("name", "app")
        user, spelled = args.get("user", database), f"{engine}/{database}"
        owner = random.RandomId(f"{name}-owner", byte_length=8, opts=child).hex
        password = new_password(name, child)
        serial = pulumi.Output.from_input(0)
        if args.get("observe", True):
            now = int(time.time())
            serial = observe_database(target, spelled).apply(lambda seen: _serial(spelled, seen, now))
        brought = agent(f"{name}-agent", target, self)
        claim = presence(
            f"{name}-claim",
            target,
            "database",
            "database-remove",
            subject=spelled,
            summary=serial.apply(lambda number: f"{spelled} (serial {number})"),
            document={
                "engine": engine,
                "name": database,
                "user": user,
                "password": password,
                "owner": owner,
                "serial": serial,
                "keep_data": not args.get("experiment", False),
            },
            parent=self,
            depends_on=[brought],
        )
        answer = claim.stdout.apply(json.loads)
        finish(
            self,
            {
                "engine": engine,
                "host": HOST,
                "port": answer["port"],
                "name": database,
                "user": user,
                "ca_certificate": "",
                "connections": answer["connections"],
            },
            password,
        )


def _serial(spelled: str, seen: DatabaseObservation, now: int) -> int:
    """The serial that makes the claim run exactly when the database is not there."""
    asked = check_observed(seen["error"], "The preview shows the database as to be made.", spelled)
    if asked and seen["serial"] and not seen["present"] and not seen["kept"]:
        pulumi.log.warn(
            f"{spelled} is not found on the server. Where its engine stands still, it is started; else the database is "
            "made anew, without a row and a table: release commands make tables, and run with the next release that "
            "is not the live one (a changed variable makes one)"
        )
    return seen["serial"] if seen["present"] else max(now, seen["serial"] + 1)


def _check(args: OnServerDatabaseArgs) -> None:
    check_known(args, OnServerDatabaseArgs)
    check_choice("engine", args.get("engine", "postgresql"), ENGINES)
    check_identifier("name", args.get("name", "app"))
    check_identifier("user", args.get("user", args.get("name", "app")))
