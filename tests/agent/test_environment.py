"""What an app needs, as it says it: the key of its environment changes when, and only when, that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulumi_slipway.agent import environment, interpreters
from pulumi_slipway.agent.errors import AgentError

PROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["flask"]\n'
BUILD = '[build-system]\nrequires = ["hatchling"]\n'


def _source(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def _key(folder: Path, archive: str = "a") -> str:
    return environment.key(environment.find(folder), archive, True, interpreters.own())


@pytest.mark.parametrize(
    ("files", "kind", "package"),
    [
        ({}, "", False),
        ({"requirements_dot_txt": "flask\n"}, "requirements.txt", False),
        ({"requirements_dot_txt": "flask\n-e .\n"}, "requirements.txt", True),
        ({"requirements_dot_txt": "./vendored\n"}, "requirements.txt", True),
        ({"pyproject_dot_toml": PROJECT}, "pyproject.toml", False),
        ({"pyproject_dot_toml": PROJECT + BUILD}, "pyproject.toml", True),
        ({"pyproject_dot_toml": "[tool.black]\n", "requirements_dot_txt": "flask\n"}, "requirements.txt", False),
        ({"pyproject_dot_toml": "[tool.black]\n"}, "", False),
        ({"pyproject_dot_toml": PROJECT, "uv_dot_lock": "", "requirements_dot_txt": ""}, "uv.lock", False),
        ({"pyproject_dot_toml": PROJECT + BUILD, "uv_dot_lock": ""}, "uv.lock", True),
        ({"pyproject_dot_toml": PROJECT + BUILD + "[tool.uv]\npackage = false\n", "uv_dot_lock": ""}, "uv.lock", False),
        ({"poetry_dot_lock": "", "requirements_dot_txt": ""}, "requirements.txt", False),
    ],
)
def test_the_way_an_app_says_its_needs_is_found(
    tmp_path: Path, files: dict[str, str], kind: str, package: bool
) -> None:
    found = environment.find(_source(tmp_path, **files))
    assert (found.said.manager, found.own or found.local) == (kind, package)


def test_the_key_follows_included_files_and_nothing_else(tmp_path: Path) -> None:
    _source(tmp_path, requirements_dot_txt="-r requirements/production.txt\n", requirements__production_dot_txt="a\n")
    first = _key(tmp_path)
    _source(tmp_path, web_dot_py="changed")
    assert _key(tmp_path, "another archive") == first
    _source(tmp_path, requirements__production_dot_txt="b\n")
    assert _key(tmp_path) != first


def test_the_key_of_a_package_follows_its_metadata_and_not_its_code(tmp_path: Path) -> None:
    _source(tmp_path, pyproject_dot_toml=PROJECT + BUILD, x_dot_py="one")
    first = _key(tmp_path, "one")
    _source(tmp_path, x_dot_py="two")
    assert _key(tmp_path, "two") == first
    _source(tmp_path, setup_dot_cfg="[metadata]\n")
    assert _key(tmp_path, "two") != first


def test_the_key_follows_the_source_when_some_of_it_is_installed(tmp_path: Path) -> None:
    _source(tmp_path, requirements_dot_txt="./vendored\n")
    assert _key(tmp_path, "one") != _key(tmp_path, "two")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"poetry_dot_lock": ""}, "poetry export"),
        ({"Pipfile_dot_lock": ""}, "pipenv requirements"),
        ({"requirements_dot_txt": "-r missing.txt\n"}, "missing.txt is missing"),
        ({"requirements_dot_txt": "-r ../../../etc/passwd\n"}, "is missing"),
        ({"pyproject_dot_toml": "not = [toml"}, "pyproject.toml is invalid"),
    ],
)
def test_what_is_not_understood_is_told_with_a_remedy(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(AgentError, match=said):
        environment.find(_source(tmp_path, **files))
