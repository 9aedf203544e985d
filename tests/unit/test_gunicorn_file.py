"""An app's own configuration file of gunicorn beside ours, in the file that gunicorn is given."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pulumi_slipway.app.site import SiteSpec, render_site

NAMES = (
    "accesslog", "bind", "chdir", "daemon", "errorlog", "graceful_timeout", "keyfile", "loglevel", "post_fork",
    "post_worker_init", "pre_fork", "raw_env", "threads", "timeout", "worker_class", "workers", "wsgi_app",
)  # fmt: skip


@pytest.fixture(autouse=True)
def gunicorn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where gunicorn reads its file: in the app's folder, by a gunicorn that knows these settings."""
    config = ModuleType("gunicorn.config")
    config.KNOWN_SETTINGS = [SimpleNamespace(name=name) for name in NAMES]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gunicorn", ModuleType("gunicorn"))
    monkeypatch.setitem(sys.modules, "gunicorn.config", config)
    monkeypatch.setenv("SLIPWAY_SOCKET", "/run/x/web.sock")
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    monkeypatch.chdir(tmp_path)


def read(monkeypatch: pytest.MonkeyPatch, text: str, **options: Any) -> dict[str, Any]:
    """The settings that gunicorn ends up with."""
    Path("own.py").write_text(text)
    monkeypatch.setenv("SLIPWAY_OPTIONS", json.dumps({"config": "own.py", **options}))
    config: dict[str, Any] = {}
    exec(render_site(SiteSpec("shop", ["shop.example"]))["/etc/slipway/apps/shop/gunicorn.conf.py"].content, config)  # noqa: S102
    return config


def test_it_says_what_is_the_apps_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    config = read(
        monkeypatch, "import multiprocessing\nworkers = 7\ntimeout = 90\nloglevel = 'debug'\nraw_env = ['A=1']"
    )
    assert (config["workers"], config["timeout"], config["loglevel"], config["raw_env"]) == (7, 90, "debug", ["A=1"])
    assert (config["worker_class"], config["threads"]) == ("gthread", 4)
    assert "multiprocessing" not in config


def test_what_the_server_stands_on_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "bind = '0.0.0.0:80'\ndaemon = True\nkeyfile = 'x'\ngraceful_timeout = 1\nchdir = '/app'\nwsgi_app = 'x:y'"
    config = read(monkeypatch, text)
    assert (config["bind"], config["graceful_timeout"]) == ("unix:/run/x/web.sock", 30)
    assert not {"daemon", "keyfile", "chdir", "wsgi_app"} & set(config)


def test_a_file_to_log_to_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    config = read(monkeypatch, "errorlog = '/var/log/e.log'\naccesslog = '-'")
    assert (config["errorlog"], config["accesslog"]) == ("-", "-")


def test_options_win_over_it_and_the_variable_over_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    config = read(monkeypatch, "workers = 7\ntimeout = 90\nloglevel = 'debug'", timeout=45)
    assert config["workers"] == 2
    assert config["timeout"] != 90


def test_threads_of_ours_are_for_workers_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "threads" not in read(monkeypatch, "worker_class = 'sync'")
    assert read(monkeypatch, "worker_class = 'gthread'\nthreads = 9")["threads"] == 9


def test_its_hooks_run_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "seen = []\ndef pre_fork(server, worker): seen.append(worker)\ndef post_fork(server, _): seen.append(server)"
    config = read(monkeypatch, text)
    worker = SimpleNamespace(age=1, booted=False)
    config["pre_fork"](None, worker)
    config["post_fork"]("server", worker)
    assert config["post_fork"].__globals__["seen"] == [worker, "server"]
    assert config["pre_fork"].__code__.co_argcount == 2


def test_a_folder_to_run_in_is_the_releases_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, "", chdir="backend")["chdir"] == "backend"
