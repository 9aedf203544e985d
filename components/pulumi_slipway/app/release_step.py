"""The step that makes a release live: what it consists of, and what the agent is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from ..databases.contract import Database
from ..databases.moved import identity
from ..observe import Observation, release_serial
from ..places import INCOMING
from ..remote import Target, push
from . import needs
from .checked import CheckedApp
from .database import certificates
from .names import names_of
from .observed import serial
from .recipe import recipe_document, recipe_parts
from .release import summary
from .steps import steps_document, steps_parts


def release_variables(
    app: CheckedApp,
    secret_key: pulumi.Output[str],
    database: pulumi.Output[dict[str, str]],
    given: pulumi.Input[Mapping[str, pulumi.Input[str]]],
) -> pulumi.Output[dict[str, str]]:
    """Our defaults, and what was found to be needed, under what the user gave; secret as a whole."""

    def merge(values: Sequence[Any]) -> dict[str, str]:
        key, database, given = values
        return {"SECRET_KEY": key, **database, **app.recipe.variables} | {
            name: str(value) for name, value in given.items()
        }

    return pulumi.Output.secret(pulumi.Output.all(secret_key, database, given).apply(merge))


def release_parts(app: CheckedApp) -> dict[str, Any]:
    """What a release consists of besides its variables."""
    return {
        "source": app.archive.content,
        **recipe_parts(app.recipe, app.steps.force),
        **steps_parts(app.steps),
        "needs": needs.document(app),
        "processes": app.processes.document(),
        "memory": app.memory,
    }


def release_step(
    name: str,
    app: CheckedApp,
    target: Target,
    owner: pulumi.Output[str],
    wanted: pulumi.Output[str],
    variables: pulumi.Output[dict[str, str]],
    marks: pulumi.Output[dict[str, str]],
    database: pulumi.Output[Database],
    observed: pulumi.Output[Observation] | None,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> Any:
    number = serial(observed, wanted, release_serial)

    def document(values: Sequence[Any]) -> dict[str, Any]:
        host, owner, wanted, number, variables, marks, database = values
        return {
            "app": app.name,
            "owner": owner,
            "release": wanted,
            "serial": number,
            **needs.document(app),
            "environment": variables,
            "fingerprints": marks,
            "database": {**identity(database), "moved_from": app.database_moved_from},
            "certificates": certificates(app, database),
            **recipe_document(app.recipe, app.steps.force, app.memory),
            **steps_document(app.steps, app.recipe),
            **app.processes.document(),
            "health": {
                "path": app.health.path,
                "status": app.health.status,
                "text": app.health.text,
                "timeout": app.health.timeout,
                "host": names_of(app, host["address"])[0],
            },
            "strategy": app.strategy,
            "drain": app.drain,
            "keep": app.keep,
            "lock_wait": app.lock_wait,
        }

    return push(
        name,
        target,
        "release",
        file={
            "content": app.archive.content,
            "path": f"{INCOMING}/{app.name}-{app.archive.content[:32]}.tar.gz",
            "unless": wanted.apply(lambda release: f"/srv/{app.name}/releases/{release}/release.json"),
        },
        summary=pulumi.Output.unsecret(
            pulumi.Output.all(wanted, number, variables).apply(
                lambda values: summary(app.name, values[0], values[1], list(values[2]), app.archive.files)
            )
        ),
        document=pulumi.Output.all(target.host, owner, wanted, number, variables, marks, database).apply(document),
        parent=parent,
        depends_on=depends_on,
    )
