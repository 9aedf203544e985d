"""What was changed on a server behind Slipway's back is told by name, and the next release step mends it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.agent.server import OWNER, AgentFailed, App, source

PLACE = "/srv/shared"


def damage(app: App) -> list[str]:
    found: list[str] = app.observe()["damage"]
    return found


def released(app: App, release: str) -> dict[str, Any]:
    """The request of a release that is live."""
    request = app.release_request(release, source("new", templates__page_dot_html="<p>"))
    app.server.agent("release", request)
    assert damage(app) == []
    return request


def mended(app: App, request: dict[str, Any]) -> None:
    """The next release step mends it, and nobody notices."""
    with app.server.visited() as visits:
        answer = app.server.agent("release", {**request, "serial": request["serial"] + 1})
    assert (visits.failures, visits.texts()) == ([], ["new"])
    assert (answer["changed"], damage(app)) == (True, [])
    (entry,) = app.server.agent("journal", {"app": app.name, "lines": 1})["entries"]
    assert entry["damaged"]


def test_an_edited_a_missing_and_an_added_file_of_a_release_are_named_and_put_right(app: App, fresh_id: str) -> None:
    request = released(app, fresh_id)
    code = f"{PLACE}/releases/{fresh_id}/code"
    app.server.shell(f"echo '# edited' >> {code}/web.py; rm {code}/templates/page.html; touch {code}/added.py")
    assert damage(app) == ["code/added.py", "code/templates/page.html", "code/web.py"]
    mended(app, request)
    app.server.shell(f"cd {code} && test -f templates/page.html && test ! -e added.py && ! grep -q edited web.py")


def test_a_backup_that_was_put_back_and_compiled_modules_of_root_are_no_damage(app: App, fresh_id: str) -> None:
    released(app, fresh_id)
    code = f"{PLACE}/releases/{fresh_id}/code"
    app.server.shell(f"cp -a {code} {code}.copy && rm -r {code} && mv {code}.copy {code} && touch {code}/web.py")
    app.server.shell(f"touch {code}/__pycache__/left.pyc")
    assert damage(app) == []


def test_a_release_whose_folder_is_gone_is_made_anew_while_it_serves(app: App, fresh_id: str) -> None:
    request = released(app, fresh_id)
    app.server.shell(f"rm -r {PLACE}/releases/{fresh_id}")
    assert damage(app) == ["code"]
    mended(app, request)


def test_a_corrupted_environment_is_made_anew_beside_the_one_that_serves(app: App, fresh_id: str) -> None:
    request = released(app, fresh_id)
    venv = app.server.shell(f"readlink -f {PLACE}/live/venv").strip()
    name = venv.rpartition("/")[2]
    app.server.shell(f"echo garbage | tee {venv}/lib/python3*/site-packages/gunicorn/app/base.py")
    assert damage(app) == [f"venvs/{name}"]
    mended(app, request)
    assert app.server.shell(f"readlink -f {PLACE}/live/venv").strip() == f"{venv}-2"
    # another release of the same requirements does not go back to the corrupted one
    app.release(f"{fresh_id}-b", source("newer"))
    assert app.server.shell(f"readlink -f {PLACE}/live/venv").strip() == f"{venv}-2"


def test_edited_variables_are_put_right(app: App, fresh_id: str) -> None:
    request = released(app, fresh_id)
    env = app.server.shell(f"readlink -f {PLACE}/live/env").strip()
    app.server.shell(f"sed -i s/hello/goodbye/ {env}")
    assert damage(app) == [f"envs/{env.rpartition('/')[2]}"]
    mended(app, request)
    assert "hello" in app.server.text("/environment")


def test_nobody_goes_back_to_a_damaged_release(app: App, fresh_id: str) -> None:
    released(app, fresh_id)
    app.release(f"{fresh_id}-b", source("newer"))
    app.server.shell(f"echo '# edited' >> {PLACE}/releases/{fresh_id}/code/web.py")
    with pytest.raises(AgentFailed, match=r"not as it was made \(code/web.py\): run `pulumi up` of its commit"):
        app.server.agent("rollback", {"app": app.name, "owner": OWNER})
    assert app.server.text() == "newer"


def test_a_program_that_was_stopped_by_hand_is_told_and_started(app: App, fresh_id: str) -> None:
    request = released(app, fresh_id)
    program = f"shared-{app.observe()['slot']}"
    app.server.shell(f"supervisorctl stop {program}")
    assert damage(app) == [f"the program {program}, which does not run"]
    app.server.agent("release", {**request, "serial": request["serial"] + 1})
    app.server.wait_for("new")
    assert damage(app) == []


def test_an_edited_file_of_the_site_is_told_with_what_is_in_it_where_another_one_is_wanted(app: App) -> None:
    path = "/etc/nginx/sites-enabled/zz-slipway-shared.conf"
    ask = {"apps": [app.name], "wanted": {path: "0" * 64, "/etc/shadow": "0" * 64}}
    before = app.observe()["site"]
    assert (before["edited"], before["texts"]) == ([], {})
    app.server.shell(f"echo '# edited by hand' >> {path}")
    try:
        site = app.server.agent("observe", {**ask, "wanted": {"/etc/shadow": "0" * 64}})["apps"][app.name]["site"]
        assert (site["edited"], site["texts"]) == ([path], {})
        site = app.server.run_agent("observe", ask).stdout
        assert "# edited by hand" in site
        assert "root:" not in site
    finally:
        app.site()
    assert app.observe()["site"]["edited"] == []


def test_how_the_live_release_came_to_be_live_is_told(app: App, fresh_id: str) -> None:
    before = app.observe()["live"]
    app.release(fresh_id, source("new"), message={"who": "ada@desk"})
    assert app.observe()["last"] == {
        "action": "release",
        "at": app.observe()["last"]["at"],
        "who": "ada@desk",
        "previous": before,
    }
    app.server.agent("rollback", {"app": app.name, "owner": OWNER, "message": {"who": "eve@desk"}})
    last = app.observe()["last"]
    assert (last["action"], last["who"], last["previous"]) == ("rollback", "eve@desk", fresh_id)


def test_variables_are_told_by_digests_of_the_operators_and_the_source_by_its_content(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new", requirements_dot_txt=""), fingerprints={"GREETING": "f1"})
    request["archive"]["content"] = "c" * 64
    app.server.agent("release", {**request, "message": {"commit": "a" * 40}})
    assert app.observe()["source"] == {"content": "c" * 64, "commit": "a" * 40, "variables": {"GREETING": "f1"}}
    found = app.server.agent("source", {"app": app.name})
    assert set(found["files"]) == {"web.py", "requirements.txt"}


SPOILT = {
    "the firewall (ufw) is off": "ufw disable",
    "the firewall (ufw) does not let in 443/tcp any more": "ufw --force delete allow 443/tcp",
    "the firewall (ufw) lets in by default what no rule is about": "ufw default allow incoming",
    "the firewall's rules (ufw) are not in the kernel": "iptables -D INPUT -j ufw-before-input",
    "/etc/ssh/sshd_config.d/00-slipway.conf was edited": (
        "sed -i 's/^PasswordAuthentication no/PasswordAuthentication yes/' /etc/ssh/sshd_config.d/00-slipway.conf"
    ),
    "the unit slipway-renew.timer is not as it was written": "systemctl disable slipway-renew.timer",
}


def machine(app: App) -> list[str]:
    found: list[str] = app.server.agent("observe", {"apps": [app.name]})["machine"]
    return found


def test_what_closes_the_server_is_told_when_it_is_open_and_closed_by_the_next_claim(app: App) -> None:
    assert machine(app) == []
    for said, command in SPOILT.items():
        app.server.shell(command)
        assert machine(app) == [said]
        app.claim()
        assert machine(app) == [], said
    assert "passwordauthentication no" in app.server.shell("sshd -T")
    assert "Status: active" in app.server.shell("LC_ALL=C ufw status")
    (entry,) = app.server.agent("journal", {"lines": 1})["entries"]
    assert (entry["action"], entry["righted"]) == ("claim", ["slipway-renew.timer"])


def test_what_another_file_of_sshd_overrules_is_told(app: App) -> None:
    other = "/etc/ssh/sshd_config.d/00-before.conf"
    app.server.shell(f"echo 'X11Forwarding yes' > {other}")
    try:
        assert machine(app) == ["sshd has x11forwarding yes, and not no"]
        done = app.server.run_agent("claim", {"app": app.name, "owner": OWNER})
        assert (done.returncode, "something else on this server overrules it" in done.stderr) == (0, True)
    finally:
        app.server.shell(f"rm {other}; systemctl reload ssh")
    assert machine(app) == []


def test_observing_costs_little(app: App) -> None:
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        app.observe()
        seconds.append(time.monotonic() - began)
    print(f"observe: {min(seconds):.2f} s with its way into the machine")
    assert min(seconds) < 3
