"""The life of a stack as its user meets it, from the first `make up` to `make down`. The tests stand on each other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.checkout import Checkout
from tests.machines import drive

ENTRY = "A line that has to survive"


def bridges() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(("slipway", "vb-"))}


def firewall() -> str:
    command = ["iptables-save"] if os.geteuid() == 0 else ["sudo", "-n", "iptables-save"]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"  # which a user's leaves out
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=20).stdout


def test_make_up_launches_the_server_and_serves_the_guestbook(fresh: Checkout) -> None:
    done = fresh.make("up")
    assert fresh.url in done.stdout
    answer = fresh.visitor().get("/")
    assert answer.status == 200
    assert "guestbook" in answer.text
    assert fresh.live() in answer.text


def test_curl_trusts_the_certificate_that_make_cert_names(fresh: Checkout) -> None:
    command = ["curl", "-sS", "--noproxy", "*", "--cacert", str(fresh.certificate), "-o", "/dev/null", fresh.url]
    done = subprocess.run([*command, "-w", "%{http_code}"], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, "200"), done.stderr


def test_the_checkout_stays_clean(fresh: Checkout) -> None:
    assert fresh.git("status", "--porcelain") == ""


def test_the_state_and_its_passphrase_are_in_the_checkout_and_private(fresh: Checkout) -> None:
    passphrase = fresh.folder / ".slipway" / "passphrase"
    assert passphrase.stat().st_mode & 0o077 == 0
    assert (fresh.folder / ".slipway" / "state").is_dir()


def test_a_second_up_changes_nothing(fresh: Checkout) -> None:
    assert fresh.changes() == {}
    printed = fresh.up()
    assert "updated" not in printed
    assert "unchanged" in printed


def test_plain_pulumi_commands_work_after_eval_make_env(fresh: Checkout) -> None:
    fresh.pulumi("preview", "--stack", "dev")
    fresh.pulumi("refresh", "--yes", "--stack", "dev")
    assert fresh.changes() == {}
    assert fresh.git("status", "--porcelain") == ""


def test_a_posted_entry_is_there_after_the_next_release(fresh: Checkout) -> None:
    fresh.visitor().sign("Ada", ENTRY)
    before = fresh.live()
    fresh.mark("second")
    fresh.make("up")
    answer = fresh.visitor().get("/")
    assert fresh.live() != before
    assert 'data-marker="second"' in answer.text
    assert ENTRY in answer.text


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_make_up_starts_a_stopped_machine_with_its_data(fresh: Checkout, how: str) -> None:
    live = fresh.live()
    getattr(fresh.machine, how)()
    assert fresh.changes() != {}
    fresh.make("up")
    fresh.visitor().wait_until_it_answers()
    assert ENTRY in fresh.visitor().get("/").text
    assert fresh.live() == live
    assert fresh.changes() == {}


def test_the_live_release_comes_back_by_itself_after_a_reboot(fresh: Checkout) -> None:
    live = fresh.live()
    fresh.machine.reboot()
    fresh.visitor().wait_until_it_answers()
    answer = fresh.visitor().get("/")
    assert live in answer.text
    assert ENTRY in answer.text


def test_a_machine_that_is_gone_is_made_anew(fresh: Checkout) -> None:
    drive("remove", fresh.machine.name)
    fresh.make("up")
    fresh._machine = None
    assert fresh.visitor().get("/").status == 200
    assert fresh.changes() == {}


def test_make_down_leaves_nothing(fresh: Checkout) -> None:
    machine = fresh.machine
    others = [other for other in drive("list")["machines"] if other["name"] != machine.name]
    fresh.make("down")
    assert fresh.state_resources() == []
    assert drive("status", machine.name)["exists"] is False
    assert not Path(f"/sys/class/net/vb-{machine.id}").exists()
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=20).stdout
    assert machine.id not in processes
    assert machine.id not in Path("/proc/mounts").read_text()
    if not others:
        assert bridges() == set()
        assert "slipway" not in firewall().lower()
        assert os.environ.get("SLIPWAY_LOCAL_STATE", "/var/lib/slipway/local") not in Path("/proc/mounts").read_text()


def test_make_down_can_be_run_again(fresh: Checkout) -> None:
    fresh.make("down")
