"""Which driver an app reaches its database by, told from the names of its packages. Nothing is installed."""

from __future__ import annotations

_BY_SQLALCHEMY = {"sqlalchemy", "flask-sqlalchemy", "flask-sqlalchemy-lite", "flask-migrate", "alembic", "sqlmodel"}
_DRIVERS: dict[str, dict[str, tuple[str, ...]]] = {
    "postgresql": {"psycopg": ("psycopg",), "asyncpg": ("asyncpg",), "psycopg2": ("psycopg2", "psycopg2-binary")},
    "mysql": {"pymysql": ("pymysql",)},
    "mariadb": {"pymysql": ("pymysql",)},
}
_OTHERS = {"mysqlclient", "mysql-connector-python", "aiomysql", "asyncmy", "mariadb", "pg8000", "psycopg-binary"}


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
