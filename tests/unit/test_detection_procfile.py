"""The Procfile: chained web lines, other servers, gunicorn's options, workers, timers, release lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway.app.detection import DetectionError, Recipe, Timer, Worker

from .trees import detected

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
MICROBLOG = {
    "microblog.py": "from app import create_app\napp = create_app()\n",
    "app/__init__.py": "from flask import Flask\ndef create_app():\n    return Flask(__name__)\n",
    "migrations/alembic.ini": "[alembic]\n",
    "migrations/env.py": "from flask import current_app\n",
}


def of_web_line(folder: Path, line: str, **said: Any) -> Recipe:
    return detected(folder, {"app.py": FLASK, "Procfile": f"web: {line}\n"}, **said)


def test_a_chained_web_line_is_taken_apart(tmp_path: Path) -> None:
    line = "flask db upgrade; flask translate compile; gunicorn microblog:app --workers 3 --timeout=60 -b 0.0.0.0:$PORT"
    files = {**MICROBLOG, "Procfile": f"web: {line}\nworker: rq worker microblog-tasks\n"}
    recipe = detected(tmp_path, files)
    assert recipe.target == "microblog:app"
    assert recipe.release == ("flask db upgrade",)
    assert recipe.build == ("flask translate compile",)
    assert recipe.options == {"workers": 3, "timeout": 60}
    assert recipe.workers == (Worker("worker", "rq worker microblog-tasks"),)
    assert recipe.reason == "Procfile: its web line, Flask in microblog.py, WSGI microblog:app"
    assert recipe.notes == (
        "builds with `flask translate compile`",
        "before the switch: `flask db upgrade` (Procfile)",
    )
    assert recipe.inputs is not None


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("-k gevent --worker-connections 500", {"worker_class": "gevent", "worker_connections": 500}),
        ("-w4 -t90", {"workers": 4, "timeout": 90}),
        ("--threads=8 --worker-class=gthread", {"threads": 8, "worker_class": "gthread"}),
        ("--preload --max-requests 1000 --max-requests-jitter 50", {
            "preload_app": True, "max_requests": 1000, "max_requests_jitter": 50,
        }),
        ("--workers ${WEB_WORKERS:-2} --keep-alive 5", {"workers": 2, "keepalive": 5}),
        ("--access-logfile - --log-level debug --error-logfile -", {
            "accesslog": "-", "loglevel": "debug", "errorlog": "-",
        }),
        ("--no-sendfile -R", {"sendfile": False, "enable_stdio_inheritance": True}),
        ("--bind 0.0.0.0:$PORT --workers $WEB_CONCURRENCY", {}),
    ],
)  # fmt: skip
def test_gunicorns_flags_become_settings_by_name(tmp_path: Path, flags: str, options: dict[str, object]) -> None:
    for line in (f"gunicorn {flags} app:app", f"gunicorn app:app {flags}"):
        recipe = of_web_line(tmp_path, line)
        assert recipe.options == options
        assert recipe.target == "app:app"
        assert recipe.notes == ()


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        ("--daemon", "--daemon is left out: that is up to supervisor"),
        ("--user www-data", "--user is left out: that is up to the app's own user"),
        ("-p /run/x.pid", "-p is left out: that is up to supervisor"),
        ("--certfile=x.pem", "--certfile is left out: that is up to nginx"),
        ("--graceful-timeout 20", "--graceful-timeout is left out: that is up to the setting drain"),
        ("--reload", "--reload is left out: that is up to releases"),
        ("--access-logfile /var/log/a.log", "--access-logfile /var/log/a.log is left out: what is logged is in"),
        ("--sparkle 3", "--sparkle is not known to Slipway, and is left out"),
        ("--workers $CORES", "--workers $CORES is left out: it is known to a shell only"),
        ("--timeout soon", "--timeout soon is left out: it is no number"),
    ],
)
def test_what_is_not_the_apps_to_say_is_noted(tmp_path: Path, flags: str, note: str) -> None:
    for line in (f"gunicorn {flags} app:app", f"gunicorn app:app {flags}"):
        recipe = of_web_line(tmp_path, line)
        assert (recipe.target, recipe.options) == ("app:app", {})
        assert [text for text in recipe.notes if text.startswith(note)]


def test_variables_of_a_web_line_are_variables_of_the_app(tmp_path: Path) -> None:
    recipe = of_web_line(tmp_path, "export A=1 && B='two words' exec gunicorn -e C=3 app:app")
    assert recipe.variables == {"FLASK_APP": "app:app", "A": "1", "B": "two words", "C": "3"}


@pytest.mark.parametrize("place", ["cd backend && gunicorn main:app", "gunicorn --chdir backend main:app"])
def test_a_server_may_run_in_a_folder(tmp_path: Path, place: str) -> None:
    files = {"backend/main.py": "app = FastAPI()", "Procfile": f"web: python backend/migrate.py && {place}"}
    recipe = detected(tmp_path, files)
    assert (recipe.target, recipe.kind) == ("main:app", "asgi")
    assert recipe.options == {"chdir": "backend"}
    assert recipe.release == ("python backend/migrate.py",)


def test_a_configuration_file_of_gunicorn_is_named(tmp_path: Path) -> None:
    files = {"app.py": FLASK, "gunicorn.conf.py": "workers = 2", "deploy/g.py": "workers = 3"}
    assert detected(tmp_path, files).options == {"config": "gunicorn.conf.py"}
    files["Procfile"] = "web: gunicorn -c deploy/g.py app:app"
    assert detected(tmp_path, files).options == {"config": "deploy/g.py"}
    files["Procfile"] = "web: gunicorn --config file:gone.py app:app"
    recipe = detected(tmp_path, files)
    assert recipe.options == {}
    assert "gunicorn's configuration file gone.py is not in the source, and is left out" in recipe.notes


@pytest.mark.parametrize("procfile", ["", "web: gunicorn\n"])
def test_it_may_name_the_application(tmp_path: Path, procfile: str) -> None:
    files = {
        "shop/__init__.py": FLASK,
        "app.py": FLASK,
        "gunicorn.conf.py": "wsgi_app = 'shop:app'",
        "Procfile": procfile,
    }
    recipe = detected(tmp_path, files)
    assert recipe.target == "shop:app"
    assert recipe.reason == "Flask: shop/__init__.py, gunicorn.conf.py, WSGI shop:app"


@pytest.mark.parametrize(
    ("line", "target", "kind"),
    [
        ("gunicorn mysite.wsgi", "mysite.wsgi:application", "wsgi"),
        ("gunicorn 'shop:create_app()'", "shop:create_app()", "wsgi"),
        ("gunicorn -k uvicorn.workers.UvicornWorker main:app", "main:app", "asgi"),
        ("python -m gunicorn app:app", "app:app", "wsgi"),
        ("poetry run gunicorn app:app", "app:app", "wsgi"),
        ("uv run --no-dev gunicorn app:app", "app:app", "wsgi"),
        ("uwsgi --http :$PORT --module mysite.wsgi --master --processes 4", "mysite.wsgi:application", "wsgi"),
        ("uwsgi --http 0.0.0.0:8000 --wsgi-file src/app.py --callable app", "src.app:app", "wsgi"),
        ("uwsgi -w app:app --http :8000", "app:app", "wsgi"),
        ("uvicorn main:app --host 0.0.0.0 --port $PORT --reload", "main:app", "asgi"),
        ("uvicorn --factory --port $PORT api:make", "api:make()", "asgi"),
        ("python3 -m uvicorn api.main:app", "api.main:app", "asgi"),
        ("hypercorn api:app -b 0.0.0.0:$PORT", "api:app", "asgi"),
        ("daphne -b 0.0.0.0 -p $PORT mysite.asgi:application", "mysite.asgi:application", "asgi"),
        ("waitress-serve --port=$PORT --call shop:create_app", "shop:create_app()", "wsgi"),
        ("waitress-serve --listen=*:$PORT app:app", "app:app", "wsgi"),
        ("fastapi run api/main.py --port $PORT", "api.main:app", "asgi"),
    ],
)
def test_the_application_of_any_server_goes_to_gunicorn(tmp_path: Path, line: str, target: str, kind: str) -> None:
    recipe = of_web_line(tmp_path, line)
    assert (recipe.target, recipe.kind) == (target, kind)
    told = [note for note in recipe.notes if "gunicorn serves the application in its place" in note]
    assert bool(told) == ("gunicorn" not in line)


def test_uwsgis_configuration_file_is_read(tmp_path: Path) -> None:
    files = {
        "uwsgi.ini": "[uwsgi]\n# where it is\nmodule = shop.wsgi\ncallable = app\nmaster = true\n",
        "shop/wsgi.py": FLASK,
        "Procfile": "web: uwsgi uwsgi.ini",
    }
    assert detected(tmp_path, files).target == "shop.wsgi:app"


@pytest.mark.parametrize(
    ("line", "name"), [("flask run -h 0.0.0.0 -p $PORT", "flask run"), ("flask --app app run", "flask run")]
)
def test_a_development_server_is_not_what_serves(tmp_path: Path, line: str, name: str) -> None:
    recipe = of_web_line(tmp_path, line)
    assert recipe.target == "app:app"
    assert recipe.notes[0].startswith(f"the Procfile's web line runs {name}, a server for development: gunicorn")


def test_its_own_server_runs_as_it_is(tmp_path: Path) -> None:
    line = "flask db upgrade && LANG=C uwsgi --http 127.0.0.1:$PORT --module app:app"
    recipe = of_web_line(tmp_path, line, server="own")
    assert (recipe.kind, recipe.target) == ("own", None)
    assert recipe.command == "uwsgi --http 127.0.0.1:$PORT --module app:app"
    assert recipe.variables["LANG"] == "C"
    assert recipe.release == ("flask db upgrade",)
    assert recipe.reason.endswith("; its own server: `uwsgi --http 127.0.0.1:$PORT --module app:app`")
    assert recipe.options == {}
    assert not [note for note in recipe.notes if "in its place" in note]


def test_its_own_server_needs_no_application_that_is_found(tmp_path: Path) -> None:
    files = {"serve.py": "import http.server", "Procfile": "web: python serve.py --port $PORT"}
    recipe = detected(tmp_path, files, server="own")
    assert (recipe.kind, recipe.command) == ("own", "python serve.py --port $PORT")
    assert recipe.reason == "its own server: `python serve.py --port $PORT`"
    assert detected(tmp_path, files, server="own", command="python serve.py 1").command == "python serve.py 1"


def test_a_line_that_is_not_understood_is_told(tmp_path: Path) -> None:
    recipe = of_web_line(tmp_path, "./start.sh | tee log")
    assert recipe.target == "app:app"
    assert "starts no server that Slipway knows" in recipe.notes[0]
    with pytest.raises(DetectionError, match=r"or set server: own, to run the Procfile's `./start.sh` as it is"):
        detected(tmp_path, {"x.py": "", "Procfile": "web: ./start.sh"})


def test_a_wrapper_is_left_out_and_told(tmp_path: Path) -> None:
    recipe = of_web_line(tmp_path, "newrelic-admin run-program gunicorn app:app")
    assert recipe.target == "app:app"
    assert "`newrelic-admin run-program` around its server is left out" in recipe.notes[0]


def test_other_lines_are_workers_and_timers(tmp_path: Path) -> None:
    text = (
        "# processes\nweb: gunicorn app:app\nworker: celery -A tasks worker\nMail_queue: poetry run rq worker mail\n"
        "cron-tidy: */5 * * * * python tidy.py --all\ncron: @daily python report.py\ncron_sum: 0 3 * * mon-fri ./sum\n"
    )
    recipe = detected(tmp_path, {"app.py": FLASK, "Procfile": text})
    assert recipe.workers == (Worker("worker", "celery -A tasks worker"), Worker("mail-queue", "rq worker mail"))
    assert recipe.timers == (
        Timer("tidy", "*/5 * * * *", "python tidy.py --all"),
        Timer("cron", "@daily", "python report.py"),
        Timer("sum", "0 3 * * mon-fri", "./sum"),
    )


def test_a_timer_without_a_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match="line 'cron-tidy' of its Procfile is 'python tidy.py', which does not"):
        detected(tmp_path, {"app.py": FLASK, "Procfile": "cron-tidy: python tidy.py"})


def test_two_lines_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match="two lines named 'worker'"):
        detected(tmp_path, {"app.py": FLASK, "Procfile": "worker: a\nworker: b"})


def test_a_release_line_is_sorted_by_what_it_needs(tmp_path: Path) -> None:
    text = "release: npm ci && npm run build && flask db upgrade\nweb: gunicorn microblog:app\n"
    recipe = detected(tmp_path, {**MICROBLOG, "Procfile": text})
    assert recipe.build == ("npm ci", "npm run build")
    assert recipe.release == ("flask db upgrade",)


def test_a_release_line_that_is_more_than_a_chain_stays_whole(tmp_path: Path) -> None:
    text = 'release: test -n "$X" || flask db upgrade\nweb: cd app && ./prepare && cd .. && gunicorn app:app\n'
    recipe = detected(tmp_path, {"app.py": FLASK, "Procfile": text})
    assert recipe.release == ('test -n "$X" || flask db upgrade', "cd app && ./prepare")
    assert recipe.options == {}


def test_settings_win_over_the_procfile(tmp_path: Path) -> None:
    files = {**MICROBLOG, "Procfile": "web: flask db upgrade; flask translate compile; gunicorn microblog:app"}
    recipe = detected(tmp_path, files, build=("make",), release=("./migrate",))
    assert (recipe.build, recipe.release) == (("make",), ("./migrate",))
    assert recipe.inputs is None
    assert detected(tmp_path, files, release=()).release == ()
