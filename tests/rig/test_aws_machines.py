"""Pulumi programs for AWS with the real engine and real machines: what they make, see changed, and leave behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation

from .amazon import DEBIAN, REGION, public_key
from .cloud_probes import account_in, answers, reaches, shell
from .clouds import inventory, machines
from .clouds.account import VARIABLE, Account
from .clouds.aws import catalog
from .engine import Engine

pytestmark = pytest.mark.long

METADATA = """
from urllib.request import Request, urlopen
base = "http://169.254.169.254/latest/"
wish = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
token = urlopen(Request(base + "api/token", method="PUT", headers=wish)).read().decode()
told = Request(base + "meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token})
print(urlopen(told).read().decode())
"""
SERVED = (22, 80, 443, 8080)
SERVE = "for port in 80 443 8080; do systemd-run --unit=serve-$port python3 -m http.server $port; done"


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account that the engine's plug-ins are told of, with credentials."""
    with account_in(tmp_path / "account") as account:
        for name, value in (
            (VARIABLE, str(account.folder)),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", REGION),
        ):
            monkeypatch.setenv(name, value)
        yield account


@pytest.fixture
def stack_of(engine: Engine, account: Account) -> Iterator[Callable[[Callable[[], None]], automation.Stack]]:
    """A stack for a program; what is left of it goes at the end."""
    made: list[automation.Stack] = []

    def stack(program: Callable[[], None]) -> automation.Stack:
        made.append(engine.inline(program))
        return made[-1]

    yield stack
    for left in made:
        left.destroy()


def changes(result: automation.UpResult | automation.PreviewResult | automation.RefreshResult) -> dict[str, int]:
    """What a run did, by kind, without what stayed the same."""
    summary = result.change_summary if isinstance(result, automation.PreviewResult) else result.summary.resource_changes
    return {str(getattr(kind, "value", kind)): count for kind, count in (summary or {}).items() if kind != "same"}


def thing(account: Account, kind: str) -> tuple[str, dict[str, Any]]:
    """The only thing of a type."""
    ((identity, found),) = account.things(f"aws:{kind}").items()
    return identity, found


def machine_of(account: Account, kind: str) -> machines.Machine:
    """The machine of the only thing of a type, with its first boot done."""
    found = machines.get(account, thing(account, kind)[1]["machine"])
    assert found is not None
    shell(account, found, "cloud-init status --wait >/dev/null || true", timeout=120)
    return found


def open_ports(address: str, wanted: list[int]) -> list[int]:
    """Which of the machine's ports answer from outside; looked at again for a while, as a busy host is slow."""
    deadline = time.monotonic() + 20
    while True:
        found = [port for port in SERVED if answers(address, port)]
        if found == wanted or time.monotonic() > deadline:
            return found


def ec2_program(ports: list[int]) -> Callable[[], None]:
    key = public_key()

    def program() -> None:
        image = aws.ec2.get_ami_output(owners=[catalog.DEBIAN], most_recent=True, filters=DEBIAN)
        vpc = aws.ec2.get_vpc_output(default=True)
        web = aws.ec2.SecurityGroup("web", vpc_id=vpc.id)
        for port in ports:
            aws.vpc.SecurityGroupIngressRule(
                f"web-{port}", security_group_id=web.id, ip_protocol="tcp", from_port=port, to_port=port,
                cidr_ipv4="0.0.0.0/0",
            )  # fmt: skip
        aws.vpc.SecurityGroupEgressRule("out", security_group_id=web.id, ip_protocol="-1", cidr_ipv4="0.0.0.0/0")
        server = aws.ec2.Instance(
            "server",
            ami=image.id,
            instance_type="t3.micro",
            key_name=aws.ec2.KeyPair("key", public_key=key).key_name,
            vpc_security_group_ids=[web.id],
            user_data=f"#!/bin/sh\n{SERVE}\n",
            metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1},
            root_block_device={"encrypted": True, "volume_type": "gp3"},
        )
        address = aws.ec2.Eip("address", domain="vpc")
        aws.ec2.EipAssociation("assignment", allocation_id=address.allocation_id, instance_id=server.id)
        data = aws.ec2.SecurityGroup("data", vpc_id=vpc.id)
        aws.vpc.SecurityGroupIngressRule(
            "data-web", security_group_id=data.id, ip_protocol="tcp", from_port=5432, to_port=5432,
            referenced_security_group_id=web.id,
        )  # fmt: skip
        database = aws.rds.Instance(
            "data",
            engine="postgres",
            engine_version="17",
            instance_class="db.t4g.micro",
            allocated_storage=20,
            storage_type="gp3",
            db_name="app",
            username="slipway",
            password=pulumi.Output.secret("Correct-Horse-1"),
            vpc_security_group_ids=[data.id],
            skip_final_snapshot=True,
        )
        far = aws.Provider("far", region="us-east-1")
        group = aws.ec2.SecurityGroup("far", opts=pulumi.ResourceOptions(provider=far))
        pulumi.export("address", address.public_ip)
        pulumi.export("database", database.endpoint)
        pulumi.export("far", group.arn)
        pulumi.export("password", database.password)

    return program


def test_a_program_for_ec2_and_rds(
    account: Account, stack_of: Callable[[Callable[[], None]], automation.Stack]
) -> None:
    ports = [22, 80]
    stack = stack_of(ec2_program(ports))
    assert changes(stack.preview()) == {"create": 14}
    assert inventory.listed(account)["things"] == {}

    made = stack.up()
    address = made.outputs["address"].value
    assert made.outputs["far"].value.split(":")[3] == "us-east-1"
    assert made.outputs["password"].secret
    assert "Correct-Horse-1" not in account.document.read_text()
    server = machine_of(account, "ec2/instance:Instance")
    assert open_ports(address, [22, 80]) == [22, 80]
    assert shell(account, server, "python3 -", METADATA).strip() == thing(account, "ec2/instance:Instance")[0]

    # Only the granted group's members reach the database.
    host = made.outputs["database"].value.split(":")[0]
    stranger = machines.create(account, cloud="ec2", hostname="stranger")
    assert reaches(account, server, host, 5432)
    assert not reaches(account, stranger, host, 5432)
    assert not reaches(account, stranger, server.address, 8080)
    machines.remove(account, stranger.name)

    assert changes(stack.up()) == {}
    ports.append(443)
    assert changes(stack.up()) == {"create": 1}
    assert open_ports(address, [22, 80, 443]) == [22, 80, 443]

    # Behind Pulumi's back: the instance goes, and its association with it.
    inventory.delete(account, thing(account, "ec2/instance:Instance")[0])
    assert changes(stack.refresh()) == {"delete": 2}
    assert changes(stack.up()) == {"create": 2}
    machine_of(account, "ec2/instance:Instance")
    assert open_ports(address, [22, 80, 443]) == [22, 80, 443]
    replaced = machines.get(account, thing(account, "ec2/instance:Instance")[1]["machine"])
    assert replaced is not None
    assert reaches(account, replaced, host, 5432)

    stack.destroy()
    assert {**inventory.listed(account), "account": "", "tag": ""} == {
        "account": "", "tag": "", "things": {}, "machines": {}, "databases": {}, "addresses": {},
    }  # fmt: skip


def lightsail_program(ports: list[int]) -> Callable[[], None]:
    key = public_key("rsa")
    zone = f"{REGION}a"

    def program() -> None:
        server = aws.lightsail.Instance(
            "server",
            availability_zone=zone,
            blueprint_id="debian_12",
            bundle_id="nano_3_0",
            key_pair_name=aws.lightsail.KeyPair("key", public_key=key).name,
            user_data=SERVE,
        )
        infos = [{"protocol": "tcp", "from_port": port, "to_port": port} for port in ports]
        aws.lightsail.InstancePublicPorts(
            "ports", instance_name=server.name, port_infos=infos,
            opts=pulumi.ResourceOptions(delete_before_replace=True),
        )  # fmt: skip
        address = aws.lightsail.StaticIp("address")
        aws.lightsail.StaticIpAttachment("attachment", static_ip_name=address.name, instance_name=server.name)
        database = aws.lightsail.Database(
            "data",
            relational_database_name="data",
            availability_zone=zone,
            blueprint_id="postgres_16",
            bundle_id="micro_2_0",
            master_database_name="app",
            master_username="slipway",
            master_password="Correct-Horse-1",
            skip_final_snapshot=True,
        )
        pulumi.export("address", address.ip_address)
        pulumi.export("database", database.master_endpoint_address)

    return program


def test_a_program_for_lightsail(account: Account, stack_of: Callable[[Callable[[], None]], automation.Stack]) -> None:
    ports = [22, 80]
    stack = stack_of(lightsail_program(ports))
    made = stack.up()
    address, host = made.outputs["address"].value, made.outputs["database"].value
    server = machine_of(account, "lightsail/instance:Instance")
    assert open_ports(address, [22, 80]) == [22, 80]
    assert reaches(account, server, host, 5432)
    stranger = machines.create(account, cloud="lightsail", form="script", hostname="stranger")
    assert not reaches(account, stranger, host, 5432)
    machines.remove(account, stranger.name)

    assert changes(stack.up()) == {}
    ports.append(443)
    assert changes(stack.up()) == {"replace": 1}
    assert open_ports(address, [22, 80, 443]) == [22, 80, 443]

    inventory.delete(account, thing(account, "lightsail/database:Database")[0])
    assert changes(stack.refresh()) == {"delete": 1}
    stack.destroy()
    assert inventory.listed(account)["things"] == {}
    assert inventory.listed(account)["addresses"] == {}


def test_missing_credentials_are_told_before_anything_else(
    engine: Engine, account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """pulumi-aws, provider/config.go: at CheckConfig, in the preview already."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    stack = engine.inline(lambda: aws.ec2.SecurityGroup("web") and None)
    with pytest.raises(automation.CommandError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        stack.preview()
