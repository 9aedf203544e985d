"""Migrations: which tool a source has, the command that applies them, and the files that decide what it does."""

from __future__ import annotations

import configparser
import hashlib
import json
import re
from collections.abc import Sequence

from .recipe import Migrations
from .tree import Tree

DEPENDENCIES = (
    "/*requirements*.txt",
    "/requirements/",
    "/uv.lock",
    "/poetry.lock",
    "/Pipfile.lock",
    "/pylock*.toml",
    "/pyproject.toml",
    "/.python-version",
    "/runtime.txt",
)
"""What an environment is made from: a migration may come with a package."""

_FLASK_MIGRATE = re.compile(
    r"(?:python3? -m )?flask(?: (?:--app|-A)[ =]\S+)? db upgrade(?: (?:-d|--directory)[ =](\S+))?(?: head)?"
)
_ALEMBIC = re.compile(r"(?:python3? -m )?alembic(?: (?:-c|--config)[ =](\S+))? upgrade heads?")
_DJANGO = re.compile(r"(?:python3? \S*manage\.py|django-admin) migrate(?: --?[a-z]+(?:=\S+)?)*")
_DJANGO_INPUTS = ("migrations/", "*settings*", "settings/", "manage.py")
_ALEMBIC_INPUTS = ("migrations/", "alembic.ini")


def django_migrations(root: str) -> Migrations:
    """Django's: every project has some, those of its own apps or of Django's."""
    return Migrations("Django", f"python {root}manage.py migrate --noinput", f"{root}manage.py")


def find_migrations(tree: Tree) -> Migrations | None:
    """Flask-Migrate's, which are run by the flask command, or Alembic's own."""
    for name in tree.names:
        folder, _, file = name.rpartition("/")
        if file == "env.py" and tree.has(f"{folder}/alembic.ini") and "current_app" in tree.text(name):
            where = "" if folder == "migrations" else f" --directory {folder}"
            return Migrations("Flask-Migrate", f"flask db upgrade{where}", f"{folder}/")
    if tree.has("alembic.ini") and _script_folder(tree, "alembic.ini"):
        return Migrations("Alembic", "alembic upgrade head", "alembic.ini")
    return None


def inputs_digest(
    tree: Tree, commands: Sequence[str], declared: Sequence[str] | None = None, needs: str = ""
) -> str | None:
    """Digest of what decides what `commands` do besides the database: the files named by `declared`, else by the tool
    of each, and the app's dependencies (`needs`: those that lie above it); None where that is not known."""
    globs = set(declared or ())
    for command in commands if declared is None else ():
        known = _inputs_of(tree, command)
        if known is None:
            return None
        globs.update(known)
    files = tree.digest(tree.matching([*sorted(globs), *DEPENDENCIES]))
    return hashlib.sha256(json.dumps([files, needs, list(commands)]).encode()).hexdigest()


def _inputs_of(tree: Tree, command: str) -> list[str] | None:
    """The globs of one command; None: it is none that is known to do nothing but migrate."""
    words = command.split()
    if re.fullmatch(
        r"(python3? -m )?flask( (--app|-A)[ =]\S+)? db upgrade( (-d|--directory)[ =]\S+)?( head)?", command
    ):
        folders = [word.partition("=")[2] or words[place + 1] for place, word in enumerate(words) if _is_folder(word)]
        return [*_ALEMBIC_INPUTS, *(f"/{folder.strip('/')}/" for folder in folders)]
    if match := re.fullmatch(r"(?:python3? -m )?alembic(?: (?:-c|--config)[ =](\S+))? upgrade heads?", command):
        folder = _script_folder(tree, match[1] or "alembic.ini")
        return [*_ALEMBIC_INPUTS, f"/{folder}/"] if folder else None
    if re.fullmatch(r"(?:python3? \S*manage\.py|django-admin) migrate((?: --?[a-z]+(=\S+)?)*)", command):
        return list(_DJANGO_INPUTS)
    return None


def _is_folder(word: str) -> bool:
    return word in ("-d", "--directory") or word.startswith("--directory=")


def _script_folder(tree: Tree, ini: str) -> str | None:
    """Where Alembic's scripts are, relative to the source; None: not in it."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(tree.text(ini))
        place = parser.get("alembic", "script_location", fallback="")
    except configparser.Error:
        return None
    here = ini.rpartition("/")[0]
    folder = place.strip().replace("%(here)s", here).strip("/").removeprefix("./")
    return folder if folder and tree.has(f"{folder}/env.py") else None
