"""What inputs a resource takes: their types, defaults, and which are required. Unknown ones are refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .values import ARCHIVE, ASSET, SIGNATURE, UNKNOWN, Properties, Value

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
    "object": (dict,),
}


@dataclass(frozen=True)
class Input:
    """One input of a resource or function."""

    kind: str
    """string, integer, number, boolean, list, map, object, asset (an asset or archive), any."""
    required: bool = False
    default: Value = None
    one_of: tuple[str, ...] = ()
    fields: Mapping[str, Input] = field(default_factory=dict)
    """The inputs inside an object."""
    items: Input | None = None
    """What each item of a list or map is; None: anything in a list, a string in a map."""
    refused: str = ""
    """Why the stand-in does not take this input though the real plug-in does; empty when it does."""


Shape = Mapping[str, Input]
"""All inputs by name."""


def with_defaults(inputs: Properties, shape: Shape) -> Properties:
    """The inputs and the defaults of those that are absent, inside objects and lists of objects too."""
    filled = dict(inputs)
    for name, spec in shape.items():
        if name in filled:
            filled[name] = _filled(filled[name], spec)
        elif spec.default is not None:
            filled[name] = spec.default
    return filled


def _filled(value: Value, spec: Input) -> Value:
    if spec.kind == "object" and isinstance(value, dict):
        return with_defaults(value, spec.fields)
    if spec.kind == "list" and spec.items and isinstance(value, list):
        return [_filled(item, spec.items) for item in value]
    return value


def failures(inputs: Properties, shape: Shape, path: str = "") -> Iterator[tuple[str, str]]:
    """The (property, reason) of all that is wrong with the inputs; nothing for values that are unknown yet."""
    for name in inputs.keys() - shape.keys():
        near = difflib.get_close_matches(name, shape, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(sorted(shape))}"
        yield path + name, f"not an input that this stand-in knows{hint}"
    for name, spec in shape.items():
        if name not in inputs:
            if spec.required:
                yield path + name, "required, and missing"
            continue
        yield from _wrong(inputs[name], spec, path + name)


def _wrong(value: Value, spec: Input, path: str) -> Iterator[tuple[str, str]]:
    if value == UNKNOWN:
        return
    if spec.refused:
        yield path, f"not supported by this stand-in: {spec.refused}"
    elif not _fits(value, spec):
        yield path, f"must be of type {spec.kind}, not {type(value).__name__}"
    elif spec.one_of and value not in spec.one_of:
        yield path, f"must be one of {', '.join(spec.one_of)}, not {value!r}"
    elif spec.kind == "object":
        yield from failures(value, spec.fields, f"{path}.")
    elif spec.kind == "list" and spec.items:
        for index, item in enumerate(value):
            yield from _wrong(item, spec.items, f"{path}[{index}]")
    elif spec.kind == "map":
        for key, item in value.items():
            yield from _wrong(item, spec.items or Input("string"), f"{path}.{key}")


def _fits(value: Value, spec: Input) -> bool:
    if spec.kind == "any":
        return True
    if spec.kind == "asset":
        return isinstance(value, dict) and value.get(SIGNATURE) in (ASSET, ARCHIVE)
    if spec.kind in ("integer", "number") and isinstance(value, bool):
        return False
    return isinstance(value, _TYPES[spec.kind])
