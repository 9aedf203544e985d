"""Who reaches a server, and which people log in there, when that changes over its life."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway.agent import access, adoption, firewall, harden, paths
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.firewall import DEFAULT_RULES, FirewallRule
from tests.agent.server import AgentFailed, Server

OPEN = [rule.for_agent() for rule in DEFAULT_RULES]
EXTRA = FirewallRule("extra", 8099).for_agent()
NARROW = FirewallRule("narrow", 8098, sources=("198.51.100.0/24", "2001:db8::/32")).for_agent()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ada"

UFW = """\
#!/bin/sh
rules={folder}/rules
case "$1 $2" in
    "show added") echo "Added user rules (see 'ufw status' for running firewall):"; cat "$rules" ;;
    "--force delete") shift 2; grep -vx "ufw $*" "$rules" > "$rules.new"; mv "$rules.new" "$rules" ;;
    "allow "*) echo "ufw $*" >> "$rules" ;;
    *) exit 1 ;;
esac
echo "$*" >> {folder}/calls
"""


# ------------------------------------------------------------------------------------------- without a server


class Ufw:
    """A program of that name that keeps its rules in a file, and an sshd that listens on ports of the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._write("ufw", UFW.format(folder=folder))
        self.sshd_listens(22)
        self.have()

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def sshd_listens(self, *ports: int) -> None:
        self._write("sshd", "#!/bin/sh\n" + "".join(f"echo port {port}\n" for port in ports))

    def have(self, *rules: str) -> None:
        (self.folder / "rules").write_text("".join(f"ufw allow {rule}\n" for rule in rules))

    @property
    def rules(self) -> list[str]:
        lines = (self.folder / "rules").read_text().splitlines()
        return [line.removeprefix("ufw allow ") for line in lines]

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def ufw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ufw:
    """No server: a folder in the place of `/`, with ufw in it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for folder in ("run", "etc/ufw", "var/lib/slipway"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/ufw/ufw.conf").write_text("ENABLED=yes\n")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return Ufw(programs)


def made_with(*rules: FirewallRule) -> None:
    """The script that a server was made with."""
    text = "\n".join(["set -eu", *(rule.ufw() for rule in rules), "ufw --force enable"])
    (paths.state() / "bootstrap.sh").write_text(text)


def journal() -> list[dict[str, Any]]:
    place = paths.state() / "journal.jsonl"
    return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


def test_a_rule_of_the_making_that_is_taken_away_is_closed_and_one_of_somebody_else_s_stays(ufw: Ufw) -> None:
    made_with(*DEFAULT_RULES, FirewallRule("extra", 8099))
    ufw.have("22/tcp comment 'ssh'", "80/tcp", "443/tcp", "8099/tcp", "9000/tcp", "from 10.0.0.0/8 to any port 25")
    access.access({"rules": [*OPEN, NARROW]})
    assert set(ufw.rules) == {
        "22/tcp comment 'ssh'",
        "80/tcp",
        "443/tcp",
        "9000/tcp",
        "from 10.0.0.0/8 to any port 25",
        "proto tcp from 198.51.100.0/24 to any port 8098",
        "proto tcp from 2001:db8::/32 to any port 8098",
    }
    (line,) = journal()
    assert (line["action"], line["ok"], line["admin_keys"]) == ("access", True, 0)
    assert "22/tcp" in line["firewall"]


def test_nothing_is_done_and_written_when_all_is_as_wanted(ufw: Ufw) -> None:
    made_with(*DEFAULT_RULES)
    ufw.have("22/tcp", "80/tcp", "443/tcp")
    for _ in range(2):
        access.access({"rules": OPEN})
    assert set(ufw.calls) == {"show added"}
    assert journal() == []


def test_the_port_of_sshd_is_never_closed(ufw: Ufw, capsys: pytest.CaptureFixture[str]) -> None:
    made_with(*DEFAULT_RULES, FirewallRule("other door", 2222))
    ufw.have("22/tcp", "80/tcp", "443/tcp", "2222/tcp")
    ufw.sshd_listens(22, 2222)
    access.access({"rules": OPEN[1:]})
    assert ufw.rules == ["22/tcp", "80/tcp", "443/tcp", "2222/tcp"]
    assert "goes on to let in 2222/tcp: sshd listens there" in capsys.readouterr().err


def test_what_a_run_that_was_killed_has_opened_is_known_to_the_next(ufw: Ufw, monkeypatch: pytest.MonkeyPatch) -> None:
    made_with(*DEFAULT_RULES)
    ufw.have("22/tcp", "80/tcp", "443/tcp")
    with monkeypatch.context() as patch:
        patch.setattr(firewall, "say", lambda _line: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            access.access({"rules": [*OPEN, EXTRA]})
    assert "8099/tcp" in ufw.rules
    access.access({"rules": OPEN})
    assert ufw.rules == ["22/tcp", "80/tcp", "443/tcp"]


def test_a_rule_that_somebody_had_before_is_not_closed_with_ours(ufw: Ufw) -> None:
    made_with(*DEFAULT_RULES)
    ufw.have("22/tcp", "80/tcp", "443/tcp", "8099/tcp")
    access.access({"rules": [*OPEN, EXTRA]})
    access.access({"rules": OPEN})
    assert "8099/tcp" in ufw.rules


def test_a_machine_of_somebody_s_own_is_left_alone(ufw: Ufw) -> None:
    adoption.write({"owners": {}, "opened": []})
    with pytest.raises(AgentError, match="somebody's own"):
        access.access({"rules": OPEN})


def test_what_is_no_key_is_refused(ufw: Ufw) -> None:
    with pytest.raises(AgentError, match="'admin_keys' must be public keys"):
        access.access({"rules": OPEN, "admin_keys": [f"{KEY}\nsecond line"]})


def test_a_rule_that_is_taken_from_a_hardened_machine_is_closed(ufw: Ufw, monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(script: str) -> None:
        for rule in firewall.missing(firewall.of_script(script)):
            ufw.have(*ufw.rules, " ".join(rule))
        (paths.state() / "harden.sh").write_text(script)

    monkeypatch.setattr(harden, "_run", runs)
    monkeypatch.setattr(harden, "_arm", lambda _within: None)
    monkeypatch.setattr(harden, "_disarm", lambda: None)
    adoption.write({"owners": {}, "opened": [["8097/tcp"]]})
    ufw.have("9000/tcp", "8097/tcp")
    more = [FirewallRule("extra", 8099), FirewallRule("mine", 9000), FirewallRule("adopted", 8097)]
    for rules in ([*DEFAULT_RULES, *more], DEFAULT_RULES):
        harden.harden({"script": "".join(f"{rule.ufw()}\n" for rule in rules)})
        harden.confirm({})
    assert ufw.rules == ["9000/tcp", "22/tcp", "80/tcp", "443/tcp"]


# --------------------------------------------------------------------------------------------------- on a server


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """The server; at the end it lets in what it was made with, and no people."""
    yield server
    server.agent("access", {"rules": OPEN})


def added(server: Server) -> list[str]:
    return [line for line in server.shell("ufw show added").splitlines() if line.startswith("ufw ")]


def test_ufw_follows_the_list_without_a_new_machine(own: Server) -> None:
    before = added(own)
    own.agent("access", {"rules": [*OPEN, EXTRA, NARROW]})
    opened = own.shell("ufw status")
    for part in ("8099/tcp", "8099/tcp (v6)", "198.51.100.0/24", "2001:db8::/32"):
        assert part in opened
    assert "-A ufw-user-input -p tcp -m tcp --dport 8099 -j ACCEPT" in own.shell("iptables -S ufw-user-input")
    own.agent("access", {"rules": [*OPEN, EXTRA, NARROW]})
    own.agent("access", {"rules": OPEN})
    assert added(own) == before
    assert "8099" not in own.shell("iptables -S ufw-user-input; ip6tables -S ufw6-user-input")


def test_people_are_let_in_exchanged_and_let_in_no_more(own: Server) -> None:
    own.agent("access", {"rules": OPEN, "admin_keys": [KEY]})
    look = "stat -c '%U %a' ~admin/.ssh ~admin/.ssh/authorized_keys; cat ~admin/.ssh/authorized_keys"
    assert own.shell(look) == f"admin 700\nadmin 600\n{KEY}\n"
    assert own.shell("sudo -u admin sudo -n id -un").strip() == "root"
    other = KEY.replace("IA==", "IB==")
    own.agent("access", {"rules": OPEN, "admin_keys": [other]})
    assert own.shell("cat ~admin/.ssh/authorized_keys") == f"{other}\n"
    own.shell("echo notes > ~admin/notes")
    own.agent("access", {"rules": OPEN})
    assert own.shell("test -e ~admin/.ssh/authorized_keys || cat ~admin/notes") == "notes\n"
    assert own.shell("sudo -u admin sudo -n id -un", check=False) == ""
    with pytest.raises(AgentFailed, match="public keys"):
        own.agent("access", {"rules": OPEN, "admin_keys": [""]})
