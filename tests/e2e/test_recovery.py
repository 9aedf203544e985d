"""Killed programs come back by themselves; killed runs and changes made on the server are put right by the next up."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.e2e.checkout import Checkout
from tests.machines import Machine

MASTER = "supervisorctl pid guestbook-$(basename $(readlink /srv/guestbook/live))"
PIDS = {
    "the master of gunicorn": MASTER,
    "a worker": f"pgrep -u guestbook -P $({MASTER}) | head -1",
    "supervisord": "systemctl show -p MainPID --value supervisor",
    "nginx": "systemctl show -p MainPID --value nginx",
}


@pytest.mark.parametrize("who", PIDS)
def test_a_killed_program_serves_again_by_itself(site: Checkout, who: str) -> None:
    machine, visitor = site.machine, site.visitor()
    pid = int(machine.root_shell(PIDS[who]))
    machine.root_shell(f"kill -9 {pid}")
    time.sleep(0.3)
    seconds = visitor.wait_until_it_answers(timeout=30)
    print(f"{who}: serving again after {seconds + 0.3:.1f} s")
    assert int(machine.root_shell(PIDS[who])) != pid
    assert_no_stray_gunicorn(machine)


def assert_no_stray_gunicorn(machine: Machine) -> None:
    """Workers see within moments that their master is gone, and end; none stays."""
    deadline = time.monotonic() + 15
    while strays := machine.root_shell("pgrep -u guestbook -f bin/gunicorn -P 1 || true").split():
        assert time.monotonic() < deadline, f"gunicorn runs without its supervisord: {strays}"
        time.sleep(0.2)


MOMENTS = {"upload": "uploading", "migration": "release: flask", "healthy": "healthy after"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_up_killed_in_the_middle_of_a_release_is_finished_by_the_next(site: Checkout, moment: str) -> None:
    site.mark(f"killed-{moment}")
    site.edit_migration(moment)
    with site.starting_up() as process:
        assert process.stdout
        seen = next((line for line in process.stdout if MOMENTS[moment] in line), None)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    assert seen, f"the release never came to {MOMENTS[moment]!r}"
    assert site.visitor().get("/").status == 200
    site.make("up")
    assert f'data-marker="killed-{moment}"' in site.visitor().get("/").text
    assert site.changes() == {}


def test_a_rollback_on_the_server_is_shown_by_preview_and_undone_by_up(site: Checkout) -> None:
    before = site.live()
    site.mark("wanted")
    site.up()
    wanted = site.live()
    site.ask_agent("rollback", {"app": "guestbook"})
    assert site.live() == before
    printed = site.pulumi("preview", "--stack", "dev").stdout
    assert f"{before} → {wanted}" in printed
    site.up()
    assert site.live() == wanted
    assert site.changes() == {}


def test_a_file_edited_on_the_server_is_shown_by_preview_and_written_anew_by_up(site: Checkout) -> None:
    path = "/etc/nginx/sites-enabled/zz-slipway-guestbook.conf"
    wanted = site.machine.root_shell(f"cat {path}")
    site.machine.root_shell(f"echo '# edited by hand' >> {path}")
    assert path in site.pulumi("preview", "--stack", "dev").stdout
    site.up()
    assert site.machine.root_shell(f"cat {path}") == wanted
    assert site.changes() == {}


def test_an_app_that_was_removed_from_the_server_is_brought_back_by_up(site: Checkout) -> None:
    owner = json.loads(site.machine.root_shell("cat /srv/guestbook/claim.json"))["owner"]
    site.ask_agent("remove", {"app": "guestbook", "owner": owner})
    assert site.changes() != {}
    site.up()
    assert site.visitor().get("/").status == 200
    assert site.changes() == {}


def test_the_lock_of_a_living_pulumi_is_left_alone(site: Checkout) -> None:
    site.mark("locked")
    with site.starting_up() as process:
        assert process.stdout
        next(line for line in process.stdout if "uploading" in line)
        done = site.make("up", check=False)
        process.communicate(timeout=120)
    assert done.returncode != 0
    assert "lock" in (done.stdout + done.stderr).lower()
