"""By which file an app says what it needs, and what it says: small trees of each kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pulumi_slipway.app.archive import build_archive
from pulumi_slipway.app.dependencies import Dependencies, find_dependencies
from pulumi_slipway.app.dependencies.poetry import python_marker, specifier
from tests.unit.test_archive import names as archived

PROJECT = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["flask"]\n'
BUILD = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
UV_LOCK = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "shop"
version = "1"
source = { virtual = "." }
dependencies = [
    { name = "flask" },
    { name = "colorama", marker = "sys_platform == 'win32'" },
    { name = "psycopg", extra = ["binary"] },
]

[package.dev-dependencies]
dev = [{ name = "pytest" }]

[[package]]
name = "flask"
version = "3.1.0"
source = { registry = "https://index.example/simple" }
sdist = { url = "https://index.example/flask-3.1.0.tar.gz", hash = "sha256:aa" }
wheels = [{ url = "https://index.example/flask-3.1.0-py3-none-any.whl", hash = "sha256:ab" }]

[[package]]
name = "colorama"
version = "0.4.6"
source = { registry = "https://index.example/simple" }
wheels = [{ url = "https://index.example/colorama-0.4.6-py2.py3-none-any.whl", hash = "sha256:ac" }]

[[package]]
name = "psycopg"
version = "3.2.9"
source = { registry = "https://index.example/simple" }
wheels = [{ url = "https://index.example/psycopg-3.2.9-py3-none-any.whl", hash = "sha256:ad" }]

[package.optional-dependencies]
binary = [{ name = "psycopg-binary" }]

[[package]]
name = "psycopg-binary"
version = "3.2.9"
source = { registry = "https://index.example/simple" }
wheels = [{ url = "https://index.example/psycopg_binary-3.2.9-cp313-cp313-manylinux_2_17_x86_64.whl" }]

[[package]]
name = "pytest"
version = "8"
source = { registry = "https://index.example/simple" }
"""
POETRY_2 = """\
[[package]]
name = "flask"
version = "3.1.0"
optional = false
groups = ["main"]
files = [{file = "flask-3.1.0-py3-none-any.whl", hash = "sha256:bb"}, {file = "flask-3.1.0.tar.gz", hash = "sha256:aa"}]

[[package]]
name = "colorama"
version = "0.4.6"
optional = false
groups = ["main", "dev"]
markers = {main = "sys_platform == \\"win32\\"", dev = "os_name == \\"nt\\""}
files = [{file = "colorama-0.4.6-py2.py3-none-any.whl", hash = "sha256:cc"}]

[[package]]
name = "pytest"
version = "8.0"
optional = false
groups = ["dev"]
files = []

[[package]]
name = "our-lib"
version = "1.0"
optional = false
groups = ["main"]
files = []

[package.source]
type = "git"
url = "https://git.example/our-lib.git"
reference = "main"
resolved_reference = "0123abc"

[metadata]
lock-version = "2.1"
"""
POETRY_1 = """\
[[package]]
name = "flask"
version = "2.3.0"
optional = false
[package.dependencies]
click = ">=8.0"
importlib-metadata = {version = ">=3.6", markers = "python_version < \\"3.10\\""}
[package.extras]
async = ["asgiref (>=3.2)"]

[[package]]
name = "click"
version = "8.1.0"
optional = false
[package.dependencies]
colorama = {version = "*", markers = "platform_system == \\"Windows\\""}

[[package]]
name = "colorama"
version = "0.4.6"
optional = false

[[package]]
name = "importlib-metadata"
version = "6.0"
optional = false
[package.dependencies]
zipp = ">=0.5"

[[package]]
name = "zipp"
version = "3.0"
optional = false

[[package]]
name = "asgiref"
version = "3.7"
optional = true

[[package]]
name = "pytest"
version = "7.0"
optional = false

[metadata]
lock-version = "1.1"
[metadata.files]
flask = [{file = "flask-2.3.0-py3-none-any.whl", hash = "sha256:f1"}]
click = [{file = "click-8.1.0-py3-none-any.whl", hash = "sha256:c1"}]
"""
PIPFILE = {
    "_meta": {
        "requires": {"python_version": "3.12"},
        "sources": [{"name": "pypi", "url": "https://a.example"}, {"name": "ours", "url": "https://b.example/simple"}],
    },
    "default": {
        "flask": {"version": "==3.1.0", "hashes": ["sha256:b", "sha256:a"], "markers": "python_version >= '3.9'"},
        "redis": {"version": "==5.0", "hashes": ["sha256:c"], "extras": ["hiredis"]},
        "our-lib": {"git": "https://git.example/our-lib.git", "ref": "0123abc"},
    },
    "develop": {"pytest": {"version": "==8"}},
}


def tree(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def found(folder: Path, chosen: str | None = None, **files: str) -> Dependencies:
    return find_dependencies(tree(folder, **files), chosen)


@pytest.mark.parametrize(
    ("files", "file", "manager"),
    [
        ({"requirements_dot_txt": "flask\n"}, "requirements.txt", "requirements.txt"),
        (
            {"requirements__production_dot_txt": "a", "requirements__dev_dot_txt": "b"},
            "requirements/production.txt",
            "",
        ),
        ({"requirements__main_dot_txt": "a"}, "requirements/main.txt", "requirements.txt"),
        ({"uv_dot_lock": UV_LOCK, "pyproject_dot_toml": PROJECT}, "uv.lock", "uv.lock"),
        ({"poetry_dot_lock": POETRY_2, "pyproject_dot_toml": ""}, "poetry.lock", "requirements"),
        ({"Pipfile_dot_lock": json.dumps(PIPFILE), "Pipfile": ""}, "Pipfile.lock", "requirements"),
        ({"pylock_dot_toml": 'lock-version = "1.0"\n', "pyproject_dot_toml": PROJECT}, "pylock.toml", "pylock.toml"),
        ({"pyproject_dot_toml": PROJECT}, "pyproject.toml", "pyproject.toml"),
        ({"pyproject_dot_toml": PROJECT, "requirements_dot_txt": "flask\n"}, "requirements.txt", "requirements.txt"),
        ({"pyproject_dot_toml": "[tool.ruff]\n"}, "", ""),
        ({"web_dot_py": ""}, "", ""),
    ],
)
def test_the_file_that_counts_is_found(tmp_path: Path, files: dict[str, str], file: str, manager: str) -> None:
    dependencies = found(tmp_path, **files)
    assert (dependencies.file, dependencies.manager) == (file, manager or ("requirements.txt" if file else ""))


def test_two_files_are_an_error_that_a_setting_decides(tmp_path: Path) -> None:
    files = {"requirements_dot_txt": "django\n", "uv_dot_lock": UV_LOCK, "pyproject_dot_toml": PROJECT}
    with pytest.raises(ValueError, match=r"dependencies: .* 2 files .*\(uv.lock, requirements.txt\); set dependencies"):
        found(tmp_path, **files)
    assert find_dependencies(tmp_path, "requirements.txt").manager == "requirements.txt"
    assert find_dependencies(tmp_path, "uv.lock").manager == "uv.lock"
    with pytest.raises(ValueError, match="dependencies: 'poetry.lock' is not in"):
        find_dependencies(tmp_path, "poetry.lock")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("requirement.txt", "name it requirements.txt"),
        ("requirements.text", "name it requirements.txt"),
        ("Requirements.txt", "name it requirements.txt"),
        ("requirements", "name it requirements.txt"),
        ("Poetry.lock", "name it poetry.lock"),
        ("Pipfile", "run `pipenv lock`"),
        ("pdm.lock", "pdm export"),
        ("requirements.in", "uv pip compile"),
        ("setup.py", "a single dot into requirements.txt"),
    ],
)
def test_what_is_nearly_right_is_told_what_it_should_be(tmp_path: Path, file: str, said: str) -> None:
    (tmp_path / file).write_text("")
    with pytest.raises(ValueError, match=said):
        find_dependencies(tmp_path)


def test_requirements_for_development_alone_are_no_misspelling(tmp_path: Path) -> None:
    assert found(tmp_path, **{"requirements-dev_dot_txt": "pytest\n"}).manager == ""


def test_requirements_are_read_with_the_files_that_they_include(tmp_path: Path) -> None:
    dependencies = found(
        tmp_path,
        requirements_dot_txt="-r requirements/production.txt\n# Django\nFlask_SQLAlchemy>=3 ; x\n-e .\n",
        requirements__production_dot_txt="-rbase.txt\npsycopg[binary]==3.2 \\\n  --hash=sha256:aa\n-c limits.txt\n",
        requirements__base_dot_txt="django\n-r ../requirements.txt\n",
        requirements__limits_dot_txt="urllib3<2\n",
    )
    assert dependencies.names == {"flask-sqlalchemy", "psycopg", "django"}
    assert dependencies.unlocked is not None
    assert dependencies.unlocked.local
    assert dependencies.unlocked.constraints == ["urllib3<2"]


@pytest.mark.parametrize("line", ["-r missing.txt", "-r ../outside.txt", "-c /etc/passwd"])
def test_requirements_that_the_server_would_not_have_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "outside.txt").write_text("pymysql\n")
    (tmp_path / "app").mkdir()
    with pytest.raises(ValueError, match="path: the requirements file .* (is missing|is not in the app's folder)"):
        found(tmp_path / "app", requirements_dot_txt=f"{line}\n")


def test_a_uv_lock_gives_what_the_app_needs_where_it_needs_it(tmp_path: Path) -> None:
    dependencies = found(tmp_path, uv_dot_lock=UV_LOCK, pyproject_dot_toml=PROJECT)
    assert dependencies.names == {"flask", "colorama", "psycopg", "psycopg-binary"}
    assert dependencies.locked is not None
    there = {entry.name: entry for entry in dependencies.locked({"sys_platform": "linux"})}
    assert set(there) == {"flask", "psycopg", "psycopg-binary"}
    assert there["flask"].wheels == ("flask-3.1.0-py3-none-any.whl",)
    assert there["psycopg"].sdist is None


def workspace(folder: Path) -> Path:
    member = '[project]\nname = "{}"\nversion = "1"\ndependencies = [{}]\n'
    lock = """\
version = 1
requires-python = ">=3.11"
[manifest]
members = ["api", "common", "jobs", "whole"]
[[package]]
name = "whole"
version = "1"
source = { virtual = "." }
[[package]]
name = "api"
version = "1"
source = { virtual = "services/api" }
dependencies = [{ name = "common" }]
[[package]]
name = "common"
version = "1"
source = { editable = "libs/common" }
[[package]]
name = "jobs"
version = "1"
source = { virtual = "services/jobs" }
"""
    return tree(
        folder,
        uv_dot_lock=lock,
        pyproject_dot_toml=member.format("whole", "") + '[tool.uv.workspace]\nmembers = ["services/*", "libs/*"]\n',
        services__api__pyproject_dot_toml=member.format("api", '"common"'),
        services__api__main_dot_py="app = 1\n",
        services__api___dot_slipwayignore="notes.md\n",
        services__api__notes_dot_md="secret thoughts",
        services__jobs__pyproject_dot_toml=member.format("jobs", ""),
        services__jobs__jobs_dot_py="",
        libs__common__pyproject_dot_toml=member.format("common", ""),
        libs__common__common_dot_py="",
        frontend__index_dot_html="",
    )


def test_of_a_workspace_what_the_app_needs_is_released(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    dependencies = find_dependencies(root / "services/api")
    assert (dependencies.root, dependencies.app_folder, dependencies.package) == (root, "services/api", "api")
    assert dependencies.folders == ("libs/common",)
    assert archived(dependencies.root, dependencies.parts) == [
        "libs/common/common.py",
        "libs/common/pyproject.toml",
        "pyproject.toml",
        "services/api/.slipwayignore",
        "services/api/main.py",
        "services/api/pyproject.toml",
        "services/jobs/pyproject.toml",
        "uv.lock",
    ]
    before = build_archive(dependencies.root, parts=dependencies.parts).content
    tree(root, services__jobs__jobs_dot_py="changed", frontend__index_dot_html="changed")
    assert build_archive(dependencies.root, parts=dependencies.parts).content == before


def test_a_folder_beside_a_workspace_is_none_of_it(tmp_path: Path) -> None:
    root = tree(workspace(tmp_path), other__pyproject_dot_toml=PROJECT)
    dependencies = find_dependencies(root / "other")
    assert (dependencies.manager, dependencies.root) == ("pyproject.toml", root / "other")


def test_a_poetry_lock_becomes_requirements_of_its_main_group(tmp_path: Path) -> None:
    dependencies = found(tmp_path, poetry_dot_lock=POETRY_2, pyproject_dot_toml="")
    assert dependencies.requirements == (
        'colorama==0.4.6 ; sys_platform == "win32" --hash=sha256:cc\n'
        "flask==3.1.0 --hash=sha256:aa --hash=sha256:bb\n"
        "our-lib @ git+https://git.example/our-lib.git@0123abc\n"
    )
    assert dependencies.locked is not None
    assert [entry.name for entry in dependencies.locked({"sys_platform": "linux"})] == ["flask", "our-lib"]


def test_an_old_poetry_lock_is_walked_from_what_the_app_asks_for(tmp_path: Path) -> None:
    project = (
        '[tool.poetry.dependencies]\npython = "^3.9"\nflask = "^2.3"\n[tool.poetry.dev-dependencies]\npytest = "*"\n'
    )
    dependencies = found(tmp_path, poetry_dot_lock=POETRY_1, pyproject_dot_toml=project)
    assert dependencies.requirements == (
        "click==8.1.0 --hash=sha256:c1\n"
        'colorama==0.4.6 ; (platform_system == "Windows")\n'
        "flask==2.3.0 --hash=sha256:f1\n"
        'importlib-metadata==6.0 ; (python_version < "3.10")\n'
        'zipp==3.0 ; (python_version < "3.10")\n'
    )
    assert dependencies.python.requires == "<4,>=3.9"


def test_an_extra_that_the_app_asks_for_is_locked_with_it(tmp_path: Path) -> None:
    project = '[tool.poetry.dependencies]\nflask = {version = "^2.3", extras = ["async"], python = ">=3.10"}\n'
    lock = POETRY_1.replace("colorama = {version", 'asgiref = {version = ">=3", optional = true}\ncolorama = {version')
    lock = lock.replace('click = ">=8.0"', 'click = ">=8.0"\nasgiref = {version = ">=3.2", optional = true}')
    text = found(tmp_path, poetry_dot_lock=lock, pyproject_dot_toml=project).requirements or ""
    assert "asgiref==3.7 ; (python_full_version >= '3.10')" in text


def test_a_lock_that_reaches_out_of_the_app_is_refused(tmp_path: Path) -> None:
    lock = POETRY_2.replace('type = "git"', 'type = "directory"').replace("https://git.example/our-lib.git", "../lib")
    with pytest.raises(ValueError, match=r"poetry.lock needs our-lib from '../lib', outside of the app's folder"):
        found(tmp_path, poetry_dot_lock=lock, pyproject_dot_toml="")


def test_a_pipfile_lock_becomes_requirements_of_its_default_packages(tmp_path: Path) -> None:
    dependencies = found(tmp_path, Pipfile_dot_lock=json.dumps(PIPFILE))
    assert dependencies.requirements == (
        "--extra-index-url https://b.example/simple\n"
        "flask==3.1.0 ; python_version >= '3.9' --hash=sha256:a --hash=sha256:b\n"
        "our-lib @ git+https://git.example/our-lib.git@0123abc\n"
        "redis[hiredis]==5.0 --hash=sha256:c\n"
    )
    assert dependencies.names == {"flask", "redis", "our-lib"}
    assert (dependencies.python.pinned, dependencies.python.pinned_by) == ("3.12", "Pipfile.lock")


@pytest.mark.parametrize("file", ["pyproject.toml", "uv.lock", "poetry.lock", "Pipfile.lock", "pylock.toml"])
def test_a_damaged_file_is_told(tmp_path: Path, file: str) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / file).write_text("not = [toml")
    with pytest.raises(ValueError, match=f"path: .*{file}' cannot be read"):
        find_dependencies(tmp_path)


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("^1.2.3", "<2,>=1.2.3"),
        ("^0.2.3", "<0.3,>=0.2.3"),
        ("~1.2", "<1.3,>=1.2"),
        ("*", ""),
        ("1.5", "==1.5"),
        (">=1,<2", "<2,>=1"),
        (">=1 <2", "<2,>=1"),
        ("^1 || ^2", None),
    ],
)
def test_constraints_of_poetry_are_understood(constraint: str, expected: str | None) -> None:
    allowed = specifier(constraint)
    assert (None if allowed is None else str(allowed)) == expected


def test_a_python_of_poetry_is_a_marker() -> None:
    assert python_marker("^3.9") == "python_full_version < '4' and python_full_version >= '3.9'"
    assert python_marker("*") == ""


@pytest.mark.parametrize(
    ("files", "server", "said"),
    [
        ({"_dot_python-version": "3.12\n"}, "3.13.5", r".python-version asks for Python 3.12, .*Ubuntu 24.04 \(3.12\)"),
        ({"_dot_python-version": "3.13.2\n"}, "3.13.5", ""),
        ({"_dot_python-version": "my-env\n"}, "3.13.5", ""),
        (
            {"runtime_dot_txt": "python-3.11.9"},
            "3.13.5",
            'runtime.txt asks .*set python: "3.11" for one of uv',
        ),
        ({"runtime_dot_txt": "python-3.11.9"}, "3.11.2", ""),
        ({"pyproject_dot_toml": PROJECT}, "3.13.5", ""),
        ({"pyproject_dot_toml": PROJECT.replace(">=3.11", ">=3.14")}, "3.13.5", 'asks for Python >=3.14, .*"3.14"'),
        ({"pyproject_dot_toml": PROJECT.replace(">=3.11", "<3.12")}, "3.13.5", r"<3.12, .*Debian 12 \(3.11\)"),
    ],
)
def test_the_python_that_the_app_asks_for_is_compared(
    tmp_path: Path, files: dict[str, str], server: str, said: str
) -> None:
    python = found(tmp_path, **files).python
    problem = python.problem(server)
    assert bool(problem) is bool(said)
    if said:
        assert re.search(said, problem)


def test_the_setting_goes_before_what_a_file_pins(tmp_path: Path) -> None:
    tree(tmp_path, **{"_dot_python-version": "3.12\n", "pyproject_dot_toml": PROJECT})
    assert find_dependencies(tmp_path, python="3.13").python.problem("3.13.5") == ""
    assert find_dependencies(tmp_path, python="3.13").python.version("3.13.5") == "3.13.5"
    assert find_dependencies(tmp_path, python="3.12").python.version("3.13.5") == "3.12.0"
    with pytest.raises(ValueError, match=r"python: '3.10' is not what pyproject.toml asks for \(>=3.11\)"):
        find_dependencies(tmp_path, python="3.10")
    with pytest.raises(ValueError, match="python: '3' is no version of Python"):
        find_dependencies(tmp_path, python="3")
