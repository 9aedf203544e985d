"""The server of a stack, by its target. A cloud's SDK takes seconds to import: only the target's own is."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pulumi

from ..servers.common import Server
from ..settings import Settings

_CLASSES = {
    "local": "LocalServer",
    "existing": "ExistingServer",
    "ec2": "Ec2Server",
    "lightsail": "LightsailServer",
    "droplet": "DropletServer",
    "linode": "LinodeServer",
}
_GRAVITON = re.compile(r"[a-z]+\d+g[a-z]*\.")
"""Instance types of EC2 with ARM's architecture, as t4g.micro."""

_NOT_FOR_EXISTING = ("admin_keys", "generation", "carry_data", "experiment")
"""What is about machines that Slipway makes; `settings/together.py` refuses the first two."""


def make_server(settings: Settings) -> Server:
    """The server of `settings`; raises `ValueError` naming the setting."""
    target = settings.target
    module = import_module(f"..servers.{target}", __package__)
    server: Callable[[str, dict[str, Any]], Server] = getattr(module, _CLASSES[target])
    try:
        return server("server", server_args(settings))
    except ValueError as error:
        raise ValueError(f"{pulumi.get_project()}:{_section(str(error), settings)}{error}") from None


def server_args(settings: Settings) -> dict[str, Any]:
    """What `settings` say of the server; what they leave out is the server's own default."""
    common: dict[str, Any] = {
        "admin_keys": settings.admin_keys,
        "firewall": [rule.model_dump() for rule in settings.firewall],
        "generation": settings.generation,
        "carry_data": settings.carry_data,
        "experiment": settings.experiment,
        "ready_timeout": settings.ready_timeout,
        "package_index": settings.package_index,
        "proxy": settings.proxy,
    }
    if settings.target == "existing":
        common = {key: value for key, value in common.items() if key not in _NOT_FOR_EXISTING}
    section = getattr(settings, settings.target)
    own = section.model_dump(exclude_none=True) if section is not None else {}
    return {key: value for key, value in common.items() if value is not None} | own


def image_of(settings: Settings) -> str | None:
    """The name of the image that the server is made from; None where only the server itself can tell."""
    if settings.target == "existing":
        return None
    own = getattr(settings, settings.target)
    if settings.target == "local":
        return f"debian-{(own.debian if own else None) or 13}"
    if settings.target == "ec2" and own is not None and own.ami is not None:
        return None
    module = import_module(f"..servers.{settings.target}", __package__)
    key, default = ("blueprint", "DEFAULT_BLUEPRINT") if settings.target == "lightsail" else ("image", "DEFAULT_IMAGE")
    name = str((getattr(own, key) if own else None) or getattr(module, default))
    kind = (own.instance_type if own else None) if settings.target == "ec2" else None
    return f"{name}-arm64" if kind and _GRAVITON.match(kind) else name


def _section(message: str, settings: Settings) -> str:
    """Servers name their arguments; those of their own stand in the target's section of the settings."""
    argument = message.split(":", maxsplit=1)[0].split("[")[0].split(".")[0]
    section = getattr(settings, settings.target)
    own = type(section).model_fields if section is not None else ()
    return f"{settings.target}." if argument in own else ""
