"""The one contract between databases and the apps that use them."""

from __future__ import annotations

from typing import TypedDict

ENGINES = ("postgresql", "mysql", "mariadb", "sqlite")


class Database(TypedDict):
    """How to reach one database. Plain data without a secret: its password travels beside it."""

    engine: str
    """"postgresql", "mysql", "mariadb" or "sqlite"."""
    host: str
    """Host name or address; empty for SQLite."""
    port: int
    """0 for SQLite."""
    name: str
    """Name of the database; for SQLite the path of its file on the server."""
    user: str
    """Empty for SQLite."""
    ca_certificate: str
    """The certificate authority (PEM) that its certificate is verified by; empty: the connection does not leave the
    machine."""
    connections: int
    """How many connections the server admits; 0: not known."""


def sqlite_database(app: str) -> Database:
    """The file that an app has when it is given no database."""
    path = f"/srv/{app}/shared/data/{app}.db"
    return Database(engine="sqlite", host="", port=0, name=path, user="", ca_certificate="", connections=0)
