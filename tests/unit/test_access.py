"""Rules and keys that change over a server's life: what is asked of the engine for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pulumi_slipway import DropletServer, Ec2Server, LightsailServer, LinodeServer, LocalServer
from pulumi_slipway.access import summary
from pulumi_slipway.firewall import rules_with
from tests.unit import cloud_servers
from tests.unit.cloud_servers import Run
from tests.unit.mocks import Engine

KEYS = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ada", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB== bob"]
GAME: dict[str, Any] = {
    "name": "game",
    "port": 7777,
    "protocol": "udp",
    "sources": ["198.51.100.0/24", "2001:db8::/32"],
}
TARGETS = [LocalServer, Ec2Server, LightsailServer, DropletServer, LinodeServer]


@pytest.fixture(autouse=True)
def cloud(engine: Engine) -> None:
    cloud_servers.prepare(engine)


@pytest.mark.parametrize("target", TARGETS)
def test_rules_and_keys_are_pushed_once_the_server_is_at_its_address(target: Callable[..., Any], run: Run) -> None:
    recorder = run(lambda: target("server", {"firewall": [GAME], "admin_keys": KEYS}))
    last = "server-arrive-1" if "server-arrive-1" in recorder.names else "server-data"
    assert last in recorder.depends_on("server-access-1")
    assert recorder["server-access-1"].deletedWith.endswith("::server-machine-1")
    assert recorder.is_secret("server-access-1", "stdin")
    document = json.loads(recorder.input("server-access-1", "stdin"))
    assert document["rules"] == [
        {"port": 22, "protocol": "tcp", "sources": []},
        {"port": 80, "protocol": "tcp", "sources": []},
        {"port": 443, "protocol": "tcp", "sources": []},
        {"port": 7777, "protocol": "udp", "sources": ["198.51.100.0/24", "2001:db8::/32"]},
    ]
    assert document["admin_keys"] == KEYS
    shown = recorder.input("server-access-1", "create")
    assert shown.endswith(f"pulumi_slipway.access  # {summary(rules_with([GAME]), KEYS)}")  # type: ignore[list-item]


@pytest.mark.parametrize("target", TARGETS)
def test_a_change_of_them_is_no_new_machine_and_no_warning(
    target: Callable[..., Any], run: Run, warned: list[str]
) -> None:
    first = run(lambda: target("server", {}))
    second = run(lambda: target("server", {"firewall": [GAME], "admin_keys": KEYS}))
    assert first.names <= second.names
    assert list(first.input("server-access-1", "triggers")) == list(second.input("server-access-1", "triggers"))
    assert first.input("server-access-1", "create") != second.input("server-access-1", "create")
    if "server-made-with-1" in first.names:
        assert first.input("server-made-with-1", "input") == second.input("server-made-with-1", "input")
    assert warned == []


def test_the_preview_names_ports_sources_and_keys() -> None:
    text = summary(rules_with([GAME]), KEYS)  # type: ignore[list-item]
    assert text.startswith(
        "ufw lets in 22/tcp, 80/tcp, 443/tcp, 7777/udp from 198.51.100.0/24 2001:db8::/32; admin_keys: "
    )
    people = text.rpartition(": ")[2].split()
    assert len(set(people)) == 2
    assert summary(rules_with([]), KEYS[:1]).endswith(people[0])
    assert summary(rules_with([]), []).endswith("admin_keys: none")
