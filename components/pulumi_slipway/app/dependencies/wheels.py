"""Which packages a machine can have as wheels, and which of the others take a compiler."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from .locked import Locked
from .machine import Machine

_PURE = "any"


@dataclass(frozen=True)
class Lacking:
    """A package without a wheel that the machine can use."""

    package: Locked
    elsewhere: bool
    """There are wheels for other Pythons or machines: it holds what has to be compiled."""

    @property
    def name(self) -> str:
        return f"{self.package.name} {self.package.version}".strip()


def lacking(packages: Iterable[Locked], machine: Machine) -> list[Lacking]:
    """Those of `packages` that have no wheel for `machine`, by name."""
    tags = machine.tags()
    found = [
        Lacking(package, any(not _is_pure(wheel) for wheel in package.wheels))
        for package in packages
        if not package.local and not any(_fits(wheel, tags) for wheel in package.wheels)
    ]
    return sorted(found, key=lambda each: each.package.name)


def _fits(wheel: str, tags: frozenset[Tag]) -> bool:
    return bool(_tags(wheel) & tags)


def _is_pure(wheel: str) -> bool:
    return all(tag.platform == _PURE for tag in _tags(wheel))


def _tags(wheel: str) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(wheel)[3]
    except InvalidWheelFilename:
        return frozenset()


def fitting_pythons(packages: Sequence[Locked], machine: Machine, versions: Iterable[str]) -> list[str]:
    """Those of `versions` (as "3.12") for which every package has a wheel."""
    return [version for version in versions if not lacking(packages, machine.with_python(f"{version}.0"))]
