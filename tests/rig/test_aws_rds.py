"""The AWS stand-in's databases.

Sources: hashicorp/terraform-provider-aws, `internal/service/rds/` ("TF", by file); the RDS API reference,
CreateDBInstance ("API"); the RDS user guide ("guide"); aws-cloudformation/cfn-lint #4425,
which tried names out ("cfn-lint").
"""

from __future__ import annotations

from typing import Any

import pytest

from .amazon import GATEWAY, GROUP, INSTANCE, REGION, ROUTE, Amazon, refused
from .direct import CallFailedError
from .paper_cloud import PaperCloud
from .values import UNKNOWN

DATABASE = "rds/instance:Instance"
PARAMETERS = "rds/parameterGroup:ParameterGroup"
SUBNETS = "rds/subnetGroup:SubnetGroup"
WISH = {
    "engine": "postgres",
    "engineVersion": "17",
    "instanceClass": "db.t4g.micro",
    "allocatedStorage": 20,
    "storageType": "gp3",
    "username": "slipway",
    "password": "Correct-Horse-1",
    "dbName": "app",
    "identifier": "data",
    "skipFinalSnapshot": True,
}
MYSQL = {**WISH, "engine": "mysql", "engineVersion": "8.4"}


@pytest.fixture
def amazon() -> Amazon:
    return Amazon()


def admitted(paper: PaperCloud) -> list[str]:
    """Whom the only server lets in."""
    (sources,) = paper.admitted.values()
    return sources


def test_an_instance_is_a_server_that_admits_nobody_outside_its_group(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Controlling access with security groups": where none is named, the default one, which admits itself."""
    identity, state = amazon(DATABASE).create(**WISH)
    (server,) = paper.databases.values()
    assert (identity, server.engine, server.public_address) == ("data", "postgresql", "")
    assert (state["address"], state["endpoint"], state["port"]) == (server.address, f"{server.address}:5432", 5432)
    assert paper.schemas[server.name] == ["app"]
    assert admitted(paper) == [server.address]
    assert (state["engineVersion"], state["engineVersionActual"]) == ("17", "17.7")
    assert (state["parameterGroupName"], state["caCertIdentifier"]) == ("default.postgres17", "rds-ca-rsa2048-g1")
    assert (state["publiclyAccessible"], state["backupRetentionPeriod"]) == (False, 0)  # TF: the defaults
    assert state["password"] not in paper.account.document.read_text()


def test_it_admits_the_members_of_the_granted_group_as_they_come_and_go(paper: PaperCloud, amazon: Amazon) -> None:
    """guide: a security group as the source."""
    web, _ = amazon(GROUP, "web").create()
    data, _ = amazon(GROUP, "data").create()
    amazon.rule(data, 5432, referencedSecurityGroupId=web)
    amazon.rule(data, 22)
    amazon(DATABASE).create(**WISH, vpcSecurityGroupIds=[data])
    assert admitted(paper) == []
    identity, state = amazon.instance(vpcSecurityGroupIds=[web])
    assert admitted(paper) == [state["privateIp"]]
    amazon(INSTANCE).delete(state, id=identity)
    assert admitted(paper) == []


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"engine": "mongodb"}, "Invalid DB engine: mongodb"),  # API, Engine
        ({"engineVersion": "99"}, "Cannot find version 99 for postgres"),
        ({"engineVersion": "17.99"}, "Cannot find version 17.99"),
        ({"instanceClass": "db.t9.micro"}, "Invalid DB Instance class: db.t9.micro"),
        ({"instanceClass": "t4g.micro"}, "Invalid DB Instance class"),
        ({"allocatedStorage": 19}, "Invalid storage size for engine name postgres and storage type gp3: 19"),  # guide
        ({"storageType": "gp9"}, "expected to be one of standard, gp2, gp3"),  # TF instance.go
        ({"maxAllocatedStorage": 21}, "at least 10%"),  # guide, "storage autoscaling"
        ({"password": "short-1"}, "shorter than 8"),  # API, MasterUserPassword
        ({"password": "x" * 129}, "longer than 128"),
        ({"password": "has a space"}, "Only printable ASCII"),
        ({"password": "a/slash-in-it"}, "Only printable ASCII"),
        ({"password": "an@sign-in-it"}, "Only printable ASCII"),
        ({"password": 'a"quote-in-it'}, "Only printable ASCII"),
        ({"password": "pässword"}, "Only printable ASCII"),
        ({"username": "admin"}, "reserved word"),  # cfn-lint
        ({"username": "rdsadmin"}, "reserved word"),
        ({"username": "pg_dba"}, "reserved word"),  # DataShades/ckan-aws-templates #6
        ({"username": "1st"}, "begin with a letter"),  # API, MasterUsername
        ({"username": "u" * 64}, "at most 63"),
        ({"dbName": "my-app"}, "DBName must begin with a letter"),  # API, DBName
        ({"dbName": "9app"}, "DBName must begin with a letter"),
        ({"identifier": "Data"}, "only lowercase alphanumeric"),  # TF validate.go, validIdentifier
        ({"identifier": "1data"}, "must be a letter"),
        ({"identifier": "da--ta"}, "two consecutive hyphens"),
        ({"identifier": "data-"}, "cannot end with a hyphen"),
        ({"identifier": "d" * 64}, "at most 63"),  # API, DBInstanceIdentifier
        ({"finalSnapshotIdentifier": "a--b"}, "single hyphens"),  # TF instance.go
        ({"backupRetentionPeriod": 36}, "between 0 and 35"),  # API, BackupRetentionPeriod
        ({"port": 80}, "between 1150 and 65535"),  # API, Port
        ({"caCertIdentifier": "rds-ca-2019"}, "CertificateNotFound"),
        ({"engineLifecycleSupport": "forever"}, "open-source-rds-extended-support-disabled"),  # API
        ({"enabledCloudwatchLogsExports": ["access"]}, "no log of any engine"),  # TF InstanceExportableLogType_Values
        ({"dbSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault"),
        ({"parameterGroupName": "nowhere"}, "DBParameterGroupNotFound"),
        ({"vpcSecurityGroupIds": ["sg-0nowhere"]}, "Invalid security group"),
        ({"availabilityZone": "eu-central-1z"}, "isn't covered by the DB subnet group"),
        ({"manageMasterUserPassword": True}, "would have no effect"),  # the stand-in's own: it has no Secrets Manager
        ({"engine_version": "17"}, "did you mean 'engineVersion'"),  # SDK
    ],
)
def test_an_instance_is_refused(paper: PaperCloud, amazon: Amazon, wishes: dict[str, Any], text: str) -> None:
    assert text in refused(amazon(DATABASE), **{**WISH, **wishes})
    assert paper.empty


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"password": "x" * 42}, "longer than 41"),  # API: MySQL 8 to 41
        ({"username": "u" * 17}, "at most 16"),
        ({"dbName": "mysql"}, "reserved word"),
        ({"engineVersion": "8.9"}, "Cannot find version 8.9 for mysql"),
    ],
)
def test_mysql_has_limits_of_its_own(paper: PaperCloud, amazon: Amazon, wishes: dict[str, Any], text: str) -> None:
    assert text in refused(amazon(DATABASE), **{**MYSQL, **wishes})


def test_mysql_admits_admin_and_a_password_of_41(paper: PaperCloud, amazon: Amazon) -> None:
    """cfn-lint: admin is reserved by PostgreSQL alone."""
    _, state = amazon(DATABASE).create(**{**MYSQL, "username": "admin", "password": "x" * 41})
    (server,) = paper.databases.values()
    assert (server.engine, state["port"], state["optionGroupName"]) == ("mysql", 3306, "default:mysql-8-4")


@pytest.mark.parametrize("missing", ["allocatedStorage", "engine", "password", "username"])
def test_what_is_required_is_told(paper: PaperCloud, amazon: Amazon, missing: str) -> None:
    """TF instance.go: `"%s": required field is not set`."""
    wish = {key: value for key, value in WISH.items() if key != missing}
    assert f'"{missing}": required field is not set' in refused(amazon(DATABASE), **wish)


def test_a_name_is_had_once(paper: PaperCloud, amazon: Amazon) -> None:
    """API: DBInstanceAlreadyExists. pulumi-aws resource_overrides.go: names made have seven digits, no hyphen."""
    amazon(DATABASE).create(**WISH)
    assert "DBInstanceAlreadyExists" in refused(amazon(DATABASE), **WISH)
    made, _ = amazon(DATABASE, "data").create(**{key: WISH[key] for key in WISH if key != "identifier"})
    assert made.startswith("data")
    assert len(made) == len("data") + 7


@pytest.mark.parametrize(
    ("engine", "version", "memory_class", "limit", "tls"),
    [
        ("postgres", "17", "db.t4g.micro", 112, True),  # guide: rds.force_ssl is 1 from 15 on
        ("postgres", "14", "db.t4g.small", 225, False),
        ("mysql", "8.4", "db.t4g.micro", 85, False),
    ],
)
def test_memory_and_version_decide_connections_and_tls(
    paper: PaperCloud, amazon: Amazon, engine: str, version: str, memory_class: str, limit: int, tls: bool
) -> None:
    """guide, "Maximum number of database connections": LEAST(memory/9531392, 5000), memory/12582880."""
    wish = {**WISH, "engine": engine, "engineVersion": version, "instanceClass": memory_class}
    amazon(DATABASE).create(**wish)
    (server,) = paper.databases.values()
    assert (server.max_connections, server.force_tls) == (limit, tls)


# -- deletion ------------------------------------------------------------------------------------------------------


def test_a_final_snapshot_needs_a_name(paper: PaperCloud, amazon: Amazon) -> None:
    """TF instance.go: required when skip_final_snapshot is false, which is the default."""
    it = amazon(DATABASE)
    wish = {key: WISH[key] for key in WISH if key != "skipFinalSnapshot"}
    identity, state = it.create(**wish)
    with pytest.raises(
        CallFailedError, match="final_snapshot_identifier is required when skip_final_snapshot is false"
    ):
        it.delete(state, id=identity)
    state = it.update(state, id=identity, **wish, finalSnapshotIdentifier="data-final")
    it.delete(state, id=identity)
    assert paper.databases == {}
    assert [thing["name"] for thing in paper.account.things().values()] == ["data-final"]
    identity, state = it.create(**wish, finalSnapshotIdentifier="data-final")
    with pytest.raises(CallFailedError, match="DBSnapshotAlreadyExists"):
        it.delete(state, id=identity)


def test_deletion_protection_keeps_it(paper: PaperCloud, amazon: Amazon) -> None:
    """API DeleteDBInstance: "Cannot delete protected DB Instance"."""
    it = amazon(DATABASE)
    identity, state = it.create(**WISH, deletionProtection=True)
    with pytest.raises(CallFailedError, match="disable deletion protection"):
        it.delete(state, id=identity)
    state = it.update(state, id=identity, **WISH)
    it.delete(state, id=identity)
    assert paper.empty


def test_one_that_went_away_is_gone_for_pulumi(paper: PaperCloud, amazon: Amazon) -> None:
    """TF: Read removes what is not found from the state; a password is in no answer and stays as it was."""
    it = amazon(DATABASE)
    identity, state = it.create(**WISH)
    assert it.read(identity, state) == state
    paper.databases.clear()
    assert it.read(identity, state) is None


# -- changes -------------------------------------------------------------------------------------------------------


def test_what_replaces_an_instance(paper: PaperCloud, amazon: Amazon) -> None:
    """TF instance.go: ForceNew."""
    it = amazon(DATABASE)
    _, state = it.create(**WISH)
    assert it.diff(state, **WISH) == {}
    for name, value in (("engine", "mysql"), ("username", "other"), ("dbName", "other"), ("identifier", "other")):
        assert it.diff(state, **{**WISH, name: value}) == {name: "UPDATE_REPLACE"}
    assert it.diff(state, **WISH, storageEncrypted=True) == {"storageEncrypted": "ADD_REPLACE"}
    for name, value in (("password", "Another-One-2"), ("instanceClass", "db.t4g.small"), ("allocatedStorage", 40)):
        assert it.diff(state, **{**WISH, name: value}) == {name: "UPDATE"}


def test_a_password_changes_at_once(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Settings for DB instances": the master password is applied immediately in any case."""
    it = amazon(DATABASE)
    identity, state = it.create(**WISH)
    it.update(state, id=identity, **{**WISH, "password": "Another-One-2"})
    assert list(paper.passwords.values()) == ["Another-One-2"]
    with pytest.raises(CallFailedError, match="shorter than 8"):
        it.update(state, id=identity, **{**WISH, "password": "short"})


def test_another_class_waits_for_the_maintenance_window_unless_asked_otherwise(
    paper: PaperCloud, amazon: Amazon
) -> None:
    """SDK, apply_immediately: "or during the next maintenance window. Default is false"."""
    it = amazon(DATABASE)
    identity, state = it.create(**WISH)
    larger = {**WISH, "instanceClass": "db.t4g.small"}
    assert it.update(state, id=identity, **larger)["instanceClass"] == "db.t4g.micro"
    assert it.update(state, id=identity, **larger, applyImmediately=True)["instanceClass"] == "db.t4g.small"


def test_storage_does_not_shrink_and_a_major_version_is_asked_for(paper: PaperCloud, amazon: Amazon) -> None:
    """API ModifyDBInstance: AllocatedStorage, AllowMajorVersionUpgrade."""
    it = amazon(DATABASE)
    identity, state = it.create(**{**WISH, "engineVersion": "16", "allocatedStorage": 40})
    with pytest.raises(CallFailedError, match="cannot be less than the current one"):
        it.update(state, id=identity, **{**WISH, "engineVersion": "16"})
    with pytest.raises(CallFailedError, match="AllowMajorVersionUpgrade flag must be present"):
        it.update(state, id=identity, **{**WISH, "allocatedStorage": 40})


def test_a_preview_does_not_know_the_address(paper: PaperCloud, amazon: Amazon) -> None:
    _, planned = amazon(DATABASE).create(preview=True, **WISH)
    assert {planned[name] for name in ("address", "endpoint", "port", "engineVersionActual")} == {UNKNOWN}


# -- subnets -------------------------------------------------------------------------------------------------------


def test_a_subnet_group_covers_two_zones(paper: PaperCloud, amazon: Amazon) -> None:
    """API: DBSubnetGroupDoesNotCoverEnoughAZs, InvalidSubnet, DBSubnetGroupAlreadyExists; TF validSubnetGroupName."""
    _, subnets = amazon.network()
    first, second = subnets.values()
    it = amazon(SUBNETS)
    assert "at least 2 AZs" in refused(it, subnetIds=[first])
    assert "InvalidSubnet" in refused(it, subnetIds=[first, "subnet-0nowhere"])
    assert "only lowercase" in refused(it, subnetIds=[first, second], name="Data")
    assert "only lowercase" in refused(it, subnetIds=[first, second], name="default")
    name, state = it.create(subnetIds=[first, second])
    assert it.diff(state, subnetIds=[second, first]) == {}
    assert "DBSubnetGroupAlreadyExists" in refused(it, subnetIds=[first, second], name=name)


def test_a_database_is_in_its_subnets_vpc_and_so_are_its_groups(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidParameterCombination, "are in different VPCs"; InvalidDBSubnetGroupStateFault."""
    vpc, subnets = amazon.network()
    name, group = amazon(SUBNETS).create(subnetIds=list(subnets.values()))
    elsewhere, _ = amazon(GROUP).create()
    wish = {**WISH, "dbSubnetGroupName": name}
    assert "are in different VPCs" in refused(amazon(DATABASE), **wish, vpcSecurityGroupIds=[elsewhere])
    here, _ = amazon(GROUP).create(vpcId=vpc)
    identity, state = amazon(DATABASE).create(**wish, vpcSecurityGroupIds=[here])
    assert state["dbSubnetGroupName"] == name
    with pytest.raises(CallFailedError, match="is still using it"):
        amazon(SUBNETS).delete(group, id=name)
    amazon(DATABASE).delete(state, id=identity)
    amazon(SUBNETS).delete(group, id=name)


def test_a_public_one_needs_a_way_to_the_internet(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidVPCNetworkStateFault; guide, "Hiding a DB instance in a VPC from the internet"."""
    vpc, subnets = amazon.network()
    name, _ = amazon(SUBNETS).create(subnetIds=list(subnets.values()))
    wish = {**WISH, "dbSubnetGroupName": name, "publiclyAccessible": True}
    assert "has no internet gateway attached" in refused(amazon(DATABASE), **wish)
    gateway, _ = amazon(GATEWAY).create(vpcId=vpc)
    table = amazon.ask("ec2/getVpc:getVpc", id=vpc)["mainRouteTableId"]
    amazon(ROUTE).create(routeTableId=table, destinationCidrBlock="0.0.0.0/0", gatewayId=gateway)
    _, state = amazon(DATABASE).create(**wish)
    (server,) = paper.databases.values()
    assert state["address"] == server.public_address != ""


# -- parameters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"family": "postgres99"}, "is not a valid parameter group family"),
        ({"name": "Mine"}, "only lowercase"),  # TF validParamGroupName
        ({"parameters": [{"name": "force_ssl", "value": "1"}]}, "Could not find parameter with name: force_ssl"),
        (
            {"parameters": [{"name": "max_connections", "value": "50"}]},
            "cannot use immediate apply method for static parameter",  # API ModifyDBParameterGroup
        ),
        ({"parameters": [{"name": "rds.force_ssl", "value": "1", "applyMethod": "soon"}]}, "Invalid apply method"),
        ({"parameters": [{"name": "rds.force_ssl"}]}, "required, and missing"),  # SDK
    ],
)
def test_a_parameter_group_is_refused(paper: PaperCloud, amazon: Amazon, wishes: dict[str, Any], text: str) -> None:
    assert text in refused(amazon(PARAMETERS), **{"family": "postgres17", **wishes})


def test_parameters_are_in_force_in_the_databases_that_have_the_group(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Working with parameter groups": dynamic ones at once, static ones after a restart."""
    it = amazon(PARAMETERS)
    name, group = it.create(
        family="postgres14",
        parameters=[
            {"name": "rds.force_ssl", "value": "1"},
            {"name": "max_connections", "value": "50", "applyMethod": "pending-reboot"},
        ],
    )
    amazon(DATABASE).create(**{**WISH, "engineVersion": "14"}, parameterGroupName=name)
    (server,) = paper.databases.values()
    assert (server.force_tls, server.max_connections) == (True, 50)
    it.update(group, id=name, family="postgres14", parameters=[{"name": "rds.force_ssl", "value": "0"}])
    (server,) = paper.databases.values()
    assert server.force_tls is False
    with pytest.raises(CallFailedError, match="still members of this parameter group"):
        it.delete(group, id=name)


def test_a_group_of_another_family_does_not_fit(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidParameterCombination."""
    name, _ = amazon(PARAMETERS).create(family="postgres16")
    text = refused(amazon(DATABASE), **WISH, parameterGroupName=name)
    assert "Please use a parameter group with DBParameterGroupFamily postgres17" in text


def test_another_apply_method_alone_is_no_difference(paper: PaperCloud, amazon: Amazon) -> None:
    """pulumi-aws, provider/pkg/rds/parameter_group.go; parameters are a set."""
    it = amazon(PARAMETERS)
    one, two = {"name": "work_mem", "value": "8192"}, {"name": "rds.force_ssl", "value": "1"}
    _, state = it.create(family="postgres17", parameters=[one, two])
    assert it.diff(state, family="postgres17", parameters=[two, {**one, "applyMethod": "pending-reboot"}]) == {}
    changed = it.diff(state, family="postgres17", parameters=[{**one, "value": "4096"}, two])
    assert changed == {"parameters[1].value": "UPDATE"}
    assert it.diff(state, family="postgres16", parameters=[one, two]) == {"family": "UPDATE_REPLACE"}


# -- versions ------------------------------------------------------------------------------------------------------


def test_a_version_is_found_by_its_major_one(amazon: Amazon) -> None:
    """TF engine_version_data_source.go: `latest`, `preferred_versions`, `default_only`; several are an error."""
    ask = "rds/getEngineVersion:getEngineVersion"
    found = amazon.ask(ask, engine="postgres", version="16", latest=True)
    assert (found["version"], found["parameterGroupFamily"]) == ("16.11", "postgres16")
    with pytest.raises(CallFailedError, match="multiple RDS engine versions"):
        amazon.ask(ask, engine="postgres", version="16")
    preferred = amazon.ask(ask, engine="mysql", preferredVersions=["9.9", "8.0.43", "8.4.5"])
    assert preferred["version"] == "8.0.43"
    assert amazon.ask(ask, engine="mysql", defaultOnly=True)["version"] == "8.4.7"
    with pytest.raises(CallFailedError, match="no RDS engine versions match"):
        amazon.ask(ask, engine="postgres", version="99")
    with pytest.raises(CallFailedError, match="no RDS engine versions match"):
        amazon.ask(ask, engine="mongodb")


def test_names_of_one_region_are_free_in_another(paper: PaperCloud, amazon: Amazon) -> None:
    amazon(PARAMETERS).create(family="postgres17", name="mine")
    _, state = amazon(PARAMETERS).create(family="postgres17", name="mine", region="us-east-1")
    assert state["arn"] == "arn:aws:rds:us-east-1:123456789012:pg:mine"
    assert REGION not in state["arn"]
