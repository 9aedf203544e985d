"""The stand-in's SSH keys and droplets against the plug-in's source, the API's description and its documentation.

Sources: digitalocean/terraform-provider-digitalocean ("TF", by file), digitalocean/openapi ("openapi", by file),
docs.digitalocean.com ("docs"), and what users report of the API's messages (by repository and number).
"""

from __future__ import annotations

from typing import Any

import pytest

from .clouds import digitalocean
from .clouds.account import CloudError
from .clouds.digitalocean import service
from .direct import CallFailedError, Direct
from .ocean import DROPLET, VERSION, OceanOf, droplet, public_key, with_token
from .paper_cloud import PaperCloud
from .values import UNKNOWN


@pytest.fixture
def ocean() -> OceanOf:
    """The types of one plug-in with a token."""
    return with_token()


# -- credentials -------------------------------------------------------------------------------------------------------


def test_a_preview_needs_no_token_and_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """facts, pulumi.md 10: "a preview ... makes no network request and needs no token"."""
    for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "SLIPWAY_RIG_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    it = Direct(digitalocean.provider(VERSION), service.DROPLET)
    identity, outputs = it.create(preview=True, **DROPLET)
    assert (identity, outputs["ipv4Address"], outputs["name"]) == ("", UNKNOWN, "web")


@pytest.mark.parametrize("variable", ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"])
def test_a_token_comes_from_either_variable_and_without_one_the_api_refuses(
    paper: PaperCloud, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """TF provider.go: `MultiEnvDefaultFunc`; the API's 401: "Unable to authenticate you"."""
    for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    it = Direct(digitalocean.provider(VERSION), service.SSH_KEY)
    with pytest.raises(CallFailedError, match=r"/v2/account/keys: 401 Unable to authenticate you.*DIGITALOCEAN_TOKEN"):
        it.create(name="deploy", publicKey=public_key())
    monkeypatch.setenv(variable, "dop_v1_test")
    it.create(name="deploy", publicKey=public_key())


def test_a_token_comes_from_the_configuration(paper: PaperCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """SDK: the provider's `token`."""
    for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    it = Direct(digitalocean.provider(VERSION), service.SSH_KEY)
    assert it.configure(token="dop_v1_test") == {}
    it.create(name="deploy", publicKey=public_key())
    assert "tokn" in it.configure(tokn="dop_v1_test")


def test_without_an_account_nothing_is_made(ocean: OceanOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rig's own rule."""
    monkeypatch.delenv("SLIPWAY_RIG_ACCOUNT", raising=False)
    with pytest.raises(CallFailedError, match="SLIPWAY_RIG_ACCOUNT"):
        ocean(service.SSH_KEY).create(name="deploy", publicKey=public_key())


# -- SSH keys ----------------------------------------------------------------------------------------------------------


def test_a_key_has_a_fingerprint_and_a_number(paper: PaperCloud, ocean: OceanOf) -> None:
    """SDK: `fingerprint`; TF resource_ssh_key.go: the id is a number."""
    identity, outputs = ocean(service.SSH_KEY).create(name="deploy", publicKey=public_key())
    assert identity.isdecimal()
    assert len(outputs["fingerprint"].split(":")) == 16


def test_the_same_key_cannot_be_added_twice(paper: PaperCloud, ocean: OceanOf) -> None:
    """The API's 422, as a tutorial of DigitalOcean shows it."""
    key = public_key()
    ocean(service.SSH_KEY).create(name="deploy", publicKey=key)
    with pytest.raises(CallFailedError, match="422 SSH Key is already in use on your account"):
        ocean(service.SSH_KEY).create(name="other", publicKey=key.replace("somebody", "somebody else"))


@pytest.mark.parametrize("text", ["ssh-ed25519", "ssh-ed25519 AAAA nobody", "ecdsa AAAAC3Nza", "-----BEGIN RSA"])
def test_what_is_no_public_key_is_refused(paper: PaperCloud, ocean: OceanOf, text: str) -> None:
    """The API's 422: "Key invalid, key should be of the format `type key [comment]`"."""
    with pytest.raises(CallFailedError, match="422 Key invalid"):
        ocean(service.SSH_KEY).create(name="deploy", publicKey=text)


def test_a_key_is_renamed_in_place_and_replaced_for_another_key(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_ssh_key.go: `public_key` is ForceNew, `name` is not."""
    it, key = ocean(service.SSH_KEY), public_key()
    identity, state = it.create(name="deploy", publicKey=key)
    assert it.diff(state, name="deploy", publicKey=public_key()) == {"publicKey": "UPDATE_REPLACE"}
    assert it.update(state, id=identity, name="new", publicKey=key)["name"] == "new"


def test_a_key_without_a_name_gets_one_of_the_resource(ocean: OceanOf) -> None:
    """The bridge's automatic names."""
    good = ocean(service.SSH_KEY).checked(publicKey="ssh-ed25519 AAAA")
    assert good["name"].startswith("it-")


# -- droplets ----------------------------------------------------------------------------------------------------------


def test_a_droplet_boots_from_the_very_user_data_with_its_keys_for_root(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi droplet_create.yml: keys go to "the Droplet's root account"; the name is its host name."""
    key = public_key()
    by_id, _ = ocean(service.SSH_KEY).create(name="deploy", publicKey=key)
    identity, outputs = droplet(ocean, sshKeys=[by_id], userData="#cloud-config\n{}", tags=["env:prod"])
    (wishes,) = paper.wishes.values()
    assert (wishes["user_data"], wishes["login"], wishes["public_keys"]) == ("#cloud-config\n{}", "root", [key.strip()])
    assert (wishes["hostname"], wishes["debian"], wishes["cloud"]) == ("web", 13, "digitalocean")
    assert wishes["metadata"] == {
        "instance_id": identity, "hostname": "web", "region": "nyc3", "image": "debian-13-x64", "tags": ["env:prod"],
    }  # fmt: skip
    assert paper.addresses == {outputs["ipv4Address"]: next(iter(paper.machines))}
    assert outputs["ipv4AddressPrivate"] == next(iter(paper.machines.values())).address
    assert (outputs["memory"], outputs["vcpus"], outputs["disk"], outputs["status"]) == (1024, 1, 25, "active")


def test_keys_can_be_told_by_fingerprint(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi droplet_create.yml: "the IDs or fingerprints of the SSH keys"."""
    _, key = ocean(service.SSH_KEY).create(name="deploy", publicKey=public_key())
    droplet(ocean, sshKeys=[key["fingerprint"]])
    assert [wishes["public_keys"] for wishes in paper.wishes.values()] == [[key["publicKey"].strip()]]


def test_a_droplet_without_a_key_is_made_and_its_password_mailed(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, doctl: "If you do not specify any SSH keys, we email a temporary password to your account's email"."""
    with_key, _ = ocean(service.SSH_KEY).create(name="deploy", publicKey=public_key())
    mailed, _ = droplet(ocean)
    not_mailed, _ = droplet(ocean, sshKeys=[with_key])
    things = paper.account.things(service.DROPLET)
    assert (things[mailed]["password_mailed"], things[not_mailed]["password_mailed"]) == (True, False)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"size": "s-3vcpu-1gb"}, "422 You specified an invalid size for Droplet creation."),  # TF issue #60
        ({"image": "debian-7-x64"}, "422 You specified an invalid image for Droplet creation."),  # TF #1035
        ({"region": "eu-west-1"}, "422 You specified an invalid region for Droplet creation."),
        ({"name": "my_web"}, r"422 Only valid hostname characters are allowed. \(a-z"),  # the API's message
        ({"name": "web-"}, "422 Only valid hostname characters"),  # openapi droplet_single_create.yml: pattern
        ({"sshKeys": ["12345"]}, "422 12345 are invalid key identifiers for Droplet creation."),
        ({"userData": "#" * 65537}, "422 User data is too large: 65537 bytes, the limit is 65536"),  # openapi
        ({"userData": "#!/bin/sh\x00"}, "422 User data must be plain text"),  # openapi droplet_create.yml
        ({"vpcUuid": "5a4981aa-9653-4bd1-bef5-d6bff52042e4"}, "422 Failed to resolve VPC"),
    ],
)
def test_the_api_refuses_what_it_does_not_have(
    paper: PaperCloud, ocean: OceanOf, wishes: dict[str, Any], message: str
) -> None:
    """The sources stand with the cases; none of these is seen in a preview (facts, pulumi.md 10)."""
    ocean(service.DROPLET).create(preview=True, **{**DROPLET, **wishes})
    with pytest.raises(CallFailedError, match=f"Error creating droplet: POST .*/v2/droplets: {message}"):
        droplet(ocean, **wishes)
    assert paper.empty


def test_user_data_of_exactly_64_kib_pass(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi droplet_create.yml: "may not exceed 64 KiB in size"."""
    droplet(ocean, userData="#" * 65536)


@pytest.mark.parametrize("name", ["image", "size", "name", "userData", "region"])
def test_the_plug_in_refuses_empty_text(ocean: OceanOf, name: str) -> None:
    """TF resource_droplet.go: `validation.NoZeroValues`; seen in a preview, as facts say of an empty size."""
    assert name in ocean(service.DROPLET).check(**{**DROPLET, name: ""})[1]


def test_the_plug_in_refuses_bad_tags_and_a_policy_without_backups(ocean: OceanOf) -> None:
    """TF tag/tags.go; resource_droplet.go: `errDropletBackupPolicy`."""
    it = ocean(service.DROPLET)
    assert "limit of 255" in it.check(**DROPLET, tags=["no blanks"])[1]["tags"]
    assert "backups are enabled" in it.check(**DROPLET, backupPolicy={"plan": "weekly"})[1]["backupPolicy"]


def test_arguments_that_do_not_exist_or_would_have_no_effect_are_refused(ocean: OceanOf) -> None:
    """SDK; the rig has no volumes."""
    it = ocean(service.DROPLET)
    assert "did you mean 'userData'" in it.check(**DROPLET, userdata="x")[1]["userdata"]
    assert "no effect" in it.check(**DROPLET, volumeIds=["x"])[1]["volumeIds"]


def test_an_image_that_the_rig_cannot_boot_is_refused_as_that(paper: PaperCloud, ocean: OceanOf) -> None:
    """The rig's own limit, told apart from the API's refusals."""
    with pytest.raises(CallFailedError, match="rig boots Debian only"):
        droplet(ocean, image="ubuntu-24-04-x64")


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"image": "debian-12-x64"}, True),
        ({"userData": "#cloud-config"}, True),
        ({"sshKeys": ["1"]}, True),
        ({"region": "ams3"}, True),
        ({"monitoring": True}, True),
        ({"name": "other"}, False),
        ({"size": "s-2vcpu-2gb"}, False),
        ({"tags": ["web"]}, False),
        ({"ipv6": True}, False),
        ({"gracefulShutdown": True}, False),
    ],
)
def test_what_replaces_a_droplet(paper: PaperCloud, ocean: OceanOf, change: dict[str, Any], replaces: bool) -> None:
    """TF resource_droplet.go: what is ForceNew."""
    it = ocean(service.DROPLET)
    _, state = it.create(**DROPLET)
    (kind,) = {kind.endswith("_REPLACE") for kind in it.diff(state, **{**DROPLET, **change}).values()}
    assert kind is replaces


def test_ipv6_cannot_be_switched_off_again(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_droplet.go, `CustomizeDiff`: ForceNewIfChange."""
    it = ocean(service.DROPLET)
    _, state = it.create(**DROPLET, ipv6=True)
    assert state["ipv6Address"].startswith("2001:db8:")
    assert it.diff(state, **DROPLET, ipv6=False) == {"ipv6": "UPDATE_REPLACE"}


def test_a_droplet_grows_by_a_restart_and_does_not_shrink(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_droplet.go: power off, resize, power on; docs: "Increasing a Droplet's disk size is permanent"."""
    it = ocean(service.DROPLET)
    identity, state = it.create(**DROPLET)
    grown = it.update(state, id=identity, **{**DROPLET, "size": "s-2vcpu-2gb"})
    assert [event for event, _ in paper.events] == ["stop", "start"]
    assert (grown["size"], grown["disk"], grown["ipv4Address"]) == ("s-2vcpu-2gb", 60, state["ipv4Address"])
    with pytest.raises(CallFailedError, match="422 This size is not available because it has a smaller disk"):
        it.update(grown, id=identity, **DROPLET)


def test_processors_alone_can_be_taken_back_if_the_disk_was_left(paper: PaperCloud, ocean: OceanOf) -> None:
    """SDK, `resize_disk`: "Increasing only RAM and CPU is reversible"."""
    it = ocean(service.DROPLET)
    identity, state = it.create(**DROPLET, resizeDisk=False)
    grown = it.update(state, id=identity, **{**DROPLET, "size": "s-2vcpu-2gb"}, resizeDisk=False)
    back = it.update(grown, id=identity, **DROPLET, resizeDisk=False)
    assert (grown["disk"], back["disk"], back["memory"]) == (25, 25, 1024)


def test_a_droplet_is_shut_down_before_it_goes_only_if_that_was_asked(paper: PaperCloud, ocean: OceanOf) -> None:
    """SDK: `graceful_shutdown`, "should be gracefully shut down before it is deleted"."""
    it = ocean(service.DROPLET)
    for graceful, events in ((True, ["stop", "remove"]), (False, ["remove"])):
        paper.events.clear()
        identity, state = it.create(**DROPLET, gracefulShutdown=graceful)
        it.delete(state, identity)
        assert [event for event, _ in paper.events] == events
    assert paper.empty


def test_a_failed_creation_leaves_nothing(paper: PaperCloud, ocean: OceanOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rig's own rule: nothing is left that nobody knows of."""
    monkeypatch.setattr("tests.rig.clouds.machines.create", failing)
    with pytest.raises(CallFailedError, match="does not boot"):
        droplet(ocean)
    assert paper.empty


def failing(*arguments: object, **wishes: object) -> None:
    raise CloudError("the machine does not boot")


def test_a_refresh_sees_what_was_changed_and_deleted_behind_pulumis_back(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_droplet.go: a 404 removes it from the state; other attributes are read."""
    it = ocean(service.DROPLET)
    identity, state = it.create(**DROPLET)
    assert it.read(identity, state) == state
    thing = paper.account.thing(identity)
    assert thing is not None
    paper.account.put(identity, {**thing, "name": "renamed"})
    seen = it.read(identity, state)
    assert seen is not None
    assert seen["name"] == "renamed"
    paper.account.drop(identity)
    assert it.read(identity, state) is None


def test_a_stopped_droplet_is_told_as_off(paper: PaperCloud, ocean: OceanOf) -> None:
    """SDK: `status`."""
    it = ocean(service.DROPLET)
    identity, state = it.create(**DROPLET)
    paper.stop(paper.account, next(iter(paper.machines)))
    seen = it.read(identity, state)
    assert seen is not None
    assert seen["status"] == "off"


# -- functions ---------------------------------------------------------------------------------------------------------


def test_functions_answer_by_the_catalogue_and_the_account(paper: PaperCloud, ocean: OceanOf) -> None:
    """SDK: getImage, getSizes, getRegion, getSshKey, getSshKeys."""
    it = ocean(service.SSH_KEY)
    identity, key = it.create(name="deploy", publicKey=public_key())
    image = it.invoke("digitalocean:index/getImage:getImage", slug="debian-13-x64")
    sizes = it.invoke(
        "digitalocean:index/getSizes:getSizes",
        filters=[{"key": "memory", "values": ["1024"]}, {"key": "slug", "values": ["amd"], "matchBy": "substring"}],
    )
    found = it.invoke("digitalocean:index/getSshKey:getSshKey", name="deploy")
    listed = it.invoke("digitalocean:index/getSshKeys:getSshKeys", filters=[{"key": "name", "values": ["other"]}])
    region = it.invoke("digitalocean:index/getRegion:getRegion", slug="nyc3")
    assert image["distribution"] == "Debian"
    assert [size["slug"] for size in sizes["sizes"]] == ["s-1vcpu-1gb-amd"]
    assert (str(found["id"]), found["fingerprint"]) == (identity, key["fingerprint"])
    assert listed["sshKeys"] == []
    assert "s-1vcpu-1gb" in region["sizes"]
    droplet(ocean, image=str(image["id"]))  # TF resource_droplet.go: the image may be told by its id


@pytest.mark.parametrize(
    ("name", "wishes"), [("getImage", {"slug": "debian-7"}), ("getSshKey", {"name": "x"}), ("getRegion", {"slug": "x"})]
)
def test_functions_refuse_what_is_not_there(
    paper: PaperCloud, ocean: OceanOf, name: str, wishes: dict[str, str]
) -> None:
    """The data sources of TF: errors."""
    with pytest.raises(CallFailedError, match="404"):
        ocean(service.SSH_KEY).invoke(f"digitalocean:index/{name}:{name}", **wishes)
