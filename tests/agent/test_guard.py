"""Whether a machine is as closed as it was made: told from its files, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulumi_slipway.agent import firewall, guard, paths
from pulumi_slipway.bootstrap import HostKeyPair, Machine, render_bootstrap_script

RULES = """\
*filter
### RULES ###

### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT

### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in comment=68747470
-A ufw-user-input -p tcp --dport 80 -j ACCEPT

### tuple ### allow tcp 443 0.0.0.0/0 any 0.0.0.0/0 in

### tuple ### allow udp 4000 0.0.0.0/0 any 198.51.100.0/24 in

### tuple ### deny tcp 25 0.0.0.0/0 any 0.0.0.0/0 in
### tuple ### allow any any 0.0.0.0/0 any 203.0.113.7 in
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that is as its script made it."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "run").mkdir()
    script = render_bootstrap_script(Machine("guest", HostKeyPair("private", "public"), ["ssh-ed25519 AAAA deploy"]))
    texts = {
        "etc/ufw/ufw.conf": "ENABLED=yes\n",
        "etc/ufw/user.rules": RULES,
        "etc/default/ufw": 'IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\n',
        "var/lib/slipway/bootstrap.sh": script,
        "etc/ssh/sshd_config.d/00-slipway.conf": script.split("00-slipway.conf <<'END'\n")[1].split("END\n")[0],
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    sshd = texts["etc/ssh/sshd_config.d/00-slipway.conf"].lower().replace("prohibit-password", "without-password")
    heard = {"sshd": sshd, "iptables": "-P INPUT DROP\n-A INPUT -j ufw-before-input\n"}
    monkeypatch.setattr(guard, "tool", lambda command: (tmp_path / command[0]).read_text())
    for name, text in heard.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_machine_that_is_as_it_was_made_is_so(root: Path) -> None:
    assert guard.differing() == []


def test_rules_are_read_from_the_files_of_ufw(root: Path) -> None:
    assert firewall.in_files() == {
        ("tcp", 22, ""),
        ("tcp", 80, ""),
        ("tcp", 443, ""),
        ("udp", 4000, "198.51.100.0/24"),
    }


CHANGES = {
    ("etc/ufw/ufw.conf", "yes", "no"): "the firewall (ufw) is off",
    ("etc/default/ufw", "DROP", "ACCEPT"): "the firewall (ufw) lets in by default what no rule is about",
    ("etc/ufw/user.rules", "allow tcp 443", "deny tcp 443"): "the firewall (ufw) does not let in 443/tcp any more",
    ("iptables", "ufw-before-input", "other"): "the firewall's rules (ufw) are not in the kernel",
    (
        "sshd",
        "passwordauthentication no",
        "passwordauthentication yes",
    ): "sshd has passwordauthentication yes, and not no",
    ("etc/ssh/sshd_config.d/00-slipway.conf", "MaxAuthTries 4", "MaxAuthTries 40"): (
        "/etc/ssh/sshd_config.d/00-slipway.conf was edited"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_thing_that_is_not_as_it_was_made_has_its_words(root: Path, change: tuple[str, str, str]) -> None:
    name, old, new = change
    edit(root / name, old, new)
    assert guard.differing() == [CHANGES[change]]


def test_rules_of_somebody_else_are_nothing_to_tell(root: Path) -> None:
    path = root / "etc/ufw/user.rules"
    path.write_text(path.read_text() + "### tuple ### allow tcp 9999 0.0.0.0/0 any 0.0.0.0/0 in\n")
    assert guard.differing() == []


def test_on_somebodys_own_machine_that_was_not_hardened_there_is_nothing_to_guard(root: Path) -> None:
    (root / "var/lib/slipway/bootstrap.sh").unlink()
    edit(root / "etc/ufw/ufw.conf", "yes", "no")
    (root / "etc/ssh/sshd_config.d/00-slipway.conf").unlink()
    assert guard.differing() == []
