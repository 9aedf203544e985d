"""Workers, timers, limits of memory and servers of an app's own: what runs besides gunicorn, and what a release does to
it."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.agent.server import OWNER, AgentFailed, App, Server, source

_CRASH = Path(__file__).with_name("crash.py").read_text()
_EVENTS = "/srv/works/shared/data/events"
_numbers = itertools.count(1)

# Takes the file "job" as its job until there is a file "finish", and ends at SIGTERM when it has none.
_WORKER = """\
import os, pathlib, signal, time

data = pathlib.Path(os.environ["HOME"], "data")
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))

def note(what):
    with (data / "events").open("a") as file:
        file.write(f"{os.environ['SLIPWAY_RELEASE']} {os.environ['SLIPWAY_PROCESS']} {what}\\n")

note("begins")
while not told:
    try:
        (data / "job").rename(data / f"job.{os.getpid()}")
    except FileNotFoundError:
        time.sleep(0.02)
        continue
    note("takes")
    while not (data / "finish").exists():
        time.sleep(0.02)
    note("done")
note("ends")
"""

_OWN = """\
import http.server, os, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1.5)
        body = f"own {os.environ['SLIPWAY_RELEASE']} {self.headers['X-Forwarded-Proto']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.daemon_threads = False
import signal, threading
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
"""

_MAIL = {"name": "mail", "command": "python worker.py", "count": 2, "stop_signal": "TERM", "stop_timeout": 20}


@pytest.fixture(scope="module")
def works(server: Server) -> Iterator[App]:
    # by a name of its own: an app of other tests may have the server's address
    app = App(replace(server, name="works.example"), "works")
    app.claim()
    app.site(domains=["works.example"])
    yield app
    server.agent("remove", {"app": app.name, "owner": OWNER, "keep_data": False})
    left = server.shell("ls /etc/supervisor/conf.d /etc/systemd/system /run/slipway /var/log/slipway; ls /srv")
    assert "works" not in left
    assert "works" not in server.shell("supervisorctl status; systemctl list-units --all 'slipway-*'", check=False)


def _release(app: App, **changes: Any) -> str:
    release = f"w-{next(_numbers)}"
    app.release(release, _files(release), **changes)
    return release


def _files(release: str) -> dict[str, str]:
    return source(release, worker_dot_py=_WORKER, own_dot_py=_OWN)


def _give_job(app: App, to: str) -> None:
    """Has one of the workers of the release `to` take a job, which takes until `_let_finish`."""
    data = "/srv/works/shared/data"
    app.server.shell(f"rm -f {data}/finish {_EVENTS}; install -o works -m 644 /dev/null {data}/job")
    _wait(lambda: any(event.startswith(to) and event.endswith("takes") for event in _events(app)))


def _let_finish(app: App) -> None:
    app.server.shell("touch /srv/works/shared/data/finish")


def _events(app: App) -> list[str]:
    return app.server.shell(f"cat {_EVENTS} 2>/dev/null || true").splitlines()


def _wait(what: Callable[[], bool], within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.1)


def _running(app: App) -> set[str]:
    """The programs of the app in supervisor that run."""
    lines = app.server.shell("supervisorctl status", check=False).splitlines()
    return {line.split()[0] for line in lines if line.startswith(app.name) and line.split()[1] == "RUNNING"}


def _workers(app: App) -> set[str]:
    slot = app.observe()["slot"]
    assert all(name.startswith(f"works-{slot}") for name in _running(app))
    return {name.partition(".")[2] for name in _running(app) if "." in name}


def test_workers_belong_to_their_release_and_finish_their_jobs(works: App) -> None:
    first = _release(works, workers=[_MAIL])
    assert _workers(works) == {"mail.1", "mail.2"}
    assert {f"{first} mail.1 begins", f"{first} mail.2 begins"} <= set(_events(works))
    assert set(works.server.shell("ps -o user= -p $(pgrep -d, -u works -f worker.py)").split()) == {"works"}
    _give_job(works, first)
    second = _release(works, workers=[_MAIL])
    _wait(lambda: f"{second} mail.1 begins" in _events(works))
    assert not any(event.endswith("done") for event in _events(works)), "the new ones do not wait for it"
    _let_finish(works)
    _wait(lambda: f"{first} mail.1 ends" in _events(works) and f"{first} mail.2 ends" in _events(works))
    assert sum(event.endswith("done") for event in _events(works)) == 1
    assert _workers(works) == {"mail.1", "mail.2"}
    assert works.observe()["live"] == second
    assert works.status()["programs"] == {
        name: {"state": "running", "as_wanted": True} for name in ("web", "mail.1", "mail.2")
    }
    works.server.shell(f"supervisorctl stop works-{works.observe()['slot']}.mail.1")
    assert [what.partition(".")[2] for what in works.observe()["damage"]] == ["mail.1, which does not run"]
    works.server.shell(f"rm {_EVENTS}")
    works.server.agent("rollback", {"app": works.name, "owner": OWNER})
    _wait(lambda: {f"{first} mail.1 begins", f"{second} mail.2 ends"} <= set(_events(works)))
    assert _workers(works) == {"mail.1", "mail.2"}


def test_one_that_must_not_overlap_begins_when_the_one_before_has_ended(works: App) -> None:
    beat = {**_MAIL, "name": "beat", "count": 1, "overlap": False}
    first = _release(works, workers=[beat])
    _give_job(works, first)
    threading.Timer(4, _let_finish, (works,)).start()
    second = _release(works, workers=[beat])
    events = _events(works)
    assert events.index(f"{first} beat.1 ends") < events.index(f"{second} beat.1 begins")


def test_a_worker_that_does_not_stay_up_is_told_and_the_release_stands(works: App) -> None:
    broken = {"name": "broken", "command": "echo no queue to be found; exit 3"}
    request = works.release_request("w-broken", source("w-broken"), workers=[broken])
    done = works.server.run_agent("release", request)
    assert done.returncode == 0, done.stderr
    assert "warning: the worker broken.1 does not stay up" in done.stderr
    assert "no queue to be found" in done.stderr
    assert works.server.text() == "w-broken"
    _wait(lambda: works.status()["programs"]["broken.1"] == {"state": "backoff", "as_wanted": False})
    assert works.status()["programs"]["web"]["as_wanted"] is True


@pytest.mark.long
def test_a_change_over_that_is_killed_is_finished_by_the_next_run(works: App) -> None:
    _release(works, workers=[_MAIL])
    changes = int(_killed_before(works, 10**6, "w-whole").stdout)
    for moment in range(changes - 40, changes, 7):
        release = f"w-killed-{moment}"
        assert _killed_before(works, moment, release).returncode != 0
        works.server.agent("release", works.release_request(release, _files(release), workers=[_MAIL]))
        _wait(lambda: _workers(works) == {"mail.1", "mail.2"})
        assert works.observe()["live"] == works.server.text() == release
        _wait(lambda wanted={release}: _releases_of_workers(works) == wanted)


def _killed_before(app: App, moment: int, release: str) -> subprocess.CompletedProcess[str]:
    """Makes a release with workers that is killed before its change number `moment` to the disk."""
    request = app.release_request(release, _files(release), workers=[_MAIL])
    app.server.machine.root_run(["sh", "-c", "cat > /root/crash.py"], _CRASH)
    return app.server.machine.root_run(["python3", "-I", "/root/crash.py", str(moment), "release"], json.dumps(request))


def _releases_of_workers(app: App) -> set[str]:
    script = "for pid in $(pgrep -u works -f worker.py); do readlink /proc/$pid/cwd; done"
    return {line.split("/")[4] for line in app.server.shell(script).split()}


@pytest.mark.long
def test_a_reboot_brings_back_the_workers_and_timers_of_the_live_release_alone(works: App) -> None:
    _release(works, workers=[{**_MAIL, "name": "older"}])
    timer = {"name": "tick", "schedule": ["*:*:0/2"], "command": "date >> data/ticks"}
    release = _release(works, workers=[_MAIL], timers=[timer])
    works.server.machine.reboot()
    works.server.wait_for(release, 30)
    _wait(lambda: _workers(works) == {"mail.1", "mail.2"})
    assert works.status()["programs"]["tick"]["as_wanted"] is True
    assert works.observe()["live"] == release
    _release(works)
    assert _workers(works) == set()
    assert works.server.shell("ls /etc/systemd/system | grep works", check=False) == ""


def test_a_timer_runs_its_command_as_the_app_with_its_variables(works: App) -> None:
    command = 'echo "$(id -un) $GREETING $SLIPWAY_PROCESS $SLIPWAY_RELEASE" >> "$HOME/data/jobs"'
    timer = {"name": "digest", "schedule": ["*:*:0/1"], "command": command, "missed": "run", "memory": 64}
    first = _release(works, timers=[timer])
    path = "/srv/works/shared/data/jobs"
    _wait(lambda: f"works hello digest {first}" in works.server.shell(f"cat {path}", check=False).splitlines())
    since = works.server.shell("systemctl show -p ActiveEnterTimestampMonotonic slipway-works.digest.timer")
    second = _release(works, timers=[timer])
    _wait(lambda: works.server.shell(f"tail -n 1 {path}").strip() == f"works hello digest {second}")
    assert since == works.server.shell("systemctl show -p ActiveEnterTimestampMonotonic slipway-works.digest.timer")
    found = works.status()["programs"]["digest"]
    assert (found["as_wanted"], found["result"]) == (True, "success")
    unit = works.server.shell("systemctl show -p MemoryMax,User slipway-works.digest.service").split()
    assert unit == ["MemoryMax=67108864", "User=works"] or unit == ["User=works", "MemoryMax=67108864"]
    with pytest.raises(AgentFailed, match=r"timer digest: schedule 'noon-ish' is no calendar event"):
        _release(works, timers=[{**timer, "schedule": ["noon-ish"]}])
    assert works.server.text() == second


@pytest.mark.long
def test_what_stands_still_runs_neither_workers_nor_timers(works: App) -> None:
    timer = {"name": "tick", "schedule": ["*:*:0/1"], "command": "sleep 20"}
    release = _release(works, workers=[_MAIL], timers=[timer])
    _wait(lambda: works.status()["programs"]["tick"]["state"] == "running")
    works.server.agent("hold", {"token": "t", "to": {"id": "m-2", "name": "other"}})
    assert _running(works) == set()
    assert works.server.shell("ps -u works -o args=", check=False) == ""
    assert works.server.shell("ls /etc/supervisor/conf.d /etc/systemd/system | grep works", check=False) == ""
    works.server.agent("resume", {"token": "t"})
    assert works.server.text() == release
    assert _workers(works) == {"mail.1", "mail.2"}
    assert works.status()["programs"]["tick"]["as_wanted"] is True


@pytest.mark.long
def test_memory_is_limited_by_a_group_of_the_process_s_own(works: App) -> None:
    web = {"kind": "wsgi", "target": "web:app", "command": None, "memory": 200}
    _release(works, web=web, workers=[{**_MAIL, "count": 1, "memory": 100}])
    slot = works.observe()["slot"]
    for name, bytes_ in (("mail.1", 100 << 20), ("web", 200 << 20)):
        unit = f"slipway-works-{slot}.mail.1.scope" if name != "web" else f"slipway-works-{slot}.scope"
        assert works.server.shell(f"systemctl show -p MemoryMax {unit}").strip() == f"MemoryMax={bytes_}"
        pids = works.server.shell(f"cat /sys/fs/cgroup/system.slice/{unit}/cgroup.procs").split()
        assert set(works.server.shell(f"ps -o user= -p {','.join(pids)}").split()) == {"works"}
    # what a supervisord that was killed left running is not there twice
    works.server.shell("kill -9 $(cat /run/supervisord.pid)")
    time.sleep(1)
    _wait(lambda: f"works-{slot}.mail.1" in _running(works), 20)
    assert works.server.shell("pgrep -c -u works -f worker.py").strip() == "1"


def test_a_server_of_the_app_s_own_is_reached_as_any_other(works: App) -> None:
    web = {"kind": "own", "target": None, "command": "python own.py"}
    rule = {"path": "/", "status": 200, "host": "works.example", "timeout": 20}
    first = _release(works, web=web, health=rule)
    assert works.server.text() == f"own {first} https"
    answers: list[str] = []
    slow = threading.Thread(target=lambda: answers.append(works.server.text("/slow")))
    slow.start()
    time.sleep(0.3)
    with works.server.visited() as visits:
        second = _release(works, web=web, health=rule)
        works.server.wait_for(f"own {second} https")
        time.sleep(0.3)  # each visitor comes once more
    slow.join()
    assert answers == [f"own {first} https"]
    assert visits.failures == []
    assert visits.texts() == [f"own {first} https", f"own {second} https"]
    ports = "ss -Htln | awk '{print $4}' | grep -c '^127.0.0.1:2[0-9]\\{4\\}$'"
    _wait(lambda: works.server.shell(ports).strip() == "1")


def test_settings_of_gunicorn_are_the_release_s_but_for_those_that_nginx_stands_on(works: App) -> None:
    options = {"workers": 3, "bind": "0.0.0.0:8000", "daemon": True, "threads": "2", "max_requests": 1000}
    release = _release(works, web={"kind": "wsgi", "target": "web:app", "command": None, "options": options})
    assert works.server.text() == release
    assert works.server.shell("ps -u works -o args= | grep -c 'gunicorn.*web:app'").strip() == "4"
    assert ":8000" not in works.server.shell("ss -Htln")
