"""What a machine was made with stays as it is; whoever asks for something else now is told when it will come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import pulumi

from .common import Draft

FOLLOWS = ("admin_keys", "carry_data", "experiment", "firewall", "generation", "ready_timeout")
"""Settings of every server that are not only of the making of a machine."""


def first_value(draft: Draft, suffix: str, value: pulumi.Input[Any]) -> pulumi.Output[Any]:
    """What `value` was when the machine of this generation was made.

    A stash keeps what it was given first; what comes later is ignored, so that no preview shows a change.
    """
    kept = pulumi.Stash(
        draft.of_generation(suffix),
        input=value,
        opts=pulumi.ResourceOptions(parent=draft.server, ignore_changes=["input"]),
    )
    return kept.output


def first_address(draft: Draft, machine: pulumi.Output[str], address: pulumi.Output[str]) -> pulumi.Output[str]:
    """The `address` that the machine of this id had when it was new.

    Where a cloud takes that away when the static one comes, a refresh takes note: the steps that were told it would run
    once more, and a preview would show all that follows them as unknown.
    """
    first = first_value(draft, "first-address", {"id": machine, "address": address})
    return pulumi.Output.all(first, machine, address).apply(
        lambda known: known[0]["address"] if known[0]["id"] == known[1] else known[2]
    )


def tell_later(
    draft: Draft, args: Mapping[str, Any], at_once: Collection[str]
) -> pulumi.Output[Callable[[str, Any], bool]]:
    """Warns when `args` are not what the machine of this generation was made with; those named by `at_once` are taken
    up without a new machine.

    Returns what tells whether an argument had a value then. Only digests are kept.
    """
    once = [key for key in args if key not in FOLLOWS and key not in at_once]
    asked = pulumi.Output.from_input(
        {key: pulumi.Output.json_dumps(args[key], sort_keys=True).apply(_digest) for key in once}
    )
    made_with = first_value(draft, "made-with", asked)

    def tell(both: list[dict[str, str]]) -> None:
        made, now = both
        # a stash of before has digests of settings that follow by now
        changed = sorted(key for key in {**made, **now} if key not in FOLLOWS and made.get(key) != now.get(key))
        if changed:
            pulumi.log.warn(
                f"{draft.name}: the machine was made with other settings than it has now ({', '.join(changed)}); they "
                f"take effect on a new machine: set generation to {draft.generation + 1} (with carry_data: true it "
                "gets the data of this one)"
            )

    pulumi.Output.all(made_with, asked).apply(tell)
    return made_with.apply(lambda made: lambda key, value: made.get(key) == _digest(json.dumps(value, sort_keys=True)))


def tell_region(draft: Draft, asked: str, actual: pulumi.Output[str]) -> None:
    """Warns when a server is asked to be in another region than its address, which cannot leave its own."""

    def tell(known: str) -> None:
        if known != asked:
            pulumi.log.warn(
                f"{draft.name}: region is {asked!r} now, but the server's address is in {known!r} and the server "
                "stays with it; for one in another region make another server (or stack)"
            )

    actual.apply(tell)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
