"""`LocalServer`: a real Debian server booted on the operator's own Linux machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_random as random

from ..bootstrap import Machine, check_user_data_fits, render_user_data
from ..firewall import FirewallRuleArgs, rules_with
from ..host import READY_TIMEOUT, host_from_ready
from ..keys import ServerKeys
from ..remote import local_command, local_program, local_run
from .checks import check_keys, check_url

SUPPORTED_DEBIAN = (12, 13)


class LocalServerArgs(TypedDict):
    """All may be left out. What a machine is made with (all but `ready_timeout`) is used once, when it is made: a
    change warns, and takes effect with the next `generation`."""

    debian: NotRequired[int]
    """Release of Debian, 12 or 13; default: 13."""
    memory: NotRequired[int]
    """Limit in MiB; default: as much as the machine it runs on."""
    admin_keys: NotRequired[Sequence[str]]
    """Public SSH keys of people, who log in as `admin`; default: none."""
    package_index: NotRequired[str]
    """URL of the Python package index that the server uses; default: as on this machine."""
    proxy: NotRequired[str]
    """URL of an HTTP proxy for the server's package clients; default: as on this machine."""
    firewall: NotRequired[Sequence[FirewallRuleArgs]]
    """Ports that are open besides 22, 80 and 443; default: none."""
    generation: NotRequired[int]
    """Raise it to have the machine replaced by a new one, without its data; default: 1."""
    ready_timeout: NotRequired[int]
    """Seconds that the machine may take to become ready; default: 600."""


class LocalServer(pulumi.ComponentResource):
    """A Debian machine by systemd-nspawn, on a private network of this machine (needs Linux and root).

    Its data survive a stop and a reboot of this machine: the next `up` starts it again.
    """

    host: pulumi.Output[Mapping[str, Any]]
    """How to reach it; known once it is ready. Holds no secret."""
    private_key: pulumi.Output[str]
    """The deploy key (secret)."""
    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: LocalServerArgs | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = args or {}
        _check(args)
        super().__init__("slipway:index:LocalServer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        generation = args.get("generation", 1)

        keys = ServerKeys(f"{name}-keys", opts=child)
        suffix = random.RandomId(f"{name}-id", byte_length=3, keepers={"generation": str(generation)}, opts=child)
        machine_name = pulumi.Output.concat(_prefix(name), "-", suffix.hex)
        self.machine = _machine(name, args, machine_name, keys, child)
        description = self.machine.stdout.apply(json.loads)

        ready = local_command(
            f"{name}-ready",
            create=local_program("ready"),
            document={
                "id": description["id"],
                "name": description["name"],
                "address": description["address"],
                "private_address": description["address"],
                "port": 22,
                "user": "deploy",
                "private_key": keys.deploy_private,
                "boot_public": keys.boot_pair.apply(lambda pair: pair.public),
                "host_private": keys.host_pair.apply(lambda pair: pair.private),
                "host_public": keys.host_pair.apply(lambda pair: pair.public),
                "timeout": args.get("ready_timeout", READY_TIMEOUT),
            },
            triggers=[description["id"]],
            opts=pulumi.ResourceOptions(parent=self, deleted_with=self.machine),
        )
        self.host = host_from_ready(ready.stdout)
        self.private_key = keys.deploy_private
        self.address = self.host["address"]
        self.register_outputs({"host": self.host, "address": self.address, "private_key": self.private_key})


def _machine(
    name: str,
    args: LocalServerArgs,
    machine_name: pulumi.Output[str],
    keys: ServerKeys,
    child: pulumi.ResourceOptions,
) -> Any:
    """The machine as a command of the driver.

    pulumi-command cannot read, so the driver is asked each time, and what it says becomes an input: a machine that is
    gone changes `incarnation` (a trigger: replace it), one that is stopped changes `wake` (an update: start it). As a
    replacement is made before the old one is deleted, and may have its name, the delete names the incarnation too.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = local_run(pulumi.Output.concat(local_program("local", "status"), " ", machine_name)).apply(json.loads)
    incarnation = status.apply(lambda found: found["labels"].get("incarnation", now))
    wake = status.apply(lambda found: found["labels"].get("wake", now) if found["running"] else now)
    user_data = pulumi.Output.all(machine_name, keys.boot_pair, keys.deploy_public).apply(
        lambda values: render_user_data(
            Machine(
                hostname=values[0],
                boot_host_key=values[1],
                deploy_keys=[values[2]],
                admin_keys=args.get("admin_keys", ()),
                package_index=args.get("package_index"),
                proxy=args.get("proxy"),
                firewall=rules_with(args.get("firewall", ())),
            )
        )
    )
    made_with = status.apply(lambda found: _made_with(name, args, found))
    options = ["--debian", str(args.get("debian", 13))]
    if "memory" in args:
        options += ["--memory", str(args["memory"])]
    return local_command(
        f"{name}-machine",
        create=pulumi.Output.format(
            "{} --label incarnation={} --label wake={} --label made-with={} {}",
            local_program("local", "create", *options),
            incarnation,
            wake,
            made_with,
            machine_name,
        ),
        delete=pulumi.Output.format(
            "{} --label incarnation={} {}", local_program("local", "remove"), incarnation, machine_name
        ),
        # Needs no ignore_changes: the driver reads it for a new machine only, and ignored inputs would give a
        # replacement the old user data.
        stdin=user_data,
        triggers=[incarnation],
        opts=child,
    )


def _made_with(name: str, args: LocalServerArgs, found: Mapping[str, Any]) -> str:
    """A digest of what the machine was made with; warns when that is not what is asked for now."""
    asked = {key: value for key, value in args.items() if key not in ("ready_timeout", "generation")}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=list).encode()).hexdigest()[:12]
    made: str = found["labels"].get("made-with", digest)
    if made != digest:
        pulumi.log.warn(
            f"{name}: the machine was made with other settings (of {', '.join(sorted(asked))}) than it has now; they "
            f"take effect on a new machine: set generation to {args.get('generation', 1) + 1} (its data go with it)"
        )
    return made


def _prefix(name: str) -> str:
    """`project-stack-name`, cut so that the machine's name stays a valid host name (63 characters)."""
    parts = (pulumi.get_project(), pulumi.get_stack(), name)
    text = "-".join(parts).lower()
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in text).strip("-")[:48]


def _check(args: LocalServerArgs) -> None:
    debian = args.get("debian", 13)
    if debian not in SUPPORTED_DEBIAN:
        raise ValueError(f"debian: {debian!r} is not supported; take one of {', '.join(map(str, SUPPORTED_DEBIAN))}")
    memory = args.get("memory")
    if memory is not None and memory < 256:
        raise ValueError(f"memory: {memory} MiB is too little for a server; give at least 256, or leave it out")
    check_keys("admin_keys", args.get("admin_keys", ()))
    check_url("package_index", args.get("package_index"))
    check_url("proxy", args.get("proxy"))
    rules = rules_with(args.get("firewall", ()))
    check_user_data_fits(args.get("admin_keys", ()), rules, args.get("package_index"), args.get("proxy"))
