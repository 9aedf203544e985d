"""What was found in the source, as the server is told of it, as a release consists of it, and as people see it."""

from __future__ import annotations

from typing import Any

import pulumi

from .detection import Recipe


def recipe_document(recipe: Recipe, force: bool = False, memory: int | None = None) -> dict[str, Any]:
    """As the server is told; `force`: the release commands are run whatever has changed; `memory`: MiB of the web
    server."""
    return {
        "build_environment": dict(recipe.build_variables),
        "commands": {"build": list(recipe.build), "release": list(recipe.release)},
        "setup": list(recipe.setup),
        "migration": {"inputs": recipe.inputs, "force": force},
        "web": {
            "kind": recipe.kind,
            "target": recipe.target,
            "command": recipe.command,
            "options": dict(recipe.options),
            "memory": memory,
        },
        "static": {"url": recipe.static_url, "folder": recipe.static_folder} if recipe.static_folder else None,
        "persistent": list(recipe.persistent),
    }


def recipe_parts(recipe: Recipe, force: bool = False) -> dict[str, Any]:
    """What a release consists of besides its code and its variables; that its commands are to be run makes it another
    one, or nothing would run them."""
    return {
        "build": recipe.build,
        "build_variables": dict(recipe.build_variables),
        "release": recipe.release,
        "setup": recipe.setup,
        "web": [recipe.kind, recipe.target, recipe.command, dict(recipe.options)],
        "static": [recipe.static_url, recipe.static_folder],
        "persistent": recipe.persistent,
        "force": force,
    }


def tell(app: str, recipe: Recipe, resource: pulumi.Resource) -> None:
    """What the app was taken for, and why; shown in each preview and up."""
    pulumi.log.info(f"{app}: {recipe.reason}", resource)
    for note in recipe.notes:
        pulumi.log.info(f"{app}: {note}", resource)
    for warning in recipe.warnings:
        pulumi.log.warn(f"{app}: {warning}", resource)
