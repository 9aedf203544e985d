"""Environments on a real server, from each kind of lock: what is asked for is there, and nothing else stays."""

from __future__ import annotations

import itertools
import json
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import uv

from pulumi_slipway.app.dependencies import find_dependencies
from tests.agent.server import OWNER, AgentFailed, App, Server, pack

_numbers = itertools.count(1)

WEB = """\
from importlib.metadata import version
{imports}

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str({answer}).encode()]
"""
BUILD = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


def web(answer: str, imports: str = "") -> str:
    return WEB.format(answer=answer, imports=imports)


@pytest.fixture(scope="module")
def app(server: Server) -> Iterator[App]:
    """It answers to the server's address as other modules' apps do, and so goes with this module."""
    found = App(server, "needy")
    found.claim()
    found.site()
    yield found
    server.agent("remove", {"app": found.name, "owner": OWNER})


def released(app: App, tmp_path: Path, files: Mapping[str, str], folder: str = "", **changes: Any) -> dict[str, Any]:
    """Releases `files` as the operator's side does: the app in `folder` of them. Its record."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    if (tmp_path / "pyproject.toml").is_file() and "uv.lock" in changes.pop("lock", ""):
        subprocess.run([uv.find_uv_bin(), "lock", "--quiet", "--directory", str(tmp_path)], check=True, timeout=60)
    found = find_dependencies(tmp_path / folder)
    sent = {
        path.relative_to(tmp_path).as_posix(): path.read_text()
        for path in sorted(tmp_path.rglob("*"))
        if path.is_file() and ".venv" not in path.parts
    }
    release = f"needs-{next(_numbers)}"
    request = {
        **app.release_request(release, {}, health={"path": "/", "host": app.server.address, "timeout": 20}),
        "archive": app.server.upload(pack(sent)),
        "app_folder": found.app_folder,
        "dependencies": found.document(),
        **changes,
    }
    app.server.agent("release", request)
    record: dict[str, Any] = json.loads(app.server.shell(f"cat /srv/{app.name}/releases/{release}/release.json"))
    return record


def site(app: App) -> str:
    return app.server.get(host=app.server.address)[1]


def test_a_member_of_a_workspace_runs_in_its_folder_with_what_it_needs(app: App, tmp_path: Path) -> None:
    member = '[project]\nname = "{}"\nversion = "7.1"\nrequires-python = ">=3.11"\ndependencies = [{}]\n'
    files = {
        "pyproject.toml": '[tool.uv.workspace]\nmembers = ["services/*", "libs/*"]\n',
        "services/api/pyproject.toml": member.format("api", '"common"')
        + "[tool.uv.sources]\ncommon = { workspace = true }\n"
        + BUILD,
        "services/api/src/api/__init__.py": "CODE = 'first'\n",
        "services/api/wsgi.py": web(
            "f'{CODE} {version(\"api\")} {common.NAME}'", "import common\nfrom api import CODE"
        ),
        "libs/common/pyproject.toml": member.format("common", "") + BUILD,
        "libs/common/common.py": "NAME = 'shared'\n",
    }
    runs = {"web": {"kind": "wsgi", "target": "wsgi:app"}}
    first = released(app, tmp_path, files, "services/api", lock="uv.lock", **runs)
    assert site(app) == "first 7.1 shared"
    # code alone is no other environment; it comes from the release
    second = released(
        app,
        tmp_path,
        {"services/api/src/api/__init__.py": "CODE = 'second'\n"},
        "services/api",
        **runs,
        commands={
            "release": ['python -c \'import api, os; assert api.CODE == "second"; assert os.path.exists("wsgi.py")\'']
        },
    )
    assert site(app) == "second 7.1 shared"
    assert first["venv"] == second["venv"]
    # but that of another member is
    third = released(
        app,
        tmp_path,
        {"libs/common/common.py": "NAME = 'other'\n"},
        "services/api",
        **runs,
    )
    assert site(app) == "second 7.1 other"
    assert third["venv"] != second["venv"]


def test_a_poetry_lock_is_installed_with_its_hashes(app: App, tmp_path: Path) -> None:
    digest = "7e1b8d2e0c9ebf7d1b4d4f2d0d6b1a7b7c9a7b0f3a7c0a6c0d7d5f3b1a2c3d4e"
    text = subprocess.run(
        [uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--no-deps", "--format", "pylock.toml", "-"],
        input="itsdangerous==2.2.0",
        text=True,
        capture_output=True,
        check=True,
        cwd=tmp_path,
        timeout=60,
    ).stdout
    wheel = tomllib.loads(text)["packages"][0]["wheels"][0]["hashes"]["sha256"]
    lock = (
        '[[package]]\nname = "itsdangerous"\nversion = "2.2.0"\noptional = false\ngroups = ["main"]\n'
        'files = [{{file = "itsdangerous-2.2.0-py3-none-any.whl", hash = "sha256:{}"}}]\n'
        '[metadata]\nlock-version = "2.1"\n'
    )
    files = {"pyproject.toml": "", "poetry.lock": lock.format(wheel), "web.py": web("version('itsdangerous')")}
    released(app, tmp_path, files)
    assert site(app) == "2.2.0"
    with pytest.raises(AgentFailed, match="[Hh]ash mismatch"):
        released(app, tmp_path, {"poetry.lock": lock.format(digest)})
    assert site(app) == "2.2.0"


def test_nested_requirements_and_a_package_of_the_source(app: App, tmp_path: Path) -> None:
    files = {
        "requirements.txt": "-r requirements/production.txt\n",
        "requirements/production.txt": "-c limits.txt\nitsdangerous\n-e ./vendored\n",
        "requirements/limits.txt": "itsdangerous<2.2\n",
        "vendored/pyproject.toml": '[project]\nname = "vendored"\nversion = "3"\n' + BUILD,
        "vendored/vendored.py": "NAME = 'vendored'\n",
        "web.py": web("f'{version(\"itsdangerous\")} {vendored.NAME}'", "import vendored"),
    }
    released(app, tmp_path, files)
    assert site(app) == "2.1.2 vendored"


def test_a_pylock_is_installed(app: App, tmp_path: Path) -> None:
    command = [uv.find_uv_bin(), "pip", "compile", "--quiet", "--format", "pylock.toml", "-o", "pylock.toml", "-"]
    subprocess.run(command, input="itsdangerous==2.1.2", text=True, check=True, cwd=tmp_path, timeout=60)
    released(app, tmp_path, {"web.py": web("version('itsdangerous')")})
    assert site(app) == "2.1.2"


@pytest.mark.long
def test_what_compiling_takes_is_there_for_the_environment_alone(app: App, tmp_path: Path) -> None:
    setup = (
        "from setuptools import Extension, setup\n"
        "setup(name='native', version='1', ext_modules=[Extension('native', ['native.c'])])\n"
    )
    source = (
        "#include <Python.h>\n"
        'static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", NULL, -1, NULL};\n'
        "PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }\n"
    )
    files = {
        "requirements.txt": "./native\n",
        "native/setup.py": setup,
        "native/native.c": source,
        "web.py": web("native.__name__", "import native"),
    }
    with pytest.raises(AgentFailed, match=r"build_packages: \[\]"):
        released(app, tmp_path, files)
    before = app.server.shell("dpkg-query --show")
    released(app, tmp_path, files, packages={"build": []})
    assert site(app) == "native"
    assert app.server.shell("dpkg-query --show") == before
    assert app.server.shell("ls /var/lib/slipway/packages-for-a-while.json", check=False) == ""


@pytest.mark.long
def test_what_a_killed_run_installed_for_a_while_goes_with_the_next(app: App, tmp_path: Path) -> None:
    app.server.shell("apt-get -q update; apt-get -q -y install libmagic1t64 || apt-get -q -y install libmagic1")
    names = app.server.shell("dpkg-query --show --showformat='${Package}\\n' 'libmagic*'").split()
    note = json.dumps({"packages": names})
    app.server.shell(f"echo '{note}' > /var/lib/slipway/packages-for-a-while.json")
    released(app, tmp_path, {"web.py": web("'clean'")})
    assert site(app) == "clean"
    assert "libmagic" not in app.server.shell("dpkg-query --show")
    assert app.server.shell("ls /var/lib/slipway/packages-for-a-while.json", check=False) == ""


def test_a_missing_library_is_told_with_the_setting_that_brings_it(app: App, tmp_path: Path) -> None:
    files = {"web.py": web("'found'", "import ctypes\nctypes.CDLL('libsodium.so.23')")}
    with pytest.raises(AgentFailed, match=r"system_packages: \[libsodium23\]"):
        released(app, tmp_path, files)
    released(app, tmp_path, files, packages={"system": ["libsodium23"]})
    assert site(app) == "found"
    app.server.shell("dpkg-query --status libsodium23")


def _offer_python(app: App, version: str) -> None:
    """Have uv on this server find a Python of that version: its own one, as an archive to fetch."""
    app.server.shell(
        """
        set -e
        minor=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        place=/opt/offered; rm -rf $place; mkdir -p $place/python/bin $place/python/lib
        cp /usr/bin/python$minor $place/python/bin/
        ln -s python$minor $place/python/bin/python3
        cp -r /usr/lib/python$minor $place/python/lib/
        find $place -type l '(' -lname '/*' -o -lname '../../*' ')' -delete
        tar -C $place -czf $place/python.tar.gz python; rm -r $place/python
        chmod -R a+rX $place
        """
    )
    major, minor, patch = (int(number) for number in version.split("."))
    machine = app.server.shell("uname -m").strip()
    offered = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "variant": None,
        "url": "file:///opt/offered/python.tar.gz",
        "sha256": app.server.shell("sha256sum /opt/offered/python.tar.gz").split()[0],
        "build": "20260101",
    }
    document = json.dumps({f"cpython-{version}-linux-{machine}-gnu": offered})
    app.server.shell(f"cat > /opt/offered/list.json <<'END'\n{document}\nEND")
    app.server.shell("echo UV_PYTHON_DOWNLOADS_JSON_URL=/opt/offered/list.json >> /etc/slipway/environment")


@pytest.mark.long
def test_a_python_that_uv_fetches_is_roots_own_and_goes_with_its_last_release(app: App, tmp_path: Path) -> None:
    minor = app.server.shell("/usr/bin/python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'").strip()
    wanted = f"{minor}.99"
    app.server.shell("touch /etc/slipway/environment; cp -a /etc/slipway/environment /root/environment-before")
    _offer_python(app, wanted)
    try:
        record = released(
            app, tmp_path, {"web.py": web("sys.base_prefix", "import sys")}, python={"version": wanted, "mirror": None}
        )
        assert record["interpreter"] == wanted
        assert site(app).startswith(f"/srv/needy/pythons/{wanted}/cpython-{wanted}-")
        assert app.server.shell("find /srv/needy/pythons ! -user root -o -perm -o=w ! -type l") == ""
        for _ in range(2):
            released(app, tmp_path, {}, keep=2, python={"version": minor, "mirror": None})
            assert site(app) == "/usr"
        assert app.server.shell("ls /srv/needy/pythons") == ""
        with pytest.raises(AgentFailed, match="fetching Python 3.9 failed.*: .* set python_mirror to one"):
            released(app, tmp_path, {}, python={"version": "3.9", "mirror": "file:///nowhere"})
    finally:
        app.server.shell("rm -r /opt/offered; mv /root/environment-before /etc/slipway/environment")
