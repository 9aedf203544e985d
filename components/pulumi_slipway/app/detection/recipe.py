"""What is found out of a source, and what its settings said of it beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class DetectionError(ValueError):
    """Nothing was found, or what the settings say does not fit; the message names the key and what to set."""


@dataclass(frozen=True)
class Entry:
    """`target` as gunicorn takes it (`module:variable` or `module:factory()`), `kind` "wsgi" or "asgi"."""

    target: str
    kind: str

    @property
    def module(self) -> str:
        return self.target.split(":", maxsplit=1)[0]


@dataclass(frozen=True)
class Worker:
    """A program that runs beside the web processes."""

    name: str
    command: str


@dataclass(frozen=True)
class Timer:
    """A command that runs at times."""

    name: str
    schedule: str
    """cron's five fields, or one of its names as @daily."""
    command: str


@dataclass(frozen=True)
class Migrations:
    """A tool, the command that applies what is pending, and the file or folder that it was known by."""

    tool: str
    command: str
    found: str


@dataclass(frozen=True)
class Said:
    """What the settings say, which wins over what is found; None: nothing is said."""

    entry: str | None = None
    kind: str | None = None
    server: str = "gunicorn"
    """"gunicorn", or "own": the app's own server on the port in $PORT."""
    command: str | None = None
    """Command of its own server; None: the Procfile's web line."""
    build: tuple[str, ...] | None = None
    release: tuple[str, ...] | None = None
    setup: tuple[str, ...] | None = None
    static_url: str | None = None
    static_folder: str | None = None
    persistent: tuple[str, ...] | None = None
    release_inputs: tuple[str, ...] | None = None
    """Files that decide what its release commands do, in gitignore's syntax."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The variables whose values are known by now."""
    domains: tuple[str, ...] = ()
    packages: frozenset[str] = frozenset()
    """What the app's requirements name."""
    needs: str = ""
    """Digest of what else its environment is made from, outside of its own folder."""


@dataclass
class Findings:
    """What a framework's own way of doing things tells of an application."""

    variables: dict[str, str] = field(default_factory=dict)
    build_variables: dict[str, str] = field(default_factory=dict)
    build: list[str] = field(default_factory=list)
    static_url: str = "/static/"
    static_folder: str | None = None
    media_url: str | None = None
    media_folder: str | None = None
    persistent: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    migrations: Migrations | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recipe:
    """How an application is built, set up and run."""

    reason: str
    """One line: what it was taken for, and why."""
    kind: str
    """"wsgi", "asgi", or "own": its own server on the slot's loopback port."""
    target: str | None
    """As gunicorn takes it; None for kind "own"."""
    command: str | None = None
    """Of kind "own"; a shell's, with $PORT."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """gunicorn's settings by their names."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variables that the app gets unless its own environment says otherwise."""
    build_variables: Mapping[str, str] = field(default_factory=dict)
    """The same for build commands: no secret."""
    build: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    """Commands that run once per database."""
    workers: tuple[Worker, ...] = ()
    timers: tuple[Timer, ...] = ()
    static_url: str = "/static/"
    static_folder: str | None = None
    media_url: str | None = None
    """Where uploaded files are served; None: nginx does not."""
    media_folder: str | None = None
    persistent: tuple[str, ...] = ()
    """What the app writes, relative to its source."""
    inputs: str | None = None
    """Digest of what feeds the release commands; None: unknown, they run at each release."""
    left_out: tuple[str, ...] = ()
    """Files that must not reach the server."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
