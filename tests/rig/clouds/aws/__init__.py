"""A stand-in for pulumi-aws 7: EC2 with its networks, RDS, Lightsail, and the look-ups that go with them.

Sources of what it does and refuses, named in each module and test: hashicorp/terraform-provider-aws, which pulumi-aws
bridges; pulumi/pulumi-aws, `provider/`; Amazon's documentation; the models of botocore and the data of moto. Shapes of
inputs and outputs are the installed SDK's.
"""

from __future__ import annotations

from typing import NoReturn

from ...provider import Provider, serve_provider
from ..account import Account
from . import (
    addresses,
    ec2,
    groups,
    keys,
    lightsail,
    lightsail_database,
    lightsail_network,
    lookups,
    rds,
    rds_groups,
    routes,
    settling,
    vpc,
)
from .common import AwsResource
from .configuration import AwsConfiguration

RESOURCES: dict[str, type[AwsResource]] = {
    "aws:ec2/vpc:Vpc": vpc.Vpc,
    "aws:ec2/subnet:Subnet": vpc.Subnet,
    "aws:ec2/internetGateway:InternetGateway": vpc.InternetGateway,
    "aws:ec2/routeTable:RouteTable": routes.RouteTable,
    "aws:ec2/route:Route": routes.Route,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": routes.RouteTableAssociation,
    "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation": routes.MainRouteTableAssociation,
    "aws:ec2/securityGroup:SecurityGroup": groups.SecurityGroup,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": groups.SecurityGroupIngressRule,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": groups.SecurityGroupEgressRule,
    "aws:ec2/keyPair:KeyPair": keys.KeyPair,
    "aws:ec2/instance:Instance": ec2.Instance,
    "aws:ec2/eip:Eip": addresses.Eip,
    "aws:ec2/eipAssociation:EipAssociation": addresses.EipAssociation,
    "aws:rds/subnetGroup:SubnetGroup": rds_groups.SubnetGroup,
    "aws:rds/parameterGroup:ParameterGroup": rds_groups.ParameterGroup,
    "aws:rds/instance:Instance": rds.Instance,
    "aws:lightsail/keyPair:KeyPair": lightsail.KeyPair,
    "aws:lightsail/instance:Instance": lightsail.Instance,
    "aws:lightsail/instancePublicPorts:InstancePublicPorts": lightsail_network.InstancePublicPorts,
    "aws:lightsail/staticIp:StaticIp": lightsail_network.StaticIp,
    "aws:lightsail/staticIpAttachment:StaticIpAttachment": lightsail_network.StaticIpAttachment,
    "aws:lightsail/database:Database": lightsail_database.Database,
}


def provider(version: str) -> Provider:
    """The provider under the SDK's type tokens."""
    functions = {token: kind() for token, kind in lookups.FUNCTIONS.items()}
    return Provider("aws", version, {token: kind() for token, kind in RESOURCES.items()}, functions,
                    AwsConfiguration("aws"))  # fmt: skip


def settle(account: Account) -> None:
    """Derive filters and public addresses again: what was deleted behind Pulumi's back had its part in them."""
    settling.settle(account)


def serve(address: str, version: str) -> NoReturn:
    """What the launcher calls."""
    serve_provider(provider(version), address)
