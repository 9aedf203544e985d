"""`Pipfile.lock` as requirements: its `default` packages, with their hashes and markers."""

from __future__ import annotations

from typing import Any

from .locked import DependenciesError, normal, table
from .text import Line, index_line, render


def requirements(document: dict[str, Any]) -> str:
    """Text for `uv pip install --no-deps`; raises `DependenciesError` for what the server could not have."""
    sources = table(document, "_meta").get("sources", [])
    told = [index_line(str(source.get("url", "")), str(source.get("name", ""))) for source in map(table, sources)]
    indexes = [line for line in told if line]
    return render([_line(name, table(entry)) for name, entry in table(document, "default").items()], indexes)


def names(document: dict[str, Any]) -> set[str]:
    return {normal(name) for name in table(document, "default")}


def python(document: dict[str, Any]) -> str | None:
    """The Python that the Pipfile asks for, as "3.12"."""
    requires = table(document, "_meta", "requires")
    return requires.get("python_full_version") or requires.get("python_version")


def _line(name: str, entry: dict[str, Any]) -> Line:
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    hashes = tuple(entry.get("hashes", ()))
    marker = entry.get("markers")
    if "git" in entry:
        return Line(f"{name}{extras} @ git+{entry['git']}@{entry.get('ref', 'HEAD')}", marker)
    if "path" in entry:
        place = str(entry["path"])
        if place.startswith(("/", "..", "./..")):
            raise DependenciesError(
                f"dependencies: Pipfile.lock needs {name} from {place!r}, outside of the app's folder, which is all "
                "that is released; move it into the folder"
            )
        return Line(place if place.startswith("./") or place == "." else f"./{place}", None)
    if "file" in entry:
        return Line(f"{name}{extras} @ {entry['file']}", marker, hashes)
    if "version" not in entry:
        raise DependenciesError(
            f"dependencies: Pipfile.lock says of {name} neither version nor source that is understood; lock it from an "
            "index, a git repository, a URL or a folder of the app"
        )
    return Line(f"{name}{extras}{entry['version']}", marker, hashes)
