"""`DropletServer`: a droplet of DigitalOcean with a firewall and a reserved IP of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NotRequired

import pulumi
import pulumi_digitalocean as digitalocean

from ..firewall import ANYWHERE, rules_with
from .checks import check_known
from .common import Draft, MachineArgs, Made, Server, StaticAddress, begin, check_machine, finish, user_data
from .forms import DO_IMAGE, DO_REGION, DO_SIZE, DO_TAG, PROJECT, VPC_UUID
from .grantee import granted
from .later import tell_later, tell_region
from .openings import Opening, check_openings, openings
from .sizes import DROPLET_SIZE, check_memory

DEFAULT_REGION = "fra1"
DEFAULT_IMAGE = "debian-13-x64"
OUTBOUND = (("tcp", "1-65535"), ("udp", "1-65535"), ("icmp", None))
"""Everything that a firewall knows: what no rule names is dropped, outwards too."""
MOST_OPENINGS = 50 - len(OUTBOUND)
"""A firewall has at most 50 rules."""


class DropletServerArgs(MachineArgs):
    """All may be left out. The credentials are the provider's."""

    region: NotRequired[str]
    """Where server and address are, and stay: another region is another server. Default: "fra1"."""
    size: NotRequired[str]
    """A change resizes the droplet, which is off for some minutes; its disk can only grow. Default: "s-1vcpu-1gb"."""
    image: NotRequired[str]
    """Slug of an image with Debian or Ubuntu, or the id of one of your own; default: "debian-13-x64"."""
    vpc_uuid: NotRequired[pulumi.Input[str]]
    """Id of the VPC that the droplet is in; default: the region's default VPC, or see `own_vpc`."""
    own_vpc: NotRequired[bool]
    """A VPC that nothing else is in. Default: false, as the first VPC that an account has in a region becomes its
    default one, which DigitalOcean lets nobody delete: `pulumi destroy` would fail. (A VPC keeps nobody out that the
    firewall does not: that filters both networks of a droplet.)"""
    project_id: NotRequired[pulumi.Input[str]]
    """Id of the project to show the droplet in; default: the account's default project."""
    tags: NotRequired[Sequence[str]]
    """Tags of the droplet; default: none."""


class DropletServer(Server):
    """A Debian or Ubuntu droplet with IPv6 and monitoring, and an address that outlives it.

    Made are an SSH key (always: without one DigitalOcean mails a password for root), a tag by which the firewall knows
    the droplets of all generations from their first packet on, the firewall, the droplet and a reserved IP. Unless
    `experiment` is set, data and address are protected: `pulumi destroy` says so and removes nothing.
    """

    vpc_uuid: pulumi.Output[str]
    """Id of the VPC that it is in."""

    def __init__(
        self, name: str, args: DropletServerArgs | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = args or {}
        _check(args)
        super().__init__("slipway:index:DropletServer", name, None, opts)
        draft = begin(self, name, args)
        address = digitalocean.ReservedIp(
            f"{name}-address",
            region=args.get("region", DEFAULT_REGION),
            # Whatever else is moved to another region, an address cannot be.
            opts=pulumi.ResourceOptions(parent=self, protect=not draft.experiment, ignore_changes=["region"]),
        )
        tag, firewall = _firewall(draft)
        machine = _machine(draft, args, address.region, tag, firewall)
        if "project_id" in args:
            digitalocean.ProjectResources(
                f"{name}-project",
                project=args["project_id"],
                resources=[machine.droplet_urn],  # an address that is assigned goes where its droplet is
                opts=draft.child,
            )

        def assign(opts: pulumi.ResourceOptions) -> pulumi.Resource:
            # The old assignment goes first: an up that fails leaves it to be removed later, and if the stack has gone
            # back to the old droplet by then, that would take the address from it.
            first = pulumi.ResourceOptions(delete_before_replace=True)
            return digitalocean.ReservedIpAssignment(
                f"{name}-assignment",
                ip_address=address.ip_address,
                droplet_id=machine.id.apply(int),
                opts=pulumi.ResourceOptions.merge(opts, first),
            )

        finish(
            draft,
            Made(machine, machine.id, machine.name, machine.ipv4_address, machine.ipv4_address_private),
            StaticAddress(address.ip_address, assign),
        )
        self.vpc_uuid = machine.vpc_uuid
        self.grantee = granted(
            droplet=machine.id,
            tag=tag.name,
            # What goes out comes from the droplet's own address, not from the reserved one.
            address=machine.ipv4_address,
            private_address=machine.ipv4_address_private,
        )
        self.register_outputs(
            {
                "host": self.host,
                "address": self.address,
                "private_key": self.private_key,
                "vpc_uuid": self.vpc_uuid,
            }
        )


def inbound_rules(opened: Iterable[Opening]) -> list[digitalocean.FirewallInboundRuleArgs]:
    """The rules of what may come in."""
    return [
        digitalocean.FirewallInboundRuleArgs(
            protocol=opening.protocol, port_range=str(opening.port), source_addresses=list(opening.sources)
        )
        for opening in opened
    ]


def _check(args: DropletServerArgs) -> None:
    check_known(args, DropletServerArgs)
    for key, form in (
        ("region", DO_REGION),
        ("size", DO_SIZE),
        ("image", DO_IMAGE),
        ("vpc_uuid", VPC_UUID),
        ("project_id", PROJECT),
    ):
        form.check(key, args.get(key))
    if args.get("own_vpc") and "vpc_uuid" in args:
        raise ValueError("own_vpc: true beside vpc_uuid, but a droplet is in one VPC; remove one of them")
    for number, tag in enumerate(args.get("tags", ())):
        DO_TAG.check(f"tags[{number}]", tag)
    check_memory("droplet", args)
    check_machine(args)
    check_openings(rules_with(args.get("firewall", ())), MOST_OPENINGS, "a firewall of DigitalOcean")


def _firewall(draft: Draft) -> tuple[digitalocean.Tag, digitalocean.Firewall]:
    tag = digitalocean.Tag(f"{draft.name}-tag", opts=draft.child)
    firewall = digitalocean.Firewall(
        f"{draft.name}-firewall",
        tags=[tag.name],
        inbound_rules=inbound_rules(openings(draft.firewall)),
        outbound_rules=[
            digitalocean.FirewallOutboundRuleArgs(
                protocol=protocol, port_range=ports, destination_addresses=list(ANYWHERE)
            )
            for protocol, ports in OUTBOUND
        ],
        opts=draft.child,
    )
    return tag, firewall


def _vpc(draft: Draft, args: DropletServerArgs, region: pulumi.Output[str]) -> pulumi.Input[str] | None:
    return _own_vpc(draft, region).id if args.get("own_vpc") else args.get("vpc_uuid")


def _own_vpc(draft: Draft, region: pulumi.Output[str]) -> digitalocean.Vpc:
    vpc = digitalocean.Vpc(f"{draft.name}-vpc", region=region, opts=draft.child)

    def tell(default: bool) -> None:
        if default:
            pulumi.log.warn(
                f"{draft.name}: its own VPC is the first of the account in this region and hence the default one, "
                "which DigitalOcean lets nobody delete: make another one the default (`doctl vpcs update … --default`) "
                "before `pulumi destroy`, then `pulumi refresh`"
            )

    vpc.default.apply(tell)
    return vpc


def _machine(
    draft: Draft,
    args: DropletServerArgs,
    region: pulumi.Output[str],
    tag: digitalocean.Tag,
    firewall: digitalocean.Firewall,
) -> digitalocean.Droplet:
    key = digitalocean.SshKey(f"{draft.name}-key", public_key=draft.keys.deploy_public, opts=draft.child)
    machine = digitalocean.Droplet(
        draft.of_generation("machine"),
        name=draft.hostname,
        region=region,
        size=args.get("size", DROPLET_SIZE),
        image=args.get("image", DEFAULT_IMAGE),
        vpc_uuid=_vpc(draft, args, region),
        ssh_keys=[key.fingerprint],
        user_data=user_data(draft, args),
        ipv6=True,
        monitoring=True,
        graceful_shutdown=True,
        tags=[tag.name, *args.get("tags", ())],
        opts=pulumi.ResourceOptions(
            parent=draft.server,
            depends_on=[firewall],
            # All that would replace it: that is done by raising the generation, and by nothing else.
            ignore_changes=["image", "region", "ssh_keys", "user_data", "vpc_uuid"],
        ),
    )
    had = tell_later(draft, args, at_once=("project_id", "region", "size", "tags"))
    if not args.get("own_vpc"):
        # One that the droplet was made in cannot be deleted before it: it goes with the next generation.
        had.apply(lambda made_with: _own_vpc(draft, region) if made_with("own_vpc", True) else None)
    tell_region(draft, args.get("region", DEFAULT_REGION), region)
    return machine
