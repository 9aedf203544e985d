"""The stand-in's Linodes and reserved IPs against the plug-in's source and the reference of the API.

Sources: linode/terraform-provider-linode ("TF", by file or page), techdocs.akamai.com/linode-api ("API", by
operation), techdocs.akamai.com/cloud-computing ("docs"), linode/manager.
"""

from __future__ import annotations

from typing import Any

import pytest

from .clouds import linode
from .clouds.linode import service
from .direct import CallFailedError, Direct
from .linodes import INSTANCE, KEY, VERSION, LinodeOf, instance, metadata, with_token
from .paper_cloud import PaperCloud
from .values import UNKNOWN


@pytest.fixture
def linodes() -> LinodeOf:
    """The types of one plug-in with a token."""
    return with_token()


def machine_of(paper: PaperCloud, identity: str) -> str:
    thing = paper.account.thing(identity)
    assert thing is not None
    return str(thing["machine"])


# -- credentials -------------------------------------------------------------------------------------------------------


def test_a_preview_needs_no_token_and_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF framework_provider_config.go: a client is made without a token; a preview makes no request."""
    for name in ("LINODE_TOKEN", "SLIPWAY_RIG_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    identity, outputs = Direct(linode.provider(VERSION), service.INSTANCE).create(preview=True, **INSTANCE)
    assert (identity, outputs["ipAddress"], outputs["label"]) == ("", UNKNOWN, "web")


def test_a_token_comes_from_the_variable_or_the_configuration(
    paper: PaperCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TF framework_provider_config.go: LINODE_TOKEN; the API's 401: "Invalid Token"."""
    monkeypatch.delenv("LINODE_TOKEN", raising=False)
    it = Direct(linode.provider(VERSION), service.INSTANCE)
    with pytest.raises(CallFailedError, match=r"Error creating a Linode Instance: \[401\] Invalid Token.*LINODE_TOKEN"):
        it.create(**INSTANCE)
    monkeypatch.setenv("LINODE_TOKEN", "test")
    it.create(**INSTANCE)
    monkeypatch.delenv("LINODE_TOKEN")
    assert it.configure(token="test") == {}
    it.create(**{**INSTANCE, "label": "web2"})


# -- Linodes -----------------------------------------------------------------------------------------------------------


def test_a_linode_boots_from_its_decoded_user_data_with_its_keys_for_root(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK: `metadatas[].user_data` is base64; `authorized_keys` are "for the root user"."""
    wish = {"metadatas": metadata("#cloud-config\n{}"), "interfaceGeneration": "legacy_config"}
    identity, outputs = instance(linodes, **wish, tags=["shop"])
    (wishes,) = paper.wishes.values()
    assert (wishes["user_data"], wishes["login"], wishes["public_keys"]) == ("#cloud-config\n{}", "root", [KEY])
    assert (wishes["hostname"], wishes["debian"], wishes["cloud"]) == ("web", 13, "linode")
    assert wishes["metadata"] == {
        "instance_id": identity, "label": "web", "region": "us-east", "type": "g6-nanode-1",
        "image": "linode/debian13", "tags": ["shop"],
    }  # fmt: skip
    assert paper.addresses == {outputs["ipAddress"]: machine_of(paper, identity)}
    assert (outputs["ipv4s"], outputs["status"], outputs["hasUserData"]) == ([outputs["ipAddress"]], "running", True)
    assert "privateIpAddress" not in outputs


def test_a_private_address_is_told_only_if_it_was_asked_for(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK, `private_ip`: "It can be enabled on an existing Linode but it can't be disabled"."""
    it = linodes(service.INSTANCE)
    identity, state = it.create(**INSTANCE)
    enabled = it.update(state, id=identity, **INSTANCE, privateIp=True)
    assert enabled["privateIpAddress"] == paper.machines[machine_of(paper, identity)].address
    assert [event for event, _ in paper.events] == ["stop", "start"]
    with pytest.raises(CallFailedError, match="private_ip cannot be disabled"):
        it.update(enabled, id=identity, **INSTANCE, privateIp=False)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"region": "mars"}, r"\[region\] region is not valid"),
        ({"type": "g9-nanode-1"}, r"\[type\] A valid plan type by that ID was not found"),
        ({"image": "linode/debian7"}, r"\[image\] image is not valid"),
        ({"label": "-web"}, r"\[label\] Must begin with an alphanumeric"),  # API, `label` of a Linode
        ({"label": "web--1"}, r"\[label\] Cannot have two hyphens"),
        ({"label": "web shop"}, r"\[label\] Must begin with"),
        ({"metadatas": [{"userData": "#cloud-config"}]}, r"\[metadata.user_data\] Must be base64-encoded"),
        # API, Create a Linode: "Unencoded data must not exceed 65535 bytes, or about 16kb encoded": the smaller
        ({"metadatas": metadata("#" * 16385)}, r"\[metadata.user_data\] Must not exceed 16384 bytes, is 16385"),
        # linode/manager, `us-den-edge-1`: no capability Metadata
        ({"metadatas": metadata("x"), "region": "us-den-edge-1"}, r"\[metadata\] Metadata is not available in the reg"),
        # API, images: `capabilities` without cloud-init
        ({"metadatas": metadata("x"), "image": "linode/arch"}, r"\[metadata\] Metadata needs an image with cloud-init"),
        ({"authorizedKeys": [KEY + "\n"]}, r"\[authorized_keys\] SSH Key 1 is not a valid key"),  # TF: `chomp`
        ({"authorizedKeys": ["somebody"]}, r"\[authorized_keys\] SSH Key 1 is not a valid key"),
        ({"authorizedKeys": []}, r"\[root_pass\] One of root_pass, authorized_keys"),  # SDK, `authorized_keys`
        ({"firewallId": 1}, r"\[firewall_id\] Firewall not found"),
        ({"ipv4s": ["203.0.113.200"]}, r"\[address\] 203.0.113.200 is not a reserved IP of this account"),
    ],
)
def test_the_api_refuses_what_it_does_not_have(
    paper: PaperCloud, linodes: LinodeOf, wishes: dict[str, Any], message: str
) -> None:
    """The sources stand with the cases; none of these is seen in a preview."""
    linodes(service.INSTANCE).create(preview=True, **{**INSTANCE, **wishes})
    with pytest.raises(CallFailedError, match=rf"Error creating a Linode Instance: \[400\] {message}"):
        instance(linodes, **wishes)
    assert paper.empty


def test_user_data_of_exactly_16_kib_pass(paper: PaperCloud, linodes: LinodeOf) -> None:
    """API, Create a Linode: see above."""
    instance(linodes, metadatas=metadata("#" * 16384))


def test_labels_are_unique_and_made_when_absent(paper: PaperCloud, linodes: LinodeOf) -> None:
    """API, Create a Linode: "If not provided, the API generates one"; labels of Linodes are unique."""
    instance(linodes)
    with pytest.raises(CallFailedError, match=r"\[400\] \[label\] Label must be unique"):
        instance(linodes)
    without = {name: value for name, value in INSTANCE.items() if name != "label"}
    identity, made = linodes(service.INSTANCE).create(**without)
    assert made["label"] == f"linode{identity}"


def test_the_plug_in_refuses_in_a_preview(linodes: LinodeOf) -> None:
    """TF instance/schema_resource.go: lengths, `StringInSlice`, `RequiredWith`; what would have no effect here."""
    it = linodes(service.INSTANCE)
    wishes = {
        "label": "ab", "rootPass": "short", "migrationType": "hot", "diskEncryption": "yes",
        "interfaceGeneration": "legacy",
    }  # fmt: skip
    assert sorted(it.check(**{**INSTANCE, **wishes})[1]) == sorted(wishes)
    without = {name: value for name, value in INSTANCE.items() if name != "image"}
    assert "`image` must be specified" in it.check(**without)[1]["authorizedKeys"]
    assert "no effect" in it.check(**INSTANCE, stackscriptId=1)[1]["stackscriptId"]
    assert "did you mean 'metadatas'" in it.check(**INSTANCE, metadata=[])[1]["metadata"]


def test_what_the_rig_cannot_make_is_refused_as_that(paper: PaperCloud, linodes: LinodeOf) -> None:
    """The rig's own limits, told apart from the API's refusals."""
    with pytest.raises(CallFailedError, match="rig boots Debian only"):
        instance(linodes, image="linode/ubuntu24.04")
    without = {name: value for name, value in INSTANCE.items() if name not in ("image", "authorizedKeys")}
    with pytest.raises(CallFailedError, match="from an image only"):
        linodes(service.INSTANCE).create(**without)
    with pytest.raises(CallFailedError, match="no Linode interfaces: set interface_generation to legacy_config"):
        instance(linodes, interfaceGeneration="linode")


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"image": "linode/debian12"}, True),
        ({"metadatas": metadata("x")}, True),
        ({"authorizedKeys": []}, True),
        ({"firewallId": 1}, True),
        ({"interfaceGeneration": "linode"}, True),
        ({"label": "other"}, False),
        ({"type": "g6-standard-1"}, False),
        ({"tags": ["x"]}, False),
        ({"booted": False}, False),
    ],
)
def test_what_replaces_a_linode(paper: PaperCloud, linodes: LinodeOf, change: dict[str, Any], replaces: bool) -> None:
    """TF instance/schema_resource.go: what is ForceNew."""
    it = linodes(service.INSTANCE)
    _, state = it.create(**INSTANCE)
    (kind,) = {kind.endswith("_REPLACE") for kind in it.diff(state, **{**INSTANCE, **change}).values()}
    assert kind is replaces


def test_a_linode_grows_by_a_reboot_and_does_not_shrink(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF instance/schema_resource.go, `downsizeFailedMessage`."""
    it = linodes(service.INSTANCE)
    identity, state = it.create(**INSTANCE)
    grown = it.update(state, id=identity, **{**INSTANCE, "type": "g6-standard-2"})
    assert [event for event, _ in paper.events] == ["stop", "start"]
    assert (grown["type"], grown["specs"][0]["memory"]) == ("g6-standard-2", 4096)
    with pytest.raises(CallFailedError, match="did you try to resize a linode"):
        it.update(grown, id=identity, **INSTANCE)
    with pytest.raises(CallFailedError, match="does not migrate"):
        it.update(state, id=identity, **{**INSTANCE, "region": "eu-west", "type": "g6-standard-2"})


def test_booted_says_whether_it_runs(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK, `booted`: "If false, the instance will be shutdown"."""
    it = linodes(service.INSTANCE)
    identity, state = it.create(**INSTANCE, booted=False)
    assert (state["status"], state["booted"]) == ("offline", False)
    assert it.update(state, id=identity, **INSTANCE, booted=True)["status"] == "running"


def test_a_refresh_sees_what_was_changed_and_deleted_behind_pulumis_back(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF instance/resource.go, `readResource`: a 404 removes it from the state; other attributes are read."""
    it = linodes(service.INSTANCE)
    identity, state = it.create(**INSTANCE)
    assert it.read(identity, state) == state
    paper.stop(paper.account, machine_of(paper, identity))
    seen = it.read(identity, state)
    assert seen is not None
    assert seen["status"] == "offline"
    paper.account.drop(identity)
    assert it.read(identity, state) is None


def test_a_linode_goes_with_its_own_address(paper: PaperCloud, linodes: LinodeOf) -> None:
    """API, "Delete a Linode": its addresses are released."""
    it = linodes(service.INSTANCE)
    identity, state = it.create(**INSTANCE)
    it.delete(state, identity)
    assert paper.empty
    it.delete(state, identity)  # what is gone is no error


# -- reserved IPs ------------------------------------------------------------------------------------------------------


def given(linodes: LinodeOf, address: str, identity: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return linodes(service.RESERVED_IP_ASSIGNMENT).create(address=address, linodeId=int(identity), **more)


def test_a_reserved_ip_leads_nowhere_before_the_linode_is_rebooted(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF reserved_ip_assignment.md, `apply_immediately`: "the instance will be rebooted to update network interfaces";
    without it the running machine has not configured the address."""
    identity, _ = instance(linodes)
    address, reserved = linodes(service.RESERVED_IP).create(region="us-east")
    assert (reserved["address"], reserved["linodeId"], paper.addresses[address]) == (address, 0, "")
    _, state = given(linodes, address, identity)
    assert (state["assignedEntity"]["label"], paper.addresses[address]) == ("web", "")
    seen = linodes(service.INSTANCE).read(identity, {"label": "web"})
    assert seen is not None
    assert address in seen["ipv4s"]
    it = linodes(service.INSTANCE)
    it.update(seen, id=identity, **INSTANCE, booted=False)
    it.update(seen, id=identity, **INSTANCE, booted=True)
    assert paper.addresses[address] == machine_of(paper, identity)


def test_an_address_that_is_applied_immediately_costs_a_reboot(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF instancereservedipassignment/framework_resource.go: `FrameworkRebootInstance` of a running Linode."""
    identity, own = instance(linodes)
    address, _ = linodes(service.RESERVED_IP).create(region="us-east")
    given(linodes, address, identity, applyImmediately=True)
    assert [event for event, _ in paper.events] == ["stop", "start"]
    machine = machine_of(paper, identity)
    assert paper.addresses == {own["ipAddress"]: machine, address: machine}


def test_a_reserved_ip_can_be_the_linodes_own_from_the_beginning(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK, `ipv4s`: "A set of reserved IPv4 addresses to assign to this Linode on creation"."""
    address, _ = linodes(service.RESERVED_IP).create(region="us-east")
    identity, made = instance(linodes, ipv4s=[address])
    assert (made["ipAddress"], made["ipv4s"]) == (address, [address])
    assert paper.addresses == {address: machine_of(paper, identity)}
    linodes(service.INSTANCE).delete(made, identity)
    assert paper.addresses == {address: ""}


def test_an_address_moves_when_its_assignment_is_deleted_first(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF framework_schema.go: another Linode is another assignment. That an address which is another Linode's cannot
    be assigned is the strict side of what is not documented."""
    first, _ = instance(linodes)
    second, _ = instance(linodes, label="web2")
    address, reserved = linodes(service.RESERVED_IP).create(region="us-east")
    it = linodes(service.RESERVED_IP_ASSIGNMENT)
    identity, state = it.create(address=address, linodeId=int(first), applyImmediately=True)
    assert it.diff(state, address=address, linodeId=int(second), applyImmediately=True) == {
        "linodeId": "UPDATE_REPLACE"
    }
    with pytest.raises(CallFailedError, match=rf"Failed to assign reserved IP to instance: \[400\].*Linode {first}"):
        given(linodes, address, second)
    it.delete(state, identity)
    assert paper.addresses[address] == ""
    given(linodes, address, second, applyImmediately=True)
    assert paper.addresses[address] == machine_of(paper, second)
    seen = linodes(service.RESERVED_IP).read(address, reserved)
    assert seen is not None
    assert seen["linodeId"] == int(second)


def test_an_address_is_of_one_region_and_reserved(paper: PaperCloud, linodes: LinodeOf) -> None:
    """docs, Reserved IPs: "Because a reserved IP is bound to a specific datacenter, it can't be moved"."""
    identity, own = instance(linodes)
    address, _ = linodes(service.RESERVED_IP).create(region="eu-west")
    with pytest.raises(CallFailedError, match="The Linode is in us-east, the address in eu-west"):
        given(linodes, address, identity)
    with pytest.raises(CallFailedError, match="is not a reserved IP of this account"):
        given(linodes, own["ipAddress"], identity)
    with pytest.raises(CallFailedError, match=r"\[404\]"):
        given(linodes, address, "1")
    with pytest.raises(CallFailedError, match=r"\[region\] region is not valid"):
        linodes(service.RESERVED_IP).create(region="mars")


def test_a_linode_keeps_one_public_address(paper: PaperCloud, linodes: LinodeOf) -> None:
    """API, "Assign IP addresses": "All Linodes need to have at least one public IPv4 address assigned"."""
    address, _ = linodes(service.RESERVED_IP).create(region="us-east")
    identity, _ = instance(linodes, ipv4s=[address])
    with pytest.raises(CallFailedError, match="at least one public IPv4 address"):
        linodes(service.RESERVED_IP_ASSIGNMENT).delete({"address": address, "linodeId": int(identity)}, address)


def test_another_address_in_place_is_refused_as_it_would_do_nothing(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF framework_resource.go, `Update`: it looks at `rdns` only."""
    identity, _ = instance(linodes)
    it = linodes(service.RESERVED_IP)
    address, other = it.create(region="us-east")[0], it.create(region="us-east")[0]
    given_id, state = given(linodes, address, identity)
    it = linodes(service.RESERVED_IP_ASSIGNMENT)
    with pytest.raises(CallFailedError, match="replace_on_changes"):
        it.update(state, id=given_id, address=other, linodeId=int(identity))
    named = it.update(state, id=given_id, address=address, linodeId=int(identity), rdns="shop.example.org")
    assert named["rdns"] == "shop.example.org"
    assert "public" in it.check(address=address, linodeId=int(identity), public=False)[1]


def test_an_address_outlives_its_linode_and_a_refresh_sees_that(paper: PaperCloud, linodes: LinodeOf) -> None:
    """docs, Reserved IPs: "Keep the same address even if you delete the underlying Linode"."""
    identity, made = instance(linodes)
    it = linodes(service.RESERVED_IP)
    address, reserved = it.create(region="us-east", tags=["shop"])
    given_id, state = given(linodes, address, identity, applyImmediately=True)
    linodes(service.INSTANCE).delete(made, identity)
    seen = linodes(service.RESERVED_IP_ASSIGNMENT).read(given_id, state)
    assert seen is not None
    assert seen["linodeId"] == 0
    linodes(service.RESERVED_IP_ASSIGNMENT).delete(state, given_id)
    assert it.update(reserved, id=address, region="us-east", tags=["other"])["tags"] == ["other"]
    it.delete(reserved, address)
    assert it.read(address, reserved) is None
    assert linodes(service.RESERVED_IP_ASSIGNMENT).read(given_id, state) is None
    assert paper.empty


# -- keys and questions ------------------------------------------------------------------------------------------------


def test_a_key_of_the_profile_is_kept(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK, SshKey; API, "Add an SSH key"."""
    it = linodes(service.SSH_KEY)
    identity, state = it.create(label="deploy", sshKey=KEY)
    assert it.diff(state, label="deploy", sshKey="x") == {"sshKey": "UPDATE_REPLACE"}
    assert it.update(state, id=identity, label="other", sshKey=KEY)["label"] == "other"
    with pytest.raises(CallFailedError, match=r"Failed to create SSH Key: \[400\] \[ssh_key\]"):
        it.create(label="bad", sshKey="nothing")
    it.delete(state, identity)
    assert it.read(identity, state) is None


def test_questions_are_answered_by_the_catalogue(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK: the functions; an id that there is not: 404."""
    it = linodes(service.INSTANCE)

    def ask(name: str, **wishes: Any) -> dict[str, Any]:
        return it.invoke(f"linode:index/{name}:{name}", **wishes)

    assert "Metadata" in ask("getRegion", id="us-east")["capabilities"]
    assert ask("getInstanceType", id="g6-nanode-1")["memory"] == 1024
    assert ask("getImage", id="linode/debian13")["capabilities"] == ["cloud-init"]
    assert {"us-east", "eu-central"} <= {region["id"] for region in ask("getRegions")["regions"]}
    assert "g6-nanode-1" in {plan["id"] for plan in ask("getInstanceTypes")["types"]}
    assert "linode/debian13" in {image["id"] for image in ask("getImages")["images"]}
    assert "postgresql/17" in {engine["id"] for engine in ask("getDatabaseEngines")["engines"]}
    with pytest.raises(CallFailedError, match=r"\[404\]"):
        ask("getRegion", id="mars")
