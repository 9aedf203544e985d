"""What a stand-in provider is made of: resources, functions, its own settings, and what an operation is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from . import shapes, values
from .values import UNKNOWN, Properties


class RefusedError(Exception):
    """The operation failed; the message is shown to the user as the plug-in's."""


Log = Callable[[str], None]
"""Shows one line as the progress of a resource."""


@dataclass(frozen=True)
class Call:
    """What an operation is told besides its properties."""

    name: str
    log: Log
    cancelled: threading.Event
    """Set when the engine wants running operations to end."""
    id: str = ""
    """The id of the resource, once it has one."""
    settings: Properties = field(default_factory=dict)
    """What the provider was configured with."""


class Resource:
    """One resource type; a subclass says what it takes, what comes out, and what its operations do."""

    inputs: ClassVar[shapes.Shape]
    outputs: tuple[str, ...]
    """The outputs that no input has the name of; unknown in a preview of a creation."""
    replacing: tuple[str, ...] | None = None
    """The inputs whose change replaces the resource; None: every input does, there is no update."""

    def registered(self, package: str, token: str) -> None:
        """The provider has this resource under this type token."""

    def filled(self, inputs: Properties, old: Properties, name: str, seed: bytes, settings: Properties) -> Properties:
        """The inputs and the defaults of those that are absent; `old` are the inputs that the state has."""
        return shapes.with_defaults(inputs, self.inputs)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """More (property, reason) failures than the shape of the inputs shows."""
        yield from ()

    def differences(self, old: Properties, new: Properties) -> Iterator[tuple[str, str, bool]]:
        """(path, add/delete/update, whether it replaces) of what an update would change."""
        for path, kind in values.differences(old, new):
            yield path, kind, self.replacing is None or path.split("[")[0].split(".")[0] in self.replacing

    def deleted_first(self, old: Properties, new: Properties) -> bool:
        """Whether a replacement has to begin with the deletion."""
        return False

    def planned_creation(self, inputs: Properties) -> Properties:
        """The outputs as a preview of a creation knows them."""
        return {**inputs, **dict.fromkeys(self.outputs, UNKNOWN)}

    def planned_update(self, state: Properties, inputs: Properties) -> Properties:
        """The outputs as a preview of an update knows them: any changed input may change any output."""
        return dict.fromkeys([*inputs, *state, *self.outputs], UNKNOWN)

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Make it; answer its id and all outputs, inputs included."""
        raise NotImplementedError

    def read(self, identity: str, state: Properties, call: Call) -> Properties | None:
        """All outputs as they are now; None when it is gone. The state is empty when it is imported."""
        if not state:
            raise RefusedError("this stand-in cannot import what exists already")
        return state

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        """Change it; answer all outputs."""
        raise NotImplementedError

    def delete(self, state: Properties, call: Call) -> None:
        """Remove it. Without an implementation nothing is done, as most values have nothing outside the state."""

    def verified(self, outputs: Properties) -> Properties:
        """The outputs, of which the SDK knows every one."""
        return outputs


class Function:
    """One function (a data source)."""

    inputs: ClassVar[shapes.Shape]

    def registered(self, package: str, token: str) -> None:
        """The provider has this function under this token."""

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        """Answer all outputs."""
        raise NotImplementedError

    def verified(self, outputs: Properties) -> Properties:
        """The outputs, of which the SDK knows every one."""
        return outputs


class Configuration:
    """What a provider takes for itself: this one takes nothing."""

    inputs: ClassVar[shapes.Shape] = {}

    def filled(self, settings: Properties) -> Properties:
        """The settings and the defaults of those that are absent."""
        return settings

    def check(self, settings: Properties) -> Iterator[tuple[str, str]]:
        """(property, reason) of what is wrong, seen before anything of the provider is used."""
        yield from ()
