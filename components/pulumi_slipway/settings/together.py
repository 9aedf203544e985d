"""What settings must be to each other: a section for its target, a database that the target's server can reach."""

from __future__ import annotations

from typing import get_args

from .models import DatabaseKind, Settings, Target

_ON_SERVER = ("sqlite", "postgresql", "mariadb")
_MANAGED: dict[str, tuple[str, ...]] = {
    "ec2": ("rds-postgresql", "rds-mysql"),
    "lightsail": ("lightsail-postgresql", "lightsail-mysql"),
    "droplet": ("digitalocean-postgresql", "digitalocean-mysql"),
    "linode": ("linode-postgresql",),
}


def databases_of(target: str) -> tuple[str, ...]:
    """The kinds of database that a server of this target can have."""
    return (*_MANAGED.get(target, ()), *_ON_SERVER)


def check_together(settings: Settings) -> None:
    """Raises `ValueError` naming key, value and remedy."""
    _check_sections(settings)
    _check_database(settings)


def _check_sections(settings: Settings) -> None:
    for target in get_args(Target):
        if target != settings.target and getattr(settings, target) is not None:
            raise ValueError(
                f"{target}: these settings are for target {target}, but the target is {settings.target}; "
                f"remove them, or set target to {target}"
            )
    if settings.target == "existing" and settings.existing is None:
        raise ValueError("existing: missing; set existing.address and existing.host_key of the machine that you have")
    if settings.target == "existing" and settings.admin_keys:
        raise ValueError(
            f"admin_keys: {len(settings.admin_keys)} keys for an existing machine, whose logins are its owner's; "
            "remove them, and add them to the machine's own user"
        )
    if settings.target == "existing" and settings.generation != 1:
        raise ValueError(
            f"generation: {settings.generation} on an existing machine, which is not Slipway's to replace; "
            "set it to 1, and change existing.address for another machine"
        )


def _check_database(settings: Settings) -> None:
    kind, target = settings.database.kind, settings.target
    possible = databases_of(target)
    if kind not in possible:
        raise ValueError(
            f"database.kind: {kind!r} cannot be reached from target {target}: it is private to its own cloud; "
            f"take one of {', '.join(sorted(possible))}"
        )
    managed = kind not in _ON_SERVER
    for key in ("version", "size", "storage", "ca_certificate"):
        if getattr(settings.database, key) is not None and not managed:
            raise ValueError(f"database.{key}: {kind!r} runs on the server and has no such setting; remove it")
    if settings.database.storage is not None and not kind.startswith("rds-"):
        raise ValueError(f"database.storage: the size of a {kind!r} decides it; remove it, and set database.size")


assert {kind for target in get_args(Target) for kind in databases_of(target)} == set(get_args(DatabaseKind))  # noqa: S101
