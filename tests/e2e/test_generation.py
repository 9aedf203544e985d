"""A raised `generation` replaces the machine; with `carry_data`, its data go along. The tests stand on each other."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from tests.e2e.checkout import Checkout
from tests.machines import Machine, drive

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

ENTRY = "It was written on the first machine"
LARGE = "/srv/guestbook/shared/media/large"
REPLACING = ("replace", "create-replacement", "delete-replaced", "create", "delete")


def configure(checkout: Checkout, **settings: str) -> None:
    for key, value in settings.items():
        checkout.pulumi("config", "set", "--path", f"slipway:{key}", value, "--stack", "dev")


def host(checkout: Checkout) -> dict[str, Any]:
    found: dict[str, Any] = checkout.outputs()["host"]
    return found


def machine(checkout: Checkout) -> Machine:
    """The machine of now, which is not that of before."""
    checkout._machine = None
    return checkout.machine


def exists(name: str) -> bool:
    return bool(drive("status", name)["exists"])


def replacing_steps(checkout: Checkout) -> list[str]:
    steps = json.loads(checkout.pulumi("preview", "--json", "--stack", "dev").stdout)["steps"]
    return [f"{step['op']} {step['urn'].rpartition('::')[2]}" for step in steps if step["op"] in REPLACING]


def write_large(checkout: Checkout, mebibytes: int) -> str:
    """Something that takes its time to be carried; its digest."""
    box = machine(checkout)
    box.root_shell(f"head -c {mebibytes}M /dev/urandom > {LARGE} && chown guestbook: {LARGE}", timeout=120)
    return digest(checkout)


def digest(checkout: Checkout) -> str:
    return machine(checkout).root_shell(f"sha256sum {LARGE}", timeout=120).split()[0]


def test_the_first_generation_has_an_entry(fresh: Checkout) -> None:
    fresh.make("up")
    fresh.visitor().sign("Ada", ENTRY)
    assert ENTRY in fresh.visitor().get("/").text


def test_other_user_data_or_another_image_change_nothing_on_a_machine_that_runs(fresh: Checkout) -> None:
    before = host(fresh)
    template = fresh.folder / "cloud-init" / "bootstrap.sh.j2"
    text = template.read_text()
    template.write_text(text.replace("\n", "\n# another comment\n", 1))
    configure(fresh, **{"local.debian": "12"})
    try:
        assert replacing_steps(fresh) == []
        printed = fresh.up()
        assert "set generation to 2" in printed
        assert host(fresh) == before
        assert ENTRY in fresh.visitor().get("/").text
    finally:
        template.write_text(text)
        fresh.pulumi("config", "rm", "--path", "slipway:local.debian", "--stack", "dev")


def test_a_raised_generation_is_another_machine_with_the_data_of_the_first(fresh: Checkout) -> None:
    before = host(fresh)
    configure(fresh, generation="2", carry_data="true")
    both = False
    with fresh.starting_up() as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "stand still while their data go to" in line:
                both = exists(before["name"]) and len({one["name"] for one in drive("list")["machines"]}) > 1
        assert process.wait(timeout=600) == 0, "".join(lines)
    after = host(fresh)
    assert both
    assert after["id"] != before["id"]
    assert not exists(before["name"])
    assert ENTRY in fresh.visitor().get("/").text
    assert fresh.changes() == {}
    assert after["host_key"] != before["host_key"]
    keys = machine(fresh).root_shell("cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    assert [" ".join(key.split()[:2]) for key in keys] == [after["host_key"]]


def test_pulumi_killed_in_the_middle_of_the_transfer_loses_nothing(fresh: Checkout) -> None:
    before, large = host(fresh), write_large(fresh, 400)
    fresh.visitor().sign("Grace", "just before")
    configure(fresh, generation="3")
    old = machine(fresh)
    with fresh.starting_up() as process:
        while old.root_run(["pgrep", "-f", "agent send"]).returncode != 0:
            assert process.poll() is None, "the data were not carried"
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    assert exists(before["name"])
    fresh.make("up")
    assert host(fresh)["id"] != before["id"]
    assert not exists(before["name"])
    text = fresh.visitor().get("/").text
    assert ENTRY in text
    assert "just before" in text
    assert digest(fresh) == large
    assert fresh.changes() == {}


def test_back_to_the_generation_before_when_its_release_does_not_start_on_the_new_machine(fresh: Checkout) -> None:
    before = host(fresh)
    configure(fresh, generation="4")
    fresh.edit("__init__.py", "def create_app", "raise RuntimeError('not here')\n\n\ndef create_app")
    printed = fresh.failing_up()
    assert "not here" in printed
    assert exists(before["name"])
    fresh.revert()  # the settings, too, but for the generation that is the last good one
    configure(fresh, generation="3", carry_data="true")
    fresh.make("up")
    assert host(fresh) == before
    fresh.visitor().wait_until_it_answers()
    assert ENTRY in fresh.visitor().get("/").text
    fresh.visitor().sign("Ada", "after all")
    assert fresh.changes() == {}
    machine(fresh).reboot()
    fresh.visitor().wait_until_it_answers()


def test_without_a_word_about_data_a_local_machine_takes_them_along(fresh: Checkout) -> None:
    before = host(fresh)
    configure(fresh, generation="4")
    fresh.pulumi("config", "rm", "slipway:carry_data", "--stack", "dev")
    printed = fresh.up()
    assert f"the apps' data on {before['name']} are not brought to" in printed
    assert not exists(before["name"])
    text = fresh.visitor().get("/").text
    assert ENTRY not in text
    assert fresh.changes() == {}
