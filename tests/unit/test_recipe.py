"""What is found in a source reaches the server, the release's id and the people who preview it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.unit.mocks import Recorder
from tests.unit.test_components import app, release_document

from .trees import write

Run = Callable[..., Recorder]
LINE = "web: flask db upgrade; flask translate compile; gunicorn app:app --threads 8\n"


def test_the_server_is_told_of_all_that_was_found(run: Run, app_folder: Path) -> None:
    text = (
        app_folder / "app.py"
    ).read_text() + "import click\n@app.cli.command('init-db')\ndef make(): app.instance_path\n"
    write(app_folder, {"app.py": text, "Procfile": LINE, ".flaskenv": "FLASK_DEBUG=1\n"})
    document = release_document(run(lambda: app(app_folder)))
    build, release = document["commands"]["build"], document["commands"]["release"]
    assert [(step["run"], step["outputs"]) for step in build] == [("flask translate compile", ["*.mo"])]
    assert release == ["flask db upgrade"]
    assert document["build_environment"]["SECRET_KEY"] == "only-for-the-build"
    assert document["setup"] == ["flask init-db"]
    assert document["persistent"] == ["instance"]
    assert document["static"] == {"url": "/static/", "folder": "static"}
    web = {name: document["web"][name] for name in ("kind", "target", "command", "options")}
    assert web == {"kind": "wsgi", "target": "app:app", "command": None, "options": {"threads": 8}}
    assert document["environment"]["FLASK_DEBUG"] == "0"
    assert len(document["migration"]["inputs"]) == 64
    assert document["migration"]["force"] is False


def test_its_own_server_is_told_as_its_command(run: Run, app_folder: Path) -> None:
    document = release_document(run(lambda: app(app_folder, server="own", command="python app.py $PORT")))
    assert document["web"]["kind"] == "own"
    assert document["web"]["command"] == "python app.py $PORT"


def test_the_apps_own_variables_win_over_what_was_found(run: Run, app_folder: Path) -> None:
    write(app_folder, {".flaskenv": "FLASK_DEBUG=1\n"})
    given = pulumi.Output.from_input({"FLASK_DEBUG": "1", "FLASK_APP": "other"})
    environment = release_document(run(lambda: app(app_folder, environment=given)))["environment"]
    assert (environment["FLASK_DEBUG"], environment["FLASK_APP"]) == ("1", "other")


@pytest.mark.parametrize(
    "change",
    [
        {"release": ["./migrate"]},
        {"build": ["make"]},
        {"setup": ["flask seed"]},
        {"persistent": ["uploads"]},
        {"static_url": "/assets/"},
        {"migration": {"force": True}},
        {"server": "own", "command": "python app.py $PORT"},
        {"kind": "asgi"},
    ],
)
def test_each_of_them_is_a_part_of_the_release(run: Run, app_folder: Path, change: dict[str, Any]) -> None:
    before = release_document(run(lambda: app(app_folder)))["release"]
    assert release_document(run(lambda: app(app_folder, **change)))["release"] != before


def test_so_are_gunicorns_options(run: Run, app_folder: Path) -> None:
    ids = set()
    for threads in (2, 4):
        write(app_folder, {"Procfile": f"web: gunicorn app:app --threads {threads}\n"})
        ids.add(release_document(run(lambda: app(app_folder)))["release"])
    assert len(ids) == 2


def test_a_preview_says_what_the_app_was_taken_for(run: Run, app_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_: said.append(text))
    write(app_folder, {"Procfile": LINE})
    run(lambda: app(app_folder), preview=True)
    assert said[:2] == [
        "guestbook: Procfile: its web line, Flask in app.py, WSGI app:app",
        "guestbook: builds with `flask translate compile`",
    ]
