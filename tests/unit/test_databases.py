"""What the databases ask of the engine: order, secretness, options; and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from pulumi_slipway import (
    DigitalOceanDatabase,
    LightsailDatabase,
    LinodeDatabase,
    OnServerDatabase,
    RdsDatabase,
)
from pulumi_slipway.databases import digitalocean, lightsail, rds
from pulumi_slipway.databases.authorities import authorities
from pulumi_slipway.servers.grantee import grantee
from tests.unit.cloud_databases import PEM, prepare_databases
from tests.unit.mocks import HOST, Engine, Recorder

Run = Callable[..., Recorder]


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """The engine, with what clouds add to resources of theirs."""
    prepare_databases(engine)
    return engine


def on_rds(**changes: Any) -> RdsDatabase:
    group = pulumi.CustomResource("test:index:Group", "group", {})
    admitted = group.id.apply(lambda known: grantee(security_group=known))
    return RdsDatabase("database", {"servers": [admitted], **changes})  # type: ignore[typeddict-item]


def on_digitalocean(**changes: Any) -> DigitalOceanDatabase:
    droplet = pulumi.CustomResource("test:index:Droplet", "droplet", {})
    admitted = droplet.id.apply(lambda known: grantee(droplet=known))
    return DigitalOceanDatabase("database", {"servers": [admitted], **changes})  # type: ignore[typeddict-item]


def on_lightsail(**changes: Any) -> LightsailDatabase:
    return LightsailDatabase("database", {**changes})  # type: ignore[typeddict-item]


def on_linode(**changes: Any) -> LinodeDatabase:
    servers = [grantee(address="192.0.2.7"), grantee(address="2001:db8::7")]
    return LinodeDatabase("database", {"servers": servers, **changes})  # type: ignore[typeddict-item]


def on_server(**changes: Any) -> OnServerDatabase:
    machine = pulumi.CustomResource("test:index:Machine", "machine", {})
    args = {"host": pulumi.Output.from_input(HOST), "private_key": "deploy-private", "machine": machine}
    return OnServerDatabase("database", {**args, **changes})  # type: ignore[typeddict-item]


MAKERS = {
    "rds": on_rds,
    "digitalocean": on_digitalocean,
    "lightsail": on_lightsail,
    "linode": on_linode,
    "onserver": on_server,
}
THE_DATABASE = {
    "rds": "database-instance",
    "digitalocean": "database-cluster",
    "lightsail": "database-database",
    "linode": "database-database",
}


def used(make: Callable[..., Any], seen: dict[str, Any] | None = None, **changes: Any) -> Callable[[], None]:
    """A program in which something uses the outputs of a database."""

    def program() -> None:
        made = make(**changes)
        inputs = {"database": made.database, "password": made.password, "url": made.url}
        pulumi.CustomResource("test:index:User", "user", inputs)
        if seen is not None:
            made.database.apply(seen.update)
            made.url.apply(lambda url: seen.update(url=url))

    return program


@pytest.mark.parametrize("kind", MAKERS)
def test_the_database_is_no_secret_but_its_password_and_url_are(run: Run, kind: str) -> None:
    recorder = run(used(MAKERS[kind]))
    assert not recorder.is_secret("user", "database")
    assert recorder.is_secret("user", "password")
    assert recorder.is_secret("user", "url")


@pytest.mark.parametrize("kind", MAKERS)
def test_passwords_are_secret_inputs_everywhere(run: Run, kind: str) -> None:
    recorder = run(used(MAKERS[kind]))
    for name in recorder.names:
        for key in recorder[name].object:
            text = str(recorder[name].object[key])
            if "planted" in text or "database-password-value" in text:
                assert recorder.is_secret(name, key), (name, key)


@pytest.mark.parametrize("kind", MAKERS)
def test_everything_belongs_to_the_component(run: Run, kind: str) -> None:
    recorder = run(used(MAKERS[kind]))
    for name in recorder.names - {"user", "group", "droplet", "machine", "database"}:
        if name.startswith("database-"):
            assert recorder[name].parent.endswith("::database"), name


@pytest.mark.parametrize("kind", THE_DATABASE)
def test_the_database_is_protected_unless_it_is_an_experiment(run: Run, kind: str) -> None:
    assert run(used(MAKERS[kind]))[THE_DATABASE[kind]].protect is True


def test_what_is_in_a_cluster_of_digitalocean_is_protected_like_the_cluster(run: Run) -> None:
    recorder = run(used(on_digitalocean, engine="mysql"))
    assert recorder["database-database"].protect is True
    assert recorder["database-user"].protect is True


def test_a_server_with_a_tag_is_admitted_by_it_so_that_its_next_generation_is_beside_it(run: Run) -> None:
    def program() -> None:
        DigitalOceanDatabase("database", {"servers": [grantee(droplet="400000001", tag="server-tag")]})

    (rule,) = run(program).input("database-firewall", "rules")
    assert (rule["type"], rule["value"]) == ("tag", "server-tag")


@pytest.mark.parametrize("kind", THE_DATABASE)
def test_an_experiment_is_not_protected(run: Run, kind: str) -> None:
    assert run(used(MAKERS[kind], experiment=True))[THE_DATABASE[kind]].protect is False


@pytest.mark.parametrize("kind", MAKERS)
def test_a_preview_needs_nothing_of_the_cloud(run: Run, kind: str, engine: Engine) -> None:
    engine.outputs = {token: known for token, known in engine.outputs.items() if token.startswith("command:")}
    recorder = run(used(MAKERS[kind]), preview=True)
    assert "user" in recorder.names


@pytest.mark.parametrize("kind", MAKERS)
def test_the_engine_is_known_before_the_database_is_there(run: Run, kind: str, engine: Engine) -> None:
    engine.outputs = {token: known for token, known in engine.outputs.items() if token.startswith("command:")}
    seen: list[str] = []
    run(lambda: MAKERS[kind]().database["engine"].apply(seen.append), preview=True)
    assert seen == ["postgresql"]


# --------------------------------------------------------------------------------------------------------------- RDS


def test_rds_is_private_encrypted_backed_up_and_takes_tls_only(run: Run) -> None:
    recorder = run(used(on_rds))
    instance = {key: recorder.input("database-instance", key) for key in recorder["database-instance"].object}
    assert instance["publiclyAccessible"] is False
    assert instance["storageEncrypted"] is True
    assert (instance["storageType"], instance["allocatedStorage"]) == ("gp3", 20)
    assert instance["backupRetentionPeriod"] == 7
    assert instance["deletionProtection"] is True
    assert instance["copyTagsToSnapshot"] is True
    assert instance["skipFinalSnapshot"] is False
    assert instance["finalSnapshotIdentifier"] == "slipway-dev-database-ab12cd-final"
    assert instance["caCertIdentifier"] == "rds-ca-rsa2048-g1"
    assert instance["engineLifecycleSupport"] == "open-source-rds-extended-support-disabled"
    assert instance["instanceClass"] == "db.t4g.micro"
    assert recorder.input("database-parameters", "family") == "postgres17"
    (parameter,) = recorder.input("database-parameters", "parameters")
    assert (parameter["name"], parameter["value"]) == ("rds.force_ssl", "1")


def test_rds_enforces_tls_with_mysql_too(run: Run) -> None:
    recorder = run(used(on_rds, engine="mysql"))
    assert recorder.input("database-instance", "engine") == "mysql"
    assert recorder.input("database-parameters", "family") == "mysql8.4"
    (parameter,) = recorder.input("database-parameters", "parameters")
    assert (parameter["name"], parameter["value"]) == ("require_secure_transport", "1")


def test_rds_is_of_a_major_version_and_goes_along_with_its_minor_ones(run: Run) -> None:
    """The plug-in compares the version that runs by the prefix that was asked for, so nothing has to be ignored: a
    change of the major version is not to be."""
    recorder = run(used(on_rds, version="16"))
    assert recorder.input("database-instance", "engineVersion") == "16"
    assert recorder.input("database-instance", "autoMinorVersionUpgrade") is True
    assert list(recorder["database-instance"].ignoreChanges) == []


def test_rds_admits_the_granted_servers_group_and_nothing_else(run: Run) -> None:
    recorder = run(used(on_rds))
    assert recorder.input("database-firewall-server-1", "referencedSecurityGroupId") == "group-id"
    assert recorder.input("database-firewall-server-1", "fromPort") == 5432
    assert recorder.input("database-firewall-server-1", "toPort") == 5432
    assert recorder.input("database-firewall", "vpcId") == "vpc-default"
    assert not {"ingress", "egress"} & set(recorder["database-firewall"].object)
    assert list(recorder.input("database-instance", "vpcSecurityGroupIds")) == ["database-firewall-id"]
    assert list(recorder.input("database-subnets", "subnetIds")) == ["subnet-a", "subnet-b"]


def test_who_uses_rds_waits_until_the_servers_may_connect(run: Run) -> None:
    recorder = run(used(on_rds))
    assert "database-instance" in recorder.depends_on("user")
    assert "database-firewall-server-1" in recorder.depends_on("user")
    assert {"database-subnets", "database-parameters", "database-firewall"} <= recorder.depends_on("database-instance")


def test_rds_may_be_in_a_vpc_of_one_s_own(run: Run) -> None:
    recorder = run(used(on_rds, subnet_ids=["subnet-01234567", "subnet-89abcdef"]))
    assert recorder.input("database-firewall", "vpcId") == "vpc-own"
    assert list(recorder.input("database-subnets", "subnetIds")) == ["subnet-01234567", "subnet-89abcdef"]


def test_an_experiment_on_rds_leaves_nothing(run: Run) -> None:
    recorder = run(used(on_rds, experiment=True))
    assert recorder.input("database-instance", "deletionProtection") is False
    assert recorder.input("database-instance", "skipFinalSnapshot") is True
    assert recorder.input("database-instance", "deleteAutomatedBackups") is True
    assert recorder.input("database-instance", "backupRetentionPeriod") == 0
    assert "finalSnapshotIdentifier" not in recorder["database-instance"].object


def test_rds_is_verified_by_the_authority_of_its_region_or_the_given_one(run: Run) -> None:
    seen: dict[str, Any] = {}
    run(used(on_rds, seen))
    assert seen["ca_certificate"] == authorities()["eu-central-1"]
    assert seen["host"] == "app.abc.eu-central-1.rds.amazonaws.com"
    assert seen["connections"] == 112
    assert seen["url"].endswith("@app.abc.eu-central-1.rds.amazonaws.com:5432/app?sslmode=verify-full")


def test_rds_takes_another_authority(run: Run) -> None:
    seen: dict[str, Any] = {}
    run(used(on_rds, seen, ca_certificate=PEM))
    assert seen["ca_certificate"] == PEM


def test_a_region_whose_authority_is_not_known_needs_it_given(run: Run, engine: Engine) -> None:
    engine.outputs["aws:rds/instance:Instance"]["arn"] = "arn:aws-cn:rds:cn-north-1:123456789012:db:app"
    with pytest.raises(Exception, match="ca_certificate: missing, and that of region 'cn-north-1'"):
        run(used(on_rds))


def test_a_server_that_rds_cannot_admit_is_told(run: Run) -> None:
    def program() -> None:
        RdsDatabase("database", {"servers": [grantee(droplet="7")]})

    with pytest.raises(Exception, match=r"servers\[0\]: has no security group of EC2"):
        run(program)


# ------------------------------------------------------------------------------------------------------ DigitalOcean


def test_a_cluster_of_digitalocean_is_private_and_trusts_the_granted_droplets_only(run: Run) -> None:
    seen: dict[str, Any] = {}
    recorder = run(used(on_digitalocean, seen))
    (rule,) = recorder.input("database-firewall", "rules")
    assert (rule["type"], rule["value"]) == ("droplet", "droplet-id")
    assert recorder.input("database-cluster", "engine") == "pg"
    assert recorder.input("database-cluster", "version") == "17"
    assert recorder.input("database-database", "name") == "app"
    assert {key: seen[key] for key in ("host", "port", "name", "user", "connections")} == {
        "host": "private-app.db.ondigitalocean.com",
        "port": 25060,
        "name": "app",
        "user": "doadmin",
        "connections": 22,
    }
    assert seen["ca_certificate"] == PEM
    assert {"database-firewall", "database-cluster", "database-database"} <= recorder.depends_on("user")
    assert list(recorder["database-cluster"].ignoreChanges) == [
        "storageSizeMib",
        "region",
        "projectId",
        "privateNetworkUuid",
    ]


def test_mysql_of_digitalocean_has_a_user_of_its_own(run: Run) -> None:
    seen: dict[str, Any] = {}
    recorder = run(used(on_digitalocean, seen, engine="mysql", user="guestbook"))
    assert (seen["user"], seen["connections"]) == ("guestbook", 75)
    assert "planted-user-password" in seen["url"]
    assert "database-database" in recorder.depends_on("database-user")


def test_a_server_that_digitalocean_cannot_admit_is_told(run: Run) -> None:
    def program() -> None:
        DigitalOceanDatabase("database", {"servers": [grantee(security_group="sg-1")]})

    with pytest.raises(Exception, match=r"servers\[0\]: is no droplet"):
        run(program)


# ----------------------------------------------------------------------------------------------- Lightsail and Linode


def test_a_database_of_lightsail_is_private_and_backed_up(run: Run) -> None:
    seen: dict[str, Any] = {}
    recorder = run(used(on_lightsail, seen))
    made = {key: recorder.input("database-database", key) for key in recorder["database-database"].object}
    assert (made["blueprintId"], made["bundleId"]) == ("postgres_16", "micro_2_0")
    assert made["publiclyAccessible"] is False
    assert made["backupRetentionEnabled"] is True
    assert (made["skipFinalSnapshot"], made["finalSnapshotName"]) == (False, "slipway-dev-database-ab12cd-final")
    assert seen["ca_certificate"] == authorities()["eu-central-1"]
    assert (seen["host"], seen["connections"]) == ("ls-app.abc.eu-central-1.rds.amazonaws.com", 112)


def test_an_experiment_on_lightsail_leaves_nothing(run: Run) -> None:
    recorder = run(used(on_lightsail, experiment=True, engine="mysql"))
    assert recorder.input("database-database", "blueprintId") == "mysql_8_0"
    assert recorder.input("database-database", "skipFinalSnapshot") is True
    assert "finalSnapshotName" not in recorder["database-database"].object


def test_a_database_of_linode_allows_the_machine_that_is_replaced_until_it_has_been(run: Run) -> None:
    def program() -> None:
        servers = [grantee(address="192.0.2.8", former="192.0.2.7"), grantee(address="192.0.2.9")]
        LinodeDatabase("database", {"servers": servers})  # type: ignore[typeddict-item]

    assert list(run(program).input("database-database", "allowLists")) == [
        "192.0.2.8/32",
        "192.0.2.9/32",
        "192.0.2.7/32",
    ]


def test_a_database_of_linode_allows_the_granted_servers_only(run: Run) -> None:
    seen: dict[str, Any] = {}
    recorder = run(used(on_linode, seen))
    assert list(recorder.input("database-database", "allowLists")) == ["192.0.2.7/32", "2001:db8::7/128"]
    assert recorder.input("database-database", "label") == "slipway-dev-database-ab12cd"
    assert recorder.input("database-database", "engineId") == "postgresql/17"
    assert {key: seen[key] for key in ("host", "port", "name", "user", "ca_certificate")} == {
        "host": "app.linodedb.net",
        "port": 24966,
        "name": "defaultdb",
        "user": "akmadmin",
        "ca_certificate": PEM,
    }
    assert list(recorder["database-database"].ignoreChanges) == ["updates", "region"]


# -------------------------------------------------------------------------------------------------------- on the server


def test_a_database_on_the_server_is_a_presence_after_the_agent(run: Run) -> None:
    seen: dict[str, Any] = {}
    recorder = run(used(on_server, seen, name="guestbook"))
    assert "database-agent" in recorder.depends_on("database-claim")
    assert "database-claim" in recorder.depends_on("user")
    assert list(recorder.input("database-claim", "triggers")) == ["machine-1", "postgresql/guestbook"]
    assert recorder["database-claim"].deletedWith.endswith("::machine")
    assert recorder.input("database-claim", "create").startswith("sudo -n /usr/local/lib/slipway/agent database ")
    assert recorder.input("database-claim", "delete").startswith("sudo -n /usr/local/lib/slipway/agent database-remove")
    assert recorder.is_secret("database-claim", "stdin")
    assert recorder.is_secret("database-claim", "connection")
    assert {key: seen[key] for key in ("host", "port", "user", "connections", "ca_certificate")} == {
        "host": "127.0.0.1",
        "port": 5432,
        "user": "guestbook",
        "connections": 48,
        "ca_certificate": "",
    }
    assert "sslmode" not in seen["url"]


@pytest.mark.parametrize(("experiment", "keeps"), [(False, True), (True, False)])
def test_rows_on_the_server_are_only_dropped_in_an_experiment(run: Run, experiment: bool, keeps: bool) -> None:
    recorder = run(used(on_server, experiment=experiment))
    document = json.loads(recorder.input("database-claim", "stdin"))
    assert document["keep_data"] is keeps
    assert document["password"] == "database-password-value"


def test_a_database_that_is_there_changes_nothing(run: Run, engine: Engine) -> None:
    there = run(used(on_server))
    assert json.loads(there.input("database-claim", "stdin"))["serial"] == 7


@pytest.mark.parametrize("kept", [False, True])
def test_a_database_that_is_gone_is_made_anew_and_told(
    run: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda message, *_: told.append(message))
    engine.observation = {"error": "", "present": False, "serial": 7, "kept": kept}
    gone = run(used(on_server))
    assert json.loads(gone.input("database-claim", "stdin"))["serial"] > 7
    assert any("made anew, without a row and a table" in message for message in told) is not kept


def test_a_server_that_cannot_be_asked_spoils_an_up(run: Run, engine: Engine) -> None:
    engine.observation = {"error": "10.1.2.3:22: timed out", "present": False, "serial": 0, "kept": False}
    with pytest.raises(Exception, match="postgresql/app: the server could not be observed: 10.1.2.3:22: timed out"):
        run(used(on_server))


def test_without_observing_no_server_is_asked(run: Run, engine: Engine) -> None:
    run(used(on_server, observe=False))
    assert engine.calls == []


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("rds", {"engine": "oracle"}, "engine: 'oracle' is not known here; take one of postgresql, mysql"),
        ("rds", {"version": "17.4"}, "version: '17.4' is no major version of postgresql; give one as 17"),
        ("rds", {"engine": "mysql", "version": "8"}, "version: '8' is no major version of mysql; give one as 8.4"),
        ("rds", {"size": "t4g.micro"}, "size: 't4g.micro' is no instance class of RDS; give one as db.t4g.micro"),
        ("rds", {"storage": 10}, "storage: 10 GiB are out of range; give 20 to 65536"),
        ("rds", {"backup_retention": 3}, "backup_retention: 3 days are out of range; give 7 to 35"),
        ("rds", {"backup_retention": 36, "experiment": True}, "backup_retention: 36 days are out of range"),
        ("rds", {"user": "admin"}, "user: 'admin' is reserved by database servers"),
        ("rds", {"user": "a_name_too_long_for_mysql"}, "user: .* cannot be used; give 1 to 16"),
        ("rds", {"name": "My-Database"}, "name: 'My-Database' cannot be used; give 1 to 31"),
        ("rds", {"subnet_ids": ["subnet-01234567"]}, "subnet_ids: RDS wants subnets in at least two"),
        ("rds", {"subnet_ids": ["a", "b"]}, r"subnet_ids\[0\]: 'a' is no id of a subnet"),
        ("rds", {"vpc_id": "vpc-1"}, "vpc_id: given without subnet_ids"),
        ("rds", {"ca_certificate": "nonsense"}, "ca_certificate: not a certificate in PEM"),
        ("rds", {"instance_class": "db.t4g.micro"}, "instance_class: unknown argument"),
        ("digitalocean", {"region": "Frankfurt"}, "region: 'Frankfurt' is no region of DigitalOcean; give one as fra1"),
        ("digitalocean", {"size": "s-1vcpu-1gb"}, "size: 's-1vcpu-1gb' is no size of database nodes"),
        ("digitalocean", {"size": "large"}, "size: 'large' is no size of database nodes; give one as db-s-1vcpu-1gb"),
        ("digitalocean", {"user": "app"}, "user: PostgreSQL on DigitalOcean is used by the cluster's doadmin"),
        ("digitalocean", {"servers": []}, "servers: none; a cluster without trusted sources admits everybody"),
        ("digitalocean", {"nodes": 4}, "nodes: 4 is out of range; give 1 to 3"),
        ("lightsail", {"size": "db.t4g.micro"}, "size: 'db.t4g.micro' is no bundle of Lightsail databases"),
        ("lightsail", {"availability_zone": "eu-central-1"}, "availability_zone: 'eu-central-1' is no availability"),
        ("lightsail", {"engine": "mariadb"}, "engine: 'mariadb' is not known here"),
        ("linode", {"name": "guestbook"}, "name: 'guestbook' cannot be made by Slipway on Linode; leave it out"),
        ("linode", {"size": "nanode"}, "size: 'nanode' is no type of Linode"),
        ("linode", {"engine": "mysql"}, "engine: 'mysql' is not known here; take one of postgresql"),
        ("onserver", {"engine": "mysql"}, "engine: 'mysql' is not known here; take one of postgresql, mariadb"),
        ("onserver", {"user": "postgres"}, "user: 'postgres' is reserved by database servers"),
        ("onserver", {"name": "1st"}, "name: '1st' cannot be used"),
    ],
)
def test_wrong_arguments_are_told_before_any_resource_is_made(run: Run, kind: str, changes: Any, message: str) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match=message):
            MAKERS[kind](**changes)

    assert [name for name in run(program).names if name.startswith("database")] == []


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (rds.connections("postgresql", "db.t4g.micro"), 112),
        (rds.connections("mysql", "db.t4g.micro"), 85),
        (rds.connections("postgresql", "db.m7g.large"), 901),
        (rds.connections("postgresql", "db.r6g.16xlarge"), 5000),
        (rds.connections("postgresql", "db.x2idn.16xlarge"), 0),
        (digitalocean.connections("postgresql", "db-s-2vcpu-4gb"), 97),
        (digitalocean.connections("mysql", "db-s-2vcpu-4gb"), 300),
        (lightsail.connections("mysql", "small_2_0"), 170),
        (lightsail.connections("postgresql", "medium_ha_2_0"), 450),
    ],
)
def test_the_connections_of_a_size_are_known(found: int, wanted: int) -> None:
    assert found == wanted
