"""From settings to components: what the project's own program does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pulumi

from ..app.arguments import AppArgs, WebAppArgs
from ..app.checked import check
from ..app.webapp import WebApp
from ..servers.common import Server
from ..servers.credentials import missing_credentials
from ..settings import Settings
from .databases import WiredDatabase, check_memory, make_database, told_of_database
from .servers import image_of, make_server


@dataclass(frozen=True)
class Launched:
    """What a stack is made of."""

    server: Server
    app: WebApp
    database: WiredDatabase


def launch(settings: Settings) -> Launched:
    """The server, the database and the app of `settings`; raises `ValueError` before any resource is made."""
    _check_credentials(settings)
    app_args = _app_args(settings)
    try:
        checked = check(app_args)
    except ValueError as error:
        raise ValueError(f"{pulumi.get_project()}:app.{error}") from None
    check_memory(settings)
    server = make_server(settings)
    database = make_database(settings, server, checked.name)
    args = {**app_args, **database.app_args, "host": server.host, "private_key": server.private_key}
    image = image_of(settings)
    if image is not None:
        args["image"] = image
    if server.machine is not None:
        args["machine"] = server.machine
    app = WebApp("app", cast("WebAppArgs", args), checked=checked)
    return Launched(server, app, database)


def _check_credentials(settings: Settings) -> None:
    config = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    message = missing_credentials(settings.target, config, os.environ, Path.home())
    if message:
        raise ValueError(message)


def _app_args(settings: Settings) -> AppArgs:
    """All that the settings tell; what the server and the database tell is only known once the rest was found good."""
    given: dict[str, Any] = settings.app.model_dump(exclude_none=True)
    steps = settings.app.build
    if steps is not None:
        files = [step for step in steps if step.inputs or step.outputs]
        given["build"] = [step.run for step in steps]
        given["build_files"] = {step.run: {"inputs": step.inputs, "outputs": step.outputs} for step in files}
    given |= {"environment": settings.environment, "observe": settings.observe}
    return cast("AppArgs", given | told_of_database(settings.database))
