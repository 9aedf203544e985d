"""`Ec2Server`: an instance on EC2 with a security group and an elastic IP of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NotRequired

import pulumi
import pulumi_aws as aws

from ..firewall import ANYWHERE, rules_with
from .checks import check_known
from .common import (
    Draft,
    MachineArgs,
    Made,
    Server,
    StaticAddress,
    begin,
    check_machine,
    finish,
    host_name,
    user_data,
)
from .forms import AMI, INSTANCE_TYPE, SUBNET
from .grantee import granted
from .images import DEFAULT_IMAGE, check_image, newest_image
from .later import first_address, first_value, tell_later
from .openings import Opening, check_openings, openings
from .sizes import INSTANCE_TYPE as DEFAULT_INSTANCE_TYPE
from .sizes import check_memory

DEFAULT_DISK = 16
LEAST_DISK, GREATEST_DISK = 8, 16384
"""GiB: what the images need, and the greatest gp3 volume that every region has."""
MOST_OPENINGS = 60
"""EC2's default quota: rules of a security group, for IPv4 and for IPv6 each."""


class Ec2ServerArgs(MachineArgs):
    """All may be left out. The region and the credentials are the provider's."""

    instance_type: NotRequired[str]
    """Its architecture decides the image's; a change stops the machine for a minute. Default: "t3.micro" (1 GiB)."""
    image: NotRequired[str]
    """"debian-13" (default), "debian-12" or "ubuntu-24.04", the newest there is when the machine is made."""
    ami: NotRequired[pulumi.Input[str]]
    """Id of an image of your own (Debian or Ubuntu, with cloud-init), in place of `image`."""
    disk: NotRequired[int]
    """GiB of the encrypted root disk (gp3), which can be enlarged later; default: 16."""
    subnet_id: NotRequired[pulumi.Input[str]]
    """A public subnet; default: one of the region's default VPC. With the `generation` that goes to another VPC, the
    security group goes, too."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags of all that is made, besides "Name"; default: none."""


class Ec2Server(Server):
    """A Debian or Ubuntu machine on EC2: IMDSv2 alone, encrypted disk, an address that outlives it.

    Made are a security group with one rule resource for each port and source, a key pair, the instance and an elastic
    IP. Unless `experiment` is set, data and address are protected: `pulumi destroy` says so and removes nothing. The
    machine has EC2's own termination protection then, which keeps everybody but the plug-in from ending it: that one
    must, when a new generation has taken its place (`force_destroy`).
    """

    security_group_id: pulumi.Output[str]
    """Id of its security group."""
    vpc_id: pulumi.Output[str]
    """Id of the VPC that it is in."""

    def __init__(
        self, name: str, args: Ec2ServerArgs | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = args or {}
        _check(args)
        super().__init__("slipway:index:Ec2Server", name, None, opts)
        draft = begin(self, name, args)
        self.vpc_id = first_value(draft, "vpc", _vpc_id(args, pulumi.InvokeOptions(parent=self)))
        group, rules = _firewall(draft, args, self.vpc_id)
        machine = _machine(draft, args, group, rules)
        address = aws.ec2.Eip(
            f"{name}-address",
            domain="vpc",
            tags=_tags(args, host_name(name, "")),
            opts=pulumi.ResourceOptions(parent=self, protect=not draft.experiment),
        )

        def assign(opts: pulumi.ResourceOptions) -> pulumi.Resource:
            # Another machine is a replacement: the new association takes the address away from the old machine, and
            # removing the old one, which exists no more, then does nothing.
            return aws.ec2.EipAssociation(
                f"{name}-assignment",
                allocation_id=address.allocation_id,
                instance_id=machine.id,
                allow_reassociation=True,
                opts=opts,
            )

        own_address = first_address(draft, machine.id, machine.public_ip)
        finish(
            draft,
            Made(machine, machine.id, draft.hostname, own_address, machine.private_ip),
            StaticAddress(address.public_ip, assign),
        )
        self.security_group_id = group.id
        self.grantee = granted(security_group=group.id, address=address.public_ip, private_address=machine.private_ip)
        self.register_outputs(
            {
                "host": self.host,
                "address": self.address,
                "private_key": self.private_key,
                "security_group_id": self.security_group_id,
                "vpc_id": self.vpc_id,
            }
        )


@dataclass(frozen=True)
class Ingress:
    """The arguments of one rule resource: a port and one source."""

    ip_protocol: str
    from_port: int
    to_port: int
    description: str
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None


def ingress_rules(opened: tuple[Opening, ...]) -> dict[str, Ingress]:
    """The rule resources of a security group, by what their names end in.

    The name says the rule, so that a changed rule is another resource: replacing one would be refused as a duplicate
    while the old one is there.
    """
    return {
        f"{opening.protocol}-{opening.port}-{_word(source)}": Ingress(
            opening.protocol,
            opening.port,
            opening.port,
            opening.name,
            cidr_ipv4=source if source in opening.ipv4 else None,
            cidr_ipv6=source if source in opening.ipv6 else None,
        )
        for opening in opened
        for source in opening.sources
    }


def _word(source: str) -> str:
    """A network as part of a name, in which Pulumi allows no `::`."""
    known = dict(zip(ANYWHERE, ("anywhere-ipv4", "anywhere-ipv6"), strict=True))
    return known.get(source) or source.replace(":", ".").replace("/", "-")


def _check(args: Ec2ServerArgs) -> None:
    check_known(args, Ec2ServerArgs)
    INSTANCE_TYPE.check("instance_type", args.get("instance_type"))
    check_memory("ec2", args)
    AMI.check("ami", args.get("ami"))
    SUBNET.check("subnet_id", args.get("subnet_id"))
    if "ami" in args and "image" in args:
        raise ValueError(f"image: {args['image']!r} is given beside ami, which takes its place; remove one of them")
    check_image(args.get("image", DEFAULT_IMAGE))
    disk = args.get("disk", DEFAULT_DISK)
    if not LEAST_DISK <= disk <= GREATEST_DISK:
        raise ValueError(f"disk: {disk!r} GiB is out of range; give {LEAST_DISK} to {GREATEST_DISK}")
    check_machine(args)
    check_openings(rules_with(args.get("firewall", ())), MOST_OPENINGS, "a security group")


def _tags(args: Ec2ServerArgs, name: str) -> dict[str, pulumi.Input[str]]:
    return {"Name": name, **args.get("tags", {})}


def _vpc_id(args: Ec2ServerArgs, opts: pulumi.InvokeOptions) -> pulumi.Output[str]:
    if "subnet_id" in args:
        return aws.ec2.get_subnet_output(id=args["subnet_id"], opts=opts).vpc_id
    return aws.ec2.get_vpc_output(default=True, opts=opts).id


def _firewall(
    draft: Draft, args: Ec2ServerArgs, vpc_id: pulumi.Output[str]
) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
    """The security group and the rules without which it lets nothing in, and nothing out."""
    tags = _tags(args, host_name(draft.name, ""))
    name = f"{draft.name}-firewall"
    group = aws.ec2.SecurityGroup(
        name, description="The ports of a Slipway server", vpc_id=vpc_id, tags=tags, opts=draft.child
    )
    rules: list[pulumi.Resource] = [
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-{ending}", security_group_id=group.id, tags=tags, opts=draft.child, **asdict(rule)
        )
        for ending, rule in ingress_rules(openings(draft.firewall)).items()
    ]
    rules += [
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-out-{family}",
            security_group_id=group.id,
            ip_protocol="-1",
            cidr_ipv4=ANYWHERE[0] if family == "ipv4" else None,
            cidr_ipv6=ANYWHERE[1] if family == "ipv6" else None,
            tags=tags,
            opts=draft.child,
        )
        for family in ("ipv4", "ipv6")
    ]
    return group, rules


def _newest_image(draft: Draft, args: Ec2ServerArgs, instance_type: str) -> pulumi.Output[str]:
    lookup = pulumi.InvokeOptions(parent=draft.server)
    return newest_image(args.get("image", DEFAULT_IMAGE), instance_type, lookup)


def _machine(
    draft: Draft, args: Ec2ServerArgs, group: aws.ec2.SecurityGroup, rules: list[pulumi.Resource]
) -> aws.ec2.Instance:
    key = aws.ec2.KeyPair(
        f"{draft.name}-key",
        public_key=draft.keys.deploy_public,
        tags=_tags(args, host_name(draft.name, "")),
        opts=draft.child,
    )
    instance_type = args.get("instance_type", DEFAULT_INSTANCE_TYPE)
    image = args["ami"] if "ami" in args else _newest_image(draft, args, instance_type)
    tags = _tags(args, draft.hostname)
    machine = aws.ec2.Instance(
        draft.of_generation("machine"),
        ami=image,
        instance_type=instance_type,
        key_name=key.key_name,
        subnet_id=args.get("subnet_id"),
        vpc_security_group_ids=[group.id],
        associate_public_ip_address=True,
        user_data=user_data(draft, args),
        metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
            volume_type="gp3",
            volume_size=args.get("disk", DEFAULT_DISK),
            encrypted=True,
            delete_on_termination=True,
            tags=tags,
        ),
        disable_api_termination=not draft.experiment,
        force_destroy=True,
        tags=tags,
        opts=pulumi.ResourceOptions(
            parent=draft.server,
            depends_on=rules,
            # All that would replace it: that is done by raising the generation, and by nothing else.
            ignore_changes=[
                "ami",
                "associate_public_ip_address",
                "key_name",
                "subnet_id",
                "user_data",
                "user_data_base64",
            ],
        ),
    )
    tell_later(draft, args, at_once=("disk", "instance_type", "tags"))
    return machine
