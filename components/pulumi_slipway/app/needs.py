"""What an app needs of its server, as the server is asked for it, and whether it can be had there."""

from __future__ import annotations

from typing import Any

import pulumi

from ..observe import Observation
from .checked import CheckedApp
from .dependencies.check import check
from .dependencies.machine import Machine, machine_of, machine_of_image


def document(app: CheckedApp) -> dict[str, Any]:
    """The part of a release's request from which its environment is made."""
    return {
        "app_folder": app.dependencies.app_folder,
        "dependencies": app.dependencies.document(),
        "python": {"version": app.dependencies.python.chosen, "mirror": app.python_mirror},
        "packages": {
            "system": list(app.system_packages),
            "build": None if app.build_packages is None else list(app.build_packages),
        },
    }


def tell(app: CheckedApp, resource: pulumi.Resource) -> None:
    """Where it says what it needs; shown in each preview and up."""
    found = app.dependencies
    if found.file:
        above = f" of the workspace above it, as {found.package}" if found.package else ""
        pulumi.log.info(f"{app.name}: what it needs is in {found.file}{above}", resource)
    else:
        pulumi.log.info(f"{app.name}: no file says what it needs (as requirements.txt would): gunicorn alone", resource)


def looked_at(
    app: CheckedApp, observed: pulumi.Output[Observation], image: str | None, resource: pulumi.Resource
) -> pulumi.Output[Observation]:
    """What was observed, once the server is known to have what the app needs; else the run ends, with the remedies. Of
    a server that is yet to be made, `image` tells as much."""

    def of_image(found: Any) -> None:
        machine = machine_of_image(image) if image else None
        if machine is not None and pulumi.contains_unknowns(found):
            _tell(app, machine, resource)

    def of_server(found: Observation) -> Observation:
        machine = machine_of(found["facts"])
        if machine is not None:
            _tell(app, machine, resource)
        return found

    observed.apply(of_image, run_with_unknowns=True)
    return observed.apply(of_server)


def _tell(app: CheckedApp, machine: Machine, resource: pulumi.Resource) -> None:
    findings = check(app.dependencies, machine, app.build_packages is not None)
    for warning in findings.warnings:
        pulumi.log.warn(f"{app.name}: {warning}", resource)
    if findings.problem:
        raise pulumi.RunError(f"{app.name}: {findings.problem}")
