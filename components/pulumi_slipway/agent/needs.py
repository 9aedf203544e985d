"""What the environment of a release is to be made of, as it was asked for."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from . import request
from .errors import AgentError
from .request import Document

_MANAGERS = ("uv.lock", "requirements.txt", "requirements", "pylock.toml", "pyproject.toml", "")
_VERSION = re.compile(r"3\.\d{1,3}(\.\d{1,3})?")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True)
class Said:
    """The file that says what the app needs."""

    manager: str
    """One of `_MANAGERS`; "requirements": the text below; "": nothing is needed."""
    file: str
    folder: str
    """Where it lies, in the archive."""
    package: str | None
    """The app's name in a workspace."""
    requirements: str | None
    own: bool
    """The app itself is to be installed as well, which `requirements` do not say."""
    folders: tuple[str, ...]
    """Folders of the archive whose code is installed from it."""

    @classmethod
    def read(cls, document: Document) -> Said:
        manager = request.text(document, "manager", "")
        if manager not in _MANAGERS:
            raise AgentError(f"dependencies.manager: {manager!r} is none of {', '.join(filter(None, _MANAGERS))}")
        text = request.optional_text(document, "requirements")
        if manager == "requirements" and text is None:
            raise AgentError("dependencies.requirements: missing, and the manager is 'requirements'")
        return cls(
            manager=manager,
            file=_inside("dependencies.file", request.text(document, "file", manager)),
            folder=_inside("dependencies.folder", request.text(document, "folder", "")),
            package=request.optional_text(document, "package"),
            requirements=text,
            own=request.flag(document, "own"),
            folders=tuple(_inside("dependencies.folders", name) for name in request.texts(document, "folders")),
        )


@dataclass(frozen=True)
class Needs:
    app_folder: str = ""
    """The app's folder in the archive; empty: its root."""
    said: Said | None = None
    """None: what is found in the source."""
    python: str | None = None
    """As "3.12"; None: the server's own, whichever that is."""
    mirror: str | None = None
    """Where uv finds the Pythons that it manages."""
    system: tuple[str, ...] = ()
    """Packages of the distribution that the app needs to run."""
    build: tuple[str, ...] | None = None
    """Those that compiling takes, besides a compiler; None: nothing is compiled."""

    @classmethod
    def read(cls, document: Document) -> Needs:
        said = document.get("dependencies")
        python = request.mapping(document, "python", {})
        packages = request.mapping(document, "packages", {})
        version = request.optional_text(python, "version")
        if version is not None and not _VERSION.fullmatch(version):
            raise AgentError(f"python.version: {version!r} is no version of Python, as 3.12 is")
        return cls(
            app_folder=_inside("app_folder", request.text(document, "app_folder", "")),
            said=None if said is None else Said.read(request.mapping(document, "dependencies")),
            python=version,
            mirror=request.optional_text(python, "mirror"),
            system=_names(packages, "system"),
            build=None if packages.get("build") is None else _names(packages, "build"),
        )

    def digest(self) -> str:
        """Of what makes a difference to the code and environment of a release."""
        said = None if self.said is None else vars(self.said)
        text = json.dumps([said, self.python], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def record(self) -> dict[str, Any]:
        """What a release's record keeps of it."""
        return {"app_folder": self.app_folder, "needs": self.digest()}


def _names(document: Document, key: str) -> tuple[str, ...]:
    names = request.texts(document, key)
    for name in names:
        if not _PACKAGE.fullmatch(name):
            raise AgentError(f"packages.{key}: {name!r} is no name of a package of the distribution")
    return tuple(names)


def _inside(key: str, text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise AgentError(f"{key}: {text!r} must lie within the archive")
    return "" if text in ("", ".") else str(path)
