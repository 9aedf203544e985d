"""`poetry.lock` as requirements. Locks of Poetry 2 say of each package for which group and where it is installed; of
those before, it follows from what pyproject.toml asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from .locked import DependenciesError, Locked, file_name, normal, table
from .text import Line, index_line, render

_MANY = 12
"""Ways to one package with different markers, above which it is installed everywhere: a list would be no help."""

Paths = set[frozenset[str]]
"""The markers on each way to a package, which all hold there; an empty one: it is installed everywhere."""


@dataclass(frozen=True)
class Edge:
    """What a package, or the app, asks for."""

    name: str
    constraint: str
    markers: frozenset[str]
    extras: tuple[str, ...] = ()


def requirements(lock: dict[str, Any], project: dict[str, Any]) -> str:
    """Text for `uv pip install --no-deps`; raises `DependenciesError` for what the server could not have."""
    entries = selected(lock, project)
    told = [_index(entry) for entry, _ in entries]
    return render([_line(entry, marker, lock) for entry, marker in entries], [line for line in told if line])


def packages(lock: dict[str, Any], project: dict[str, Any]) -> list[Locked]:
    """The same, with the files that there are of each."""
    found = []
    for entry, marker in selected(lock, project):
        names = [str(file.get("file", "")) for file in _files(entry, lock)]
        kind = table(entry, "source").get("type", "legacy")
        if kind == "url":
            names = [file_name(str(entry["source"]["url"]))]
        found.append(
            Locked(
                name=normal(entry["name"]),
                version=str(entry["version"]),
                wheels=tuple(name for name in names if name.endswith(".whl")),
                sdist="" if any(not name.endswith(".whl") for name in names) else None,
                local=kind not in ("legacy", "url", "file"),
                marker=marker,
            )
        )
    return found


def selected(lock: dict[str, Any], project: dict[str, Any]) -> list[tuple[dict[str, Any], str | None]]:
    """The packages of the main group, each with where it is installed (None: everywhere)."""
    entries = [entry for entry in lock.get("package", []) if isinstance(entry, dict) and "name" in entry]
    if any("groups" in entry for entry in entries):
        main = [entry for entry in entries if "main" in entry["groups"] and not _only_by_extra(entry)]
        return [(entry, _marker_of_group(entry)) for entry in main]
    return _walk(entries, asked(project))


def asked(project: dict[str, Any]) -> list[Edge]:
    """What pyproject.toml asks for, in Poetry's own table or the standard one; no group but the main one."""
    edges = []
    for name, wanted in table(project, "tool", "poetry", "dependencies").items():
        if name.lower() != "python":
            edges += [edge for edge in _edges(name, wanted) if not edge[1]]
    found = [edge for edge, _ in edges]
    for text in table(project, "project").get("dependencies", []):
        try:
            requirement = Requirement(str(text))
        except InvalidRequirement:
            continue
        marker = frozenset([str(requirement.marker)] if requirement.marker else [])
        extras = tuple(sorted(requirement.extras))
        found.append(Edge(normal(requirement.name), str(requirement.specifier), marker, extras))
    return found


def _only_by_extra(entry: dict[str, Any]) -> bool:
    """An optional package is for an extra of the app; which of them nobody asks for when it is served."""
    return bool(entry.get("optional"))


def _marker_of_group(entry: dict[str, Any]) -> str | None:
    markers = entry.get("markers")
    return markers.get("main") if isinstance(markers, dict) else markers


def _walk(entries: list[dict[str, Any]], wanted: Iterable[Edge]) -> list[tuple[dict[str, Any], str | None]]:
    """From what the app asks for to all that this takes; markers on the way add up."""
    ways: dict[int, Paths] = {}
    done: set[tuple[int, frozenset[str], str | None]] = set()
    pending = [(edge, edge.markers) for edge in wanted]
    while pending:
        edge, markers = pending.pop()
        entry = _matching(entries, edge)
        if entry is None:  # an optional one that nobody locked, or what is built into Python
            continue
        known = ways.setdefault(id(entry), set())
        if len(known) > _MANY:
            markers = frozenset()
        for extra in (None, *edge.extras):
            if (id(entry), markers, extra) not in done:
                done.add((id(entry), markers, extra))
                known.add(markers)
                pending += [(inner, markers | inner.markers) for inner in _edges_of(entry, extra)]
    return [(entry, _any_of(ways[id(entry)])) for entry in entries if id(entry) in ways]


def _edges_of(entry: dict[str, Any], extra: str | None) -> Iterator[Edge]:
    """What a package needs by itself, or, with `extra`, on top of that."""
    names = {normal(_name(text)) for text in table(entry, "extras").get(extra, [])} if extra else set()
    for name, wanted in table(entry, "dependencies").items():
        for edge, optional in _edges(name, wanted):
            if edge.name in names if extra else not optional:
                yield edge


def _edges(name: str, wanted: Any) -> list[tuple[Edge, bool]]:
    """A dependency in Poetry's notation (text, table, or a list of them), and whether it is for an extra only."""
    if isinstance(wanted, list):
        return [pair for each in wanted for pair in _edges(name, each)]
    if not isinstance(wanted, dict):
        return [(Edge(normal(name), str(wanted), frozenset()), False)]
    marker = re.sub(r"(and\s+)?extra\s*==\s*(\"[^\"]*\"|'[^']*')(\s+and)?", "", str(wanted.get("markers", ""))).strip()
    markers = {marker} if marker and marker != "()" else set()
    if "python" in wanted and (python := python_marker(str(wanted["python"]))):
        markers.add(python)
    if "platform" in wanted:
        markers.add(f"sys_platform == '{wanted['platform']}'")
    edge = Edge(normal(name), str(wanted.get("version", "*")), frozenset(markers), tuple(wanted.get("extras", ())))
    return [(edge, bool(wanted.get("optional")))]


def _matching(entries: list[dict[str, Any]], edge: Edge) -> dict[str, Any] | None:
    named = [entry for entry in entries if normal(entry["name"]) == edge.name]
    if len(named) < 2:
        return named[0] if named else None
    allowed = specifier(edge.constraint)
    fitting = [entry for entry in named if allowed is None or allowed.contains(str(entry["version"]), prereleases=True)]
    if len(fitting) != 1:
        raise DependenciesError(
            f"dependencies: poetry.lock holds {edge.name} in {len(named)} versions, and does not say which is for "
            "what; lock it with Poetry 2 (`poetry lock`), which does, or set dependencies to another file"
        )
    return fitting[0]


def specifier(constraint: str) -> SpecifierSet | None:
    """A constraint in Poetry's notation; None for one with alternatives, or that is no constraint of versions."""
    parts = [part for part in re.split(r"[,\s]+(?=[\^~<>=!*\d])", constraint.strip()) if part]
    try:
        return SpecifierSet(",".join(filter(None, (_part(part.strip()) for part in parts))))
    except (InvalidSpecifier, ValueError):
        return None


def _part(text: str) -> str:
    if text == "*":
        return ""
    if match := re.fullmatch(r"(\^|~)\s*(\d+(?:\.\d+)*)", text):
        numbers = [int(number) for number in match[2].split(".")]
        if match[1] == "^":
            place = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1)
        else:
            place = min(1, len(numbers) - 1)
        upper = ".".join(str(number) for number in [*numbers[:place], numbers[place] + 1])
        return f">={match[2]},<{upper}"
    if re.fullmatch(r"\d[\w.]*(\.\*)?", text):
        return f"=={text}"
    return text.replace(" ", "")


def python_marker(constraint: str) -> str:
    """As a marker; empty for one that says nothing, or is not understood."""
    allowed = specifier(constraint)
    if not allowed:
        return ""
    return " and ".join(f"python_full_version {item.operator} '{item.version}'" for item in sorted(allowed, key=str))


def _any_of(ways: Paths) -> str | None:
    if frozenset() in ways:
        return None
    least = [way for way in ways if not any(other < way for other in ways)]
    texts = sorted(" and ".join(f"({marker})" for marker in sorted(way)) for way in least)
    return texts[0] if len(texts) == 1 else " or ".join(f"({text})" for text in texts)


def _line(entry: dict[str, Any], marker: str | None, lock: dict[str, Any]) -> Line:
    name, source = str(entry["name"]), table(entry, "source")
    hashes = tuple(str(file["hash"]) for file in _files(entry, lock) if "hash" in file)
    kind = source.get("type", "legacy")
    if kind == "git":
        reference = source.get("resolved_reference") or source.get("reference") or "HEAD"
        folder = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        return Line(f"{name} @ git+{source['url']}@{reference}{folder}", marker)
    if kind == "url":
        return Line(f"{name} @ {source['url']}", marker, hashes)
    if kind in ("directory", "file"):
        place = str(source["url"])
        if place.startswith(("/", "..")):
            raise DependenciesError(
                f"dependencies: poetry.lock needs {name} from {place!r}, outside of the app's folder, which is all "
                "that is released; move it into the folder"
            )
        return Line(f"./{place}", None)
    return Line(f"{name}=={entry['version']}", marker, hashes)


def _index(entry: dict[str, Any]) -> str:
    source = table(entry, "source")
    return index_line(str(source["url"]), str(source.get("reference", ""))) if source.get("type") == "legacy" else ""


def _files(entry: dict[str, Any], lock: dict[str, Any]) -> list[dict[str, Any]]:
    """Poetry before 1.3 kept them in a table of their own."""
    files = entry.get("files")
    if files is None:
        files = table(lock, "metadata", "files").get(entry["name"], [])
    return [file for file in files if isinstance(file, dict)]


def _name(text: str) -> str:
    """Of an extra's requirement, as "redis (>=4)"."""
    match = re.match(r"[A-Za-z0-9._-]+", text)
    return match[0] if match else text
