"""What a database is told of a server that it shall admit: data, so that neither knows the other's cloud."""

from __future__ import annotations

from typing import TypedDict, cast

import pulumi


class Grantee(TypedDict):
    """One server as databases know it; a text is empty where its cloud has no such thing. Holds no secret."""

    security_group: str
    """Id of the EC2 security group that its machine is in."""
    droplet: str
    """Id of the DigitalOcean droplet."""
    tag: str
    """The DigitalOcean tag that its droplet has, and its next generation as well."""
    address: str
    """Public address that its own connections come from."""
    private_address: str
    """Address in the network that it shares with databases of its cloud."""
    former: str
    """Public address of the machine that this one takes the place of, for as long as that one may still serve."""


def grantee(
    security_group: str = "",
    droplet: str = "",
    tag: str = "",
    address: str = "",
    private_address: str = "",
    former: str = "",
) -> Grantee:
    """A grantee by what is known of it."""
    return Grantee(
        security_group=security_group,
        droplet=droplet,
        tag=tag,
        address=address,
        private_address=private_address,
        former=former,
    )


def granted(
    *,
    security_group: pulumi.Input[str] = "",
    droplet: pulumi.Input[str] = "",
    tag: pulumi.Input[str] = "",
    address: pulumi.Input[str] = "",
    private_address: pulumi.Input[str] = "",
    former: pulumi.Input[str] = "",
) -> pulumi.Output[Grantee]:
    """A grantee of which a preview knows each text that it can."""
    known = pulumi.Output.all(
        security_group=security_group,
        droplet=droplet,
        tag=tag,
        address=address,
        private_address=private_address,
        former=former,
    )
    return cast("pulumi.Output[Grantee]", known)
