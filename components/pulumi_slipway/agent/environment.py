"""The app's Python environment: one per set of locked dependencies, made once, shared by releases, never changed."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, paths, run, users
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .run import Deadline

GUNICORN = "gunicorn>=27.0.1,<28"
"""Added when the app does not ask for gunicorn itself."""

CACHE_LIMIT = 2 * 1024**3
"""Bytes of downloaded packages that are kept for the next environment."""

_FORMAT = 1
"""Part of every key: raise it when environments are made differently."""

_MARK = ".slipway-complete"
_PYTHON = "/usr/bin/python3"

# lock files that are not understood (yet), and what to do about it
_FOREIGN = {
    "poetry.lock": "run `poetry export -o requirements.txt`, or change to uv (`uv lock`)",
    "pdm.lock": "run `pdm export -o requirements.txt`, or change to uv (`uv lock`)",
    "Pipfile.lock": "run `pipenv requirements > requirements.txt`, or change to uv (`uv lock`)",
}


@dataclass(frozen=True)
class Dependencies:
    """How an app says what it needs."""

    kind: str
    """"uv.lock", "requirements.txt", "pyproject.toml", or "" for nothing."""
    key: str
    """Digest of what was said."""
    package: bool
    """The app itself is installed, too: its environment depends on all of its source."""


def find(source: Path) -> Dependencies:
    """What the app in the folder `source` needs. Raises `AgentError` when it says so in a way not understood."""
    project = _project(source)
    is_package = "build-system" in project or bool(_tool_uv(project).get("package"))
    if (source / "uv.lock").is_file() and project:
        if _tool_uv(project).get("package") is False:
            is_package = False
        return Dependencies("uv.lock", _digest(source, ["uv.lock", "pyproject.toml"]), is_package)
    if (source / "requirements.txt").is_file():
        names, local = _requirement_files(source)
        return Dependencies("requirements.txt", _digest(source, names), local)
    for name, remedy in _FOREIGN.items():
        if (source / name).is_file():
            raise AgentError(f"{name} is not understood: {remedy}")
    if project.get("project"):
        return Dependencies("pyproject.toml", _digest(source, ["pyproject.toml"]), "build-system" in project)
    return Dependencies("", "", False)


def key(dependencies: Dependencies, archive: str, with_gunicorn: bool) -> str:
    """The name of the environment for these dependencies on this machine."""
    parts = {
        "format": _FORMAT,
        "kind": dependencies.kind,
        "said": dependencies.key,
        "source": archive if dependencies.package else "",
        "python": list(sys.version_info[:2]),
        "machine": platform.machine(),
        "gunicorn": GUNICORN if with_gunicorn else "",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def is_complete(venv: Path) -> bool:
    return (venv / _MARK).is_file()


def make(
    app: AppPaths, name: str, source: Path, dependencies: Dependencies, with_gunicorn: bool, deadline: Deadline
) -> None:
    """Make the environment `name` from the app in `source`, a copy that is thrown away afterwards."""
    builder = users.require(users.build_name(app.app))
    venv = app.venvs / name
    files.discard(venv, app.work)  # half of one, from an interrupted run
    files.folder(venv, 0o755, builder.uid, builder.gid)
    variables = build_variables(app, venv)
    uv = str(paths.uv())
    python = ["--python", str(venv / "bin/python")]
    compiled = ["--compile-bytecode"]
    commands = [[uv, "venv", "--quiet", "--no-project", "--allow-existing", "--python", _PYTHON, str(venv)]]
    if dependencies.kind == "uv.lock":
        leave = [] if dependencies.package else ["--no-install-project"]
        commands.append([uv, "sync", "--locked", "--no-dev", "--no-editable", *leave, *compiled])
    elif dependencies.kind == "requirements.txt":
        commands.append([uv, "pip", "install", *python, *compiled, "--requirement", "requirements.txt"])
    elif dependencies.kind == "pyproject.toml":
        what = ["."] if dependencies.package else ["--requirement", "pyproject.toml"]
        commands.append([uv, "pip", "install", *python, *compiled, *what])
    say(f"making the environment {name} from {dependencies.kind or 'nothing but gunicorn'}")
    for command in commands:
        run.step(command, builder, source, variables, deadline, f"uv {command[1]}")
    if with_gunicorn and not (venv / "bin/gunicorn").exists():
        say(f"adding {GUNICORN}, which the app does not ask for")
        command = [uv, "pip", "install", *python, *compiled, GUNICORN]
        run.step(command, builder, source, variables, deadline, "uv pip")
    users.end_processes(builder)
    # It had to be made in its place, whose path is in its scripts; root takes it over out of the build user's reach.
    taken = app.work / f"venv-{name}"
    venv.rename(taken)
    files.take_tree(taken, builder.uid)
    files.write_json(taken / _MARK, {"from": dependencies.kind, "python": platform.python_version()})
    files.sync_filesystem(taken)
    taken.rename(venv)
    files.sync_folder(app.venvs)
    _limit_cache(app, builder)


def build_variables(app: AppPaths, venv: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of programs run by the build user: no variable of the app but those declared for builds."""
    return {
        "HOME": str(app.build / "home"),
        "LANG": "C.UTF-8",
        "LOGNAME": users.build_name(app.app),
        "USER": users.build_name(app.app),
        "PYTHONUNBUFFERED": "1",
        "UV_CACHE_DIR": str(app.build / "cache"),
        # Files linked from the cache would be root's in two places, and the next build could not link them again.
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "UV_PROJECT_ENVIRONMENT": str(venv),
        "UV_PYTHON": _PYTHON,
        "UV_PYTHON_DOWNLOADS": "never",
        **machine_variables(),
        **(extra or {}),
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv}/bin:{run.SYSTEM_PATH}",
    }


def _limit_cache(app: AppPaths, builder: users.User) -> None:
    """uv never forgets a package by itself: a cache that has grown large is begun anew."""
    cache = app.build / "cache"
    if files.tree_size(cache) > CACHE_LIMIT:
        say("the package cache has grown large: it is emptied")
        files.remove(cache)
        files.folder(cache, 0o700, builder.uid, builder.gid)


def machine_variables() -> dict[str, str]:
    """This server's package index and proxy: lines of KEY=VALUE."""
    try:
        text = paths.environment_file().read_text()
    except FileNotFoundError:
        return {}
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("\"'")
    return found


def _project(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AgentError(f"pyproject.toml is invalid: {error}") from error


def _tool_uv(project: dict[str, Any]) -> dict[str, Any]:
    table = project.get("tool", {}).get("uv", {})
    return table if isinstance(table, dict) else {}


def _requirement_files(source: Path) -> tuple[list[str], bool]:
    """requirements.txt and the files it includes; and whether any of them installs something of the source itself."""
    names: list[str] = []
    local = False
    pending = ["requirements.txt"]
    root = source.resolve()
    while pending:
        name = pending.pop()
        path = (source / name).resolve()
        if name in names:
            continue
        if not path.is_relative_to(root) or not path.is_file():
            raise AgentError(f"requirements: the included file {name} is missing")
        names.append(name)
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]+([^\s#]+)", line)
            if match:
                pending.append(str(Path(name).parent / match[1]))
            local = local or re.match(r"\s*(?:-e|--editable|\.|/|file:)", line) is not None
    return names, local


def _digest(source: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0{files.sha256_file(source / name)}\n".encode())
    return digest.hexdigest()
