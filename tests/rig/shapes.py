"""What inputs a resource takes: their types, defaults, and which are required. Unknown ones are refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .values import ARCHIVE, ASSET, SIGNATURE, UNKNOWN, Properties, Value

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
    "object": (dict,),
}


@dataclass(frozen=True)
class Input:
    """One input of a resource or function."""

    kind: str
    """string, integer, boolean, list, map (of strings), object, asset (an asset or archive), any."""
    required: bool = False
    default: Value = None
    one_of: tuple[str, ...] = ()
    fields: Mapping[str, Input] = field(default_factory=dict)
    """The inputs inside an object."""
    refused: str = ""
    """Why the stand-in does not take this input though the real plug-in does; empty when it does."""


Shape = Mapping[str, Input]
"""All inputs by name."""


def with_defaults(inputs: Properties, shape: Shape) -> Properties:
    """The inputs and the defaults of those that are absent, inside objects too."""
    filled = dict(inputs)
    for name, spec in shape.items():
        if name in filled:
            if spec.kind == "object" and isinstance(filled[name], dict):
                filled[name] = with_defaults(filled[name], spec.fields)
        elif spec.default is not None:
            filled[name] = spec.default
    return filled


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
        value = inputs[name]
        if value == UNKNOWN:
            continue
        if spec.refused:
            yield path + name, f"not supported by this stand-in: {spec.refused}"
        elif not _fits(value, spec):
            yield path + name, f"must be of type {spec.kind}, not {type(value).__name__}"
        elif spec.one_of and value not in spec.one_of:
            yield path + name, f"must be one of {', '.join(spec.one_of)}, not {value!r}"
        elif spec.kind == "object":
            yield from failures(value, spec.fields, f"{path}{name}.")


def _fits(value: Value, spec: Input) -> bool:
    if spec.kind == "any":
        return True
    if spec.kind == "asset":
        return isinstance(value, dict) and value.get(SIGNATURE) in (ASSET, ARCHIVE)
    if spec.kind == "integer" and isinstance(value, bool):
        return False
    if spec.kind == "map":
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    return isinstance(value, _TYPES[spec.kind])
