"""What is served: entry points as frameworks and people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulumi_slipway.app.detection import DetectionError

from .trees import detected

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    return Flask(__name__)\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"


@pytest.mark.parametrize(
    ("files", "target", "kind", "reason"),
    [
        ({"app.py": FLASK}, "app:app", "wsgi", "Flask: app.py"),
        ({"shop/__init__.py": FACTORY}, "shop:create_app()", "wsgi", "Flask: shop/__init__.py"),
        (
            {"src/shop/__init__.py": FACTORY},
            "shop:create_app()",
            "wsgi",
            "Flask: src/shop/__init__.py",
        ),
        ({"main.py": FASTAPI}, "main:app", "asgi", "FastAPI: main.py"),
        ({"main.py": "app: FastAPI = fastapi.FastAPI()"}, "main:app", "asgi", "FastAPI: main.py"),
        ({"app/main.py": FASTAPI, "app/models.py": ""}, "app.main:app", "asgi", "FastAPI: app/main.py"),
        ({"asgi.py": "app = Starlette(routes=[])"}, "asgi:app", "asgi", "Starlette: asgi.py"),
        ({"app.py": "app = Quart(__name__)"}, "app:app", "asgi", "Quart: app.py"),
        ({"server.py": "server = Flask(__name__)"}, "server:server", "wsgi", "Flask: server.py"),
        (
            {"wsgi.py": "from shop import create_app\napp = create_app()", "shop/__init__.py": FACTORY},
            "wsgi:app",
            "wsgi",
            "Flask: wsgi.py",
        ),
        (
            {
                "main.py": "from api.factory import create_app\napp = create_app()",
                "api/factory.py": "def create_app():\n    return FastAPI()",
            },
            "main:app",
            "asgi",
            "FastAPI: main.py",
        ),
        ({"wsgi.py": "application = make_wsgi_app()"}, "wsgi:application", "wsgi", "Pyramid: wsgi.py"),
    ],
)
def test_an_entry_point_is_found_and_its_reason_given(
    tmp_path: Path, files: dict[str, str], target: str, kind: str, reason: str
) -> None:
    recipe = detected(tmp_path, files)
    assert (recipe.target, recipe.kind) == (target, kind)
    assert recipe.reason == f"{reason}, {kind.upper()} {target}"


def test_tests_and_migrations_are_no_entry_points(tmp_path: Path) -> None:
    files = {"tests/__init__.py": FLASK, "migrations/app.py": FLASK, "docs/app.py": FLASK, "blog.py": FACTORY}
    assert detected(tmp_path, files).target == "blog:create_app()"


def test_a_factory_that_needs_arguments_is_none(tmp_path: Path) -> None:
    files = {"app.py": "def create_app(config):\n    return Flask('x')", "wsgi.py": "application = create_app(CONFIG)"}
    assert detected(tmp_path, files).target == "wsgi:application"


def test_an_app_in_src_runs_from_there(tmp_path: Path) -> None:
    recipe = detected(tmp_path, {"src/shop/__init__.py": FACTORY, "src/shop/static/site.css": ""})
    assert recipe.variables["PYTHONPATH"] == "src"
    assert recipe.static_folder == "src/shop/static"


@pytest.mark.parametrize("said", ["microblog.py", "microblog", "microblog:app"])
@pytest.mark.parametrize("file", [".flaskenv", ".env"])
def test_flask_app_says_which_one_it_is(tmp_path: Path, said: str, file: str) -> None:
    files = {
        "microblog.py": "from app import create_app\napp = create_app()\n",
        "app/__init__.py": FACTORY,
        "app/static/site.css": "",
        file: f"# which application\nFLASK_APP={said}\n",
    }
    recipe = detected(tmp_path, files)
    assert recipe.target == "microblog:app"
    assert recipe.reason == f"Flask: microblog.py, FLASK_APP in {file}, WSGI microblog:app"
    assert recipe.variables["FLASK_APP"] == said
    assert recipe.static_folder == "app/static"


def test_flask_app_may_name_a_factory_of_any_name(tmp_path: Path) -> None:
    files = {"shop/__init__.py": "def build():\n    return Flask('shop')\n"}
    recipe = detected(tmp_path, files, environment={"FLASK_APP": "shop:build"})
    assert (recipe.target, recipe.kind) == ("shop:build()", "wsgi")


def test_the_setting_wins_over_everything(tmp_path: Path) -> None:
    files = {"app.py": FLASK, "main.py": FASTAPI, "Procfile": "web: gunicorn app:app --threads 8", ".flaskenv": ""}
    recipe = detected(tmp_path, files, entry="main:app")
    assert (recipe.target, recipe.kind) == ("main:app", "asgi")
    assert recipe.reason == "FastAPI: main.py, the setting entry, ASGI main:app"
    assert recipe.options == {"threads": 8}


def test_the_kind_can_be_said(tmp_path: Path) -> None:
    assert detected(tmp_path, {"app.py": FLASK}, kind="asgi").kind == "asgi"


def test_an_app_without_an_entry_point_is_told_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match=r"no entry point found in .* \(looked for .* in tasks.py\); set entry"):
        detected(tmp_path, {"tasks.py": "print('hello')"})


def test_an_error_names_some_of_the_files_and_an_app_that_lies_deeper(tmp_path: Path) -> None:
    files = {f"job{number:02}.py": "" for number in range(12)}
    with pytest.raises(DetectionError, match=r"in job00.py, .*, job09.py and 2 more\); set entry"):
        detected(tmp_path, files)
    files |= {"services/api/src/api/main.py": FASTAPI, "services/api/pyproject.toml": ""}
    with pytest.raises(DetectionError, match=r"src/api/main.py makes one: set path to '.*/services/api', or set entry"):
        detected(tmp_path, files)


def test_files_that_are_no_python_are_passed_over(tmp_path: Path) -> None:
    assert detected(tmp_path, {"app.py": "app = Flask(", "main.py": FLASK}).target == "main:app"


@pytest.mark.parametrize(
    ("arguments", "folder", "url"),
    [
        ("__name__", "shop/static", "/static/"),
        ("__name__, static_folder='public'", "shop/public", "/public/"),
        ("__name__, static_folder='static', static_url_path='/assets'", "shop/static", "/assets/"),
        ("__name__, static_url_path=''", None, "/static/"),
        ("__name__, static_folder=None", None, "/static/"),
    ],
)
def test_static_files_are_where_flask_has_them(tmp_path: Path, arguments: str, folder: str | None, url: str) -> None:
    files = {
        "shop/__init__.py": f"def create_app():\n    return Flask({arguments})\n",
        "shop/static/site.css": "",
        "shop/public/site.css": "",
    }
    recipe = detected(tmp_path, files)
    assert (recipe.static_folder, recipe.static_url) == (folder, url)
