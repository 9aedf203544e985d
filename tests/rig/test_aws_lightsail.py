"""The AWS stand-in's Lightsail.

Sources: hashicorp/terraform-provider-aws, `internal/service/lightsail/` ("TF", by file); botocore's model of the
service ("API"); the Lightsail user guide ("guide"); the terraform documentation of the resources ("docs").
"""

from __future__ import annotations

from typing import Any

import pytest

from .amazon import REGION, Amazon, public_key, refused
from .clouds.network import Opening
from .direct import CallFailedError
from .paper_cloud import PaperCloud
from .values import UNKNOWN

INSTANCE = "lightsail/instance:Instance"
KEY_PAIR = "lightsail/keyPair:KeyPair"
PORTS = "lightsail/instancePublicPorts:InstancePublicPorts"
STATIC_IP = "lightsail/staticIp:StaticIp"
ATTACHMENT = "lightsail/staticIpAttachment:StaticIpAttachment"
DATABASE = "lightsail/database:Database"
WISH = {"availabilityZone": "eu-central-1a", "blueprintId": "debian_12", "bundleId": "nano_3_0", "name": "web"}
DATA = {
    "availabilityZone": "eu-central-1a",
    "blueprintId": "postgres_16",
    "bundleId": "micro_2_0",
    "masterDatabaseName": "app",
    "masterPassword": "Correct-Horse-1",
    "masterUsername": "slipway",
    "relationalDatabaseName": "data",
    "skipFinalSnapshot": True,
}


@pytest.fixture
def amazon() -> Amazon:
    return Amazon()


def port(first: int, **more: Any) -> dict[str, Any]:
    return {"protocol": "tcp", "fromPort": first, "toPort": first, **more}


def incoming(paper: PaperCloud) -> list[Opening]:
    """What the only machine lets in."""
    ((openings, _),) = paper.filters.values()
    return list(openings or ())


# -- instances -----------------------------------------------------------------------------------------------------


def test_an_instance_runs_one_line_of_shell_and_has_22_and_80_open(paper: PaperCloud, amazon: Amazon) -> None:
    """docs, `user_data`: "Single lined launch script"; guide, "Instance firewalls": 22 and 80, not 443."""
    key = public_key("rsa")
    name, _ = amazon(KEY_PAIR).create(publicKey=key)
    identity, state = amazon(INSTANCE).create(**WISH, keyPairName=name, userData="touch /root/ran")
    (wishes,) = paper.wishes.values()
    assert (wishes["cloud"], wishes["form"], wishes["user_data"]) == ("lightsail", "script", "touch /root/ran")
    assert (wishes["debian"], wishes["login"], wishes["public_keys"]) == (12, "admin", [key])
    anywhere = ("0.0.0.0/0",)
    assert incoming(paper) == [Opening("tcp", 22, 22, anywhere), Opening("tcp", 80, 80, anywhere)]
    assert (identity, state["username"], state["isStaticIp"]) == ("web", "admin", False)
    assert (state["cpuCount"], state["ramSize"]) == (2, 0.5)
    assert list(paper.addresses) == [state["publicIpAddress"]]


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"userData": "#!/bin/sh\ntouch /root/ran"}, "a single line of shell"),  # docs; provider-aws #20909
        ({"userData": "#cloud-config"}, "never cloud-config"),  # docs
        ({"blueprintId": "debian_99"}, "A blueprint with id debian_99 does not exist"),
        ({"bundleId": "nano_9_0"}, "A bundle with id nano_9_0 does not exist"),
        ({"bundleId": "tiny_3_0"}, "A bundle with id tiny_3_0 does not exist"),
        (
            {"availabilityZone": "us-east-1a"},
            "within the same region as provider region: eu-central-1",
        ),  # TF instance.go
        ({"availabilityZone": "eu-central-1z"}, "eu-central-1a, eu-central-1b, eu-central-1c"),
        ({"name": "-web"}, "must begin and end with an alphanumeric character"),  # TF instance.go
        ({"name": "web.example"}, "regular expression pattern"),  # API, ResourceName
        ({"keyPairName": "nobody"}, "The KeyPair does not exist: nobody"),
        ({"ipAddressType": "ipv5"}, "dualstack, ipv4, ipv6"),  # API, IpAddressType
        ({"region": "sa-east-1", "availabilityZone": "sa-east-1a"}, "Lightsail is not available in sa-east-1"),  # guide
        ({"userdata": "true"}, "did you mean 'userData'"),  # SDK
    ],
)
def test_an_instance_is_refused(paper: PaperCloud, amazon: Amazon, wishes: dict[str, Any], text: str) -> None:
    assert text in refused(amazon(INSTANCE), **{**WISH, **wishes})
    assert paper.empty


def test_everything_but_tags_replaces_an_instance(paper: PaperCloud, amazon: Amazon) -> None:
    """TF instance.go: ForceNew, user data included."""
    it = amazon(INSTANCE)
    identity, state = it.create(**WISH, userData="true")
    assert it.diff(state, **WISH, userData="true") == {}
    for name, value in (
        ("blueprintId", "debian_11"),
        ("bundleId", "micro_3_0"),
        ("userData", "false"),
        ("name", "web2"),
    ):
        assert it.diff(state, **{**WISH, "userData": "true", name: value}) == {name: "UPDATE_REPLACE"}
    assert it.diff(state, **WISH, userData="true", tags={"a": "b"}) == {"tags": "ADD"}
    after = it.update(state, id=identity, **WISH, userData="true", tags={"a": "b"})
    assert (after["tagsAll"], after["publicIpAddress"]) == ({"a": "b"}, state["publicIpAddress"])


def test_a_name_is_had_by_one_thing_of_a_region(paper: PaperCloud, amazon: Amazon) -> None:
    """guide: "Resource names must be unique within each AWS Region in your Lightsail account", of all kinds."""
    amazon(INSTANCE).create(**WISH)
    for kind, wishes in (
        (INSTANCE, WISH),
        (STATIC_IP, {"name": "web"}),
        (DATABASE, {**DATA, "relationalDatabaseName": "web"}),
    ):
        assert "Some names are already in use: web" in refused(amazon(kind), **wishes)
    amazon(STATIC_IP).create(name="web", region="us-east-1")


def test_keys_are_of_the_kind_rsa(paper: PaperCloud, amazon: Amazon) -> None:
    """API, ImportKeyPair: "A base64-encoded public key of the ssh-rsa type"."""
    it = amazon(KEY_PAIR)
    assert "ssh-rsa type" in refused(it, publicKey=public_key("ed25519"))
    assert "give the public key" in refused(it)
    _, state = it.create(publicKey=public_key("rsa"))
    assert it.diff(state, publicKey=public_key("rsa")) == {"publicKey": "UPDATE_REPLACE"}


def test_a_machine_that_went_away_is_gone_for_pulumi(paper: PaperCloud, amazon: Amazon) -> None:
    """TF instance.go: Read removes what is not found from the state."""
    identity, state = amazon(INSTANCE).create(**WISH)
    assert amazon(INSTANCE).read(identity, state) == state
    paper.machines.clear()
    assert amazon(INSTANCE).read(identity, state) is None


def test_a_preview_does_not_know_addresses(paper: PaperCloud, amazon: Amazon) -> None:
    _, planned = amazon(INSTANCE).create(preview=True, **WISH)
    assert {planned[name] for name in ("publicIpAddress", "privateIpAddress", "username")} == {UNKNOWN}
    assert paper.empty


# -- ports ---------------------------------------------------------------------------------------------------------


def test_the_list_of_ports_takes_the_place_of_what_was_open(paper: PaperCloud, amazon: Amazon) -> None:
    """TF instance_public_ports.go: PutInstancePublicPorts, which closes all others; open to everybody by default."""
    amazon(INSTANCE).create(**WISH)
    _, state = amazon(PORTS).create(instanceName="web", portInfos=[port(22, cidrs=["198.51.100.0/24"]), port(443)])
    assert incoming(paper) == [
        Opening("tcp", 22, 22, ("198.51.100.0/24",)),
        Opening("tcp", 443, 443, ("0.0.0.0/0",)),
    ]
    assert state["portInfos"][1]["cidrs"] == ["0.0.0.0/0"]


def test_any_other_port_replaces_the_list_and_the_old_ones_end_closes_what_both_have(
    paper: PaperCloud, amazon: Amazon
) -> None:
    """TF: ForceNew on port_info; Delete closes each port of its own list. Created first, deleted last: 22 is shut."""
    amazon(INSTANCE).create(**WISH)
    it = amazon(PORTS)
    old, first = it.create(instanceName="web", portInfos=[port(22), port(80)])
    wanted = [port(22), port(80), port(443)]
    assert it.diff(first, instanceName="web", portInfos=wanted) == {"portInfos[2]": "ADD_REPLACE"}
    new, second = it.create(instanceName="web", portInfos=wanted)
    it.delete(first, id=old)
    assert [opening.first_port for opening in incoming(paper)] == [443]
    refreshed = it.read(new, second) or {}
    assert [one["fromPort"] for one in refreshed["portInfos"]] == [443]


def test_ports_are_refused(paper: PaperCloud, amazon: Amazon) -> None:
    """TF: IntBetween, StringInSlice, MinItems; API: NotFoundException."""
    it = amazon(PORTS)
    assert "The Instance does not exist: web" in refused(it, instanceName="web", portInfos=[port(22)])
    assert "at least 1 item" in refused(it, instanceName="web", portInfos=[])
    assert "in the range (0 - 65535)" in refused(it, instanceName="web", portInfos=[port(65536)])
    assert "icmpv6" in refused(it, instanceName="web", portInfos=[port(22, protocol="sctp")])
    amazon(INSTANCE).create(**WISH)
    text = refused(it, instanceName="web", portInfos=[{**port(443), "toPort": 80}])
    assert "The port range 443-80 is invalid" in text


def test_ports_go_with_their_instance(paper: PaperCloud, amazon: Amazon) -> None:
    identity, state = amazon(INSTANCE).create(**WISH)
    ports, opened = amazon(PORTS).create(instanceName="web", portInfos=[port(443)])
    amazon(INSTANCE).delete(state, id=identity)
    assert amazon(PORTS).read(ports, opened) is None
    amazon(PORTS).delete(opened, id=ports)
    assert paper.empty


# -- static addresses ----------------------------------------------------------------------------------------------


def test_a_static_address_takes_the_place_of_the_lent_one(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Static IP addresses": it replaces the dynamic one while it is attached."""
    identity, state = amazon(INSTANCE).create(**WISH)
    (machine,) = paper.machines
    name, address = amazon(STATIC_IP).create()
    attachment, made = amazon(ATTACHMENT).create(instanceName="web", staticIpName=name)
    assert (attachment, made["ipAddress"]) == (name, address["ipAddress"])
    assert [key for key, value in paper.addresses.items() if value == machine] == [address["ipAddress"]]
    now = amazon(INSTANCE).read(identity, state) or {}
    assert (now["isStaticIp"], now["publicIpAddress"]) == (True, address["ipAddress"])
    amazon(ATTACHMENT).delete(made, id=attachment)
    assert [key for key, value in paper.addresses.items() if value == machine] == [state["publicIpAddress"]]
    assert amazon(ATTACHMENT).read(attachment, made) is None


def test_a_replaced_attachment_leaves_the_address_to_nobody_when_the_old_one_ends_last(
    paper: PaperCloud, amazon: Amazon
) -> None:
    """TF static_ip_attachment.go: the id is the address's name, and Delete detaches by that name."""
    amazon(INSTANCE).create(**WISH)
    amazon(INSTANCE).create(**{**WISH, "name": "web2"})
    name, address = amazon(STATIC_IP).create()
    it = amazon(ATTACHMENT)
    old, first = it.create(instanceName="web", staticIpName=name)
    assert it.diff(first, instanceName="web2", staticIpName=name) == {"instanceName": "UPDATE_REPLACE"}
    new, second = it.create(instanceName="web2", staticIpName=name)
    assert (it.read(new, second) or {})["instanceName"] == "web2"
    it.delete(first, id=old)
    assert paper.addresses[address["ipAddress"]] == ""
    assert it.read(new, second) is None


def test_an_attachment_is_refused(paper: PaperCloud, amazon: Amazon) -> None:
    """API AttachStaticIp: NotFoundException."""
    name, _ = amazon(STATIC_IP).create()
    text = refused(amazon(ATTACHMENT), instanceName="web", staticIpName=name)
    assert "The Instance does not exist: web" in text
    amazon(INSTANCE).create(**WISH)
    assert "The StaticIp does not exist" in refused(amazon(ATTACHMENT), instanceName="web", staticIpName="nowhere")
    assert "regular expression pattern" in refused(amazon(STATIC_IP), name="a.b")  # API, ResourceName


# -- databases -----------------------------------------------------------------------------------------------------


def test_a_database_admits_the_instances_of_its_region(paper: PaperCloud, amazon: Amazon) -> None:
    """API, publiclyAccessible: "available only to your Lightsail resources in the same region as your database"."""
    _, state = amazon(INSTANCE).create(**WISH)
    _, data = amazon(DATABASE).create(**DATA)
    amazon(INSTANCE).create(**{**WISH, "name": "far", "region": "us-east-1", "availabilityZone": "us-east-1a"})
    (sources,) = paper.admitted.values()
    assert sources == [state["privateIpAddress"]]
    (server,) = paper.databases.values()
    assert (server.engine, server.public_address, paper.schemas[server.name]) == ("postgresql", "", ["app"])
    assert (data["masterEndpointAddress"], data["masterEndpointPort"]) == (server.address, 5432)
    assert (data["engine"], data["engineVersion"]) == ("postgres", "16.11")
    amazon(INSTANCE).create(**{**WISH, "name": "more"})
    assert len(next(iter(paper.admitted.values()))) == 2
    assert DATA["masterPassword"] not in paper.account.document.read_text()


def test_a_public_database_admits_everybody(paper: PaperCloud, amazon: Amazon) -> None:
    """API, publiclyAccessible: "available to resources outside of your Lightsail account"."""
    _, data = amazon(DATABASE).create(**{**DATA, "publiclyAccessible": True})
    assert next(iter(paper.admitted.values())) == ["0.0.0.0/0"]
    assert data["masterEndpointAddress"].startswith("203.0.113.")


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"blueprintId": "postgres_99"}, "blueprint with id postgres_99 does not exist"),
        ({"bundleId": "nano_2_0"}, "A bundle with id nano_2_0 does not exist"),
        ({"bundleId": "micro_3_0"}, "A bundle with id micro_3_0 does not exist"),
        ({"masterPassword": "short"}, "shorter than 8"),  # API, masterUserPassword
        ({"masterPassword": "with/slash"}, "Only printable ASCII"),
        ({"masterUsername": "admin"}, "reserved word"),
        ({"masterDatabaseName": "my-app"}, "must begin with a letter"),  # API, masterDatabaseName
        ({"relationalDatabaseName": "a"}, "2 to 255"),  # API, relationalDatabaseName
        ({"relationalDatabaseName": "a_b"}, "2 to 255"),
    ],
)
def test_a_database_is_refused(paper: PaperCloud, amazon: Amazon, wishes: dict[str, Any], text: str) -> None:
    assert text in refused(amazon(DATABASE), **{**DATA, **wishes})
    assert paper.empty


def test_mysql_too(paper: PaperCloud, amazon: Amazon) -> None:
    wish = {**DATA, "blueprintId": "mysql_8_0", "bundleId": "micro_ha_2_0"}
    _, data = amazon(DATABASE).create(**wish)
    assert (data["engine"], next(iter(paper.databases.values())).engine) == ("mysql", "mysql")
    wrong = {**wish, "relationalDatabaseName": "more", "masterPassword": "x" * 42}
    assert "longer than 41" in refused(amazon(DATABASE), **wrong)


def test_a_final_snapshot_needs_a_name(paper: PaperCloud, amazon: Amazon) -> None:
    """TF database.go: FinalRelationalDatabaseSnapshotName is required when a final snapshot is required."""
    it = amazon(DATABASE)
    wish = {key: DATA[key] for key in DATA if key != "skipFinalSnapshot"}
    identity, state = it.create(**wish)
    with pytest.raises(CallFailedError, match="FinalRelationalDatabaseSnapshotName is required"):
        it.delete(state, id=identity)
    state = it.update(state, id=identity, **wish, finalSnapshotName="data-final")
    it.delete(state, id=identity)
    assert [thing["name"] for thing in paper.account.things().values()] == ["data-final"]


def test_a_password_is_changed_and_the_rest_replaces(paper: PaperCloud, amazon: Amazon) -> None:
    """TF database.go: ForceNew."""
    it = amazon(DATABASE)
    identity, state = it.create(**DATA)
    changed = {**DATA, "masterPassword": "Another-One-2"}
    assert it.diff(state, **changed) == {"masterPassword": "UPDATE"}
    assert it.update(state, id=identity, **changed)["masterPassword"] == "Another-One-2"
    assert list(paper.passwords.values()) == ["Another-One-2"]
    for name, value in (("bundleId", "small_2_0"), ("blueprintId", "postgres_15"), ("masterUsername", "other")):
        assert it.diff(state, **{**DATA, name: value}) == {name: "UPDATE_REPLACE"}
    assert it.read(identity, state) is not None
    paper.databases.clear()
    assert it.read(identity, state) is None
    assert REGION in state["arn"]
