"""What pyproject.toml says of an app: its dependencies by name, and whether it is a package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .locked import normal, table

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def asks(project: dict[str, Any]) -> bool:
    """Whether it says what the app needs, in the standard's table or in Poetry's."""
    return bool(table(project, "project")) or "dependencies" in table(project, "tool", "poetry")


def names(project: dict[str, Any]) -> set[str]:
    """The packages that the app asks for itself."""
    texts = table(project, "project").get("dependencies", [])
    found = {match[1] for text in texts if isinstance(text, str) and (match := _NAME.match(text))}
    found |= {name for name in table(project, "tool", "poetry", "dependencies") if name.lower() != "python"}
    return {normal(name) for name in found}


def is_package(folder: Path, project: dict[str, Any]) -> bool:
    """Whether it can be built: Poetry and others refuse to where a module of the project's name is missing."""
    poetry = table(project, "tool", "poetry")
    if "build-system" not in project or poetry.get("package-mode") is False:
        return False
    if poetry.get("packages"):
        return True
    module = re.sub(r"[-.]+", "_", str(table(project, "project").get("name") or poetry.get("name") or ""))
    return any((folder / place).exists() for place in (module, f"{module}.py", f"src/{module}", f"src/{module}.py"))
