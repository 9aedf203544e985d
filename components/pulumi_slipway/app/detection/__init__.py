"""Finds out how an application is built, set up and run, from its files alone; nothing is imported or run.

What the settings say wins over the Procfile, and that over what the source looks like.
"""

from __future__ import annotations

import os.path
from dataclasses import replace
from typing import Any

from . import dotenv
from .commands import choose_commands
from .django import Project, django_findings, find_project
from .flask import flask_findings
from .media import find_media
from .migrations import inputs_digest
from .other import other_findings
from .procfile import read_procfile
from .recipe import DetectionError, Entry, Findings, Recipe, Said, Timer, Worker
from .served import Served, find_served
from .tree import Tree
from .web import WebLine

__all__ = ["DetectionError", "Entry", "Recipe", "Said", "Timer", "Tree", "Worker", "detect"]


def detect(tree: Tree, said: Said) -> Recipe:
    """How to launch the application in `tree`; raises `DetectionError` naming what to set."""
    procfile = read_procfile(tree)
    web = procfile.web or WebLine("")
    switches = dotenv.production_switches(tree, {**web.variables, **said.environment})
    said = replace(said, environment={**switches.variables, **web.variables, **said.environment})
    project = find_project(tree, said)
    command = _own_command(said, web) if said.server == "own" else None
    served = _perhaps_served(tree, said, web, project) if command else find_served(tree, said, web, project)
    found = _findings(tree, said, served, project)
    commands = choose_commands(said, procfile, found)
    imported = _import_path(served, web, project)
    builds = {**found.build_variables, **imported} if commands.build else {}
    gunicorns = served if command is None else None
    options, option_notes = _options(tree, web) if gunicorns else ({}, [])
    return Recipe(
        reason=_reason(served, project, command),
        kind=gunicorns.entry.kind if gunicorns else "own",
        target=gunicorns.entry.target if gunicorns else None,
        command=command,
        options=options,
        variables={**imported, **found.variables, **switches.variables, **web.variables},
        build_variables=builds,
        build=tuple(commands.build),
        release=tuple(commands.release),
        setup=said.setup if said.setup is not None else tuple(found.setup),
        workers=tuple(procfile.workers),
        timers=tuple(procfile.timers),
        static_url=said.static_url or found.static_url,
        static_folder=said.static_folder or _static_folder(tree, found, commands.build),
        media_url=found.media_url,
        media_folder=found.media_folder,
        persistent=said.persistent if said.persistent is not None else tuple(found.persistent),
        inputs=inputs_digest(tree, commands.release, said.release_inputs, said.needs) if commands.release else None,
        left_out=tuple(switches.left_out),
        notes=(*_notes_of(gunicorns, web), *option_notes, *commands.notes, *found.notes, *switches.notes),
        warnings=tuple(found.warnings),
    )


def _reason(served: Served | None, project: Project | None, command: str | None) -> str:
    parts = [served.reason(project)] if served else []
    return "; ".join([*parts, *([f"its own server: `{command}`"] if command else [])])


def _own_command(said: Said, web: WebLine) -> str:
    command = said.command or web.serve
    if not command:
        raise DetectionError(
            "server: 'own' needs a command: the web line of the app's Procfile, or the setting command, "
            'as in command: "uwsgi --http 127.0.0.1:$PORT --module mysite.wsgi"'
        )
    return command


def _perhaps_served(tree: Tree, said: Said, web: WebLine, project: Project | None) -> Served | None:
    """What an own server serves: it knows by itself, so nothing need be found."""
    try:
        return find_served(tree, said, web, project)
    except DetectionError:
        return None


def _findings(tree: Tree, said: Said, served: Served | None, project: Project | None) -> Findings:
    if project:
        found = django_findings(project, said.domains)
        find_media(tree, project, found)
        return found
    if served and served.framework == "Flask":
        return flask_findings(tree, served.entry, served.maker, served.flask_app, said)
    return other_findings(tree, served.entry.module if served else "", said.packages)


def _notes_of(served: Served | None, web: WebLine) -> list[str]:
    return [*served.notes, *web.notes] if served else []


def _import_path(served: Served | None, web: WebLine, project: Project | None) -> dict[str, str]:
    """PYTHONPATH for an app whose modules are in a folder of its source: it runs from there, installed or not."""
    folder = project.root if project else "src/" if served and (served.file or "").startswith("src/") else ""
    return {"PYTHONPATH": folder.rstrip("/")} if folder and folder.rstrip("/") != web.folder else {}


def _options(tree: Tree, web: WebLine) -> tuple[dict[str, Any], list[str]]:
    """gunicorn's settings, those of its web line and the configuration file that it takes without being told; and what
    there is to tell."""
    options, notes = dict(web.options), []
    if web.folder not in ("", "."):
        options["chdir"] = web.folder
    said = options.pop("config", None)
    name = os.path.normpath(os.path.join(web.folder, said or "gunicorn.conf.py"))  # noqa: PTH118 (of the source)
    if tree.has(name):
        options["config"] = name
    elif said:
        notes.append(f"gunicorn's configuration file {said} is not in the source, and is left out")
    return options, notes


def _static_folder(tree: Tree, found: Findings, build: list[str]) -> str | None:
    """The folder that was found, if it is there, or is made by a build."""
    folder = found.static_folder
    made = any("collectstatic" in command for command in build)
    return folder if folder and (made or tree.has_folder(folder)) else None
