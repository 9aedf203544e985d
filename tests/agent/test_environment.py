"""What an app needs, as it says it: the key of its environment changes when, and only when, that changes."""

from __future__ import annotations

import os
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
    ("line", "own", "local"),
    [
        ("-e .", True, False),
        (".[web]  # the app", True, False),
        ("--editable=.", True, False),
        ("./vendored", False, True),
        ("-e ./vendored", False, True),
        ("-e git+https://git.example/x", False, False),
        ("flask", False, False),
    ],
)
def test_the_app_among_its_requirements_is_told_from_other_code(
    tmp_path: Path, line: str, own: bool, local: bool
) -> None:
    found = environment.find(_source(tmp_path, requirements_dot_txt=f"flask\n{line}\n"))
    assert (found.own, found.local) == (own, local)


def test_of_the_app_itself_metadata_and_commands_stay_in_the_environment(tmp_path: Path) -> None:
    source, packages = tmp_path / "install", tmp_path / "venv/lib/python3.13/site-packages"
    outside = _source(tmp_path, secret="").joinpath("secret")
    record = "x/__init__.py,,\nx-1.dist-info/RECORD,,\nx-1.dist-info/METADATA,,\n../../../bin/x,,\nlink/secret,,\n"
    for name, content in {
        "../../../bin/x": "",
        "x/__init__.py": "",
        "x-1.dist-info/RECORD": record,
        "x-1.dist-info/METADATA": "",
        "x-1.dist-info/direct_url.json": f'{{"url": "{source.as_uri()}"}}',
        "y-1.dist-info/direct_url.json": '{"url": "file:///elsewhere"}',
        "y-1.dist-info/RECORD": "y.py,,\n",
        "y.py": "",
    }.items():
        path = Path(os.path.normpath(packages / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (packages / "link").symlink_to(tmp_path)
    environment._leave_code_to_releases(tmp_path / "venv", source)
    left = sorted(path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file())
    assert left == [
        "x-1.dist-info/METADATA",
        "x-1.dist-info/RECORD",
        "x-1.dist-info/direct_url.json",
        "y-1.dist-info/RECORD",
        "y-1.dist-info/direct_url.json",
        "y.py",
    ]
    assert (tmp_path / "venv/bin/x").exists()
    assert outside.exists()


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
