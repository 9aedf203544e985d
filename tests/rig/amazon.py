"""What the tests of AWS's stand-in share: its types with credentials, keys, images, and errors as texts."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from .clouds import aws
from .clouds.aws import catalog
from .direct import CallFailedError, Direct
from .provider import Provider
from .values import Properties

VERSION = "7.51.1"
REGION = "eu-central-1"
INSTANCE = "ec2/instance:Instance"
KEY_PAIR = "ec2/keyPair:KeyPair"
GROUP = "ec2/securityGroup:SecurityGroup"
INGRESS = "vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "vpc/securityGroupEgressRule:SecurityGroupEgressRule"
EIP = "ec2/eip:Eip"
EIP_ASSOCIATION = "ec2/eipAssociation:EipAssociation"
VPC = "ec2/vpc:Vpc"
SUBNET = "ec2/subnet:Subnet"
GATEWAY = "ec2/internetGateway:InternetGateway"
TABLE = "ec2/routeTable:RouteTable"
ROUTE = "ec2/route:Route"
MAIN_ASSOCIATION = "ec2/mainRouteTableAssociation:MainRouteTableAssociation"
TABLE_ASSOCIATION = "ec2/routeTableAssociation:RouteTableAssociation"
DEBIAN = [{"name": "name", "values": ["debian-13-amd64-*"]}]


class Amazon:
    """One plug-in with credentials and a region."""

    def __init__(self, **settings: Any) -> None:
        self.provider: Provider = aws.provider(VERSION)
        given = {"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKey": "test", "region": REGION, **settings}
        assert Direct(self.provider, "").configure(**given) == {}

    def __call__(self, kind: str, name: str = "it") -> Direct:
        """One resource type, by the end of its token."""
        return Direct(self.provider, f"aws:{kind}", name)

    def ask(self, function: str, **inputs: Any) -> Properties:
        """Call a function, by the end of its token."""
        return Direct(self.provider, "").invoke(f"aws:{function}", **inputs)

    def default_vpc(self) -> str:
        """The id of the region's default VPC."""
        return str(self.ask("ec2/getVpc:getVpc", default=True)["id"])

    def network(self, cidr: str = "10.7.0.0/16") -> tuple[str, dict[str, str]]:
        """A VPC with a subnet in each of the first two zones; its id and theirs by zone."""
        vpc, _ = self(VPC).create(cidrBlock=cidr)
        begin = cidr.split(".0.0/")[0]
        subnets = {
            zone: self(SUBNET, zone).create(vpcId=vpc, cidrBlock=f"{begin}.{number}.0/24", availabilityZone=zone)[0]
            for number, zone in enumerate(catalog.zones(REGION)[:2])
        }
        return vpc, subnets

    def instance(self, name: str = "web", **more: Any) -> tuple[str, Properties]:
        """A new instance: its id and outputs."""
        return self(INSTANCE, name).create(**{"ami": image(), "instanceType": "t3.micro", **more})

    def rule(self, group: str, port: int, **more: Any) -> tuple[str, Properties]:
        """A rule that lets everybody come to a TCP port, or `more`."""
        source = {} if more.keys() & {"cidrIpv4", "referencedSecurityGroupId"} else {"cidrIpv4": "0.0.0.0/0"}
        wishes = {"securityGroupId": group, "ipProtocol": "tcp", "fromPort": port, "toPort": port, **source, **more}
        return self(INGRESS, f"{port}").create(**wishes)


def image(name: str = "debian-13-amd64", region: str = REGION) -> str:
    """The id of the newest image whose name begins so."""
    found = [image for image in catalog.images() if image.name.startswith(name)]
    return max(found, key=lambda image: image.created).id(region)


def public_key(kind: str = "ed25519") -> str:
    """A public key that nobody has seen before."""
    make = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]
    form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return make().public_key().public_bytes(*form).decode() + " somebody"


def refused(direct: Direct, **inputs: Any) -> str:
    """The text with which a creation is refused, at the check or by the service."""
    _, failures = direct.check(**inputs)
    if failures:
        return "; ".join(f"{name}: {reason}" for name, reason in failures.items())
    with pytest.raises(CallFailedError) as error:
        direct.create(**inputs)
    return str(error.value)
