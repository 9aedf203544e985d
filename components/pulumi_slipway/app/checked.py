"""The arguments of a `WebApp`, checked before any resource is made, and what was found in the app's source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..databases.url import check_driver
from ..variables import check_variables
from .archive import DEFAULT_LIMIT_MIB, Archive, build_archive, selected_files
from .arguments import AppArgs, HealthArgs
from .checkout import check_out
from .dependencies import Dependencies, find_dependencies
from .detection import Recipe, Said, Tree, detect
from .persistent import check_persistent
from .processes import Processes, check_memory, check_processes
from .steps import Media, Steps, build_steps, check_answer, check_media, with_media

_APP_NAME = re.compile(r"(?!.*-build$)[a-z]([a-z0-9-]{0,22}[a-z0-9])?")
_HOST_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.I)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True)
class Health:
    path: str
    status: int
    text: str | None
    timeout: int


@dataclass(frozen=True)
class CheckedApp:
    """The arguments with every default filled in, and what was found in the source."""

    name: str
    folder: Path
    ref: str | None
    """The commit that is released; None: the folder as it is."""
    archive: Archive
    recipe: Recipe
    """How it is built, set up and run."""
    steps: Steps
    domains: tuple[str, ...]
    processes: Processes
    memory: int | None
    """MiB of the web server."""
    health: Health
    strategy: str
    drain: int
    keep: int
    lock_wait: int
    dependencies: Dependencies
    python_mirror: str | None
    system_packages: tuple[str, ...]
    build_packages: tuple[str, ...] | None
    database_driver: str | None
    database_moved_from: str | None
    observe: bool


def check(args: AppArgs) -> CheckedApp:
    """Raises `ValueError` naming the argument, its value and the remedy."""
    variables = args.get("environment", {})
    if isinstance(variables, Mapping):
        check_variables(list(variables))
    folder, ref = Path(args["path"]), args.get("ref")
    source = check_out(folder, ref) if ref is not None else folder
    domains = tuple(check_host_name(f"domains[{i}]", name) for i, name in enumerate(args.get("domains", ())))
    files = selected_files(source)
    dependencies = find_dependencies(source, args.get("dependencies"), args.get("python"))
    recipe = detect(Tree(source, files), _said(args, domains, dependencies))
    media = _media(args, recipe)
    kept = check_persistent(files, with_media(recipe.persistent, media), recipe.static_folder)
    limit = _at_least("archive_limit", args.get("archive_limit", DEFAULT_LIMIT_MIB), 1)
    left_out = [Path(dependencies.app_folder, name).as_posix() for name in recipe.left_out]
    return CheckedApp(
        name=_app_name(folder, args.get("name")),
        folder=folder,
        ref=ref,
        archive=build_archive(dependencies.root, limit, left_out, dependencies.parts),
        recipe=replace(recipe, persistent=kept),
        steps=_steps(args, recipe, media),
        domains=domains,
        processes=check_processes(
            args.get("workers", {}),
            args.get("cron", {}),
            {worker.name: worker.command for worker in recipe.workers},
            {timer.name: (timer.schedule, timer.command) for timer in recipe.timers},
        ),
        memory=check_memory("memory", args.get("memory")),
        health=_health(args.get("health", {})),
        strategy=_strategy(args.get("strategy", "start-first")),
        drain=_at_least("drain", args.get("drain", 30), 0),
        keep=_at_least("keep", args.get("keep", 5), 2),
        lock_wait=_at_least("lock_wait", args.get("lock_wait", 60), 0),
        dependencies=dependencies,
        python_mirror=_mirror(args.get("python_mirror")),
        system_packages=_packages("system_packages", args.get("system_packages", ())),
        build_packages=_packages("build_packages", args["build_packages"]) if "build_packages" in args else None,
        database_driver=_driver(args.get("database_driver")),
        database_moved_from=args.get("database_moved_from"),
        observe=args.get("observe", True),
    )


def _mirror(given: str | None) -> str | None:
    if given is not None and not re.fullmatch(r"(https?|file)://\S+", given):
        raise ValueError(f"python_mirror: {given!r} is no URL; it begins with https://, http:// or file://")
    return given


def _packages(key: str, given: Sequence[str]) -> tuple[str, ...]:
    for name in given:
        if not _PACKAGE.fullmatch(name):
            raise ValueError(f"{key}: {name!r} is no name of a package of the distribution, as libpq5 is")
    return tuple(sorted(set(given)))


def _driver(given: str | None) -> str | None:
    if given is not None:
        check_driver(given)
    return given


def check_host_name(key: str, value: str) -> str:
    if not _HOST_NAME.fullmatch(value):
        raise ValueError(
            f"{key}: {value!r} is no host name; give one as in www.example.org, without https:// or a path"
        )
    return value.lower()


def _app_name(folder: Path, given: str | None) -> str:
    name = given or re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not _APP_NAME.fullmatch(name):
        raise ValueError(
            f"name: {name!r} cannot name an app on a server; set name to 1 to 24 lower-case letters, digits and inner "
            "dashes, beginning with a letter and not ending in -build"
        )
    return name


def _said(args: AppArgs, domains: tuple[str, ...], dependencies: Dependencies) -> Said:
    """What the arguments say of what would else be found in the source."""
    kind, server, environment = args.get("kind"), args.get("server", "gunicorn"), args.get("environment", {})
    if kind not in (None, "wsgi", "asgi"):
        raise ValueError(f"kind: {kind!r} is neither wsgi nor asgi")
    if server not in ("gunicorn", "own"):
        raise ValueError(f"server: {server!r} is neither gunicorn nor own (the app's own, at the port in $PORT)")
    if "command" in args and server != "own":
        raise ValueError(f"command: {args['command']!r} is for server: own; set that, or remove it")
    known = environment if isinstance(environment, Mapping) else {}
    return Said(
        entry=args.get("entry"),
        kind=kind,
        server=server,
        command=args.get("command"),
        build=_commands(args.get("build")),
        release=_commands(args.get("release")),
        setup=_commands(args.get("setup")),
        static_url=_url("static_url", args.get("static_url")),
        static_folder=_inner("static_folder", args["static_folder"]) if "static_folder" in args else None,
        persistent=_persistent(args.get("persistent")),
        release_inputs=tuple(args["release_inputs"]) if "release_inputs" in args else None,
        environment={name: value for name, value in known.items() if isinstance(value, str)},
        domains=domains,
        packages=dependencies.names,
        needs=_needs(dependencies),
    )


def _needs(dependencies: Dependencies) -> str:
    """Digest of the files above the app that its environment is made from; empty: there are none."""
    above = ("uv.lock", "pyproject.toml") if dependencies.app_folder else ()
    names = [name for name in above if (dependencies.root / name).is_file()]
    return Tree(dependencies.root, names).digest(names) if names else ""


def _commands(given: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _steps(args: AppArgs, recipe: Recipe, media: Media | None) -> Steps:
    return Steps(
        build=build_steps(recipe.build, args.get("build_files", {}), recipe.static_folder),
        setup_answer=check_answer(args.get("setup_answer")),
        snapshot=args.get("snapshot_before_migrate", False),
        force=args.get("migration", {}).get("force", False),
        media=media,
    )


def _media(args: AppArgs, recipe: Recipe) -> Media | None:
    folder = args.get("media_folder", recipe.media_folder or "media")
    url = _url("media_url", args["media_url"]) if "media_url" in args else recipe.media_url
    return check_media(url, _inner("media_folder", folder), recipe.static_url)


def _url(key: str, value: str | None) -> str | None:
    if value and not re.fullmatch(r"/([\w.-]+/)+", value):
        raise ValueError(f"{key}: {value!r} must begin and end with / and have a name between, as /{key[:-4]}/")
    return value or None


def _persistent(given: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _inner(key: str, given: str) -> str:
    """A path within the app's folder."""
    path = Path(given)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{key}: {given!r} must lie within the app's folder")
    return path.as_posix()


def _health(given: HealthArgs) -> Health:
    path, status = given.get("path", "/"), given.get("status", 200)
    if not path.startswith("/"):
        raise ValueError(f"health.path: {path!r} must begin with /")
    if not 100 <= status <= 599:
        raise ValueError(f"health.status: {status!r} is no HTTP status; take one of 100 to 599")
    return Health(path, status, given.get("text"), _at_least("health.timeout", given.get("timeout", 60), 1))


def _strategy(value: str) -> str:
    if value not in ("start-first", "stop-first"):
        raise ValueError(
            f"strategy: {value!r} is neither start-first (a new release starts beside the old one) nor stop-first "
            "(where memory is too small for two); leave it out for start-first"
        )
    return value


def _at_least(key: str, value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"{key}: {value!r} is too small; give at least {least}")
    return value
