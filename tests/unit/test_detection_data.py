"""What an app writes, how its tables are made and changed, and what its builds compile."""

from __future__ import annotations

from pathlib import Path

import pytest

from .trees import detected, write

FLASKR = {
    "pyproject.toml": '[project]\nname = "flaskr"\ndependencies = ["flask"]\n',
    "flaskr/__init__.py": (
        "import os\nfrom flask import Flask\n\ndef create_app(test_config=None):\n"
        "    app = Flask(__name__, instance_relative_config=True)\n"
        "    app.config.from_mapping(SECRET_KEY='dev', DATABASE=os.path.join(app.instance_path, 'flaskr.sqlite'))\n"
        "    os.makedirs(app.instance_path, exist_ok=True)\n    return app\n"
    ),
    "flaskr/db.py": "import click\n\n@click.command('init-db')\ndef init_db_command():\n    init_db()\n",
    "flaskr/static/style.css": "",
}
MODEL = "app = Flask(__name__)\napp.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///project.db'\n"
MIGRATE = {"migrations/alembic.ini": "[alembic]\n", "migrations/env.py": "from flask import current_app\n"}
ALEMBIC = {
    "app/main.py": "app = FastAPI()",
    "alembic.ini": "[alembic]\nscript_location = app/alembic\n",
    "app/alembic/env.py": "from alembic import context\n",
}


def test_flasks_tutorial_runs_without_a_setting(tmp_path: Path) -> None:
    recipe = detected(tmp_path, FLASKR)
    assert recipe.reason == "Flask: flaskr/__init__.py, WSGI flaskr:create_app()"
    assert recipe.persistent == ("instance",)
    assert recipe.setup == ("flask init-db",)
    assert recipe.variables == {"FLASK_APP": "flaskr:create_app()"}
    assert "`flask init-db` makes its tables, once for each database" in recipe.notes
    assert recipe.warnings == ()


@pytest.mark.parametrize(
    "command",
    [
        "@click.command('init-db')\ndef x(): ...",
        "@app.cli.command('init-db')\ndef x(): ...",
        "@bp.cli.command()\ndef init_db(): ...",
    ],
)
def test_a_command_that_makes_tables_is_found_unless_something_else_is_said(tmp_path: Path, command: str) -> None:
    files = {**FLASKR, "flaskr/db.py": command}
    assert detected(tmp_path, files).setup == ("flask init-db",)
    assert detected(tmp_path, files, setup=("flask seed",)).setup == ("flask seed",)
    assert detected(tmp_path, files, setup=()).setup == ()


def test_with_migrations_there_is_nothing_to_set_up(tmp_path: Path) -> None:
    recipe = detected(tmp_path, {**FLASKR, **MIGRATE})
    assert (recipe.setup, recipe.warnings) == ((), ())
    assert recipe.release == ("flask db upgrade",)


def test_a_relative_sqlite_file_lies_in_flasks_instance_folder(tmp_path: Path) -> None:
    assert detected(tmp_path, {"app.py": MODEL}).persistent == ("instance",)
    with_url = MODEL.replace("'sqlite:///project.db'", "os.environ.get('DATABASE_URL', 'sqlite:///project.db')")
    assert detected(tmp_path, {"app.py": with_url}).persistent == ()


def test_what_is_said_of_it_wins(tmp_path: Path) -> None:
    assert detected(tmp_path, FLASKR, persistent=("uploads",)).persistent == ("uploads",)


@pytest.mark.parametrize(
    ("files", "command", "why"),
    [
        ({"app.py": MODEL, **MIGRATE}, "flask db upgrade", "Flask-Migrate: migrations/"),
        (ALEMBIC, "alembic upgrade head", "Alembic: alembic.ini"),
    ],
)
def test_migrations_are_found(tmp_path: Path, files: dict[str, str], command: str, why: str) -> None:
    recipe = detected(tmp_path, files)
    assert recipe.release == (command,)
    assert f"before the switch: `{command}` ({why})" in recipe.notes


@pytest.mark.parametrize(
    ("files", "changed", "unchanged"),
    [
        (
            {"app.py": MODEL, **MIGRATE, "requirements.txt": "flask\n"},
            ["migrations/versions/1.py", "requirements.txt", "requirements/base.txt", "migrations/env.py"],
            ["app.py", "README.md", "static/site.css"],
        ),
        (
            {**ALEMBIC, "uv.lock": "x"},
            ["app/alembic/versions/1.py", "alembic.ini", "uv.lock", "pyproject.toml"],
            ["app/main.py", "app/models.py"],
        ),
    ],
)
def test_the_digest_changes_with_what_decides_a_migration_alone(
    tmp_path: Path, files: dict[str, str], changed: list[str], unchanged: list[str]
) -> None:
    before = detected(tmp_path, files).inputs
    assert before
    for name in unchanged:
        assert detected(tmp_path, {**files, name: files.get(name, "") + "\n# other\n"}).inputs == before, name
    for name in changed:
        assert detected(tmp_path, {**files, name: files.get(name, "") + "\n# other\n"}).inputs != before, name


def test_the_digest_covers_a_lock_above_the_app(tmp_path: Path) -> None:
    files = {"app.py": MODEL, **MIGRATE}
    assert len({detected(tmp_path, files, needs=needs).inputs for needs in ("", "a", "b")}) == 3


def test_of_other_commands_the_digest_is_known_where_their_inputs_are_said(tmp_path: Path) -> None:
    files = {"app.py": MODEL, "sql/1.sql": "create table a (b int)"}
    said = {"release": ("./migrate",), "release_inputs": ("sql/",)}
    assert detected(tmp_path, files, release=("./migrate",)).inputs is None
    before = detected(tmp_path, files, **said).inputs
    assert before
    assert detected(tmp_path, {**files, "README.md": "x"}, **said).inputs == before
    assert detected(tmp_path, {**files, "sql/2.sql": ""}, **said).inputs != before
    assert detected(tmp_path, files, **{**said, "release": ("./migrate --all",)}).inputs != before


@pytest.mark.parametrize(
    ("command", "known"),
    [
        ("flask --app shop db upgrade", True),
        ("python -m flask db upgrade --directory app/migrations", True),
        ("python manage.py migrate --noinput --database=default", True),
        ("alembic -c alembic.ini upgrade head", True),
        ("flask db upgrade && flask seed", False),
        ("flask db downgrade", False),
        ("python manage.py migrate; ./tidy", False),
        ("alembic upgrade head; ./tidy", False),
    ],
)
def test_which_commands_do_nothing_but_migrate(tmp_path: Path, command: str, known: bool) -> None:
    recipe = detected(tmp_path, ALEMBIC, release=(command,))
    assert (recipe.inputs is not None) == known


def test_translations_without_their_compiled_form_are_compiled(tmp_path: Path) -> None:
    files = {
        "app.py": MODEL,
        "translations/de/LC_MESSAGES/messages.po": "",
        "translations/fr/LC_MESSAGES/messages.po": "",
        "shop/i18n/de/LC_MESSAGES/shop.po": "",
    }
    babel = frozenset({"flask-babel"})
    recipe = detected(tmp_path, files, packages=babel)
    assert recipe.build == ("pybabel compile -d shop/i18n -D shop", "pybabel compile -d translations")
    assert detected(tmp_path, files).build == ()
    compiled = {**files, **{f"translations/{code}/LC_MESSAGES/messages.mo": "" for code in ("de", "fr")}}
    assert detected(tmp_path, compiled, packages=babel).build == ("pybabel compile -d shop/i18n -D shop",)


def test_only_released_files_are_looked_at(tmp_path: Path) -> None:
    tree = write(tmp_path, {"app.py": MODEL})
    (tmp_path / "Procfile").write_text("web: gunicorn other:app")
    assert not tree.has("Procfile")
    assert tree.text("Procfile") == ""
