"""What a machine was made with stays as it is; whoever asks for something else now is told when it will come."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import pulumi

from .common import Draft

FOLLOWS = ("admin_keys", "carry_data", "experiment", "firewall", "generation", "ready_timeout")
"""Settings of every server that are not only of the making of a machine."""


def tell_later(draft: Draft, args: Mapping[str, Any], at_once: Collection[str]) -> None:
    """Warns when `args` are not what the machine of this generation was made with; those named by `at_once` are taken
    up without a new machine.

    A stash keeps digests of what it was given first; those of later are ignored, so that no preview shows a change.
    """
    once = [key for key in args if key not in FOLLOWS and key not in at_once]
    asked = pulumi.Output.from_input(
        {key: pulumi.Output.json_dumps(args[key], sort_keys=True).apply(_digest) for key in once}
    )
    made_with = pulumi.Stash(
        draft.of_generation("made-with"),
        input=asked,
        opts=pulumi.ResourceOptions(parent=draft.server, ignore_changes=["input"]),
    )

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

    pulumi.Output.all(made_with.output, asked).apply(tell)


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
