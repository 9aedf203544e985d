"""What a machine was made with stays as it is; whoever asks for something else now is told when it will come."""

from __future__ import annotations

from typing import Any

import pulumi

from .common import Draft


def tell_later(draft: Draft, **made: tuple[pulumi.Input[Any] | None, pulumi.Input[Any]]) -> None:
    """Warns for each argument whose value (first; None: not given) is not the one that the machine has (second)."""

    def tell(key: str, asked: Any, actual: Any) -> None:
        if asked != actual:
            pulumi.log.warn(
                f"{draft.name}: {key} is {asked!r} now, but the machine was made with {actual!r} and keeps it; a new "
                f"machine takes it: set generation to {draft.generation + 1} (with carry_data: true it gets the data)"
            )

    for key, (asked, actual) in made.items():
        if asked is not None:
            pulumi.Output.all(asked, actual).apply(lambda both, key=key: tell(key, *both))  # type: ignore[misc]
