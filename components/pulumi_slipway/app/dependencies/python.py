"""Which Python an app wants, and whether the one that there is will do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from .locked import DependenciesError, table
from .poetry import specifier

_VERSION = re.compile(r"(?:c?python-?@?)?(\d+\.\d+)(?:\.\d+)?")
IMAGES = {"3.11": "Debian 12", "3.12": "Ubuntu 24.04", "3.13": "Debian 13"}
"""The systems whose own Python this is."""


@dataclass(frozen=True)
class Wanted:
    """What the app's files say, and what was set."""

    pinned: str = ""
    """As "3.12"; empty: by no file."""
    pinned_by: str = ""
    requires: str = ""
    """As ">=3.11"; empty: nothing."""
    requires_by: str = ""
    chosen: str | None = None
    """The setting `python`, which goes before what a file pins."""

    def problem(self, server: str) -> str:
        """What to say when an app with these wishes cannot have `server`'s own Python (as "3.13.5"); empty: it can."""
        own = Version(server)
        minor = f"{own.major}.{own.minor}"
        if self.chosen is not None:
            return ""
        if self.requires and not SpecifierSet(self.requires).contains(server, prereleases=True):
            said = f"{self.requires_by} asks for Python {self.requires}"
            fitting = [version for version in _KNOWN if not self.forbids(version)]
            return f"{said}, and the server has {server}: {remedies(fitting)}"
        if self.pinned and self.pinned != minor:
            return (
                f"{self.pinned_by} asks for Python {self.pinned}, and the server has {server}: "
                f'{remedies([self.pinned])}, or set python: "{minor}" if the app runs on that as well'
            )
        return ""

    def forbids(self, version: str) -> bool:
        """Whether the app says that it does not run on `version` (as "3.12")."""
        return bool(self.requires) and not SpecifierSet(self.requires).contains(f"{version}.99")

    def version(self, server: str) -> str:
        """The Python that the app gets on a server whose own is `server`."""
        if self.chosen is None or f"{server}.".startswith(f"{self.chosen}."):
            return server
        return self.chosen if self.chosen.count(".") > 1 else f"{self.chosen}.0"


_KNOWN = ("3.14", "3.13", "3.12", "3.11", "3.10", "3.9")
"""What is looked for in place of one that will not do, newest first."""


def wanted_python(
    folders: Sequence[Path], documents: Sequence[tuple[str, Mapping[str, Any]]], chosen: str | None
) -> Wanted:
    """What is said in `folders` (the app's, then those above it) and in `documents` (name, content).

    Raises `ValueError` for a `chosen` that is no version, or that the app says it does not run on.
    """
    pinned, pinned_by = _pin(folders)
    requires, requires_by = "", ""
    for name, document in documents:
        pinned_there = document.get("_meta", {}).get("requires", {}) if name == "Pipfile.lock" else {}
        version = pinned_there.get("python_full_version") or pinned_there.get("python_version")
        if version and not pinned and (match := _VERSION.fullmatch(str(version))):
            pinned, pinned_by = match[1], name
        if not requires:
            requires, requires_by = _requires(document), name
    if chosen is not None:
        _check(chosen, requires, requires_by)
    return Wanted(pinned, pinned_by, requires, requires_by if requires else "", chosen)


def remedies(versions: Sequence[str]) -> str:
    """How a server comes by one of these Pythons, the best first."""
    images = [f"{IMAGES[version]} ({version})" for version in versions if version in IMAGES]
    take = f"take an image with another Python, as {' or '.join(images)}" if images else ""
    managed = f'set python: "{versions[0]}" for one of uv\'s' if versions else ""
    return ", or ".join(text for text in (take, managed) if text) or "no Python that is known of fits"


def _pin(folders: Sequence[Path]) -> tuple[str, str]:
    for folder in folders:
        for name in (".python-version", "runtime.txt"):
            path = folder / name
            lines = path.read_text(errors="replace").split() if path.is_file() else []
            for line in lines:
                if match := _VERSION.fullmatch(line):
                    return match[1], name
    return "", ""


def _requires(document: Mapping[str, Any]) -> str:
    project = dict(document)
    text = table(project, "project").get("requires-python") or project.get("requires-python")
    poetry = table(project, "tool", "poetry", "dependencies").get("python")
    try:
        allowed = SpecifierSet(text) if text else specifier(poetry) if isinstance(poetry, str) else None
    except InvalidSpecifier:
        return ""
    return str(allowed) if allowed else ""


def _check(chosen: str, requires: str, requires_by: str) -> None:
    if not re.fullmatch(r"3\.\d+(\.\d+)?", chosen):
        raise DependenciesError(f'python: {chosen!r} is no version of Python; write it as "3.12" or "3.12.4"')
    full = chosen if chosen.count(".") > 1 else f"{chosen}.99"
    if requires and not SpecifierSet(requires).contains(full):
        raise DependenciesError(f"python: {chosen!r} is not what {requires_by} asks for ({requires}); take one that is")
