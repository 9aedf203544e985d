"""Whether a server can dump an app's database before its release commands run: told in a preview. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_LOCAL = ("", "localhost", "127.0.0.1", "::1")
_MYSQL = (("mariadb-dump", "mysqldump"), "mariadb-client")
_CLIENTS = {"postgresql": (("pg_dump",), "postgresql-client"), "mysql": _MYSQL, "mariadb": _MYSQL}


def cannot_dump(database: Mapping[str, Any], facts: Mapping[str, Any], packages: Collection[str]) -> str:
    """Why not, and what to do; empty when it can, or nobody knows yet. `packages`: those that the app has installed."""
    engine, tools = database["engine"], facts.get("dump_tools")
    if engine == "own":
        return (
            "snapshot_before_migrate: the database is one that the app's own DATABASE_URL names, of which nothing is "
            "known here; set it to false, and dump it yourself"
        )
    if engine not in _CLIENTS or database["host"] in _LOCAL or tools is None:
        return ""
    names, package = _CLIENTS[engine]
    if set(names) & set(tools) or any(package in name for name in packages):
        return ""
    return (
        f"snapshot_before_migrate: {names[0]}, which dumps a {engine} database from afar, is not on the server; add "
        f"{package!r} to system_packages, or set it to false and rely on the backups of the database's own service"
    )
