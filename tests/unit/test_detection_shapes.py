"""Shapes of real applications, as their repositories have them: each is understood as it is."""

from __future__ import annotations

from pathlib import Path

from pulumi_slipway.app.checked import check
from pulumi_slipway.app.detection import Worker

from .trees import detected, write

FASTAPI_TEMPLATE = {
    "pyproject.toml": '[tool.uv.workspace]\nmembers = ["backend"]\n',
    "uv.lock": "version = 1\n",
    ".env": "ENVIRONMENT=local\n",
    "backend/pyproject.toml": '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.14"\n',
    "backend/alembic.ini": "[alembic]\nscript_location = %(here)s/app/alembic\n",
    "backend/app/main.py": (
        "from fastapi import FastAPI\nfrom app.core.config import settings\n"
        "def custom_id(route): ...\napp = FastAPI(title=settings.PROJECT_NAME, generate_unique_id_function=custom_id)\n"
    ),
    "backend/app/core/config.py": "class Settings(BaseSettings):\n    ENVIRONMENT: str = 'local'\n",
    "backend/app/alembic/env.py": "from alembic import context\n",
    "backend/app/alembic/versions/1.py": "",
    "backend/scripts/prestart.sh": "python app/wait.py\nalembic upgrade head\npython app/initial_data.py\n",
    "backend/tests/conftest.py": "app = FastAPI()\n",
}
WAGTAIL_DEMO = {
    "requirements.txt": "-r requirements/production.txt\n",
    "requirements/production.txt": "wagtail\nuwsgi\n",
    "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakery.settings.dev")\n',
    "bakery/wsgi.py": (
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakery.settings.production")\n'
        "application = get_wsgi_application()\n"
    ),
    "bakery/settings/__init__.py": "",
    "bakery/settings/base.py": (
        "import os, dj_database_url\nPROJECT_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n"
        "BASE_DIR = os.path.dirname(PROJECT_DIR)\n"
        "DATABASES = {'default': dj_database_url.config(default='sqlite:///bakerydemodb')}\n"
        "STATIC_ROOT = os.path.join(BASE_DIR, 'collect_static')\nSTATIC_URL = '/static/'\n"
        "MEDIA_ROOT = os.path.join(BASE_DIR, 'media')\nMEDIA_URL = '/media/'\n"
    ),
    "bakery/settings/dev.py": "from .base import *\nDEBUG = True\n",
    "bakery/settings/test.py": "from .base import *\n",
    "bakery/settings/production.py": (
        "from .base import *\nDEBUG = os.getenv('DJANGO_DEBUG', 'off') == 'on'\n"
        "if 'DJANGO_SECRET_KEY' in os.environ:\n    SECRET_KEY = os.environ['DJANGO_SECRET_KEY']\n"
        "if 'AWS_BUCKET' in os.environ:\n    MEDIA_URL = 'https://cdn.example.org/'\n    STATIC_URL = MEDIA_URL\n"
    ),
}
MONITOR = {
    "requirements.txt": "django\ndjango-compressor\n",
    "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'hc.settings')\n",
    "hc/wsgi.py": "application = get_wsgi_application()\n",
    "hc/settings.py": (
        "from pathlib import Path\nimport os\nBASE_DIR = Path(__file__).resolve().parent.parent\n"
        "DEBUG = envbool('DEBUG', 'True')\nALLOWED_HOSTS = os.getenv('ALLOWED_HOSTS', '*').split(',')\n"
        "NAME = os.getenv('DB_NAME', BASE_DIR / 'hc.sqlite')\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': NAME}}\n"
        "if os.getenv('DB') == 'postgres':\n    DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql'}}\n"
        "STATIC_URL = '/static/'\nSTATIC_ROOT = BASE_DIR / 'static-collected'\nCOMPRESS_OFFLINE = True\n"
    ),
    "Procfile": "sendalerts: ./manage.py sendalerts\nsendreports: ./manage.py sendreports --loop\n",
}


def test_a_fastapi_app_in_a_workspace(tmp_path: Path) -> None:
    write(tmp_path, FASTAPI_TEMPLATE)
    recipe = check({"path": str(tmp_path / "backend"), "dependencies": "pyproject.toml"}).recipe
    assert recipe.reason == "FastAPI: app/main.py, ASGI app.main:app"
    assert recipe.release == ("alembic upgrade head",)
    assert "scripts/prestart.sh is not run: what it does besides migrations belongs in release or setup" in recipe.notes
    assert recipe.inputs is not None
    assert "ENVIRONMENT" not in recipe.variables  # that file lies above the app, and is not released


def test_a_wagtail_demo_with_split_settings_and_uwsgi(tmp_path: Path) -> None:
    recipe = detected(tmp_path, WAGTAIL_DEMO)
    assert recipe.reason == "Django: manage.py, settings in bakery.settings.production, WSGI bakery.wsgi"
    assert recipe.build == ("python manage.py collectstatic --noinput",)
    assert (recipe.static_url, recipe.static_folder, recipe.persistent) == ("/static/", "collect_static", ("media",))
    assert recipe.build_variables["DJANGO_SECRET_KEY"] == "only-for-the-build"
    assert recipe.warnings == ()


def test_a_monitor_in_django_with_background_loops(tmp_path: Path) -> None:
    recipe = detected(tmp_path, MONITOR)
    assert recipe.workers == (
        Worker("sendalerts", "./manage.py sendalerts"),
        Worker("sendreports", "./manage.py sendreports --loop"),
    )
    assert recipe.build == ("python manage.py collectstatic --noinput", "python manage.py compress")
    assert recipe.release == ("python manage.py migrate --noinput",)
    assert recipe.persistent == ("hc.sqlite",)
    assert recipe.warnings == ()


def test_flasks_large_tutorial(tmp_path: Path) -> None:
    files = {
        ".flaskenv": "FLASK_APP=microblog.py\nFLASK_DEBUG=1\n",
        "Procfile": (
            "web: flask db upgrade; flask translate compile; gunicorn microblog:app\n"
            "worker: rq worker -u $REDIS_URL microblog-tasks\n"
        ),
        "requirements.txt": "flask\ngunicorn==21.2.0\n",
        "microblog.py": "from app import create_app, cli\napp = create_app()\ncli.register(app)\n",
        "app/__init__.py": "from flask import Flask\ndef create_app(config_class=Config):\n    app = Flask(__name__)\n",
        "app/static/loading.gif": "",
        "config.py": (
            "basedir = os.path.abspath(os.path.dirname(__file__))\nclass Config:\n"
            "    SECRET_KEY = os.environ.get('SECRET_KEY') or 'you-will-never-guess'\n"
            "    SQLALCHEMY_DATABASE_URI = os.environ.get('DATABASE_URL') or 'sqlite:///' + basedir\n"
        ),
        "migrations/alembic.ini": "[alembic]\n",
        "migrations/env.py": "from flask import current_app\n",
    }
    recipe = detected(tmp_path, files)
    assert recipe.reason == "Procfile: its web line, Flask in microblog.py, WSGI microblog:app"
    assert (recipe.build, recipe.release) == (("flask translate compile",), ("flask db upgrade",))
    assert recipe.variables == {"FLASK_APP": "microblog:app", "FLASK_DEBUG": "0"}
    assert recipe.workers == (Worker("worker", "rq worker -u $REDIS_URL microblog-tasks"),)
    assert recipe.static_folder == "app/static"
    assert recipe.persistent == ()
    assert recipe.options == {}
