"""Saying what an up will change on the server, in each preview and up: the lines are those of `plan.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from ..observe import Observation
from .checked import CheckedApp
from .origin import Origin, commits_between
from .plan import first_plan, release_plan, site_plan
from .site import ManagedFile


def tell_first(app: CheckedApp, origin: Origin, host: Any, resource: pulumi.Resource) -> None:
    """Says what will be released to a server that there is none of yet, of which nothing else can be told."""
    if pulumi.contains_unknowns(host):
        pulumi.log.info("\n".join(first_plan(app.name, app.archive.files, origin)), resource)


def tell_changes(
    app: CheckedApp,
    origin: Origin,
    observed: pulumi.Output[Observation],
    files: pulumi.Output[dict[str, ManagedFile]],
    wanted: pulumi.Output[str],
    marks: pulumi.Output[dict[str, str]],
    resource: pulumi.Resource,
) -> None:
    """Says what will change on the server, and what was changed there; nothing when all is as wanted."""

    def say(lines: Sequence[str]) -> None:
        if lines:
            pulumi.log.info("\n".join(lines), resource)

    def tell_site(values: Sequence[Any]) -> None:
        found, files = values
        if not found["error"]:
            say(site_plan(app.name, found, {path: (file.sha256, file.content) for path, file in files.items()}))

    def tell_release(values: Sequence[Any]) -> None:
        found, wanted, marks = values
        if not found["error"]:
            commits = None
            if found["commit"] and found["release"] != wanted:
                commits = commits_between(app.folder, found["commit"], origin.commit)
            say(release_plan(app.name, found, wanted, marks, origin, commits))

    pulumi.Output.all(observed, files).apply(tell_site)
    pulumi.Output.all(observed, wanted, marks).apply(tell_release)
