"""`DropletServer`: what it asks of the engine."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean
import pytest

from pulumi_slipway import DropletServer
from pulumi_slipway.firewall import FirewallRule
from pulumi_slipway.servers.droplet import inbound_rules
from pulumi_slipway.servers.openings import openings
from tests.unit import cloud_servers
from tests.unit.cloud_servers import Run
from tests.unit.mocks import Engine

IGNORED = {"image", "region", "sshKeys", "userData", "vpcUuid"}
VPC = "5a4981aa-9653-4bd1-bef5-d6bff52042e4"


@pytest.fixture(autouse=True)
def cloud(engine: Engine) -> None:
    cloud_servers.prepare(engine)


def server(**args: Any) -> DropletServer:
    return DropletServer("server", args)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------- order


def test_each_step_waits_for_the_one_before(run: Run) -> None:
    recorder = run(server)
    cloud_servers.check_order(recorder)
    cloud_servers.check_ready_at(recorder, "198.51.100.7", "400000001")


def test_the_firewall_knows_the_droplet_by_its_tag_before_there_is_one(run: Run) -> None:
    recorder = run(lambda: server(tags=["production"]))
    assert "server-firewall" in recorder.depends_on("server-machine-1")
    assert list(recorder.input("server-firewall", "tags")) == ["server-tag-abc1234"]
    assert list(recorder.input("server-machine-1", "tags")) == ["server-tag-abc1234", "production"]


def test_the_host_comes_last_and_holds_no_secret(run: Run) -> None:
    cloud_servers.check_host(run, server)


def test_a_preview_needs_no_output(run: Run) -> None:
    cloud_servers.check_preview(run, server, {"server-machine-1", "server-assignment", "server-arrive-1"})


# ----------------------------------------------------------------------------------------------------------- machine


def test_user_data_are_secret_and_no_private_key_is_in_clear(run: Run) -> None:
    recorder = run(server)
    assert recorder.is_secret("server-machine-1", "userData")
    assert recorder.input("server-machine-1", "userData").startswith("#cloud-config\n")
    cloud_servers.check_no_plain_secret(recorder)


def test_no_droplet_is_without_a_key_or_the_password_would_be_mailed(run: Run) -> None:
    recorder = run(server)
    assert list(recorder.input("server-machine-1", "sshKeys")) == ["aa:bb"]
    assert recorder.input("server-key", "publicKey") == "ssh-ed25519 server-keys-deploy"


def test_ipv6_and_monitoring_are_on_and_it_is_shut_down_in_good_order(run: Run) -> None:
    recorder = run(server)
    for key in ("ipv6", "monitoring", "gracefulShutdown"):
        assert recorder.input("server-machine-1", key) is True, key


def test_what_would_replace_the_machine_is_ignored(run: Run) -> None:
    assert set(run(server)["server-machine-1"].ignoreChanges) == IGNORED


def test_only_a_new_generation_is_a_new_machine(run: Run) -> None:
    cloud_servers.check_generation(
        run,
        lambda generation: server(generation=generation),
        {"server-tag", "server-firewall", "server-key", "server-address", "server-assignment", "server-data"},
    )


def test_the_old_assignment_goes_first_since_removed_later_it_could_take_the_address_from_who_has_it(run: Run) -> None:
    assert run(server)["server-assignment"].deleteBeforeReplace


def test_data_and_address_are_protected(run: Run) -> None:
    cloud_servers.check_protection(run(server), {"server-address", "server-data", "server-protected"})


def test_an_experiment_protects_nothing(run: Run) -> None:
    cloud_servers.check_protection(run(lambda: server(experiment=True)), set())


def test_region_size_and_image_are_arguments(run: Run) -> None:
    recorder = run(lambda: server(region="fra1", size="s-2vcpu-2gb", image="ubuntu-24-04-x64"))
    given = {"region": "fra1", "size": "s-2vcpu-2gb", "image": "ubuntu-24-04-x64", "name": "slipway-dev-server-1"}
    assert {key: recorder.input("server-machine-1", key) for key in given} == given
    assert recorder.input("server-address", "region") == "fra1"


def test_all_uses_the_provider_that_was_given(run: Run) -> None:
    def program() -> None:
        provider = digitalocean.Provider("mine", token="x")
        DropletServer("server", {"own_vpc": True}, pulumi.ResourceOptions(providers=[provider]))

    recorder = run(program)
    ours = [name for name in recorder.names if recorder[name].type.startswith("digitalocean:")]
    assert len(ours) == 7
    for name in ours:
        assert "::mine::" in recorder[name].provider, name


def test_what_waits_for_a_new_machine_is_told(run: Run, engine: Engine, warned: list[str]) -> None:
    cloud_servers.check_told(
        run, engine, warned, lambda: server(image="debian-12-x64", size="s-1vcpu-2gb"), "image, package_index"
    )


def test_the_server_stays_in_the_region_of_its_address(run: Run, engine: Engine, warned: list[str]) -> None:
    engine.outputs["digitalocean:index/reservedIp:ReservedIp"]["region"] = "fra1"
    recorder = run(lambda: server(region="nyc3", generation=2))
    assert list(recorder["server-address"].ignoreChanges) == ["region"]
    assert recorder.input("server-machine-2", "region") == "fra1"
    assert len(warned) == 1
    assert warned[0].startswith("server: region is 'nyc3' now, but the server's address is in 'fra1'")


# ------------------------------------------------------------------------------------------------------ VPC, project


def test_the_droplet_is_in_the_regions_default_vpc_the_one_given_or_its_own(run: Run) -> None:
    assert "vpcUuid" not in run(server)["server-machine-1"].object
    assert run(lambda: server(vpc_uuid=VPC)).input("server-machine-1", "vpcUuid") == VPC
    recorder = run(lambda: server(own_vpc=True, region="fra1"))
    assert recorder.input("server-machine-1", "vpcUuid") == "server-vpc-id"
    assert recorder.input("server-vpc", "region") == "fra1"


def test_its_own_vpc_stays_until_no_droplet_is_in_it(run: Run, engine: Engine, warned: list[str]) -> None:
    engine.stashed["server-made-with-1"] = dict(run(lambda: server(own_vpc=True)).input("server-made-with-1", "input"))
    kept = run(server)
    assert "server-vpc" in kept.names
    assert warned[0].startswith("server: the machine was made with other settings than it has now (own_vpc)")
    assert "server-vpc" not in run(lambda: server(generation=2)).names
    engine.stashed["server-made-with-1"] = {}
    assert "server-vpc" not in run(server).names


def test_an_own_vpc_that_became_the_regions_default_is_told(run: Run, engine: Engine, warned: list[str]) -> None:
    engine.outputs["digitalocean:index/vpc:Vpc"] = {"default": True}
    run(lambda: server(own_vpc=True))
    assert len(warned) == 1
    assert "which DigitalOcean lets nobody delete" in warned[0]


def test_the_droplet_is_put_into_the_project_that_was_given(run: Run) -> None:
    assert "server-project" not in run(server).names
    recorder = run(lambda: server(project_id=pulumi.Output.from_input("project-1")))
    assert recorder.input("server-project", "project") == "project-1"
    assert list(recorder.input("server-project", "resources")) == ["do:droplet:400000001"]


# ---------------------------------------------------------------------------------------------------------- firewall


def test_the_firewall_lets_the_rules_in_and_everything_out(run: Run) -> None:
    recorder = run(server)
    inbound = [dict(rule) for rule in recorder.input("server-firewall", "inboundRules")]
    assert [(rule["protocol"], rule["portRange"]) for rule in inbound] == [("tcp", "22"), ("tcp", "80"), ("tcp", "443")]
    assert all(list(rule["sourceAddresses"]) == ["0.0.0.0/0", "::/0"] for rule in inbound)
    outbound = [dict(rule) for rule in recorder.input("server-firewall", "outboundRules")]
    assert [(rule["protocol"], rule.get("portRange")) for rule in outbound] == [
        ("tcp", "1-65535"),
        ("udp", "1-65535"),
        ("icmp", None),
    ]


def test_sources_are_those_of_the_rule() -> None:
    (rule,) = inbound_rules(openings([FirewallRule("game", 7777, "udp", ("203.0.113.5", "2001:db8::/32"))]))
    assert (rule.protocol, rule.port_range) == ("udp", "7777")
    assert rule.source_addresses == ["203.0.113.5/32", "2001:db8::/32"]


# ----------------------------------------------------------------------------------------------------------- grantee


def test_databases_are_told_the_droplet_and_where_its_connections_come_from(run: Run) -> None:
    seen: dict[str, str] = {}
    run(lambda: server().grantee.apply(seen.update))
    assert seen == {
        "security_group": "",
        "droplet": "400000001",
        "address": "198.51.100.7",
        "private_address": "10.100.0.7",
        "former": "",
        "tag": "server-tag-abc1234",
    }


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"regoin": "fra1"}, "regoin: unknown argument; did you mean 'region'"),
        ({"region": "frankfurt"}, "region: 'frankfurt' is no region of DigitalOcean; give one as fra1"),
        ({"size": "small"}, "size: 'small' is no droplet size; give one as s-1vcpu-1gb"),
        ({"size": "256mb"}, "size: '256mb' has 256 MiB of memory, too little"),
        ({"image": "fedora-42-x64"}, "image: 'fedora-42-x64' is no image with Debian or Ubuntu"),
        ({"vpc_uuid": "default"}, "vpc_uuid: 'default' is no id of a VPC"),
        ({"vpc_uuid": VPC, "own_vpc": True}, "own_vpc: true beside vpc_uuid"),
        ({"project_id": "web"}, "project_id: 'web' is no id of a project"),
        ({"tags": ["a tag"]}, r"tags\[0\]: 'a tag' is no tag of DigitalOcean"),
        ({"firewall": [{"name": "x", "port": 0}]}, "firewall rule 'x': port 0 is out of range"),
        (
            {"firewall": [{"name": f"port {port}", "port": port} for port in range(5000, 5045)]},
            "firewall: 48 ports with 22, 80 and 443 are more than the 47 of a firewall of DigitalOcean",
        ),
    ],
)
def test_wrong_arguments_are_told_before_any_resource_is_made(run: Run, args: Any, message: str) -> None:
    cloud_servers.check_refused(run, lambda: server(**args), message)


def test_no_other_clouds_sdk_is_imported() -> None:
    cloud_servers.check_imports("DropletServer", "pulumi_digitalocean")
