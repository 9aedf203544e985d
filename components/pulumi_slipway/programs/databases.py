"""The database of a stack, by its kind, and what the app is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pulumi

from ..servers.common import Server
from ..servers.sizes import memory_mib
from ..settings import Settings
from ..settings.models import DatabaseSettings
from .servers import server_args

LEAST_MIB = 1024
"""What a server needs that runs its database itself."""

_CLASSES = {
    "rds": "RdsDatabase",
    "digitalocean": "DigitalOceanDatabase",
    "lightsail": "LightsailDatabase",
    "linode": "LinodeDatabase",
    "onserver": "OnServerDatabase",
}


@dataclass(frozen=True)
class WiredDatabase:
    """A database as a stack has it."""

    component: Any
    """None for SQLite, which the app has by itself."""
    app_args: dict[str, Any]
    """What a `WebApp` is told of it, once it is there."""


def check_memory(settings: Settings) -> None:
    """Raises `ValueError` for a server that is known to be too small for a database beside the app."""
    memory = memory_mib(settings.target, server_args(settings))
    if settings.database.kind in ("postgresql", "mariadb") and memory is not None and memory < LEAST_MIB:
        raise ValueError(
            f"{pulumi.get_project()}:database.kind: {settings.database.kind!r} on a server of {memory} MiB, beside two "
            f"releases while one takes over from the other; take a server with at least {LEAST_MIB} MiB, or sqlite"
        )


def told_of_database(wanted: DatabaseSettings) -> dict[str, Any]:
    """What a `WebApp` is told of its database before there is one."""
    given = {
        "database_driver": wanted.driver,
        "database_moved_from": wanted.moved_from,
        "snapshot_before_migrate": wanted.snapshot_before_migrate,
    }
    return {key: value for key, value in given.items() if value is not None}


def make_database(settings: Settings, server: Server, app: str) -> WiredDatabase:
    """The database of `settings` for `app` on `server`; raises `ValueError` naming the setting."""
    wanted = settings.database
    if wanted.kind == "sqlite":
        return WiredDatabase(None, {})
    place, engine = _place_and_engine(wanted.kind)
    module = import_module(f"..databases.{place}", __package__)
    component: Callable[[str, dict[str, Any]], Any] = getattr(module, _CLASSES[place])
    args = _on_server(settings, server) if place == "onserver" else _managed(settings, server)
    try:
        made = component("database", {**args, "engine": engine, **_name(wanted, app)})
    except ValueError as error:
        raise ValueError(f"{pulumi.get_project()}:database.{error}") from None
    return WiredDatabase(made, {"database": made.database, "database_password": made.password})


def _place_and_engine(kind: str) -> tuple[str, str]:
    place, _, engine = kind.rpartition("-")
    return place or "onserver", engine


def _on_server(settings: Settings, server: Server) -> dict[str, Any]:
    args = {"host": server.host, "private_key": server.private_key, "experiment": settings.experiment}
    return args if server.machine is None else {**args, "machine": server.machine}


def _name(wanted: DatabaseSettings, app: str) -> dict[str, str]:
    """The app's own name, where the cloud lets one choose."""
    if wanted.name is None and wanted.kind.startswith("linode-"):
        return {}
    return {"name": wanted.name or app.replace("-", "_")}


def _managed(settings: Settings, server: Server) -> dict[str, Any]:
    wanted: DatabaseSettings = settings.database
    given = {key: getattr(wanted, key) for key in ("version", "size", "storage", "ca_certificate")}
    return {
        "servers": [server.grantee],
        "experiment": settings.experiment,
        **_same_place(settings, server),
        **{key: value for key, value in given.items() if value is not None},
    }


_SHARED = {"ec2": ("tags",), "lightsail": ("tags",), "droplet": ("region", "project_id", "tags"), "linode": ("region",)}
"""Settings of a server that are its database's as well."""


def _same_place(settings: Settings, server: Server) -> dict[str, Any]:
    section = getattr(settings, settings.target)
    own = section.model_dump(exclude_none=True) if section is not None else {}
    shared = {key: own[key] for key in _SHARED[settings.target] if key in own}
    return shared if settings.target != "droplet" else {**shared, "vpc_uuid": getattr(server, "vpc_uuid")}  # noqa: B009
