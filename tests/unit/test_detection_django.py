"""Django: which settings, which server interface, static files, uploads, and a build without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulumi_slipway.app.detection import DetectionError

from .trees import detected

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\n'
WSGI = (
    "import os\nfrom django.core.wsgi import get_wsgi_application\n"
    'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\napplication = get_wsgi_application()\n'
)
BASE = """
import os
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent.parent
INSTALLED_APPS = ["django.contrib.admin", "polls"]
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_ROOT = os.path.join(BASE_DIR, "media")
WSGI_APPLICATION = "mysite.wsgi.application"
"""
PRODUCTION = """
from .base import *
import os
SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "*").split(",")
EMAIL_PORT = int(os.environ["EMAIL_PORT"])
"""
SPLIT = {
    "manage.py": MANAGE.format("mysite.settings.dev"),
    "mysite/__init__.py": "",
    "mysite/wsgi.py": WSGI.format("mysite.settings.dev"),
    "mysite/asgi.py": WSGI.format("mysite.settings.dev").replace("wsgi", "asgi"),
    "mysite/settings/__init__.py": "",
    "mysite/settings/base.py": BASE,
    "mysite/settings/dev.py": "from .base import *\nDEBUG = True\n",
    "mysite/settings/production.py": PRODUCTION,
    "polls/migrations/0001_initial.py": "",
}
PLAIN_SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "django-insecure-x"
DEBUG = True
ALLOWED_HOSTS = []
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "static/"
"""
PLAIN = {
    "manage.py": MANAGE.format("mysite.settings"),
    "mysite/__init__.py": "",
    "mysite/wsgi.py": WSGI.format("mysite.settings"),
    "mysite/settings.py": PLAIN_SETTINGS,
}


def test_a_project_with_split_settings_is_served_with_those_of_production(tmp_path: Path) -> None:
    recipe = detected(tmp_path, SPLIT)
    assert recipe.reason == "Django: manage.py, settings in mysite.settings.production, WSGI mysite.wsgi"
    assert (recipe.target, recipe.kind) == ("mysite.wsgi:application", "wsgi")
    assert recipe.variables == {"DJANGO_SETTINGS_MODULE": "mysite.settings.production"}
    assert recipe.release == ("python manage.py migrate --noinput",)
    assert recipe.persistent == ("media",)
    assert recipe.warnings == ()


def test_static_files_are_collected_by_a_build_without_secrets(tmp_path: Path) -> None:
    recipe = detected(tmp_path, SPLIT, environment={"SECRET_KEY": "the real one", "EMAIL_PORT": "587"})
    assert recipe.build == ("python manage.py collectstatic --noinput",)
    assert (recipe.static_url, recipe.static_folder) == ("/static/", "staticfiles")
    assert recipe.build_variables == {
        "DATABASE_URL": "sqlite:///:memory:",
        "DJANGO_SETTINGS_MODULE": "mysite.settings.production",
        "EMAIL_PORT": "1",
        "SECRET_KEY": "only-for-the-build",
    }
    note = (
        "collectstatic runs without secrets: placeholders stand for DATABASE_URL, EMAIL_PORT, SECRET_KEY while it does"
    )
    assert note in recipe.notes


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["base", "local", "prod"], "config.settings.prod"),
        (["base", "dev", "staging", "production"], "config.settings.production"),
        (["base", "live", "test"], "config.settings.live"),
        (["base", "dev", "test"], "config.settings.dev"),
    ],
)
def test_a_module_for_production_is_preferred(tmp_path: Path, names: list[str], chosen: str) -> None:
    first = names[1] if names[1] == "dev" else "base"
    files = {"manage.py": MANAGE.format(f"config.settings.{first}"), "config/wsgi.py": "get_wsgi_application()"}
    files |= {f"config/settings/{name}.py": "" for name in ["__init__", *names]}
    recipe = detected(tmp_path, files)
    assert recipe.variables["DJANGO_SETTINGS_MODULE"] == chosen
    assert recipe.target == "config.wsgi:application"


@pytest.mark.parametrize("name", ["settings_production", "production_settings", "settings_prod"])
def test_it_may_lie_beside_the_others(tmp_path: Path, name: str) -> None:
    recipe = detected(tmp_path, {**PLAIN, f"mysite/{name}.py": "from .settings import *\nDEBUG = False\n"})
    assert recipe.variables["DJANGO_SETTINGS_MODULE"] == f"mysite.{name}"


def test_what_wsgi_names_wins_over_manage(tmp_path: Path) -> None:
    files = {**SPLIT, "mysite/wsgi.py": WSGI.format("mysite.settings.live"), "mysite/settings/live.py": ""}
    assert detected(tmp_path, files).variables["DJANGO_SETTINGS_MODULE"] == "mysite.settings.live"


def test_the_apps_environment_decides_on_the_settings(tmp_path: Path) -> None:
    recipe = detected(tmp_path, SPLIT, environment={"DJANGO_SETTINGS_MODULE": "mysite.settings.dev"})
    assert recipe.reason == "Django: manage.py, settings in mysite.settings.dev, WSGI mysite.wsgi"
    assert recipe.warnings[0].startswith("mysite/settings/dev.py has DEBUG = True")


def test_so_does_a_procfile(tmp_path: Path) -> None:
    line = "python manage.py migrate && DJANGO_SETTINGS_MODULE=mysite.settings.dev gunicorn mysite.wsgi --threads 2"
    recipe = detected(tmp_path, {**SPLIT, "Procfile": f"web: {line}"})
    assert recipe.variables == {"DJANGO_SETTINGS_MODULE": "mysite.settings.dev"}
    assert recipe.release == ("python manage.py migrate",)
    assert recipe.options == {"threads": 2}
    said = "Django: manage.py, settings in mysite.settings.dev, the Procfile's web line, WSGI mysite.wsgi"
    assert recipe.reason == said


def test_a_development_server_of_a_procfile_gives_way(tmp_path: Path) -> None:
    line = "web: python manage.py runserver --settings=mysite.settings.dev 0.0.0.0:$PORT"
    recipe = detected(tmp_path, {**SPLIT, "Procfile": line})
    assert recipe.target == "mysite.wsgi:application"
    assert recipe.variables["DJANGO_SETTINGS_MODULE"] == "mysite.settings.dev"
    assert recipe.notes[0].startswith("the Procfile's web line runs runserver, a server for development: gunicorn")


def test_a_collecting_procfile_collects_once(tmp_path: Path) -> None:
    line = "release: python manage.py collectstatic --no-input && python manage.py migrate"
    recipe = detected(tmp_path, {**SPLIT, "Procfile": line})
    assert recipe.build == ("python manage.py collectstatic --no-input",)
    assert recipe.release == ("python manage.py migrate",)
    assert recipe.static_folder == "staticfiles"
    assert recipe.inputs is not None


def test_asgi_where_the_settings_say_so(tmp_path: Path) -> None:
    files = {**SPLIT, "mysite/settings/base.py": BASE + 'ASGI_APPLICATION = "mysite.asgi.application"\n'}
    recipe = detected(tmp_path, files)
    assert (recipe.target, recipe.kind) == ("mysite.asgi:application", "asgi")
    assert recipe.reason.endswith("ASGI mysite.asgi")


def test_a_new_project_is_told_what_does_not_go_with_a_server(tmp_path: Path) -> None:
    recipe = detected(tmp_path, PLAIN, domains=("shop.example.org",))
    assert recipe.warnings == (
        "mysite/settings.py has DEBUG = True: visitors of a page that fails see its code; set it to False there",
        "mysite/settings.py has ALLOWED_HOSTS = []: Django will refuse all requests; add shop.example.org",
    )
    assert recipe.build == ()
    assert recipe.static_folder is None
    assert "its settings have no STATIC_ROOT within the source: static files are not collected" in recipe.notes
    assert recipe.persistent == ("db.sqlite3",)


@pytest.mark.parametrize(
    ("hosts", "domains", "fine"),
    [
        ("['*']", (), True),
        ("['.example.org']", ("shop.example.org",), True),
        ("['shop.example.org']", ("shop.example.org",), True),
        ("['example.com']", ("shop.example.org",), False),
        ("['shop.example.org']", (), False),
        ("['192.0.2.7']", (), True),
        ("os.environ['HOSTS'].split(',')", (), True),
    ],
)
def test_allowed_hosts_are_looked_at(tmp_path: Path, hosts: str, domains: tuple[str, ...], fine: bool) -> None:
    settings = PLAIN_SETTINGS.replace("ALLOWED_HOSTS = []", f"ALLOWED_HOSTS = {hosts}").replace("= True", "= False")
    assert (detected(tmp_path, {**PLAIN, "mysite/settings.py": settings}, domains=domains).warnings == ()) == fine


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("A = os.path.abspath(__file__)\nMEDIA_ROOT = os.path.join(os.path.dirname(os.path.dirname(A)), 'up')", "up"),
        ("MEDIA_ROOT = Path(__file__).parents[1] / 'var' / 'media'", "var/media"),
        ("BASE = Path(__file__).resolve(strict=True).parent.parent\nMEDIA_ROOT = str(BASE.joinpath('m'))", "m"),
        ("B = str(Path(__file__).parent.parent)\nMEDIA_ROOT = f'{B}/media'", "media"),
        ("MEDIA_ROOT = '/srv/media'", None),
        ("MEDIA_ROOT = os.environ['MEDIA']", None),
        ("MEDIA_ROOT = os.environ.get('MEDIA', Path(__file__).parent / 'files')", "mysite/files"),
    ],
)
def test_where_uploads_go_is_read_from_the_settings(tmp_path: Path, text: str, folder: str | None) -> None:
    recipe = detected(tmp_path, {**PLAIN, "mysite/settings.py": f"import os\nfrom pathlib import Path\n{text}\n"})
    assert recipe.persistent == ((folder,) if folder else ())


def test_static_files_on_another_host_are_not_collected_here(tmp_path: Path) -> None:
    base = BASE.replace('"static/"', '"https://cdn.example.org/"')
    recipe = detected(tmp_path, {**SPLIT, "mysite/settings/base.py": base})
    assert (recipe.build, recipe.static_folder) == ((), None)


def test_builds_of_the_settings_replace_those_that_are_found(tmp_path: Path) -> None:
    recipe = detected(tmp_path, SPLIT, build=("npm run build",))
    assert (recipe.build, recipe.static_folder) == (("npm run build",), None)


def test_a_project_in_a_folder_of_the_source(tmp_path: Path) -> None:
    recipe = detected(tmp_path, {f"site/{name}": text for name, text in SPLIT.items()})
    assert recipe.reason == "Django: site/manage.py, settings in mysite.settings.production, WSGI mysite.wsgi"
    assert recipe.variables["PYTHONPATH"] == "site"
    assert recipe.release == ("python site/manage.py migrate --noinput",)
    assert recipe.build == ("python site/manage.py collectstatic --noinput",)
    assert (recipe.static_folder, recipe.persistent) == ("site/staticfiles", ("site/media",))


def test_a_project_without_settings_is_told(tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match="manage.py names no settings module that is in the source"):
        detected(tmp_path, {"manage.py": MANAGE.format("gone.settings")})


def test_a_project_without_a_wsgi_module_is_told(tmp_path: Path) -> None:
    files = {"manage.py": MANAGE.format("mysite.settings"), "mysite/settings.py": ""}
    with pytest.raises(DetectionError, match=r"entry: manage.py is there, but neither a wsgi.py nor an asgi.py; set"):
        detected(tmp_path, files)


@pytest.mark.parametrize(
    ("settings", "urls", "expected"),
    [
        ('MEDIA_URL = "media/"', "", ("/media/", "media")),
        ('MEDIA_URL = "/up/loads/"', "urlpatterns += static(settings.MEDIA_URL)", ("/up/loads/", "media")),
        ('MEDIA_URL = "/media/"', "path('media/<path:name>', protected)", (None, None)),
        ('MEDIA_URL = "/media/"', 're_path(r"^media/(?P<name>.*)$", protected)', (None, None)),
        ('MEDIA_URL = "https://cdn.example/media/"', "", (None, None)),
        ('MEDIA_URL = "/"', "", (None, None)),
        ("", "", (None, None)),
    ],
)
def test_uploaded_files_are_served_unless_a_view_of_the_app_is_there(
    tmp_path: Path, settings: str, urls: str, expected: tuple[str | None, str | None]
) -> None:
    base = f"{BASE}\n{settings}\n"
    recipe = detected(tmp_path, {**SPLIT, "mysite/settings/base.py": base, "mysite/urls.py": urls})
    assert (recipe.media_url, recipe.media_folder) == expected
    assert recipe.persistent == ("media",)
    assert any("left to it" in note for note in recipe.notes) is ("protected" in urls)
