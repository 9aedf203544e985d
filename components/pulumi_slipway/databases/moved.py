"""Which database an app's rows are in, and the refusal to begin with another one in silence. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from .contract import Database

OWN = Database(engine="own", host="", port=0, name="", user="", ca_certificate="", connections=0)
"""The one that an app's own `DATABASE_URL` names, of which nothing else is known."""

Identity = Mapping[str, Any]
"""`engine`, `host` and `name` of a database: what another one differs in. An empty one: nothing is known."""

_DUMP = {
    "sqlite": "sqlite3 FILE .dump",
    "postgresql": "pg_dump --format=custom --no-owner",
    "mysql": "mysqldump --single-transaction",
    "mariadb": "mariadb-dump --single-transaction",
}


def identity(database: Mapping[str, Any]) -> dict[str, Any]:
    """What tells `database` from others; parts of it may be unknown in a preview."""
    return {key: database[key] for key in ("engine", "host", "name")}


def spelled(found: Identity) -> str:
    """A database in one word, as it is set as `database_moved_from`."""
    if found["engine"] in ("sqlite", "own"):
        return str(found["engine"])
    return f"{found['engine']}:{found['host']}/{found['name']}"


def silent_change(app: str, live: Identity, wanted: Identity, moved_from: str | None) -> str:
    """Why the rows of the live release would be left behind; empty when they would not, or nobody can know yet.

    `live` is what the server says of the live release; its `empty` says that it holds no table.
    """
    if not live or live.get("empty") or spelled(live) == moved_from or _same(live, wanted):
        return ""
    old, new = spelled(live), wanted["engine"] if pulumi.contains_unknowns(wanted) else spelled(wanted)
    dump = f" ({_DUMP[live['engine']]})" if live["engine"] in _DUMP else ""
    return (
        f"{app}: its rows are in {old}, and {new} would be begun without them. To move: 1. dump them{dump}; 2. load "
        f"them into {new}; 3. set database.moved_from (database_moved_from of a WebApp) to {old!r}, and run this "
        "again. A database that is not there yet is made in step 3: load the dump right after it"
    )


def _same(live: Identity, wanted: Identity) -> bool:
    """Whether they are one, as far as is known."""
    if pulumi.contains_unknowns(wanted["engine"]):
        return True
    if live["engine"] != wanted["engine"]:
        return False
    return pulumi.contains_unknowns(wanted) or spelled(live) == spelled(wanted)
