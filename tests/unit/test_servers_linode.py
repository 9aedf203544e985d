"""`LinodeServer`: what it asks of the engine."""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pulumi_linode as linode
import pytest

from pulumi_slipway import LinodeServer
from pulumi_slipway.bootstrap import UserDataTooLargeError
from pulumi_slipway.firewall import FirewallRule
from pulumi_slipway.servers.linode import encoded, first_own, inbound_rules, label
from pulumi_slipway.servers.openings import openings
from tests.unit import cloud_servers
from tests.unit.cloud_servers import Run
from tests.unit.mocks import SECRET, SECRET_SIGNATURE, Engine

IGNORED = {"authorizedKeys", "firewallId", "image", "interfaceGeneration", "metadatas", "region"}


@pytest.fixture(autouse=True)
def cloud(engine: Engine) -> None:
    cloud_servers.prepare(engine)


def server(**args: Any) -> LinodeServer:
    return LinodeServer("server", args)  # type: ignore[arg-type]


def reserved(**args: Any) -> LinodeServer:
    return server(reserved_address=True, **args)


# ------------------------------------------------------------------------------------------------------------- order


def test_each_step_waits_for_the_one_before(run: Run) -> None:
    recorder = run(reserved)
    cloud_servers.check_order(recorder)
    cloud_servers.check_ready_at(recorder, "198.51.100.7", "61000001")


def test_without_a_reserved_address_the_server_has_its_machines(run: Run) -> None:
    recorder = run(server)
    assert not {"server-address", "server-assignment", "server-arrive-1"} & recorder.names
    assert "server-ready-1" in recorder.depends_on("server-data")
    document = json.loads(recorder.input("server-data", "stdin"))
    assert document["address"] == "10.1.2.3"  # what the mock's ready step printed


def test_the_firewall_is_there_before_the_machine(run: Run) -> None:
    recorder = run(server)
    assert "server-firewall" in recorder.depends_on("server-machine-1")
    assert recorder.input("server-machine-1", "firewallId") == 62000001


@pytest.mark.parametrize("make", [server, reserved])
def test_the_host_comes_last_and_holds_no_secret(run: Run, make: Any) -> None:
    cloud_servers.check_host(run, make)


def test_a_preview_needs_no_output(run: Run, engine: Engine) -> None:
    for token in ("linode:index/instance:Instance", "linode:index/reservedIp:ReservedIp"):
        engine.outputs[token].pop("ipv4s", None)
        engine.outputs[token].pop("address", None)
    cloud_servers.check_preview(run, reserved, {"server-machine-1", "server-assignment", "server-arrive-1"})
    cloud_servers.check_preview(run, server, {"server-machine-1", "server-data"})


# ----------------------------------------------------------------------------------------------------------- machine


def test_user_data_are_base64_for_the_metadata_service_and_secret(run: Run) -> None:
    recorder = run(server)
    (metadata,) = recorder.input("server-machine-1", "metadatas")
    assert metadata["userData"][SECRET] == SECRET_SIGNATURE
    assert base64.b64decode(metadata["userData"]["value"]).startswith(b"#cloud-config\n")
    cloud_servers.check_no_plain_secret(recorder)


def test_root_has_the_deploy_key_and_a_password_that_nobody_chose(run: Run) -> None:
    recorder = run(server)
    assert list(recorder.input("server-machine-1", "authorizedKeys")) == ["ssh-ed25519 server-keys-deploy"]
    assert "rootPass" not in recorder["server-machine-1"].object


def test_the_kind_of_its_interfaces_does_not_depend_on_the_account(run: Run) -> None:
    assert run(server).input("server-machine-1", "interfaceGeneration") == "legacy_config"


def test_what_would_replace_or_move_the_machine_is_ignored(run: Run) -> None:
    assert set(run(server)["server-machine-1"].ignoreChanges) == IGNORED


def test_only_a_new_generation_is_a_new_machine(run: Run) -> None:
    cloud_servers.check_generation(
        run,
        lambda generation: reserved(generation=generation),
        {"server-firewall", "server-address", "server-assignment", "server-data", "server-keys-deploy"},
    )


def test_the_address_is_taken_from_the_old_machine_before_the_new_is_given_it_by_a_reboot(run: Run) -> None:
    recorder = run(reserved)
    assert recorder["server-assignment"].deleteBeforeReplace
    assert recorder.input("server-assignment", "applyImmediately") is True
    assert recorder.input("server-assignment", "linodeId") == 61000001


@pytest.mark.parametrize("generation", [1, 2])
def test_the_former_machine_is_named_until_an_app_serves_on_the_new_one(
    generation: int, run: Run, engine: Engine
) -> None:
    def program() -> None:
        pulumi.CustomResource("test:index:Database", "database", {"admits": server(generation=generation).grantee})

    engine.former = "198.51.100.6"
    for serving in (False, True):
        engine.serving, engine.calls = serving, []
        admitted = run(program).input("database", "admits")
        assert admitted["former"] == ("198.51.100.6" if generation == 2 and not serving else "")
        assert admitted["address"] == "198.51.100.7"
        assert len(engine.calls) == generation - 1, "the first generation asks nothing"


def test_data_and_address_are_protected(run: Run) -> None:
    cloud_servers.check_protection(run(server), {"server-data"})
    cloud_servers.check_protection(run(reserved), {"server-address", "server-data", "server-protected"})


def test_an_experiment_protects_nothing(run: Run) -> None:
    cloud_servers.check_protection(run(lambda: reserved(experiment=True)), set())


def test_region_type_image_and_tags_are_arguments(run: Run) -> None:
    recorder = run(
        lambda: reserved(region="fr-par", type="g6-standard-1", image="linode/ubuntu24.04", tags=["production"])
    )
    given = {"region": "fr-par", "type": "g6-standard-1", "image": "linode/ubuntu24.04"}
    assert {key: recorder.input("server-machine-1", key) for key in given} == given
    for name in ("server-machine-1", "server-firewall", "server-address"):
        assert list(recorder.input(name, "tags")) == ["production"], name
    assert recorder.input("server-address", "region") == "fr-par"


def test_labels_are_unique_and_as_linode_takes_them(run: Run) -> None:
    long: list[str] = []
    recorder = run(server)
    assert recorder.input("server-machine-1", "label") == "slipway-dev-server-1-ab12cd"
    assert recorder.input("server-firewall", "label") == "fw-slipway-dev-server-ab12cd"
    run(lambda: long.append(label("fw-", "a--b" + "c" * 40, "-ab12cd", 32)))
    assert long == ["fw-slipway-dev-a-bccccccc-ab12cd"]
    assert len(long[0]) == 32


def test_all_uses_the_provider_that_was_given(run: Run) -> None:
    def program() -> None:
        provider = linode.Provider("mine", token="x")
        LinodeServer("server", {"reserved_address": True}, pulumi.ResourceOptions(providers=[provider]))

    recorder = run(program)
    ours = [name for name in recorder.names if recorder[name].type.startswith("linode:")]
    assert len(ours) == 4
    for name in ours:
        assert "::mine::" in recorder[name].provider, name


def test_what_waits_for_a_new_machine_is_told(run: Run, engine: Engine, warned: list[str]) -> None:
    cloud_servers.check_told(
        run, engine, warned, lambda: server(region="fr-par", type="g6-standard-1"), "package_index, region"
    )


def test_the_server_stays_in_the_region_of_its_reserved_address(run: Run, engine: Engine, warned: list[str]) -> None:
    engine.outputs["linode:index/reservedIp:ReservedIp"]["region"] = "us-east"
    recorder = run(lambda: reserved(region="fr-par", generation=2))
    assert list(recorder["server-address"].ignoreChanges) == ["region"]
    assert recorder.input("server-machine-2", "region") == "us-east"
    assert len(warned) == 1
    assert warned[0].startswith("server: region is 'fr-par' now, but the server's address is in 'us-east'")


# --------------------------------------------------------------------------------------------------------- addresses


def test_the_own_address_is_neither_the_reserved_nor_a_private_one() -> None:
    addresses = ["203.0.113.9", "192.168.130.4", "198.51.100.7"]
    assert first_own(addresses, "203.0.113.9") == "198.51.100.7"
    assert first_own(["198.51.100.7"], "") == "198.51.100.7"


def test_the_ready_step_goes_to_the_own_address_when_there_are_others(run: Run, engine: Engine) -> None:
    engine.outputs["linode:index/instance:Instance"]["ipv4s"] = ["203.0.113.9", "198.51.100.7"]
    cloud_servers.check_ready_at(run(reserved), "198.51.100.7", "61000001")


def test_databases_are_told_where_its_connections_come_from(run: Run) -> None:
    seen: dict[str, str] = {}
    run(lambda: reserved().grantee.apply(seen.update))
    assert seen == {
        "security_group": "",
        "droplet": "",
        "tag": "",
        "address": "198.51.100.7",
        "private_address": "198.51.100.7",
        "former": "",
    }


# ---------------------------------------------------------------------------------------------------------- firewall


def test_the_firewall_drops_what_no_rule_accepts(run: Run) -> None:
    recorder = run(server)
    assert recorder.input("server-firewall", "inboundPolicy") == "DROP"
    assert recorder.input("server-firewall", "outboundPolicy") == "ACCEPT"
    inbounds = [dict(rule) for rule in recorder.input("server-firewall", "inbounds")]
    assert [(rule["label"], rule["action"], rule["protocol"], rule["ports"]) for rule in inbounds] == [
        ("accept-tcp-22", "ACCEPT", "TCP", "22"),
        ("accept-tcp-80", "ACCEPT", "TCP", "80"),
        ("accept-tcp-443", "ACCEPT", "TCP", "443"),
    ]
    assert all(list(rule["ipv4s"]) == ["0.0.0.0/0"] and list(rule["ipv6s"]) == ["::/0"] for rule in inbounds)


def test_a_family_without_sources_is_left_out() -> None:
    (rule,) = inbound_rules(openings([FirewallRule("game", 7777, "udp", ("203.0.113.5",))]))
    assert (rule.protocol, rule.ipv4s, rule.ipv6s) == ("UDP", ["203.0.113.5/32"], None)


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"size": "g6-nanode-1"}, "size: unknown argument; remove it. Known here: admin_keys"),
        ({"region": "chicago"}, "region: 'chicago' is no region of Linode; give one as eu-central"),
        ({"type": "nanode"}, "type: 'nanode' is no type of Linode; give one as g6-nanode-1"),
        ({"image": "debian13"}, "image: 'debian13' is no image with Debian or Ubuntu"),
        ({"image": "linode/arch"}, "image: 'linode/arch' is no image with Debian or Ubuntu"),
        ({"tags": ["x"]}, r"tags\[0\]: 'x' is no tag of Linode \(3 to 50 characters\)"),
        (
            {"firewall": [{"name": f"port {port}", "port": port} for port in range(5000, 5023)]},
            "firewall: 26 ports with 22, 80 and 443 are more than the 25 of a firewall of Linode",
        ),
    ],
)
def test_wrong_arguments_are_told_before_any_resource_is_made(run: Run, args: Any, message: str) -> None:
    cloud_servers.check_refused(run, lambda: server(**args), message)


def test_user_data_over_the_smaller_reading_of_the_limit_are_refused() -> None:
    assert encoded("x" * 12000) == base64.b64encode(b"x" * 12000).decode()
    with pytest.raises(UserDataTooLargeError, match="17336 bytes in base64, over Linode's limit of 16384"):
        encoded("x" * 13000)


def test_no_other_clouds_sdk_is_imported() -> None:
    cloud_servers.check_imports("LinodeServer", "pulumi_linode")
