"""The settings of a stack: the only reader of configuration.

Everything is under the project's own namespace (`slipway:…` in `Pulumi.<stack>.yaml`). All mistakes are told at once,
each with its key, its value and what to do, before any resource is made.
"""

from __future__ import annotations

import difflib
import json
from typing import Any, Literal, cast, get_args

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from .bootstrap import check_user_data_fits
from .firewall import FirewallRuleArgs, rules_with
from .servers.checks import check_keys, check_url
from .variables import check_variables

_MAY_BE_SECRET = ("environment", "admin_keys")  # the latter by mistake: a private key in place of the public one


class SettingsError(ValueError):
    """The settings cannot be used; the message has one line a mistake."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HealthSettings(_Strict):
    """`slipway:app.health`: when a release counts as healthy."""

    path: str = Field(default="/", description="path that is asked")
    status: int = Field(default=200, description="status that the answer must have")
    text: str | None = Field(default=None, description="text that the answer must hold")
    timeout: int = Field(default=60, description="seconds from start to the first good answer")


class AppSettings(_Strict):
    """`slipway:app`: the application. Only `path` is required."""

    path: str = Field(description="folder of the application, relative to the project")
    name: str | None = Field(default=None, description="name on the server; default: the folder's name")
    entry: str | None = Field(default=None, description="module:variable or module:factory(); default: found")
    kind: Literal["wsgi", "asgi"] | None = Field(default=None, description="default: found")
    domains: list[str] = Field(default=[], description="host names; default: the server's address")
    build: list[str] = Field(default=[], description="commands that make assets, without secrets")
    release: list[str] | None = Field(default=None, description="commands before the switch, once a release")
    static_url: str = Field(default="/static/", description="where nginx serves the static files")
    static_folder: str | None = Field(default=None, description="their folder; default: Flask's")
    health: HealthSettings = HealthSettings()
    drain: int = Field(default=30, description="seconds for the old release to finish its requests")
    keep: int = Field(default=5, description="releases kept on the server")
    archive_limit: int = Field(default=200, description="MiB that the source may hold")


class LocalSettings(_Strict):
    """`slipway:local`: the machine of target `local`."""

    debian: Literal[12, 13] = Field(default=13, description="release of Debian")
    memory: int | None = Field(default=None, ge=256, description="limit in MiB")


class FirewallSettings(_Strict):
    """An item of `slipway:firewall`: a port that is open besides 22, 80 and 443."""

    name: str = Field(description="what it is for")
    port: int = Field(ge=1, le=65535, description="one of 1 to 65535")
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="tcp or udp")
    sources: list[str] = Field(default=["0.0.0.0/0", "::/0"], description="CIDR blocks; default: anywhere")


class Settings(_Strict):
    """All settings of a stack."""

    target: Literal["local"] = Field(description="where the server is")
    app: AppSettings
    environment: dict[str, str] = Field(default={}, description="variables of the app, kept as secrets")
    local: LocalSettings = LocalSettings()
    firewall: list[FirewallSettings] = Field(default=[], description="ports that are open besides 22, 80 and 443")
    admin_keys: list[str] = Field(default=[], description="public SSH keys of people")
    package_index: str | None = Field(default=None, description="Python package index of the server")
    proxy: str | None = Field(default=None, description="HTTP proxy of the server's package clients")
    generation: int = Field(default=1, ge=1, description="raise it to replace the server")
    ready_timeout: int = Field(default=600, ge=10, description="seconds for a server to become ready")
    observe: bool = Field(default=True, description="ask the server what is on it in each preview and up")


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
        lines = [_explain(details, namespace) for details in error.errors()]
        raise SettingsError("\n".join(["The settings of this stack cannot be used:", *lines])) from None
    try:
        check_variables(list(settings.environment))
        check_keys("admin_keys", settings.admin_keys)
        check_url("package_index", settings.package_index)
        check_url("proxy", settings.proxy)
        rules = rules_with([cast("FirewallRuleArgs", rule.model_dump()) for rule in settings.firewall])
        check_user_data_fits(settings.admin_keys, rules, settings.package_index, settings.proxy)
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


def _explain(details: ErrorDetails, namespace: str) -> str:
    """One line: key, value, remedy. Values that may be secrets are never shown."""
    path = [str(part) for part in details["loc"] if isinstance(part, str)]
    key = f"{namespace}:{'.'.join(path)}"
    known = _fields_at(path[:-1])
    if details["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "remove it."
        return f"  {key}: unknown setting; {hint} Known here: {', '.join(sorted(known))}"
    if details["type"] == "missing":
        return f"  {key}: missing; set it: {_description(path)}"
    value = "(hidden)" if path[0] in _MAY_BE_SECRET else repr(details["input"])
    remedy = f" ({_description(path)})" if _description(path) else ""
    return f"  {key}: {value} does not fit: {details['msg'].lower()}{remedy}"


def _model_at(path: list[str]) -> type[BaseModel] | None:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            return None
        kinds = (field.annotation, *get_args(field.annotation))  # a model, or a list of them
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return None
        model = inner[0]
    return model


def _fields_at(path: list[str]) -> list[str]:
    model = _model_at(path)
    return list(model.model_fields) if model else []


def _description(path: list[str]) -> str:
    model = _model_at(path[:-1])
    field = model.model_fields.get(path[-1]) if model else None
    return (field.description or "") if field else ""
