"""Whether anything is in the database that a release is to use, before one of its commands may destroy it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import database, users, variables
from .paths import AppPaths
from .progress import say
from .slot import app_environment, work_folder

_WITHIN = 30.0
_SQLITE_NAMES = (".db", ".db3", ".sqlite", ".sqlite3")

# Run as the app in its own environment, whose driver it takes; prints how many tables there are.
_COUNT = """
import importlib, os
from urllib.parse import unquote, urlsplit
url = urlsplit(os.environ["DATABASE_URL"])
kind, ca = url.scheme.split("+")[0], os.environ.get("DATABASE_CA")
who = {"host": url.hostname, "user": unquote(url.username or ""), "password": unquote(url.password or "")}
name = unquote(url.path.lstrip("/"))
query = "SELECT count(*) FROM information_schema.tables WHERE table_schema "
def driver(*names):
    for one in names:
        try:
            return importlib.import_module(one)
        except ImportError:
            pass
def count(connection, query):
    cursor = connection.cursor()
    cursor.execute(query)
    print(cursor.fetchone()[0])
if kind in ("postgresql", "postgres"):
    query += "NOT IN ('pg_catalog', 'information_schema')"
    found = driver("psycopg", "psycopg2")
    if found:
        tls = {"sslmode": "verify-full", "sslrootcert": ca} if ca else {}
        count(found.connect(dbname=name, port=url.port or 5432, connect_timeout=10, **who, **tls), query)
    else:
        import asyncio, asyncpg, ssl
        async def ask():
            tls = ssl.create_default_context(cafile=ca) if ca else None
            connection = await asyncpg.connect(database=name, port=url.port or 5432, timeout=10, ssl=tls, **who)
            print(await connection.fetchval(query))
        asyncio.run(ask())
elif kind in ("mysql", "mariadb"):
    tls = {"ssl": {"ca": ca}} if ca else {}
    found = driver("pymysql", "MySQLdb")
    count(found.connect(database=name, port=url.port or 3306, connect_timeout=10, **who, **tls), query + "= DATABASE()")
"""


def is_empty(app: AppPaths, record: dict[str, Any]) -> bool:
    """Whether the database of a staged release is known to hold no table; what cannot be asked may hold some."""
    given = variables.load(app, record["env"])
    engine = (record.get("database") or {}).get("engine", "own")
    if engine in ("own", "sqlite") and urlsplit(given.get("DATABASE_URL", "sqlite:")).scheme.startswith("sqlite"):
        return not sqlite_files(app, record)
    venv = app.venvs / record["venv"]
    user = users.require(app.app)
    try:
        done = subprocess.run(
            [str(venv / "bin/python"), "-I", "-c", _COUNT],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            check=False,
            cwd=work_folder(app, record),
            env=app_environment(app, record, venv, given),
            user=user.uid,
            group=user.gid,
            extra_groups=[],
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [""]
        say(f"the database could not be asked whether it is empty: {last[0]}")
    return done.returncode == 0 and done.stdout.strip() == "0"


def is_known_empty(app: AppPaths, record: dict[str, Any]) -> bool:
    """Whether it is SQLite, and no file of it is there: quick, without asking a server."""
    if (record.get("database") or {}).get("engine") != "sqlite":
        return False
    with users.acting_as(users.require(app.app)):
        return not any(database.holds_tables(path) for path in _candidates(app, record))


def sqlite_files(app: AppPaths, record: dict[str, Any]) -> list[Path]:
    """The files of SQLite in `shared` with something in them, wherever the app put them."""
    with users.acting_as(users.require(app.app)):
        return sorted({path for path in _candidates(app, record) if database.holds_tables(path)})


def _candidates(app: AppPaths, record: dict[str, Any]) -> Iterator[Path]:
    """Where it is likely first; a file that is named as persistent may have any name."""
    for kept in ("data", *record.get("persistent", ()), ""):
        place = app.shared / kept
        if place.is_file():
            yield place
        for folder, _, names in os.walk(place):
            for name in names:
                path = Path(folder, name)
                if path.suffix in _SQLITE_NAMES:
                    yield path
