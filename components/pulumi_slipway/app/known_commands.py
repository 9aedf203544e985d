"""Commands that many apps have, and what they depend on: so that a release need not run them for nothing.

Patterns are those of .gitignore; a later one wins, and one with "!" takes away. Pure functions.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_DEPENDENCIES = (
    "*requirements*.txt",
    "requirements/",
    "*.lock",
    "pyproject.toml",
    "pylock*.toml",
    "setup.cfg",
    "setup.py",
)
_SETTINGS = ("*settings*.py", "**/settings/**", "*config*.py", "**/config/**", "**/conf/**", ".env", ".flaskenv")

_TRANSLATIONS = ("*.po", "*.pot", "babel.cfg", "cli.py")
# collectstatic depends on no code but that which says where the files are, and how they are kept
_STATIC = (
    "*",
    "!*.py",
    "!*.po",
    "!*.mo",
    "*static*.py",
    "*storage*.py",
    "apps.py",
    "finders.py",
    "manage.py",
    *_SETTINGS,
)

_RUNNERS = (["uv", "run"], ["poetry", "run"], ["pipenv", "run"], ["python", "-m"], ["python3", "-m"])


def build_patterns(command: str, static_folder: str | None) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The files that a build command reads and makes, as (inputs, outputs); None when that is not known."""
    words = _words(command)
    if len(_single([command])) != 1:
        return None
    if words[:2] == ["pybabel", "compile"] or _is_flask(words, ["translate", "compile"]):
        return _TRANSLATIONS, ("*.mo",)
    if _is_django(words, "compilemessages"):
        return _TRANSLATIONS, ("*.mo",)
    if _is_django(words, "collectstatic") and static_folder is not None:
        return (*_STATIC, *_DEPENDENCIES), (f"/{static_folder}/",)
    return None


def _single(commands: Sequence[str]) -> list[str]:
    """The commands of chains of them."""
    return [part.strip() for command in commands for part in re.split(r"&&|;|\n", command) if part.strip()]


def _words(command: str) -> list[str]:
    """Its words, without what only runs another; none of one that does more than run a program."""
    if re.search(r"[|<>`$&()*]", command):
        return []
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    while words:
        runner = next((one for one in _RUNNERS if words[: len(one)] == one), None)
        if runner is None:
            break
        words = words[len(runner) :]
    return words


def _is_django(words: Sequence[str], command: str) -> bool:
    if words[:1] in (["python"], ["python3"]):
        words = words[1:]
    first = words[0].removeprefix("./") if words else ""
    return first in ("manage.py", "django-admin", "django") and command in words[1:2]


def _is_flask(words: Sequence[str], command: Sequence[str]) -> bool:
    """Also with options of `flask` itself, as `flask --app shop db upgrade`."""
    if words[:1] != ["flask"]:
        return False
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        rest = rest[1:] if "=" in rest[0] or rest[0] in ("--debug", "--no-debug") else rest[2:]
    return rest[: len(command)] == list(command)
