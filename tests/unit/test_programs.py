"""From settings to components, for every target: what a preview without any cloud shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from pulumi_slipway.programs import launch
from pulumi_slipway.settings import parse_settings
from pulumi_slipway.settings.models import Target
from pulumi_slipway.settings.together import databases_of
from tests.clouds.stacks import CREDENTIALS
from tests.unit.cloud_databases import prepare_databases
from tests.unit.cloud_servers import prepare
from tests.unit.mocks import Engine, Recorder

Run = Callable[..., Recorder]
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
ALL = [(target, kind) for target in get_args(Target) for kind in databases_of(target)]


@pytest.fixture(autouse=True)
def clouds(engine: Engine) -> None:
    """Every cloud answers; the server says the same of an app and of a database."""
    prepare(engine)
    prepare_databases(engine)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of the rig, and none of whoever runs the tests."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))


@cache
def owners_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def program(folder: Path, target: str, **more: Any) -> Callable[[], Any]:
    values: dict[str, Any] = {"target": target, "app": {"path": str(folder)}, **more}
    if target == "existing":
        values["existing"] = {"address": "192.0.2.7", "host_key": HOST_KEY, "private_key": owners_key()}
    settings = parse_settings(values)
    return lambda: launch(settings)


@pytest.mark.parametrize("preview", [True, False], ids=["preview", "up"])
@pytest.mark.parametrize(("target", "kind"), ALL)
def test_every_target_can_be_previewed_with_each_of_its_databases(
    run: Run, app_folder: Path, target: str, kind: str, preview: bool
) -> None:
    recorder = run(program(app_folder, target, database={"kind": kind}), preview)
    assert recorder["app-1-release"].type == "command:local:Command"
    assert ("database" in recorder.names) == (kind != "sqlite")


@pytest.mark.parametrize("target", ["ec2", "lightsail", "droplet", "linode"])
def test_without_credentials_the_message_names_the_variables_before_anything_is_made(
    run: Run, app_folder: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    wanted = {"droplet": "DIGITALOCEAN_TOKEN", "linode": "LINODE_TOKEN"}.get(target, "AWS_ACCESS_KEY_ID")
    with pytest.raises(ValueError, match=wanted):
        program(app_folder, target)()


@pytest.mark.parametrize(
    ("target", "section", "size"),
    [
        ("ec2", {"instance_type": "t3.nano"}, "512 MiB"),
        ("droplet", {"size": "s-1vcpu-512mb-10gb"}, "512 MiB"),
        ("lightsail", {"bundle": "nano_3_0"}, "512 MiB"),
    ],
)
def test_a_server_too_small_for_its_own_database_is_refused(
    app_folder: Path, target: str, section: dict[str, str], size: str
) -> None:
    with pytest.raises(ValueError, match=rf"database\.kind: 'postgresql' on a server of {size}.*1024 MiB"):
        program(app_folder, target, database={"kind": "postgresql"}, **{target: section})()


def test_a_size_that_is_none_is_told_with_its_whole_key(app_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"ec2\.instance_type: 'huge'"):
        program(app_folder, "ec2", ec2={"instance_type": "huge"})()


def test_a_managed_database_admits_the_stacks_own_server(run: Run, app_folder: Path) -> None:
    recorder = run(program(app_folder, "droplet", database={"kind": "digitalocean-postgresql"}), False)
    firewall = next(name for name in recorder.names if recorder[name].type.endswith("DatabaseFirewall"))
    assert "server-machine-1" in recorder.depends_on(firewall)
    cluster = next(name for name in recorder.names if recorder[name].type.endswith("DatabaseCluster"))
    assert recorder.input(cluster, "region") == recorder.input("server-machine-1", "region")
