"""A stand-in for pulumi-linode: Linodes, firewalls, reserved IPs and managed databases.

What it answers and refuses is by the plug-in's own source (linode/terraform-provider-linode, which it is bridged from:
named by file) and by the reference of the API at techdocs.akamai.com/linode-api. What is seen without a request is
refused in a preview; what the API refuses, when it is asked.
"""

from __future__ import annotations

from typing import NoReturn

from ...provider import Provider, serve_provider
from . import functions, service
from .addresses import ReservedIp, ReservedIpAssignment
from .clusters import DatabaseAccessControls, DatabaseMysqlV2, DatabasePostgresqlV2
from .firewalls import Firewall, FirewallDevice
from .instances import Instance, SshKey
from .service import settle

__all__ = ["provider", "serve", "settle"]


def provider(version: str) -> Provider:
    """The provider under the SDK's type tokens."""
    resources = {
        service.SSH_KEY: SshKey(),
        service.INSTANCE: Instance(),
        service.FIREWALL: Firewall(),
        service.FIREWALL_DEVICE: FirewallDevice(),
        service.RESERVED_IP: ReservedIp(),
        service.RESERVED_IP_ASSIGNMENT: ReservedIpAssignment(),
        service.POSTGRESQL: DatabasePostgresqlV2(),
        service.MYSQL: DatabaseMysqlV2(),
        service.ACCESS_CONTROLS: DatabaseAccessControls(),
    }
    asked = {
        "getRegion": functions.GetRegion(),
        "getRegions": functions.GetRegions(),
        "getInstanceType": functions.GetInstanceType(),
        "getInstanceTypes": functions.GetInstanceTypes(),
        "getImage": functions.GetImage(),
        "getImages": functions.GetImages(),
        "getDatabaseEngines": functions.GetDatabaseEngines(),
    }
    tokens = {f"linode:index/{name}:{name}": function for name, function in asked.items()}
    return Provider("linode", version, resources, tokens, service.LinodeConfiguration("linode"))


def serve(address: str, version: str) -> NoReturn:
    """What the launcher calls."""
    serve_provider(provider(version), address)
