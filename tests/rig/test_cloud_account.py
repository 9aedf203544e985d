"""A cloud account without machines: its document, its things, and the command line."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .cloud_probes import account_in
from .clouds import inventory, network
from .clouds.account import VARIABLE, Account, CloudError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account.at(tmp_path / "account")


def test_without_an_account_a_cloud_says_which_variable_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(CloudError, match=f"{VARIABLE} to the absolute path of a folder .*a preview needs none"):
        Account.open()
    monkeypatch.setenv(VARIABLE, "some/folder")
    with pytest.raises(CloudError, match="'some/folder' is no absolute path"):
        Account.open()


def test_an_account_is_its_folder_and_nobody_elses_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "new" / "account"))
    first, second = Account.open(), Account.open()
    assert first == second
    assert len(first.tag) == 6
    assert stat.S_IMODE(first.document.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.folder.stat().st_mode) == 0o700
    assert Account.at(tmp_path / "other").tag != first.tag


def test_the_address_of_a_package_index_is_not_reserved(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    free = "203.0.113.77"
    others = frozenset(f"203.0.113.{n}" for n in range(1, 255)) - {free}
    monkeypatch.setattr(network, "_addresses_of_indexes", lambda: others)
    monkeypatch.setattr(network, "_routes", list)
    monkeypatch.setattr(network, "_route", lambda _account: None)
    assert network.reserve(account) == free


def test_package_indexes_are_those_of_the_lock_and_of_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = {"index.example": "203.0.113.80", "mirror.example": "203.0.113.81"}

    def look_up(name: str, *_more: object) -> list[object]:
        if name not in known:
            raise OSError("unknown")
        return [(0, 0, 0, "", (known[name], 0))]

    (tmp_path / "uv.lock").write_text('source = { registry = "https://index.example/simple" } "https://gone.example/x"')
    (tmp_path / "sources.list").write_text("deb http://mirror.example/debian trixie main\n")
    monkeypatch.setattr(network, "_LOCK", tmp_path / "uv.lock")
    monkeypatch.setattr(network, "_APT", tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert network._addresses_of_indexes.__wrapped__() == set(known.values())


def test_changes_at_once_lose_nothing(account: Account) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: account.next("i"), range(40)))
    assert sorted(numbers) == list(range(1, 41))
    count = "from tests.rig.clouds.account import Account; a = Account.open(); [a.next('i') for _ in range(20)]"
    started = [subprocess.Popen([sys.executable, "-c", count], cwd=ROOT, env={VARIABLE: str(account.folder)})
               for _ in range(3)]  # fmt: skip
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert account.next("i") == 101


def _change_and_fail(account: Account) -> None:
    with account.change() as data:
        data["things"]["half"] = {"cloud": "aws", "type": "t"}
        raise KeyError("half-way")


def test_a_change_that_fails_is_none(account: Account) -> None:
    with pytest.raises(KeyError, match="half-way"):
        _change_and_fail(account)
    assert account.things() == {}


def test_a_change_within_a_change_is_an_error_and_no_deadlock(account: Account) -> None:
    with account.change(), pytest.raises(RuntimeError, match="would wait for ever"):
        account.next("i")
    assert account.next("i") == 1


def test_things_are_found_by_id_and_type_until_they_are_dropped(account: Account) -> None:
    account.put("i-1", {"cloud": "aws", "type": "aws:ec2/instance:Instance", "size": "small"})
    account.put("sg-1", {"cloud": "aws", "type": "aws:ec2/securityGroup:SecurityGroup"})
    assert account.thing("i-1") == {"cloud": "aws", "type": "aws:ec2/instance:Instance", "size": "small"}
    assert list(account.things("aws:ec2/securityGroup:SecurityGroup")) == ["sg-1"]
    account.drop("i-1")
    account.drop("i-1")
    assert account.thing("i-1") is None
    with pytest.raises(ValueError, match="without cloud, type"):
        account.put("x", {})


def _command(account: Account, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.rig.clouds", *words]
    environment = {VARIABLE: str(account.folder), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_the_command_line_lists_describes_deletes_and_empties(tmp_path: Path) -> None:
    with account_in(tmp_path / "account") as account:
        address, other = network.reserve(account), network.reserve(account)
        account.put("eip-1", {"cloud": "nimbus", "type": "nimbus:Address", "address": address})
        listed = json.loads(_command(account, "list").stdout)
        assert listed["things"] == {"eip-1": "nimbus:Address"}
        assert listed["addresses"] == {address: "", other: ""}
        assert json.loads(_command(account, "describe", "eip-1").stdout)["address"] == address
        missing = _command(account, "delete", "eip-2")
        assert missing.returncode == 1
        assert f"has no eip-2; it has eip-1, {address}, {other}" in missing.stderr
        deleted = json.loads(_command(account, "delete", "eip-1").stdout)
        assert (deleted["things"], deleted["addresses"]) == ({}, {other: ""})
        assert "eip-1 is no machine and has none" in _command(account, "open", "eip-1").stderr
        assert json.loads(_command(account, "empty").stdout)["addresses"] == {}


def test_a_stand_in_derives_anew_what_depended_on_a_deleted_thing(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[list[str]] = []
    cloud = types.ModuleType("nimbus")
    cloud.settle = lambda of: settled.append(list(of.things()))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"{inventory.__package__}.nimbus", cloud)
    for identity in ("a", "b"):
        account.put(identity, {"cloud": "nimbus", "type": "nimbus:Rule"})
    inventory.delete(account, "a")
    assert settled == [["b"]]
