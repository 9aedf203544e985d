"""Packet filters and public addresses in front of real machines, seen from this host and from other machines."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from pulumi_slipway.bootstrap import HostKeyPair, render_user_data
from pulumi_slipway.bootstrap import Machine as Described

from .cloud_probes import account_in, answers, reaches, shell, traces
from .clouds import filters, machines, network
from .clouds.account import Account, CloudError
from .clouds.filters import Opening
from .clouds.machines import Machine

pytestmark = pytest.mark.long

WEB = [Opening("tcp", port, port) for port in (22, 80, 443)]
EXTRA = 8080
LISTEN = f"systemd-run --quiet --unit=extra python3 -m http.server {EXTRA}"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account_in(tmp_path_factory.mktemp("cloud") / "account") as account:
        yield account


@pytest.fixture(scope="module")
def server(account: Account) -> Machine:
    """A machine from this project's own user data, with its own firewall off and a listener that nobody asked for."""
    made = machines.create(account, cloud="ec2", user_data=_user_data(), incoming=WEB)
    shell(account, made, f"cloud-init status --wait >/dev/null; ufw disable; {LISTEN}", timeout=300)
    return made


@pytest.fixture(scope="module")
def other(account: Account) -> Machine:
    """A second machine, without a filter."""
    made = machines.create(account, cloud="lightsail")
    shell(account, made, LISTEN)
    return made


@pytest.fixture(scope="module")
def address(account: Account, server: Machine) -> str:
    """The server's public address."""
    address = network.reserve(account)
    network.assign(account, address, server.name)
    return address


@pytest.fixture(autouse=True)
def _as_it_was(account: Account, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        network.set_filter(account, server.name, WEB)


def _user_data() -> str:
    key = paramiko.ECDSAKey.generate()
    private = io.StringIO()
    key.write_private_key(private)
    public = f"{key.get_name()} {key.get_base64()}"
    return render_user_data(Described("web", HostKeyPair(private.getvalue(), public), [public]))


def test_what_is_not_opened_is_closed_to_the_world_and_to_other_machines(
    account: Account, server: Machine, other: Machine, address: str
) -> None:
    assert "/var/lib/slipway/bootstrapped" in shell(account, server, "ls /var/lib/slipway/bootstrapped")
    assert shell(account, server, "ufw status") == "Status: inactive\n"
    assert [port for port in (22, 80, EXTRA) if answers(address, port)] == [22, 80]
    for place in (address, server.address):
        assert [port for port in (22, 80, EXTRA) if reaches(account, other, place, port)] == [22, 80]


def test_a_test_may_take_the_filter_away_for_a_while(
    account: Account, server: Machine, other: Machine, address: str
) -> None:
    network.open_filter(account, server.name)
    network.set_filter(account, server.name, [])
    assert answers(address, EXTRA)
    assert reaches(account, other, server.address, EXTRA)
    network.close_filter(account, server.name)
    assert not answers(address, 22)
    assert not reaches(account, other, server.address, EXTRA)


def test_the_world_reaches_no_private_address(account: Account, server: Machine, address: str) -> None:
    network.set_filter(account, server.name, None)
    assert answers(address, EXTRA)
    assert not answers(server.address, EXTRA)


def test_a_source_is_a_network_a_machine_or_the_operator(
    account: Account, server: Machine, other: Machine, address: str
) -> None:
    def admitted(*sources: str) -> tuple[bool, bool]:
        network.set_filter(account, server.name, [Opening("tcp", EXTRA, EXTRA, sources)])
        return answers(address, EXTRA), reaches(account, other, address, EXTRA)

    assert admitted("0.0.0.0/0") == (True, True)
    assert admitted("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16") == (False, True)
    assert admitted(f"{other.address}/32") == (False, True)
    assert admitted(network.OPERATOR) == (True, False)
    assert admitted("::/0") == (False, False)
    public = network.reserve(account)
    network.assign(account, public, other.name)
    assert admitted(f"{public}/32") == (False, True)
    network.unassign(account, public)
    assert admitted(f"{public}/32") == (False, False)


def test_ranges_and_protocols_are_told_apart(account: Account, server: Machine, address: str) -> None:
    network.set_filter(account, server.name, [Opening("tcp", EXTRA - 1, EXTRA + 1)])
    assert (answers(address, EXTRA), answers(address, 22)) == (True, False)
    network.set_filter(account, server.name, [Opening("udp", 0, 65535), Opening("icmp")])
    assert not answers(address, EXTRA)
    network.set_filter(account, server.name, [Opening("all")])
    assert answers(address, EXTRA)


def test_what_a_machine_begins_can_be_limited_and_replies_still_leave(
    account: Account, server: Machine, other: Machine, address: str
) -> None:
    network.set_filter(account, server.name, WEB, [Opening("tcp", 22, 22, [f"{other.address}/32"])])
    assert reaches(account, server, other.address, 22)
    assert not reaches(account, server, other.address, EXTRA)
    assert answers(address, 80)
    assert reaches(account, server, filters.METADATA_ADDRESS, 80)
    network.set_filter(account, server.name, WEB, None)
    assert reaches(account, server, other.address, EXTRA)


def test_the_operator_is_who_a_machine_sees(account: Account, server: Machine, address: str) -> None:
    with socket.create_connection((address, 22), timeout=5):
        peers = shell(account, server, "ss --no-header --tcp state established '( sport = :22 )'")
    assert network.OPERATOR in peers


def test_a_public_address_moves_from_one_machine_to_another(account: Account, server: Machine, other: Machine) -> None:
    network.set_filter(account, server.name, None)
    address = network.reserve(account)
    assert not answers(address, 22)
    shell(account, server, "echo first > /srv/who; systemd-run --quiet --unit=who python3 -m http.server -d /srv 8099")
    shell(account, other, "echo second > /srv/who; systemd-run --quiet --unit=who python3 -m http.server -d /srv 8099")
    network.assign(account, address, server.name)
    with socket.create_connection((address, 8099), timeout=5) as old:
        assert _who(address) == "first"
        network.assign(account, address, other.name)
        assert _who(address) == "second"
        assert network.addresses_of(account, other.name) == [address]
        old.settimeout(2)
        old.sendall(b"GET /who HTTP/1.0\r\n\r\n")
        with pytest.raises(TimeoutError):
            old.recv(100)  # it went on to the machine that had the address before
    network.unassign(account, address)
    assert not answers(address, 8099)
    network.release(account, address)
    network.release(account, address)
    with pytest.raises(CloudError, match="is not reserved"):
        network.assign(account, address, other.name)


def _who(address: str) -> str:
    done = subprocess.run(["curl", "--silent", "--max-time", "5", f"http://{address}:8099/who"], capture_output=True,
                          text=True, check=True)  # fmt: skip
    return done.stdout.strip()


def test_what_a_restart_of_the_host_took_is_there_again_when_a_machine_is_started(
    account: Account, server: Machine, other: Machine, address: str
) -> None:
    machines.stop(account, other.name)
    chains = filters.Chains(account.tag)
    for table, builtin, chain in chains.jumps:
        subprocess.run(["iptables", "-w", "-t", table, "-D", builtin, "-j", chain], check=True)
    for table, chain in chains.owned:
        subprocess.run(["iptables", "-w", "-t", table, "-F", chain], check=True)
        subprocess.run(["iptables", "-w", "-t", table, "-X", chain], check=True)
    subprocess.run(["ip", "route", "del", address], check=True)
    subprocess.run(["ip", "route", "del", "unreachable", address], check=True)
    os.kill(account.read()["metadata"]["process"], signal.SIGKILL)
    assert address not in _routed()
    machines.start(account, other.name)
    assert (answers(address, 22), answers(address, EXTRA)) == (True, False)
    assert reaches(account, server, filters.METADATA_ADDRESS, 80)


def test_accounts_share_nothing_and_an_emptied_one_leaves_nothing(account: Account, tmp_path: Path) -> None:
    with account_in(tmp_path / "neighbour") as neighbour:
        mine, theirs = ([network.reserve(each) for _ in range(4)] for each in (account, neighbour))
        assert not set(mine) & set(theirs)
        made = machines.create(neighbour, cloud="digitalocean", login="root", incoming=[])
        network.assign(neighbour, theirs[0], made.name)
        assert traces(neighbour)
        assert _routed() >= {*mine, *theirs}
    assert not _routed() & set(theirs)
    assert _routed() >= set(mine)
    for address in mine:
        network.release(account, address)


def _routed() -> set[str]:
    listed = subprocess.run(["ip", "-json", "route"], capture_output=True, text=True, check=True).stdout
    return {route["dst"] for route in json.loads(listed)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"protocol": "sctp"}, "protocol 'sctp' is none of"),
        ({"protocol": "tcp", "first_port": 90, "last_port": 80}, "ports 90 to 80 are no range"),
        ({"protocol": "tcp", "last_port": 65536}, "ports 0 to 65536 are no range"),
        ({"protocol": "tcp", "sources": ["sg-123"]}, "'sg-123' does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_an_opening_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Opening(**given)
