"""Slipway: launch Python web applications on servers you rent, with one `pulumi up`.

Names are imported when first used: the programs of this package that Pulumi's commands start
(`python -m pulumi_slipway.local`, `.ready`, `.observe`) would else pay half a second for the whole SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app.webapp import WebApp, WebAppArgs
    from .databases.contract import Database
    from .databases.digitalocean import DigitalOceanDatabase, DigitalOceanDatabaseArgs
    from .databases.lightsail import LightsailDatabase, LightsailDatabaseArgs
    from .databases.linode import LinodeDatabase, LinodeDatabaseArgs
    from .databases.onserver import OnServerDatabase, OnServerDatabaseArgs
    from .databases.rds import RdsDatabase, RdsDatabaseArgs
    from .firewall import FirewallRule
    from .host import Host
    from .servers.droplet import DropletServer, DropletServerArgs
    from .servers.ec2 import Ec2Server, Ec2ServerArgs
    from .servers.existing import ExistingServer, ExistingServerArgs
    from .servers.lightsail import LightsailServer, LightsailServerArgs
    from .servers.linode import LinodeServer, LinodeServerArgs
    from .servers.local import LocalServer, LocalServerArgs

_PUBLIC = {
    "Database": ".databases.contract",
    "DigitalOceanDatabase": ".databases.digitalocean",
    "DigitalOceanDatabaseArgs": ".databases.digitalocean",
    "DropletServer": ".servers.droplet",
    "DropletServerArgs": ".servers.droplet",
    "Ec2Server": ".servers.ec2",
    "Ec2ServerArgs": ".servers.ec2",
    "ExistingServer": ".servers.existing",
    "ExistingServerArgs": ".servers.existing",
    "FirewallRule": ".firewall",
    "Host": ".host",
    "LightsailDatabase": ".databases.lightsail",
    "LightsailDatabaseArgs": ".databases.lightsail",
    "LightsailServer": ".servers.lightsail",
    "LightsailServerArgs": ".servers.lightsail",
    "LinodeDatabase": ".databases.linode",
    "LinodeDatabaseArgs": ".databases.linode",
    "LinodeServer": ".servers.linode",
    "LinodeServerArgs": ".servers.linode",
    "LocalServer": ".servers.local",
    "LocalServerArgs": ".servers.local",
    "OnServerDatabase": ".databases.onserver",
    "OnServerDatabaseArgs": ".databases.onserver",
    "RdsDatabase": ".databases.rds",
    "RdsDatabaseArgs": ".databases.rds",
    "WebApp": ".app.webapp",
    "WebAppArgs": ".app.webapp",
}

__all__ = [
    "Database",
    "DigitalOceanDatabase",
    "DigitalOceanDatabaseArgs",
    "DropletServer",
    "DropletServerArgs",
    "Ec2Server",
    "Ec2ServerArgs",
    "ExistingServer",
    "ExistingServerArgs",
    "FirewallRule",
    "Host",
    "LightsailDatabase",
    "LightsailDatabaseArgs",
    "LightsailServer",
    "LightsailServerArgs",
    "LinodeDatabase",
    "LinodeDatabaseArgs",
    "LinodeServer",
    "LinodeServerArgs",
    "LocalServer",
    "LocalServerArgs",
    "OnServerDatabase",
    "OnServerDatabaseArgs",
    "RdsDatabase",
    "RdsDatabaseArgs",
    "WebApp",
    "WebAppArgs",
]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name], __name__), name)
