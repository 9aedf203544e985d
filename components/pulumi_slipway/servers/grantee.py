"""What a database is told of a server that it shall admit: data, so that neither knows the other's cloud."""

from __future__ import annotations

from typing import TypedDict


class Grantee(TypedDict):
    """One server as databases know it; a text is empty where its cloud has no such thing. Holds no secret."""

    security_group: str
    """Id of the EC2 security group that its machine is in."""
    droplet: str
    """Id of the DigitalOcean droplet."""
    address: str
    """Public address."""
    private_address: str
    """Address in the network that it shares with databases of its cloud."""


def grantee(security_group: str = "", droplet: str = "", address: str = "", private_address: str = "") -> Grantee:
    """A grantee by what is known of it."""
    return Grantee(security_group=security_group, droplet=droplet, address=address, private_address=private_address)
