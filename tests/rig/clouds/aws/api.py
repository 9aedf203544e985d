"""Amazon's own description of its requests: botocore's models know what is required, and each pattern and list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from .common import refusal


@cache
def _model(service: str) -> Any:
    from botocore.loaders import Loader  # half a second that most calls of the plug-in do without
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model(service, "service-2"))


def validate(doing: str, service: str, operation: str, **parameters: Any) -> None:
    """Raises RefusedError when a request breaks the service's description; parameters that are None are absent."""
    shape = _model(service).operation_model(operation).input_shape
    present = {name: value for name, value in parameters.items() if value is not None}
    wrong = list(_failures(present, shape, ""))
    if wrong:
        raise refusal(doing, "ValidationError", f"{len(wrong)} validation error detected: {'; '.join(wrong)}")


def members(service: str, shape: str) -> tuple[str, ...]:
    """The values that an enumeration of a service has."""
    return tuple(_model(service).shape_for(shape).enum)


def _failures(value: Any, shape: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        unknown = value.keys() - shape.members.keys()
        assert not unknown, f"{shape.name} has no {unknown}: an error of the stand-in"
        for name in shape.required_members:
            if name not in value:
                yield f"Value null at '{path}{name}' failed to satisfy constraint: Member must not be null"
        for name, item in value.items():
            yield from _failures(item, shape.members[name], f"{path}{name}.")
        return
    name = path.rstrip(".")
    if shape.type_name == "list":
        for index, item in enumerate(value):
            yield from _failures(item, shape.member, f"{name}.{index + 1}.")
    elif shape.type_name == "string":
        yield from _wrong_text(str(value), shape, name)
    elif shape.type_name in ("integer", "long"):
        least, greatest = shape.metadata.get("min"), shape.metadata.get("max")
        if (least is not None and value < least) or (greatest is not None and value > greatest):
            text = f"Member must be between {least} and {greatest}"
            yield f"Value '{value}' at '{name}' failed to satisfy constraint: {text}"


def _wrong_text(value: str, shape: Any, name: str) -> Iterator[str]:
    failed = f"Value '{value}' at '{name}' failed to satisfy constraint: "
    if "sensitive" in shape.metadata:
        failed = f"Value at '{name}' failed to satisfy constraint: "
    pattern, allowed = shape.metadata.get("pattern"), shape.enum
    if pattern and not re.fullmatch(pattern, value):
        yield f"{failed}Member must satisfy regular expression pattern: {pattern}"
    if allowed and value not in allowed:
        few = ", ".join(allowed) if len(allowed) < 20 else f"the {len(allowed)} that the service lists"
        yield f"{failed}Member must satisfy enum value set: {few}"
    least, greatest = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and len(value) < least) or (greatest is not None and len(value) > greatest):
        yield f"{failed}Member must have length between {least or 0} and {greatest or 'any'}"
