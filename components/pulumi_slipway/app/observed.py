"""What is on the server of an app, and the serials that follow from it: a step whose serial changes is run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from ..observe import Observation, check_observed, observe
from ..remote import Target
from .checked import CheckedApp
from .site import ManagedFile


def observed(
    app: CheckedApp, target: Target, files: pulumi.Output[dict[str, ManagedFile]]
) -> pulumi.Output[Observation] | None:
    """None: the app's settings say that the last known state is to be trusted."""
    if not app.observe:
        return None
    hosts = observe([target], app.name, app.archive.content, files.apply(digests))
    return hosts.apply(lambda hosts: _checked(hosts[0]))


def serial(
    found: pulumi.Output[Observation] | None,
    wanted: pulumi.Input[Any],
    decide: Callable[[Observation, Any, int], int],
) -> pulumi.Output[int]:
    """What `decide` (of `..observe`) makes of what was found and what is wanted."""
    if found is None:
        return pulumi.Output.from_input(0)
    now = int(time.time())
    return pulumi.Output.all(found, wanted).apply(lambda pair: decide(pair[0], pair[1], now))


def digests(files: Mapping[str, ManagedFile]) -> dict[str, str]:
    return {path: file.sha256 for path, file in files.items()}


def _checked(observation: Observation) -> Observation:
    check_observed(observation["error"], "What is on it is unknown: the preview shows every step as to be run.")
    return observation
