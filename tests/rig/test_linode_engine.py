"""A stack at the rig's Linode: Linodes, a firewall that filters, an address that moves by a reboot, a managed database.

One life of one stack, as each machine costs seconds. What is refused, and why, is in the other tests of the stand-in.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from .cloud_probes import answers, reaches, shell
from .cloud_stack import WAIT_FOR_USER_DATA, CloudStack, cloud_stack
from .clouds import inventory
from .engine import Engine

pytestmark = pytest.mark.long

PROGRAM = '''
import base64, pulumi, pulumi_linode as linode

config = pulumi.Config()
REGION = "eu-central"
LISTEN = """#cloud-config
write_files:
  - path: /etc/systemd/system/listen@.service
    content: |
      [Service]
      ExecStart=python3 -m http.server %i
      [Install]
      WantedBy=multi-user.target
runcmd:
  - "hostname > /root/made"
  - "systemctl enable --now listen@8000 listen@9000"
"""
firewall = linode.Firewall("firewall", label="web", inbound_policy="DROP", outbound_policy="ACCEPT", inbounds=[
    {"label": "ssh", "action": "ACCEPT", "protocol": "TCP", "ports": "22", "ipv4s": ["0.0.0.0/0"], "ipv6s": ["::/0"]},
    {"label": "web", "action": "ACCEPT", "protocol": "TCP", "ports": config.get("open") or "8000-8001",
        "ipv4s": ["0.0.0.0/0"]},
])

def machine(name, **more):
    return linode.Instance(name, label=name, image="linode/debian13", type="g6-nanode-1", region=REGION,
        authorized_keys=[config.require("key")], interface_generation="legacy_config",
        metadatas=[{"user_data": base64.b64encode(LISTEN.encode()).decode()}], **more)

machines = {"first": machine("first", firewall_id=firewall.id.apply(int)), "second": machine("second")}
address = linode.ReservedIp("address", region=REGION)
if at := config.get("at"):  # later, as it costs a reboot, which interrupts a Linode that is being set up
    linode.ReservedIpAssignment("assignment", address=address.address, apply_immediately=True,
        linode_id=machines[at].id.apply(int), opts=pulumi.ResourceOptions(delete_before_replace=True))
database = linode.DatabasePostgresqlV2("database", label="data", engine_id="postgresql/17", region=REGION,
    type="g6-nanode-1", allow_lists=[pulumi.Output.concat(machines["first"].ip_address, "/32"),
        *(config.get("trusted") or "").split()])
for name, machine in machines.items():
    pulumi.export(name, machine.id)
    pulumi.export(f"{name}_address", machine.ip_address)
pulumi.export("database", database.id)
for name in ("host_primary", "port", "root_username", "root_password", "ca_cert"):
    pulumi.export(name, getattr(database, name))
pulumi.export("address", address.address)
'''


def test_the_life_of_a_stack(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LINODE_TOKEN", "SLIPWAY_RIG_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    with cloud_stack(engine, tmp_path, PROGRAM) as stack:
        engine.pulumi("preview", project=stack.project)  # with neither a token nor an account
        stack.enter("LINODE_TOKEN")
        stack.run("up")
        stack.run("up", "--expect-no-changes")
        stack.run("refresh", "--expect-no-changes")
        _machines_are_there(stack)
        _only_whom_it_allows_reaches_the_database(stack)
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
    token = stack.fetch("second", "http://169.254.169.254/v1/token", "PUT", Metadata_Token_Expiry_Seconds="60")
    told = stack.fetch("second", "http://169.254.169.254/v1/user-data", Metadata_Token=token)
    assert base64.b64decode(told).startswith(b"#cloud-config\n")
    assert [answers(out["first_address"], port) for port in (22, 8000, 9000)] == [True, True, False]
    assert [answers(out["second_address"], port) for port in (8000, 9000)] == [True, True]
    assert not reaches(stack.account, second, first.address, 9000)


def _only_whom_it_allows_reaches_the_database(stack: CloudStack) -> None:
    out = stack.outputs
    server, port = out["host_primary"], int(out["port"])
    assert reaches(stack.account, stack.machine("first"), server, port)
    assert not reaches(stack.account, stack.machine("second"), server, port)
    assert not reaches(stack.account, stack.client, server, port)
    stack.set(trusted=f"{stack.client_address}/32", at="first")
    stack.run("up")
    user, password, ca = (stack.secret(name) for name in ("root_username", "root_password", "ca_cert"))
    url = f"postgresql://{user}:{password}@{server}:{port}/defaultdb"
    verified = f"{url}?sslmode=verify-full&sslrootcert=/root/ca.pem"
    ask = "select current_user, current_database(), ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert stack.ask(verified, ca, ask) == f"{user}|defaultdb|t"
    assert "no encryption" in stack.ask(f"{url}?sslmode=disable", ca)
    assert stack.ask(verified, ca, "create table things (); select count(*) from things").endswith("0")


def _firewalls_change_and_the_address_moves(stack: CloudStack) -> None:
    out = stack.outputs
    assert stack.as_root(out["address"], "hostname") == "first"
    assert [answers(out["address"], port) for port in (8000, 9000)] == [True, False]
    stack.set(open="9000", at="second")
    stack.run("up")
    assert [answers(out["first_address"], port) for port in (22, 8000, 9000)] == [True, False, True]
    assert stack.as_root(out["address"], "hostname") == "second"
    assert stack.as_root(out["first_address"], "hostname") == "first"  # it keeps its own


def _refresh_sees_what_was_deleted(stack: CloudStack) -> None:
    address = stack.outputs["address"]
    stack.delete_behind_pulumis_back("second")
    stack.delete_behind_pulumis_back("database")
    stack.run("refresh")
    assert not {"second", "database"} & stack.names()
    assert {"first", "address", "firewall"} <= stack.names()
    assert stack.engine.resource("assignment")["outputs"]["linodeId"] == 0  # as the plug-in tells it
    assert not answers(address, 22)  # kept, and nobody's
