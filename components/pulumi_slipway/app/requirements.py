"""What an app asks for, by name: enough to tell which driver its database is reached by. Nothing is installed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_INCLUDE = re.compile(r"\s*(?:-r|--requirement)[\s=]+([^\s#]+)")
_BY_SQLALCHEMY = {"sqlalchemy", "flask-sqlalchemy", "flask-sqlalchemy-lite", "flask-migrate", "alembic", "sqlmodel"}
_DRIVERS: dict[str, dict[str, tuple[str, ...]]] = {
    "postgresql": {"psycopg": ("psycopg",), "asyncpg": ("asyncpg",), "psycopg2": ("psycopg2", "psycopg2-binary")},
    "mysql": {"pymysql": ("pymysql",)},
    "mariadb": {"pymysql": ("pymysql",)},
}
_OTHERS = {"mysqlclient", "mysql-connector-python", "aiomysql", "asyncmy", "mariadb", "pg8000", "psycopg-binary"}


def find_packages(folder: Path) -> frozenset[str]:
    """The packages that the app in `folder` asks for itself, as their names are compared."""
    found = {*_of_requirements(folder, folder / "requirements.txt", set()), *_of_project(folder / "pyproject.toml")}
    return frozenset(re.sub(r"[-_.]+", "-", name).lower() for name in found)


def choose_driver(engine: str, packages: frozenset[str]) -> str:
    """The form of `DATABASE_URL` for an app that asks for `packages`: SQLAlchemy's with its driver, else the plain
    one, which all others take."""
    if packages & _BY_SQLALCHEMY:
        for driver, names in _DRIVERS.get(engine, {}).items():
            if packages.intersection(names):
                return driver
    return "plain"


def missing_driver(engine: str, packages: frozenset[str]) -> str:
    """What to say when no package is asked for that speaks to `engine`; empty: there is one, or nothing is known."""
    drivers = _DRIVERS.get(engine)
    if not packages or drivers is None:
        return ""
    known = {name for names in drivers.values() for name in names}
    if packages & (known | _OTHERS):
        return ""
    wanted = "psycopg[binary]" if engine == "postgresql" else "pymysql"
    return f"none of its requirements is a driver for {engine}: add one, such as {wanted}"


def _of_requirements(folder: Path, file: Path, seen: set[Path]) -> Iterator[str]:
    file = file.resolve()
    if file in seen or not file.is_relative_to(folder.resolve()) or not file.is_file():
        return
    seen.add(file)
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        include = _INCLUDE.match(line)
        if include:
            yield from _of_requirements(folder, file.parent / include[1], seen)
        elif name := _NAME.match(line):
            yield name[1]


def _of_project(file: Path) -> Iterator[str]:
    try:
        document: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
        dependencies = document["project"]["dependencies"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for dependency in dependencies:
        if isinstance(dependency, str) and (name := _NAME.match(dependency)):
            yield name[1]
