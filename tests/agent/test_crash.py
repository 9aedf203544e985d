"""Whatever dies, and whenever: visitors are served, and running the same command again ends as wanted."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tests.agent.server import AGENT, OWNER, AgentFailed, App, source

_CRASH = Path(__file__).with_name("crash.py").read_text()

# Every how many changes to the disk there is a kill. Each single one (minutes) with SLIPWAY_CRASH=all.
_STEP = 1 if os.environ.get("SLIPWAY_CRASH") == "all" else 19


def test_a_release_killed_at_any_moment_is_finished_by_the_next_run(app: App, fresh_id: str) -> None:
    moment, text = 1 + int(time.time()) % _STEP, "old"
    while True:
        release = f"{fresh_id}-{moment}"
        request = app.release_request(release, source(release))
        with app.server.visited() as visits:
            survived = _killed_before(app, moment, "release", request)
            app.server.agent("release", request)
        assert visits.failures == [], f"killed before change {moment}"
        assert set(visits.bodies) <= {text, release}
        observed = app.observe()
        assert (observed["live"], observed["serial"]) == (release, request["serial"])
        assert app.server.text() == release
        if survived:
            return
        text = release
        moment += _STEP


def test_a_rollback_killed_at_any_moment_leaves_a_release_serving(app: App, fresh_id: str) -> None:
    app.release(fresh_id, source("new"))
    for moment in range(4, 60, _STEP):
        with app.server.visited() as visits:
            survived = _killed_before(app, moment, "rollback", {"app": app.name, "owner": OWNER})
        assert visits.failures == []
        assert set(visits.bodies) <= {"new", "old"}
        if survived:
            break
        request = app.release_request(fresh_id, source("new"))
        app.server.agent("release", request)
        assert app.server.text() == "new"


def test_a_change_of_the_site_killed_at_any_moment_leaves_valid_files(app: App) -> None:
    files = json.loads(json.dumps(_site_files(app)))
    path = f"/etc/nginx/sites-enabled/zz-slipway-{app.name}.conf"
    for moment in range(1, 40, _STEP):
        changed = {**files, path: {**files[path], "content": files[path]["content"] + f"# edition {moment}\n"}}
        with app.server.visited() as visits:
            survived = _killed_before(app, moment, "site", app.site_request(changed))
        # nginx reads its configuration anew, as after a crash or a reboot: it must be valid
        app.server.shell(f"{AGENT} boot </dev/null && nginx -t -q")
        assert visits.failures == []
        app.server.agent("site", app.site_request(changed))
        assert f"# edition {moment}" in app.server.shell(f"cat {path}")
        if survived:
            break
    app.server.agent("site", app.site_request(files))


def test_losing_the_connection_does_not_stop_the_work(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"))
    request["commands"]["release"] = ["sleep 1"]
    script = f"cat > /root/request; {AGENT} release < /root/request & sleep 0.6; kill -9 $!"
    app.server.machine.root_run(["sh", "-c", script], json.dumps(request))
    assert app.server.text() == "old"
    app.server.wait_for("new")
    answer = app.server.agent("release", request)
    assert (answer["release"], answer["changed"]) == (fresh_id, False)


def test_a_second_release_waits_for_the_first_and_tells_for_whom(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"))
    request["commands"]["release"] = ["sleep 1.5"]
    second = app.release_request(f"{fresh_id}-b", source("newer"))
    first = threading.Thread(target=app.server.run_agent, args=("release", request))
    first.start()
    time.sleep(0.7)
    done = app.server.run_agent("release", second)
    first.join()
    assert f"(release {fresh_id} of shared, since" in done.stderr
    assert done.returncode == 0
    assert app.server.text() == "newer"


def test_a_second_release_that_is_not_to_wait_fails_at_once(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"))
    request["commands"]["release"] = ["sleep 1.5"]
    second = app.release_request(f"{fresh_id}-b", source("newer"), lock_wait=0)
    first = threading.Thread(target=app.server.run_agent, args=("release", request))
    first.start()
    time.sleep(0.7)
    done = app.server.run_agent("release", second)
    first.join()
    assert done.returncode == 1
    assert "app-shared is locked by process" in done.stderr
    assert "waiting" not in done.stderr
    assert app.server.text() == "new"


def test_a_migration_whose_agent_was_killed_is_waited_for(app: App, fresh_id: str) -> None:
    note = "/srv/shared/shared/data/order"
    request = app.release_request(fresh_id, source("new"))
    request["commands"]["release"] = [f"echo begin >> {note}; sleep 2; echo end >> {note}"]
    running = threading.Thread(target=app.server.run_agent, args=("release", request))
    running.start()
    time.sleep(1.2)
    app.server.shell(
        'kill -9 $(python3 -c \'import json;print(json.load(open("/run/slipway-agent/locks/app-shared"))["pid"])\')'
    )
    running.join()
    app.server.agent("release", request)
    assert app.server.shell(f"cat {note}; rm {note}").split() == ["begin", "end", "begin", "end"]


@pytest.mark.parametrize(
    ("victim", "within"),
    [
        ("pkill -9 -o -f 'gunicorn.*web:app'", 5),
        ("kill -9 $(cat /run/supervisord.pid)", 8),
        ("kill -9 $(cat /run/nginx.pid)", 5),
    ],
    ids=["gunicorn", "supervisord", "nginx"],
)
def test_what_is_killed_comes_back_by_itself(app: App, victim: str, within: float) -> None:
    app.server.shell(victim)
    time.sleep(0.2)
    app.server.wait_for("old", within)
    time.sleep(3)  # the slot that is not live is started, too, and takes a while to find that out
    assert app.server.text() == "old"
    parents = app.server.shell("ps -u shared -o ppid= | sort | uniq").split()
    supervisord = app.server.shell("cat /run/supervisord.pid").strip()
    assert len(parents) == 2, "of the app's processes only supervisord and one gunicorn are parents"
    assert supervisord in parents


def test_a_reboot_brings_back_what_was_live(app: App, fresh_id: str) -> None:
    app.release(fresh_id, source("new", assets__a_dot_txt="static"), static={"url": "/static/", "folder": "assets"})
    broken = app.release_request(f"{fresh_id}-b", source("broken", extra="import nothing_of_that_name"))
    with pytest.raises(AgentFailed):
        app.server.agent("release", broken)
    app.server.machine.reboot()
    app.server.wait_for("new", 30)
    assert app.server.text("/static/a.txt") == "static"
    assert app.observe()["live"] == fresh_id
    app.release(f"{fresh_id}-c", source("newer"))
    assert app.server.text() == "newer"


def test_power_lost_between_decision_and_switch_is_made_good_at_boot(app: App, fresh_id: str) -> None:
    app.release(fresh_id, source("new"))
    before = app.observe()["slot"]
    other = {"blue": "green", "green": "blue"}[before]
    # as if the power had gone right after the record was replaced: the links are still the old ones
    app.server.shell(
        f"cd /srv/shared && rm -rf slots/{other} && cp -a slots/{before} slots/{other}"
        f" && sed -i 's/{before}/{other}/' live.json && ln -sfn slots/{before} live"
    )
    assert app.observe()["live"] is None, "a switch that is half done is nothing to be content with"
    app.server.machine.kill()
    app.server.machine.start()
    app.server.wait_for("new", 30)
    observed = app.observe()
    assert (observed["live"], observed["slot"]) == (fresh_id, other)


def _killed_before(app: App, moment: int, command: str, request: object) -> bool:
    """Run the command and kill it before its change number `moment`; True when it ended before that."""
    app.server.machine.root_run(["sh", "-c", "cat > /root/crash.py"], _CRASH)
    done = app.server.machine.root_run(["python3", "-I", "/root/crash.py", str(moment), command], json.dumps(request))
    assert done.returncode in (0, -9, 137), done.stderr
    return done.returncode == 0


def _site_files(app: App) -> dict[str, dict[str, object]]:
    from pulumi_slipway.app.site import SiteSpec, render_site

    spec = SiteSpec(app.name, [], [app.server.address], static_url="/static/")
    return {path: {"content": file.content, "mode": file.mode} for path, file in render_site(spec).items()}
