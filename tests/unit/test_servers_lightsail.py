"""`LightsailServer`: what it asks of the engine."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from pulumi_slipway import LightsailServer
from pulumi_slipway.firewall import FirewallRule
from pulumi_slipway.servers.lightsail import port_infos
from pulumi_slipway.servers.openings import openings
from tests.unit import cloud_servers
from tests.unit.cloud_servers import Run
from tests.unit.mocks import Engine

IGNORED = {"availabilityZone", "blueprintId", "bundleId", "keyPairName", "userData"}


@pytest.fixture(autouse=True)
def cloud(engine: Engine) -> None:
    cloud_servers.prepare(engine)


def server(**args: Any) -> LightsailServer:
    return LightsailServer("server", args)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------- order


def test_each_step_waits_for_the_one_before(run: Run) -> None:
    recorder = run(server)
    cloud_servers.check_order(recorder)
    cloud_servers.check_ready_at(recorder, "198.51.100.7", "server-machine-1-abc1234")
    assert "server-firewall-1" in recorder.depends_on("server-ready-1")
    # sshd shows the image's host keys until the launch script has run
    assert json.loads(recorder.input("server-ready-1", "stdin"))["patience"] == 300


def test_the_host_comes_last_and_holds_no_secret(run: Run) -> None:
    cloud_servers.check_host(run, server)


def test_a_preview_needs_no_output(run: Run) -> None:
    cloud_servers.check_preview(run, server, {"server-machine-1", "server-assignment", "server-arrive-1"})


# ----------------------------------------------------------------------------------------------------------- machine


def test_user_data_are_one_line_of_shell_and_secret(run: Run) -> None:
    recorder = run(server)
    script = recorder.input("server-machine-1", "userData")
    assert recorder.is_secret("server-machine-1", "userData")
    assert "\n" not in script
    assert script.endswith("| /bin/sh")
    cloud_servers.check_no_plain_secret(recorder)


def test_its_key_pair_is_of_the_only_type_that_lightsail_takes(run: Run) -> None:
    recorder = run(server)
    assert recorder.input("server-key-rsa", "algorithm") == "RSA"
    assert recorder.input("server-key", "publicKey") == "ssh-ed25519 server-key-rsa"  # as the mock has every key
    assert recorder.input("server-machine-1", "keyPairName") == "server-key-abc1234"


def test_what_would_replace_the_machine_is_ignored(run: Run) -> None:
    assert set(run(server)["server-machine-1"].ignoreChanges) == IGNORED


def test_only_a_new_generation_is_a_new_machine(run: Run) -> None:
    cloud_servers.check_generation(
        run,
        lambda generation: server(generation=generation),
        {"server-key", "server-address", "server-assignment", "server-data", "server-keys-deploy"},
    )


def test_address_and_ports_are_taken_from_the_old_before_they_are_given_to_the_new(run: Run) -> None:
    recorder = run(server)
    # what removes the old ones would else take from the new ones: see the comments there
    assert recorder["server-assignment"].deleteBeforeReplace
    assert recorder["server-firewall-1"].deleteBeforeReplace


def test_a_refresh_that_finds_the_static_address_on_the_machine_changes_nothing(run: Run, engine: Engine) -> None:
    cloud_servers.check_refreshed(run, engine, server, "aws:lightsail/instance:Instance", "publicIpAddress")


def test_data_and_address_are_protected(run: Run) -> None:
    cloud_servers.check_protection(run(server), {"server-address", "server-data", "server-protected"})


def test_an_experiment_protects_nothing(run: Run) -> None:
    cloud_servers.check_protection(run(lambda: server(experiment=True)), set())


def test_the_zone_is_the_first_of_the_region_unless_given(run: Run, engine: Engine) -> None:
    assert run(server).input("server-machine-1", "availabilityZone") == "eu-central-1a"
    engine.calls.clear()
    recorder = run(lambda: server(availability_zone="eu-central-1b"))
    assert recorder.input("server-machine-1", "availabilityZone") == "eu-central-1b"
    assert engine.calls == []


def test_size_image_and_tags_are_arguments(run: Run) -> None:
    recorder = run(lambda: server(bundle="nano_3_0", blueprint="ubuntu_24_04", tags={"team": "web"}))
    assert recorder.input("server-machine-1", "bundleId") == "nano_3_0"
    assert recorder.input("server-machine-1", "blueprintId") == "ubuntu_24_04"
    for name in ("server-machine-1", "server-key"):
        assert dict(recorder.input(name, "tags")) == {"team": "web"}


def test_resources_and_lookups_use_the_provider_that_was_given(run: Run, engine: Engine) -> None:
    def program() -> None:
        provider = aws.Provider("frankfurt", region="eu-central-1")
        LightsailServer("server", {}, pulumi.ResourceOptions(providers=[provider]))

    recorder = run(program)
    ours = [name for name in recorder.names if recorder[name].type.startswith("aws:")]
    assert len(ours) == 5
    for name in ours:
        assert "::frankfurt::" in recorder[name].provider, name
    (call,) = engine.calls
    assert call.provider is not None
    assert "::frankfurt::" in call.provider


def test_what_waits_for_a_new_machine_is_told(run: Run, engine: Engine, warned: list[str]) -> None:
    cloud_servers.check_told(
        run, engine, warned, lambda: server(bundle="small_3_0", tags={"team": "web"}), "bundle, package_index"
    )


# ---------------------------------------------------------------------------------------------------------- firewall


def test_the_public_ports_are_the_rules_and_nothing_else(run: Run) -> None:
    recorder = run(lambda: server(firewall=[{"name": "game", "port": 7777, "protocol": "udp"}]))
    ports = [dict(info) for info in recorder.input("server-firewall-1", "portInfos")]
    assert [(info["protocol"], info["fromPort"], info["toPort"]) for info in ports] == [
        ("tcp", 22, 22),
        ("tcp", 80, 80),
        ("tcp", 443, 443),
        ("udp", 7777, 7777),
    ]
    assert all(list(info["cidrs"]) == ["0.0.0.0/0"] and list(info["ipv6Cidrs"]) == ["::/0"] for info in ports)


def test_sources_are_told_by_family() -> None:
    rule = FirewallRule("office", 5000, sources=("203.0.113.0/24", "2001:db8::/32"))
    (info,) = port_infos(openings([rule]))
    assert (info.cidrs, info.ipv6_cidrs) == (["203.0.113.0/24"], ["2001:db8::/32"])


# ----------------------------------------------------------------------------------------------------------- grantee


def test_databases_are_told_the_addresses(run: Run) -> None:
    seen: dict[str, str] = {}
    run(lambda: server().grantee.apply(seen.update))
    assert seen == {
        "security_group": "",
        "tag": "",
        "droplet": "",
        "address": "203.0.113.9",
        "private_address": "172.26.0.7",
        "former": "",
    }


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"zone": "eu-central-1a"}, "zone: unknown argument; remove it. Known here: admin_keys, availability_zone"),
        ({"availability_zone": "eu-central-1"}, "availability_zone: 'eu-central-1' is no availability zone of AWS"),
        ({"bundle": "micro"}, "bundle: 'micro' is no bundle of Lightsail; give one as micro_3_0"),
        ({"bundle": "micro_ipv6_3_0"}, "bundle: 'micro_ipv6_3_0' has no IPv4 address"),
        ({"bundle": "small_win_3_0"}, "bundle: 'small_win_3_0' is for Windows"),
        ({"blueprint": "wordpress"}, "blueprint: 'wordpress' is no blueprint of Lightsail with Debian or Ubuntu"),
        ({"ready_timeout": 1}, "ready_timeout: 1 seconds are too few"),
    ],
)
def test_wrong_arguments_are_told_before_any_resource_is_made(run: Run, args: Any, message: str) -> None:
    cloud_servers.check_refused(run, lambda: server(**args), message)


def test_no_other_clouds_sdk_is_imported() -> None:
    cloud_servers.check_imports("LightsailServer", "pulumi_aws")
