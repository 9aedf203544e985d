"""What the tests of Linode's stand-in share: its types with a token, a Linode."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from .clouds import linode
from .clouds.linode import service
from .direct import Direct
from .ocean import public_key

VERSION = "6.8.0"
LinodeOf = Callable[[str], Direct]
"""One resource type of one plug-in by its token."""
KEY = public_key().strip()
INSTANCE: dict[str, Any] = {
    "image": "linode/debian13",
    "type": "g6-nanode-1",
    "region": "us-east",
    "label": "web",
    "authorizedKeys": [KEY],
}


def with_token() -> LinodeOf:
    """The types of a plug-in that is configured with a token."""
    provider = linode.provider(VERSION)
    Direct(provider, service.INSTANCE).configure(token="test")
    return lambda token: Direct(provider, token)


def instance(linodes: LinodeOf, **more: Any) -> tuple[str, dict[str, Any]]:
    """A new Linode: its id and outputs."""
    return linodes(service.INSTANCE).create(**{**INSTANCE, **more})


def metadata(user_data: str) -> list[dict[str, str]]:
    """User data as the plug-in takes them."""
    return [{"userData": base64.b64encode(user_data.encode()).decode()}]
