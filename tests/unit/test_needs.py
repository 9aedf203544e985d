"""What an app needs of its server: told to the server, and looked at before anything there is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_slipway import WebApp
from pulumi_slipway.programs.servers import image_of
from pulumi_slipway.settings import parse_settings
from tests.unit.mocks import HOST, Engine, Recorder, observation
from tests.unit.test_dependencies import PROJECT, UV_LOCK, tree, workspace
from tests.unit.test_wheels import LOCK

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
Run = Callable[..., Recorder]
FACTS = {"os_id": "debian", "version": "13", "python": "3.13.5", "machine": "x86_64", "glibc": "2.41"}


def app(folder: Path, known: bool = True, **changes: Any) -> Callable[[], None]:
    def program() -> None:
        address: Any = HOST["address"] if known else pulumi.Output.from_input(pulumi.UNKNOWN)
        args: dict[str, Any] = {
            "host": pulumi.Output.from_input({**HOST, "address": address}),
            "private_key": "key",
            "path": str(folder),
            "name": "shop",
        }
        WebApp("app", {**args, **changes})  # type: ignore[typeddict-item]

    return program


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    return tree(
        tmp_path,
        pyproject_dot_toml=LOCK[0],
        uv_dot_lock=LOCK[1],
        app_dot_py="from flask import Flask\napp = Flask(__name__)\n",
    )


@pytest.mark.parametrize("preview", [True, False])
def test_what_the_server_cannot_have_ends_the_run_before_it_is_touched(
    run: Run, engine: Engine, locked: Path, preview: bool
) -> None:
    engine.observation = observation(facts=FACTS)
    with pytest.raises(Exception, match=r"psycopg-binary 3.2.9 has no wheel for Python 3.13 on Debian 13"):
        run(app(locked), preview=preview)


@pytest.mark.parametrize(
    ("changes", "facts"), [({"build_packages": []}, {}), ({"python": "3.11"}, {}), ({}, {"python": "3.11.2"})]
)
def test_with_what_was_advised_it_is_released(
    run: Run, engine: Engine, locked: Path, changes: dict[str, Any], facts: dict[str, Any]
) -> None:
    engine.observation = observation(facts=FACTS | facts)
    assert "app-1-release" in run(app(locked, **changes)).names


def test_a_server_that_is_yet_to_be_made_is_known_by_its_image(run: Run, locked: Path) -> None:
    with pytest.raises(Exception, match=r"psycopg-binary 3.2.9 has no wheel for Python 3.13 on Debian 13"):
        run(app(locked, known=False, image="debian-13"), preview=True)
    run(app(locked, known=False, image="debian-12"), preview=True)
    run(app(locked, known=False), preview=True)


def test_where_the_app_says_what_it_needs_is_told(
    run: Run, locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda message, _: told.append(message))
    run(app(locked, build_packages=[]))
    assert "shop: what it needs is in uv.lock" in told
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).unlink()
    run(app(locked))
    assert "shop: no file says what it needs (as requirements.txt would): gunicorn alone" in told


def test_the_server_is_told_what_the_app_needs(run: Run, tmp_path: Path) -> None:
    root = tree(workspace(tmp_path), services__api__main_dot_py="from fastapi import FastAPI\napp = FastAPI()\n")
    settings = {"system_packages": ["libpq5"], "build_packages": [], "python": "3.13"}
    recorder = run(app(root / "services/api", **settings))
    document = json.loads(recorder.input("app-1-release", "stdin"))["document"]
    assert document["app_folder"] == "services/api"
    assert document["dependencies"]["manager"] == "uv.lock"
    assert document["dependencies"]["package"] == "api"
    assert document["dependencies"]["folders"] == ["libs/common"]
    assert document["python"] == {"version": "3.13", "mirror": None}
    assert document["packages"] == {"system": ["libpq5"], "build": []}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system_packages": ["lib pq"]}, "system_packages: 'lib pq' is no name of a package"),
        ({"build_packages": ["--purge"]}, "build_packages: '--purge' is no name of a package"),
        ({"python_mirror": "somewhere"}, "python_mirror: 'somewhere' is no URL"),
        ({"python": "three"}, "python: 'three' is no version of Python"),
        ({"dependencies": "setup.py"}, "dependencies: 'setup.py' is not in"),
    ],
)
def test_settings_that_cannot_work_are_refused(run: Run, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    tree(
        tmp_path,
        pyproject_dot_toml=PROJECT,
        uv_dot_lock=UV_LOCK,
        app_dot_py="from flask import Flask\napp = Flask(__name__)\n",
    )
    with pytest.raises(ValueError, match=message):
        run(app(tmp_path, **changes))


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ({"target": "local"}, "debian-13"),
        ({"target": "local", "local": {"debian": 12}}, "debian-12"),
        ({"target": "ec2"}, "debian-13"),
        ({"target": "ec2", "ec2": {"image": "ubuntu-24.04", "instance_type": "t4g.small"}}, "ubuntu-24.04-arm64"),
        ({"target": "ec2", "ec2": {"ami": "ami-1"}}, None),
        ({"target": "lightsail"}, "debian_12"),
        ({"target": "droplet", "droplet": {"image": "ubuntu-24-04-x64"}}, "ubuntu-24-04-x64"),
        ({"target": "linode"}, "linode/debian13"),
        ({"target": "existing", "existing": {"address": "a.example", "host_key": "ssh-ed25519 AAAA"}}, None),
    ],
)
def test_the_image_of_a_stack_is_known_from_its_settings(settings: dict[str, Any], image: str | None) -> None:
    assert image_of(parse_settings({**settings, "app": {"path": "app"}})) == image
