"""By which file an app says what it needs: exactly one, or an error that says which were found."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from . import pipfile, poetry, project, pylock
from .locked import DependenciesError, Environment, Locked, read_json, read_toml
from .python import Wanted, wanted_python
from .requirement_files import Requirements, read_requirements
from .uv_lock import UvLock, find_uv_lock

LOCKS = ("uv.lock", "poetry.lock", "Pipfile.lock", "pylock.toml")
_FOREIGN = {
    "pdm.lock": "run `pdm export --format pylock --output pylock.toml`",
    "Pipfile": "run `pipenv lock`, and keep Pipfile.lock with the source",
    "requirements.in": "run `uv pip compile requirements.in -o requirements.txt`",
    "environment.yml": "list what the app needs in requirements.txt",
    "setup.py": "put a line with a single dot into requirements.txt, which installs what setup.py asks for",
}
"""What says so in a way that nobody can install from, and what to do about it."""
_MISSPELT = ("requirements", "requirements.txt.txt", "requirements.pip", "requirement.text")


@dataclass(frozen=True)
class Dependencies:
    """How an app says what it needs, and what that is."""

    manager: str
    """As the server is told: "uv.lock", "requirements.txt", "requirements" (text), "pylock.toml", "pyproject.toml";
    empty: it needs nothing."""
    file: str
    """The file that says it, for people."""
    root: Path
    """The folder that is released: the app's, or that of its workspace."""
    app_folder: str = ""
    """The app's folder in it; empty: itself."""
    parts: tuple[str, ...] = ()
    """Files and folders of the root that are released; none: all."""
    package: str | None = None
    """The app's name in its workspace."""
    requirements: str | None = None
    """Text, of a lock that is turned into requirements here."""
    folders: tuple[str, ...] = ()
    """Folders of the root whose code is installed from it, besides the app's own."""
    own: bool = False
    """The app is a package of its own, and its lock does not say so."""
    names: frozenset[str] = frozenset()
    """Of the packages that it names."""
    python: Wanted = field(default_factory=Wanted)
    locked: Callable[[Environment], list[Locked]] | None = field(default=None, compare=False, repr=False)
    """What is installed on such a machine, with its files; None: the lock does not list them."""
    unlocked: Requirements | None = field(default=None, compare=False, repr=False)
    """In place of that: what is to be resolved."""

    def document(self) -> dict[str, Any]:
        """As the server is told."""
        return {
            "manager": self.manager,
            "file": self.file,
            "folder": "",
            "package": self.package,
            "requirements": self.requirements,
            "own": self.own,
            "folders": list(self.folders),
        }


def find_dependencies(folder: Path, chosen: str | None = None, python: str | None = None) -> Dependencies:
    """What the app in `folder` needs. `chosen` (the setting `dependencies`) names the file that counts, `python` the
    version that was set. Raises `ValueError` with what to set where nothing can be told for certain."""
    uv = find_uv_lock(folder)
    found = [name for name in LOCKS[1:] if (folder / name).is_file()]
    requirements = _requirements_file(folder, chosen)
    file = chosen or _the_one([*(["uv.lock"] if uv else []), *found, *([requirements] if requirements else [])])
    if chosen is not None and not (uv if chosen == "uv.lock" else (folder / chosen).is_file()):
        raise DependenciesError(f"dependencies: {chosen!r} is not in {os.fspath(folder)!r}; name a file that is")
    document = read_toml(folder / "pyproject.toml")
    if not file and project.asks(document):
        file = "pyproject.toml"
    if not file:
        _refuse_unknown(folder)
        return Dependencies("", "", folder, python=wanted_python([folder], [], python))
    if file == "uv.lock" and uv is not None:
        return _of_uv(folder, uv, document, python)
    return _of_file(folder, file, document, python)


def _of_file(folder: Path, file: str, document: dict[str, Any], python: str | None) -> Dependencies:
    asked = frozenset(project.names(document))
    documents: list[tuple[str, dict[str, Any]]] = [("pyproject.toml", document)]

    def made(manager: str, names: set[str], **rest: Any) -> Dependencies:
        wanted = wanted_python([folder], documents, python)
        return Dependencies(manager, file, folder, names=asked | names, python=wanted, **rest)

    if file == "poetry.lock":
        lock = read_toml(folder / file)
        text, packages = poetry.requirements(lock, document), poetry.packages(lock, document)
        own = project.is_package(folder, document)
        return made(
            "requirements",
            {entry.name for entry in packages},
            requirements=text,
            own=own,
            locked=lambda environment: [entry for entry in packages if entry.holds(environment)],
        )
    if file == "Pipfile.lock":
        lock = read_json(folder / file)
        documents.append((file, lock))
        text = pipfile.requirements(lock)
        return made("requirements", pipfile.names(lock), requirements=text, unlocked=Requirements(text.splitlines()))
    if file == "pylock.toml":
        lock = read_toml(folder / file)
        documents.append((file, lock))
        names = {entry.name for entry in pylock.packages(lock)}
        return made(file, names, locked=lambda environment: pylock.packages(lock, environment))
    if file == "pyproject.toml":
        texts = document.get("project", {}).get("dependencies", [])
        return made(file, set(), unlocked=Requirements([str(text) for text in texts]))
    requirements = read_requirements(folder, file)
    return made("requirements.txt", requirements.names, unlocked=requirements)


def _of_uv(folder: Path, uv: UvLock, document: dict[str, Any], python: str | None) -> Dependencies:
    names = project.names(document) | {entry.name for entry in uv.packages()}
    documents = [("pyproject.toml", document), ("uv.lock", uv.document)]
    app_folder = "" if uv.package is None else folder.resolve().relative_to(uv.root).as_posix()
    places = uv.folders()
    parts: set[str] = set()
    if uv.package is not None:
        manifests = {PurePosixPath(place, "pyproject.toml").as_posix() for place in [".", *uv.members()]}
        parts = {"uv.lock", ".python-version", app_folder, *manifests, *(place for place in places if place != ".")}
    return Dependencies(
        "uv.lock",
        "uv.lock",
        folder if uv.package is None else uv.root,
        app_folder,
        tuple(sorted(parts)),
        uv.package,
        folders=tuple(place for place in places if place not in (".", app_folder)),
        names=frozenset(names),
        python=wanted_python([folder, uv.root], documents, python),
        locked=uv.packages,
    )


def _the_one(found: list[str]) -> str:
    if len(found) > 1:
        raise DependenciesError(
            f"dependencies: the app says in {len(found)} files what it needs ({', '.join(found)}); set dependencies to "
            "the one that counts, or remove the others"
        )
    return found[0] if found else ""


def _requirements_file(folder: Path, chosen: str | None) -> str:
    """requirements.txt, or the one in its place; empty: there is none."""
    if (folder / "requirements.txt").is_file() or chosen is not None:
        return "requirements.txt" if (folder / "requirements.txt").is_file() else ""
    inner = sorted(path.name for path in (folder / "requirements").glob("*.txt"))
    for name in ("production.txt", "prod.txt"):
        if name in inner:
            return f"requirements/{name}"
    if len(inner) > 1:
        raise DependenciesError(
            f"dependencies: the folder requirements holds {', '.join(inner)}; set dependencies to the one that the "
            f"server needs, as requirements/{inner[0]}"
        )
    return f"requirements/{inner[0]}" if inner else ""


def _refuse_unknown(folder: Path) -> None:
    """Nothing was found: perhaps something was meant."""
    known = ("requirements.txt", *LOCKS, "pyproject.toml")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    for name in [name for name in names if name not in known]:
        if name in _FOREIGN:
            raise DependenciesError(f"dependencies: {name} is nothing to install from; {_FOREIGN[name]}")
        near = difflib.get_close_matches(name.lower(), [each.lower() for each in known], n=1, cutoff=0.88)
        if name in _MISSPELT or (near and abs(len(near[0]) - len(name)) < 3):
            meant = next((each for each in known if near and each.lower() == near[0]), "requirements.txt")
            raise DependenciesError(f"dependencies: {name} is not read; name it {meant}")
