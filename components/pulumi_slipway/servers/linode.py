"""`LinodeServer`: a Linode with a firewall and, where the account has them, a reserved IP of its own."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import NotRequired

import pulumi
import pulumi_linode as linode
import pulumi_random as random

from ..bootstrap import USER_DATA_LIMIT, UserDataTooLargeError
from ..firewall import rules_with
from ..observe import observe_serving
from ..remote import Target
from .checks import check_known
from .common import Draft, MachineArgs, Made, Server, StaticAddress, begin, check_machine, finish, host_name, user_data
from .forms import LINODE_IMAGE, LINODE_REGION, LINODE_TAG, LINODE_TYPE
from .grantee import granted
from .later import tell_later, tell_region
from .openings import Opening, check_openings, openings
from .sizes import LINODE_TYPE as DEFAULT_TYPE
from .sizes import check_memory

DEFAULT_REGION = "eu-central"
DEFAULT_IMAGE = "linode/debian13"
MOST_OPENINGS = 25
"""Rules that a firewall may have."""
PRIVATE = ip_network("192.168.128.0/17")
"""The private addresses of a region's Linodes."""
_LONGEST_LABEL, _LONGEST_FIREWALL_LABEL = 50, 32


class LinodeServerArgs(MachineArgs):
    """All may be left out. The credentials are the provider's."""

    region: NotRequired[str]
    """One with the metadata service, as all core regions have it; with a reserved address the server stays there.
    Default: "eu-central"."""
    type: NotRequired[str]
    """Size; a change resizes the Linode, which is off for some minutes. Default: "g6-nanode-1" (1 GiB)."""
    image: NotRequired[str]
    """Image with Debian or Ubuntu, or one of your own ("private/…"); default: "linode/debian13"."""
    reserved_address: NotRequired[bool]
    """An address that outlives the machine. Akamai reserves addresses only for accounts that asked its support for it,
    hence default: false, and the address is another one after each new `generation`."""
    tags: NotRequired[Sequence[str]]
    """Tags of all that is made; default: none."""


class LinodeServer(Server):
    """A Debian or Ubuntu Linode, set up by the metadata service; nobody knows its root password.

    Made are a firewall that drops what no rule lets in, the Linode and, if wanted, a reserved address, for which the
    Linode is rebooted once. Unless `experiment` is set, data and address are protected: `pulumi destroy` says so and
    removes nothing.
    """

    def __init__(
        self, name: str, args: LinodeServerArgs | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = args or {}
        _check(args)
        super().__init__("slipway:index:LinodeServer", name, None, opts)
        draft = begin(self, name, args)
        # Labels are unique in an account, and have no random part by themselves.
        self._unique = random.RandomId(f"{name}-id", byte_length=3, opts=draft.child).hex
        reserved = _reserve(draft, args) if args.get("reserved_address") else None
        machine = _machine(draft, args, self._unique, reserved)
        own_address = pulumi.Output.all(machine.ipv4s, reserved.address if reserved else "").apply(
            lambda known: first_own(known[0], known[1])
        )
        former = finish(
            draft,
            Made(machine, machine.id, machine.label, own_address, own_address),
            _static(draft, machine, reserved) if reserved else None,
        )
        # What goes out comes from the Linode's own address, not from the reserved one.
        self.grantee = granted(address=own_address, private_address=own_address, former=_serving(draft, former))
        self.register_outputs({"host": self.host, "address": self.address, "private_key": self.private_key})


def inbound_rules(opened: Iterable[Opening]) -> list[linode.FirewallInboundArgs]:
    """The rules of what may come in; all else is dropped by the firewall's policy."""
    return [
        linode.FirewallInboundArgs(
            label=f"accept-{opening.protocol}-{opening.port}",
            action="ACCEPT",
            protocol=opening.protocol.upper(),
            ports=str(opening.port),
            ipv4s=list(opening.ipv4) or None,
            ipv6s=list(opening.ipv6) or None,
        )
        for opening in opened
    ]


def label(prefix: str, name: str, suffix: str, longest: int) -> str:
    """A label as Linode takes it: letters and digits, and between them single dashes."""
    words = re.sub("-+", "-", host_name(name, ""))
    room = longest - len(prefix) - len(suffix)
    return prefix + words[:room].strip("-") + suffix


def first_own(addresses: Sequence[str], reserved: str) -> str:
    """A Linode's own public address among all that it has."""
    own = [text for text in addresses if text != reserved and ip_address(text) not in PRIVATE]
    return min(own, key=ip_address)


def encoded(text: str) -> str:
    """User data in base64; raises `UserDataTooLargeError`.

    The API's documentation has the limit as 65535 bytes "or about 16kb encoded", which is not the same.
    """
    data = base64.b64encode(text.encode()).decode()
    if len(data) > USER_DATA_LIMIT:
        raise UserDataTooLargeError(
            f"user data are {len(data)} bytes in base64, over Linode's limit of {USER_DATA_LIMIT}: shorten admin_keys "
            "or firewall"
        )
    return data


def _check(args: LinodeServerArgs) -> None:
    check_known(args, LinodeServerArgs)
    LINODE_REGION.check("region", args.get("region"))
    LINODE_TYPE.check("type", args.get("type"))
    LINODE_IMAGE.check("image", args.get("image"))
    for number, tag in enumerate(args.get("tags", ())):
        LINODE_TAG.check(f"tags[{number}]", tag)
    check_memory("linode", args)
    check_machine(args)
    check_openings(rules_with(args.get("firewall", ())), MOST_OPENINGS, "a firewall of Linode")


def _reserve(draft: Draft, args: LinodeServerArgs) -> linode.ReservedIp:
    return linode.ReservedIp(
        f"{draft.name}-address",
        region=args.get("region", DEFAULT_REGION),
        tags=args.get("tags"),
        # Whatever else is moved to another region, an address cannot be.
        opts=pulumi.ResourceOptions(parent=draft.server, protect=not draft.experiment, ignore_changes=["region"]),
    )


def _static(draft: Draft, machine: linode.Instance, reserved: linode.ReservedIp) -> StaticAddress:
    def assign(opts: pulumi.ResourceOptions) -> pulumi.Resource:
        # An address is given to a Linode only while it is no other's: the old assignment goes first. The Linode learns
        # of its new address when it boots.
        first = pulumi.ResourceOptions(delete_before_replace=True)
        return linode.ReservedIpAssignment(
            f"{draft.name}-assignment",
            address=reserved.address,
            linode_id=machine.id.apply(int),
            apply_immediately=True,
            opts=pulumi.ResourceOptions.merge(opts, first),
        )

    return StaticAddress(reserved.address, assign)


def _serving(draft: Draft, former: pulumi.Output[str]) -> pulumi.Input[str]:
    """`former` for as long as no app serves on the machine that has taken its place: the up that replaced it does not
    see the end of that, the next one does. The first generation, which replaces none, is not waited for."""
    if draft.generation == 1:
        return ""
    target = Target(draft.server.host, draft.server.private_key)  # type: ignore[arg-type]

    def look(address: str) -> pulumi.Output[str]:
        if not address:
            return pulumi.Output.from_input("")
        return observe_serving(target).apply(lambda serving: "" if serving else address)

    return former.apply(look)


def _machine(
    draft: Draft, args: LinodeServerArgs, unique: pulumi.Output[str], reserved: linode.ReservedIp | None
) -> linode.Instance:
    firewall = linode.Firewall(
        f"{draft.name}-firewall",
        label=unique.apply(lambda digits: label("fw-", draft.name, f"-{digits}", _LONGEST_FIREWALL_LABEL)),
        inbound_policy="DROP",
        outbound_policy="ACCEPT",
        inbounds=inbound_rules(openings(draft.firewall)),
        tags=args.get("tags"),
        opts=draft.child,
    )
    region = args.get("region", DEFAULT_REGION)
    machine = linode.Instance(
        draft.of_generation("machine"),
        label=unique.apply(lambda digits: label("", draft.name, f"-{draft.generation}-{digits}", _LONGEST_LABEL)),
        region=reserved.region if reserved else region,
        type=args.get("type", DEFAULT_TYPE),
        image=args.get("image", DEFAULT_IMAGE),
        authorized_keys=[draft.keys.deploy_public],
        metadatas=[linode.InstanceMetadataArgs(user_data=user_data(draft, args).apply(encoded))],
        firewall_id=firewall.id.apply(int),
        # What the account has as its default may be another one, which boots only after more has been made for it.
        interface_generation="legacy_config",
        tags=args.get("tags"),
        opts=pulumi.ResourceOptions(
            parent=draft.server,
            # All that would replace it or move it elsewhere: that is done by raising the generation.
            ignore_changes=["authorized_keys", "firewall_id", "image", "interface_generation", "metadatas", "region"],
        ),
    )
    if reserved:
        tell_region(draft, region, reserved.region)
    tell_later(draft, args, at_once=("reserved_address", "tags", "type", *(("region",) if reserved else ())))
    return machine
