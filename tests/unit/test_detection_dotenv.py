"""Development switches in files that lie in the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from .trees import detected

APP = {"app.py": "import os\nfrom flask import Flask\napp = Flask(__name__)\n"}


@pytest.mark.parametrize(
    ("file", "line", "name", "value"),
    [
        (".flaskenv", "FLASK_DEBUG=1", "FLASK_DEBUG", "0"),
        (".flaskenv", "export FLASK_ENV=development  # here", "FLASK_ENV", "production"),
        (".env", "DEBUG=True", "DEBUG", "False"),
        (".env", "DEBUG = 'true'", "DEBUG", "false"),
        (".env", 'DJANGO_DEBUG="on"', "DJANGO_DEBUG", "off"),
        (".env", "APP_ENV=dev", "APP_ENV", "production"),
        (".env", "ENVIRONMENT=local", "ENVIRONMENT", "production"),
    ],
)
def test_a_switch_is_turned_off_and_told(tmp_path: Path, file: str, line: str, name: str, value: str) -> None:
    recipe = detected(tmp_path, {**APP, file: f"{line}\nSITE_NAME=Shop\n"})
    assert recipe.variables == {"FLASK_APP": "app:app", name: value}
    assert any(note.startswith(f"{file} sets {name}=") and repr(value) in note for note in recipe.notes)


@pytest.mark.parametrize(
    "line", ["DEBUG=False", "DEBUG=0", "FLASK_ENV=production", "# DEBUG=1", "DEBUGGER=1", "ENV=qa"]
)
def test_anything_else_stays_as_it_is(tmp_path: Path, line: str) -> None:
    recipe = detected(tmp_path, {**APP, ".env": line})
    assert recipe.variables == {"FLASK_APP": "app:app"}
    assert recipe.notes == ()


def test_the_apps_own_environment_wins(tmp_path: Path) -> None:
    recipe = detected(tmp_path, {**APP, ".flaskenv": "FLASK_DEBUG=1"}, environment={"FLASK_DEBUG": "1"})
    assert "FLASK_DEBUG" not in recipe.variables
    assert recipe.notes == ()


@pytest.mark.parametrize(
    "read", ["if os.environ.get('DEBUG'):\n    pass", "x = bool(os.getenv('DEBUG', ''))", "x = not os.environ['DEBUG']"]
)
def test_it_is_empty_where_any_text_would_be_true(tmp_path: Path, read: str) -> None:
    recipe = detected(tmp_path, {"app.py": APP["app.py"] + read, ".env": "DEBUG=1"})
    assert recipe.variables["DEBUG"] == ""
    assert ".env sets DEBUG=1, which is for development: on the server it is empty" in recipe.notes


def test_a_file_that_would_win_over_the_server_is_left_out(tmp_path: Path) -> None:
    app = APP["app.py"] + "from dotenv import load_dotenv\nload_dotenv(override=True)\n"
    recipe = detected(tmp_path, {"app.py": app, ".env": "DEBUG=True\nSECRET_KEY=dev\n"})
    assert recipe.left_out == (".env",)
    assert "DEBUG" not in recipe.variables
    assert recipe.notes[-1].startswith(".env is left out: app.py loads it over the server's variables")


def test_a_file_that_is_not_released_says_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DEBUG=True")
    assert detected(tmp_path, APP).notes == ()
