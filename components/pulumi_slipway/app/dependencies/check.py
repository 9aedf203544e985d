"""Can a server have what an app needs? Asked in each preview and `up`, before anything there is touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from . import cache, resolve, sources
from .found import Dependencies
from .locked import Locked, normal
from .machine import Machine
from .python import IMAGES, remedies
from .requirement_files import Requirements
from .resolve import UnknownError
from .wheels import Lacking, fitting_pythons, lacking

_FORMAT = 1
"""Part of every key of the cache: raise it when other things are found out."""


@dataclass
class Findings:
    """What there is to say; nothing of it: all is well."""

    problem: str = ""
    """Why a release would fail, with the remedies."""
    warnings: list[str] = field(default_factory=list)


@dataclass
class _Wheels:
    """What was found out about packages and one machine: what the cache keeps."""

    compiled: list[str] = field(default_factory=list)
    """Packages (with version) that take a compiler."""
    unseen: list[str] = field(default_factory=list)
    """Source distributions that could not be looked at."""
    pythons: list[str] = field(default_factory=list)
    """Versions with which nothing takes one."""
    unknown: str = ""
    """Why nothing was found out."""


def check(dependencies: Dependencies, machine: Machine, may_compile: bool) -> Findings:
    """`may_compile`: the app was given `build_packages`."""
    problem = dependencies.python.problem(machine.python)
    if problem:
        return Findings(problem)
    machine = machine.with_python(dependencies.python.version(machine.python))
    found = _wheels(dependencies, machine)
    if found.unknown:
        return Findings(warnings=[f"whether its packages have wheels could not be found out: {found.unknown}"])
    warnings = []
    if found.unseen and not may_compile:
        warnings.append(
            f"{', '.join(found.unseen)} will be built on the server; if that takes a compiler, the release is refused "
            "there, and build_packages allows it"
        )
    if found.compiled and not may_compile:
        return Findings(_refusal(found, machine), warnings)
    return Findings("", warnings)


def _refusal(found: _Wheels, machine: Machine) -> str:
    names = ", ".join(found.compiled)
    have = "has no wheel" if len(found.compiled) == 1 else "have no wheels"
    there = f"Python {'.'.join(map(str, machine.minor))} on {machine.system} ({machine.architecture})"
    other = f"{remedies(found.pythons)}, or set" if found.pythons else "set"
    return (
        f"{names} {have} for {there}: {other} build_packages: [] to have a compiler there while the environment is "
        "made (list the packages of the distribution that it takes besides, as libpq-dev)"
    )


def _wheels(dependencies: Dependencies, machine: Machine) -> _Wheels:
    if dependencies.locked is not None:
        packages = dependencies.locked(machine.environment())
        return _cached(["locked", sorted(map(str, packages)), machine.key], lambda: _of_locked(dependencies, machine))
    if dependencies.unlocked is not None:
        wanted = dependencies.unlocked
        key = ["unlocked", wanted.lines, wanted.constraints, machine.key]
        return _cached(key, lambda: _of_unlocked(dependencies, wanted, machine))
    return _Wheels()


def _cached(key: Sequence[Any], find: Callable[[], _Wheels]) -> _Wheels:
    digest = cache.digest([_FORMAT, *key])
    known = cache.read(digest)
    if known is not None:
        return _Wheels(**known)
    try:
        found = find()
    except UnknownError as error:
        return _Wheels(unknown=str(error))
    if not found.unseen:
        cache.write(digest, asdict(found))
    return found


def _of_locked(dependencies: Dependencies, machine: Machine) -> _Wheels:
    assert dependencies.locked is not None  # noqa: S101
    packages = dependencies.locked(machine.environment())
    found = _sorted_out(lacking(packages, machine), machine)
    with_wheels = [package for package in packages if package.wheels]
    sources_only = {f"{package.name} {package.version}" for package in packages if not package.wheels}
    if found.compiled and not sources_only.intersection(found.compiled):
        fitting = fitting_pythons(with_wheels, machine, IMAGES)
        found.pythons = [version for version in fitting if not dependencies.python.forbids(version)]
    return found


def _of_unlocked(dependencies: Dependencies, wanted: Requirements, machine: Machine) -> _Wheels:
    lines = [line for line in wanted.lines if _is_of_index(line)]
    if not lines:
        return _Wheels()
    # A list that pins all is complete, as tools make it: what it may leave out comes in its newest version.
    complete = all(map(_is_pinned, lines))
    first = None if complete else resolve.without_wheel(lines, wanted.constraints, machine)
    if not complete and first is None:
        return _Wheels()
    try:
        without = lacking(resolve.pinned(lines, wanted.constraints, machine), machine)
    except resolve.FailedError as error:
        raise UnknownError(str(error)[-300:]) from None
    direct = {each.package.name for each in without}
    if first is not None and normal(first[0]) in direct:  # on the way down there may be more
        others = [line for line in lines if not direct.intersection(Requirements([line]).names)]
        first = resolve.without_wheel(others, wanted.constraints, machine)
    without += [Lacking(Locked(*first), False)] if first else []
    found = _sorted_out(without, machine)
    names = [f"{each.package.name}=={each.package.version}" for each in without if each.name in found.compiled]
    if names:
        allowed = [version for version in IMAGES if not dependencies.python.forbids(version)]
        found.pythons = [version for version in allowed if _have_wheels(names, machine.with_python(f"{version}.0"))]
    return found


def _have_wheels(names: Sequence[str], machine: Machine) -> bool:
    try:
        return not lacking(resolve.pinned(names, [], machine), machine)
    except (UnknownError, resolve.FailedError):
        return False


def _is_of_index(line: str) -> bool:
    """Options go along; repositories and files are built, whatever they hold."""
    if line.startswith("-"):
        return True
    try:
        return Requirement(line.split(" --")[0].split(" #")[0]).url is None
    except InvalidRequirement:
        return False


def _is_pinned(line: str) -> bool:
    return line.startswith("-") or "==" in line.split(";")[0]


def _sorted_out(without: Sequence[Lacking], machine: Machine) -> _Wheels:
    """Which of them take a compiler, and which are plain Python."""
    found = _Wheels()
    for each in without:
        takes = True if each.elsewhere else _takes_compiler(each.package, machine)
        if takes:
            found.compiled.append(each.name)
        elif takes is None:
            found.unseen.append(each.name)
    return found


def _takes_compiler(package: Locked, machine: Machine) -> bool | None:
    url = package.sdist
    if not url:  # the lock does not say where its source is, but uv finds out
        try:
            (entry,) = resolve.pinned([f"{package.name}=={package.version}"], [], machine)
        except (ValueError, UnknownError, resolve.FailedError):
            return None
        if entry.wheels:
            return False
        url = entry.sdist
    return sources.takes_compiler(url) if url else None
