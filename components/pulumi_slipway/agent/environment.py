"""The app's Python environment: one per set of locked dependencies, made once, shared by releases, never changed."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, interpreters, paths, run, seal, users
from .errors import AgentError
from .interpreters import Interpreter
from .needs import Needs, Said
from .paths import AppPaths
from .progress import say
from .run import Deadline

GUNICORN = "gunicorn>=27.0.1,<28"
"""Added when the app does not ask for gunicorn itself."""

CACHE_LIMIT = 2 * 1024**3
"""Bytes of downloaded packages that are kept for the next environment."""

_FORMAT = 2
"""Part of every key: raise it when environments are made differently."""

_MARK = ".slipway-complete"

# lock files that are not understood here, and what to do about it; the operator's side turns some of them into text
_FOREIGN = {
    "poetry.lock": "run `poetry export -o requirements.txt`, or change to uv (`uv lock`)",
    "pdm.lock": "run `pdm export -o requirements.txt`, or change to uv (`uv lock`)",
    "Pipfile.lock": "run `pipenv requirements > requirements.txt`, or change to uv (`uv lock`)",
}
_TEXT = ".slipway-requirements.txt"
"""Requirements that came as text, in the copy that is installed from."""


@dataclass(frozen=True)
class Dependencies:
    """How an app says what it needs."""

    said: Said
    key: str
    """Digest of what was said."""
    own: bool
    """The app itself is installed, too: its metadata and commands. Its code runs from the release."""
    local: bool = False
    """Other code of the source is installed: the environment depends on all of it."""


def find(source: Path, needs: Needs | None = None) -> Dependencies:
    """What the app in the folder `source` (of an unpacked archive) needs. Raises `AgentError` when it says so in a way
    not understood."""
    needs = needs or Needs()
    app = source / needs.app_folder
    said = needs.said or _look(app)
    place = source / said.folder
    project = _project(app)
    is_package = "build-system" in project or bool(_tool_uv(project).get("package"))
    names = [name for name in _METADATA if (app / name).is_file()]
    if said.manager in ("uv.lock", "pylock.toml", "pyproject.toml"):
        _require(place, said.manager)
    if said.manager == "uv.lock":
        own = is_package and _tool_uv(project).get("package") is not False
        digest = _digest(app, names) + _digest(place, ["uv.lock", "pyproject.toml"])
        return Dependencies(said, digest + _trees(source, said.folders), own)
    if said.manager == "requirements.txt":
        files_of, local, own = _requirement_files(place, said.file)
        return Dependencies(said, _digest(place, [*files_of, *(names if own else [])]), own, local)
    if said.manager == "requirements":
        text = said.requirements or ""
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Dependencies(said, digest + (_digest(app, names) if said.own else ""), said.own, _is_local(text))
    if said.manager == "pylock.toml":
        folders = re.search(r"(?m)^\[packages\.directory\]|^directory\s*=", (place / said.file).read_text())
        return Dependencies(said, _digest(place, [said.file]), False, folders is not None)
    if said.manager == "pyproject.toml":
        return Dependencies(said, _digest(app, names), "build-system" in project)
    return Dependencies(said, "", False)


_METADATA = ("pyproject.toml", "setup.py", "setup.cfg")
"""What a package's metadata and commands are made from."""


def _look(source: Path) -> Said:
    """What a request that says nothing of it means."""
    project = _project(source)
    manager = ""
    if (source / "uv.lock").is_file() and project:
        manager = "uv.lock"
    elif (source / "requirements.txt").is_file():
        manager = "requirements.txt"
    else:
        for name, remedy in _FOREIGN.items():
            if (source / name).is_file():
                raise AgentError(f"{name} is not understood: {remedy}")
        if project.get("project"):
            manager = "pyproject.toml"
    return Said(manager, manager, "", None, None, False, ())


def key(dependencies: Dependencies, archive: str, with_gunicorn: bool, interpreter: Interpreter) -> str:
    """The name of the environment for these dependencies on this machine."""
    parts = {
        "format": _FORMAT,
        "kind": dependencies.said.manager,
        "package": dependencies.said.package,
        "said": dependencies.key,
        "source": archive if dependencies.local else "",
        "python": [interpreter.version, interpreter.managed],
        "machine": platform.machine(),
        "gunicorn": GUNICORN if with_gunicorn else "",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def python_path(folder: Path, dependencies: Dependencies) -> list[str]:
    """Where in the app's `folder` Python is to look for modules, besides the folder that a program starts in."""
    if (folder / "src").is_dir() and (dependencies.own or any(_modules(folder / "src"))):
        return ["src", "."]
    return ["."] if dependencies.own else []


def _modules(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.py")
    yield from folder.glob("*/__init__.py")


def is_complete(venv: Path) -> bool:
    return (venv / _MARK).is_file()


def make(
    app: AppPaths,
    name: str,
    source: Path,
    needs: Needs,
    dependencies: Dependencies,
    with_gunicorn: bool,
    interpreter: Interpreter,
    deadline: Deadline,
) -> None:
    """Make the environment `name` from the app in `source`, a copy that is thrown away afterwards."""
    builder = users.require(users.build_name(app.app))
    venv = app.venvs / name
    files.discard(venv, app.work)  # half of one, from an interrupted run
    files.folder(venv, 0o755, builder.uid, builder.gid)
    variables = build_variables(app, venv, interpreter=interpreter)
    uv = str(paths.uv())
    say(f"making the environment {name} from {dependencies.said.file or 'nothing but gunicorn'}")
    creating = [uv, "venv", "--quiet", "--no-project", "--allow-existing", "--python", interpreter.path, str(venv)]
    commands = [creating, *(([uv, *rest]) for rest in _installing(source / needs.app_folder, venv, dependencies))]
    place = source / dependencies.said.folder
    if dependencies.said.manager == "requirements.txt":
        _keep_no_link_to_source(place, dependencies.said.file)
    for command in commands:
        run.step(command, builder, place, variables, deadline, f"uv {command[1]}")
    if with_gunicorn and not (venv / "bin/gunicorn").exists():
        say(f"adding {GUNICORN}, which the app does not ask for")
        command = [uv, "pip", "install", "--python", str(venv / "bin/python"), "--compile-bytecode", GUNICORN]
        run.step(command, builder, place, variables, deadline, "uv pip")
    users.end_processes(builder)
    # It had to be made in its place, whose path is in its scripts; root takes it over out of the build user's reach.
    taken = app.work / f"venv-{name}"
    venv.rename(taken)
    files.take_tree(taken, builder.uid)
    _leave_code_to_releases(taken, source / needs.app_folder)
    files.write_json(taken / _MARK, {"from": dependencies.said.file, "python": interpreter.version})
    seal.seal_environment(taken)
    files.sync_filesystem(taken)
    taken.rename(venv)
    files.sync_folder(app.venvs)
    _limit_cache(app, builder)


def _installing(app_folder: Path, venv: Path, dependencies: Dependencies) -> list[list[str]]:
    """The arguments of uv that install what was said."""
    said = dependencies.said
    compiled = ["--compile-bytecode"]
    install = ["pip", "install", "--python", str(venv / "bin/python"), *compiled]
    own = [[*install, "--no-deps", str(app_folder)]] if dependencies.own else []
    if said.manager == "uv.lock":
        leave = [] if dependencies.own else ["--no-install-project"]
        package = ["--package", said.package] if said.package else []
        return [["sync", "--locked", "--no-dev", "--no-editable", *package, *leave, *compiled]]
    if said.manager == "requirements":
        text = said.requirements or ""
        files.write_atomic(app_folder / _TEXT, text.encode())
        # a lock is complete; whatever of it has no hash (a repository, a folder) forbids to ask for all of them
        lines = [line for line in text.splitlines() if not line.startswith("--")]
        hashes = ["--require-hashes"] if lines and all("--hash=" in line for line in lines) else []
        return [[*install, "--no-deps", *hashes, "--requirement", _TEXT], *own]
    if said.manager in ("requirements.txt", "pylock.toml"):
        return [[*install, "--requirement", said.file]]
    if said.manager == "pyproject.toml":
        what = ["."] if dependencies.own else ["--requirement", "pyproject.toml"]
        return [[*install, *what]]
    return []


def _keep_no_link_to_source(place: Path, file: str) -> None:
    """Installed "editable", code would be looked for in the copy, which goes."""
    for name in _requirement_files(place, file)[0]:
        path = place / name
        text = path.read_text(encoding="utf-8", errors="replace")
        path.write_text(re.sub(r"(?m)^(\s*)(?:-e|--editable)[\s=]+", r"\1", text))


def _leave_code_to_releases(venv: Path, source: Path) -> None:
    """Of the app itself only metadata and commands stay: a release runs its own code, so that other code is no other
    environment. `venv` is root's own; what its files say is the build's, and no path out of it is followed."""
    for packages in venv.resolve().glob("lib/python*/site-packages"):
        for told in packages.glob("*.dist-info/direct_url.json"):
            if told.resolve() != told or _origin(told) != source.as_uri():
                continue
            record = told.with_name("RECORD")
            lines = record.read_text().splitlines() if record.resolve() == record else []
            for path in (packages / row[0] for row in csv.reader(lines) if row):
                inside = path.resolve().is_relative_to(packages) and path.is_file()
                if inside and not path.resolve().is_relative_to(told.parent):
                    path.unlink()


def _origin(told: Path) -> str:
    """Where a package was installed from (`direct_url.json`)."""
    try:
        return str(json.loads(told.read_bytes())["url"]).rstrip("/")
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def build_variables(
    app: AppPaths, venv: Path, extra: Mapping[str, str] | None = None, interpreter: Interpreter | None = None
) -> dict[str, str]:
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
        "UV_PYTHON": interpreter.path if interpreter else interpreters.OWN,
        "UV_PYTHON_DOWNLOADS": "never",
        # a version that is told from tags has none in an archive
        "SETUPTOOLS_SCM_PRETEND_VERSION": "0",
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


def _requirement_files(source: Path, file: str) -> tuple[list[str], bool, bool]:
    """A requirements file and those it includes; whether any of them installs something of the source, and whether
    the source as a whole."""
    names: list[str] = []
    local = own = False
    pending = [file]
    root = source.resolve()
    while pending:
        name = pending.pop()
        path = (source / name).resolve()
        if name in names:
            continue
        if not path.is_relative_to(root) or not path.is_file():
            raise AgentError(f"requirements: the included file {name} is missing")
        names.append(name)
        text = path.read_text(encoding="utf-8", errors="replace")
        local = local or _is_local(text)
        own = own or re.search(rf"(?m)^{_EDITABLE}{_ITSELF}", text) is not None
        for match in re.finditer(r"(?m)^\s*(?:-r|--requirement|-c|--constraint)[\s=]*([^\s#]+)", text):
            pending.append(str(Path(name).parent / match[1]))
    return names, local, own


_EDITABLE = r"\s*(?:(?:-e|--editable)[\s=]*)?"
_ITSELF = r"\.(?:\[[^\]]*\])?\s*(?:$|;|#)"
"""The source as a whole, with extras."""


def _is_local(text: str) -> bool:
    return re.search(rf"(?m)^{_EDITABLE}(?!{_ITSELF})(?:\.|/|file:)", text) is not None


def _require(source: Path, name: str) -> None:
    if not (source / name).resolve().is_relative_to(source.resolve()) or not (source / name).is_file():
        raise AgentError(f"dependencies.file: {name} is not in the archive")


def _trees(source: Path, folders: Sequence[str]) -> str:
    """A digest of all files in these folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((source / folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                digest.update(f"{path.relative_to(source)}\0{files.sha256_file(path)}\n".encode())
    return digest.hexdigest() if folders else ""


def _digest(source: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0{files.sha256_file(source / name)}\n".encode())
    return digest.hexdigest()
