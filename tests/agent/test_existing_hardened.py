"""Hardening of a machine that somebody has: what a fresh login confirms stays, and nothing else does."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from pulumi_slipway.adopt import TRIAL
from pulumi_slipway.bootstrap import Guesthouse as Description
from pulumi_slipway.bootstrap import render_hardening_script
from pulumi_slipway.firewall import DEFAULT_RULES, FirewallRule
from pulumi_slipway.places import AGENT
from pulumi_slipway.ssh import SshError, connect
from tests.agent.guesthouse import PROGRAM_ENVIRONMENT, Guesthouse, guesthouse

pytestmark = pytest.mark.long

_SHORT = 8
"""Seconds on trial, in place of `TRIAL`."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guesthouse]:
    with guesthouse(tmp_path_factory.mktemp("machine"), sudo="free", plain=False) as found:
        yield found


@pytest.fixture
def house(machine: Guesthouse) -> Iterator[Guesthouse]:
    """The machine, adopted and open; given back as it was at the end."""
    before = machine.state()
    done = machine.adopt()
    assert done.returncode == 0, done.stderr
    yield machine
    done = machine.adopt("give-back")
    assert done.returncode == 0, done.stderr
    assert machine.differences(before) == []


def _log_in(house: Guesthouse, user: str = "admin") -> None:
    """A fresh login: a connection of its own."""
    key = house.request.deploy_private if user == "deploy" else house.request.private_key
    with connect(house.box.address, 22, user, key, [house.request.host_key], timeout=4) as connection:
        assert connection.run("true", timeout=5).status == 0


def _settings(house: Guesthouse) -> dict[str, str]:
    """What says that the machine is open or closed."""
    lines = house.shell("sshd -T").splitlines()
    found = dict(line.split(" ", 1) for line in lines if line.startswith(("passwordauthentication", "permitrootlogin")))
    return {**found, "ufw": house.shell("LC_ALL=C ufw status | head -n 1").strip()}


def _harden(house: Guesthouse, rules: Any = DEFAULT_RULES, within: int = _SHORT) -> dict[str, Any]:
    """As the agent is asked to, without anybody who confirms it."""
    script = render_hardening_script(Description(harden=True, firewall=rules))
    done = house.box.root_run([AGENT, "harden"], json.dumps({"script": script, "within": within}), 60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _wait_until(house: Guesthouse, settings: dict[str, str], within: float = 40) -> float:
    began = time.monotonic()
    while _settings(house) != settings or "slipway-take-back" in _units(house):
        assert time.monotonic() - began < within, f"still {_settings(house)}"
        time.sleep(0.5)
    return time.monotonic() - began


def _units(house: Guesthouse) -> str:
    return house.shell("ls /etc/systemd/system")


def test_without_harden_sshd_and_the_firewall_are_not_touched(house: Guesthouse) -> None:
    assert _settings(house) == {"passwordauthentication": "yes", "permitrootlogin": "without-password",
                                "ufw": "Status: inactive"}  # fmt: skip
    house.shell("test ! -e /etc/ssh/sshd_config.d/00-slipway.conf -a ! -e /etc/apt/apt.conf.d/20auto-upgrades.old")


def test_confirmed_by_fresh_logins_it_stays_and_ends_when_it_is_not_wished_for_any_more(house: Guesthouse) -> None:
    before = _settings(house)
    done = house.adopt(harden=True)
    assert done.returncode == 0, done.stderr
    assert f"taken back in {TRIAL} s unless a fresh login confirms it" in done.stderr
    assert "fresh logins got in: the hardening stays" in done.stderr
    closed = {"passwordauthentication": "no", "permitrootlogin": "no", "ufw": "Status: active"}
    assert _settings(house) == closed
    assert "slipway-take-back" not in _units(house)
    assert house.shell("systemctl list-timers --all --no-legend 'slipway-take-back*'") == ""
    house.shell("python3 -m http.server 8099 >/dev/null 2>&1 & sleep 0.5")
    assert not _reaches(house, 8099)
    assert _reaches(house, 80)
    for user in ("admin", "deploy"):
        _log_in(house, user)
    refused = subprocess.run(
        ["ssh", "-o", "BatchMode=yes", "-o", "PubkeyAuthentication=no", "-o", "StrictHostKeyChecking=no",
         "-o", "UserKnownHostsFile=/dev/null", f"admin@{house.box.address}", "true"],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert "Permission denied (publickey)" in refused.stderr

    again = house.adopt(harden=True)
    assert "on trial" not in again.stderr, "what was confirmed is not tried again"
    house.box.reboot()
    assert _settings(house) == closed

    done = house.adopt(harden=False)
    assert done.returncode == 0, done.stderr
    assert _settings(house) == before
    house.shell("pkill -f '[h]ttp.server 8099' || true")


def test_a_rule_that_is_added_or_taken_away_takes_effect_on_a_closed_machine(house: Guesthouse) -> None:
    before = _settings(house)
    rules = house.request.firewall
    extra = {"name": "extra", "port": 8099, "protocol": "tcp", "sources": ["0.0.0.0/0", "::/0"]}
    house.shell("ufw allow 8098/tcp >/dev/null")
    for wanted in ([*rules, extra], rules):
        done = house.adopt(harden=True, firewall=wanted)
        assert done.returncode == 0, done.stderr
        added = house.shell("ufw show added")
        assert ("8099/tcp" in added) is (extra in wanted)
        assert "8098/tcp" in added, "the owner's own rule"
        assert "8099" in house.shell("iptables -S ufw-user-input") or extra not in wanted
        _log_in(house)
    done = house.adopt(harden=False)
    assert done.returncode == 0, done.stderr
    assert _settings(house) == before
    house.shell("ufw delete allow 8098/tcp >/dev/null")


def test_unconfirmed_it_is_taken_back(house: Guesthouse) -> None:
    before = _settings(house)
    _harden(house)
    assert _settings(house)["passwordauthentication"] == "no"
    assert _wait_until(house, before) < _SHORT + 15
    _log_in(house)
    late = house.box.root_run([AGENT, "confirm"], "{}")
    assert late.returncode == 1
    assert "the hardening was taken back before" in late.stderr


def test_a_firewall_that_locks_everybody_out_is_taken_back(house: Guesthouse) -> None:
    before = _settings(house)
    without_ssh = [rule for rule in DEFAULT_RULES if rule.name != "ssh"]
    _harden(house, [*without_ssh, FirewallRule("ssh", 22, sources=("192.0.2.0/24",))])
    with pytest.raises(SshError):
        _log_in(house)
    _wait_until(house, before)
    _log_in(house)


def test_a_fresh_login_that_is_refused_opens_the_machine_again_by_the_connection_that_is_left(
    house: Guesthouse,
) -> None:
    """The owner's ufw is off, with a rule in it that would lock the operator out: only a fresh login can show that."""
    before = _settings(house)
    own = _own_address(house)
    house.shell(f"ufw deny from {own} to any port 22 >/dev/null")
    began = time.monotonic()
    done = house.adopt(harden=True)
    assert done.returncode == 1
    assert "harden: a fresh login was refused" in done.stderr
    assert time.monotonic() - began < TRIAL, "it was not waited for the timer"
    assert _settings(house) == before
    _log_in(house)
    assert f"deny from {own} to any port 22" in house.shell("LC_ALL=C ufw show added")
    house.shell(f"ufw delete deny from {own} to any port 22 >/dev/null")


def test_an_operator_who_is_killed_before_confirming_leaves_an_open_machine(house: Guesthouse) -> None:
    before = _settings(house)
    house.shell(f"ufw deny from {_own_address(house)} to any port 22 >/dev/null")  # so that it tries for a while
    process = subprocess.Popen(
        [sys.executable, "-m", "pulumi_slipway.adopt", "claim"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=PROGRAM_ENVIRONMENT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(json.dumps(asdict(house.request) | {"harden": True}))
    process.stdin.close()
    while "on trial" not in (line := process.stderr.readline()):
        assert line, "it ended before it hardened anything"
    process.kill()
    process.wait(10)
    with pytest.raises(SshError):
        _log_in(house)
    # the same timer with less time: nobody wants to wait for two minutes
    timer = "/etc/systemd/system/slipway-take-back.timer"
    house.shell(f"grep -q OnActiveSec={TRIAL} {timer} && sed -i s/OnActiveSec={TRIAL}/OnActiveSec={_SHORT}/ {timer} && "
                "systemctl daemon-reload && systemctl restart slipway-take-back.timer")  # fmt: skip
    _wait_until(house, before)
    house.shell(f"ufw delete deny from {_own_address(house)} to any port 22 >/dev/null")
    _log_in(house)


def test_a_reboot_while_on_trial_is_no_way_to_stay_locked_out(house: Guesthouse) -> None:
    before = _settings(house)
    _harden(house, [FirewallRule("ssh", 22, sources=("192.0.2.0/24",))])
    house.box.kill()
    # the driver waits for port 22, which nobody may reach: until the machine is open again by itself
    starting = subprocess.Popen(
        [sys.executable, "-m", "pulumi_slipway.local", "start", house.box.name],
        env=PROGRAM_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while "Status: active" not in house.shell("LC_ALL=C ufw status", check=False):
        assert time.monotonic() < deadline, "the firewall did not come back with the machine"
        time.sleep(0.2)
    assert starting.wait(90) == 0
    _wait_until(house, before)
    _log_in(house)


def test_a_hardening_that_fails_on_its_way_changes_nothing(house: Guesthouse) -> None:
    before = _settings(house)
    script = render_hardening_script(Description(harden=True)).replace("sshd -t\n", "echo no such option >&2; exit 1\n")
    done = house.box.root_run([AGENT, "harden"], json.dumps({"script": script}), 60)
    assert done.returncode == 1
    assert "no such option" in done.stderr
    assert _settings(house) == before
    assert "slipway-take-back" not in _units(house)


def test_a_firewall_that_its_owner_has_closed_lets_visitors_in_as_long_as_they_are_served(machine: Guesthouse) -> None:
    machine.shell("ufw allow 22/tcp >/dev/null; ufw allow 80/tcp >/dev/null; ufw --force enable >/dev/null")
    before = machine.state()
    added = "LC_ALL=C ufw show added | grep ^ufw"
    assert machine.shell(added).splitlines() == ["ufw allow 22/tcp", "ufw allow 80/tcp"]
    try:
        done = machine.adopt()
        assert done.returncode == 0, done.stderr
        assert "ufw lets in 443/tcp" in done.stderr
        assert machine.shell(added).splitlines() == ["ufw allow 22/tcp", "ufw allow 80/tcp", "ufw allow 443/tcp"]
        machine.adopt("give-back")
        assert machine.shell(added).splitlines() == ["ufw allow 22/tcp", "ufw allow 80/tcp"], "that was its owner's"
        assert machine.differences(before) == []
    finally:
        machine.shell("ufw --force reset >/dev/null; rm -f /etc/ufw/*.rules.20*")


def _own_address(house: Guesthouse) -> str:
    """Where the operator comes from, as the machine sees it."""
    with socket.create_connection((house.box.address, 22), timeout=5) as connection:
        return str(connection.getsockname()[0])


def _reaches(house: Guesthouse, port: int) -> bool:
    try:
        socket.create_connection((house.box.address, port), timeout=2).close()
    except OSError:
        return False
    return True
