"""From settings to components: what the project's own program does."""

from __future__ import annotations

from typing import cast

import pulumi

from .app.arguments import AppArgs, WebAppArgs, check
from .app.webapp import WebApp
from .firewall import FirewallRuleArgs
from .servers.local import LocalServer, LocalServerArgs
from .settings import Settings


def launch(settings: Settings) -> tuple[LocalServer, WebApp]:
    """The server and the app of `settings`; raises `ValueError` before any resource is made."""
    app_args = _app_args(settings)
    try:
        check(app_args)
    except ValueError as error:
        raise ValueError(f"{pulumi.get_project()}:app.{error}") from None
    server = LocalServer("server", _local_args(settings))
    app = WebApp(
        "app",
        WebAppArgs(host=server.host, private_key=server.private_key, machine=server.machine, **app_args),
    )
    return server, app


def _app_args(settings: Settings) -> AppArgs:
    """All but the server: its part is only known once the rest was found good."""
    given = settings.app.model_dump(exclude_none=True)
    return cast("AppArgs", given | {"environment": settings.environment, "observe": settings.observe})


def _local_args(settings: Settings) -> LocalServerArgs:
    args = LocalServerArgs(
        debian=settings.local.debian,
        admin_keys=settings.admin_keys,
        firewall=[cast("FirewallRuleArgs", rule.model_dump()) for rule in settings.firewall],
        generation=settings.generation,
        ready_timeout=settings.ready_timeout,
    )
    if settings.local.memory is not None:
        args["memory"] = settings.local.memory
    if settings.package_index is not None:
        args["package_index"] = settings.package_index
    if settings.proxy is not None:
        args["proxy"] = settings.proxy
    return args
