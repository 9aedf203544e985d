"""The AWS stand-in's key pairs, instances, images and elastic addresses.

Sources: hashicorp/terraform-provider-aws, `internal/service/ec2/` ("TF", by file); the EC2 API reference, "Error codes
for the Amazon EC2 API" ("API"); the EC2 user guide ("guide"); moto's data of instance types, botocore's models.
"""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest

from .amazon import (
    DEBIAN,
    EIP,
    EIP_ASSOCIATION,
    GROUP,
    INSTANCE,
    KEY_PAIR,
    REGION,
    Amazon,
    image,
    public_key,
    refused,
)
from .clouds.aws import catalog
from .direct import CallFailedError
from .paper_cloud import PaperCloud
from .values import UNKNOWN

HOURS = {"ami": image(), "instanceType": "t3.micro"}


@pytest.fixture
def amazon() -> Amazon:
    return Amazon()


# -- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_keys_are_imported_by_name(paper: PaperCloud, amazon: Amazon, kind: str) -> None:
    """TF ec2_key_pair.go: the id is the name; guide, "Amazon EC2 key pairs": RSA and ED25519."""
    key = public_key(kind)
    it = amazon(KEY_PAIR, "deploy")
    identity, state = it.create(publicKey=key)
    assert identity == state["keyName"]
    assert (state["keyType"], state["publicKey"]) == (kind, key)
    assert it.diff(state, publicKey=public_key(kind)) == {"publicKey": "UPDATE_REPLACE"}


def test_a_key_is_refused_when_it_is_none_or_its_name_taken(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidKey.Format, InvalidKeyPair.Duplicate."""
    it = amazon(KEY_PAIR)
    for wrong in (public_key("ecdsa"), "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----"):
        assert "InvalidKey.Format" in refused(it, publicKey=wrong)
    it.create(publicKey=public_key(), keyName="mine")
    assert "The keypair 'mine' already exists" in refused(it, publicKey=public_key(), keyName="mine")
    it.create(publicKey=public_key(), keyName="mine", region="us-east-1")


# -- instances -----------------------------------------------------------------------------------------------------


def test_an_instance_is_made_from_the_very_user_data(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Run commands when you launch an EC2 instance" and "Default user names": `admin` on Debian."""
    key = public_key()
    name, _ = amazon(KEY_PAIR).create(publicKey=key)
    identity, state = amazon.instance(
        userData="#cloud-config\n{}\n", keyName=name, metadataOptions={"httpTokens": "required"}
    )
    (wishes,) = paper.wishes.values()
    assert (wishes["cloud"], wishes["user_data"], wishes["debian"]) == ("ec2", "#cloud-config\n{}\n", 13)
    assert (wishes["login"], wishes["public_keys"]) == ("admin", [key])
    told = wishes["metadata"]
    assert (told["instance_id"], told["http_tokens"], told["http_put_response_hop_limit"]) == (identity, "required", 1)
    assert (state["userData"], state["instanceState"]) == ("#cloud-config\n{}\n", "running")
    assert state["publicIp"] in paper.addresses
    assert state["rootBlockDevice"]["volumeType"] == "gp2"  # SDK: the image's, where none is given


def test_compressed_user_data_come_as_base64(paper: PaperCloud, amazon: Amazon) -> None:
    """SDK, user_data: "Do not pass gzip-compressed data via this argument; see user_data_base64"."""
    data = gzip.compress(b"#cloud-config\n{}\n")
    amazon.instance(userDataBase64=base64.b64encode(data).decode())
    assert next(iter(paper.wishes.values()))["user_data"] == data


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"userData": "x" * 16385}, "expected length to be in the range (0 - 16384)"),  # TF ec2_instance.go
        ({"userData": "ä" * 8193}, "got 16386"),  # bytes, not characters
        ({"userDataBase64": base64.b64encode(b"x" * 16385).decode()}, "limited to 16384 bytes"),  # API
        ({"userDataBase64": "no!"}, "must be base64-encoded"),  # TF
        ({"userData": "a", "userDataBase64": "YQ=="}, "conflicts"),  # TF ConflictsWith
        ({"instanceType": "t9.micro"}, "InstanceType"),  # botocore, enumeration
        ({"instanceType": "t1.micro"}, "Unsupported"),  # moto: not offered in this region
        ({"instanceType": "t4g.micro"}, "does not match the architecture 'x86_64'"),  # API, InvalidParameterValue
        ({"ami": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"ami": "debian-13"}, "InvalidAMIID.Malformed"),
        ({"ami": image(region="us-east-1")}, "InvalidAMIID.NotFound"),  # an image has an id in each region
        ({"keyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"subnetId": "subnet-0nowhere"}, "InvalidSubnetID.NotFound"),
        ({"vpcSecurityGroupIds": ["sg-0nowhere"]}, "InvalidGroup.NotFound"),
        ({"availabilityZone": "eu-central-1z"}, "Invalid availability zone"),
        ({"metadataOptions": {"httpTokens": "yes"}}, "optional, required"),  # TF StringInSlice
        ({"metadataOptions": {"httpEndpoint": "on"}}, "enabled, disabled"),
        ({"metadataOptions": {"httpPutResponseHopLimit": 65}}, "in the range (1 - 64)"),
        ({"rootBlockDevice": {"volumeType": "gp9"}}, "gp3"),  # TF
        ({"rootBlockDevice": {"volumeSize": 4}}, "expect size >= 8GB"),  # API, InvalidBlockDeviceMapping
        ({"iamInstanceProfile": "admin"}, "would have no effect"),  # the stand-in's own: it has no IAM
        ({"instance_type": "t3.micro"}, "did you mean 'instanceType'"),  # SDK
    ],
)
def test_an_instance_is_refused(paper: PaperCloud, amazon: Amazon, wishes: dict[str, Any], text: str) -> None:
    assert text in refused(amazon(INSTANCE), **{**HOURS, **wishes})
    assert paper.empty


def test_image_and_type_are_wanted(paper: PaperCloud, amazon: Amazon) -> None:
    """TF ec2_instance.go: AtLeastOneOf."""
    assert "`ami,launchTemplate` must be specified" in refused(amazon(INSTANCE), instanceType="t3.micro")
    assert "`instanceType,launchTemplate`" in refused(amazon(INSTANCE), ami=image())


def test_user_data_of_exactly_the_limit_are_taken(paper: PaperCloud, amazon: Amazon) -> None:
    amazon.instance(userData="x" * 16384)
    assert len(paper.machines) == 1


def test_an_arm_image_fits_an_arm_type(paper: PaperCloud, amazon: Amazon) -> None:
    amazon.instance(ami=image("debian-13-arm64"), instanceType="t4g.micro")
    assert len(paper.machines) == 1


def test_ubuntu_has_its_own_user(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Default user names": `ubuntu`. (The rig boots a Debian in its place, and says so.)"""
    amazon.instance(ami=image("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64"))
    assert next(iter(paper.wishes.values()))["login"] == "ubuntu"


def test_what_replaces_an_instance_and_what_does_not(paper: PaperCloud, amazon: Amazon) -> None:
    """TF ec2_instance.go: ForceNew; user data replace only with user_data_replace_on_change."""
    it = amazon(INSTANCE)
    _, state = it.create(**HOURS, userData="one", rootBlockDevice={"encrypted": False, "volumeSize": 8})
    base = {**HOURS, "userData": "one", "rootBlockDevice": {"encrypted": False, "volumeSize": 8}}
    assert it.diff(state, **base) == {}
    for wishes, kinds in (
        ({"ami": image("debian-12-amd64")}, {"ami": "UPDATE_REPLACE"}),
        ({"keyName": "k"}, {"keyName": "ADD_REPLACE"}),
        ({"subnetId": "subnet-1"}, {"subnetId": "ADD_REPLACE"}),
        ({"instanceType": "t3.small"}, {"instanceType": "UPDATE"}),
        ({"userData": "two"}, {"userData": "UPDATE"}),
        ({"tags": {"a": "b"}}, {"tags": "ADD"}),
        ({"rootBlockDevice": {"encrypted": False, "volumeSize": 16}}, {"rootBlockDevice.volumeSize": "UPDATE"}),
        ({"rootBlockDevice": {"encrypted": True, "volumeSize": 8}}, {"rootBlockDevice.encrypted": "UPDATE_REPLACE"}),
    ):
        assert it.diff(state, **{**base, **wishes}) == kinds
    both = it.diff(state, **{**base, "userData": "two", "userDataReplaceOnChange": True})
    assert both["userData"] == "UPDATE_REPLACE"


def test_a_preview_does_not_know_addresses(paper: PaperCloud, amazon: Amazon) -> None:
    _, planned = amazon(INSTANCE).create(preview=True, **HOURS, rootBlockDevice={"encrypted": True})
    assert {planned[name] for name in ("publicIp", "privateIp", "arn", "availabilityZone")} == {UNKNOWN}
    assert planned["rootBlockDevice"]["encrypted"] is True
    assert paper.empty


def test_another_type_stops_and_starts_and_the_lent_address_changes(paper: PaperCloud, amazon: Amazon) -> None:
    """TF: modifies instance_type on a stopped instance; guide, "Stop and start": it gets a new public IPv4 address."""
    identity, state = amazon.instance(userData="one")
    (machine,) = paper.machines
    after = amazon(INSTANCE).update(state, id=identity, **{**HOURS, "instanceType": "t3.small"}, userData="one")
    assert paper.events == [("stop", machine), ("start", machine)]
    assert after["instanceType"] == "t3.small"
    assert after["publicIp"] != state["publicIp"]
    assert paper.addresses == {after["publicIp"]: machine}
    assert after["arn"] == state["arn"]


def test_groups_and_metadata_options_change_without_a_stop(paper: PaperCloud, amazon: Amazon) -> None:
    """TF: ModifyInstanceAttribute, ModifyInstanceMetadataOptions."""
    identity, state = amazon.instance()
    group, _ = amazon(GROUP).create()
    amazon.rule(group, 22)
    options = {"httpTokens": "required", "httpPutResponseHopLimit": 2}
    after = amazon(INSTANCE).update(
        state, id=identity, **HOURS, vpcSecurityGroupIds=[group], metadataOptions=options, disableApiTermination=True
    )
    assert paper.events == []
    assert after["vpcSecurityGroupIds"] == [group]
    assert after["metadataOptions"]["httpEndpoint"] == "enabled"
    assert next(iter(paper.wishes.values()))["metadata"]["http_put_response_hop_limit"] == 2
    assert [opening.first_port for opening in next(iter(paper.filters.values()))[0] or ()] == [22]


def test_termination_protection_keeps_an_instance(paper: PaperCloud, amazon: Amazon) -> None:
    """API: OperationNotPermitted; SDK, force_destroy: "even if disable_api_termination ... is set"."""
    it = amazon(INSTANCE)
    identity, state = it.create(**HOURS, disableApiTermination=True)
    with pytest.raises(CallFailedError, match="OperationNotPermitted"):
        it.delete(state, id=identity)
    assert len(paper.machines) == 1
    state = it.update(state, id=identity, **HOURS, disableApiTermination=True, forceDestroy=True)
    it.delete(state, id=identity)
    assert paper.empty


def test_stop_protection_keeps_it_running(paper: PaperCloud, amazon: Amazon) -> None:
    """API: OperationNotPermitted, `disableApiStop`."""
    it = amazon(INSTANCE)
    identity, state = it.create(**HOURS, disableApiStop=True)
    with pytest.raises(CallFailedError, match="disableApiStop"):
        it.update(state, id=identity, **{**HOURS, "instanceType": "t3.small"}, disableApiStop=True)
    assert paper.events == []


def test_a_machine_that_went_away_is_gone_for_pulumi(paper: PaperCloud, amazon: Amazon) -> None:
    """TF: Read removes what is not found from the state."""
    identity, state = amazon.instance()
    assert amazon(INSTANCE).read(identity, state) == state
    (machine,) = paper.machines
    paper.stop(paper.account, machine)
    stopped = amazon(INSTANCE).read(identity, state) or {}
    assert (stopped["instanceState"], stopped["publicIp"]) == ("stopped", "")
    del paper.machines[machine]
    assert amazon(INSTANCE).read(identity, state) is None
    amazon(INSTANCE).delete(state, id=identity)


def test_an_existing_instance_can_be_read_by_its_id(paper: PaperCloud, amazon: Amazon) -> None:
    identity, state = amazon.instance(tags={"Name": "web"})
    found = amazon(INSTANCE).read(identity, {})
    assert found is not None
    assert {key: found[key] for key in ("ami", "privateIp", "tags")} == {
        key: state[key] for key in ("ami", "privateIp", "tags")
    }


# -- elastic addresses ---------------------------------------------------------------------------------------------


def test_an_elastic_address_takes_the_lent_ones_place(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Elastic IP addresses": the auto-assigned address is released; after disassociation comes a new one."""
    identity, state = amazon.instance()
    (machine,) = paper.machines
    allocation, address = amazon(EIP).create(domain="vpc")
    association, made = amazon(EIP_ASSOCIATION).create(allocationId=allocation, instanceId=identity)
    assert made["publicIp"] == address["publicIp"]
    now = amazon(INSTANCE).read(identity, state) or {}
    assert now["publicIp"] == address["publicIp"]
    assert [key for key, value in paper.addresses.items() if value == machine] == [address["publicIp"]]
    amazon(EIP_ASSOCIATION).delete(made, id=association)
    now = amazon(INSTANCE).read(identity, state) or {}
    assert now["publicIp"] not in ("", address["publicIp"])
    assert [key for key, value in paper.addresses.items() if value == machine] == [now["publicIp"]]


def test_a_second_association_moves_the_address_and_the_first_ones_end_does_nothing(
    paper: PaperCloud, amazon: Amazon
) -> None:
    """API AssociateAddress: "it is disassociated from that instance"; TF: InvalidAssociationID.NotFound is ignored."""
    old, _ = amazon.instance("old")
    new, _ = amazon.instance("new")
    allocation, address = amazon(EIP).create(domain="vpc")
    it = amazon(EIP_ASSOCIATION)
    first, made = it.create(allocationId=allocation, instanceId=old)
    assert it.diff(made, allocationId=allocation, instanceId=new) == {"instanceId": "UPDATE_REPLACE"}
    second, moved = it.create(allocationId=allocation, instanceId=new)
    assert it.read(first, made) is None
    it.delete(made, id=first)
    assert it.read(second, moved) == moved
    thing = paper.account.thing(new) or {}
    assert paper.addresses[address["publicIp"]] == thing["machine"]


def test_an_address_in_use_is_not_released_from_under_its_association(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidIPAddress.InUse; TF ec2_eip.go disassociates only what its own state knows of."""
    identity, _ = amazon.instance()
    allocation, state = amazon(EIP).create(domain="vpc")
    amazon(EIP_ASSOCIATION).create(allocationId=allocation, instanceId=identity)
    with pytest.raises(CallFailedError, match="InvalidIPAddress.InUse"):
        amazon(EIP).delete(state, id=allocation)
    refreshed = amazon(EIP).read(allocation, state) or {}
    assert refreshed["instance"] == identity
    amazon(EIP).delete(refreshed, id=allocation)
    assert state["publicIp"] not in paper.addresses


def test_associations_and_addresses_are_refused(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidAllocationID.NotFound, InvalidInstanceID.NotFound; TF: enum domain."""
    identity, _ = amazon.instance()
    allocation, _ = amazon(EIP).create(domain="vpc")
    text = refused(amazon(EIP_ASSOCIATION), allocationId="eipalloc-0nowhere", instanceId=identity)
    assert "InvalidAllocationID.NotFound" in text
    text = refused(amazon(EIP_ASSOCIATION), allocationId=allocation, instanceId="i-0nowhere")
    assert "InvalidInstanceID.NotFound" in text
    assert "expected to be one of vpc" in refused(amazon(EIP), domain="internet")


# -- images and types ----------------------------------------------------------------------------------------------


def test_the_newest_of_an_owners_images_is_found(amazon: Amazon) -> None:
    """TF ec2_ami_data_source.go; wiki.debian.org/Cloud/AmazonEC2Image: owner and names."""
    found = amazon.ask("ec2/getAmi:getAmi", owners=[catalog.DEBIAN], mostRecent=True, filters=DEBIAN)
    assert found["id"] == image()
    assert (found["architecture"], found["rootDeviceName"]) == ("x86_64", "/dev/xvda")
    arm = [{"name": "architecture", "values": ["arm64"]}, {"name": "name", "values": ["debian-13-*"]}]
    found = amazon.ask("ec2/getAmi:getAmi", owners=[catalog.DEBIAN], mostRecent=True, filters=arm)
    assert found["id"] == image("debian-13-arm64")
    assert amazon.ask("ec2/getAmi:getAmi", owners=[catalog.DEBIAN], filters=DEBIAN, nameRegex="2299$")["id"] == image()


def test_images_are_not_guessed(amazon: Amazon) -> None:
    """TF ec2_ami_data_source.go: none, several, and any owner's newest are errors."""
    with pytest.raises(CallFailedError, match="Your query returned no results"):
        amazon.ask("ec2/getAmi:getAmi", owners=["self"], mostRecent=True)
    with pytest.raises(CallFailedError, match="more than one result"):
        amazon.ask("ec2/getAmi:getAmi", owners=[catalog.DEBIAN], filters=DEBIAN)
    with pytest.raises(CallFailedError, match="not filtered by owner or image ID"):
        amazon.ask("ec2/getAmi:getAmi", mostRecent=True, filters=DEBIAN)
    assert amazon.ask("ec2/getAmi:getAmi", mostRecent=True, filters=DEBIAN, allowUnsafeFilter=True)["id"] == image()


def test_public_parameters_name_the_newest_images(amazon: Amazon) -> None:
    """wiki.debian.org/Cloud/AmazonEC2Image; documentation.ubuntu.com/aws, "Finding images with SSM"."""
    name = "/aws/service/debian/release/13/latest/amd64"
    assert amazon.ask("ssm/getParameter:getParameter", name=name)["value"] == image()
    name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
    found = amazon.ask("ssm/getParameter:getParameter", name=name)["value"]
    assert found == image("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64")
    with pytest.raises(CallFailedError, match="couldn't find resource"):
        amazon.ask("ssm/getParameter:getParameter", name="/aws/service/debian/release/99/latest/amd64")


def test_an_instance_type_tells_its_architecture_and_memory(amazon: Amazon) -> None:
    """moto: what DescribeInstanceTypes answers."""
    small = amazon.ask("ec2/getInstanceType:getInstanceType", instanceType="t4g.nano")
    assert (small["supportedArchitectures"], small["memorySize"], small["defaultVcpus"]) == (["arm64"], 512, 2)
    with pytest.raises(CallFailedError, match="InvalidInstanceType"):
        amazon.ask("ec2/getInstanceType:getInstanceType", instanceType="t9.nano")
    offers = amazon.ask(
        "ec2/getInstanceTypeOfferings:getInstanceTypeOfferings",
        locationType="availability-zone",
        filters=[{"name": "instance-type", "values": ["t3.micro"]}],
    )
    assert offers["locations"] == list(catalog.zones(REGION))


def test_who_and_where(amazon: Amazon) -> None:
    assert amazon.ask("index/getRegion:getRegion")["region"] == REGION
    assert amazon.ask("index/getCallerIdentity:getCallerIdentity")["accountId"] == "123456789012"
    assert amazon.ask("index/getAvailabilityZones:getAvailabilityZones")["names"] == list(catalog.zones(REGION))
    with pytest.raises(CallFailedError, match="no AWS Region"):
        amazon.ask("index/getRegion:getRegion", region="eu-nowhere-1")
