"""RDS: database instances. An instance is a database server of the rig.

Sources: hashicorp/terraform-provider-aws, `internal/service/rds/{instance,validate}.go`
("TF": what is checked before a request, what replaces); the RDS API reference, CreateDBInstance ("API"); the RDS user
guide, "Quotas and constraints", "Working with parameter groups" ("guide").
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
from .common import all_tags, arn, known, new_id, refusal
from .engines import Parameters
from .places import Places
from .rds_groups import parameter_group_key, subnet_group_key, wrong_identifier
from .settling import SettledResource, groups_of

SNAPSHOT = "aws:rds/snapshot:Snapshot"
CERTIFICATES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")
LOGS = {"postgres": ("postgresql", "upgrade", "iam-db-auth-error"), "mysql": ("audit", "error", "general", "slowquery")}
_STORAGE = ("standard", "gp2", "gp3", "io1", "io2")
_SUPPORT = ("open-source-rds-extended-support", "open-source-rds-extended-support-disabled")
_DEFERRED = ("instanceClass", "engineVersion")
"""What changes in the next maintenance window only, unless applyImmediately is set."""


class Instance(SettledResource):
    """A database server."""

    takes = (
        "allocatedStorage", "allowMajorVersionUpgrade", "applyImmediately", "autoMinorVersionUpgrade",
        "availabilityZone", "backupRetentionPeriod", "backupWindow", "caCertIdentifier", "copyTagsToSnapshot",
        "dbName", "dbSubnetGroupName", "deleteAutomatedBackups", "deletionProtection", "enabledCloudwatchLogsExports",
        "engine", "engineLifecycleSupport", "engineVersion", "finalSnapshotIdentifier", "identifier", "instanceClass",
        "iops", "maintenanceWindow", "maxAllocatedStorage", "monitoringInterval", "multiAz", "parameterGroupName",
        "password", "performanceInsightsEnabled", "port", "publiclyAccessible", "region", "skipFinalSnapshot",
        "storageEncrypted", "storageThroughput", "storageType", "tags", "username", "vpcSecurityGroupIds",
    )  # fmt: skip
    defaults: ClassVar = {
        "autoMinorVersionUpgrade": True,
        "copyTagsToSnapshot": False,
        "deleteAutomatedBackups": True,
        "monitoringInterval": 0,
        "performanceInsightsEnabled": False,
        "publiclyAccessible": False,
        "skipFinalSnapshot": False,
    }
    autoname: ClassVar = {"identifier": 255}
    separator = ""
    replacing = ("availabilityZone", "dbName", "engine", "storageEncrypted", "username")
    unordered = ("enabledCloudwatchLogsExports", "vpcSecurityGroupIds")
    secret = ("password",)
    named = True

    def replacing_between(self, old: Properties, new: Properties) -> tuple[str, ...]:
        return (*self.replacing, "identifier", "region")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        identifier = inputs["identifier"]
        if known(identifier) and wrong_identifier(identifier):
            yield "identifier", wrong_identifier(identifier)
        snapshot = inputs.get("finalSnapshotIdentifier")
        if known(snapshot) and not re.fullmatch(r"[A-Za-z](?:-?[0-9A-Za-z]+)*", snapshot):
            yield (
                "finalSnapshotIdentifier",
                "must begin with a letter, and be of letters, digits and single hyphens",
            )
        if known(inputs.get("storageType")) and inputs["storageType"] not in _STORAGE:
            yield "storageType", f"expected to be one of {', '.join(_STORAGE)}, got {inputs['storageType']}"
        support = inputs.get("engineLifecycleSupport")
        if known(support) and support not in _SUPPORT:
            yield "engineLifecycleSupport", f"expected to be one of {', '.join(_SUPPORT)}, got {support}"
        if known(inputs.get("backupRetentionPeriod")) and not 0 <= inputs["backupRetentionPeriod"] <= 35:
            yield "backupRetentionPeriod", f"must be between 0 and 35, got {inputs['backupRetentionPeriod']}"
        for log in inputs.get("enabledCloudwatchLogsExports", []):
            if known(log) and not any(log in lists for lists in LOGS.values()):
                yield "enabledCloudwatchLogsExports", f"{log} is no log of any engine"

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region = inputs["identifier"], inputs["region"]
        doing = f"creating RDS DB Instance ({name})"
        for required in ("allocatedStorage", "engine", "password", "username"):
            if required not in inputs:
                raise RefusedError(f'{doing}: "{required}": required field is not set')
        version = engines.version(doing, inputs["engine"], inputs.get("engineVersion"))
        engines.check(doing, inputs)
        api.validate(doing, "rds", "CreateDBInstance", DBInstanceIdentifier=name, Engine=inputs["engine"],
                     DBInstanceClass=inputs["instanceClass"], AllocatedStorage=inputs["allocatedStorage"],
                     MasterUsername=inputs["username"], MasterUserPassword=inputs["password"])  # fmt: skip
        if account.thing(self.key(name, region)):
            raise refusal(doing, "DBInstanceAlreadyExists", "DB instance already exists")
        subnets, vpc = self._subnets(account, doing, inputs)
        zone = self._zone(doing, inputs, subnets)
        groups = self._groups(account, doing, inputs, vpc)
        parameters = self._parameters(account, doing, inputs, version)
        port = inputs.get("port", engines.PORTS[inputs["engine"]])
        call.log(
            f"the rig's own {'PostgreSQL' if inputs['engine'] == 'postgres' else 'MariaDB'} is in place of {version}"
        )
        database = databases.create(
            account,
            engine="postgresql" if inputs["engine"] == "postgres" else "mysql",
            master_user=inputs["username"],
            master_password=inputs["password"],
            databases=[inputs["dbName"]] if inputs.get("dbName") else [],
            port=port,
            public=inputs["publiclyAccessible"],
            sources=groups_of(account).sources(groups, region, port),
            **parameters.of_server(inputs["instanceClass"]),
        )
        attributes = {
            **self.public(inputs),
            **self._fixed(inputs, version, parameters.name, subnets, zone),
            "port": port,
            "tagsAll": all_tags(inputs, call),
        }
        owned = {"database": database.name, "groups": groups, "subnet": subnets["first"], "vpc": vpc}
        try:
            self.keep(account, name, region, attributes, **owned)
        except BaseException:
            databases.remove(account, database.name)
            raise
        thing = account.thing(self.key(name, region)) or {}
        return name, {**inputs, **(self.found(account, name, thing) or {})}

    def found(self, account: Account, identity: str, thing: Mapping[str, Any]) -> Properties | None:
        database = databases.get(account, thing["database"])
        if database is None:
            return None
        # The name in the real service's answer leads outside the VPC to the public address, inside it to the private.
        address = database.public_address or database.address
        return {
            **thing["attributes"],
            "address": address,
            "endpoint": f"{address}:{database.port}",
            "port": database.port,
            "vpcSecurityGroupIds": thing["groups"],
        }

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        name, old = call.id, thing["attributes"]
        doing = f"modifying RDS DB Instance ({name})"
        engines.check(doing, inputs)
        if inputs["allocatedStorage"] < old["allocatedStorage"]:
            raise refusal(
                doing, "InvalidParameterCombination", "Requested storage size cannot be less than the current one."
            )
        version = engines.version(doing, inputs["engine"], inputs.get("engineVersion"))
        before = old["engineVersionActual"]
        major = catalog.family(inputs["engine"], version) != catalog.family(inputs["engine"], before)
        if major and not inputs.get("allowMajorVersionUpgrade"):
            text = "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
            raise refusal(doing, "InvalidParameterCombination", text)
        if "vpcSecurityGroupIds" in inputs:
            thing["groups"] = self._groups(account, doing, inputs, thing["vpc"])
        parameters = self._parameters(account, doing, inputs, version)
        if parameters.name != old["parameterGroupName"]:  # in force at once where it may be, else after a restart
            databases.configure(account, thing["database"], **parameters.at_once().of_server(old["instanceClass"]))
        if inputs.get("password") != state.get("password"):
            databases.set_password(account, thing["database"], old["username"], inputs["password"])
        now = inputs.get("applyImmediately", False)
        waiting = {key: old[key] for key in _DEFERRED if not now and key in old}
        attributes = {**old, **self.public(inputs), "parameterGroupName": parameters.name, **waiting}
        attributes["engineVersionActual"] = version if now else before
        attributes["tagsAll"] = all_tags(inputs, call)
        for absent in ("tags", "finalSnapshotIdentifier", "deletionProtection"):
            if absent not in inputs:
                attributes.pop(absent, None)
        fresh = {**thing, "attributes": attributes}
        account.put(self.key(name, thing["region"]), fresh)
        return {**inputs, **(self.found(account, name, fresh) or {})}

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        doing, attributes = f"deleting RDS DB Instance ({call.id})", thing["attributes"]
        snapshot = state.get("finalSnapshotIdentifier")
        if not state.get("skipFinalSnapshot"):
            if not snapshot:
                raise RefusedError(f"{doing}: final_snapshot_identifier is required when skip_final_snapshot is false")
            if account.thing(f"rds:{thing['region']}:snapshot/{snapshot}"):
                text = f"Cannot create the snapshot because a snapshot with the identifier {snapshot} already exists."
                raise refusal(doing, "DBSnapshotAlreadyExists", text)
        if attributes.get("deletionProtection"):
            text = "Cannot delete protected DB Instance, please disable deletion protection and try again."
            raise refusal(doing, "InvalidParameterCombination", text)
        if not state.get("skipFinalSnapshot"):
            account.put(
                f"rds:{thing['region']}:snapshot/{snapshot}",
                {"cloud": "aws", "type": SNAPSHOT, "region": thing["region"], "name": snapshot, "of": call.id,
                 "attributes": {}},
            )  # fmt: skip
        super().unmake(account, thing, state, call)
        databases.remove(account, thing["database"])

    # -- parts of the request ----------------------------------------------------------------------------------

    def _subnets(self, account: Account, doing: str, inputs: Properties) -> tuple[dict[str, Any], str]:
        """Where it may be: the named group, or the default VPC; and the VPC."""
        there, region, wanted = Places.of(account), inputs["region"], inputs.get("dbSubnetGroupName")
        if not wanted:
            subnets = list(there.default_subnets(region))
            vpc, name = there.default_vpc(region)["id"], "default"
        else:
            group = account.thing(subnet_group_key(wanted, region))
            if group is None:
                raise refusal(doing, "DBSubnetGroupNotFoundFault", f"DBSubnetGroup '{wanted}' not found.")
            subnets = [there.subnets(region)[one] for one in group["attributes"]["subnetIds"]]
            vpc, name = group["attributes"]["vpcId"], wanted
        zones = {subnet["availabilityZone"]: subnet["id"] for subnet in subnets}
        if inputs["publiclyAccessible"] and not any(there.public(subnet) for subnet in subnets):
            text = f"Cannot create a publicly accessible DBInstance. The VPC {vpc} has no internet gateway attached."
            raise refusal(doing, "InvalidVPCNetworkStateFault", text)
        return {"name": name, "zones": zones, "first": subnets[0]["id"], "vpc": vpc}, vpc

    def _zone(self, doing: str, inputs: Properties, subnets: Mapping[str, Any]) -> str:
        zone = inputs.get("availabilityZone") or next(iter(subnets["zones"]))
        if zone not in subnets["zones"]:
            text = f"The requested Availability Zone {zone} isn't covered by the DB subnet group {subnets['name']}."
            raise refusal(doing, "InvalidParameterCombination", text)
        return str(zone)

    def _groups(self, account: Account, doing: str, inputs: Properties, vpc: str) -> list[str]:
        there = Places.of(account)
        default = there.vpcs(inputs["region"])[vpc]["defaultSecurityGroupId"]
        wanted = inputs.get("vpcSecurityGroupIds") or [default]
        for group in wanted:
            thing = account.thing(group) or {}
            if group != default and thing.get("type") != "aws:ec2/securityGroup:SecurityGroup":
                raise refusal(doing, "InvalidParameterValue", f"Invalid security group , groupId= {group}, groupName=.")
            if group != default and thing["attributes"]["vpcId"] != vpc:
                text = (
                    "The DB instance and EC2 security group are in different VPCs. The DB instance is in "
                    f"{vpc} and the EC2 security group is in {thing['attributes']['vpcId']}"
                )
                raise refusal(doing, "InvalidParameterCombination", text)
        return list(wanted)

    def _parameters(self, account: Account, doing: str, inputs: Properties, version: str) -> Parameters:
        family = catalog.family(inputs["engine"], version)
        name = inputs.get("parameterGroupName") or f"default.{family}"
        if name == f"default.{family}":
            return Parameters(name, family, ())
        group = account.thing(parameter_group_key(name, inputs["region"]))
        if group is None:
            raise refusal(doing, "DBParameterGroupNotFound", f"DBParameterGroup not found: {name}")
        if group["attributes"]["family"] != family:
            text = (
                f"The parameter group {name} with DBParameterGroupFamily {group['attributes']['family']} can't be used "
                f"for this instance. Please use a parameter group with DBParameterGroupFamily {family}."
            )
            raise refusal(doing, "InvalidParameterCombination", text)
        return Parameters.of(group["attributes"])

    def _fixed(
        self, inputs: Properties, version: str, parameters: str, subnets: Mapping[str, Any], zone: str
    ) -> Properties:
        """The outputs that only the service decides, and what it fills in."""
        family = catalog.family(inputs["engine"], version)
        major = family.removeprefix(inputs["engine"])
        kind = inputs.get("storageType", "gp2")
        return {
            "arn": arn("rds", inputs["region"], f"db:{inputs['identifier']}"),
            "availabilityZone": zone,
            "backupRetentionPeriod": inputs.get("backupRetentionPeriod", 0),
            "backupWindow": inputs.get("backupWindow", "03:00-03:30"),
            "backupTarget": "region",
            "caCertIdentifier": inputs.get("caCertIdentifier", CERTIFICATES[0]),
            "characterSetName": "",
            "databaseInsightsMode": "standard",
            "dbName": inputs.get("dbName", ""),
            "dbSubnetGroupName": subnets["name"],
            "engineLifecycleSupport": inputs.get("engineLifecycleSupport", _SUPPORT[0]),
            "engineVersion": inputs.get("engineVersion", version),
            "engineVersionActual": version,
            "hostedZoneId": "Z1RLNUO7B9Q6NB",
            "identifierPrefix": "",
            "iops": inputs.get("iops", 3000 if kind == "gp3" else 0),
            "kmsKeyId": arn("kms", inputs["region"], "key/rig") if inputs.get("storageEncrypted") else "",
            "latestRestorableTime": "",
            "licenseModel": "postgresql-license" if inputs["engine"] == "postgres" else "general-public-license",
            "listenerEndpoints": [],
            "maintenanceWindow": inputs.get("maintenanceWindow", "sun:04:00-sun:04:30").lower(),
            "masterUserSecrets": [],
            "monitoringRoleArn": "",
            "multiAz": inputs.get("multiAz", False),
            "networkType": "IPV4",
            "optionGroupName": f"default:{inputs['engine']}-{major.replace('.', '-')}",
            "parameterGroupName": parameters,
            "replicas": [],
            "resourceId": "db-" + new_id("x")[2:].upper(),
            "status": "available",
            "storageThroughput": inputs.get("storageThroughput", 125 if kind == "gp3" else 0),
            "storageType": kind,
            "timezone": "",
        }
