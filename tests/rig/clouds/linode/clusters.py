"""Managed databases: a PostgreSQL or MariaDB server with TLS that admits whom its allow list names.

The version is what was asked for; the server is that of the rig's Debian. A cluster of several nodes has one machine.
The number of connections is not documented, so the server has the substrate's own default.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from typing import Any, ClassVar

from ...resources import Call
from ...values import UNKNOWN, Properties
from .. import databases
from ..account import Account
from ..rented import Thing, networks, now
from . import catalog, rules, service

ADMINISTRATOR, FIRST_DATABASE = "akmadmin", "defaultdb"
"""linode/manager, `DatabaseSummaryConnectionDetails`: the user on the present platform."""
_KINDS = {"mysql": service.MYSQL, "postgresql": service.POSTGRESQL}
_TAKES = ("allowLists", "clusterSize", "engineId", "label", "region", "suspended", "type", "updates")


class ManagedDatabase(service.LinodeResource):
    """A database server, which nobody may reach that its allow list does not name."""

    engine: ClassVar[str]
    kind: ClassVar[str]
    # `databasepostgresqlv2/framework_resource_schema.go`
    defaults: ClassVar = {"clusterSize": 1, "suspended": False}
    takes = _TAKES
    unordered = ("allowLists",)
    replacing = ("region",)
    computed = ("updated", "version")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        if inputs["clusterSize"] != UNKNOWN and inputs["clusterSize"] < 1:
            yield "clusterSize", "value must be at least 1"
        if inputs["suspended"] is True:
            yield "suspended", "not supported by this stand-in: it does not suspend databases"

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        # The password is known to the state alone
        return super().create({**inputs, "rootPassword": _password()}, call)

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        rules.database(inputs["label"], self.engine, self._version(inputs), inputs["type"], inputs["region"],
                       inputs["clusterSize"])  # fmt: skip
        service.check_label(account, self.kind, inputs["label"])
        allowed = inputs.get("allowLists", [])
        rules.allow_list(allowed)
        identity = service.number(account)
        server = databases.create(
            account,
            engine=self.engine,
            master_user=ADMINISTRATOR,
            master_password=inputs["rootPassword"],
            databases=[FIRST_DATABASE],
            port=10_000 + identity % 20_000,  # the service gives each database a port of its own
            force_tls=True,
            public=True,
            sources=networks(allowed),
        )
        thing: Thing = {
            "database": server.name,
            "allowed": allowed,
            "region": inputs["region"],
            "created": now(),
            **self._settings(inputs),
        }
        service.put(account, str(identity), self.kind, thing)
        return str(identity)

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, self.kind)
        server = databases.get(account, thing["database"]) if thing else None
        if thing is None or server is None:
            return None
        return {
            "label": thing["label"],
            "region": thing["region"],
            "type": thing["plan"],
            "engineId": f"{self.engine}/{thing['version']}",
            "engine": self.engine,
            "version": thing["version"],
            "clusterSize": thing["nodes"],
            "allowLists": _in_order(state.get("allowLists", []), thing["allowed"]),
            # A base64 text by the documentation, but `framework_models.go` has it decoded: PEM
            "caCert": databases.ca_certificate(account),
            "hostPrimary": server.public_address,
            "hostSecondary": "",
            "hostStandby": "",
            "port": server.port,
            "rootUsername": ADMINISTRATOR,
            "rootPassword": state["rootPassword"],
            "sslConnection": True,
            "encrypted": True,
            "platform": "rdbms-default",
            "status": "active",
            "suspended": False,
            "members": {server.public_address: "primary"},
            "created": thing["created"],
            "updated": thing["created"],
            "oldestRestoreTime": thing["created"],
            "pendingUpdates": [],
            "updates": state.get("updates") or {"dayOfWeek": 7, "duration": 4, "frequency": "weekly", "hourOfDay": 3},
        }

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        thing = service.needed(account, identity, self.kind)
        version = self._version(inputs)
        rules.database(inputs["label"], self.engine, version, inputs["type"], thing["region"], inputs["clusterSize"])
        service.check_label(account, self.kind, inputs["label"], identity)
        if catalog.PLANS[inputs["type"]].disk < catalog.PLANS[thing["plan"]].disk:
            # techdocs, "Scale a cluster": a cluster is resized to a larger plan only
            raise rules.refuse("type", "A database can only be resized to a larger plan")
        if int(version) < int(thing["version"]):
            raise rules.refuse("version", "A database cannot go back to an older version")
        with service.changing(account, identity, self.kind) as kept:
            kept.update(self._settings(inputs))
        if "allowLists" in inputs:
            allow(account, identity, self.kind, inputs["allowLists"])

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        thing = service.needed(account, identity, self.kind)
        with account.locked(service.CLOUD):  # not while filters are derived
            databases.remove(account, thing["database"])
            account.drop(identity)

    def _version(self, inputs: Properties) -> str:
        engine, _, version = inputs["engineId"].partition("/")
        if engine != self.engine or not version:
            raise rules.refuse("engine", f"Engine {inputs['engineId']} is not valid: `{self.engine}/<version>`")
        return str(version)

    def _settings(self, inputs: Properties) -> dict[str, Any]:
        return {"label": inputs["label"], "plan": inputs["type"], "nodes": inputs["clusterSize"],
                "version": self._version(inputs)}  # fmt: skip


class DatabasePostgresqlV2(ManagedDatabase):
    """A managed PostgreSQL."""

    engine, kind = "postgresql", service.POSTGRESQL
    failures: ClassVar = {
        "creating": "Failed to create PostgreSQL database",
        "updating": "Failed to update PostgreSQL database",
        "reading": "Unable to refresh the Database",
        "deleting": "Failed to delete PostgreSQL database",
    }


class DatabaseMysqlV2(ManagedDatabase):
    """A managed MySQL."""

    engine, kind = "mysql", service.MYSQL
    failures: ClassVar = {
        "creating": "Failed to create MySQL database",
        "updating": "Failed to update MySQL database",
        "reading": "Unable to refresh the Database",
        "deleting": "Failed to delete MySQL database",
    }


class DatabaseAccessControls(service.LinodeResource):
    """The allow list of a database, managed apart from it; without it, nobody is allowed."""

    failures: ClassVar = {"creating": "Failed to set DB allow list", "updating": "Failed to set DB allow list"}
    unordered = ("allowLists",)
    replacing = ("databaseId", "databaseType")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """`databaseaccesscontrols/framework_schema.go`."""
        if inputs["databaseType"] not in ("mysql", "postgresql", UNKNOWN):
            yield "databaseType", 'value must be one of: ["mysql" "postgresql"]'

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        self.change(account, "", {}, inputs)
        return f"{inputs['databaseId']}:{inputs['databaseType']}"

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        database, _, engine = identity.partition(":")
        thing = service.found(account, database, _KINDS[engine])
        if thing is None:
            return None
        allowed = _in_order(state.get("allowLists", []), thing["allowed"])
        return {"databaseId": int(database), "databaseType": engine, "allowLists": allowed}

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        allow(account, str(inputs["databaseId"]), _KINDS[inputs["databaseType"]], inputs["allowLists"])

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        allow(account, str(state["databaseId"]), _KINDS[state["databaseType"]], [])


def allow(account: Account, identity: str, kind: str, allowed: list[str]) -> None:
    """Let these connect to the database, and nobody else."""
    rules.allow_list(allowed)
    with service.changing(account, identity, kind) as thing:
        thing["allowed"] = allowed
    service.settle(account)


def _password() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))


def _in_order(known: list[str], value: list[str]) -> list[str]:
    """As the state has it when it is the same but for the order, which the list has none of."""
    return known if sorted(known) == sorted(value) else value
