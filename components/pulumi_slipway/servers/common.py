"""What all servers are made of: keys, user data, the ready step, the guard of their data, their address.

```
keys ─▶ user data ─▶ machine ─▶ ready ─▶ data ─▶ (address assigned) ─▶ arrive ─▶ host ─▶ access
                     new with each generation     the old machine is reachable by its address until here
```
`begin` makes what a machine is made from, `finish` all that follows it; the machine itself and its address are the
target's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi

from ..access import summary
from ..bootstrap import Machine, check_user_data_fits, render_user_data
from ..firewall import FirewallRule, FirewallRuleArgs, rules_with
from ..host import READY_TIMEOUT, Host, host_from
from ..keys import ServerKeys
from ..remote import local_command, local_program
from .checks import check_keys, check_url
from .grantee import Grantee


class MachineArgs(TypedDict):
    """What every machine that Slipway makes can be told. `package_index` and `proxy` are used once, when it is made; a
    change takes effect with the next `generation`. `admin_keys` and `firewall` follow at once."""

    admin_keys: NotRequired[Sequence[str]]
    """Public SSH keys of people, who log in as `admin`; default: none."""
    package_index: NotRequired[str]
    """URL of the Python package index that the server uses; default: as its image is set up."""
    proxy: NotRequired[str]
    """URL of an HTTP proxy for the server's package clients; default: none."""
    firewall: NotRequired[Sequence[FirewallRuleArgs]]
    """Ports that are open besides 22, 80 and 443; default: none."""
    generation: NotRequired[int]
    """Raise it to have the machine replaced by a new one, which keeps the address; default: 1."""
    carry_data: NotRequired[bool]
    """What becomes of the apps' data (`shared/`) when the machine is replaced. true: they are brought to the new one;
    false: they go with the old one. Default: a machine with data is not replaced."""
    experiment: NotRequired[bool]
    """Protect nothing, so that `pulumi destroy` leaves nothing that is billed; default: false."""
    ready_timeout: NotRequired[int]
    """Seconds that the machine may take to become ready; default: 600."""


class Server(pulumi.ComponentResource):
    """A machine that is ready for apps, wherever it is."""

    host: pulumi.Output[Mapping[str, Any]]
    """How to reach it; known once it is ready. Holds no secret."""
    private_key: pulumi.Output[str]
    """The deploy key (secret)."""
    address: pulumi.Output[str]
    """The public address; it stays when the machine is replaced, where the cloud has such addresses."""
    grantee: pulumi.Output[Grantee]
    """What a database has to know to admit this server."""
    machine: pulumi.Resource | None
    """The machine resource: what is on it need not be removed when it goes. None: the machine is not ours."""


@dataclass(frozen=True)
class Draft:
    """A server whose machine is still to be made."""

    server: Server
    name: str
    generation: int
    experiment: bool
    carry_data: bool | None
    ready_timeout: int
    keys: ServerKeys
    firewall: Sequence[FirewallRule]
    admin_keys: Sequence[str]
    hostname: str

    @property
    def child(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self.server)

    def of_generation(self, suffix: str) -> str:
        """The name of a child that is new with each generation.

        A new name and not a replacement: what is ignored after creation (user data, image) would in a replacement be
        the old machine's, its boot host key included.
        """
        return f"{self.name}-{suffix}-{self.generation}"


def check_machine(args: MachineArgs) -> None:
    """Raises `ValueError` naming the argument, its value and the remedy."""
    generation, timeout = args.get("generation", 1), args.get("ready_timeout", READY_TIMEOUT)
    if generation < 1:
        raise ValueError(f"generation: {generation!r} is too small; give 1, and raise it to replace the machine")
    if timeout < 10:
        raise ValueError(f"ready_timeout: {timeout!r} seconds are too few; give at least 10")
    check_keys("admin_keys", args.get("admin_keys", ()))
    check_url("package_index", args.get("package_index"))
    check_url("proxy", args.get("proxy"))
    rules = rules_with(args.get("firewall", ()))
    check_user_data_fits(args.get("admin_keys", ()), rules, args.get("package_index"), args.get("proxy"))


def begin(server: Server, name: str, args: MachineArgs) -> Draft:
    """What the machine of `server` is made from; `args` were checked."""
    generation = args.get("generation", 1)
    return Draft(
        server=server,
        name=name,
        generation=generation,
        experiment=args.get("experiment", False),
        carry_data=args.get("carry_data"),
        ready_timeout=args.get("ready_timeout", READY_TIMEOUT),
        keys=ServerKeys(f"{name}-keys", generation, opts=pulumi.ResourceOptions(parent=server)),
        firewall=rules_with(args.get("firewall", ())),
        admin_keys=args.get("admin_keys", ()),
        hostname=host_name(name, f"-{generation}"),
    )


def host_name(name: str, suffix: str) -> str:
    """`project-stack-name` and `suffix`, cut so that it is a valid host name (63 characters)."""
    text = "-".join((pulumi.get_project(), pulumi.get_stack(), name)).lower()
    plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in text).strip("-")
    return plain[: 63 - len(suffix)].rstrip("-") + suffix


def user_data(
    draft: Draft,
    args: MachineArgs,
    *,
    hostname: pulumi.Input[str] | None = None,
    render: Callable[[Machine], str] = render_user_data,
) -> pulumi.Output[str]:
    """The user data (secret: it holds the boot host key), in the form that `render` gives it."""
    values = pulumi.Output.all(hostname or draft.hostname, draft.keys.boot_pair, draft.keys.deploy_public)
    return values.apply(
        lambda known: render(
            Machine(
                hostname=known[0],
                boot_host_key=known[1],
                deploy_keys=[known[2]],
                admin_keys=draft.admin_keys,
                package_index=args.get("package_index"),
                proxy=args.get("proxy"),
                firewall=draft.firewall,
            )
        )
    )


@dataclass(frozen=True)
class Made:
    """A machine as its cloud describes it."""

    resource: pulumi.Resource
    id: pulumi.Output[str]
    """Another machine has another id."""
    name: pulumi.Input[str]
    own_address: pulumi.Output[str]
    """Where it is reached before it is given the server's address."""
    private_address: pulumi.Output[str]
    patience: int = 0
    """Seconds in which sshd may still show the host keys of the image, because a launch script replaces them."""


@dataclass(frozen=True)
class StaticAddress:
    """The address that outlives machines."""

    address: pulumi.Output[str]
    assign: Callable[[pulumi.ResourceOptions], pulumi.Resource]
    """Makes the resource that gives it to the machine; called with the options that put this into its place."""


def finish(draft: Draft, made: Made, static: StaticAddress | None = None) -> pulumi.Output[str]:
    """Everything after the machine: sets the outputs `host`, `private_key`, `address` and `machine` of the server.

    Returns the own address of the machine that was the server before this one; empty: none.
    """
    server, keys = draft.server, draft.keys
    ready = local_command(
        draft.of_generation("ready"),
        create=local_program("ready"),
        document={
            "id": made.id,
            "name": made.name,
            "address": made.own_address,
            "private_address": made.private_address,
            "port": 22,
            "user": "deploy",
            "private_key": keys.deploy_private,
            "boot_public": keys.boot_pair.apply(lambda pair: pair.public),
            "host_private": keys.host_pair.apply(lambda pair: pair.private),
            "host_public": keys.host_pair.apply(lambda pair: pair.public),
            "timeout": draft.ready_timeout,
            "patience": made.patience,
        },
        triggers=[made.id],
        remembers=True,
        opts=pulumi.ResourceOptions(parent=server, deleted_with=made.resource),
    )
    data = _data(draft, host_from(ready.stdout), static)
    host = host_from(data.stdout)
    if static is not None:
        assigned = static.assign(pulumi.ResourceOptions(parent=server, depends_on=[data]))
        arrive = local_command(
            draft.of_generation("arrive"),
            create=local_program("arrive"),
            document={
                "host": host,
                "since": data.stdout.apply(lambda text: json.loads(text).get("since", 0)),
                "private_key": keys.deploy_private,
                "timeout": draft.ready_timeout,
            },
            triggers=[made.id, static.address],
            remembers=True,
            opts=pulumi.ResourceOptions(parent=server, depends_on=[assigned], deleted_with=made.resource),
        )
        host = host_from(arrive.stdout)
        _guard(draft, arrive)
    _access(draft, made, host)
    server.machine = made.resource
    server.host = host
    server.private_key = keys.deploy_private
    server.address = host["address"]
    former: pulumi.Output[str] = data.stdout.apply(lambda text: json.loads(text).get("former", ""))
    return former


def _guard(draft: Draft, arrive: pulumi.Resource) -> None:
    """Keeps what it waits for from a destroy without a preview, which would take the address from the machine before it
    came to the address itself, or to the data, and stopped."""
    pulumi.Stash(
        f"{draft.name}-protected",
        input="address and data",
        opts=pulumi.ResourceOptions(parent=draft.server, depends_on=[arrive], protect=not draft.experiment),
    )


def _access(draft: Draft, made: Made, host: pulumi.Output[Host]) -> None:
    """Has a machine that is there already follow the list of rules and the keys of people, by which it was made."""
    local_command(
        draft.of_generation("access"),
        create=f"{local_program('access')}  # {summary(draft.firewall, draft.admin_keys)}",
        document={
            "host": host,
            "private_key": draft.keys.deploy_private,
            "rules": [rule.for_agent() for rule in draft.firewall],
            "admin_keys": list(draft.admin_keys),
        },
        triggers=[made.id],
        opts=pulumi.ResourceOptions(parent=draft.server, deleted_with=made.resource),
    )


def _data(draft: Draft, host: pulumi.Output[Host], static: StaticAddress | None) -> Any:
    """Remembers which host has the data, and acts when that becomes another one; hence never replaced itself.

    It is also what stands for these data in the state: protected, it keeps `pulumi destroy` from taking them along.
    """
    return local_command(
        f"{draft.name}-data",
        create=local_program("carry"),
        document={
            "host": host,
            "address": static.address if static is not None else host["address"],
            "private_key": draft.keys.deploy_private,
            "carry_data": draft.carry_data,
        },
        remembers=True,
        opts=pulumi.ResourceOptions(parent=draft.server, protect=not draft.experiment),
    )
