"""The commands of a release and of its build: what the Procfile says of them, sorted by what each of them needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .procfile import Procfile
from .recipe import Findings, Said
from .shell import split_chain

_BUILDS = re.compile(
    r"\b(collectstatic|compilemessages|compilescss|pybabel compile|translate compile|assets build|digest compile"
    r"|manage\.py compress|tailwind (?:install|build)|webpack|vite build"
    r"|(?:npm|yarn|pnpm|bun) (?:ci|install|run \S+|build))\b"
)
"""What makes files beside the source, and needs no database. Anything else is taken for what needs one."""


@dataclass
class Commands:
    """What runs before a release gets visitors."""

    build: list[str] = field(default_factory=list)
    release: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def choose_commands(said: Said, procfile: Procfile, found: Findings) -> Commands:
    """The settings' own, else the Procfile's (the set-up before its server, too), else what the source looks like."""
    of_procfile = [part for line in procfile.release for part in _parts(line)]
    of_procfile += procfile.web.setup if procfile.web else []
    builds = [command for command in of_procfile if _BUILDS.search(command)]
    releases = [command for command in of_procfile if command not in builds]
    commands = Commands()
    if said.build is not None:
        commands.build += said.build
    else:
        commands.build += builds + [command for command in found.build if not _is_covered(command, builds)]
        if commands.build:
            commands.notes.append(f"builds with {_listed(commands.build)}")
    if said.release is not None:
        commands.release += said.release
    elif releases:
        commands.release += releases
        commands.notes.append(f"before the switch: {_listed(releases)} (Procfile)")
    elif found.migrations:
        commands.release.append(found.migrations.command)
        why = f"{found.migrations.tool}: {found.migrations.found}"
        commands.notes.append(f"before the switch: {_listed(commands.release)} ({why})")
    return commands


def _parts(line: str) -> list[str]:
    """The commands of a line that chains them; one that does more than that is one command, and so is a line that
    changes its folder or its variables."""
    chain = split_chain(line) or []
    if len(chain) < 2 or any(command.words[:1] in ((), ("cd",), ("export",), ("set",)) for command in chain):
        return [line]
    return [command.text for command in chain]


def _is_covered(command: str, builds: list[str]) -> bool:
    """Whether the Procfile's builds do already what was found to be done: collecting, or compiling translations."""
    kinds = ("collectstatic", "manage.py compress")
    what = next((kind for kind in kinds if kind in command), "compile")
    return any(what in build for build in builds)


def _listed(commands: list[str]) -> str:
    return ", ".join(f"`{command}`" for command in commands)
