"""`Ec2Server`: what it asks of the engine."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from pulumi_slipway import Ec2Server
from pulumi_slipway.firewall import FirewallRule, rules_with
from pulumi_slipway.servers.ec2 import Ingress, ingress_rules
from pulumi_slipway.servers.images import architecture_of
from pulumi_slipway.servers.openings import openings
from tests.unit import cloud_servers
from tests.unit.cloud_servers import Run
from tests.unit.mocks import Engine

PROTECTED = {"server-address", "server-data", "server-protected"}
IGNORED = {"ami", "associatePublicIpAddress", "keyName", "subnetId", "userData", "userDataBase64"}


@pytest.fixture(autouse=True)
def cloud(engine: Engine) -> None:
    cloud_servers.prepare(engine)


def server(**args: Any) -> Ec2Server:
    return Ec2Server("server", args)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------- order


def test_each_step_waits_for_the_one_before(run: Run) -> None:
    recorder = run(server)
    cloud_servers.check_order(recorder)
    cloud_servers.check_ready_at(recorder, "198.51.100.7", "i-1")


def test_the_machine_is_made_once_its_firewall_is_there(run: Run) -> None:
    recorder = run(server)
    rules = {name for name in recorder.names if name.startswith("server-firewall-")}
    assert len(rules) == 8  # three ports and everything outwards, each for IPv4 and IPv6
    assert rules <= recorder.depends_on("server-machine-1")


def test_the_host_comes_last_and_holds_no_secret(run: Run) -> None:
    cloud_servers.check_host(run, server)


def test_a_preview_needs_no_output(run: Run) -> None:
    cloud_servers.check_preview(run, server, {"server-machine-1", "server-assignment", "server-arrive-1"})


# ----------------------------------------------------------------------------------------------------------- machine


def test_the_machine_is_hardened_from_the_start(run: Run) -> None:
    recorder = run(server)
    assert dict(recorder.input("server-machine-1", "metadataOptions")) == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    disk = dict(recorder.input("server-machine-1", "rootBlockDevice"))
    assert (disk["volumeType"], disk["volumeSize"], disk["encrypted"]) == ("gp3", 16, True)


def test_user_data_are_secret_and_no_private_key_is_in_clear(run: Run) -> None:
    recorder = run(server)
    assert recorder.is_secret("server-machine-1", "userData")
    assert recorder.input("server-machine-1", "userData").startswith("#cloud-config\n")
    cloud_servers.check_no_plain_secret(recorder)


def test_what_would_replace_the_machine_is_ignored(run: Run) -> None:
    assert set(run(server)["server-machine-1"].ignoreChanges) == IGNORED


def test_only_a_new_generation_is_a_new_machine(run: Run) -> None:
    cloud_servers.check_generation(
        run,
        lambda generation: server(generation=generation),
        {"server-firewall", "server-key", "server-address", "server-assignment", "server-data", "server-keys-deploy"},
    )


def test_the_address_moves_to_the_new_machine_before_it_is_taken_from_the_old(run: Run) -> None:
    recorder = run(server)
    # one association, replaced: made anew first, and then the old one, which is no more, is removed
    assert recorder.input("server-assignment", "allowReassociation") is True
    assert not recorder["server-assignment"].deleteBeforeReplace


def test_a_refresh_that_finds_the_static_address_on_the_machine_changes_nothing(run: Run, engine: Engine) -> None:
    cloud_servers.check_refreshed(run, engine, server, "aws:ec2/instance:Instance", "publicIp")


def test_data_and_address_are_protected_but_not_the_machine(run: Run) -> None:
    recorder = run(server)
    cloud_servers.check_protection(recorder, PROTECTED)
    # protected from others; the plug-in may end it, as it must when a new generation has taken its place
    assert recorder.input("server-machine-1", "disableApiTermination") is True
    assert recorder.input("server-machine-1", "forceDestroy") is True


def test_an_experiment_protects_nothing(run: Run) -> None:
    recorder = run(lambda: server(experiment=True))
    cloud_servers.check_protection(recorder, set())
    assert recorder.input("server-machine-1", "disableApiTermination") is False


def test_everything_has_a_name_and_the_tags_that_were_given(run: Run) -> None:
    recorder = run(lambda: server(tags={"team": "web"}))
    assert dict(recorder.input("server-machine-1", "tags")) == {"Name": "slipway-dev-server-1", "team": "web"}
    for name in ("server-firewall", "server-firewall-tcp-22-anywhere-ipv4", "server-key", "server-address"):
        assert dict(recorder.input(name, "tags")) == {"Name": "slipway-dev-server", "team": "web"}, name


# --------------------------------------------------------------------------------------------------------- image, VPC


@pytest.mark.parametrize(
    ("image", "architecture", "owner", "pattern"),
    [
        ("debian-13", "x86_64", "136693071363", "debian-13-amd64-*"),
        ("debian-12", "arm64", "136693071363", "debian-12-arm64-*"),
        ("ubuntu-24.04", "arm64", "099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*"),
    ],
)
def test_the_newest_image_is_looked_up_by_owner_name_and_the_types_architecture(
    run: Run, engine: Engine, image: str, architecture: str, owner: str, pattern: str
) -> None:
    engine.answers["aws:ec2/getInstanceType:getInstanceType"] = {"supportedArchitectures": [architecture]}
    recorder = run(lambda: server(image=image, instance_type="m7g.medium"))
    (call,) = [call for call in engine.calls if call.token == "aws:ec2/getAmi:getAmi"]
    assert call.args["owners"] == [owner]
    assert call.args["mostRecent"] is True
    filters = {entry["name"]: entry["values"] for entry in call.args["filters"]}
    assert filters["name"] == [pattern]
    assert filters["architecture"] == [architecture]
    assert recorder.input("server-machine-1", "ami") == "ami-0123456789abcdef0"


def test_a_type_of_another_architecture_is_told() -> None:
    with pytest.raises(ValueError, match="instance_type: 'mac1.metal' has the architecture x86_64_mac"):
        architecture_of("mac1.metal", ["x86_64_mac"])


def test_an_image_of_ones_own_is_not_looked_up(run: Run, engine: Engine) -> None:
    recorder = run(lambda: server(ami="ami-00000000000000001"))
    assert recorder.input("server-machine-1", "ami") == "ami-00000000000000001"
    assert {call.token for call in engine.calls} == {"aws:ec2/getVpc:getVpc"}


def test_the_security_group_goes_to_another_vpc_with_a_new_machine_only(
    run: Run, engine: Engine, warned: list[str]
) -> None:
    engine.stashed["server-vpc-1"] = "vpc-default"
    moved = pulumi.Output.from_input("subnet-1")
    recorder = run(lambda: server(subnet_id=moved))
    assert list(recorder["server-vpc-1"].ignoreChanges) == ["input"]
    assert recorder.input("server-firewall", "vpcId") == "vpc-default"
    seen: list[str] = []
    recorder = run(lambda: server(subnet_id=moved, generation=2).vpc_id.apply(seen.append))
    assert recorder.input("server-firewall", "vpcId") == "vpc-of-subnet"
    assert seen == ["vpc-of-subnet"]


def test_the_security_group_is_in_the_default_vpc_or_in_the_one_of_the_subnet(run: Run, engine: Engine) -> None:
    assert run(server).input("server-firewall", "vpcId") == "vpc-default"
    recorder = run(lambda: server(subnet_id=pulumi.Output.from_input("subnet-1")))
    assert recorder.input("server-firewall", "vpcId") == "vpc-of-subnet"
    assert recorder.input("server-machine-1", "subnetId") == "subnet-1"


def test_resources_and_lookups_use_the_provider_that_was_given(run: Run, engine: Engine) -> None:
    def program() -> None:
        provider = aws.Provider("frankfurt", region="eu-central-1")
        Ec2Server("server", {}, pulumi.ResourceOptions(providers=[provider]))

    recorder = run(program)
    ours = [name for name in recorder.names if recorder[name].type.startswith("aws:")]
    assert len(ours) == 13
    for name in ours:
        assert "::frankfurt::" in recorder[name].provider, name
    assert len(engine.calls) == 3
    for call in engine.calls:
        assert call.provider is not None, call.token
        assert "::frankfurt::" in call.provider, call.token


def test_what_waits_for_a_new_machine_is_told(run: Run, engine: Engine, warned: list[str]) -> None:
    def make() -> Ec2Server:
        return server(image="debian-12", subnet_id=pulumi.Output.from_input("subnet-1"), disk=20, tags={"team": "web"})

    cloud_servers.check_told(run, engine, warned, make, "image, package_index, subnet_id")


# ---------------------------------------------------------------------------------------------------------- firewall


def test_each_port_and_source_is_a_rule_of_its_own() -> None:
    rules = [FirewallRule("ssh", 22, sources=("203.0.113.5", "2001:db8::/32")), FirewallRule("game", 7777, "udp")]
    assert ingress_rules(openings(rules)) == {
        "tcp-22-203.0.113.5-32": Ingress("tcp", 22, 22, "ssh", cidr_ipv4="203.0.113.5/32"),
        "tcp-22-2001.db8..-32": Ingress("tcp", 22, 22, "ssh", cidr_ipv6="2001:db8::/32"),
        "udp-7777-anywhere-ipv4": Ingress("udp", 7777, 7777, "game", cidr_ipv4="0.0.0.0/0"),
        "udp-7777-anywhere-ipv6": Ingress("udp", 7777, 7777, "game", cidr_ipv6="::/0"),
    }


def test_a_rule_is_an_ingress_resource_of_the_group(run: Run) -> None:
    recorder = run(lambda: server(firewall=[{"name": "game", "port": 7777, "protocol": "udp"}]))
    rule = "server-firewall-udp-7777-anywhere-ipv6"
    assert recorder.input(rule, "securityGroupId") == "sg-1"
    assert recorder.input(rule, "cidrIpv6") == "::/0"
    assert "cidrIpv4" not in recorder[rule].object
    assert (recorder.input(rule, "fromPort"), recorder.input(rule, "toPort")) == (7777, 7777)


def test_rules_of_one_port_are_one_opening() -> None:
    more = [
        {"name": "office", "port": 5000, "sources": ["203.0.113.0/25"]},
        {"name": "home", "port": 5000, "sources": ["203.0.113.128/25", "203.0.113.7"]},
        {"name": "web again", "port": 443},
    ]
    opened = openings(rules_with(more))  # type: ignore[arg-type]
    assert [(opening.name, opening.port) for opening in opened] == [
        ("ssh", 22), ("http", 80), ("https", 443), ("office", 5000),
    ]  # fmt: skip
    assert opened[-1].sources == ("203.0.113.0/24",)


# ----------------------------------------------------------------------------------------------------------- grantee


def test_databases_are_told_group_and_addresses(run: Run) -> None:
    seen: dict[str, str] = {}
    run(lambda: server().grantee.apply(seen.update))
    assert seen == {
        "security_group": "sg-1",
        "droplet": "",
        "tag": "",
        "address": "203.0.113.9",
        "private_address": "10.0.0.7",
        "former": "",
    }


def test_a_preview_knows_the_group_before_the_machine_has_an_address(run: Run, engine: Engine) -> None:
    del engine.outputs["aws:ec2/instance:Instance"]["privateIp"]
    groups: list[str] = []
    run(lambda: server().grantee["security_group"].apply(groups.append), preview=True)
    assert groups == ["sg-1"]


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"instance_typ": "t3.micro"}, "instance_typ: unknown argument; did you mean 'instance_type'"),
        ({"instance_type": "t3-micro"}, "instance_type: 't3-micro' is no instance type of EC2; give one as t3.micro"),
        ({"image": "debian-11"}, "image: 'debian-11' is not known; take one of debian-13, debian-12, ubuntu-24.04"),
        ({"ami": "debian-13"}, "ami: 'debian-13' is no id of an AMI; give one as ami-0123456789abcdef0"),
        ({"ami": "ami-00000000000000001", "image": "debian-13"}, "image: 'debian-13' is given beside ami"),
        ({"disk": 4}, "disk: 4 GiB is out of range; give 8 to 16384"),
        ({"subnet_id": "eu-central-1a"}, "subnet_id: 'eu-central-1a' is no id of a subnet"),
        ({"generation": 0}, "generation: 0 is too small"),
        (
            {"firewall": [{"name": f"port {port}", "port": port} for port in range(5000, 5058)]},
            "firewall: 61 ports with 22, 80 and 443 are more than the 60 of a security group",
        ),
    ],
)
def test_wrong_arguments_are_told_before_any_resource_is_made(run: Run, args: Any, message: str) -> None:
    cloud_servers.check_refused(run, lambda: server(**args), message)


def test_no_other_clouds_sdk_is_imported() -> None:
    cloud_servers.check_imports("Ec2Server", "pulumi_aws")
