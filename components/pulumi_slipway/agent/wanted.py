"""A release as it was asked for: what the request of a release must say, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from . import build, database, gap, health, migrate, persistent, processes, request, setup, variables
from .errors import AgentError
from .needs import Needs
from .paths import AppPaths
from .request import Document

WITHOUT_GUNICORN = ("command", "own")
"""Kinds of a web process that bring a server of their own."""

_KINDS = ("wsgi", "asgi", *WITHOUT_GUNICORN)


@dataclass(frozen=True)
class Wanted:
    """A release as it was asked for."""

    id: str
    upload: Path
    archive: str
    content: str | None
    """Digest of the source by itself; None: it is not told, and the archive's own stands for it."""
    variables: Mapping[str, str]
    build_variables: Mapping[str, str]
    build: tuple[build.Step, ...]
    commands: tuple[str, ...]
    """Run once before the release gets visitors."""
    web: Mapping[str, Any]
    processes: processes.Processes
    """All it runs besides the web server."""
    needs: Needs
    static: str | None
    """Folder of the static files, in the source."""
    persistent: tuple[str, ...]
    """Paths of the app's folder that outlive releases."""
    media: str | None
    """The one of them that nginx serves."""
    setup: setup.Wanted
    migration: migrate.Wanted
    health: health.Rule
    drain: float
    keep: int
    strategy: str
    database: database.Wanted
    fingerprints: Mapping[str, str]
    """Of each variable, a digest under a key that the operator's side has: tells which of them change."""
    stage_timeout: float
    release_timeout: float

    @classmethod
    def read(cls, document: Document) -> Wanted:
        upload = request.mapping(document, "archive")
        commands = request.mapping(document, "commands", {})
        timeouts = request.mapping(document, "timeouts", {})
        static, media = document.get("static"), document.get("media")
        return cls(
            id=request.release_id(document),
            upload=Path(request.text(upload, "path")),
            archive=request.sha256(upload),
            content=request.optional_text(upload, "content"),
            variables=request.variables(document, "environment"),
            build_variables=request.variables(document, "build_environment"),
            build=build.read(commands),
            commands=tuple(request.texts(commands, "release")),
            web=_web(request.mapping(document, "web")),
            processes=processes.Processes.read(document),
            needs=Needs.read(document),
            static=None if static is None else _folder(request.text(static, "folder"), "static.folder"),
            persistent=persistent.read(document),
            media=None if media is None else _folder(request.text(media, "folder"), "media.folder"),
            setup=setup.Wanted.read(document),
            migration=migrate.Wanted.read(document),
            health=health.Rule.read(request.mapping(document, "health", {})),
            drain=request.number(document, "drain", 30),
            keep=request.integer(document, "keep", 5),
            strategy=gap.read_strategy(document),
            database=database.Wanted.read(AppPaths(request.app_name(document)), document),
            fingerprints=request.variables(document, "fingerprints"),
            stage_timeout=request.number(timeouts, "stage", 900),
            release_timeout=request.number(timeouts, "release", 600),
        )

    def record(self, env: str) -> dict[str, Any]:
        """What is remembered of it; no value of a variable."""
        return {
            "release": self.id,
            "archive": self.archive,
            "content": self.content,
            "env": env,
            "variables": sorted(self.variables),
            "build": [step.record() for step in self.build],
            "build_variables": variables.fingerprint(self.build_variables),
            "commands": list(self.commands),
            "web": dict(self.web),
            **self.processes.record(),
            "static": self.static,
            "persistent": list(self.persistent),
            "media": self.media,
            "setup": list(self.setup.commands),
            **self.needs.record(),
            **self.database.record(),
            **self.terms(),
        }

    def terms(self) -> dict[str, Any]:
        """The part of its record that may change after it was staged: what it is run by, not what it consists of."""
        return {
            "incoming": str(self.upload),
            "health": self.health.document(),
            "drain": self.drain,
            "keep": self.keep,
            "strategy": self.strategy,
            "fingerprints": dict(self.fingerprints),
        }

    @property
    def with_gunicorn(self) -> bool:
        return self.web["kind"] not in WITHOUT_GUNICORN


def _web(document: Document) -> dict[str, Any]:
    kind = request.text(document, "kind", "wsgi")
    if kind not in _KINDS:
        raise AgentError(f"web.kind: {kind!r} is none of {', '.join(_KINDS)}")
    target, command = request.optional_text(document, "target"), request.optional_text(document, "command")
    needed = command if kind in WITHOUT_GUNICORN else target
    if not needed:
        raise AgentError(f"web: kind {kind!r} needs {'a command' if kind in WITHOUT_GUNICORN else 'a target'}")
    return {
        "kind": kind,
        "target": target,
        "command": command,
        "options": dict(request.mapping(document, "options", {})),
        "memory": processes.read_memory(document, "web"),
    }


def _folder(text: str, key: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise AgentError(f"{key}: {text!r} must lie within the source")
    return str(path)
