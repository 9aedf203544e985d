"""What stand-ins of providers that are bridged from Terraform share: shapes from the SDK, names, refresh, previews.

The sources are pulumi/pulumi-terraform-bridge, `pkg/tfbridge` (names, defaults, previews) and the SDKs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import ClassVar

from . import sdk, shapes, values
from .resources import Configuration, Function, Resource
from .shapes import Input, Shape
from .values import SIGNATURE, UNKNOWN, Properties, Value

DEFAULTS = "__defaults"
"""The names of the inputs that the provider has filled in, noted among the inputs as the bridge does."""


class BridgedResource(Resource):
    """A resource whose inputs and outputs are those that the installed SDK has for its token."""

    defaults: ClassVar[Mapping[str, Value]] = {}
    """The documented defaults of inputs."""
    takes: ClassVar[tuple[str, ...] | None] = None
    """The inputs that the stand-in acts on or keeps; others of the SDK are refused. None: it takes all."""
    autoname: ClassVar[Mapping[str, int]] = {}
    """Inputs that become `<resource name>-<7 hex digits>` when absent, with the greatest length."""
    separator = "-"
    """What is between the name and the digits."""
    deletes_first = False
    """Whether the provider declares that a replacement begins with the deletion."""
    unordered: ClassVar[tuple[str, ...]] = ()
    """Lists that are sets to the provider: an order is no difference."""
    computed: ClassVar[tuple[str, ...]] = ()
    """Outputs that an update may change, so that a preview of one does not know them."""

    package = ""
    token = ""

    def registered(self, package: str, token: str) -> None:
        self.package, self.token = package, token

    @cached_property
    def reflected(self) -> sdk.Reflected:
        """What the SDK says."""
        return sdk.resource(self.package, self.token)

    @cached_property
    def inputs(self) -> Shape:
        """The inputs of the SDK, of which the stand-in refuses those that it does not act on."""
        return _taken(self.reflected.inputs, self.takes, f"the resource {self.token}")

    @property
    def outputs(self) -> tuple[str, ...]:
        """All outputs of the SDK that are no inputs."""
        return tuple(name for name in self.reflected.outputs if name not in self.reflected.inputs)

    # -- inputs ------------------------------------------------------------------------------------------------

    def filled(self, inputs: Properties, old: Properties, name: str, seed: bytes, settings: Properties) -> Properties:
        given = {key: value for key, value in inputs.items() if key != DEFAULTS}
        offered = {**self.defaults, **self.offered(given, settings)}
        made = [key for key in offered if key not in given]
        filled = {**{key: offered[key] for key in made}, **given}
        for key, longest in self.autoname.items():
            if key in given:
                continue
            made.append(key)
            # A name that was made once is kept, unless the engine asks for another by telling no old inputs.
            kept = old.get(key) if key in old.get(DEFAULTS, ()) else None
            filled[key] = kept or unique_name(name, longest, seed, self.separator)
        return {**filled, DEFAULTS: sorted(made)}

    def offered(self, inputs: Properties, settings: Properties) -> Properties:
        """Defaults that depend on other inputs or on the provider's settings."""
        return {}

    # -- differences -------------------------------------------------------------------------------------------

    def differences(self, old: Properties, new: Properties) -> Iterator[tuple[str, str, bool]]:
        replacing = self.replacing_between(old, new)
        for path, kind in values.differences(self._comparable(old), self._comparable(new)):
            yield path, kind, replacing is None or any(_concerns(path, name, new) for name in replacing)

    def replacing_between(self, old: Properties, new: Properties) -> tuple[str, ...] | None:
        """The inputs whose change from `old` to `new` replaces; `outer.inner` for one inside an object."""
        return self.replacing

    def deleted_first(self, old: Properties, new: Properties) -> bool:
        """Bridge, `nameRequiresDeleteBeforeReplace`: a name that was chosen and stays cannot be had twice at a time."""
        made = new.get(DEFAULTS, ())
        chosen = [key for key in self.autoname if key in new and key not in made]
        return self.deletes_first or any(old.get(key) == new[key] for key in chosen)

    def _comparable(self, inputs: Properties) -> Properties:
        return {
            name: sorted(value, key=_canonical) if name in self.unordered and isinstance(value, list) else value
            for name, value in inputs.items()
        }

    # -- previews ----------------------------------------------------------------------------------------------

    def planned_creation(self, inputs: Properties) -> Properties:
        """An output that is never absent is unknown; one that may be absent is so if no input tells it."""
        return _planned(inputs, self.reflected.outputs)

    def planned_update(self, state: Properties, inputs: Properties) -> Properties:
        """What is computed stays as it is, except where a change of these inputs is known to change it."""
        return {**state, **inputs, **dict.fromkeys(self.recomputed(state, inputs), UNKNOWN)}

    def recomputed(self, state: Properties, inputs: Properties) -> tuple[str, ...]:
        """The outputs that this update may change."""
        return self.computed

    # -- outputs -----------------------------------------------------------------------------------------------

    def verified(self, outputs: Properties) -> Properties:
        return _verified(outputs, self.reflected.outputs, self.token)


class BridgedFunction(Function):
    """A function whose inputs and outputs are those that the installed SDK has for its token."""

    takes: ClassVar[tuple[str, ...] | None] = None
    package = ""
    token = ""

    def registered(self, package: str, token: str) -> None:
        self.package, self.token = package, token

    @cached_property
    def reflected(self) -> sdk.Reflected:
        """What the SDK says."""
        return sdk.function(self.package, self.token)

    @cached_property
    def inputs(self) -> Shape:
        """The inputs of the SDK, of which the stand-in refuses those that it does not act on."""
        return _taken(self.reflected.inputs, self.takes, f"the function {self.token}")

    def verified(self, outputs: Properties) -> Properties:
        return _verified(outputs, self.reflected.outputs, self.token)


class BridgedConfiguration(Configuration):
    """The settings that the installed SDK has for the provider."""

    environment: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The variables that a setting is taken from when it is absent."""

    def __init__(self, package: str) -> None:
        self.package = package

    @cached_property
    def inputs(self) -> Shape:
        """All settings of the SDK."""
        return sdk.provider_shape(self.package)


def _canonical(value: Value) -> str:
    """The same text for the same value, whatever order its keys have come in."""
    return json.dumps(value, sort_keys=True)


def unique_name(name: str, longest: int, seed: bytes, separator: str = "-") -> str:
    """The resource's name and seven hexadecimal digits, which the same seed makes the same."""
    digits = hashlib.sha256(seed + name.encode()).hexdigest() if seed else secrets.token_hex(4)
    return f"{name[: longest - 7 - len(separator)]}{separator}{digits[:7]}"


def _taken(shape: Shape, takes: tuple[str, ...] | None, what: str) -> Shape:
    if takes is None:
        return shape
    unknown = set(takes) - shape.keys()
    assert not unknown, f"{what} takes no {', '.join(sorted(unknown))}, says the SDK"
    return {
        name: spec if name in takes else dataclasses.replace(spec, refused="it would have no effect")
        for name, spec in shape.items()
    }


def _concerns(path: str, name: str, new: Properties) -> bool:
    """Whether a difference at the path is one of the input of that name, `outer.inner` for one inside an object."""
    plain = re.sub(r"\[\d+\]", "", path)
    if plain == name or plain.startswith(f"{name}."):
        return True
    if not name.startswith(f"{plain}."):
        return False
    part = new.get(plain)  # the whole object has come: it concerns what it holds
    return any(name.split(".")[-1] in entry for entry in (part if isinstance(part, list) else [part or {}]))


def _planned(given: Properties, shape: Shape) -> Properties:
    planned = {name: UNKNOWN for name, spec in shape.items() if spec.required and name not in given}
    return {**planned, **{name: _planned_value(value, shape.get(name)) for name, value in given.items()}}


def _planned_value(value: Value, spec: Input | None) -> Value:
    if spec is None or value == UNKNOWN:
        return value
    if spec.kind == "object" and isinstance(value, dict) and SIGNATURE not in value:
        return _planned(value, spec.fields)
    if spec.kind == "list" and isinstance(value, list):
        return [_planned_value(item, spec.items) for item in value]
    return value


def _verified(outputs: Properties, shape: Shape, token: str) -> Properties:
    """Raises AssertionError when the SDK does not know an output or has it as another kind."""
    present = _present(outputs)
    wrong = [f"{name}: {reason}" for name, reason in shapes.failures(present, shape) if "missing" not in reason]
    assert not wrong, f"the stand-in's outputs of {token} are not those of the SDK: {'; '.join(wrong)}"
    return present


def _present(value: Value) -> Value:
    """Without what is None, which is the same as absent."""
    if isinstance(value, dict):
        return {key: _present(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_present(item) for item in value]
    return value
