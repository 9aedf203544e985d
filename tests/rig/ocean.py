"""What the tests of DigitalOcean's stand-in share: its types with a token, a key, a droplet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from .clouds import digitalocean
from .clouds.digitalocean import service
from .direct import Direct

VERSION = "4.84.1"
OceanOf = Callable[[str], Direct]
"""One resource type of one plug-in by its token."""
DROPLET = {"image": "debian-13-x64", "size": "s-1vcpu-1gb", "region": "nyc3", "name": "web"}


def public_key() -> str:
    """A public key that nobody has seen before."""
    form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*form).decode() + " somebody\n"


def with_token() -> OceanOf:
    """The types of a plug-in that is configured with a token."""
    provider = digitalocean.provider(VERSION)
    Direct(provider, service.DROPLET).configure(token="dop_v1_test")
    return lambda token: Direct(provider, token)


def droplet(ocean: OceanOf, **more: Any) -> tuple[str, dict[str, Any]]:
    """A new droplet: its id and outputs."""
    return ocean(service.DROPLET).create(**{**DROPLET, **more})
