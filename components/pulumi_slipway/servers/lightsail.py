"""`LightsailServer`: an instance of Amazon Lightsail with a static IP of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NotRequired

import pulumi
import pulumi_aws as aws
import pulumi_tls as tls

from ..bootstrap import render_launch_script
from .checks import check_known
from .common import Draft, MachineArgs, Made, Server, StaticAddress, begin, check_machine, finish, user_data
from .forms import AWS_ZONE, BLUEPRINT, BUNDLE
from .grantee import granted
from .later import first_address, tell_later
from .openings import Opening, openings
from .sizes import BUNDLE as DEFAULT_BUNDLE
from .sizes import check_memory

DEFAULT_BLUEPRINT = "debian_12"
PATIENCE = 300
"""Seconds from the first look at sshd until the launch script, which runs last of all at the first boot, has put the
boot host key in the place of the image's."""


class LightsailServerArgs(MachineArgs):
    """All may be left out. The region and the credentials are the provider's; they must be of a region that has
    Lightsail."""

    availability_zone: NotRequired[str]
    """One of the provider's region; default: its first, as "eu-central-1a"."""
    bundle: NotRequired[str]
    """Size, with a public IPv4 address; its last two numbers differ in some regions (`aws lightsail get-bundles`).
    Default: "micro_3_0" (1 GiB)."""
    blueprint: NotRequired[str]
    """Image with Debian or Ubuntu (`aws lightsail get-blueprints`); default: "debian_12"."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags of all that can have some; default: none."""


class LightsailServer(Server):
    """A Debian or Ubuntu machine on Lightsail, with an address that outlives it.

    Made are a key pair, the instance, its public ports (these and no others: by default 22 and 80 are open there, and
    443 is not) and a static IP. Unless `experiment` is set, data and address are protected: `pulumi destroy` says so
    and removes nothing.
    """

    def __init__(
        self, name: str, args: LightsailServerArgs | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = args or {}
        _check(args)
        super().__init__("slipway:index:LightsailServer", name, None, opts)
        draft = begin(self, name, args)
        machine = _machine(draft, args)
        ports = aws.lightsail.InstancePublicPorts(
            draft.of_generation("firewall"),
            instance_name=machine.name,
            port_infos=port_infos(openings(draft.firewall)),
            # Each change is a replacement, and removing the old ones closes their ports: that has to come first.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        address = aws.lightsail.StaticIp(
            f"{name}-address", opts=pulumi.ResourceOptions(parent=self, protect=not draft.experiment)
        )

        def assign(opts: pulumi.ResourceOptions) -> pulumi.Resource:
            # Removing an attachment detaches the address from whatever it is attached to (`DetachStaticIp` is told the
            # address alone): done last, as with other replacements, it would leave the address nowhere.
            first = pulumi.ResourceOptions(delete_before_replace=True)
            return aws.lightsail.StaticIpAttachment(
                f"{name}-assignment",
                static_ip_name=address.name,
                instance_name=machine.name,
                opts=pulumi.ResourceOptions.merge(opts, first),
            )

        # The machine is ready only once its ports are as they have to be.
        first = first_address(draft, machine.id, machine.public_ip_address)
        own_address = pulumi.Output.all(first, ports.id).apply(lambda known: str(known[0]))
        finish(
            draft,
            Made(machine, machine.id, machine.name, own_address, machine.private_ip_address, PATIENCE),
            StaticAddress(address.ip_address, assign),
        )
        self.grantee = granted(address=address.ip_address, private_address=machine.private_ip_address)
        self.register_outputs({"host": self.host, "address": self.address, "private_key": self.private_key})


def port_infos(opened: Iterable[Opening]) -> list[aws.lightsail.InstancePublicPortsPortInfoArgs]:
    """The public ports of an instance."""
    return [
        aws.lightsail.InstancePublicPortsPortInfoArgs(
            protocol=opening.protocol,
            from_port=opening.port,
            to_port=opening.port,
            cidrs=list(opening.ipv4) or None,
            ipv6_cidrs=list(opening.ipv6) or None,
        )
        for opening in opened
    ]


def _check(args: LightsailServerArgs) -> None:
    check_known(args, LightsailServerArgs)
    AWS_ZONE.check("availability_zone", args.get("availability_zone"))
    BLUEPRINT.check("blueprint", args.get("blueprint"))
    bundle = args.get("bundle", DEFAULT_BUNDLE)
    BUNDLE.check("bundle", bundle)
    for part, lack in (("ipv6", "has no IPv4 address, by which its visitors come"), ("win", "is for Windows")):
        if part in bundle.split("_"):
            raise ValueError(f"bundle: {bundle!r} {lack}; give one as {DEFAULT_BUNDLE}")
    check_memory("lightsail", args)
    check_machine(args)


def _machine(draft: Draft, args: LightsailServerArgs) -> aws.lightsail.Instance:
    # Lightsail takes public keys "of the ssh-rsa type" alone (ImportKeyPair), so it cannot have the deploy key. Without
    # one of its own the instance would admit the region's default key, which everybody of the account can fetch.
    rsa = tls.PrivateKey(f"{draft.name}-key-rsa", algorithm="RSA", rsa_bits=4096, opts=draft.child)
    key = aws.lightsail.KeyPair(
        f"{draft.name}-key",
        public_key=rsa.public_key_openssh.apply(str.strip),
        tags=args.get("tags"),
        opts=draft.child,
    )
    zone: pulumi.Input[str] = args.get("availability_zone", "") or _first_zone(draft)
    machine = aws.lightsail.Instance(
        draft.of_generation("machine"),
        availability_zone=zone,
        blueprint_id=args.get("blueprint", DEFAULT_BLUEPRINT),
        bundle_id=args.get("bundle", DEFAULT_BUNDLE),
        key_pair_name=key.name,
        user_data=user_data(draft, args, render=render_launch_script),
        tags=args.get("tags"),
        opts=pulumi.ResourceOptions(
            parent=draft.server,
            # All that would replace it: that is done by raising the generation, and by nothing else.
            ignore_changes=["availability_zone", "blueprint_id", "bundle_id", "key_pair_name", "user_data"],
        ),
    )
    tell_later(draft, args, at_once=("tags",))
    return machine


def _first_zone(draft: Draft) -> pulumi.Output[str]:
    region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=draft.server)).region
    return region.apply(lambda known: f"{known}a")
