"""A stack at the rig's DigitalOcean: droplets, a firewall that filters, an address that moves, a cluster.

One life of one stack, as each machine costs seconds. What is refused, and why, is in the other tests of the stand-in.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .cloud_probes import answers, reaches, shell
from .cloud_stack import WAIT_FOR_USER_DATA, CloudStack, cloud_stack
from .clouds import inventory
from .engine import Engine

pytestmark = pytest.mark.long

PROGRAM = '''
import pulumi, pulumi_digitalocean as ocean

config = pulumi.Config()
REGION = "nyc3"
LISTEN = """#cloud-config
runcmd:
  - "hostname > /root/made"
  - "systemd-run python3 -m http.server 8000"
  - "systemd-run python3 -m http.server 9000"
"""
key = ocean.SshKey("key", public_key=config.require("key"))

def droplet(name):
    return ocean.Droplet(name, name=name, image="debian-13-x64", size="s-1vcpu-1gb", region=REGION,
        ssh_keys=[key.fingerprint], user_data=LISTEN, monitoring=True, graceful_shutdown=True)

droplets = {"first": droplet("first"), "second": droplet("second")}
ocean.Firewall("firewall", name="web", droplet_ids=[droplets["first"].id.apply(int)],
    inbound_rules=[
        {"protocol": "tcp", "port_range": "22", "source_addresses": ["0.0.0.0/0", "::/0"]},
        {"protocol": "tcp", "port_range": config.get("open") or "8000-8001", "source_addresses": ["0.0.0.0/0"]},
    ],
    outbound_rules=[{"protocol": "tcp", "port_range": "1-65535", "destination_addresses": ["0.0.0.0/0"]}])
address = ocean.ReservedIp("address", region=REGION)
ocean.ReservedIpAssignment("assignment", ip_address=address.ip_address,
    droplet_id=droplets[config.get("at") or "first"].id.apply(int))
cluster = ocean.DatabaseCluster("cluster", name="data", engine="pg", version="17", size="db-s-1vcpu-1gb",
    region=REGION, node_count=1)
database = ocean.DatabaseDb("database", cluster_id=cluster.id, name="app")
ocean.DatabaseFirewall("trusted", cluster_id=cluster.id, rules=[
    {"type": "droplet", "value": droplets["first"].id},
    *({"type": "ip_addr", "value": value} for value in (config.get("trusted") or "").split()),
])
for name, machine in droplets.items():
    pulumi.export(name, machine.id)
    pulumi.export(f"{name}_address", machine.ipv4_address)
for name in ("host", "private_host", "port", "user", "password"):
    pulumi.export(name, getattr(cluster, name))
pulumi.export("database", database.name)
pulumi.export("ca", ocean.get_database_ca_output(cluster_id=cluster.id).certificate)
pulumi.export("address", address.ip_address)
'''


def test_the_life_of_a_stack(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "SLIPWAY_RIG_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    with cloud_stack(engine, tmp_path, PROGRAM) as stack:
        engine.pulumi("preview", project=stack.project)  # with neither a token nor an account
        stack.enter("DIGITALOCEAN_TOKEN")
        stack.run("up")
        stack.run("up", "--expect-no-changes")
        stack.run("refresh", "--expect-no-changes")
        _machines_are_there(stack)
        _only_whom_it_trusts_reaches_the_cluster(stack)
        _firewalls_change_and_the_address_moves(stack)
        _refresh_sees_what_was_deleted(stack)
        stack.run("destroy")
        assert stack.account.things() == {}
        assert set(inventory.listed(stack.account)["machines"]) == {stack.client.name}
        assert set(inventory.listed(stack.account)["addresses"]) == {stack.client_address}


def _machines_are_there(stack: CloudStack) -> None:
    out = stack.outputs
    first, second = stack.machine("first"), stack.machine("second")
    for machine in (first, second):
        shell(stack.account, machine, WAIT_FOR_USER_DATA)
    assert stack.as_root(out["first_address"], "cat /root/made") == "first"
    assert stack.as_root(out["address"], "hostname") == "first"
    assert stack.fetch("second", "http://169.254.169.254/metadata/v1/id") == out["second"]
    assert stack.fetch("second", "http://169.254.169.254/metadata/v1/region") == "nyc3"
    # A firewall drops what no rule lets in, from everywhere and to each address; without one, all passes
    assert [answers(out["first_address"], port) for port in (22, 8000, 9000)] == [True, True, False]
    assert [answers(out["address"], port) for port in (8000, 9000)] == [True, False]
    assert [answers(out["second_address"], port) for port in (8000, 9000)] == [True, True]
    assert not reaches(stack.account, second, first.address, 9000)


def _only_whom_it_trusts_reaches_the_cluster(stack: CloudStack) -> None:
    out = stack.outputs
    server, port = out["private_host"], int(out["port"])
    assert reaches(stack.account, stack.machine("first"), server, port)
    assert not reaches(stack.account, stack.machine("second"), server, port)
    assert not reaches(stack.account, stack.client, out["host"], port)
    stack.set(trusted=stack.client_address)
    stack.run("up")
    password = stack.secret("password")
    url = f"postgresql://{out['user']}:{password}@{out['host']}:{port}/{out['database']}"
    verified = f"{url}?sslmode=verify-full&sslrootcert=/root/ca.pem"
    ask = "select current_user, current_database(), ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert stack.ask(verified, out["ca"], ask) == "doadmin|app|t"
    assert "no encryption" in stack.ask(f"{url}?sslmode=disable", out["ca"])
    assert stack.ask(verified, out["ca"], "create table things (); select count(*) from things").endswith("0")
    assert stack.ask(verified, out["ca"], "show max_connections") == "25"  # 22 of them are for clients


def _firewalls_change_and_the_address_moves(stack: CloudStack) -> None:
    out = stack.outputs
    stack.set(open="9000", at="second")
    stack.run("up")
    assert [answers(out["first_address"], port) for port in (22, 8000, 9000)] == [True, False, True]
    assert stack.as_root(out["address"], "hostname") == "second"
    assert stack.as_root(out["first_address"], "hostname") == "first"  # it keeps its own


def _refresh_sees_what_was_deleted(stack: CloudStack) -> None:
    address = stack.outputs["address"]
    stack.delete_behind_pulumis_back("second")
    stack.run("refresh")
    assert not {"second", "assignment"} & stack.names()
    assert {"first", "address", "cluster"} <= stack.names()
    assert not answers(address, 22)  # kept, and nobody's
