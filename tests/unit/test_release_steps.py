"""What the steps of a release depend on, and what an app keeps: told from its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pathspec
import pytest

from pulumi_slipway.app.checked import check
from pulumi_slipway.app.known_commands import build_patterns
from pulumi_slipway.app.release_step import release_parts
from pulumi_slipway.app.steps import BuildStep
from pulumi_slipway.settings import SettingsError, parse_settings


def write(folder: Path, name: str, text: str = "") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"persistent": ["/srv/x"]}, r"persistent\[0\]: '/srv/x' must lie within"),
        ({"persistent": ["a", "../b"]}, r"persistent\[1\]: '../b' must lie within"),
        ({"persistent": ["a/b", "a"]}, r"'a' and 'a/b' lie in one another"),
        ({"persistent": ["a", "a/"]}, "lie in one another"),
        ({"persistent": [".slipway/x"]}, "is Slipway's own"),
        ({"persistent": ["static"]}, "holds the static files"),
        ({"persistent": ["app.py"]}, r"holds code of the app \(app.py\)"),
        ({"persistent": ["pack"]}, r"holds code of the app \(pack/deep/x.py\), which later releases could not change"),
        ({"media_url": "media"}, "media_url: 'media' must begin and end with /"),
        ({"media_url": "/static/"}, "media_url: '/static/' is static_url, too"),
        ({"media_folder": "../media"}, "media_folder: '../media' must lie within"),
        ({"setup_answer": "yes"}, "setup_answer: 'yes' is no answer"),
    ],
)
def test_what_cannot_be_kept_is_refused(app_folder: Path, changes: dict[str, Any], message: str) -> None:
    write(app_folder, "pack/deep/x.py")
    with pytest.raises(ValueError, match=message):
        check({"path": str(app_folder), **changes})  # type: ignore[typeddict-item]


def test_an_instance_folder_may_hold_its_configuration(app_folder: Path) -> None:
    write(app_folder, "instance/config.py")
    assert check({"path": str(app_folder), "persistent": ["instance/"]}).recipe.persistent == ("instance/",)


def test_a_folder_that_is_served_as_media_is_kept(app_folder: Path) -> None:
    args: Any = {"path": str(app_folder), "media_url": "/media/", "media_folder": "uploads"}
    assert check(args).recipe.persistent == ("uploads/",)
    assert check({**args, "persistent": ["uploads", "instance"]}).recipe.persistent == ("uploads", "instance")
    assert check({"path": str(app_folder)}).recipe.persistent == ()


def test_what_is_kept_and_set_up_makes_another_release(app_folder: Path) -> None:
    plain = release_parts(check({"path": str(app_folder)}))
    assert release_parts(check({"path": str(app_folder), "persistent": ["instance"]})) != plain
    assert release_parts(check({"path": str(app_folder), "setup": ["flask init-db"]})) != plain
    assert release_parts(check({"path": str(app_folder), "setup_answer": "run 01234567"})) == plain


@pytest.mark.parametrize(
    ("command", "folder", "known"),
    [
        ("flask translate compile", None, True),
        ("pybabel compile -d app/translations", None, True),
        ("python manage.py compilemessages", None, True),
        ("python manage.py collectstatic --noinput", "staticfiles", True),
        ("python manage.py collectstatic --noinput", None, False),
        ("python manage.py collectstatic --noinput && rm x", "staticfiles", False),
        ("npm run build", None, False),
    ],
)
def test_build_commands_whose_files_are_known(command: str, folder: str | None, known: bool) -> None:
    assert (build_patterns(command, folder) is not None) is known


@pytest.mark.parametrize(
    ("name", "feeds"),
    [
        ("shop/views.py", False),
        ("shop/static/shop/site.css", True),
        ("assets/logo.svg", True),
        ("mysite/settings/base.py", True),
        ("mysite/settings.py", True),
        ("locale/de/LC_MESSAGES/django.po", False),
        ("requirements.txt", True),
        ("shop/storages.py", True),
    ],
)
def test_collecting_static_files_does_not_depend_on_views(name: str, feeds: bool) -> None:
    known = build_patterns("python manage.py collectstatic", "staticfiles")
    assert known is not None
    assert pathspec.GitIgnoreSpec.from_lines(known[0]).match_file(name) is feeds
    assert known[1] == ("/staticfiles/",)


def test_what_a_build_command_reads_and_makes_can_be_said(app_folder: Path) -> None:
    files: Any = {"npm run build": {"inputs": ["assets/"], "outputs": ["dist/"]}}
    args: Any = {"path": str(app_folder), "build": ["npm run build", "make x"], "build_files": files}
    assert check(args).steps.build == (BuildStep("npm run build", ("assets/",), ("dist/",)), BuildStep("make x"))
    with pytest.raises(ValueError, match="build_files: 'npm run build' is none of the commands of build"):
        check({**args, "build": ["make x"]})
    with pytest.raises(ValueError, match="'npm run build' needs inputs and outputs"):
        check({**args, "build_files": {"npm run build": {"inputs": ["assets/"], "outputs": []}}})


def test_a_setting_of_a_build_command_is_text_or_what_it_reads_and_makes() -> None:
    one = {"run": "npm run build", "inputs": ["assets/"], "outputs": ["dist/"]}
    found = parse_settings({"target": "local", "app": {"path": "x", "build": ["make x", one]}}).app.build
    assert [(step.run, step.inputs, step.outputs) for step in found or ()] == [
        ("make x", [], []),
        ("npm run build", ["assets/"], ["dist/"]),
    ]
    with pytest.raises(SettingsError, match=r"app\.build: 3 does not fit"):
        parse_settings({"target": "local", "app": {"path": "x", "build": [3]}})
