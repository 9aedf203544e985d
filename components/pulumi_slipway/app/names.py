"""What an app is called by, and what its site's files are made from for that."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from .checked import CheckedApp
from .site import SiteSpec


def names_of(app: CheckedApp, address: str) -> list[str]:
    """What the app is called by: its domains, else the server's address."""
    return list(app.domains) or [address]


def split(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Host names and IP addresses: a certificate names them differently."""
    addresses = [name for name in names if _is_address(name)]
    return [name for name in names if name not in addresses], addresses


def site_spec(app: CheckedApp, address: str) -> SiteSpec:
    names, addresses = split(names_of(app, address))
    media = app.steps.media
    return SiteSpec(
        app=app.name,
        domains=tuple(names),
        addresses=tuple(addresses),
        static_url=app.recipe.static_url if app.recipe.static_folder else None,
        media_url=media.url if media else None,
        media_folder=media.folder if media else SiteSpec.media_folder,
        graceful_timeout=app.drain,
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
