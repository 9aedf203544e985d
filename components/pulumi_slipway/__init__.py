"""Slipway: launch Python web applications on servers you rent, with one `pulumi up`.

Names are imported when first used: the programs of this package that Pulumi's commands start
(`python -m pulumi_slipway.local`, `.ready`, `.observe`) would else pay half a second for the whole SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app.webapp import WebApp, WebAppArgs
    from .firewall import FirewallRule
    from .host import Host
    from .servers.droplet import DropletServer, DropletServerArgs
    from .servers.ec2 import Ec2Server, Ec2ServerArgs
    from .servers.lightsail import LightsailServer, LightsailServerArgs
    from .servers.linode import LinodeServer, LinodeServerArgs
    from .servers.local import LocalServer, LocalServerArgs

_PUBLIC = {
    "DropletServer": ".servers.droplet",
    "DropletServerArgs": ".servers.droplet",
    "Ec2Server": ".servers.ec2",
    "Ec2ServerArgs": ".servers.ec2",
    "FirewallRule": ".firewall",
    "Host": ".host",
    "LightsailServer": ".servers.lightsail",
    "LightsailServerArgs": ".servers.lightsail",
    "LinodeServer": ".servers.linode",
    "LinodeServerArgs": ".servers.linode",
    "LocalServer": ".servers.local",
    "LocalServerArgs": ".servers.local",
    "WebApp": ".app.webapp",
    "WebAppArgs": ".app.webapp",
}

__all__ = [
    "DropletServer",
    "DropletServerArgs",
    "Ec2Server",
    "Ec2ServerArgs",
    "FirewallRule",
    "Host",
    "LightsailServer",
    "LightsailServerArgs",
    "LinodeServer",
    "LinodeServerArgs",
    "LocalServer",
    "LocalServerArgs",
    "WebApp",
    "WebAppArgs",
]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name], __name__), name)
