"""What settings must be to each other; and that the sections of targets say what the servers can be told."""

from __future__ import annotations

from importlib import import_module
from typing import Any, get_args

import pytest

from pulumi_slipway.programs.servers import _CLASSES, server_args
from pulumi_slipway.servers.common import MachineArgs
from pulumi_slipway.settings import SettingsError, parse_settings
from pulumi_slipway.settings.models import Settings, Target
from pulumi_slipway.settings.together import databases_of

APP = {"path": "examples/guestbook"}
EXISTING = {"address": "192.0.2.7", "host_key": "ssh-ed25519 AAAA"}


def settings(target: str, **more: Any) -> Settings:
    own = {"existing": EXISTING} if target == "existing" else {}
    return parse_settings({"target": target, "app": APP, **own, **more})


def complaint(target: str, **more: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        settings(target, **more)
    return str(caught.value)


@pytest.mark.parametrize("target", get_args(Target))
def test_every_target_needs_nothing_more_than_its_name(target: str) -> None:
    assert settings(target).target == target


@pytest.mark.parametrize("target", get_args(Target))
def test_the_section_of_a_target_has_the_very_arguments_of_its_server(target: str) -> None:
    server = import_module(f"pulumi_slipway.servers.{target}")
    arguments = getattr(server, f"{_CLASSES[target]}Args").__annotations__.keys()
    section = next(kind for kind in get_args(Settings.model_fields[target].annotation) if kind is not type(None))
    shared = MachineArgs.__annotations__.keys()
    assert section.model_fields.keys() == arguments - shared


def test_what_a_target_is_told_is_its_section_and_what_all_servers_share() -> None:
    args = server_args(settings("ec2", ec2={"instance_type": "t4g.small"}, generation=3, experiment=True))
    assert args == {
        "instance_type": "t4g.small",
        "generation": 3,
        "experiment": True,
        "admin_keys": [],
        "firewall": [],
        "ready_timeout": 600,
    }


def test_a_section_for_another_target_is_told() -> None:
    text = complaint("droplet", ec2={"instance_type": "t4g.small"})
    assert "slipway:ec2: these settings are for target ec2, but the target is droplet" in text


def test_an_existing_machine_needs_its_address_and_host_key() -> None:
    with pytest.raises(SettingsError, match=r"existing\.address and existing\.host_key"):
        parse_settings({"target": "existing", "app": APP})
    with pytest.raises(SettingsError, match=r"existing\.host_key: missing.*hostkey ADDRESS"):
        parse_settings({"target": "existing", "app": APP, "existing": {"address": "192.0.2.7"}})


def test_an_existing_machine_is_not_replaced() -> None:
    assert "slipway:generation: 2 on an existing machine" in complaint("existing", generation=2)


def test_an_existing_machine_gets_no_administrators() -> None:
    assert "slipway:admin_keys: 1 keys for an existing machine" in complaint(
        "existing", admin_keys=["ssh-ed25519 AAAA me@home"]
    )


def test_the_key_of_an_existing_machine_is_never_shown() -> None:
    text = complaint("existing", existing={**EXISTING, "private_key": 12345678})
    assert "slipway:existing.private_key" in text
    assert "12345678" not in text


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("droplet", "rds-postgresql"),
        ("ec2", "digitalocean-mysql"),
        ("local", "rds-mysql"),
        ("existing", "linode-postgresql"),
        ("linode", "lightsail-mysql"),
    ],
)
def test_a_database_of_another_cloud_cannot_be_reached(target: str, kind: str) -> None:
    text = complaint(target, database={"kind": kind})
    assert f"slipway:database.kind: {kind!r} cannot be reached from target {target}" in text
    assert all(possible in text for possible in databases_of(target))


def test_a_database_on_the_server_has_no_size_of_its_own() -> None:
    assert "slipway:database.size: 'postgresql' runs on the server" in complaint(
        "ec2", database={"kind": "postgresql", "size": "db.t4g.micro"}
    )


def test_only_databases_on_rds_have_storage_of_a_size() -> None:
    assert "slipway:database.storage" in complaint("droplet", database={"kind": "digitalocean-mysql", "storage": 50})
