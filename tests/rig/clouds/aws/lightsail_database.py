"""Lightsail: managed databases. They are RDS's, with its rules for names and passwords.

Sources: hashicorp/terraform-provider-aws, `internal/service/lightsail/database.go`; botocore's model of
CreateRelationalDatabase, which says who may connect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...resources import Call, RefusedError
from ...values import Properties
from .. import databases
from ..account import Account
from . import api, catalog, engines
from .common import all_tags, known, refusal
from .lightsail import LightsailResource, Size, bundle, check_zone, now

BLUEPRINTS = {
    "mysql_8_0": ("mysql", "8.0.44"), "mysql_8_4": ("mysql", "8.4.7"), "postgres_12": ("postgres", "12.22"),
    "postgres_13": ("postgres", "13.23"), "postgres_14": ("postgres", "14.20"), "postgres_15": ("postgres", "15.15"),
    "postgres_16": ("postgres", "16.11"), "postgres_17": ("postgres", "17.7"),
}  # fmt: skip
BUNDLE = r"([a-z]+)(?:_ha)?_[12]_0"
SIZES: dict[str, Size] = {"micro": (2, 1.0, 40), "small": (2, 2.0, 80), "medium": (2, 4.0, 120), "large": (2, 8.0, 240)}


class Database(LightsailResource):
    """A database server; not a public one admits the account's instances in its region."""

    takes = ("applyImmediately", "availabilityZone", "backupRetentionEnabled", "blueprintId", "bundleId",
             "finalSnapshotName", "masterDatabaseName", "masterPassword", "masterUsername", "preferredBackupWindow",
             "preferredMaintenanceWindow", "publiclyAccessible", "region", "relationalDatabaseName",
             "skipFinalSnapshot", "tags")  # fmt: skip
    autoname: ClassVar = {}
    defaults: ClassVar = {"backupRetentionEnabled": True, "publiclyAccessible": False, "skipFinalSnapshot": False}
    replacing = ("availabilityZone", "blueprintId", "bundleId", "masterDatabaseName", "masterUsername",
                 "relationalDatabaseName")  # fmt: skip
    secret = ("masterPassword",)
    kind = "RelationalDatabase"

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        name = inputs["relationalDatabaseName"]
        if known(name) and not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,253}[a-zA-Z0-9]", name):
            yield (
                "relationalDatabaseName",
                "must be of 2 to 255 letters, digits or hyphens, which neither begin nor end it",
            )

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region, blueprint = inputs["relationalDatabaseName"], inputs["region"], inputs["blueprintId"]
        doing = f"creating Lightsail Relational Database ({name})"
        api.validate(doing, "lightsail", "CreateRelationalDatabase", relationalDatabaseName=name,
                     relationalDatabaseBlueprintId=blueprint, relationalDatabaseBundleId=inputs["bundleId"],
                     masterDatabaseName=inputs["masterDatabaseName"],
                     masterUsername=inputs["masterUsername"])  # fmt: skip
        self.free(account, doing, name, region)
        cpus, memory, disk = bundle(doing, inputs["bundleId"], BUNDLE, SIZES)
        if blueprint not in BLUEPRINTS:
            text = f"A database blueprint with id {blueprint} does not exist; there are {', '.join(BLUEPRINTS)}"
            raise refusal(doing, "InvalidInputException", text)
        engine, version = BLUEPRINTS[blueprint]
        zone = inputs.get("availabilityZone") or catalog.zones(region)[0]
        check_zone(doing, zone, region)
        engines.check_names(doing, engine, inputs["masterUsername"], inputs["masterDatabaseName"])
        engines.check_password(doing, engine, inputs["masterPassword"])
        database = databases.create(
            account,
            engine="postgresql" if engine == "postgres" else "mysql",
            master_user=inputs["masterUsername"],
            master_password=inputs["masterPassword"],
            databases=[inputs["masterDatabaseName"]],
            max_connections=int(memory * 2**30 // (9531392 if engine == "postgres" else 12582880)),
            public=inputs["publiclyAccessible"],
        )
        attributes = {
            **self.public(inputs),
            **self.described(name, region),
            "applyImmediately": inputs.get("applyImmediately", False),
            "availabilityZone": zone,
            "secondaryAvailabilityZone": "",
            "caCertificateIdentifier": "rds-ca-rsa2048-g1",
            "cpuCount": cpus,
            "ramSize": memory,
            "diskSize": disk,
            "createdAt": now(),
            "engine": engine,
            "engineVersion": version,
            "preferredBackupWindow": inputs.get("preferredBackupWindow", "03:00-03:30"),
            "preferredMaintenanceWindow": inputs.get("preferredMaintenanceWindow", "sun:04:00-sun:04:30"),
            "supportCode": "rig",
            "tagsAll": all_tags(inputs, call),
        }
        try:
            self.keep(account, name, region, attributes, database=database.name)
        except BaseException:
            databases.remove(account, database.name)
            raise
        found = self.found(account, name, account.thing(self.key(name, region)) or {}) or {}
        return name, {**inputs, **found}

    def found(self, account: Account, identity: str, thing: Mapping[str, Any]) -> Properties | None:
        database = databases.get(account, thing["database"])
        if database is None:
            return None
        address = database.public_address or database.address
        return {**thing["attributes"], "masterEndpointAddress": address, "masterEndpointPort": database.port}

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        if inputs["publiclyAccessible"] != thing["attributes"]["publiclyAccessible"]:
            raise RefusedError("this stand-in gives a Lightsail database its public address at its creation only")
        if inputs["masterPassword"] != state.get("masterPassword"):
            engine = thing["attributes"]["engine"]
            engines.check_password(
                f"updating Lightsail Relational Database ({call.id})", engine, inputs["masterPassword"]
            )
            databases.set_password(account, thing["database"], inputs["masterUsername"], inputs["masterPassword"])
        outputs = super().change(account, thing, state, inputs, call)
        return {
            **outputs,
            **(self.found(account, call.id, account.thing(self.key(call.id, thing["region"])) or {}) or {}),
        }

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        if not state.get("skipFinalSnapshot"):
            snapshot = state.get("finalSnapshotName")
            if not snapshot:
                text = "FinalRelationalDatabaseSnapshotName is required when a final snapshot is required"
                raise RefusedError(f"deleting Lightsail Relational Database ({call.id}): {text}")
            kept = {"cloud": "aws", "type": "aws:lightsail/databaseSnapshot:DatabaseSnapshot", "name": snapshot}
            account.put(f"lightsail/databaseSnapshot:{thing['region']}:{snapshot}",
                        {**kept, "region": thing["region"], "of": call.id, "attributes": {}})  # fmt: skip
        super().unmake(account, thing, state, call)
        databases.remove(account, thing["database"])
