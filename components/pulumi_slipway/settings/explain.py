"""What is said of a setting that does not fit: one line with key, value and remedy."""

from __future__ import annotations

import difflib
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from .models import Settings

_MAY_BE_SECRET = ("environment", "existing", "admin_keys")  # the last by mistake: a private key in place of the public


def explain(details: ErrorDetails, namespace: str) -> str:
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
    parts = iter(path)
    for part in parts:
        field = model.model_fields.get(part)
        if field is None:
            return None
        kinds = _within(field.annotation)  # a model, a list or a mapping of them, or none
        if get_origin(field.annotation) is dict:
            next(parts, None)  # a name of the user's
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return None
        model = inner[0]
    return model


def _within(annotation: Any) -> list[Any]:
    return [annotation, *(kind for inner in get_args(annotation) for kind in _within(inner))]


def _fields_at(path: list[str]) -> list[str]:
    model = _model_at(path)
    return list(model.model_fields) if model else []


def _description(path: list[str]) -> str:
    model = _model_at(path[:-1])
    field = model.model_fields.get(path[-1]) if model else None
    return (field.description or "") if field else ""
