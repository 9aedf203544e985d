"""What of a source is served: the entry point that the settings, the Procfile or the source itself name."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import dotenv
from .code import assignments, text_of
from .django import Project
from .entry import Found, find_entry, kind_of, maker_of
from .flask import find_flask_app
from .recipe import DetectionError, Entry, Said
from .tree import Tree
from .web import WebLine

PROCFILE = "the Procfile's web line"
_TARGET = re.compile(r"[\w.]+:[\w.]+(\(.*\))?")


@dataclass(frozen=True)
class Served:
    """An entry point, and what is known of where it is made."""

    entry: Entry
    framework: str
    """"" where that is not seen."""
    file: str | None
    """The file of its module; None: it is not of this source."""
    maker: str | None
    """The file that makes the application."""
    why: str
    """What named it."""
    flask_app: str | None = None
    """FLASK_APP, as a file of the source says it."""
    notes: tuple[str, ...] = ()

    def reason(self, project: Project | None) -> str:
        """One line for people."""
        entry, kind, framework = self.entry, self.entry.kind.upper(), self.framework or "Python"
        named = [self.why] if self.why else []
        if project:
            found = [f"{project.root}manage.py", f"settings in {project.settings}", *named]
            return f"Django: {', '.join(found)}, {kind} {entry.module}"
        where = self.file or f"the package {entry.module}"
        if self.why == PROCFILE:
            return f"Procfile: its web line, {framework} in {where}, {kind} {entry.target}"
        return f"{framework}: {', '.join([where, *named])}, {kind} {entry.target}"


def find_served(tree: Tree, said: Said, web: WebLine, project: Project | None) -> Served:
    """The entry point; raises `DetectionError` with what to set."""
    roots = _roots(web, project)
    if said.entry is not None:
        return _given(tree, said.entry, said.kind, roots, "the setting entry", check=True)
    if web.target is not None:
        return _given(tree, web.target, said.kind or web.kind, roots, PROCFILE)
    configured = _configured(tree, web)
    if configured is not None:
        return _given(tree, configured[0], said.kind or web.kind, roots, configured[1])
    notes = _not_understood(web)
    if project:
        if project.entry is None:
            raise DetectionError(
                f"entry: {project.root}manage.py is there, but neither a wsgi.py nor an asgi.py; "
                'set entry, for example entry: "mysite.wsgi:application"'
            )
        file = tree.file_of(project.entry.module, roots)
        entry = Entry(project.entry.target, said.kind or project.entry.kind)
        return Served(entry, "Django", file, file, "", notes=notes)
    named = _flask_app(tree, said)
    found = find_flask_app(tree, named[0]) if named else None
    if named and found:
        why = f"FLASK_APP in {named[1]}"
        return _served(tree, found, said.kind, why, named[0], notes)
    try:
        return _served(tree, find_entry(tree), said.kind, "", None, notes)
    except DetectionError as error:
        if web.line:
            raise DetectionError(
                f"{error}; or set server: own, to run the Procfile's `{web.line}` as it is, with its port in $PORT"
            ) from None
        raise


def _served(tree: Tree, found: Found, kind: str | None, why: str, app: str | None, notes: tuple[str, ...]) -> Served:
    entry = Entry(found.entry.target, kind or found.entry.kind)
    return Served(entry, found.framework, found.file, maker_of(tree, found.file)[1], why, app, notes)


def _given(tree: Tree, target: str, kind: str | None, roots: Sequence[str], why: str, check: bool = False) -> Served:
    """An entry point that somebody has named."""
    if check and not _TARGET.fullmatch(target):
        raise DetectionError(
            f'entry: {target!r} is no entry point; write it as "module:variable" or "module:factory()"'
        )
    module = target.split(":", maxsplit=1)[0]
    file = tree.file_of(module, roots)
    if check and file is None and not any(tree.has_folder(f"{root}{module.replace('.', '/')}") for root in roots):
        raise DetectionError(
            f"entry: {target!r} names the module {module.replace('.', '/')}.py, "
            f"which is not in {os.fspath(tree.folder)!r}"
        )
    framework, maker = maker_of(tree, file) if file else ("", None)
    return Served(Entry(target, kind or kind_of(framework, target)), framework, file, maker or file, why)


def _roots(web: WebLine, project: Project | None) -> tuple[str, ...]:
    """Where modules are imported from, each "" or with a / at its end."""
    folders = [f"{web.folder}/" if web.folder not in ("", ".") else "", project.root if project else "", "", "src/"]
    return tuple(dict.fromkeys(folders))


def _configured(tree: Tree, web: WebLine) -> tuple[str, str] | None:
    """The application that gunicorn's own configuration file names, and that file."""
    file = str(web.options.get("config", "gunicorn.conf.py"))
    module = tree.module(file)
    named = (
        [text for name, value in assignments(module) if name == "wsgi_app" and (text := text_of(value))]
        if module
        else []
    )
    return (named[-1] if ":" in named[-1] else f"{named[-1]}:application", file) if named else None


def _flask_app(tree: Tree, said: Said) -> tuple[str, str] | None:
    """FLASK_APP, and where it is said."""
    if "FLASK_APP" in said.environment:
        return said.environment["FLASK_APP"], "environment"
    for file in dotenv.FILES:
        value = dotenv.read(tree, file).get("FLASK_APP")
        if value:
            return value, file
    return None


def _not_understood(web: WebLine) -> tuple[str, ...]:
    if not web.line or web.server:
        return ()
    return (
        f"the Procfile's web line `{web.line}` starts no server that Slipway knows: gunicorn serves what is found in "
        "the source; server: own runs the line as it is",
    )
