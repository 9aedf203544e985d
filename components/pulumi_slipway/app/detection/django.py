"""Django: its manage.py, the settings module for production, WSGI or ASGI, static files and what it writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from .entry import package_of
from .migrations import django_migrations
from .placeholders import NEUTRAL, placeholder
from .recipe import DetectionError, Entry, Findings, Said
from .tree import Tree
from .values import in_source, required_variables, settings_files, settings_values

_MODULE = re.compile(r"DJANGO_SETTINGS_MODULE[\"']\s*[,\]][\s=]*[\"']([\w.]+)[\"']")
_PRODUCTION = ("production", "prod", "prd", "live", "deploy", "deployment")


@dataclass
class Project:
    """A Django project."""

    root: str
    """Folder of its manage.py, "" or with a / at its end."""
    settings: str
    """The settings module that it is served with."""
    entry: Entry | None
    """None: it has neither wsgi.py nor asgi.py."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The settings that are known."""
    required: tuple[str, ...] = ()
    """Variables that the settings cannot be imported without."""
    files: tuple[str, ...] = ()

    @property
    def static_url(self) -> str | None:
        """Where its static files are served here; None: they are somewhere else."""
        url = self.values.get("STATIC_URL")
        if not isinstance(url, str) or "://" in url or url.startswith("//"):
            return None
        path = f"/{url.strip('/')}/"
        return path if re.fullmatch(r"/([\w.-]+/)+", path) else None

    @property
    def static_folder(self) -> str | None:
        """Where collectstatic puts them; None: it cannot, or not within the source."""
        return in_source(self.values.get("STATIC_ROOT")) or None

    @property
    def written(self) -> tuple[str, ...]:
        """What it writes within its source: uploads, and a database of SQLite that nothing else decides on."""
        places = [in_source(self.values.get("MEDIA_ROOT"))]
        databases = self.values.get("DATABASES")
        database = databases.get("default") if isinstance(databases, dict) else None
        if isinstance(database, dict) and str(database.get("ENGINE", "")).endswith("sqlite3"):
            places.append(in_source(database.get("NAME")))
        return tuple(place for place in places if place)


def find_project(tree: Tree, said: Said) -> Project | None:
    """The project of the source; None: it has no manage.py of Django's."""
    manage = next(iter(sorted(filter(lambda name: _is_manage(tree, name), tree.names), key=_depth)), None)
    if manage is None:
        return None
    root = manage.removesuffix("manage.py")
    default = _named(tree, manage)
    served = next((name for file in _servers(tree, root) if (name := _named(tree, file))), None)
    settings = said.environment.get("DJANGO_SETTINGS_MODULE") or _settings(tree, root, served, default)
    if settings is None:
        raise DetectionError(
            f"path: {manage} names no settings module that is in the source; "
            "set DJANGO_SETTINGS_MODULE in the app's environment"
        )
    file = tree.file_of(settings, (root,))
    if file is None:
        return Project(root, settings, _entry(tree, root, settings, {}))
    values = settings_values(tree, file, root, said.environment)
    files = settings_files(tree, file, root)
    required = tuple(name for name in required_variables(tree, files) if name != "DJANGO_SETTINGS_MODULE")
    return Project(root, settings, _entry(tree, root, settings, values), values, required, tuple(files))


def django_findings(project: Project, domains: tuple[str, ...]) -> Findings:
    """What Django's ways tell of a project that is served at `domains`."""
    found = Findings(
        variables={"DJANGO_SETTINGS_MODULE": project.settings},
        build_variables={
            **{name: placeholder(name) for name in project.required},
            **NEUTRAL,
            "DJANGO_SETTINGS_MODULE": project.settings,
        },
        static_url=project.static_url or "/static/",
        persistent=list(project.written),
        migrations=django_migrations(project.root),
        warnings=warnings(project, domains),
    )
    media = in_source(project.values.get("MEDIA_ROOT"))
    if media:
        found.notes.append(f"uploads go to {media}, which outlives releases")
    if project.static_folder and project.static_url:
        found.build.append(f"python {project.root}manage.py collectstatic --noinput")
        found.static_folder = project.static_folder
        if project.values.get("COMPRESS_OFFLINE") is True:
            found.build.append(f"python {project.root}manage.py compress")
        names = ", ".join(sorted({*NEUTRAL, *project.required}))
        found.notes.append(f"collectstatic runs without secrets: placeholders stand for {names} while it does")
    elif project.static_url:
        found.notes.append("its settings have no STATIC_ROOT within the source: static files are not collected")
    return found


def warnings(project: Project, domains: tuple[str, ...]) -> list[str]:
    """What its settings say that does not go with a server."""
    found = []
    where = project.files[0] if project.files else project.settings
    if project.values.get("DEBUG") is True:
        found.append(f"{where} has DEBUG = True: visitors of a page that fails see its code; set it to False there")
    hosts = project.values.get("ALLOWED_HOSTS")
    if isinstance(hosts, list) and not any(_allows(str(host), domains) for host in hosts):
        wanted = ", ".join(domains) or "the server's address"
        found.append(f"{where} has ALLOWED_HOSTS = {hosts!r}: Django will refuse all requests; add {wanted}")
    return found


def _allows(pattern: str, domains: tuple[str, ...]) -> bool:
    if pattern == "*" or not domains:  # an address is known later
        return pattern == "*" or re.fullmatch(r"[\d.]+|\[?[\da-f:]+\]?", pattern) is not None
    return any(domain == pattern or (pattern[:1] == "." and f".{domain}".endswith(pattern)) for domain in domains)


def _is_manage(tree: Tree, name: str) -> bool:
    return PurePosixPath(name).name == "manage.py" and _depth(name) <= 2 and "DJANGO_SETTINGS_MODULE" in tree.text(name)


def _depth(name: str) -> int:
    return name.count("/")


def _named(tree: Tree, file: str) -> str | None:
    match = _MODULE.search(tree.text(file))
    return match[1] if match else None


def _servers(tree: Tree, root: str) -> list[str]:
    """Its wsgi.py and asgi.py."""
    ends = ("/wsgi.py", "/asgi.py")
    return [name for end in ends for name in tree.sources if name.startswith(root) and name.endswith(end)]


def _settings(tree: Tree, root: str, served: str | None, default: str | None) -> str | None:
    """A module for production, where there are several; else the one that wsgi.py or manage.py names."""
    named = [name for name in (served, default) if name and tree.file_of(name, (root,))]
    if any(_is_production(name.rpartition(".")[2]) for name in named):
        return next(name for name in named if _is_production(name.rpartition(".")[2]))
    siblings = [sibling for name in named for sibling in _siblings(tree, root, name)]
    production = sorted(filter(lambda name: _is_production(name.rpartition(".")[2]), siblings), key=_preference)
    return next(iter([*production, *named]), None)


def _siblings(tree: Tree, root: str, module: str) -> list[str]:
    """Other settings modules beside `module`: in its package of settings, or with settings in their name."""
    file = tree.file_of(module, (root,)) or ""
    folder = file.rpartition("/")[0]
    names = [name for name in tree.names if name.rpartition("/")[0] == folder and name.endswith(".py")]
    package = f"{package_of(file.removeprefix(root))}." if "/" in file.removeprefix(root) else ""
    stems = [PurePosixPath(name).stem for name in names if not name.endswith("__init__.py")]
    in_package = "settings" in PurePosixPath(folder).name or "conf" in PurePosixPath(folder).name
    return [f"{package}{stem}" for stem in stems if in_package or "settings" in stem]


def _is_production(name: str) -> bool:
    return any(word in _PRODUCTION for word in name.lower().split("_"))


def _preference(module: str) -> int:
    words = module.rpartition(".")[2].lower().split("_")
    return min(_PRODUCTION.index(word) for word in words if word in _PRODUCTION)


def _entry(tree: Tree, root: str, settings: str, values: Mapping[str, Any]) -> Entry | None:
    """ASGI where the settings name an application of that kind, else WSGI, else what there is."""
    for setting, kind in (("ASGI_APPLICATION", "asgi"), ("WSGI_APPLICATION", "wsgi")):
        module, _, variable = str(values.get(setting) or "").rpartition(".")
        if module and tree.file_of(module, (root,)):
            return Entry(f"{module}:{variable}", kind)
    servers = _servers(tree, root)
    near = settings.split(".")[0]
    for file in sorted(servers, key=lambda name: (not name.removeprefix(root).startswith(f"{near}/"), _depth(name))):
        module = file.removeprefix(root).removesuffix(".py").replace("/", ".")
        return Entry(f"{module}:application", module.rpartition(".")[2])
    return None
