"""`LocalServer`: a real Debian server booted on the operator's own Linux machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NotRequired, cast

import pulumi
import pulumi_random as random

from ..remote import local_command, local_program, local_run
from .common import Draft, MachineArgs, Made, Server, begin, check_machine, finish, host_name, user_data
from .grantee import grantee
from .later import FOLLOWS

SUPPORTED_DEBIAN = (12, 13)


class LocalServerArgs(MachineArgs):
    """All may be left out. Its data are never protected, as with `experiment` on a cloud."""

    debian: NotRequired[int]
    """Release of Debian, 12 or 13; default: 13."""
    memory: NotRequired[int]
    """Limit in MiB; default: as much as the machine it runs on."""


class LocalServer(Server):
    """A Debian machine by systemd-nspawn, on a private network of this machine (needs Linux and root).

    Its data survive a stop and a reboot of this machine: the next `up` starts it again.
    """

    def __init__(
        self, name: str, args: LocalServerArgs | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = cast("LocalServerArgs", {"carry_data": False, **(args or {}), "experiment": True})
        _check(args)
        super().__init__("slipway:index:LocalServer", name, None, opts)
        draft = begin(self, name, args)
        suffix = random.RandomId(draft.of_generation("id"), byte_length=3, opts=draft.child)
        machine_name = suffix.hex.apply(lambda digits: host_name(name, f"-{digits}"))
        status = local_run(pulumi.Output.concat(local_program("local", "status"), " ", machine_name)).apply(json.loads)
        machine = _machine(draft, args, machine_name, status)
        description = _description(machine, status)
        address = description["address"]
        finish(draft, Made(machine, description["id"], description["name"], address, address))
        self.grantee = pulumi.Output.from_input(address).apply(
            lambda known: grantee(address=known, private_address=known)
        )
        self.register_outputs({"host": self.host, "address": self.address, "private_key": self.private_key})


def _machine(
    draft: Draft,
    args: LocalServerArgs,
    machine_name: pulumi.Output[str],
    status: pulumi.Output[Mapping[str, Any]],
) -> Any:
    """The machine as a command of the driver.

    pulumi-command cannot read, so the driver is asked each time, and what it says becomes an input: a machine that is
    gone changes `incarnation` (a trigger: replace it), one that is stopped changes `wake` (an update: start it). As a
    replacement is made before the old one is deleted, and may have its name, the delete names the incarnation too.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    incarnation = status.apply(lambda found: found["labels"].get("incarnation", now))
    wake = status.apply(lambda found: found["labels"].get("wake", now) if found["running"] else now)
    made_with = status.apply(lambda found: _made_with(draft.name, args, found))
    options = ["--debian", str(args.get("debian", 13))]
    if "memory" in args:
        options += ["--memory", str(args["memory"])]
    return local_command(
        draft.of_generation("machine"),
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
        stdin=user_data(draft, args, hostname=machine_name),
        triggers=[incarnation],
        opts=draft.child,
    )


def _description(machine: Any, status: pulumi.Output[Mapping[str, Any]]) -> pulumi.Output[Mapping[str, Any]]:
    """What the machine is like: as it runs, or else as its command says when it has made or started it.

    Else a preview would take each change of what machines are made with (user data, Debian) for another machine, since
    nothing is known of what a command prints when it runs again. The URN is there for the order of things alone.
    """
    return pulumi.Output.all(status, machine.urn).apply(
        lambda known: known[0] if known[0]["running"] and "id" in known[0] else machine.stdout.apply(json.loads)
    )


def _made_with(name: str, args: LocalServerArgs, found: Mapping[str, Any]) -> str:
    """A digest of what the machine was made with; warns when that is not what is asked for now."""
    asked = {key: value for key, value in args.items() if key not in FOLLOWS}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=list).encode()).hexdigest()[:12]
    made: str = found["labels"].get("made-with", digest)
    if made != digest:
        pulumi.log.warn(
            f"{name}: the machine was made with other settings (of {', '.join(sorted(asked))}) than it has now; they "
            f"take effect on a new machine: set generation to {args.get('generation', 1) + 1} "
            "(with carry_data: true it gets the data of this one)"
        )
    return made


def _check(args: LocalServerArgs) -> None:
    debian = args.get("debian", 13)
    if debian not in SUPPORTED_DEBIAN:
        raise ValueError(f"debian: {debian!r} is not supported; take one of {', '.join(map(str, SUPPORTED_DEBIAN))}")
    memory = args.get("memory")
    if memory is not None and memory < 256:
        raise ValueError(f"memory: {memory} MiB is too little for a server; give at least 256, or leave it out")
    check_machine(args)
