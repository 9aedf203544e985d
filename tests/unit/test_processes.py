"""Workers and cron among the arguments of an app and the settings of a stack."""

from __future__ import annotations

import json
import os
import runpy
from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway.agent.processes import Processes as OnServer
from pulumi_slipway.app.checked import check
from pulumi_slipway.app.processes import check_processes
from pulumi_slipway.app.site import SiteSpec, render_site
from pulumi_slipway.settings import SettingsError, parse_settings


def test_what_is_said_goes_over_what_the_source_says() -> None:
    found = check_processes(
        {
            "mail": {"count": 3, "stop_signal": "SIGINT", "memory": 256},
            "idle": {"count": 0},
            "beat": {"command": "beat"},
        },
        {"clean": {"schedule": "0 0 13 * 5", "missed": "run"}},
        {"mail": "rq worker", "idle": "nothing"},
        {"clean": ("@daily", "flask clean"), "report": ("@weekly", "flask report")},
    )
    assert [(worker.name, worker.command, worker.count) for worker in found.workers] == [
        ("beat", "beat", 1),
        ("mail", "rq worker", 3),
    ]
    assert (found.workers[1].stop_signal, found.workers[1].memory, found.workers[1].overlap) == ("INT", 256, True)
    assert [(timer.name, timer.command, timer.schedule, timer.missed) for timer in found.timers] == [
        ("clean", "flask clean", ("*-*-13 00:00:00", "Fri *-*-* 00:00:00"), "run"),
        ("report", "flask report", ("Sun *-*-* 00:00:00",), "skip"),
    ]


def test_the_server_takes_what_it_is_told() -> None:
    found = check_processes({"mail": {"command": "x"}}, {"clean": {"schedule": "@daily", "command": "y"}})
    document = json.loads(json.dumps(found.document()))
    assert OnServer.read(document).record() == document


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"workers": {"mail": {}}}, "workers.mail.command: missing; set it"),
        ({"workers": {"web": {"command": "x"}}}, "workers: 'web' cannot name a process"),
        ({"workers": {"mail": {"command": "x", "count": -1}}}, "workers.mail.count: -1 is none of 0 to 64"),
        ({"workers": {"mail": {"command": "x", "stop_signal": "KILL"}}}, "workers.mail.stop_signal: 'KILL' is none of"),
        ({"workers": {"mail": {"command": "x", "stop_timeout": 0}}}, "workers.mail.stop_timeout: 0 is none of"),
        ({"workers": {"mail": {"command": "x", "memory": 8}}}, "workers.mail.memory: 8 is too small"),
        ({"cron": {"a": {"command": "x"}}}, "cron.a.schedule: missing"),
        (
            {"cron": {"a": {"command": "x", "schedule": "@reboot"}}},
            "cron.a.schedule: '@reboot' is no schedule: @reboot",
        ),
        ({"cron": {"a": {"command": "x", "schedule": "@daily", "missed": "no"}}}, "cron.a.missed: 'no' is neither run"),
        (
            {"workers": {"a": {"command": "x"}}, "cron": {"a": {"command": "x", "schedule": "@daily"}}},
            "cron.a: a worker",
        ),
        ({"memory": 1}, "memory: 1 is too small; give at least 16 (MiB)"),
    ],
)
def test_a_mistake_is_told_with_key_value_and_remedy(tmp_path: Path, args: dict[str, Any], said: str) -> None:
    (tmp_path / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (its text is below)
        check({"path": os.fspath(tmp_path), "name": "shop", **args})  # type: ignore[typeddict-item]
    assert str(caught.value).startswith(said)


def test_a_worker_in_the_settings_may_be_its_command_alone() -> None:
    app = {"path": "x", "workers": {"mail": "rq worker", "beat": {"command": "beat", "overlap": False}}}
    settings = parse_settings({"target": "local", "app": app}).app.model_dump(exclude_none=True)
    assert settings["workers"] == {"mail": {"command": "rq worker"}, "beat": {"command": "beat", "overlap": False}}


def test_a_mistake_in_the_settings_of_a_worker_is_told_by_its_key() -> None:
    app = {"path": "x", "workers": {"mail": {"cuont": 2}}, "cron": {"clean": {"missed": "never"}}}
    with pytest.raises(SettingsError) as caught:
        parse_settings({"target": "local", "app": app})
    assert "slipway:app.workers.mail.cuont: unknown setting; did you mean 'count'?" in str(caught.value)
    assert "slipway:app.cron.clean.missed: 'never' does not fit" in str(caught.value)


def test_settings_of_gunicorn_are_the_release_s_but_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = render_site(SiteSpec("shop", ["shop.example"]))
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(files["/etc/slipway/apps/shop/gunicorn.conf.py"].content)
    options = {"bind": "0.0.0.0:80", "workers": 7, "worker_class": "sync", "timeout": "99", "daemon": True, "os": 1}
    monkeypatch.setenv("SLIPWAY_SOCKET", "/run/x/web.sock")
    monkeypatch.setenv("SLIPWAY_OPTIONS", json.dumps(options))
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    found = runpy.run_path(os.fspath(path))
    assert (found["bind"], found["workers"], found["timeout"]) == ("unix:/run/x/web.sock", 7, "99")
    assert (found["worker_class"], found.get("threads"), found.get("daemon")) == ("sync", None, None)
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    assert runpy.run_path(os.fspath(path))["workers"] == 2
    monkeypatch.delenv("SLIPWAY_OPTIONS")
    assert runpy.run_path(os.fspath(path))["worker_class"] == "gthread"
