"""What machines are told at 169.254.169.254, each in the manner of its cloud."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cloud_probes import account_in, shell
from .clouds import host, machines, metadata, network
from .clouds.account import Account
from .clouds.machines import Machine

pytestmark = pytest.mark.long

SERVICE = "http://169.254.169.254"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl8nfdzJYrxVGl4Q9l3tH1wI4+6ZyqcbyDfVJz1dD5T me"
USER_DATA = "#cloud-config\n{}\n# ü\n"

# In the machine: answers `status TTL\nbody`; the TTL is that of the packet with the answer
REQUEST = """
import json, socket, struct, sys
method, path, headers = json.load(sys.stdin)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x800))
link = socket.create_connection(("169.254.169.254", 80), timeout=5)
lines = [f"{method} {path} HTTP/1.1", "Host: 169.254.169.254", "Connection: close"]
lines += [f"{name}: {value}" for name, value in headers.items()]
link.sendall("\\r\\n".join([*lines, "", ""]).encode())
answer = b"".join(iter(lambda: link.recv(65536), b""))
wire.settimeout(0.2)
ttl = 0
try:
    while True:
        packet = wire.recv(65536)
        if packet[12:16] == socket.inet_aton("169.254.169.254") and b"HTTP/1.1 " in packet:
            ttl = packet[8]
except TimeoutError:
    pass
head, _, body = answer.partition(b"\\r\\n\\r\\n")
sys.stdout.write(f"{head.split()[1].decode()} {ttl}\\n{body.decode()}")
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account_in(tmp_path_factory.mktemp("cloud") / "account") as account:
        yield account


@pytest.fixture(scope="module")
def instance(account: Account) -> Machine:
    """As EC2 makes them."""
    told = {"instance_id": "i-0abc", "hostname": "ip-10-0-0-5", "region": "eu-central-1", "key_name": "mine"}
    return machines.create(account, cloud="ec2", user_data=USER_DATA, public_keys=[KEY], metadata=told, incoming=[])


def ask(
    account: Account, machine: Machine, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> tuple[int, str, int]:
    """Status, body and TTL of the answer to a request from the machine."""
    printed = machines.run(account, machine.name, ["python3", "-c", REQUEST], json.dumps([method, path, headers or {}]))
    head, _, body = printed.partition("\n")
    return int(head.split()[0]), body, int(head.split()[1])


def _token(account: Account, machine: Machine, seconds: str = "60") -> str:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": seconds}
    status, token, _ = ask(account, machine, "/latest/api/token", headers, "PUT")
    assert status == 200
    return token


# EC2 User Guide, "Use the Instance Metadata Service to access instance metadata"


def test_ec2_asks_for_a_token_that_was_asked_for_in_seconds(account: Account, instance: Machine) -> None:
    assert ask(account, instance, "/latest/user-data")[0] == 401
    assert ask(account, instance, "/latest/user-data", {"X-aws-ec2-metadata-token": "guessed"})[0] == 401
    for seconds in ("0", "21601", "soon"):
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": seconds}
        assert ask(account, instance, "/latest/api/token", headers, "PUT")[0] == 400
    assert ask(account, instance, "/latest/api/token", {}, "PUT")[0] == 400
    forwarded = {"X-aws-ec2-metadata-token-ttl-seconds": "60", "X-Forwarded-For": "192.0.2.1"}
    assert ask(account, instance, "/latest/api/token", forwarded, "PUT")[0] == 403
    token = _token(account, instance)
    assert ask(account, instance, "/latest/user-data", {"X-aws-ec2-metadata-token": token})[:2] == (200, USER_DATA)


def test_a_token_of_ec2_ends(account: Account, instance: Machine) -> None:
    token = _token(account, instance, "1")
    time.sleep(1.1)
    assert ask(account, instance, "/latest/user-data", {"X-aws-ec2-metadata-token": token})[0] == 401


def test_ec2_tells_what_the_instance_is(account: Account, instance: Machine) -> None:
    headers = {"X-aws-ec2-metadata-token": _token(account, instance)}

    def told(path: str) -> str:
        status, text, _ = ask(account, instance, f"/latest/meta-data/{path}", headers)
        return text if status == 200 else str(status)

    assert told("instance-id") == "i-0abc"
    assert told("local-ipv4") == instance.address
    assert told("hostname") == "ip-10-0-0-5"
    assert told("placement/region") == "eu-central-1"
    assert told("public-keys/") == "0=mine"
    assert told("public-keys/0/openssh-key") == KEY + "\n"
    assert told("public-ipv4") == "404"
    address = network.reserve(account)
    network.assign(account, address, instance.name)
    assert told("public-ipv4") == address
    assert "public-keys/" in told("").splitlines()
    assert told("iam/security-credentials/") == "404"


def test_a_token_of_ec2_travels_as_far_as_the_hop_limit_says(account: Account, instance: Machine) -> None:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    assert ask(account, instance, "/latest/api/token", headers, "PUT")[2] == 1
    machines.set_metadata(account, instance.name, {"http_put_response_hop_limit": 3})
    assert ask(account, instance, "/latest/api/token", headers, "PUT")[2] == 3


def test_ec2_tells_without_a_token_only_where_it_is_set_so_and_nothing_when_it_is_off(
    account: Account, instance: Machine
) -> None:
    machines.set_metadata(account, instance.name, {"http_tokens": "optional"})
    assert ask(account, instance, "/latest/meta-data/instance-id")[:2] == (200, "i-0abc")
    machines.set_metadata(account, instance.name, {"http_endpoint": "disabled"})
    assert ask(account, instance, "/latest/meta-data/instance-id")[0] == 403
    machines.set_metadata(account, instance.name, {"http_tokens": "required", "http_endpoint": "enabled"})


# docs.digitalocean.com/reference/api/metadata


def test_digitalocean_tells_without_a_token(account: Account) -> None:
    told = {"instance_id": "4711", "region": "fra1", "tags": ["web", "blue"]}
    droplet = machines.create(account, cloud="digitalocean", login="root", user_data=USER_DATA, public_keys=[KEY],
                              hostname="web", metadata=told)  # fmt: skip
    address = network.reserve(account)
    network.assign(account, address, droplet.name)
    paths = {
        "id": "4711",
        "hostname": "web",
        "user-data": USER_DATA,
        "public-keys": KEY,
        "region": "fra1",
        "interfaces/public/0/ipv4/address": address,
        "interfaces/private/0/ipv4/address": droplet.address,
        "reserved_ip/ipv4/active": "false",
    }
    assert {path: ask(account, droplet, f"/metadata/v1/{path}")[1] for path in paths} == paths
    index = ask(account, droplet, "/metadata/v1/")[1].splitlines()
    assert {"id", "user-data", "interfaces/", "reserved_ip/", "tags/"} <= set(index)
    whole = json.loads(ask(account, droplet, "/metadata/v1.json")[1])
    assert (whole["droplet_id"], whole["tags"], whole["public_keys"]) == (4711, ["web", "blue"], [KEY])
    assert ask(account, droplet, "/latest/user-data")[0] == 404


# techdocs.akamai.com/cloud-computing/docs/metadata-service-api


def test_linode_asks_for_a_token_and_tells_user_data_in_base64(account: Account) -> None:
    made = machines.create(account, cloud="linode", login="root", user_data=USER_DATA,
                           metadata={"instance_id": "815", "label": "web", "region": "eu-central"})  # fmt: skip
    assert ask(account, made, "/v1/user-data")[0] == 401
    assert ask(account, made, "/v1/token", {"Metadata-Token-Expiry-Seconds": "86401"}, "PUT")[0] == 400
    asked = {"Metadata-Token-Expiry-Seconds": "3600", "Accept": "application/json"}
    (token,) = json.loads(ask(account, made, "/v1/token", asked, "PUT")[1])
    headers = {"Metadata-Token": token}
    encoded = ask(account, made, "/v1/user-data", headers)[1]
    assert subprocess.run(
        ["base64", "-d"], input=encoded.encode(), capture_output=True, check=True
    ).stdout.decode() == (USER_DATA)
    assert "label: web\n" in ask(account, made, "/v1/instance", headers)[1]
    whole = json.loads(ask(account, made, "/v1/instance", headers | {"Accept": "application/json"})[1])
    assert (whole["id"], whole["region"]) == (815, "eu-central")


def test_nobody_but_the_accounts_machines_is_told_anything(account: Account, instance: Machine) -> None:
    known = account.read()["metadata"]
    url = f"http://{known['gateway']}:{known['port']}/latest/user-data"
    code = ["curl", "--silent", "--output", os.devnull, "--write-out", "%{http_code}", "--noproxy", "*", url]
    assert subprocess.run(code, capture_output=True, text=True, check=False).stdout == "404"
    assert f"{known['port']}" not in shell(account, instance, f"ss -Htn; curl -s {url} || true")
    reached = shell(account, instance, f"timeout 2 bash -c '</dev/tcp/{known['gateway']}/{known['port']}' || echo no")
    assert reached == "no\n"


def test_a_killed_service_is_started_again_and_the_last_machine_ends_it(tmp_path: Path) -> None:
    with account_in(tmp_path / "account") as account:
        first = machines.create(account, cloud="ec2")
        known = account.read()["metadata"]
        assert os.getsid(known["process"]) == known["process"]  # it outlives whoever started it
        os.kill(known["process"], signal.SIGKILL)
        second = machines.create(account, cloud="ec2")
        again = account.read()["metadata"]
        assert again["process"] != known["process"]
        _token(account, first)
        machines.remove(account, first.name)
        assert host.started(again["process"]) == again["started"]
        machines.remove(account, second.name)
        assert host.started(again["process"]) == ""
        assert "metadata" not in account.read()


def test_a_service_whose_account_is_gone_ends_by_itself(tmp_path: Path) -> None:
    with account_in(tmp_path / "account") as account:
        machines.create(account, cloud="ec2")
        known = account.read()["metadata"]
        account.document.rename(tmp_path / "elsewhere")
        deadline = time.monotonic() + 10
        while host.started(known["process"]) and time.monotonic() < deadline:
            time.sleep(0.1)
        (tmp_path / "elsewhere").rename(account.document)
        assert host.started(known["process"]) == ""
        metadata.ensure(account)
        assert host.started(account.read()["metadata"]["process"])
