"""What the tests of all clouds' servers share: what the clouds answer, and what is asked of every target."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from tests.unit.mocks import HOST, Engine, Recorder

Run = Callable[..., Recorder]

OUTPUTS: dict[str, dict[str, Any]] = {
    "aws:ec2/instance:Instance": {"id": "i-1", "publicIp": "198.51.100.7", "privateIp": "10.0.0.7"},
    "aws:ec2/eip:Eip": {"allocationId": "eipalloc-1", "publicIp": "203.0.113.9"},
    "aws:ec2/securityGroup:SecurityGroup": {"id": "sg-1"},
    "aws:lightsail/instance:Instance": {
        "id": "server-machine-1-abc1234",
        "name": "server-machine-1-abc1234",
        "publicIpAddress": "198.51.100.7",
        "privateIpAddress": "172.26.0.7",
    },
    "aws:lightsail/keyPair:KeyPair": {"name": "server-key-abc1234"},
    "digitalocean:index/droplet:Droplet": {
        "id": "400000001",
        "ipv4Address": "198.51.100.7",
        "ipv4AddressPrivate": "10.100.0.7",
        "dropletUrn": "do:droplet:400000001",
    },
    "digitalocean:index/reservedIp:ReservedIp": {"ipAddress": "203.0.113.9"},
    "digitalocean:index/sshKey:SshKey": {"fingerprint": "aa:bb"},
    "digitalocean:index/tag:Tag": {"name": "server-tag-abc1234"},
    "linode:index/instance:Instance": {"id": "61000001", "ipv4s": ["198.51.100.7"]},
    "linode:index/firewall:Firewall": {"id": "62000001"},
    "linode:index/reservedIp:ReservedIp": {"address": "203.0.113.9"},
    "aws:lightsail/staticIp:StaticIp": {"name": "server-address-abc1234", "ipAddress": "203.0.113.9"},
}
ANSWERS: dict[str, dict[str, Any]] = {
    "aws:ec2/getInstanceType:getInstanceType": {"supportedArchitectures": ["x86_64"]},
    "aws:ec2/getAmi:getAmi": {"id": "ami-0123456789abcdef0"},
    "aws:ec2/getVpc:getVpc": {"id": "vpc-default"},
    "aws:ec2/getSubnet:getSubnet": {"vpcId": "vpc-of-subnet"},
    "aws:index/getRegion:getRegion": {"region": "eu-central-1"},
}


def prepare(engine: Engine) -> None:
    """Let the engine answer as the clouds do."""
    engine.outputs = {token: dict(outputs) for token, outputs in OUTPUTS.items()}
    engine.answers = {token: dict(answer) for token, answer in ANSWERS.items()}


def check_order(recorder: Recorder, assignment: str = "server-assignment") -> None:
    """Machine, ready, data, assignment, arrive: each waits for the one before."""
    for earlier, later in (
        ("server-machine-1", "server-ready-1"),
        ("server-ready-1", "server-data"),
        ("server-data", assignment),
        ("server-machine-1", assignment),
        (assignment, "server-arrive-1"),
    ):
        assert earlier in recorder.depends_on(later), (earlier, later)


def check_ready_at(recorder: Recorder, address: str, machine: str) -> None:
    """The ready step goes to the machine's own address, and runs anew for another machine alone."""
    document = json.loads(recorder.input("server-ready-1", "stdin"))
    assert document["address"] == address
    assert document["boot_public"] == "ssh-ed25519 server-keys-boot-1"
    assert list(recorder.input("server-ready-1", "triggers")) == [machine]
    assert recorder["server-ready-1"].deletedWith.endswith("::server-machine-1")


def check_refreshed(run: Run, engine: Engine, make: Callable[[], Any], token: str, key: str) -> None:
    """That its static address is the machine's own by now changes nothing; another machine is reached by its own."""
    first = run(make)
    engine.stashed["server-first-address-1"] = dict(first.input("server-first-address-1", "input"))
    engine.outputs[token][key] = "203.0.113.9"
    refreshed = run(make)
    assert list(refreshed["server-first-address-1"].ignoreChanges) == ["input"]
    for name in ("server-ready-1", "server-data", "server-arrive-1", "server-access-1"):
        assert refreshed.input(name, "stdin") == first.input(name, "stdin"), name
    engine.outputs[token] |= {key: "198.51.100.8", "id": "another-machine"}
    assert json.loads(run(make).input("server-ready-1", "stdin"))["address"] == "198.51.100.8"


def check_protection(recorder: Recorder, protected: set[str]) -> None:
    """These resources are protected, and no other."""
    assert {name for name in recorder.names if recorder[name].protect} == protected


def check_host(run: Run, make: Callable[[], Any]) -> None:
    """The host comes after all that makes it reachable, and holds no secret; the key beside it is one."""
    seen: dict[str, Any] = {}

    def program() -> None:
        server = make()
        pulumi.CustomResource("test:index:User", "user", {"host": server.host, "key": server.private_key})
        server.host.apply(seen.update)

    recorder = run(program)
    last = "server-arrive-1" if "server-arrive-1" in recorder.names else "server-data"
    assert last in recorder.depends_on("user")
    assert seen == HOST
    assert not recorder.is_secret("user", "host")
    assert recorder.is_secret("user", "key")


def check_no_plain_secret(recorder: Recorder) -> None:
    """No private key is in an input that is not secret, nor in the clear part of one."""
    for name in recorder.names:
        inputs = recorder[name].object
        for key in inputs:
            if not recorder.is_secret(name, key):
                assert "-private" not in str(inputs[key]), (name, key)


def check_preview(run: Run, make: Callable[[], Any], names: set[str]) -> None:
    """A preview of a new server registers all of it, knowing none of the outputs."""
    assert run(make, preview=True).names >= names


def check_generation(run: Run, make: Callable[[int], Any], kept: set[str]) -> None:
    """With another generation, these are what they were, and the machine with all that is its own is new."""
    first, second = run(lambda: make(1)), run(lambda: make(2))
    assert {name for name in first.names & second.names if name.startswith("server")} >= kept
    for name in ("machine", "ready", "keys-boot", "keys-host"):
        assert f"server-{name}-1" not in second.names
        assert f"server-{name}-2" in second.names
    assert not any(name.endswith("-2") for name in first.names)


def check_refused(run: Run, make: Callable[[], Any], message: str) -> None:
    """Wrong arguments are told before any resource is made."""

    def program() -> None:
        with pytest.raises(ValueError, match=message):
            make()

    assert not [name for name in run(program).names if name.startswith("server")]


def check_told(run: Run, engine: Engine, warned: list[str], make: Callable[[], Any], changed: str) -> None:
    """Settings that are not what the machine was made with are told by name, and only those."""
    run(make)
    assert warned == []
    engine.stashed["server-made-with-1"] = {"package_index": "0123456789ab", "firewall": "0123456789ab"}
    recorder = run(make)
    assert list(recorder["server-made-with-1"].ignoreChanges) == ["input"]
    assert [text.split(";")[0] for text in warned] == [
        f"server: the machine was made with other settings than it has now ({changed})"
    ]
    assert "set generation to 2" in warned[0]


def check_imports(component: str, wanted: str) -> None:
    """Only the SDK of its own cloud comes with a server."""
    program = (
        f"import sys; from pulumi_slipway import {component}; "
        "names = {module.split('.')[0] for module in sys.modules}; "
        "print(*sorted(names & {'pulumi_aws', 'pulumi_digitalocean', 'pulumi_linode'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [wanted]
