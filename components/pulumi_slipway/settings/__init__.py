"""The settings of a stack: the only reader of configuration.

Everything is under the project's own namespace (`slipway:…` in `Pulumi.<stack>.yaml`). All mistakes are told at once,
each with its key, its value and what to do, before any resource is made.
"""

from __future__ import annotations

import json
from typing import Any, cast

import pulumi
from pydantic import ValidationError

from ..bootstrap import check_user_data_fits
from ..firewall import FirewallRuleArgs, rules_with
from ..servers.checks import check_keys, check_url
from ..variables import check_variables
from .explain import explain
from .models import Settings
from .together import check_together

__all__ = ["Settings", "SettingsError", "load_settings", "parse_settings"]


class SettingsError(ValueError):
    """The settings cannot be used; the message has one line a mistake."""


def load_settings() -> Settings:
    """The settings of the running stack; raises `SettingsError`."""
    namespace = pulumi.get_project()
    prefix = f"{namespace}:"
    config = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    raw = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    return parse_settings({key: _value(key, text) for key, text in raw.items()}, namespace)


def parse_settings(values: dict[str, Any], namespace: str = "slipway") -> Settings:
    """`values` (by key, without the namespace) as settings; raises `SettingsError`."""
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        lines = [explain(details, namespace) for details in error.errors()]
        raise SettingsError("\n".join(["The settings of this stack cannot be used:", *lines])) from None
    try:
        check_variables(list(settings.environment))
        check_keys("admin_keys", settings.admin_keys)
        check_url("package_index", settings.package_index)
        check_url("proxy", settings.proxy)
        rules = rules_with([cast("FirewallRuleArgs", rule.model_dump()) for rule in settings.firewall])
        check_user_data_fits(settings.admin_keys, rules, settings.package_index, settings.proxy)
        check_together(settings)
    except ValueError as error:
        raise SettingsError(f"The settings of this stack cannot be used:\n  {namespace}:{error}") from None
    return settings


def _value(key: str, text: Any) -> Any:
    """Pulumi hands numbers, booleans and objects over as text; keys that are texts stay so."""
    annotation = Settings.model_fields[key].annotation if key in Settings.model_fields else str
    if not isinstance(text, str) or annotation is str or annotation == (str | None):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
