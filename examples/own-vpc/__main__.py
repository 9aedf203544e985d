"""The guestbook on EC2 with PostgreSQL on RDS, in a VPC of one's own and by a provider of one's own."""

import pulumi
import pulumi_aws as aws

from pulumi_slipway import Ec2Server, RdsDatabase, WebApp

config = pulumi.Config()
frankfurt = aws.Provider("frankfurt", region="eu-central-1")
own = pulumi.ResourceOptions(provider=frankfurt)

# ---------------------------------------------------------------- the network: one public subnet, two private ones
vpc = aws.ec2.Vpc("vpc", cidr_block="10.20.0.0/16", enable_dns_hostnames=True, opts=own)
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id, opts=own)
public = aws.ec2.Subnet("public", vpc_id=vpc.id, cidr_block="10.20.0.0/24", availability_zone="eu-central-1a", opts=own)
table = aws.ec2.RouteTable(
    "public", vpc_id=vpc.id, routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": gateway.id}], opts=own
)
aws.ec2.RouteTableAssociation("public", subnet_id=public.id, route_table_id=table.id, opts=own)
private = [
    aws.ec2.Subnet(
        f"private-{zone}",
        vpc_id=vpc.id,
        cidr_block=f"10.20.{number}.0/24",
        availability_zone=f"eu-central-1{zone}",
        opts=own,
    )
    for number, zone in enumerate("ab", start=1)
]

# ---------------------------------------------------------------- Slipway
components = pulumi.ResourceOptions(providers=[frankfurt])
server = Ec2Server("server", {"subnet_id": public.id, "experiment": True}, opts=components)
rds = {"engine": "postgresql", "subnet_ids": [subnet.id for subnet in private], "servers": [server.grantee]}
authorities = config.get("ca-certificate")  # needed only where Amazon's usual ones are not in use
database = RdsDatabase(
    "database",
    {**rds, "experiment": True, **({"ca_certificate": authorities} if authorities else {})},
    opts=components,
)
guestbook = WebApp(
    "guestbook",
    {
        "host": server.host,
        "private_key": server.private_key,
        "machine": server.machine,
        "database": database.database,
        "database_password": database.password,
        "path": "../guestbook",
        "health": {"path": "/healthz"},
    },
)
pulumi.export("url", guestbook.url)
