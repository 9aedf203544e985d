"""`pylock.toml` (PEP 751), also as uv prints it."""

from __future__ import annotations

from typing import Any

from .locked import Environment, Locked, file_name, holds, normal, table


def packages(document: dict[str, Any], environment: Environment | None = None) -> list[Locked]:
    """All that is installed in `environment`; without one: anywhere."""
    entries = [entry for entry in document.get("packages", []) if isinstance(entry, dict) and "name" in entry]
    return [_locked(entry) for entry in entries if holds(entry.get("marker"), environment)]


def _locked(entry: dict[str, Any]) -> Locked:
    sdist, archive = table(entry, "sdist"), table(entry, "archive")
    wheels = [_name(wheel) for wheel in entry.get("wheels", [])]
    if archive and _name(archive).endswith(".whl"):
        wheels.append(_name(archive))
    elif archive:
        sdist = archive
    return Locked(
        name=normal(entry["name"]),
        version=str(entry.get("version", "")),
        wheels=tuple(wheels),
        sdist=str(sdist.get("url", "")) if sdist else None,
        local="vcs" in entry or "directory" in entry,
        marker=entry.get("marker"),
    )


def _name(file: dict[str, Any]) -> str:
    return str(file.get("name") or file_name(str(file.get("url") or file.get("path", ""))))
