"""`uv.lock`: what a package of it needs, and which folders of its workspace that takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .locked import DependenciesError, Environment, Locked, file_name, holds, normal, read_toml, table

_LOCAL = ("editable", "virtual", "directory")


@dataclass(frozen=True)
class UvLock:
    """The lock that holds the app as its package `package`."""

    root: Path
    package: str | None
    """None: the one of the folder of the lock."""
    document: dict[str, Any]

    def packages(self, environment: Environment | None = None) -> list[Locked]:
        """All that is installed in `environment`, the app itself left out; without one: anywhere."""
        return [_locked(entry) for entry in self._closure(environment) if entry is not self._own()]

    def folders(self) -> list[str]:
        """The folders, relative to the root, of the packages of this workspace that the app needs, itself included."""
        found = []
        for entry in self._closure(None):
            place = _folder(entry)
            if place is not None:
                if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
                    raise DependenciesError(
                        f"path: uv.lock needs {entry['name']} from {place!r}, outside of {os.fspath(self.root)!r}, "
                        "which is all that is released; make both members of one workspace"
                    )
                found.append(place)
        return found

    def members(self) -> list[str]:
        """The folders of all members: without their pyproject.toml the lock would count as outdated."""
        names = {normal(name) for name in table(self.document, "manifest").get("members", [])}
        return sorted({place for entry in self._all() if entry["name"] in names and (place := _folder(entry))})

    def _all(self) -> list[dict[str, Any]]:
        return [entry for entry in self.document.get("package", []) if isinstance(entry, dict) and "name" in entry]

    def _own(self) -> dict[str, Any] | None:
        for entry in self._all():
            if entry["name"] == self.package if self.package else _folder(entry) == ".":
                return entry
        return None

    def _closure(self, environment: Environment | None) -> list[dict[str, Any]]:
        """The app's entry and those of all that it needs."""
        own = self._own()
        if own is None:
            raise DependenciesError(
                f"path: uv.lock in {os.fspath(self.root)!r} does not hold {self.package or 'the app'}; run `uv lock`"
            )
        pending: list[tuple[dict[str, Any], str | None]] = [(own, None)]
        seen: set[tuple[int, str | None]] = set()
        found: dict[int, dict[str, Any]] = {}
        while pending:
            entry, extra = pending.pop()
            if (id(entry), extra) in seen:
                continue
            seen.add((id(entry), extra))
            found[id(entry)] = entry
            for edge in _edges(entry, extra):
                if holds(edge.get("marker"), environment):
                    for target in self._targets(edge):
                        pending += [(target, None), *((target, wanted) for wanted in edge.get("extra", []))]
        return list(found.values())

    def _targets(self, edge: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Of a package that is there in several versions or from several sources, an edge says which it means."""
        for entry in self._all():
            same = ("version" not in edge or entry.get("version") == edge["version"]) and (
                "source" not in edge or entry.get("source") == edge["source"]
            )
            if entry["name"] == edge.get("name") and same:
                yield entry


def find_uv_lock(folder: Path) -> UvLock | None:
    """The lock of the app in `folder`: its own, or that of a workspace above it which it is a member of."""
    if (folder / "uv.lock").is_file():
        return UvLock(folder, None, read_toml(folder / "uv.lock"))
    folder = folder.resolve()
    if (folder / ".git").exists() or not (folder / "pyproject.toml").is_file():
        return None
    for parent in folder.parents:
        if (parent / "uv.lock").is_file() and _is_member(parent, folder):
            lock = read_toml(parent / "uv.lock")
            name = table(read_toml(folder / "pyproject.toml"), "project").get("name")
            return UvLock(parent, normal(str(name)), lock)
        if (parent / ".git").exists():
            break
    return None


def _is_member(root: Path, folder: Path) -> bool:
    workspace = table(read_toml(root / "pyproject.toml"), "tool", "uv", "workspace")
    place = folder.relative_to(root)
    matches = [pattern for pattern in workspace.get("members", []) if place in _matching(root, pattern)]
    return bool(matches) and not any(place in _matching(root, pattern) for pattern in workspace.get("exclude", []))


def _matching(root: Path, pattern: str) -> set[Path]:
    return {path.relative_to(root) for path in root.glob(os.path.normpath(pattern))}


def _edges(entry: dict[str, Any], extra: str | None) -> list[dict[str, Any]]:
    edges = entry.get("dependencies", []) if extra is None else table(entry, "optional-dependencies").get(extra, [])
    return [edge for edge in edges if isinstance(edge, dict)]


def _folder(entry: dict[str, Any]) -> str | None:
    source = table(entry, "source")
    return next((str(source[kind]) for kind in _LOCAL if kind in source), None)


def _locked(entry: dict[str, Any]) -> Locked:
    source = table(entry, "source")
    sdist = table(entry, "sdist")
    return Locked(
        name=normal(entry["name"]),
        version=str(entry.get("version", "")),
        wheels=tuple(
            wheel.get("filename") or file_name(wheel.get("url") or wheel.get("path", ""))
            for wheel in entry.get("wheels", [])
        ),
        sdist=str(sdist.get("url", "")) if sdist else None,
        local=not {"registry", "url", "path"} & set(source),
    )
