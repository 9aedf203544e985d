"""One package of a lock file, whichever it is, and reading the files themselves."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

Environment = Mapping[str, str]
"""The values of a machine that markers are about (`packaging.markers`)."""


class DependenciesError(ValueError):
    """What the app says of its dependencies cannot be used; the message begins with the argument that helps."""


@dataclass(frozen=True)
class Locked:
    """A package at its version."""

    name: str
    """As names are compared."""
    version: str
    wheels: tuple[str, ...] = ()
    """Names of the files that are to be had."""
    sdist: str | None = None
    """URL of its source distribution; empty where there is one, and its place is not told."""
    local: bool = False
    """Built from the app's own archive, or from a repository: it has no files to look for."""
    marker: str | None = None
    """Where it is installed; None: everywhere."""

    def holds(self, environment: Environment | None) -> bool:
        return holds(self.marker, environment)


def normal(name: str) -> str:
    return canonicalize_name(name)


def holds(marker: object, environment: Environment | None) -> bool:
    """Whether a package with this marker is for `environment`; without one, it is for somebody."""
    if environment is None or not isinstance(marker, str) or not marker.strip():
        return True
    try:
        return Marker(marker).evaluate({**environment, "extra": ""})
    except InvalidMarker:
        return True


def read_toml(path: Path) -> dict[str, Any]:
    """The document; empty when there is none. Raises `DependenciesError` for one that is damaged."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DependenciesError(f"path: {os.fspath(path)!r} cannot be read: {error}; mend it") from None


def read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DependenciesError(f"path: {os.fspath(path)!r} cannot be read: {error}; mend it") from None
    return document if isinstance(document, dict) else {}


def table(document: Any, *keys: str) -> dict[str, Any]:
    """The table at `keys`; an empty one for what is none."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def file_name(url: str) -> str:
    """The name of the file at a URL or path."""
    from urllib.parse import unquote

    return unquote(url.split("#")[0].split("?")[0].rstrip("/").rsplit("/", maxsplit=1)[-1])
