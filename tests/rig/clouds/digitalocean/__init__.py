"""A stand-in for pulumi-digitalocean: droplets, firewalls, reserved IPs, VPCs, projects and managed databases.

What it answers and refuses is by the plug-in's own source (digitalocean/terraform-provider-digitalocean, which it is
bridged from: named by file), by digitalocean/openapi and by docs.digitalocean.com. What is seen without a request is
refused in a preview; what the API refuses, when it is asked.
"""

from __future__ import annotations

from typing import NoReturn

from ...provider import Provider, serve_provider
from . import functions, service
from .addresses import ReservedIp, ReservedIpAssignment
from .clusters import DatabaseCluster, DatabaseDb, DatabaseFirewall, DatabaseUser
from .droplets import Droplet, SshKey
from .firewalls import Firewall
from .projects import Project, ProjectResources, Vpc
from .tags import Tag
from .traffic import settle

__all__ = ["provider", "serve", "settle"]


def provider(version: str) -> Provider:
    """The provider under the SDK's type tokens."""
    resources = {
        service.SSH_KEY: SshKey(),
        service.TAG: Tag(),
        service.DROPLET: Droplet(),
        service.FIREWALL: Firewall(),
        service.RESERVED_IP: ReservedIp(),
        service.RESERVED_IP_ASSIGNMENT: ReservedIpAssignment(),
        service.VPC: Vpc(),
        service.PROJECT: Project(),
        service.PROJECT_RESOURCES: ProjectResources(),
        service.CLUSTER: DatabaseCluster(),
        service.DATABASE: DatabaseDb(),
        service.DATABASE_USER: DatabaseUser(),
        service.DATABASE_FIREWALL: DatabaseFirewall(),
    }
    asked = {
        "getDatabaseCa": functions.GetDatabaseCa(),
        "getImage": functions.GetImage(),
        "getSshKey": functions.GetSshKey(),
        "getSshKeys": functions.GetSshKeys(),
        "getVpc": functions.GetVpc(),
        "getRegion": functions.GetRegion(),
        "getSizes": functions.GetSizes(),
    }
    tokens = {f"digitalocean:index/{name}:{name}": function for name, function in asked.items()}
    return Provider("digitalocean", version, resources, tokens, service.DigitalOceanConfiguration("digitalocean"))


def serve(address: str, version: str) -> NoReturn:
    """What the launcher calls."""
    serve_provider(provider(version), address)
